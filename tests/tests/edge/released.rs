//! A released contract is served for ever: providers that were built for a former version of it
//! lease credentials and end them (`tests/released`).

use std::{fs, path::Path};

use lessor_tests::{
    fixture::{Fixture, Lease},
    server::Server,
};
use serde_json::json;

/// A version of the contract, and the digests that its providers were pinned by.
struct Release {
    folder: &'static str,
    contract: &'static str,
    certificate: &'static str,
    postgres: &'static str,
}

const RELEASES: [Release; 1] = [Release {
    folder: "0.1",
    contract: "0.1.0",
    certificate: "bb248de55fcca65a7ba80dc0affadae8537839bca986aac812b093eea918fc18",
    postgres: "7d413480fdd8cbce14aeed643b70e2ee698de8636469fe71e17df846755dcdb3",
}];

/// Pins the providers of a release as `former-…`.
fn pin(server: &Server, release: &Release) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("released")
        .join(release.folder);
    for (name, digest) in [
        ("certificate", release.certificate),
        ("postgres", release.postgres),
    ] {
        let (plugin, file) = (format!("former-{name}"), format!("former-{name}.wasm"));
        let built = from.join(format!("{name}.wasm"));
        fs::copy(built, server.plugins().join(&file)).expect("a released provider");
        server.pin(&plugin, &file, digest).ok();
        let inspected = server.http.get(&format!("sys/plugins/inspect/{file}"));
        assert_eq!(inspected.data()["contract"], release.contract, "{name}");
    }
}

#[test]
fn providers_of_every_release_lease_and_end_what_they_leased() {
    let fixture = Fixture::start();
    let (server, http) = (&fixture.server, &fixture.server.http);
    // Its root credential is the one that is rotated below.
    http.delete("sys/mounts/db").ok();
    for release in &RELEASES {
        pin(server, release);

        let mount = json!({
            "type": "former-postgres",
            "config": {"allowed_hosts": [fixture.postgres.grant()]},
        });
        http.post("sys/mounts/former-db", &mount).ok();
        http.post("former-db/config", &fixture.config()).ok();
        let role = json!({"member_of": ["harness_readers"], "default_ttl": "1h", "max_ttl": "24h"});
        http.post("former-db/roles/reader", &role).ok();
        let lease = Lease::of(&http.get("former-db/creds/reader"));
        assert!(fixture.works(&lease));
        let asked = json!({"lease_id": lease.id, "increment": "2h"});
        http.put("sys/leases/renew", &asked).ok();
        http.post("former-db/rotate-root", &json!({})).ok();

        // Once a build for the newest contract takes its place, that ends what it leases and
        // what was leased before.
        let newer = json!({
            "command": "postgres.wasm", "sha256": server.digest("postgres.wasm"), "replace": true,
        });
        http.put("sys/plugins/catalog/secret/former-postgres", &newer)
            .ok();
        let mount = http.get("sys/mounts/former-db").data();
        assert_eq!(mount["running_sha256"], server.digest("postgres.wasm"));
        let later = Lease::of(&http.get("former-db/creds/reader"));
        for lease in [lease, later] {
            assert!(fixture.works(&lease));
            let gone = json!({"lease_id": lease.id, "sync": true});
            http.put("sys/leases/revoke", &gone).ok();
            assert!(!fixture.works(&lease));
        }

        let mount = json!({"type": "former-certificate"});
        http.post("sys/mounts/former-ca", &mount).ok();
        let config = json!({"common_name": "Test Authority"});
        http.post("former-ca/config", &config).ok();
        http.post("former-ca/config/rotate-root", &json!({})).ok();
        let role = json!({"allowed_dns": ["*.example.com"], "default_ttl": "2h", "max_ttl": "24h"});
        http.post("former-ca/roles/web", &role).ok();
        let asked = json!({"common_name": "web.example.com"});
        let issued = http.post("former-ca/creds/web", &asked).ok().json();
        assert!(issued["lease_id"].is_string(), "{issued}");
        let revoked = json!({"lease_id": issued["lease_id"], "sync": true});
        http.put("sys/leases/revoke", &revoked).ok();
        let list = http.without_token().get("former-ca/crl/pem").ok().text();
        assert!(list.contains("X509 CRL"), "{list}");
    }
}
