//! The dialect of a provider: other clients' paths below its mount, which are routed, judged,
//! written down and shown as they were asked, and stand for what the host does anyway.
//!
//! The provider is `guests/dialect`, which speaks the words of Vault's engine for AWS.

use std::{fs, process::Command};

use lessor_tests::{
    http::Http,
    server::{Server, binary},
};
use serde_json::{Value, json};

const SECRET: &str = "canary-root-secret";

/// A server with a mount `aws` of the provider that speaks, which is configured, and a role
/// `deploy`.
struct Speaking(Server);

impl Speaking {
    fn start() -> Self {
        let mounted = Self::unconfigured();
        let http = &mounted.0.http;
        let root = json!({"access_key": "AKIA", "secret_key": SECRET, "region": "r"});
        http.post("aws/config/root", &root).ok();
        let role = json!({"credential_type": "federation_token"});
        http.post("aws/roles/deploy", &role).ok();
        mounted
    }

    fn unconfigured() -> Self {
        let mut server = Server::setup().start_uninitialised();
        server.initialise();
        pin(&server, "dialect");
        let mount = json!({"type": "aws", "config": {"allowed_hosts": ["tcp://hidden.example:1"]}});
        server.http.post("sys/mounts/aws", &mount).ok();
        Self(server)
    }

    /// Somebody with a policy of these rules.
    fn holder(&self, rules: &str) -> Http {
        let http = &self.0.http;
        let policy = json!({"policy": rules});
        http.put("sys/policies/acl/holder", &policy).ok();
        let made = http.post("auth/token/create", &json!({"policies": ["holder"]}));
        let made = made.ok().json();
        http.with_token(made["auth"]["client_token"].as_str().unwrap())
    }

    /// The audit lines of requests, the last first.
    fn requests(&self) -> Vec<Value> {
        let audit = self.0.audit();
        let lines = audit.lines().rev().map(serde_json::from_str::<Value>);
        let lines = lines.map(Result::unwrap);
        lines.filter(|line| line["type"] == "request").collect()
    }
}

/// Pins a guest as `aws`.
fn pin(server: &Server, guest: &str) {
    server.bring_and_pin("aws", &format!("test/{guest}.wasm"));
}

#[test]
fn a_path_in_other_words_does_what_it_stands_for() {
    let speaking = Speaking::start();
    let http = &speaking.0.http;
    let root = http.get("aws/config/root").data();
    for (field, value) in [
        ("access_key", json!("AKIA")),
        ("region", json!("r")),
        ("iam_endpoint", json!("")),
        ("max_retries", json!(-1)),
        // The host's own words stand beside.
        ("version", json!(1)),
    ] {
        assert_eq!(root[field], value, "{root}");
    }
    let own = http.get("aws/config").data();
    assert_eq!(own["config"]["access_key_id"], "AKIA");
    assert_eq!(own.get("access_key"), None, "{own}");
    // A field that is not named stays, as at the host's own path.
    let endpoint = json!({"sts_endpoint": "https://sts.example", "access_key_id": "AKIB"});
    http.put("aws/config/root", &endpoint).ok();
    let own = http.get("aws/config").data();
    assert_eq!(own["config"]["access_key_id"], "AKIB");
    assert_eq!(own["config"]["endpoints"]["sts"], "https://sts.example");
    assert_eq!(own["config"]["region"], "r");
    assert_eq!(http.list("aws/config").keys(), ["default"]);

    for (method, path, body) in [
        ("GET", "aws/sts/deploy?ttl=10m&role_session_name=me", None),
        (
            "POST",
            "aws/sts/deploy",
            Some(json!({"ttl": 600, "role_session_name": "me"})),
        ),
        (
            "PUT",
            "aws/sts/deploy",
            Some(json!({"ttl": "10m", "by": "me"})),
        ),
        (
            "POST",
            "aws/creds/deploy",
            Some(json!({"ttl": "10m", "role_session_name": "me", "name": "deploy"})),
        ),
    ] {
        let body = body.map(|body| body.to_string());
        let answer = http.send(method, path, &[], body.as_deref().map(str::as_bytes));
        let answer = answer.ok().json();
        assert_eq!(answer["lease_duration"], 600, "{answer}");
        let data = &answer["data"];
        assert_eq!(data["by"], "me", "{answer}");
        assert!(data["security_token"].is_string(), "{answer}");
        assert_eq!(data["security_token"], data["session_token"]);
        let lease = answer["lease_id"].as_str().unwrap();
        assert!(lease.starts_with("aws/creds/deploy/"), "{lease}");
        speaking.0.lookup(lease).ok();
    }
    let ignored = http
        .post("aws/config/root", &json!({"max_retries": 3}))
        .ok();
    let warnings = &ignored.json()["warnings"];
    assert_eq!(
        warnings,
        &json!(["max_retries means nothing here and was ignored"])
    );
    // A path may fix a field.
    let answer = http.post("aws/console/deploy", &json!({})).data();
    assert_eq!(answer["by"], "console");
    let refused = http.post("aws/console/deploy", &json!({"by": "me"}));
    assert_eq!(refused.refused(400), "by is set by this path: leave it out");
    let wrapped = http.send("GET", "aws/sts/deploy", &[("X-Vault-Wrap-TTL", "60")], None);
    let wrapped = wrapped.ok().json();
    assert_eq!(wrapped["wrap_info"]["creation_path"], "aws/sts/deploy");
    let token = wrapped["wrap_info"]["token"].as_str().unwrap();
    let opened = http
        .with_token(token)
        .post("sys/wrapping/unwrap", &json!({}));
    assert!(opened.data()["security_token"].is_string());

    let rotated = http.post("aws/config/rotate-root", &json!({})).data();
    assert_eq!(rotated["access_key"], "AKIB", "{rotated}");
    assert_eq!(rotated["version"], 4, "{rotated}");
    assert!(!speaking.0.log().contains(SECRET) && !speaking.0.audit().contains(SECRET));
}

