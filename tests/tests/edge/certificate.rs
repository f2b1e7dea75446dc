//! Leased certificates, judged by openssl.

use lessor_tests::{
    openssl::{Authority, Desk},
    server::Server,
};
use serde_json::{Value, json};

/// A server with the provider mounted at `ca`, an authority of its own making,
/// and a role `web` for names under example.com.
fn authority() -> Server {
    let server = Server::start();
    mount(&server, &json!({"common_name": "Test Authority"}));
    server.http.post("ca/config/rotate-root", &json!({})).ok();
    server
}

fn mount(server: &Server, config: &Value) {
    server
        .http
        .post("sys/mounts/ca", &json!({"type": "certificate"}))
        .ok();
    server.http.post("ca/config", config).ok();
    server
        .http
        .post(
            "ca/roles/web",
            &json!({
                "allowed_dns": ["*.example.com"], "allowed_ips": ["10.0.0.0/8"],
                "default_ttl": "2h", "max_ttl": "24h",
            }),
        )
        .ok();
}

/// A leaf with the given names; gives the whole answer.
fn leaf(server: &Server, request: &Value) -> Value {
    server.http.post("ca/creds/web", request).ok().json()
}

fn pem<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer["data"][field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {answer}"))
}

/// A public document of the mount, which needs no token.
fn document(server: &Server, name: &str) -> String {
    let answer = server.http.without_token().get(&format!("ca/{name}")).ok();
    assert_ne!(answer.content_type.as_deref(), Some("application/json"));
    answer.text()
}

