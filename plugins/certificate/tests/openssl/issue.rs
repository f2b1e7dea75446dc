//! What a leaf says, and that verifiers take it, for every kind of key.

use std::time::Duration;

use lessor_sdk::UnixTime;
use lessor_sdk::testing::two_creates_differ;
use serde_json::{Value, json};

use crate::desk::{DAY, Desk, HOUR, NOW, config, empty_mount, mount, role, text};

const KEYS: [(&str, &str, &str, &str); 6] = [
    (
        "ed25519",
        "ed25519",
        "ED25519",
        "Signature Algorithm: ED25519",
    ),
    (
        "ecdsa-p256",
        "ec",
        "NIST CURVE: P-256",
        "Signature Algorithm: ecdsa-with-SHA256",
    ),
    (
        "ecdsa-p384",
        "ec",
        "NIST CURVE: P-384",
        "Signature Algorithm: ecdsa-with-SHA384",
    ),
    (
        "rsa-2048",
        "rsa",
        "Public-Key: (2048 bit)",
        "Signature Algorithm: sha256WithRSAEncryption",
    ),
    (
        "rsa-3072",
        "rsa",
        "Public-Key: (3072 bit)",
        "Signature Algorithm: sha256WithRSAEncryption",
    ),
    (
        "rsa-4096",
        "rsa",
        "Public-Key: (4096 bit)",
        "Signature Algorithm: sha256WithRSAEncryption",
    ),
];

