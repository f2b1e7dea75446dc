//! Bad input: each is refused with a 4xx and one sentence that names what is
//! wrong, and changes nothing.

use lessor_tests::{
    fixture::{Fixture, changed},
    refusal::{Case, complaint, refuse_all, state},
    server::Server,
};
use serde_json::{Value, json};

#[test]
fn bad_mounts_configs_roles_and_requests_are_refused_and_change_nothing() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    let good = fixture.config();
    let config = |changes: Value| changed(good.clone(), &changes);
    let role = |changes: Value| changed(json!({"member_of": ["harness_readers"]}), &changes);
    let postgres = |config: Value| json!({"type": "postgres", "config": config});
    let renew = |increment: Value| json!({"lease_id": lease.id, "increment": increment});
    let before = state(&fixture.server);

    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        // Unknown mount, role, plugin.
        ("unknown mount", "POST", "nowhere/config", good.clone(), 404, &["nowhere"]),
        ("unknown mount", "POST", "nowhere/roles/reader", role(json!({})), 404, &["nowhere"]),
        ("unknown mount", "GET", "nowhere/creds/reader", json!({}), 404, &["nowhere"]),
        ("unknown mount", "POST", "sys/mounts/nowhere/tune", json!({"max_leases": 1}), 404, &["nowhere"]),
        ("unknown role", "GET", "db/creds/raeder", json!({}), 404, &["raeder", "reader"]),
        ("unknown role", "POST", "db/creds/raeder", json!({}), 404, &["raeder", "reader"]),
        ("unknown plugin", "POST", "sys/mounts/x", json!({"type": "postgers"}), 400, &["plugin not found in the catalog", "postgers", "postgres"]),
        // Unknown fields, with the nearest known one.
        ("unknown config field", "POST", "db/config", config(json!({"pasword": "x"})), 400, &["config.pasword", "password"]),
        ("unknown role field", "POST", "db/roles/reader", role(json!({"memberof": ["x"]})), 400, &["role.memberof", "member_of"]),
        ("unknown nested role field", "POST", "db/roles/reader", role(json!({"password_policy": {"lenght": 9}})), 400, &["role.password_policy.lenght", "length"]),
        ("unknown request field", "POST", "db/creds/reader", json!({"tll": "1h"}), 400, &["tll", "ttl"]),
        ("unknown mount setting", "POST", "sys/mounts/x", postgres(json!({"allowed_host": ["https://x"]})), 400, &["allowed_host", "allowed_hosts"]),
        ("unknown tune setting", "POST", "sys/mounts/db/tune", json!({"max_lease": 5}), 400, &["max_lease", "max_leases"]),
        ("unknown lease field", "PUT", "sys/leases/renew", json!({"lease_id": lease.id, "incremnt": 5}), 400, &["incremnt", "increment"]),
        // Wrong types.
        ("wrong type in config", "POST", "db/config", config(json!({"port": "five"})), 400, &["config.port", "integer", "string"]),
        ("out of range in config", "POST", "db/config", config(json!({"port": 70000})), 400, &["config.port", "65535"]),
        ("wrong word in config", "POST", "db/config", config(json!({"sslmode": "prefer"})), 400, &["config.sslmode", "verify-full"]),
        ("wrong type in role", "POST", "db/roles/reader", role(json!({"member_of": 5})), 400, &["role.member_of", "array"]),
        ("wrong type in role", "POST", "db/roles/reader", role(json!({"default_ttl": []})), 400, &["default_ttl"]),
        ("wrong type in mount", "POST", "sys/mounts/x", json!({"type": ["postgres"]}), 400, &["type"]),
        ("wrong type in mount settings", "POST", "sys/mounts/x", postgres(json!({"allowed_hosts": {"x": 1}})), 400, &["allowed_hosts"]),
        ("wrong type in tune", "POST", "sys/mounts/db/tune", json!({"max_leases": "many"}), 400, &["max_leases"]),
        ("wrong type in lease id", "PUT", "sys/leases/revoke", json!({"lease_id": ["x"]}), 400, &["lease_id"]),
        ("a grant that is none", "POST", "sys/mounts/x", postgres(json!({"allowed_hosts": ["ftp://x"]})), 400, &["allowed_hosts", "ftp://x"]),
        ("a grant of tcp without a port", "POST", "sys/mounts/x", postgres(json!({"allowed_hosts": ["tcp://x"]})), 400, &["tcp://x", "port"]),
        ("roots that are none", "POST", "sys/mounts/x", postgres(json!({"extra_roots": "x"})), 400, &["extra_roots"]),
        // Missing.
        ("missing in config", "POST", "db/config", config(json!({"host": null, "replace": true})), 400, &["config.host"]),
        ("another host without its secret", "POST", "db/config", config(json!({"host": "localhost", "password": null})), 400, &["another system"]),
        ("missing in mount", "POST", "sys/mounts/x", json!({}), 400, &["type"]),
        ("missing in role", "POST", "db/roles/fresh", json!({}), 400, &["member_of"]),
        ("missing in renew", "PUT", "sys/leases/renew", json!({}), 400, &["lease_id"]),
        ("missing in revoke", "PUT", "sys/leases/revoke", json!({}), 400, &["lease_id"]),
        ("missing in lookup", "PUT", "sys/leases/lookup", json!({}), 400, &["lease_id"]),
        // Durations.
        ("negative TTL in role", "POST", "db/roles/reader", role(json!({"default_ttl": "-1h"})), 400, &["default_ttl"]),
        ("negative TTL in role", "POST", "db/roles/reader", role(json!({"max_ttl": -5})), 400, &["max_ttl"]),
        ("no duration in role", "POST", "db/roles/reader", role(json!({"default_ttl": "soon"})), 400, &["default_ttl", "1h30m"]),
        ("TTL over the role's own", "POST", "db/roles/reader", role(json!({"default_ttl": "2h", "max_ttl": "1h"})), 400, &["default_ttl", "max_ttl"]),
        ("negative TTL in request", "POST", "db/creds/reader", json!({"ttl": "-1s"}), 400, &["ttl"]),
        ("no duration in request", "POST", "db/creds/reader", json!({"ttl": "1 fortnight"}), 400, &["ttl"]),
        ("TTL in request over the role's", "POST", "db/creds/reader", json!({"ttl": "25h"}), 400, &["ttl", "max_ttl"]),
        ("no duration in increment", "PUT", "sys/leases/renew", renew(json!("soon")), 400, &["increment"]),
        ("negative increment", "PUT", "sys/leases/renew", renew(json!(-5)), 400, &["increment"]),
        ("TTL of mount over its own", "POST", "sys/mounts/x", postgres(json!({"default_lease_ttl": "2h", "max_lease_ttl": "1h"})), 400, &["default_lease_ttl", "max_lease_ttl"]),
        ("timeout too short", "POST", "sys/mounts/db/tune", json!({"timeout": "0s"}), 400, &["timeout", "1s"]),
        ("timeout too long", "POST", "sys/mounts/db/tune", json!({"timeout": "25h"}), 400, &["timeout", "24h"]),
        // Schedules.
        ("no schedule", "POST", "db/config", config(json!({"rotation_schedule": "every night"})), 400, &["rotation_schedule", "every night", "0 3 * * SUN"]),
        ("a schedule that never fires", "POST", "db/config", config(json!({"rotation_schedule": "0 0 30 2 *"})), 400, &["rotation_schedule", "never fires"]),
        ("period and schedule", "POST", "db/config", config(json!({"rotation_schedule": "0 3 * * *", "rotation_period": "1d"})), 400, &["rotation_period", "rotation_schedule"]),
        ("window without schedule", "POST", "db/config", config(json!({"rotation_window": "2h"})), 400, &["rotation_window", "rotation_schedule"]),
        ("window too short", "POST", "db/config", config(json!({"rotation_schedule": "0 3 * * *", "rotation_window": "30m"})), 400, &["rotation_window", "1h"]),
        ("window longer than the schedule's gaps", "POST", "db/config", config(json!({"rotation_schedule": "0 */2 * * *", "rotation_window": "3h"})), 400, &["rotation_window", "7200 s"]),
        // Paths and names.
        ("`..` in a mount path", "POST", "sys/mounts/a/../b", json!({"type": "postgres"}), 400, &[".."]),
        ("`..` as a mount path", "POST", "sys/mounts/..", json!({"type": "postgres"}), 400, &[".."]),
        ("`..` in disguise", "POST", "sys/mounts/a/%2e%2e/b", json!({"type": "postgres"}), 400, &[".."]),
        ("a blank in a mount path", "POST", "sys/mounts/a%20b", json!({"type": "postgres"}), 400, &["a b"]),
        ("reserved mount path", "POST", "sys/mounts/sys/x", json!({"type": "postgres"}), 400, &["reserved"]),
        ("mount path in use", "POST", "sys/mounts/db", json!({"type": "postgres"}), 409, &["db"]),
        ("a slash in a role name", "POST", "db/roles/a%2Fb", role(json!({})), 400, &["role name"]),
        ("a blank in a role name", "POST", "db/roles/a%20b", role(json!({})), 400, &["role name"]),
        // Leases that are none.
        ("unknown lease", "PUT", "sys/leases/lookup", json!({"lease_id": "db/creds/reader/00000000000000000000000000"}), 400, &["invalid lease"]),
        ("no lease id", "PUT", "sys/leases/lookup", json!({"lease_id": "x"}), 400, &["invalid lease"]),
        ("unknown lease", "PUT", "sys/leases/renew", json!({"lease_id": "db/creds/reader/00000000000000000000000000"}), 400, &["lease not found"]),
        // Upstream says no.
        ("wrong root password", "POST", "db/config", config(json!({"password": "wrong"})), 502, &["password"]),
        ("wrong database", "POST", "db/config", config(json!({"database": "nodb"})), 400, &["nodb"]),
        ("wrong member_of", "POST", "db/roles/other", json!({"member_of": ["nobody"]}), 400, &["nobody"]),
        ("SQL that is none", "POST", "db/roles/other", json!({"creation_statements": ["CREATE ROLL \"{{name}}\""]}), 400, &["creation_statements"]),
        ("unknown placeholder", "POST", "db/roles/other", json!({"creation_statements": ["CREATE ROLE \"{{name}}\" PASSWORD '{{pass}}'"]}), 400, &["{{pass}}"]),
    ];
    refuse_all(&fixture.server.http, cases);

    assert_eq!(
        state(&fixture.server),
        before,
        "a refusal changed something"
    );
    fixture.await_exactly(&[lease]);
}

