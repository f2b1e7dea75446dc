//! Certificate requests as `openssl req` makes them.

use lessor_certificate::Certificate;
use lessor_sdk::testing::Harness;
use serde_json::{Value, json};

use crate::desk::{Desk, NOW, config, mount, role};

/// Makes `key.pem` and `csr.pem`.
fn request(desk: &Desk, key: &[&str], more: &[&str]) -> String {
    let start = [
        "req", "-new", "-nodes", "-keyout", "key.pem", "-out", "csr.pem",
    ];
    desk.openssl(&[&start[..], key, more].concat());
    desk.read("csr.pem")
}

const P256: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
const P521: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"];
const ED25519: [&str; 2] = ["-newkey", "ed25519"];
const RSA_1024: [&str; 2] = ["-newkey", "rsa:1024"];
const RSA_2048: [&str; 2] = ["-newkey", "rsa:2048"];
const SUBJECT: [&str; 2] = ["-subj", "/O=Someone Else/CN=web.example.com"];

fn any_key() -> Value {
    let mut role = role();
    role["any_csr_key_type"] = json!(true);
    role
}

fn refusal(mount: &mut Harness<Certificate>, request: Value) -> String {
    mount.set_request(request);
    let failure = mount.create().unwrap_err();
    assert_eq!(
        failure.class(),
        lessor_sdk::FailureClass::InvalidRequest,
        "{failure}"
    );
    failure.message().to_owned()
}

