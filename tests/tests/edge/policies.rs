//! Policies: written, shown, listed and deleted as Vault's clients do it, and
//! enforced.

use lessor_tests::{fixture::Fixture, http::Http, refusal::refuse_all, server::Server};
use serde_json::{Value, json};

const READER: &str = "path \"db/creds/reader\" {\n  capabilities = [\"read\"]\n}\n";

/// The names of an object's fields, in order.
fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn policies_are_written_shown_listed_and_deleted_at_either_path() {
    let mut server = Server::setup().start();
    let http = &server.http;
    let written = http.put("sys/policies/acl/reader", &json!({"policy": READER}));
    assert_eq!((written.status, written.text()), (204, String::new()));
    http.post("sys/policy/team/ops", &json!({"policy": "{\"path\": {}}"}))
        .ok();

    let shown = http.get("sys/policies/acl/reader").ok().json();
    assert_eq!(shown["data"]["name"], "reader");
    assert_eq!(shown["data"]["policy"], READER);
    assert_eq!(shown["data"]["version"], 1);
    assert!(shown["data"]["modified"].is_string() && shown["policy"].is_null());
    let ops = http.get("sys/policies/acl/team/ops").data();
    assert_eq!(ops["policy"], "{\"path\": {}}");

    // The older path shows its fields beside the envelope, too.
    let older = http.get("sys/policy/reader").ok().json();
    for at in [&older, &older["data"]] {
        assert_eq!(
            (&at["name"], &at["rules"]),
            (&json!("reader"), &json!(READER))
        );
        assert!(at["policy"].is_null());
    }
    let all = ["default", "reader", "team/ops", "root"];
    let listed = http.get("sys/policy").ok().json();
    for at in [&listed, &listed["data"]] {
        assert_eq!((&at["keys"], &at["policies"]), (&json!(all), &json!(all)));
    }
    assert_eq!(listed["lease_id"], "");
    assert_eq!(names(&listed["data"]), ["keys", "policies"]);
    for answer in [
        http.list("sys/policies/acl"),
        http.get("sys/policies/acl?list=true"),
        http.get("sys/policies/acl"),
        http.list("sys/policy"),
    ] {
        assert_eq!(answer.keys(), all);
    }
    assert_eq!(http.list("sys/policies/acl/team").keys(), ["team/ops"]);
    assert_eq!(http.list("sys/policy/team").keys(), ["team/ops"]);
    http.list("sys/policies/acl/nobody").nothing_here();

    server.kill();
    server.restart();
    let http = &server.http;
    assert_eq!(http.get("sys/policy/reader").data()["rules"], READER);
    for _ in 0..2 {
        assert_eq!(http.delete("sys/policy/reader").ok().status, 204);
        assert_eq!(http.delete("sys/policies/acl/team/ops").ok().status, 204);
    }
    http.get("sys/policy/reader").nothing_here();
    http.get("sys/policies/acl/team/ops").nothing_here();
    assert_eq!(http.list("sys/policies/acl").keys(), ["default", "root"]);
}

#[test]
fn texts_and_names_are_taken_as_vaults_clients_send_them() {
    let server = Server::setup().start();
    let http = &server.http;
    // Base64, as the documentation offers it against quoting.
    let base64 = "cGF0aCAiYSIgeyBwb2xpY3kgPSAicmVhZCIgfQ==";
    http.put("sys/policies/acl/encoded", &json!({"policy": base64}))
        .ok();
    let text = "path \"a\" { policy = \"read\" }";
    assert_eq!(http.get("sys/policies/acl/encoded").data()["policy"], text);

    // The older field, with a warning.
    let warned = http.put("sys/policy/older", &json!({"rules": text})).ok();
    assert_eq!(warned.status, 200);
    let warning = warned.json()["warnings"][0].as_str().unwrap().to_owned();
    assert!(
        warning.contains("rules") && warning.contains("policy"),
        "{warning}"
    );
    assert_eq!(http.get("sys/policy/older").data()["rules"], text);

    // Names are stored in lower case, in whichever case a request writes or asks.
    let warned = http.put(
        "sys/policies/acl/Upper",
        &json!({"policy": text, "name": "Upper"}),
    );
    let warning = warned.ok().json()["warnings"][0].to_string();
    assert!(warning.contains("upper"), "{warning}");
    assert_eq!(http.get("sys/policies/acl/UPPER").data()["name"], "upper");
    assert_eq!(
        http.list("sys/policies/acl").keys(),
        ["default", "encoded", "older", "upper", "root"]
    );
    http.delete("sys/policies/acl/uPPer").ok();
    http.get("sys/policies/acl/upper").nothing_here();

    // With `cas`, a write succeeds only on the version that was read.
    let write = |cas: Value| {
        http.put(
            "sys/policies/acl/older",
            &json!({"policy": text, "cas": cas}),
        )
    };
    write(json!(-1)).refused(400);
    write(json!(2)).refused(400);
    write(json!("1")).ok();
    assert_eq!(http.get("sys/policies/acl/older").data()["version"], 2);
}