#[test]
fn bodies_that_are_no_json_objects_are_refused() {
    let server = Server::start();
    let json = "application/json";
    let large = format!(
        r#"{{"type": "postgres", "description": "{}"}}"#,
        "x".repeat(1 << 20)
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let wide = json!({"type": "postgres", "options": vec![1; 10_000]}).to_string();
    let long_name = json!({"type": "postgres", "x".repeat(2_000): 1}).to_string();
    #[rustfmt::skip]
    let cases: &[(&str, &str, &[u8], u16)] = &[
        ("no JSON", json, b"type=postgres", 400),
        ("half JSON", json, br#"{"type": "postgres""#, 400),
        ("two documents", json, br#"{"type": "postgres"} {}"#, 400),
        ("an array", json, br#"["postgres"]"#, 400),
        ("a string", json, br#""postgres""#, 400),
        ("no UTF-8", json, b"{\"type\": \"\xff\"}", 400),
        ("duplicate keys", json, br#"{"type": "postgres", "type": "certificate"}"#, 400),
        ("duplicate nested keys", json, br#"{"type": "postgres", "config": {"timeout": "10s", "timeout": "20s"}}"#, 400),
        ("deep", json, deep.as_bytes(), 400),
        ("too large", json, large.as_bytes(), 413),
        ("a form that is called JSON", json, b"type=postgres", 400),
        ("a form that is no text", "application/x-www-form-urlencoded", b"type=%ff", 400),
        ("XML", "text/xml", b"<type>postgres</type>", 400),
        ("a wide body", json, wide.as_bytes(), 400),
        ("a long name", json, long_name.as_bytes(), 400),
    ];
    let before = server.http.get("sys/mounts").data();
    let mut wrong = Vec::new();
    for (what, content_type, body, status) in cases {
        let headers = [("Content-Type", *content_type)];
        let answer = server
            .http
            .send("POST", "sys/mounts/x", &headers, Some(body));
        if let Some(why) = complaint(&answer, *status, &[]) {
            wrong.push(format!("{what}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.http.get("sys/mounts").data(), before);
}

#[test]
fn a_request_without_a_good_token_is_denied_whatever_it_asks_for() {
    let fixture = Fixture::start();
    let before = state(&fixture.server);
    let none = fixture.server.http.without_token();
    let token = fixture.server.http.token().to_owned();
    let mut close = token.clone();
    let last = close.pop().unwrap();
    close.push(if last == 'a' { 'b' } else { 'a' });
    let strangers = [
        none.clone(),
        none.with_token("wrong"),
        none.with_token(&close),
        none.with_token(&token.to_uppercase()),
    ];
    for http in &strangers {
        for (method, path) in [
            ("GET", "db/creds/reader"),
            ("GET", "db/config"),
            ("POST", "db/config"),
            ("POST", "db/config/rotate-root"),
            ("LIST", "db/roles"),
            ("GET", "db/roles/reader"),
            ("DELETE", "db/roles/reader"),
            ("GET", "sys/mounts"),
            ("POST", "sys/mounts/x"),
            ("DELETE", "sys/mounts/db"),
            ("LIST", "sys/leases/lookup/db"),
            ("PUT", "sys/leases/revoke-prefix/db"),
            ("GET", "sys/plugins/catalog"),
            ("PUT", "sys/plugins/catalog/secret/x"),
            ("GET", "auth/token/lookup-self"),
            // A stranger is not told either that something does not exist.
            ("GET", "nowhere/creds/reader"),
            ("GET", "db/roles/nosuch"),
        ] {
            let body = (method == "POST" || method == "PUT").then_some(b"{}".as_slice());
            let answer = http.send(method, path, &[], body);
            let sentence = answer.refused(403);
            assert!(sentence.contains("permission denied"), "{sentence}");
        }
    }
    assert_eq!(state(&fixture.server), before);
    fixture.await_exactly(&[]);
}

#[test]
fn unknown_paths_are_nothing_here_and_wrong_methods_say_so() {
    let server = Server::start();
    for path in ["sys/nosuch", "sys/leases/nosuch/x", "auth/nosuch/login", ""] {
        let answer = server.http.get(path);
        answer.nothing_here();
    }
    for (method, path) in [
        ("DELETE", "sys/health"),
        ("GET", "sys/leases/revoke"),
        ("DELETE", "sys/leases/renew"),
    ] {
        let answer = server.http.send(method, path, &[], None);
        assert_eq!(answer.status, 405, "{answer:?}");
        assert!(answer.json()["errors"].is_array());
    }
}

/// RFC 9110, 15.5.6: an answer 405 must name the methods that the path takes. Schemathesis
/// found that it did not.
#[test]
fn who_asks_by_a_wrong_method_is_told_the_right_ones() {
    let server = Server::start();
    let http = &server.http;
    http.post("sys/auth/approle", &json!({"type": "approle"}))
        .ok();
    http.post("auth/approle/role/app", &json!({})).ok();
    for (method, path, allowed) in [
        ("TRACE", "sys/mounts", "GET"),
        ("PATCH", "sys/mounts/x", "GET, POST, PUT, DELETE"),
        ("OPTIONS", "sys/seal-status", "GET, HEAD"),
        ("HEAD", "auth/token/lookup-self", "GET, POST, PUT"),
        ("GET", "auth/token/roles", "LIST"),
        ("GET", "sys/leases/lookup", "POST, PUT, LIST"),
        ("GET", "sys/wrapping/unwrap", "POST, PUT"),
        ("PUT", "auth/approle/role/app/local-secret-ids", "GET"),
    ] {
        let body = (method == "PUT").then_some(b"{}".as_slice());
        let answer = http.send(method, path, &[], body);
        assert_eq!(answer.status, 405, "{answer:?}");
        assert_eq!(answer.allow.as_deref(), Some(allowed), "{answer:?}");
    }
    assert_eq!(http.get("sys/mounts").allow, None);
}
