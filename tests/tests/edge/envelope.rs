//! The rules that let clients of Vault work unchanged: the envelope, the same
//! answer however a list or a write is asked for, and the exact fields that
//! strict clients parse.

use lessor_tests::{fixture::Fixture, http::Answer, server::Server};
use serde_json::{Value, json};

/// Fails unless the answer is a full envelope; gives `data`.
#[track_caller]
fn envelope(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.content_type.as_deref(), Some("application/json"));
    let body = answer.json();
    assert!(
        body["request_id"].as_str().is_some_and(|id| !id.is_empty()),
        "{body}"
    );
    assert!(body["lease_id"].is_string(), "{body}");
    assert!(body["renewable"].is_boolean(), "{body}");
    let seconds = body["lease_duration"].as_u64();
    assert!(seconds.is_some_and(|s| u32::try_from(s).is_ok()), "{body}");
    for member in ["data", "wrap_info", "warnings", "auth"] {
        assert!(body.get(member).is_some(), "no {member}: {body}");
    }
    body["data"].clone()
}

/// A member that must exist, and a check of its value.
type Member = (&'static str, fn(&Value) -> bool);

#[track_caller]
fn has(data: &Value, members: &[Member]) {
    for (name, fits) in members {
        let value = data
            .get(name)
            .unwrap_or_else(|| panic!("no {name}: {data}"));
        assert!(fits(value), "{name} is {value}");
    }
}

fn time_or_null(value: &Value) -> bool {
    value.is_null() || time(value)
}

/// RFC 3339, in UTC.
fn time(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T'))
}

#[test]
fn every_answer_with_data_is_an_envelope_and_every_other_is_empty() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let lease = fixture.issue("reader");
    let other = fixture.issue("reader");
    let id = json!({"lease_id": lease.id});
    let role = json!({"member_of": ["harness_readers"]});
    let digest = fixture.server.digest("postgres.wasm");
    let pin = json!({"command": "postgres.wasm", "sha256": digest});
    let none = json!({});
    for (method, path, body) in [
        ("GET", "sys/mounts", &none),
        ("GET", "sys/mounts/db", &none),
        ("GET", "sys/mounts/db/tune", &none),
        ("GET", "sys/plugins/catalog", &none),
        ("GET", "sys/plugins/catalog/secret", &none),
        ("LIST", "sys/plugins/catalog/secret", &none),
        ("GET", "sys/plugins/catalog/secret/postgres", &none),
        ("GET", "sys/plugins/pins", &none),
        ("GET", "sys/plugins/unpinned", &none),
        ("GET", "db/config", &none),
        ("LIST", "db/roles", &none),
        ("GET", "db/roles/reader", &none),
        ("LIST", "sys/leases/lookup/db", &none),
        ("LIST", "sys/leases/lookup/db/creds/reader", &none),
        ("PUT", "sys/leases/lookup", &id),
        ("PUT", "sys/leases/renew", &id),
        ("GET", "sys/leases/count", &none),
        ("GET", "auth/token/lookup-self", &none),
        ("GET", "db/creds/reader", &none),
        ("POST", "db/creds/reader", &none),
        ("POST", "db/config/rotate-root", &none),
    ] {
        let body = (method == "PUT" || method == "POST").then(|| body.to_string());
        let answer = http.send(method, path, &[], body.as_deref().map(str::as_bytes));
        envelope(&answer);
    }
    let prefix = format!("sys/leases/revoke-prefix/{}", other.id);
    for (method, path, body) in [
        ("POST", "sys/mounts/x", &json!({"type": "postgres"})),
        ("POST", "sys/mounts/x/tune", &json!({"description": "x"})),
        ("DELETE", "sys/mounts/x", &none),
        ("PUT", "sys/plugins/catalog/secret/x", &pin),
        ("DELETE", "sys/plugins/catalog/secret/x", &none),
        (
            "PUT",
            "sys/plugins/reload/backend",
            &json!({"plugin": "postgres"}),
        ),
        ("POST", "db/roles/x", &role),
        ("DELETE", "db/roles/x", &none),
        ("PUT", "sys/leases/revoke", &id),
        ("PUT", &prefix, &none),
    ] {
        let body = (method == "PUT" || method == "POST").then(|| body.to_string());
        let answer = http.send(method, path, &[], body.as_deref().map(str::as_bytes));
        match answer.status {
            204 => {
                assert!(answer.bytes.is_empty(), "{answer:?}");
                // `bao proxy` forgets a revoked lease or token only where it reads this.
                assert_eq!(answer.content_type.as_deref(), Some("application/json"));
            }
            // A write with a warning answers with an envelope.
            200 => drop(envelope(&answer)),
            202 => {}
            _ => panic!("{answer:?}"),
        }
    }
}