#[test]
fn the_built_in_policies_are_there_and_stay() {
    let server = Server::setup().start();
    let http = &server.http;
    let default = http.get("sys/policies/acl/default").data();
    for path in [
        "auth/token/lookup-self",
        "sys/capabilities-self",
        "sys/wrapping/unwrap",
    ] {
        assert!(default["policy"].as_str().unwrap().contains(path), "{path}");
    }
    assert_eq!(default["version"], 1);
    http.put("sys/policies/acl/default", &json!({"policy": READER}))
        .ok();
    assert_eq!(http.get("sys/policy/default").data()["rules"], READER);

    let root = http.get("sys/policies/acl/root").data();
    assert_eq!(
        (&root["name"], &root["policy"]),
        (&json!("root"), &json!(""))
    );
    for name in ["root", "Root", "response-wrapping"] {
        let write = http.put(
            &format!("sys/policies/acl/{name}"),
            &json!({"policy": READER}),
        );
        assert!(write.refused(400).contains("built in"), "{name}");
    }
    for name in ["root", "default", "response-wrapping"] {
        let removed = http.delete(&format!("sys/policy/{name}"));
        assert!(removed.refused(400).contains("cannot be deleted"), "{name}");
    }
    assert_eq!(http.list("sys/policies/acl").keys(), ["default", "root"]);
}

#[test]
fn what_is_no_policy_is_refused_and_not_stored() {
    let server = Server::setup().start();
    let http = &server.http;
    let policy = |text: &str| json!({"policy": text});
    let deep = format!(
        "path \"x\" {{ allowed_parameters = {{ a = {}",
        "[".repeat(100_000)
    );
    let long = format!("# {}", "x".repeat(300_000));
    let path = "sys/policies/acl/x";
    let older = "sys/policy/x";
    #[rustfmt::skip]
    refuse_all(http, &[
        ("no text", "PUT", path, json!({}), 400, &["policy is required"]),
        ("no text", "PUT", path, policy(""), 400, &["policy is required"]),
        ("no text", "PUT", older, json!({"rules": ""}), 400, &["policy is required"]),
        ("text of another type", "PUT", path, json!({"policy": {"path": {}}}), 400, &["policy must be a string"]),
        ("the older field", "PUT", path, json!({"policy": READER, "rules": READER}), 400, &["rules"]),
        ("unknown field", "PUT", path, json!({"polcy": READER, "policy": READER}), 400, &["polcy", "policy"]),
        ("an end", "PUT", path, json!({"policy": READER, "ttl": "1h"}), 400, &["ttl", "delete the policy"]),
        ("a rule of OpenBao's", "PUT", path, json!({"policy": READER, "cas_required": true}), 400, &["cas_required"]),
        ("no number", "PUT", path, json!({"policy": READER, "cas": "x"}), 400, &["cas must be a whole number"]),
        ("broken HCL", "PUT", path, policy("path \"x\" {\n"), 400, &["line 1", "not closed"]),
        ("broken JSON", "PUT", path, policy("{\"path\": "), 400, &["not JSON", "line 1"]),
        ("unknown key", "PUT", path, policy("pth \"x\" {}"), 400, &["pth is not known", "path"]),
        ("unknown key", "PUT", path, policy("path \"x\" {\n capabilites = []\n}"), 400, &["line 2", "capabilites", "capabilities"]),
        ("unknown capability", "PUT", older, policy("path \"x\" { capabilities = [\"wirte\"] }"), 400, &["wirte"]),
        ("a limit that is not kept", "PUT", path, policy("path \"x\" { mfa_methods = [] }"), 400, &["mfa_methods", "not available"]),
        ("a template", "PUT", path, policy("path \"{{identity.entity.id}}\" {}"), 400, &["templates"]),
        ("deep nesting", "PUT", path, policy(&deep), 400, &["nested deeper"]),
        ("a long text", "PUT", path, policy(&long), 400, &["256 KiB"]),
        ("a list of names", "PUT", "sys/policies/acl/a,b", policy(READER), 400, &["comma"]),
        ("no path", "POST", "sys/capabilities-self", json!({}), 400, &["paths is required"]),
        ("no path", "POST", "sys/capabilities-self", json!({"paths": []}), 400, &["paths is required"]),
        ("an empty path", "POST", "sys/capabilities-self", json!({"paths": ["a", ""]}), 400, &["empty path"]),
        ("another method", "GET", "sys/capabilities-self", json!({}), 405, &["method"]),
    ]);
    assert_eq!(http.list("sys/policies/acl").keys(), ["default", "root"]);
}