#[test]
fn a_request_of_every_kind_of_key_gets_a_leaf_for_that_key() {
    let mut mount = mount(config(), any_key());
    for (key, digest) in [
        (&P256[..], "-sha256"),
        (&P384[..], "-sha256"),
        (&P384[..], "-sha384"),
        (&ED25519[..], "-sha256"),
        (&RSA_2048[..], "-sha256"),
        (&RSA_2048[..], "-sha384"),
        (&RSA_2048[..], "-sha512"),
    ] {
        let desk = Desk::new();
        let more = [
            &SUBJECT[..],
            &[digest, "-addext", "subjectAltName=DNS:api.example.com"],
        ]
        .concat();
        mount.set_request(json!({"csr": request(&desk, key, &more)}));
        let issued = mount.create().unwrap();
        assert!(
            issued.data.get("private_key").is_none()
                && issued.data.get("private_key_type").is_none()
        );
        desk.put("leaf.pem", issued.data["certificate"].as_str().unwrap());
        desk.put("ca.pem", issued.data["issuing_ca"].as_str().unwrap());
        desk.assert_verifies(NOW, &["-CAfile", "ca.pem", "leaf.pem"]);
        let of_key = desk.openssl(&["pkey", "-in", "key.pem", "-pubout"]);
        assert_eq!(
            of_key,
            desk.openssl(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"])
        );
        let shown = desk.text("leaf.pem");
        assert!(
            shown.contains("DNS:web.example.com, DNS:api.example.com"),
            "{shown}"
        );
        assert!(
            shown.contains("Subject: CN = web.example.com\n"),
            "the role decides the rest: {shown}"
        );
    }
}

#[test]
fn names_of_request_and_csr_are_joined_and_all_checked() {
    let desk = Desk::new();
    let mut mount = mount(config(), role());
    let csr = request(
        &desk,
        &P256,
        &[
            "-subj",
            "/",
            "-addext",
            "subjectAltName=DNS:api.example.com",
        ],
    );
    mount.set_request(
        json!({"csr": csr, "common_name": "web.example.com", "alt_names": ["x.example.com"]}),
    );
    desk.put_issued(&mount.create().unwrap());
    let shown = desk.text("leaf.pem");
    assert!(
        shown.contains("DNS:web.example.com, DNS:x.example.com, DNS:api.example.com"),
        "{shown}"
    );

    let csr = request(&desk, &P256, &SUBJECT);
    assert_eq!(
        refusal(
            &mut mount,
            json!({"csr": csr, "common_name": "x.example.com"})
        ),
        "common_name: it differs from the common name of csr; give one of the two."
    );
}

#[test]
fn a_name_in_a_csr_that_the_role_does_not_allow_is_refused() {
    let desk = Desk::new();
    let mut mount = mount(config(), role());
    for (more, sentence) in [
        (
            vec!["-subj", "/CN=example.org"],
            "csr: the DNS name \"example.org\" is not allowed; allowed_dns of the role has *.example.com.",
        ),
        (
            vec![
                "-subj",
                "/",
                "-addext",
                "subjectAltName=DNS:web.example.com,DNS:evil.org",
            ],
            "csr: the DNS name \"evil.org\" is not allowed; allowed_dns of the role has *.example.com.",
        ),
        (
            vec!["-subj", "/", "-addext", "subjectAltName=IP:10.0.0.1"],
            "csr: the IP address \"10.0.0.1\" is not allowed; the role has no allowed_ips.",
        ),
        (
            vec!["-subj", "/", "-addext", "subjectAltName=RID:1.2.3"],
            "csr: only DNS names, IP addresses, URIs and email addresses can be asked for.",
        ),
        (
            vec!["-subj", "/O=Only"],
            "A certificate needs a name: give common_name, alt_names, or a csr with one.",
        ),
    ] {
        let csr = request(&desk, &P256, &more);
        assert_eq!(refusal(&mut mount, json!({"csr": csr})), sentence);
    }
}

#[test]
fn a_csr_cannot_make_itself_an_authority_or_choose_its_usage() {
    let desk = Desk::new();
    let mut mount = mount(config(), role());
    let extensions = [
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=keyCertSign,cRLSign",
        "-addext",
        "extendedKeyUsage=codeSigning",
    ];
    let csr = request(&desk, &P256, &[&SUBJECT[..], &extensions].concat());
    mount.set_request(json!({"csr": csr}));
    desk.put_issued(&mount.create().unwrap());
    let shown = desk.text("leaf.pem");
    assert!(
        shown.contains("CA:FALSE") && !shown.contains("CA:TRUE"),
        "{shown}"
    );
    assert!(
        !shown.contains("Certificate Sign") && !shown.contains("Code Signing"),
        "{shown}"
    );
}

#[test]
fn a_csr_not_signed_by_its_own_key_is_refused() {
    let desk = Desk::new();
    let mut mount = mount(config(), role());
    request(&desk, &P256, &SUBJECT);
    desk.openssl(&[
        "req", "-in", "csr.pem", "-outform", "DER", "-out", "csr.der",
    ]);
    let der = desk.read_bytes("csr.der");
    let tampered = |place: usize| {
        let mut der = der.clone();
        der[place] ^= 1;
        desk.put("bad.der", der);
        desk.openssl(&["req", "-inform", "DER", "-in", "bad.der", "-out", "bad.pem"]);
        desk.read("bad.pem")
    };
    let name = der.windows(3).position(|bytes| bytes == b"web").unwrap();
    for place in [name, der.len() - 1] {
        assert_eq!(
            refusal(&mut mount, json!({"csr": tampered(place)})),
            "csr: its signature is not by its own key over its own content."
        );
    }
    // A point of which one coordinate is another is on no curve.
    let key = der
        .windows(4)
        .position(|bytes| bytes == [0x03, 0x42, 0x00, 0x04])
        .unwrap();
    assert_eq!(
        refusal(&mut mount, json!({"csr": tampered(key + 4)})),
        "csr: its key is damaged."
    );
}

#[test]
fn a_csr_with_a_key_that_will_not_do_is_refused() {
    let mut mount = mount(config(), any_key());
    for (key, more, sentence) in [
        (
            &RSA_1024[..],
            &[][..],
            "csr: its key is rsa-1024; an RSA key needs 2048 to 8192 bits.",
        ),
        (
            &P521[..],
            &[][..],
            "csr: its key is none of Ed25519, ECDSA on P-256 or P-384, and RSA.",
        ),
        (
            &RSA_2048[..],
            &["-sha1"][..],
            "csr: it is signed by sha1WithRSAEncryption, which is not supported for its rsa-2048 key; sign it with SHA-256.",
        ),
    ] {
        let desk = Desk::new();
        let csr = request(&desk, key, &[&SUBJECT[..], more].concat());
        assert_eq!(refusal(&mut mount, json!({"csr": csr})), sentence);
    }
}

#[test]
fn the_key_of_a_csr_is_of_the_roles_type_unless_any_will_do() {
    let desk = Desk::new();
    let csr = request(&desk, &RSA_2048, &SUBJECT);
    let mut mount = mount(config(), role());
    assert_eq!(
        refusal(&mut mount, json!({"csr": csr})),
        "csr: its key is rsa-2048, and key_type of the role is ecdsa-p256."
    );
    for (key_type, accepted) in [("rsa-2048", true), ("rsa-3072", false), ("ed25519", false)] {
        let mut role = role();
        role["key_type"] = json!(key_type);
        mount.set_role(role);
        assert_eq!(mount.create().is_ok(), accepted, "{key_type}");
    }
}

#[test]
fn text_that_is_no_csr_is_refused() {
    let desk = Desk::new();
    let mut mount = mount(config(), role());
    let csr = request(&desk, &P256, &SUBJECT);
    let cut = csr.replace("-----END CERTIFICATE REQUEST-----", "");
    let half: String = csr
        .lines()
        .enumerate()
        .filter(|(line, _)| *line != 2)
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    for (text, sentence) in [
        (
            desk.read("key.pem"),
            "csr: there is no certificate request in PEM in it.",
        ),
        (cut, "csr: a block begins and does not end."),
        (half, "csr: it is not a certificate request by RFC 2986."),
    ] {
        assert_eq!(refusal(&mut mount, json!({"csr": text})), sentence);
    }
}

#[test]
fn a_csr_is_read_as_any_tool_writes_it_and_one_at_a_time() {
    let desk = Desk::new();
    let csr = request(&desk, &P256, &SUBJECT);
    let body: String = csr.lines().filter(|line| !line.starts_with('-')).collect();
    let (head, tail) = (
        "-----BEGIN CERTIFICATE REQUEST-----",
        "-----END CERTIFICATE REQUEST-----",
    );
    let (first, rest) = body.split_at(76);
    let mut mount = mount(config(), role());
    for text in [
        format!("{head}\n{first}\n{rest}\n{tail}\n"),
        format!("{head}\r\n{body}\r\n{tail}\r\n"),
        csr.replace('\n', " \n"),
        csr.replacen("-----\n", "-----\nComment: x\n\n", 1),
        csr.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
    ] {
        mount.set_request(json!({"csr": text}));
        mount
            .create()
            .unwrap_or_else(|failure| panic!("{failure}: {text}"));
    }
    let key = desk.read("key.pem");
    for (text, said) in [
        (format!("{csr}{csr}"), "several certificate requests"),
        (format!("{csr}{key}"), "something else in it"),
    ] {
        let sentence = refusal(&mut mount, json!({"csr": text}));
        assert!(sentence.contains(said), "{sentence}");
    }
}