#[test]
fn put_is_post_and_list_is_get_with_list_true() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    fixture.write_role("second", &json!({})).ok();
    let wanted = http.list("db/roles").keys();
    assert_eq!(wanted, ["reader", "second"]);
    for path in [
        "db/roles?list=true",
        "db/roles?list=True",
        "db/roles?list=TRUE",
        "db/roles/?list=true",
        "db//roles?list=true",
    ] {
        assert_eq!(http.get(path).keys(), wanted, "{path}");
    }
    assert_eq!(http.list("db/roles/").keys(), wanted);
    assert_eq!(http.get("sys/leases/lookup/db?list=True").status, 404);

    let role = json!({"member_of": ["harness_readers"], "default_ttl": "30m"});
    http.put("db/roles/third", &role).ok();
    assert_eq!(
        http.get("db/roles/third").data()["default_ttl"],
        json!(1800)
    );
    let lease = http
        .put("db/creds/third", &json!({"ttl": "20m"}))
        .ok()
        .json();
    assert_eq!(lease["lease_duration"], json!(1200));
    http.post("sys/leases/renew", &json!({"lease_id": lease["lease_id"]}))
        .ok();
    http.post("sys/leases/revoke", &json!({"lease_id": lease["lease_id"]}))
        .ok();
    // The lease id may stand in the path, as older clients have it.
    let lease = http.get("db/creds/third").ok().json();
    let id = lease["lease_id"].as_str().unwrap();
    http.put(&format!("sys/leases/renew/{id}"), &json!({})).ok();
    http.put(&format!("sys/leases/revoke/{id}"), &json!({}))
        .ok();
    fixture.await_exactly(&[]);
}

#[test]
fn headers_of_vault_clients_are_understood() {
    let server = Server::start();
    let stranger = server.http.without_token();
    let token = server.http.token();
    let bearer = format!("Bearer {token}");
    for headers in [
        vec![("X-Vault-Token", token)],
        vec![("Authorization", bearer.as_str())],
        vec![("X-Vault-Token", token), ("X-Vault-Request", "true")],
        vec![("X-Vault-Token", token), ("X-Vault-Namespace", "")],
        vec![("x-vault-token", token), ("X-Vault-Namespace", "root")],
    ] {
        let answer = stranger.send("GET", "auth/token/lookup-self", &headers, None);
        envelope(&answer);
    }
    // curl's own content type, and none at all, as the Go client sends.
    for headers in [
        vec![("Content-Type", "application/json; charset=utf-8")],
        vec![("Content-Type", "application/x-www-form-urlencoded")],
        vec![],
    ] {
        let body = br#"{"type": "postgres"}"#;
        server
            .http
            .send("POST", "sys/mounts/x", &headers, Some(body))
            .ok();
        server.http.delete("sys/mounts/x").ok();
    }
}

#[test]
fn health_and_seal_status_read_as_vaults_before_and_after_init() {
    let server = Server::setup().start_uninitialised();
    let http = &server.http;
    let health = http.get("sys/health");
    assert_eq!(health.status, 501);
    assert_eq!(health.json()["initialized"], json!(false));
    assert_eq!(http.get("sys/health?uninitcode=299").status, 299);
    assert_eq!(http.get("sys/init").json()["initialized"], json!(false));
    let early = http.with_token("x").get("sys/mounts");
    assert!(early.status >= 400, "{early:?}");

    let init = http.put("sys/init", &json!({})).ok().json();
    assert!(init["root_token"].is_string());
    assert_eq!(init["keys"], json!([]), "a file seal has no key shares");
    let token = init["root_token"].as_str().unwrap();
    http.with_token(token).get("sys/mounts").ok();
    let again = http.put("sys/init", &json!({}));
    assert_eq!(again.status, 400, "{again:?}");

    let health = http.get("sys/health");
    assert_eq!(health.status, 200);
    assert_eq!(health.content_type.as_deref(), Some("application/json"));
    has(
        &health.json(),
        &[
            ("initialized", |v| v == true),
            ("sealed", |v| v == false),
            ("standby", |v| v == false),
            ("performance_standby", Value::is_boolean),
            ("replication_performance_mode", Value::is_string),
            ("replication_dr_mode", Value::is_string),
            ("server_time_utc", Value::is_u64),
            ("version", Value::is_string),
        ],
    );
    assert_eq!(http.get("sys/health?activecode=299").status, 299);
    assert_eq!(http.send("HEAD", "sys/health", &[], None).status, 200);
    has(
        &http.get("sys/seal-status").ok().json(),
        &[
            ("type", Value::is_string),
            ("initialized", |v| v == true),
            ("sealed", |v| v == false),
            ("t", Value::is_u64),
            ("n", Value::is_u64),
            ("progress", Value::is_u64),
            ("version", Value::is_string),
        ],
    );
}

