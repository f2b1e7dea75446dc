//! Authorities from elsewhere: what `openssl` made is taken, and what cannot
//! work is refused before it is stored.

use lessor_sdk::UnixTime;
use serde_json::{Value, json};

use crate::desk::{DAY, Desk, NOW, chain, config, document, empty_mount, role, rotate, text};

/// Makes `NAME.pem` and `NAME.key`: a self-signed certificate of `key`, ten
/// years from when the tests run.
fn make(desk: &Desk, name: &str, key: &[&str], more: &[&str]) {
    let (certificate, private_key) = (format!("{name}.pem"), format!("{name}.key"));
    let subject = format!("/CN={name}");
    let start = [
        "req",
        "-x509",
        "-nodes",
        "-days",
        "3650",
        "-subj",
        &subject,
        "-keyout",
        &private_key,
        "-out",
        &certificate,
    ];
    desk.openssl(&[&start[..], key, more].concat());
}

fn imported(desk: &Desk, name: &str) -> Value {
    json!({"certificate": desk.read(&format!("{name}.pem")), "private_key": desk.read(&format!("{name}.key"))})
}

/// The real time: `openssl` dates what it makes by it.
fn real_now(desk: &Desk, name: &str) -> UnixTime {
    let said = desk.openssl(&[
        "x509",
        "-in",
        &format!("{name}.pem"),
        "-noout",
        "-startdate",
        "-dateopt",
        "iso_8601",
    ]);
    let date = said.trim().trim_start_matches("notBefore=").to_owned();
    let seconds = std::process::Command::new("date")
        .args(["-u", "-d", &date, "+%s"])
        .output()
        .unwrap();
    UnixTime::from_seconds(
        String::from_utf8(seconds.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap(),
    )
}

/// What RFC 5280 demands of an authority and `openssl req` leaves out.
const STRICT: [&str; 2] = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
const P256: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
const ED25519: [&str; 2] = ["-newkey", "ed25519"];
const RSA: [&str; 2] = ["-newkey", "rsa:2048"];

#[test]
fn an_authority_of_every_kind_is_taken_and_can_be_rotated() {
    for key in [&P256[..], &P384[..], &ED25519[..], &RSA[..]] {
        let desk = Desk::new();
        make(&desk, "own", key, &STRICT);
        let now = real_now(&desk, "own");
        let mut mount = empty_mount(imported(&desk, "own"), role())
            .now(now)
            .request(json!({"common_name": "web.example.com"}));
        let validation = mount.validate_config().unwrap();
        assert!(validation.identity.unwrap().starts_with("CN=own (SHA-256 "));
        assert_eq!(validation.warnings, Vec::<String>::new());
        let old = mount.create().unwrap();
        desk.put("old.pem", text(&old, "certificate"));
        desk.assert_verifies(now, &["-CAfile", "own.pem", "old.pem"]);

        rotate(&mut mount);
        let new = mount.create().unwrap();
        desk.put_issued(&new);
        desk.put("served.pem", document(&mut mount, "ca_chain", &[]));
        desk.assert_verifies(
            now,
            &["-CAfile", "own.pem", "-untrusted", "chain.pem", "leaf.pem"],
        );
        desk.assert_verifies(
            now,
            &["-CAfile", "ca.pem", "-untrusted", "served.pem", "old.pem"],
        );
    }
}

#[test]
fn a_private_key_is_taken_in_each_of_its_forms() {
    let desk = Desk::new();
    make(&desk, "rsa", &RSA, &[]);
    make(&desk, "ec", &P256, &[]);
    desk.openssl(&["rsa", "-in", "rsa.key", "-traditional", "-out", "rsa.pkcs1"]);
    desk.openssl(&["ec", "-in", "ec.key", "-out", "ec.sec1"]);
    let parameters = desk.openssl(&["ecparam", "-name", "prime256v1"]);
    desk.put(
        "ec.both",
        format!(
            "words before\n{parameters}{}",
            desk.read("ec.sec1").replace('\n', "\r\n")
        ),
    );
    for (name, file, start) in [
        ("rsa", "rsa.pkcs1", "-----BEGIN RSA PRIVATE KEY"),
        ("ec", "ec.sec1", "-----BEGIN EC PRIVATE KEY"),
        ("ec", "ec.both", "words before"),
    ] {
        let mut config = imported(&desk, name);
        let key = desk.read(file);
        assert!(key.starts_with(start), "{key}");
        config["private_key"] = json!(key);
        let now = real_now(&desk, name);
        empty_mount(config, role())
            .now(now)
            .validate_config()
            .unwrap_or_else(|failure| panic!("{file}: {failure}"));
    }
}

/// An authority below another, made by `openssl`.
fn intermediate(desk: &Desk) -> Value {
    make(desk, "root", &P256, &STRICT);
    desk.openssl(
        &[
            &[
                "req",
                "-new",
                "-nodes",
                "-subj",
                "/CN=middle",
                "-keyout",
                "middle.key",
                "-out",
                "middle.csr",
            ],
            &P256[..],
        ]
        .concat(),
    );
    desk.put("middle.ext", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
    desk.openssl(&[
        "x509",
        "-req",
        "-in",
        "middle.csr",
        "-CA",
        "root.pem",
        "-CAkey",
        "root.key",
        "-days",
        "1000",
        "-extfile",
        "middle.ext",
        "-out",
        "middle.pem",
    ]);
    let mut config = imported(desk, "middle");
    config["certificate"] = json!(desk.read("middle.pem") + &desk.read("root.pem"));
    config
}

#[test]
fn an_intermediate_authority_comes_with_what_is_above_it() {
    let desk = Desk::new();
    let config = intermediate(&desk);
    let now = real_now(&desk, "middle");
    let mut mount = empty_mount(config, role())
        .now(now)
        .request(json!({"common_name": "web.example.com"}));
    let issued = mount.create().unwrap();
    desk.put_issued(&issued);
    assert_eq!(
        chain(&issued),
        desk.read("middle.pem") + &desk.read("root.pem")
    );
    desk.assert_verifies(
        now,
        &["-CAfile", "root.pem", "-untrusted", "chain.pem", "leaf.pem"],
    );

    rotate(&mut mount);
    let new = mount.create().unwrap();
    desk.put("new.pem", text(&new, "certificate"));
    desk.put("new-chain.pem", chain(&new));
    desk.assert_verifies(
        now,
        &[
            "-CAfile",
            "root.pem",
            "-untrusted",
            "new-chain.pem",
            "new.pem",
        ],
    );
}

#[test]
fn a_config_that_cannot_work_is_refused_in_one_sentence() {
    let desk = Desk::new();
    make(&desk, "own", &P256, &[]);
    make(&desk, "other", &P256, &[]);
    make(&desk, "rsa", &RSA, &[]);
    make(
        &desk,
        "leaf",
        &P256,
        &["-addext", "basicConstraints=critical,CA:FALSE"],
    );
    make(
        &desk,
        "mute",
        &P256,
        &["-addext", "keyUsage=critical,digitalSignature"],
    );
    make(
        &desk,
        "listless",
        &P256,
        &["-addext", "keyUsage=critical,keyCertSign"],
    );
    make(&desk, "weak", &["-newkey", "rsa:1024"], &[]);
    desk.openssl(&[
        "pkcs8",
        "-topk8",
        "-in",
        "own.key",
        "-passout",
        "pass:secret",
        "-out",
        "locked.key",
    ]);
    let own = imported(&desk, "own");
    let with = |field: &str, value: Value| {
        let mut config = own.clone();
        config[field] = value;
        config
    };
    let now = real_now(&desk, "own");
    for (config, start) in [
        (
            json!({}),
            "config: give certificate and private_key of a certificate authority, or common_name",
        ),
        (
            json!({"certificate": own["certificate"]}),
            "config.private_key: it is missing",
        ),
        (
            json!({"private_key": own["private_key"]}),
            "config.certificate: it is missing",
        ),
        (
            with("certificate", json!("hello")),
            "config.certificate: there is no certificate in PEM in it.",
        ),
        (
            with("certificate", own["private_key"].clone()),
            "config.certificate: a block \"PRIVATE KEY\" does not belong there",
        ),
        (
            with("private_key", json!("hello")),
            "config.private_key: there is no private key in PEM in it.",
        ),
        (
            with("private_key", own["certificate"].clone()),
            "config.private_key: a block \"CERTIFICATE\" does not belong there",
        ),
        (
            with("private_key", json!(desk.read("locked.key"))),
            "config.private_key: a block is encrypted; decrypt it by",
        ),
        (
            with("private_key", json!(desk.read("other.key"))),
            "config.private_key: it does not belong to the certificate.",
        ),
        (
            with("private_key", json!(desk.read("rsa.key"))),
            "private_key: it is no ecdsa-p256 key, which the certificate is for.",
        ),
        (
            imported(&desk, "leaf"),
            "config.certificate: it is not one of a certificate authority (basicConstraints CA:TRUE).",
        ),
        (
            imported(&desk, "mute"),
            "config.certificate: its key usage lacks keyCertSign.",
        ),
        (
            imported(&desk, "listless"),
            "config.certificate: its key usage lacks cRLSign",
        ),
        (
            imported(&desk, "weak"),
            "config.certificate: its key is none of",
        ),
        (
            with(
                "chain",
                json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            ),
            "config.chain: it is not a certificate by RFC 5280",
        ),
        (
            with("base_url", json!("lessor/v1/pki")),
            "config.base_url: it is no address",
        ),
        (
            with("crl_ttl", json!("1s")),
            "config.crl_ttl: it needs at least 60 seconds.",
        ),
        (
            with("ttl", json!("a year")),
            "config.ttl: expected seconds, or a duration such as",
        ),
        (
            json!({"common_name": "x", "country": "de"}),
            "config.country: a country is two capital letters",
        ),
        (
            json!({"common_name": "x".repeat(65)}),
            "config.common_name: it needs 1 to 64 printable characters.",
        ),
    ] {
        let failure = empty_mount(config, role())
            .now(now)
            .validate_config()
            .unwrap_err();
        assert!(failure.message().starts_with(start), "{failure}");
        assert_eq!(
            failure.class(),
            lessor_sdk::FailureClass::InvalidConfig,
            "{failure}"
        );
        assert!(!failure.message().contains("PRIVATE KEY-"), "{failure}");
    }
}

#[test]
fn an_authority_outside_its_time_is_refused_and_near_its_end_warned_of() {
    let desk = Desk::new();
    make(&desk, "own", &P256, &[]);
    let start = real_now(&desk, "own");
    for (days, code) in [(0, "ca_not_yet_valid"), (3_660, "ca_expired")] {
        let now = UnixTime::from_seconds(start.seconds() - 1 + days * DAY);
        let failure = empty_mount(imported(&desk, "own"), role())
            .now(now)
            .validate_config()
            .unwrap_err();
        assert_eq!(failure.code(), code);
    }
    let near = UnixTime::from_seconds(start.seconds() + 3_621 * DAY);
    let validation = empty_mount(imported(&desk, "own"), role())
        .now(near)
        .validate_config()
        .unwrap();
    assert!(
        validation.warnings[0].contains("rotate-root"),
        "{:?}",
        validation.warnings
    );
}

#[test]
fn a_config_without_an_authority_is_taken_with_a_warning() {
    let validation = empty_mount(config(), role()).validate_config().unwrap();
    assert_eq!(validation.identity, None);
    assert!(
        validation.warnings[0].contains("rotate-root"),
        "{:?}",
        validation.warnings
    );
}

#[test]
fn a_role_that_cannot_work_is_refused() {
    let mut mount = empty_mount(config(), role()).now(NOW);
    for (role, start) in [
        (
            json!({}),
            "role: no name is allowed; give at least one of allowed_dns",
        ),
        (
            json!({"allow_any_name": true, "key_usage": ["digitalsignatur"]}),
            "role.key_usage: \"digitalsignatur\" is not one of",
        ),
        (
            json!({"allow_any_name": true, "ext_key_usage": ["server"]}),
            "role.ext_key_usage: \"server\" is not one of",
        ),
        (
            json!({"allowed_ips": ["10.0.0.1/8"]}),
            "role.allowed_ips: \"10.0.0.1/8\" has bits set",
        ),
        (
            json!({"allow_any_name": true, "country": "Germany"}),
            "role.country: a country is two capital letters",
        ),
        (
            json!({"allowed_dns": ["x.example.com"], "key_type": "dsa"}),
            "role.key_type: expected",
        ),
        (
            json!({"allowed_domains": ["example.com"]}),
            "role.allowed_domains: unknown field",
        ),
    ] {
        mount.set_role(role);
        let failure = mount.validate_config().unwrap_err();
        assert!(failure.message().starts_with(start), "{failure}");
    }
}