/// A token with one policy of the given text, and its accessor.
fn holder(http: &Http, name: &str, text: &str) -> (Http, String) {
    http.put(
        &format!("sys/policies/acl/{name}"),
        &json!({"policy": text}),
    )
    .ok();
    let made = http
        .post("auth/token/create", &json!({"policies": [name]}))
        .ok()
        .json();
    let token = made["auth"]["client_token"].as_str().unwrap();
    let accessor = made["auth"]["accessor"].as_str().unwrap();
    (http.with_token(token), accessor.to_owned())
}

#[test]
fn a_token_may_what_its_policies_grant_and_nothing_else() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let (reader, _) = holder(http, "reader", READER);
    reader.get("db/creds/reader").ok();
    let nothing = json!({});
    let more = json!({"policy": "path \"*\" { policy = \"sudo\" }"});
    for answer in [
        reader.post("db/creds/reader", &nothing),
        reader.delete("db/creds/reader"),
        reader.get("db/creds/other"),
        reader.get("db/creds/reader/more"),
        reader.get("db/config"),
        reader.list("db/roles"),
        reader.get("sys/mounts"),
        reader.get("sys/policies/acl/reader"),
        reader.put("sys/policies/acl/reader", &more),
        reader.list("sys/leases/lookup/db/creds/reader"),
    ] {
        assert!(answer.refused(403).contains("permission denied"));
    }
    // A path that is written otherwise is still the same path.
    reader.get("/db//creds/reader/").ok();

    // The policy is read anew with each request.
    let write = |text: &str| {
        http.put("sys/policies/acl/reader", &json!({"policy": text}))
            .ok();
    };
    write("path \"db/creds/+\" { capabilities = [\"update\"] }");
    reader.get("db/creds/reader").refused(403);
    reader.post("db/creds/reader", &nothing).ok();
    write("path \"db/creds/+\" { capabilities = [\"update\", \"deny\"] }");
    reader.post("db/creds/reader", &nothing).refused(403);
    write(READER);
    reader.get("db/creds/reader").ok();
    http.delete("sys/policies/acl/reader").ok();
    reader.get("db/creds/reader").refused(403);
    // The grants of `default` still count.
    reader.get("auth/token/lookup-self").ok();
}

#[test]
fn lists_protected_paths_and_wrapped_answers_ask_for_what_they_need() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let lease = fixture.issue("reader");
    let list = "sys/leases/lookup/db/creds/reader";
    let text =
        |capabilities: &str| format!("path \"{list}\" {{ capabilities = [{capabilities}] }}");
    let (plain, _) = holder(http, "plain", &text("\"list\""));
    plain.list(list).refused(403);
    let (sudo, _) = holder(http, "sudo", &text("\"list\", \"sudo\""));
    let suffix = lease.id.rsplit('/').next().unwrap();
    assert_eq!(sudo.list(list).keys(), [suffix]);
    assert_eq!(sudo.get(&format!("{list}?list=true")).keys(), [suffix]);
    sudo.list("sys/leases/lookup/db/creds").refused(403);

    let wrapped = "path \"db/creds/reader\" {
      capabilities = [\"read\"]
      min_wrapping_ttl = \"1m\"
      max_wrapping_ttl = \"1h\"
    }";
    let (wrapper, _) = holder(http, "wrapper", wrapped);
    wrapper.get("db/creds/reader").refused(403);
    for (ttl, allowed) in [("59s", false), ("60", true), ("1h", true), ("3601", false)] {
        let header = [("X-Vault-Wrap-TTL", ttl)];
        let answer = wrapper.send("GET", "db/creds/reader", &header, None);
        assert_eq!(answer.status, if allowed { 200 } else { 403 }, "{ttl}");
        assert_eq!(answer.json()["wrap_info"].is_object(), allowed, "{ttl}");
    }

    // A caller that may do nothing in a mount does not learn that it exists.
    let ui = "sys/internal/ui/mounts/db/creds/x";
    assert_eq!(wrapper.get(ui).data()["path"], "db/");
    plain.get(ui).refused(403);
    plain.get("sys/internal/ui/mounts/nowhere").refused(403);
}