#[test]
fn a_mistake_is_told_in_the_words_that_were_sent() {
    let speaking = Speaking::start();
    let http = &speaking.0.http;
    let before = http.get("aws/config").data();
    for (path, body, says) in [
        (
            "aws/config/root",
            json!({"secret_key": "mistaken"}),
            "config.secret_key is not that of config.access_key. (wrong_key)",
        ),
        (
            "aws/config/root",
            json!({"access_key": 1, "secret_key": {}}),
            "config.secret_key",
        ),
        (
            "aws/config/root",
            json!({"access_key": "A", "access_key_id": "B"}),
            "access_key and access_key_id are two names of one field: leave one of them out",
        ),
        (
            "aws/config/root",
            json!({"acces_key": "A"}),
            "config.acces_key is not known",
        ),
        (
            "aws/roles/deploy",
            json!({"credential_type": ["a", "b"]}),
            "credential_type must be one value, or a list of one",
        ),
        (
            "aws/roles/deploy",
            json!({"max_sts_ttl": "soon"}),
            "max_sts_ttl is not a duration",
        ),
        (
            "aws/config/lease",
            json!({"lease": "2h", "lease_max": "1h"}),
            "lease (7200 s) must not be longer than lease_max (3600 s)",
        ),
        (
            "aws/config/lease",
            json!({"lease": "1h", "allowed_hosts": "tcp://*.example:1"}),
            "allowed_hosts is not known: known are lease, lease_max",
        ),
    ] {
        let sentence = http.post(path, &body).refused(400);
        assert!(sentence.contains(says), "{path} {body}: {sentence}");
    }
    assert_eq!(http.get("aws/config").data(), before);
    let unconfigured = Speaking::unconfigured();
    let http = &unconfigured.0.http;
    let sentence = http.post("aws/config/root", &json!({"region": "r"}));
    let sentence = sentence.refused(400);
    assert!(sentence.contains("access_key is required"), "{sentence}");
    assert!(http.get("aws/config/root").status == 404);
}

