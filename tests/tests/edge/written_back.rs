//! A write takes what a GET shows: every document is read, written back as it was shown, read
//! again, and is the same.
//!
//! One test over all paths that have both. A path that is added goes into the table.

use lessor_tests::{fixture::Fixture, http::Http, jwt::Signer};
use serde_json::{Value, json};

/// Facts that a write changes by itself, wherever they stand in what is shown.
const MOVING: [&str; 6] = [
    "version",
    "modified",
    "next_rotation",
    "last_vault_rotation",
    "warnings",
    "next_attempt",
];

fn still(mut shown: Value) -> Value {
    if let Some(fields) = shown.as_object_mut() {
        for name in MOVING {
            fields.remove(name);
        }
    }
    shown
}

/// Reads, writes back and reads again; returns the fault, if there is one.
fn complaint(http: &Http, path: &str) -> Option<String> {
    let shown = http.get(path).data();
    assert!(shown.is_object(), "{path}: {shown}");
    let written = http.post(path, &shown);
    if !(200..300).contains(&written.status) {
        return Some(format!(
            "{path}: {} {}\n  {shown}",
            written.status,
            written.text()
        ));
    }
    // The server knows every field of its own answer.
    if written.text().contains("ignored") {
        return Some(format!("{path}: {}", written.text()));
    }
    let again = http.get(path).data();
    (still(again.clone()) != still(shown.clone())).then(|| format!("{path}:\n  {shown}\n  {again}"))
}

#[test]
fn what_is_shown_can_be_written_back_and_changes_nothing() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    for account in ["plain", "stated", "scheduled"] {
        fixture
            .postgres
            .sql(&format!("create role {account} login password 'x'"));
    }
    let issuer = Signer::new("key");
    for (path, body) in [
        ("sys/mounts/ca", json!({"type": "certificate"})),
        ("sys/auth/approle", json!({"type": "approle"})),
        (
            "sys/auth/people",
            json!({"type": "userpass", "description": "people"}),
        ),
        ("sys/auth/jwt", json!({"type": "jwt"})),
        (
            "sys/mounts/db/tune",
            json!({"max_leases": 9, "timeout": "20s", "description": "x", "default_lease_ttl": "90s"}),
        ),
        (
            "sys/auth/people/tune",
            json!({"user_lockout_config": {"lockout_threshold": 3, "lockout_duration": "2m"}, "max_lease_ttl": "2h"}),
        ),
        (
            "sys/policies/acl/p",
            json!({"policy": "path \"a\" { capabilities = [\"read\"] }"}),
        ),
        (
            "auth/token/roles/full",
            json!({
                "allowed_policies": ["a", "b"], "disallowed_policies_glob": "x*", "orphan": true, "renewable": false,
                "path_suffix": "s", "token_period": "1h", "token_explicit_max_ttl": "2h", "token_bound_cidrs": ["127.0.0.1", "10.0.0.0/8"],
                "token_num_uses": 3, "token_no_default_policy": true,
            }),
        ),
        ("auth/token/roles/plain", json!({})),
        (
            "auth/token/roles/batch",
            json!({"token_type": "batch", "renewable": false}),
        ),
        ("auth/approle/role/plain", json!({})),
        (
            "auth/approle/role/full",
            json!({
                "secret_id_bound_cidrs": ["127.0.0.0/8"], "secret_id_num_uses": 4, "secret_id_ttl": "1h", "token_policies": ["a"],
                "token_ttl": "1h", "token_max_ttl": "2h", "token_bound_cidrs": "127.0.0.1", "token_type": "service",
            }),
        ),
        (
            "auth/people/users/bob",
            json!({"password": "pw", "token_policies": ["a"], "token_ttl": "1h", "token_num_uses": 5}),
        ),
        (
            "auth/jwt/config",
            json!({"jwt_validation_pubkeys": [issuer.pem()], "bound_issuer": "i", "default_role": "plain"}),
        ),
        (
            "auth/jwt/role/plain",
            json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "x"}),
        ),
        (
            "auth/jwt/role/full",
            json!({
                "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["a"], "bound_claims": {"x": ["y*", "z"]},
                "bound_claims_type": "glob", "claim_mappings": {"a": "b"}, "groups_claim": "g", "clock_skew_leeway": "5s",
                "expiration_leeway": -1, "allowed_redirect_uris": ["u"], "token_policies": ["a"], "token_type": "batch",
            }),
        ),
        ("ca/config", json!({"common_name": "Test CA"})),
        ("ca/roles/web", json!({"allowed_dns": ["*.example.com"]})),
        (
            "db/config",
            lessor_tests::fixture::changed(
                fixture.config(),
                &json!({"rotation_schedule": "0 3 * * SUN", "rotation_window": "2h", "rotation_grace": "90s"}),
            ),
        ),
        (
            "db/roles/stated",
            json!({
                "creation_statements": ["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'"], "db_name": "pg",
                "credential_type": "password", "max_leases": 5, "default_ttl": "1h", "max_ttl": "2h",
            }),
        ),
        (
            "db/static-roles/plain",
            json!({"username": "plain", "db_name": "pg", "rotation_period": 3600}),
        ),
        (
            "db/static-roles/stated",
            json!({
                "username": "stated", "rotation_period": 3600, "credential_type": "password", "credential_config": {},
                "rotation_statements": ["ALTER USER \"{{name}}\" WITH PASSWORD '{{password}}';"],
            }),
        ),
        (
            "db/static-roles/scheduled",
            json!({"username": "scheduled", "rotation_schedule": "0 3 * * SUN", "rotation_window": "2h"}),
        ),
    ] {
        let answer = http.post(path, &body);
        assert!(
            (200..300).contains(&answer.status),
            "{path}: {}",
            answer.text()
        );
    }
    let complaints: Vec<String> = [
        "sys/mounts/db/tune",
        "sys/mounts/ca/tune",
        "sys/auth/approle/tune",
        "sys/auth/people/tune",
        "sys/auth/jwt/tune",
        "sys/mounts/auth/people/tune",
        "sys/policies/acl/p",
        "sys/policy/p",
        "auth/token/roles/full",
        "auth/token/roles/plain",
        "auth/token/roles/batch",
        "auth/approle/role/plain",
        "auth/approle/role/full",
        "auth/approle/role/full/role-id",
        "auth/approle/role/full/policies",
        "auth/approle/role/full/secret-id-ttl",
        "auth/approle/role/full/secret-id-num-uses",
        "auth/approle/role/full/secret-id-bound-cidrs",
        "auth/approle/role/full/token-bound-cidrs",
        "auth/approle/role/full/bind-secret-id",
        "auth/approle/role/full/token-ttl",
        "auth/people/users/bob",
        "auth/jwt/config",
        "auth/jwt/role/plain",
        "auth/jwt/role/full",
        "ca/config",
        "ca/roles/web",
        "db/config",
        "db/roles/reader",
        "db/roles/stated",
        "db/static-roles/plain",
        "db/static-roles/stated",
        "db/static-roles/scheduled",
    ]
    .into_iter()
    .filter_map(|path| complaint(http, path))
    .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));

    // The password of the root credential is still known, though it was shown redacted.
    assert!(fixture.works(&fixture.issue("reader")));
    let password = json!({"password": "pw"});
    http.without_token()
        .post("auth/people/login/bob", &password)
        .ok();
}