#[test]
fn a_leased_certificate_verifies_and_is_for_what_was_asked() {
    let server = authority();
    let desk = Desk::new();
    let answer = leaf(
        &server,
        &json!({"common_name": "web.example.com", "alt_names": ["api.example.com", "10.0.0.7"], "ttl": "3h"}),
    );
    desk.put("ca.pem", document(&server, "ca/pem"));
    desk.put("leaf.pem", pem(&answer, "certificate"));
    desk.put("leaf.key", pem(&answer, "private_key"));
    assert_eq!(
        pem(&answer, "issuing_ca").trim(),
        document(&server, "ca/pem").trim()
    );

    let purpose = [
        "verify",
        "-CAfile",
        "ca.pem",
        "-x509_strict",
        "-purpose",
        "sslserver",
    ];
    for name in [
        ["-verify_hostname", "web.example.com"],
        ["-verify_hostname", "api.example.com"],
        ["-verify_ip", "10.0.0.7"],
    ] {
        let arguments = [purpose.as_slice(), &name, &["leaf.pem"]].concat();
        desk.openssl(&arguments).unwrap();
    }
    let other = [
        purpose.as_slice(),
        &["-verify_hostname", "www.example.com", "leaf.pem"],
    ]
    .concat();
    assert!(desk.openssl(&other).is_err(), "it is for no other name");

    let of_certificate = desk
        .openssl(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"])
        .unwrap();
    let of_key = desk
        .openssl(&["pkey", "-in", "leaf.key", "-pubout"])
        .unwrap();
    assert_eq!(of_certificate, of_key);

    // The certificate ends with the lease: valid now and for its 3 hours, and no minute more.
    let lasts = |seconds: &str| {
        desk.openssl(&["x509", "-in", "leaf.pem", "-noout", "-checkend", seconds])
            .is_ok()
    };
    assert!(lasts("10700") && !lasts("10860"));
    let seconds = answer["lease_duration"].as_u64().unwrap();
    assert!((10_790..=10_800).contains(&seconds), "{answer}");
    let id = answer["lease_id"].as_str().unwrap();
    assert!(id.starts_with("ca/creds/web/"), "{id}");
    assert_eq!(server.leases("ca"), [id]);
}

#[test]
fn a_revoked_certificate_is_on_the_revocation_list_and_stays_there_over_a_restart() {
    let mut server = authority();
    let desk = Desk::new();
    let request = json!({"common_name": "web.example.com"});
    let (ended, kept) = (leaf(&server, &request), leaf(&server, &request));
    desk.put("ca.pem", document(&server, "ca/pem"));
    desk.put("ended.pem", pem(&ended, "certificate"));
    desk.put("kept.pem", pem(&kept, "certificate"));
    let verify = |server: &Server, leaf: &str| {
        desk.put("crl.pem", document(server, "crl/pem"));
        desk.openssl(&[
            "verify",
            "-crl_check",
            "-CAfile",
            "ca.pem",
            "-CRLfile",
            "crl.pem",
            leaf,
        ])
    };
    verify(&server, "ended.pem").unwrap();

    server
        .http
        .put("sys/leases/revoke", &json!({"lease_id": ended["lease_id"]}))
        .ok();
    for _ in 0..2 {
        let refused = verify(&server, "ended.pem").unwrap_err();
        assert!(refused.contains("certificate revoked"), "{refused}");
        verify(&server, "kept.pem").unwrap();
        let listed = desk
            .openssl(&["crl", "-in", "crl.pem", "-noout", "-text"])
            .unwrap();
        let serial = pem(&ended, "serial_number").replace(':', "").to_uppercase();
        assert!(listed.contains(&serial), "{serial} is not in {listed}");
        assert_eq!(listed.matches("Serial Number").count(), 1, "{listed}");
        server.kill();
        server.restart();
    }
    assert_eq!(server.leases("ca"), [kept["lease_id"].as_str().unwrap()]);
}

#[test]
fn a_rotated_authority_verifies_both_ways() {
    let server = authority();
    let desk = Desk::new();
    let request = json!({"common_name": "web.example.com"});
    desk.put("old-ca.pem", document(&server, "ca/pem"));
    let old = leaf(&server, &request);
    desk.put("old.pem", pem(&old, "certificate"));

    server.http.post("ca/config/rotate-root", &json!({})).ok();
    desk.put("new-ca.pem", document(&server, "ca/pem"));
    assert_ne!(document(&server, "ca/pem"), pem(&old, "issuing_ca"));
    let new = leaf(&server, &request);
    desk.put("new.pem", pem(&new, "certificate"));
    let chain = new["data"]["ca_chain"].as_array().unwrap();
    let sent: String = chain.iter().filter_map(Value::as_str).collect();
    desk.put("sent.pem", sent);
    desk.put("chain.pem", document(&server, "ca_chain"));

    let verify = |trusted: &str, beside: &str, leaf: &str| {
        desk.openssl(&[
            "verify",
            "-x509_strict",
            "-CAfile",
            trusted,
            "-untrusted",
            beside,
            leaf,
        ])
        .unwrap_or_else(|error| panic!("{leaf} by {trusted} and {beside}: {error}"));
    };
    verify("new-ca.pem", "chain.pem", "new.pem");
    verify("old-ca.pem", "chain.pem", "old.pem");
    // A verifier that trusts only the old authority verifies new leaves with the chain that
    // they send.
    verify("old-ca.pem", "sent.pem", "new.pem");
    // A verifier that trusts only the new one verifies old leaves with the published chain.
    verify("new-ca.pem", "chain.pem", "old.pem");

    // A leaf of the former authority can still be revoked.
    server
        .http
        .put("sys/leases/revoke", &json!({"lease_id": old["lease_id"]}))
        .ok();
    let key_id = desk
        .openssl(&[
            "x509",
            "-in",
            "old-ca.pem",
            "-noout",
            "-ext",
            "subjectKeyIdentifier",
        ])
        .unwrap();
    let key_id: String = key_id
        .lines()
        .last()
        .unwrap()
        .trim()
        .replace(':', "")
        .to_lowercase();
    desk.put(
        "old-crl.pem",
        document(&server, &format!("crl/{key_id}/pem")),
    );
    let refused = desk
        .openssl(&[
            "verify",
            "-crl_check",
            "-CAfile",
            "old-ca.pem",
            "-CRLfile",
            "old-crl.pem",
            "old.pem",
        ])
        .unwrap_err();
    assert!(refused.contains("certificate revoked"), "{refused}");
}

#[test]
fn an_authority_of_the_operators_own_signs_requests() {
    let server = Server::start();
    let authority = Authority::new("Own Authority");
    mount(
        &server,
        &json!({"certificate": authority.certificate, "private_key": authority.key()}),
    );
    let view = server.http.get("ca/config").data();
    assert_eq!(view["config"]["private_key"], json!("<redacted>"), "{view}");

    let desk = Desk::new();
    desk.openssl(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "own.key",
        "-out",
        "own.csr",
        "-subj",
        "/CN=web.example.com",
    ])
    .unwrap();
    let csr = desk.read("own.csr");
    let answer = leaf(&server, &json!({"csr": csr}));
    assert!(
        answer["data"].get("private_key").is_none(),
        "the key stays with the caller"
    );
    desk.put("ca.pem", &authority.certificate);
    desk.put("leaf.pem", pem(&answer, "certificate"));
    let verify = [
        "verify",
        "-CAfile",
        "ca.pem",
        "-verify_hostname",
        "web.example.com",
        "leaf.pem",
    ];
    desk.openssl(&verify).unwrap();
    let of_certificate = desk
        .openssl(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"])
        .unwrap();
    let of_key = desk
        .openssl(&["pkey", "-in", "own.key", "-pubout"])
        .unwrap();
    assert_eq!(of_certificate, of_key);
}

#[test]
fn names_that_the_role_does_not_allow_are_refused_and_nothing_is_leased() {
    let server = authority();
    for (request, named) in [
        (json!({"common_name": "example.org"}), "example.org"),
        (json!({"common_name": "a.b.example.com"}), "a.b.example.com"),
        (
            json!({"common_name": "web.example.com", "alt_names": ["192.168.0.1"]}),
            "192.168.0.1",
        ),
        (json!({"common_name": "*.example.com"}), "*.example.com"),
        (json!({}), "common_name"),
        (json!({"csr": "x"}), "csr"),
    ] {
        let sentence = server.http.post("ca/creds/web", &request).refused(400);
        assert!(sentence.contains(named), "{request}: {sentence}");
    }
    assert!(server.leases("ca").is_empty());
}
