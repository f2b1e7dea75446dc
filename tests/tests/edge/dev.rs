//! `server --dev`: what somebody sees who tries lessor out.

use lessor_tests::{fixture::Lease, postgres::Postgres, server::Server, wait::eventually_true};
use serde_json::json;

#[test]
fn a_dev_server_leases_from_a_loopback_database_without_further_setup() {
    let postgres = Postgres::start();
    let root = postgres.superuser();
    let server = Server::setup().start_dev();
    assert_eq!(server.http.without_token().get("sys/health").status, 200);
    // It serves before it has compiled what it found.
    eventually_true("the provider is ready", || {
        let mounted = server
            .http
            .post("sys/mounts/db", &json!({"type": "postgres"}));
        mounted.status != 503 && mounted.ok().status < 300
    });
    server
        .http
        .post(
            "db/config",
            &json!({
                "host": "127.0.0.1", "port": postgres.port(), "sslmode": "disable",
                "username": root.username, "password": root.password,
            }),
        )
        .ok();
    server
        .http
        .post(
            "db/roles/reader",
            &json!({"member_of": ["pg_read_all_data"]}),
        )
        .ok();
    let lease = Lease::of(&server.http.get("db/creds/reader"));
    assert!(postgres.accepts(&lease.username, &lease.password));
    let log = server.log();
    assert!(
        log.contains("postgres.wasm"),
        "pinning on first use is told: {log}"
    );
}