/// Vault's static roles have statements of their own, and its clients write a kind of
/// credential with each.
#[test]
fn a_static_roles_own_statements_set_the_password_that_is_shown() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let simple = "ALTER USER \"{{name}}\" WITH PASSWORD '{{password}}';";
    let block = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname='{{name}}') THEN \
                 CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; \
                 ELSE ALTER ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}'; END IF; END $$";
    for (account, statements) in [
        ("simple", json!([simple])),
        ("block", json!([block])),
        ("text", json!(simple)),
    ] {
        fixture
            .postgres
            .sql(&format!("create role {account} login password 'former'"));
        let path = format!("db/static-roles/{account}");
        let body = json!({
            "username": account, "db_name": "pg", "rotation_period": 3600, "rotation_statements": statements,
            "credential_type": "password", "credential_config": {},
        });
        http.post(&path, &body).ok();
        let shown = http.get(&path).data();
        assert_eq!(shown["credential_type"], "password");
        assert!(
            shown["rotation_statements"]
                .to_string()
                .contains("{{password}}"),
            "{shown}"
        );
        let credential = http.get(&format!("db/static-creds/{account}")).data();
        let password = credential["password"].as_str().unwrap();
        assert!(fixture.postgres.accepts(account, password), "{account}");
    }
    for (what, statements) in [
        (
            "without the password",
            json!(["ALTER USER \"{{name}}\" LOGIN"]),
        ),
        (
            "no SQL",
            json!(["ALTR USER \"{{name}}\" PASSWORD '{{password}}'"]),
        ),
    ] {
        let body = json!({"username": "simple", "rotation_period": 3600, "rotation_statements": statements});
        let sentence = http.post("db/static-roles/simple", &body).refused(400);
        assert!(
            sentence.contains("rotation_statements"),
            "{what}: {sentence}"
        );
    }
    let key = json!({"username": "simple", "rotation_period": 3600, "credential_type": "rsa_private_key"});
    let sentence = http.post("db/static-roles/simple", &key).refused(400);
    assert!(sentence.contains("credential_type"), "{sentence}");
}
