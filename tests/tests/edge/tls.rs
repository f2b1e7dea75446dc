//! TLS to upstream is checked against the roots of the mount, name included.

use lessor_tests::{openssl::Authority, postgres::Postgres, server::Server};
use serde_json::{Value, json};

fn mount(server: &Server, postgres: &Postgres, path: &str, roots: &str) {
    server
        .http
        .post(
            &format!("sys/mounts/{path}"),
            &json!({
                "type": "postgres",
                "config": {"allowed_hosts": [postgres.grant()], "extra_roots": roots},
            }),
        )
        .ok();
}

fn config(postgres: &Postgres, sslmode: &str) -> Value {
    let root = ("harness_superuser", "first-password-of-harness_superuser");
    json!({
        "host": "127.0.0.1", "port": postgres.port(), "sslmode": sslmode,
        "username": root.0, "password": root.1,
    })
}

#[test]
fn postgresql_over_tls_is_leased_with_the_right_roots_and_refused_with_others() {
    let (right, wrong) = (Authority::new("right"), Authority::new("wrong"));
    let postgres = Postgres::start_with_tls(&right.server_certificate());
    postgres.superuser();
    let server = Server::start();

    mount(&server, &postgres, "right", &right.certificate);
    server
        .http
        .post("right/config", &config(&postgres, "verify-full"))
        .ok();
    server
        .http
        .post(
            "right/roles/any",
            &json!({"member_of": ["pg_read_all_data"]}),
        )
        .ok();
    let lease = server.http.get("right/creds/any").data();
    let login = (
        lease["username"].as_str().unwrap(),
        lease["password"].as_str().unwrap(),
    );
    assert!(postgres.accepts(login.0, login.1));
    server
        .http
        .post("right/config/rotate-root", &json!({}))
        .ok();
    server.http.get("right/creds/any").ok();

    for (path, roots) in [("wrong", wrong.certificate.as_str()), ("none", "")] {
        mount(&server, &postgres, path, roots);
        let answer = server
            .http
            .post(&format!("{path}/config"), &config(&postgres, "verify-full"));
        assert!(answer.status >= 400, "{answer:?}");
        let sentence = answer.clone().refused(answer.status).to_lowercase();
        assert!(sentence.contains("certificate"), "{sentence}");
        server.http.get(&format!("{path}/config")).nothing_here();
    }

    // A server that takes TLS only refuses a session without.
    let plain = server
        .http
        .post("right/config", &config(&postgres, "disable"));
    assert!(plain.status >= 400, "{plain:?}");
}