#[test]
fn a_leaf_of_every_kind_of_key_verifies_and_its_key_belongs_to_it() {
    for (key_type, family, shown, _) in KEYS {
        let mut role = role();
        role["key_type"] = json!(key_type);
        let mut mount = mount(config(), role).request(json!({"common_name": "web.example.com"}));
        let issued = mount.create().unwrap();
        assert_eq!(issued.data["private_key_type"], family);

        let desk = Desk::new();
        desk.put_issued(&issued);
        desk.assert_verifies(
            NOW,
            &["-CAfile", "ca.pem", "-purpose", "sslserver", "leaf.pem"],
        );
        desk.assert_verifies(
            NOW,
            &["-CAfile", "ca.pem", "-purpose", "sslclient", "leaf.pem"],
        );
        assert!(desk.text("leaf.pem").contains(shown), "{key_type}");
        let of_key = desk.openssl(&["pkey", "-in", "key.pem", "-pubout"]);
        let of_leaf = desk.openssl(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"]);
        assert_eq!(of_key, of_leaf, "{key_type}");
    }
}

#[test]
fn an_authority_of_every_kind_of_key_signs_what_verifies() {
    // The longer RSA keys sign as the shortest does, and take long to make.
    for (key_type, _, shown, signature) in &KEYS[..4] {
        let mut config = config();
        config["key_type"] = json!(key_type);
        let mut mount = mount(config, role()).request(json!({"common_name": "web.example.com"}));
        let issued = mount.create().unwrap();
        let desk = Desk::new();
        desk.put_issued(&issued);
        desk.assert_verifies(NOW, &["-CAfile", "ca.pem", "leaf.pem"]);
        assert!(desk.text("ca.pem").contains(shown), "{key_type}");
        assert!(desk.text("leaf.pem").contains(signature), "{key_type}");
        desk.put("crl.pem", crate::desk::document(&mut mount, "crl/pem", &[]));
        let said = desk.openssl(&["crl", "-in", "crl.pem", "-noout", "-CAfile", "ca.pem"]);
        assert!(said.contains("verify OK"), "{key_type}: {said}");
    }
}

#[test]
fn a_leaf_says_what_role_and_request_ask_for() {
    let config = json!({
        "common_name": "Test Authority", "base_url": "http://lessor.example.com/v1/pki/",
    });
    let role = json!({
        "allowed_dns": ["*.example.com"], "allowed_ips": ["10.0.0.0/8", "2001:db8::/32"],
        "allowed_uris": ["spiffe://prod/**"], "allowed_emails": ["*@example.com"],
        "key_usage": ["digital_signature", "key_encipherment"],
        "ext_key_usage": ["server_auth", "1.2.3.4"],
        "organization": "Exämple", "ou": "Shop", "country": "DE", "province": "Berlin", "locality": "Mitte",
    });
    let request = json!({
        "common_name": "web.example.com",
        "alt_names": ["API.example.com", "web.example.com", "10.0.0.7", "2001:db8::7", "spiffe://prod/cart", "ada@example.com"],
    });
    let end = NOW.plus(Duration::from_secs(HOUR));
    let mut mount = mount(config, role).request(request).expires_at(end);
    let issued = mount.create().unwrap();
    assert_eq!(issued.data["expiration"], end.seconds());
    assert_eq!(issued.expires_in, Some(Duration::from_secs(HOUR - 1)));
    assert_eq!(issued.id, text(&issued, "serial_number"));
    assert_eq!(issued.metadata["common_name"], "web.example.com");
    assert_eq!(issued.metadata["not_after"], end.to_string());

    let desk = Desk::new();
    desk.put_issued(&issued);
    let shown = desk.text("leaf.pem");
    let key_id = issued.metadata["authority_key_id"].as_str().unwrap();
    for part in [
        "Version: 3 (0x2)",
        "Not Before: Jan 15 07:59:30 2027 GMT",
        "Not After : Jan 15 09:00:00 2027 GMT",
        "Issuer: CN = Test Authority",
        r"Subject: C = DE, ST = Berlin, L = Mitte, O = Ex\C3\A4mple, OU = Shop, CN = web.example.com",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature, Key Encipherment",
        "TLS Web Server Authentication, 1.2.3.4",
        "X509v3 Subject Alternative Name: \n                DNS:web.example.com, DNS:api.example.com, \
         IP Address:10.0.0.7, IP Address:2001:DB8:0:0:0:0:0:7, URI:spiffe://prod/cart, email:ada@example.com",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        &format!("URI:http://lessor.example.com/v1/pki/crl/{key_id}"),
        &format!("CA Issuers - URI:http://lessor.example.com/v1/pki/ca/{key_id}"),
        &issued.id,
    ] {
        assert!(shown.contains(part), "{part:?} is missing in {shown}");
    }
    desk.assert_verifies(
        NOW,
        &[
            "-CAfile",
            "ca.pem",
            "-verify_hostname",
            "api.example.com",
            "leaf.pem",
        ],
    );
    desk.assert_verifies(
        NOW,
        &["-CAfile", "ca.pem", "-verify_ip", "10.0.0.7", "leaf.pem"],
    );
    desk.assert_refused(
        NOW,
        &[
            "-CAfile",
            "ca.pem",
            "-verify_hostname",
            "x.example.com",
            "leaf.pem",
        ],
        "hostname mismatch",
    );
    desk.assert_refused(
        NOW,
        &["-CAfile", "ca.pem", "-purpose", "sslclient", "leaf.pem"],
        "certificate purpose",
    );
    desk.assert_refused(
        end.plus(Duration::from_secs(1)),
        &["-CAfile", "ca.pem", "leaf.pem"],
        "has expired",
    );
}

#[test]
fn without_a_subject_the_alternative_names_are_critical() {
    let mut mount = mount(config(), role()).request(json!({"alt_names": ["web.example.com"]}));
    let desk = Desk::new();
    desk.put_issued(&mount.create().unwrap());
    let shown = desk.text("leaf.pem");
    assert!(
        shown.contains(
            "X509v3 Subject Alternative Name: critical\n                DNS:web.example.com"
        ),
        "{shown}"
    );
    desk.assert_verifies(NOW, &["-CAfile", "ca.pem", "leaf.pem"]);
}

#[test]
fn a_common_name_that_is_no_host_stays_out_of_the_alternative_names() {
    let role = json!({"allowed_common_names": ["orders-*"], "ext_key_usage": ["client_auth"]});
    let mut mount = mount(config(), role).request(json!({"common_name": "orders-app"}));
    let desk = Desk::new();
    desk.put_issued(&mount.create().unwrap());
    let shown = desk.text("leaf.pem");
    assert!(
        shown.contains("Subject: CN = orders-app") && !shown.contains("Alternative Name"),
        "{shown}"
    );
    desk.assert_verifies(
        NOW,
        &["-CAfile", "ca.pem", "-purpose", "sslclient", "leaf.pem"],
    );
}

#[test]
fn a_leaf_ends_with_the_first_of_lease_config_and_authority() {
    let far = NOW.plus(Duration::from_secs(1_000 * DAY));
    let bounded = json!({"common_name": "Test Authority", "max_leaf_ttl": "2d"});
    let short = json!({"common_name": "Test Authority", "ttl": "1d"});
    for (config, expires_at, life) in [
        (bounded.clone(), None, 2 * DAY),
        (bounded.clone(), Some(far), 2 * DAY),
        (bounded, Some(NOW.plus(Duration::from_secs(HOUR))), HOUR),
        (short.clone(), None, DAY),
        (short, Some(far), DAY),
    ] {
        let mut mount = mount(config, role()).request(json!({"common_name": "web.example.com"}));
        if let Some(end) = expires_at {
            mount = mount.expires_at(end);
        }
        let issued = mount.create().unwrap();
        assert_eq!(issued.data["expiration"], NOW.seconds() + life);
        // The lease ends first, whatever the time that the answer takes.
        assert_eq!(issued.expires_in, Some(Duration::from_secs(life - 1)));
    }
}

#[test]
fn an_end_after_2049_is_written_as_rfc_5280_demands() {
    let config = json!({"common_name": "Test Authority", "ttl": "20000d"});
    let mut mount = mount(config, role()).request(json!({"common_name": "web.example.com"}));
    let desk = Desk::new();
    desk.put_issued(&mount.create().unwrap());
    let parsed = desk.openssl(&["asn1parse", "-in", "ca.pem"]);
    assert!(
        parsed.contains("UTCTIME") && parsed.contains("GENERALIZEDTIME   :2081"),
        "{parsed}"
    );
    desk.assert_verifies(NOW, &["-CAfile", "ca.pem", "leaf.pem"]);
}

#[test]
fn two_creates_differ_and_a_repeat_keeps_the_serial_number() {
    let mut mount = mount(config(), role()).request(json!({"common_name": "web.example.com"}));
    two_creates_differ(&mut mount);
    let first = mount.create().unwrap();
    assert_eq!(mount.repeat().create().unwrap().id, first.id);
    let bytes = first.id.split(':').count();
    assert_eq!(bytes, 20, "{}", first.id);
    assert!(
        ("40".."80").contains(&&first.id[..2]),
        "not positive: {}",
        first.id
    );
}

#[test]
fn a_request_that_the_role_does_not_allow_is_refused_in_one_sentence() {
    let role = json!({"allowed_dns": ["*.example.com"], "allowed_ips": ["10.0.0.0/8"]});
    let mut mount = mount(config(), role);
    for (request, sentence) in [
        (
            json!({}),
            "A certificate needs a name: give common_name, alt_names, or a csr with one.",
        ),
        (
            json!({"common_name": "example.org"}),
            "common_name: the DNS name \"example.org\" is not allowed; allowed_dns of the role has *.example.com.",
        ),
        (
            json!({"common_name": "web.example.com", "alt_names": ["192.0.2.1"]}),
            "alt_names: the IP address \"192.0.2.1\" is not allowed; allowed_ips of the role has 10.0.0.0/8.",
        ),
        (
            json!({"alt_names": ["ada@example.com"]}),
            "alt_names: the email address \"ada@example.com\" is not allowed; the role has no allowed_emails.",
        ),
        (
            json!({"alt_names": ["*.example.com"]}),
            "alt_names: the wildcard name \"*.example.com\" is not allowed; the role would need allow_wildcards.",
        ),
        (
            json!({"common_name": "Ada Lovelace"}),
            "common_name: \"Ada Lovelace\" is not allowed; the role has no allowed_common_names.",
        ),
        (
            json!({"alt_names": ["web.example.com\u{0}.evil.org"]}),
            "alt_names: \"web.example.com\\0.evil.org\" is not a host name, an IP address, a URI or an email address.",
        ),
        (
            json!({"csr": "hello"}),
            "csr: there is no certificate request in PEM in it.",
        ),
    ] {
        mount.set_request(request);
        let failure = mount.create().unwrap_err();
        assert_eq!(failure.message(), sentence);
        assert_eq!(failure.class(), lessor_sdk::FailureClass::InvalidRequest);
    }
}

#[test]
fn without_an_authority_nothing_is_issued() {
    let mut mount =
        empty_mount(config(), role()).request(json!({"common_name": "web.example.com"}));
    let failure = mount.create().unwrap_err();
    assert_eq!(failure.code(), "ca_missing");
    assert!(failure.message().contains("rotate-root"), "{failure}");
    assert_eq!(mount.publish("crl", &[]).unwrap(), None);
}

#[test]
fn after_the_end_of_the_authority_nothing_is_issued() {
    let short = json!({"common_name": "Test Authority", "ttl": "1h"});
    let config: Value = mount(short, role()).rotate_root().unwrap().secret;
    let later = UnixTime::from_seconds(NOW.seconds() + HOUR);
    let mut mount = empty_mount(config, role())
        .now(later)
        .request(json!({"common_name": "web.example.com"}));
    let failure = mount.create().unwrap_err();
    assert_eq!(failure.code(), "ca_expired");
    assert!(failure.message().contains("rotate-root"), "{failure}");
}

#[test]
fn the_private_key_is_marked_secret_and_no_state_is_left() {
    let described = mount(config(), role()).describe();
    assert_eq!(described["leaves_state"], false);
    assert_eq!(
        described["config_schema"]["properties"]["former"]["items"]["properties"]["private_key"]["writeOnly"],
        true
    );
    let credential = &described["credential_schema"]["properties"];
    let marked =
        |schema: &Value| schema["writeOnly"] == true || schema["anyOf"][0]["writeOnly"] == true;
    assert!(marked(&credential["private_key"]), "{credential}");
    assert!(
        marked(&described["config_schema"]["properties"]["private_key"]),
        "{described}"
    );
}
