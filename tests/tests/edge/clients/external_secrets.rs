//! The requests of External Secrets Operator, one by one, and the parts that it needs to find
//! in the answers: its Vault provider (logging in, checking and ending its token) and its
//! generator VaultDynamicSecret. Read in its source of August 2026.

use lessor_tests::{
    fixture::Fixture,
    http::{Answer, Http},
    jwt::Signer,
};
use serde_json::{Value, json};

/// As HashiCorp's Go client sends a request: its mark, a body without a content
/// type, and the namespace that a SecretStore may name.
fn ask(http: &Http, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let headers = [("X-Vault-Request", "true"), ("X-Vault-Namespace", "root")];
    let body = body.map(Value::to_string);
    http.send(method, path, &headers, body.as_deref().map(str::as_bytes))
}

/// The operator's `checkToken`: the fields that it insists on in `lookup-self`, and whether it
/// goes on using the token.
#[track_caller]
fn checks_token(http: &Http) -> bool {
    let data = ask(http, "GET", "auth/token/lookup-self", None).data();
    assert_eq!(data["type"], "service", "{data}");
    let ttl = data["ttl"].as_i64().expect("ttl is a whole number");
    let end = data.get("expire_time").expect("expire_time is there");
    let is_time = end
        .as_str()
        .is_some_and(|end| end.ends_with('Z') && end.contains('T'));
    assert!(end.is_null() || is_time, "{data}");
    end.is_null() || ttl >= 60
}

/// The operator's `revokeTokenIfValid`, when it closes a store.
#[track_caller]
fn ends_token(http: &Http) {
    assert!(checks_token(http));
    let answer = ask(http, "PUT", "auth/token/revoke-self", None);
    assert_eq!(answer.status, 204, "{answer:?}");
    ask(http, "GET", "auth/token/lookup-self", None).refused(403);
}

/// A login by PUT; the client goes on with the token.
#[track_caller]
fn logs_in(http: &Http, path: &str, body: &Value) -> Http {
    let answer = ask(&http.without_token(), "PUT", path, Some(body))
        .ok()
        .json();
    let token = answer["auth"]["client_token"].as_str();
    http.with_token(token.expect("a login gives auth.client_token"))
}

#[test]
fn external_secrets_logs_in_generates_and_ends_its_token() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let policy = "path \"db/creds/reader\" { capabilities = [\"read\", \"update\"] }\n\
                  path \"db/roles\" { capabilities = [\"list\"] }";
    http.post("sys/policies/acl/operator", &json!({"policy": policy}))
        .ok();
    let signer = Signer::new("1");
    for (path, body) in [
        ("sys/auth/approle", json!({"type": "approle"})),
        ("sys/auth/userpass", json!({"type": "userpass"})),
        ("sys/auth/jwt", json!({"type": "jwt"})),
        // A cluster's service accounts have tokens that the cluster signs.
        ("sys/auth/kubernetes", json!({"type": "jwt"})),
        (
            "auth/approle/role/operator",
            json!({"token_policies": "operator", "token_ttl": "10m"}),
        ),
        (
            "auth/userpass/users/operator",
            json!({"password": "horse", "token_policies": "operator"}),
        ),
        (
            "auth/jwt/config",
            json!({"jwt_validation_pubkeys": signer.pem()}),
        ),
        (
            "auth/kubernetes/config",
            json!({"jwt_validation_pubkeys": signer.pem()}),
        ),
        (
            "auth/jwt/role/operator",
            json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_policies": "operator"}),
        ),
        (
            "auth/kubernetes/role/operator",
            json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_policies": "operator", "token_ttl": "30s"}),
        ),
    ] {
        http.post(path, &body).ok();
    }
    let role = http.get("auth/approle/role/operator/role-id").data();
    let secret = http
        .post("auth/approle/role/operator/secret-id", &json!({}))
        .data();
    let signed = signer.sign(&json!({
        "iss": "cluster", "sub": "system:serviceaccount:apps:operator", "aud": ["vault"],
        "iat": 1_700_000_000, "exp": 4_000_000_000_u64,
    }));

    let login = json!({"role_id": role["role_id"], "secret_id": secret["secret_id"]});
    let operator = logs_in(http, "auth/approle/login", &login);
    assert!(checks_token(&operator));
    generates(&fixture, &operator);
    ends_token(&operator);

    let login = json!({"password": "horse"});
    ends_token(&logs_in(http, "auth/userpass/login/operator", &login));
    let login = json!({"role": "operator", "jwt": signed});
    ends_token(&logs_in(http, "auth/jwt/login", &login));
    // Less than a minute to live: it gets another one rather than using this.
    let short = logs_in(http, "auth/kubernetes/login", &login);
    assert!(!checks_token(&short));

    // A token given by hand is checked and left alone, and never ends.
    assert!(checks_token(http));
}

/// The generator: the path as it is, by GET, LIST, or a write that Go sends as PUT.
fn generates(fixture: &Fixture, operator: &Http) {
    let read = ask(operator, "GET", "db/creds/reader", None).ok().json();
    let written = ask(
        operator,
        "PUT",
        "db/creds/reader",
        Some(&json!({"ttl": "10m"})),
    )
    .ok()
    .json();
    for answer in [&read, &written] {
        // `resultType: Data`: each value becomes a key of the Kubernetes secret.
        let text = |name: &str| answer["data"][name].as_str().expect("text");
        assert!(fixture.postgres.accepts(text("username"), text("password")));
        // `resultType: Raw` takes the whole answer.
        assert!(
            answer["lease_id"].is_string() && answer["lease_duration"].is_u64(),
            "{answer}"
        );
    }
    assert_eq!(written["lease_duration"], 600);
    let listed = ask(operator, "GET", "db/roles?list=true", None).keys();
    assert_eq!(listed, ["reader"]);
    // A store's own reads (`SecretStore`) are of a key-value engine, which is not
    // offered: the operator takes 404 for a secret that is not there.
    let root = &fixture.server.http;
    for path in ["db/data/app", "secret/data/app", "secret/metadata/app"] {
        assert_eq!(ask(root, "GET", path, None).status, 404, "{path}");
    }
    // A refusal has the form that Vault gives it.
    let refused = ask(operator, "GET", "db/creds/other", None).refused(403);
    assert!(refused.contains("permission denied"), "{refused}");
}