#[test]
fn writes_are_held_to_their_fields_and_to_what_is_there() {
    let server = Server::setup().start();
    let roles = "path \"auth/token/roles/*\" {
      capabilities = [\"create\", \"update\"]
      required_parameters = [\"token_period\"]
      allowed_parameters = { \"token_period\" = [\"1h\", 60], \"orphan\" = [] }
      denied_parameters = { \"orphan\" = [true] }
    }
    path \"auth/token/roles/new\" { capabilities = [\"create\"] }
    path \"auth/token/roles/old\" { capabilities = [\"update\"] }";
    let (writer, _) = holder(&server.http, "writer", roles);
    for (body, allowed) in [
        (json!({"token_period": "1h"}), true),
        (json!({"token_period": 60, "orphan": false}), true),
        (json!({"token_period": "2h"}), false),
        (json!({"token_period": 60, "orphan": true}), false),
        (json!({"token_period": 60, "renewable": true}), false),
        (json!({"orphan": false}), false),
        (json!({}), false),
    ] {
        let status = writer.post("auth/token/roles/r", &body).status;
        assert_eq!(status, if allowed { 204 } else { 403 }, "{body}");
    }
    let nothing = json!({});
    writer.post("auth/token/roles/old", &nothing).refused(403);
    server.http.post("auth/token/roles/old", &nothing).ok();
    writer.post("auth/token/roles/old", &nothing).ok();
    writer.post("auth/token/roles/new", &nothing).ok();
    writer.post("auth/token/roles/new", &nothing).refused(403);
}

#[test]
fn a_token_is_told_what_it_may_do_and_what_another_may() {
    let server = Server::setup().start();
    let http = &server.http;
    let (reader, accessor) = holder(http, "reader", READER);
    let asked = json!({"paths": ["db/creds/reader", "sys/capabilities-self", "sys/mounts"]});
    let expected = json!({
        "db/creds/reader": ["read"],
        "sys/capabilities-self": ["update"],
        "sys/mounts": ["deny"],
    });
    let told = reader.post("sys/capabilities-self", &asked);
    assert_eq!(told.data(), expected);
    let by = |field: &str, value: &str| {
        let mut body = asked.clone();
        body[field] = json!(value);
        body
    };
    let by_value = by("token", reader.token());
    let by_accessor = by("accessor", &accessor);
    let told = http.post("sys/capabilities", &by_value);
    assert_eq!(told.data(), expected);
    let told = http.put("sys/capabilities-accessor", &by_accessor);
    assert_eq!(told.data(), expected);
    // Clients name the token here, too; it is the one in use that counts.
    let named = by("token", http.token());
    let told = reader.post("sys/capabilities-self", &named);
    assert_eq!(told.data(), expected);

    reader.post("sys/capabilities", &by_value).refused(403);
    reader
        .post("sys/capabilities-accessor", &by_accessor)
        .refused(403);
    let (value, other) = ("sys/capabilities", "sys/capabilities-accessor");
    for (path, body, says) in [
        (value, by("token", "lsr.unheard"), "invalid token"),
        (value, asked.clone(), "token is required"),
        (other, by("accessor", "unheard"), "invalid accessor"),
        (other, asked.clone(), "accessor is required"),
    ] {
        let sentence = http.post(path, &body).refused(400);
        assert!(sentence.contains(says), "{sentence}");
        assert!(!sentence.contains("unheard"), "{sentence}");
    }
    assert!(!server.audit().contains(reader.token()));
}

#[test]
fn a_root_token_is_told_so() {
    let server = Server::setup().start();
    let ask = |body: Value| server.http.post("sys/capabilities-self", &body).ok().json();
    let one = ask(json!({"path": "db/creds/reader"}));
    for at in [&one, &one["data"]] {
        assert_eq!(at["capabilities"], json!(["root"]));
        assert_eq!(at["db/creds/reader"], json!(["root"]));
    }
    let two = ask(json!({"paths": ["a", "data"]}));
    assert_eq!(two["data"], json!({"a": ["root"], "data": ["root"]}));
    assert_eq!(two["a"], json!(["root"]));
}