#[test]
fn the_fields_that_strict_clients_parse_are_there() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    has(
        &http.get("auth/token/lookup-self").data(),
        &[
            ("accessor", Value::is_string),
            ("creation_time", Value::is_u64),
            ("creation_ttl", Value::is_u64),
            ("display_name", Value::is_string),
            ("entity_id", Value::is_string),
            ("expire_time", time_or_null),
            ("explicit_max_ttl", Value::is_u64),
            ("id", Value::is_string),
            ("meta", |v| v.is_null() || v.is_object()),
            ("num_uses", Value::is_u64),
            ("orphan", Value::is_boolean),
            ("path", Value::is_string),
            ("policies", |v| v == &json!(["root"])),
            ("renewable", Value::is_boolean),
            ("ttl", Value::is_u64),
            ("type", |v| v == "service"),
        ],
    );
    let mounts = http.get("sys/mounts").data();
    let mount: &[Member] = &[
        ("accessor", Value::is_string),
        ("config", Value::is_object),
        ("description", Value::is_string),
        ("external_entropy_access", Value::is_boolean),
        ("local", Value::is_boolean),
        ("options", |v| v.is_null() || v.is_object()),
        ("seal_wrap", Value::is_boolean),
        ("type", |v| v == "postgres"),
        ("uuid", Value::is_string),
        ("plugin_version", Value::is_string),
        ("running_plugin_version", Value::is_string),
        ("running_sha256", Value::is_string),
    ];
    has(&mounts["db/"], mount);
    has(
        &mounts["db/"]["config"],
        &[
            ("default_lease_ttl", Value::is_u64),
            ("max_lease_ttl", Value::is_u64),
            ("force_no_cache", Value::is_boolean),
        ],
    );
    has(&http.get("sys/mounts/db").data(), mount);
    assert_eq!(
        mounts["db/"]["running_sha256"],
        json!(fixture.server.digest("postgres.wasm"))
    );
    let tune = http.get("sys/mounts/db/tune").data();
    assert_eq!(tune["allowed_hosts"], json!([fixture.postgres.grant()]));
    assert_eq!(tune["timeout"], json!(30));

    let lease = fixture.issue("reader");
    let shown = fixture.server.lookup(&lease.id).data();
    has(
        &shown,
        &[
            ("expire_time", time),
            ("issue_time", time),
            ("last_renewal", Value::is_null),
            ("renewable", |v| v == true),
            ("state", |v| v == "active"),
            ("attempts", Value::is_u64),
            ("next_attempt", time_or_null),
            ("last_error", Value::is_null),
        ],
    );
    assert_eq!(shown["id"], json!(lease.id));
    assert_eq!(shown["path"], json!("db/creds/reader"));
    assert_eq!(
        shown["plugin_sha256"],
        json!(fixture.server.digest("postgres.wasm"))
    );
    let ttl = shown["ttl"].as_u64().unwrap();
    assert!((3590..=3600).contains(&ttl), "{shown}");
    assert_eq!(http.list("sys/leases/lookup").keys(), ["db/"]);
    assert_eq!(http.list("sys/leases/lookup/").keys(), ["db/"]);
    assert_eq!(http.list("sys/leases/lookup/db/").keys(), ["creds/"]);

    let count = http.get("sys/leases/count").data();
    assert_eq!(count["lease_count"], json!(1), "{count}");
    assert!(count["counts"].is_object(), "{count}");
    fixture.renew(&lease, 60).ok();
    assert!(time(
        &fixture.server.lookup(&lease.id).data()["last_renewal"]
    ));

    // Revoking a lease that does not exist succeeds; listing nothing is 404.
    fixture.revoke(&lease).ok();
    let again = fixture.revoke(&lease);
    assert_eq!(again.status, 204, "{again:?}");
    http.list("sys/leases/lookup/db/creds/reader")
        .nothing_here();
    http.get("db/roles/nosuch").nothing_here();
}

#[test]
fn config_and_roles_show_no_secret_and_durations_in_seconds() {
    let fixture = Fixture::start();
    let view = fixture.config_view();
    assert_eq!(view["config"]["password"], json!("<redacted>"), "{view}");
    assert_eq!(view["config"]["host"], json!("127.0.0.1"));
    assert_eq!(
        view["config"]["database"],
        json!("postgres"),
        "defaults are shown"
    );
    assert!(
        view["identity"]
            .as_str()
            .unwrap()
            .contains("harness_superuser"),
        "{view}"
    );
    assert_eq!(view["version"], json!(1));
    assert_eq!(view["rotation"], Value::Null);

    let role = fixture.server.http.get("db/roles/reader").data();
    assert_eq!(role["default_ttl"], json!(3600));
    assert_eq!(role["max_ttl"], json!(86_400));
    assert_eq!(role["member_of"], json!(["harness_readers"]));
}