#[test]
fn policies_and_the_audit_log_see_the_path_that_was_asked() {
    let speaking = Speaking::start();
    let lessor = &speaking.0.http;
    let holder = speaking.holder(r#"path "aws/sts/deploy" { capabilities = ["read"] }"#);
    holder.get("aws/sts/deploy").ok();
    let line = &speaking.requests()[0];
    assert_eq!(line["path"], "aws/sts/deploy");
    assert_eq!(line["operation"], "read");
    assert!(
        line["response"].to_string().contains("security_token"),
        "{line}"
    );
    for (method, path) in [
        ("POST", "aws/sts/deploy"),
        ("GET", "aws/creds/deploy"),
        ("GET", "aws/sts/other"),
        ("GET", "aws/config/root"),
        ("GET", "aws/config/lease"),
    ] {
        let answer = holder.send(method, path, &[], None);
        assert_eq!(answer.refused(403), "permission denied", "{path}");
        assert_eq!(speaking.requests()[0]["path"], path);
    }
    let shown = holder.post(
        "sys/capabilities-self",
        &json!({"paths": ["aws/sts/deploy"]}),
    );
    assert_eq!(shown.data()["aws/sts/deploy"], json!(["read"]));
    let mount = holder.get("sys/internal/ui/mounts/aws/sts/deploy").data();
    assert_eq!(mount["path"], "aws/");

    // A write creates what is not there.
    let creator = speaking.holder(
        r#"path "aws/roles/*" { capabilities = ["create"] }
           path "aws/config/root" { capabilities = ["create"] }"#,
    );
    let role = json!({"credential_type": "iam_user"});
    creator.post("aws/roles/new", &role).ok();
    creator.post("aws/roles/new", &role).refused(403);
    let root = json!({"access_key": "A", "secret_key": "s"});
    creator.post("aws/config/root", &root).refused(403);
    lessor.delete("aws/config").ok();
    creator.post("aws/config/root", &root).ok();
    // Strangers learn nothing.
    for path in ["aws/sts/deploy", "aws/sts/nosuch", "aws/config/root"] {
        let stranger = lessor.without_token().get(path);
        assert_eq!(stranger.refused(403), "permission denied");
    }
}

/// Whoever wrote the rule did not have to know that there are other words.
#[test]
fn what_a_policy_forbids_it_forbids_in_every_other_word() {
    let speaking = Speaking::start();
    let http = &speaking.0.http;
    let role = json!({"credential_type": "iam_user"});
    http.post("aws/roles/admin", &role).ok();
    let holder = speaking.holder(
        r#"path "aws/*" { capabilities = ["create", "read", "update", "list"] }
           path "aws/creds/admin" { capabilities = ["deny"] }
           path "aws/creds/deploy" {
             capabilities = ["read", "update"]
             denied_parameters = { "by" = ["root"] }
           }
           path "aws/roles/*" {
             capabilities = ["create", "update"]
             allowed_parameters = { "max_ttl" = ["1h"], "*" = [] }
           }
           path "aws/config" { capabilities = ["deny"] }
           path "sys/mounts/aws/tune" { capabilities = ["deny"] }"#,
    );
    let session = |who: &str| json!({"role_session_name": who});
    let role = |ttl: &str| json!({"credential_type": "iam_user", "max_sts_ttl": ttl});
    for (path, body, allowed) in [
        ("aws/sts/deploy", session("me"), true),
        ("aws/creds/deploy", session("me"), true),
        ("aws/sts/deploy", session("root"), false),
        ("aws/creds/deploy", session("root"), false),
        ("aws/creds/deploy", json!({"by": "root"}), false),
        ("aws/sts/admin", json!({}), false),
        ("aws/console/admin", json!({}), false),
        ("aws/console/deploy", json!({}), true),
        ("aws/roles/new", role("1h"), true),
        ("aws/roles/new", role("9h"), false),
        ("aws/config/root", json!({"region": "x"}), false),
        ("aws/config/lease", json!({"lease": "1h"}), false),
    ] {
        let answer = holder.post(path, &body);
        match allowed {
            true => drop(answer.ok()),
            false => assert_eq!(answer.refused(403), "permission denied", "{path} {body}"),
        }
    }
    assert_eq!(http.get("aws/roles/new").data()["max_ttl"], 3600);
    holder.get("aws/config/root").refused(403);
    let paths = json!({"paths": ["aws/sts/admin", "aws/sts/deploy", "aws/config/lease"]});
    let shown = holder.post("sys/capabilities-self", &paths).data();
    assert_eq!(shown["aws/sts/admin"], json!(["deny"]), "{shown}");
    assert_eq!(shown["aws/config/lease"], json!(["deny"]), "{shown}");
    let some = json!(["create", "list", "read", "update"]);
    assert_eq!(shown["aws/sts/deploy"], some, "{shown}");
}

#[test]
fn the_lengths_of_leases_are_all_that_a_mount_shows_and_changes_there() {
    let speaking = Speaking::start();
    let http = &speaking.0.http;
    let holder =
        speaking.holder(r#"path "aws/config/lease" { capabilities = ["read", "update"] }"#);
    let lease = json!({"lease": "1h", "lease_max": "2h", "nothing": null});
    holder.post("aws/config/lease", &lease).ok();
    let shown = holder.get("aws/config/lease").ok().json();
    let expected = json!({
        "lease": "1h0m0s", "lease_max": "2h0m0s",
        "default_lease_ttl": 3600, "max_lease_ttl": 7200,
    });
    assert_eq!(shown["data"], expected);
    assert!(!shown.to_string().contains("hidden.example"), "{shown}");
    let tune = http.get("sys/mounts/aws/tune").data();
    assert_eq!(tune["allowed_hosts"], json!(["tcp://hidden.example:1"]));
    assert_eq!(tune["max_lease_ttl"], 7200);
    http.post("sys/mounts/aws/tune", &json!({"max_lease_ttl": "never"}))
        .ok();
    assert_eq!(holder.get("aws/config/lease").data()["lease_max"], "never");
}

#[test]
fn a_path_takes_its_methods_and_keeps_to_its_place() {
    let speaking = Speaking::start();
    let http = &speaking.0.http;
    for (method, path, allow) in [
        ("DELETE", "aws/sts/deploy", "GET, POST, PUT"),
        ("LIST", "aws/sts/deploy", "GET, POST, PUT"),
        ("GET", "aws/console/deploy", "POST, PUT"),
        ("DELETE", "aws/config/root", "POST, PUT, GET"),
        ("GET", "aws/config/rotate-root", "POST, PUT"),
    ] {
        let answer = http.send(method, path, &[], None);
        assert_eq!(answer.allow.as_deref(), Some(allow), "{method} {path}");
        answer.refused(405);
    }
    for path in [
        "aws/sts",
        "aws/sts/deploy/x",
        "aws/STS/deploy",
        "aws/nothing",
    ] {
        assert_eq!(http.get(path).status, 404, "{path}");
    }
    // A role that names a connection takes no path away.
    let role = json!({"credential_type": "iam_user", "connection": "root"});
    http.post("aws/roles/elsewhere", &role);
    http.post("aws/config/root", &json!({"access_key": "B"}))
        .ok();
    // The words for a config make no connections, and other names do.
    let root = json!({"access_key_id": "A", "secret_access_key": "s"});
    http.post("aws/config/second", &root).ok();
    assert_eq!(http.list("aws/config").keys(), ["default", "second"]);
}

#[test]
fn a_connection_keeps_its_path_when_a_dialect_comes() {
    let mut server = Server::setup().start_uninitialised();
    server.initialise();
    pin(&server, "idle");
    let http = server.http.clone();
    http.post("sys/mounts/aws", &json!({"type": "aws"})).ok();
    http.post("aws/config/root", &json!({"root": "former"}))
        .ok();
    let file = server.bring("test/dialect.wasm");
    let pin = json!({"command": file, "sha256": server.digest(file), "force": true});
    http.put("sys/plugins/catalog/secret/aws", &pin).ok();
    http.post(
        "sys/plugins/upgrade",
        &json!({"plugin": "aws", "version": "0.2.0", "force": true}),
    )
    .ok();
    let shown = http.get("aws/config/root").data();
    assert_eq!(shown["version"], 1, "{shown}");
    assert_eq!(shown.get("max_retries"), None, "{shown}");
    let root = json!({"access_key": "A", "secret_key": "s", "replace": true});
    let sentence = http.post("aws/config/root", &root).refused(400);
    assert!(sentence.contains("access_key is not known"), "{sentence}");
    // The other words are there, and the path is theirs once the connection is gone.
    http.get("aws/config/lease").ok();
    http.delete("aws/config/root").ok();
    http.post("aws/config/root", &root).ok();
    assert_eq!(http.list("aws/config").keys(), ["default"]);
}

#[test]
fn a_dialect_is_shown_wherever_paths_are() {
    let mut speaking = Speaking::start();
    let http = speaking.0.http.clone();
    let descriptor = http.get("sys/plugins/catalog/secret/aws").data()["descriptor"].take();
    let dialect = descriptor["dialect"].as_array().unwrap();
    let sts = dialect
        .iter()
        .find(|alias| alias["path"] == "sts/{role}")
        .unwrap();
    assert_eq!(sts["stands_for"], "issue");
    assert_eq!(sts["methods"], json!(["GET", "POST"]));
    let shown = Command::new(binary())
        .args(["plugin", "show", "aws"])
        .env("LESSOR_ADDR", http.base())
        .env("LESSOR_TOKEN", http.token())
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("sts/{role}"), "{shown}");
    let inspected = Command::new(binary())
        .args(["plugin", "inspect"])
        .arg(speaking.0.plugins().join("dialect.wasm"))
        .output()
        .unwrap();
    let inspected = String::from_utf8(inspected.stdout).unwrap();
    assert!(
        inspected.contains("GET, POST sts/{role}: issue"),
        "{inspected}"
    );

    for (path, parts) in [
        ("aws", ["sts/{role} (GET, POST)", "config/root (POST)"]),
        (
            "aws/sts/deploy",
            ["GET, POST sts/{role} (issue)", "security_token"],
        ),
        (
            "aws/config/root",
            [
                "POST config/root (write-config)",
                "In requests, for access_key_id.",
            ],
        ),
        (
            "aws/config/lease",
            [
                "GET config/lease (read-ttls)",
                "In answers, for max_lease_ttl.",
            ],
        ),
        (
            "aws/roles/deploy",
            ["max_leases (integer)", "In requests, for max_ttl."],
        ),
    ] {
        let help = http.get(&format!("{path}?help=1")).ok().json();
        let help = help["help"].as_str().unwrap();
        for part in parts {
            assert!(help.contains(part), "{path}: {help}");
        }
        assert!(!help.contains("allowed_hosts"), "{path}: {help}");
    }

    let document = http.get("sys/internal/specs/openapi").ok().json();
    let body = |path: &str| {
        let post = &document["paths"][path]["post"];
        post["requestBody"]["content"]["application/json"]["schema"].clone()
    };
    let root = body("/aws/config/root");
    assert_eq!(root["properties"]["access_key"]["type"], "string", "{root}");
    assert!(root["properties"]["rotation_period"].is_object(), "{root}");
    let lease = body("/aws/config/lease");
    let names: Vec<&String> = lease["properties"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["default_lease_ttl", "max_lease_ttl", "lease", "lease_max"]
    );
    let role = body("/aws/roles/{name}");
    assert!(role["properties"]["max_sts_ttl"].is_object(), "{role}");
    assert!(role["properties"]["max_ttl"].is_object(), "{role}");
    let sts = &document["paths"]["/aws/sts/{role}"];
    assert_eq!(sts["parameters"][0]["name"], "role");
    assert_eq!(sts["get"]["operationId"], "get-aws-sts-role");
    let answer = sts["post"]["responses"]["200"].to_string();
    assert!(answer.contains("security_token"), "{answer}");
    assert_eq!(document["paths"].get("/aws/roles/{role}"), None);
    let answer = document["paths"]["/aws/config/lease"]["get"]["responses"]["200"].to_string();
    assert!(!answer.contains("allowed_hosts"), "{answer}");

    // Without the provider its words are not known, and the host's own are.
    speaking.0.kill();
    fs::remove_file(speaking.0.plugins().join("dialect.wasm")).unwrap();
    speaking.0.restart();
    let http = &speaking.0.http;
    assert_eq!(http.list("aws/roles").keys(), ["deploy"]);
    for path in ["aws/sts/deploy", "aws/config/root"] {
        let sentence = http.post(path, &json!({})).refused(503);
        assert!(sentence.contains("dialect.wasm"), "{sentence}");
    }
    assert_eq!(http.list("aws/config").keys(), ["default"]);
}
