//! `lessor import dynamic`: definitions of other systems become mounts that lease, and may be
//! imported again.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use lessor_tests::{
    postgres::Postgres,
    server::{Server, binary},
    webhook::Webhook,
};
use serde_json::{Value, json};

fn import(server: &Server, files: &[&Path], arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(["import", "dynamic"])
        .args(files)
        .args(arguments)
        .env("LESSOR_ADDR", server.http.base())
        .env("LESSOR_TOKEN", server.http.token())
        .stdin(Stdio::null())
        .output()
        .expect("run lessor")
}

/// What an import that succeeds prints: to standard output, and to standard error.
#[track_caller]
fn imported(server: &Server, files: &[&Path], arguments: &[&str]) -> (String, String) {
    let done = import(server, files, arguments);
    let note = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{note}");
    (String::from_utf8(done.stdout).unwrap(), note)
}

/// A custom producer of Akeyless as its command line has it.
fn producer(webhook: &Webhook) -> Value {
    json!({
        "name": "/prod/hook",
        "create-sync-url": format!("{}/sync/create", webhook.origin()),
        "revoke-sync-url": format!("{}/sync/revoke", webhook.origin()),
        "rotate-sync-url": format!("{}/sync/rotate", webhook.origin()),
        "payload": Webhook::payload(),
        "timeout-sec": 20,
        "user-ttl": "10m",
        "enable_admin_rotation": true,
        "admin_rotation_interval_days": 30,
        "delete_protection": "true",
        "tags": ["team:orders"],
        "producer-encryption-key-name": "theirs",
    })
}

/// The provider is pinned, and its file in the plugin directory.
fn stage() -> (Server, Webhook) {
    let (server, webhook) = (Server::start(), Webhook::start());
    webhook.mount(&server, "unused");
    (server, webhook)
}

#[test]
fn akl_13_a_producer_is_imported_twice_and_leases_after_a_rotation_in_between() {
    let (server, webhook) = stage();
    let http = &server.http;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("producer.json");
    fs::write(&file, producer(&webhook).to_string()).unwrap();

    // A plan changes nothing.
    let (plan, _) = imported(&server, &[&file], &["--dry-run"]);
    assert!(
        plan.contains("lessor mount add prod/hook --plugin webhook"),
        "{plan}"
    );
    assert!(!plan.contains("first-root"), "{plan}");
    http.get("sys/mounts/prod/hook").refused(404);

    let (done, note) = imported(&server, &[&file], &[]);
    assert!(done.contains("prod/hook made"), "{done}");
    assert!(note.contains("producer-encryption-key-name"), "{note}");
    assert!(note.contains("AkeylessCreds"), "{note}");
    let tune = http.get("sys/mounts/prod/hook/tune").data();
    assert_eq!(tune["timeout"], 20);
    assert_eq!(tune["delete_protection"], true);
    assert_eq!(tune["tags"], json!(["team:orders"]));
    let config = http.get("prod/hook/config").data();
    assert_eq!(config["rotation_period"], 30 * 86_400, "{config}");
    let lease = http.get("prod/hook/creds/default").ok().json();
    assert_eq!(lease["lease_duration"], 600, "{lease}");

    // The payload of the file is dead by now, and is not written again.
    http.post("prod/hook/rotate-root", &json!({})).ok();
    let (done, _) = imported(&server, &[&file], &[]);
    assert!(done.contains("prod/hook stood"), "{done}");
    assert_eq!(http.get("prod/hook/config").data()["version"], 2);
    http.get("prod/hook/creds/default").ok();
    let told = server.log() + &server.audit();
    assert!(!told.contains("first-root"));
}

/// A file that says something else changes that and nothing more: its root credential is dead
/// since the rotation, and nobody but the server has the one that counts. Here nothing proves a
/// payload before it is stored.
#[test]
fn akl_13_a_changed_producer_is_imported_again_and_leaves_the_rotated_payload() {
    let (server, webhook) = stage();
    let http = &server.http;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("producer.json");
    let mut definition = producer(&webhook);
    definition["skip-dry-run"] = json!(true);
    fs::write(&file, definition.to_string()).unwrap();
    imported(&server, &[&file], &[]);
    http.post("prod/hook/rotate-root", &json!({})).ok();

    definition["admin_rotation_interval_days"] = json!(7);
    definition["user-ttl"] = json!("20m");
    definition["tags"] = json!(["team:billing"]);
    fs::write(&file, definition.to_string()).unwrap();
    let (done, note) = imported(&server, &[&file], &["--output", "json"]);
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done[0]["config"], "changed", "{done}");
    assert_eq!(done[0]["role"], "prod/hook/roles/default changed", "{done}");
    assert!(
        note.contains("root credential of prod/hook stays"),
        "{note}"
    );
    let config = http.get("prod/hook/config").data();
    assert_eq!(config["rotation_period"], 7 * 86_400, "{config}");
    let tune = http.get("sys/mounts/prod/hook/tune").data();
    assert_eq!(tune["tags"], json!(["team:billing"]));
    let lease = http.get("prod/hook/creds/default").ok().json();
    assert_eq!(lease["lease_duration"], 1200, "{lease}");

    // Who may write and not see what stands writes nothing.
    let policy = r#"path "sys/mounts/prod/hook*" { capabilities = ["read", "update"] }
        path "prod/hook/*" { capabilities = ["create", "update"] }"#;
    http.put("sys/policies/acl/blind", &json!({"policy": policy}))
        .ok();
    let token = http.post("auth/token/create", &json!({"policies": ["blind"]}));
    let token = token.ok().json();
    let before = http.get("prod/hook/config").data()["version"].clone();
    let done = Command::new(binary())
        .args(["import", "dynamic"])
        .arg(&file)
        .env("LESSOR_ADDR", http.base())
        .env(
            "LESSOR_TOKEN",
            token["auth"]["client_token"].as_str().unwrap(),
        )
        .stdin(Stdio::null())
        .output()
        .expect("run lessor");
    let complaint = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("permission denied"), "{complaint}");
    assert_eq!(http.get("prod/hook/config").data()["version"], before);
    http.get("prod/hook/creds/default").ok();
}

/// The commands of a plan do what the import does.
#[test]
fn the_commands_of_a_plan_do_the_same() {
    let (server, webhook) = stage();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("producer.json");
    fs::write(&file, producer(&webhook).to_string()).unwrap();
    fs::write(directory.path().join("payload.txt"), Webhook::payload()).unwrap();
    let (plan, _) = imported(&server, &[&file], &["--dry-run"]);
    let programs = directory.path().join("bin");
    fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(binary(), programs.join("lessor")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let done = Command::new("sh")
        .args(["-ec", &plan])
        .current_dir(directory.path())
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("LESSOR_ADDR", server.http.base())
        .env("LESSOR_TOKEN", server.http.token())
        .stdin(Stdio::null())
        .output()
        .expect("run sh");
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{complaint}\n{plan}");
    let (again, _) = imported(&server, &[&file], &[]);
    let stands = again.lines().last().unwrap();
    assert!(stands.contains("prod/hook stood"), "{again}");
    let config = server.http.get("prod/hook/config").data();
    assert_eq!(config["version"], 1, "nothing was written again");
    server.http.get("prod/hook/creds/default").ok();
}

#[test]
fn a_producer_of_postgresql_is_imported_and_leases() {
    let postgres = Postgres::start();
    let server = Server::start();
    let root = postgres.superuser();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("producer.json");
    let definition = json!({
        "Name": "db", "PostgresqlHost": "127.0.0.1", "postgresqlPort": postgres.port().to_string(),
        "postgresql_username": root.username, "postgresql-password": root.password,
        "creationStatements":
            "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'",
    });
    // A role that is refused takes the mount along that was made for it.
    let mut refused = definition.clone();
    refused["password-length"] = json!(1);
    fs::write(&file, refused.to_string()).unwrap();
    let done = import(&server, &[&file], &[]);
    let complaint = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("length"), "{complaint}");
    server.http.get("sys/mounts/db").refused(404);

    fs::write(&file, json!([definition]).to_string()).unwrap();
    imported(&server, &[&file], &[]);
    let data = server.http.get("db/creds/default").data();
    let text = |name: &str| data[name].as_str().unwrap();
    assert!(postgres.accepts(text("username"), text("password")));
}

#[test]
fn what_cannot_be_imported_is_one_sentence_and_changes_nothing() {
    let (server, webhook) = stage();
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let none = write("none.json", "{\"password\": \"canary\"");
    let unknown = write("unknown.json", r#"[{"name": "x", "password": "canary"}]"#);
    let azure = write(
        "azure.json",
        r#"{"type": "Azure", "name": "a", "ClientSecret": "canary"}"#,
    );
    let good = write("good.json", &producer(&webhook).to_string());
    let mut dead = producer(&webhook);
    dead["payload"] = json!(r#"{"password": "canary"}"#);
    dead["name"] = json!("dead");
    let dead = write("dead.json", &dead.to_string());
    for (files, arguments, says) in [
        (vec![none.as_path()], vec![], "is not JSON"),
        (vec![unknown.as_path()], vec![], "definition 1"),
        (
            vec![good.as_path(), azure.as_path()],
            vec![],
            "cannot be carried over",
        ),
        (
            vec![good.as_path(), good.as_path()],
            vec!["--mount", "x"],
            "is for one mount",
        ),
        (
            vec![good.as_path(), good.as_path()],
            vec![],
            "both become the mount prod/hook",
        ),
        (
            vec![good.as_path()],
            vec!["--set", "timeout-sec=soon"],
            "timeout-sec",
        ),
        (
            vec![Path::new("-")],
            vec!["--set", "payload=-"],
            "standard input",
        ),
        (vec![dead.as_path()], vec![], "login of root"),
    ] {
        let done = import(&server, &files, &arguments);
        let complaint = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains(says), "{complaint}");
        assert!(!complaint.contains("canary"), "{complaint}");
        for mount in ["prod/hook", "dead", "x"] {
            server.http.get(&format!("sys/mounts/{mount}")).refused(404);
        }
    }
}

/// A definition without its secret, from standard input, and the secret in a file of its own.
#[test]
fn bt_05_a_secret_may_stand_in_a_file_of_its_own() {
    let (server, webhook) = stage();
    let directory = tempfile::tempdir().unwrap();
    let (file, payload) = (
        directory.path().join("producer.json"),
        directory.path().join("payload.txt"),
    );
    let mut definition = producer(&webhook);
    definition["payload"] = json!("dead");
    fs::write(&file, definition.to_string()).unwrap();
    fs::write(&payload, Webhook::payload() + "\n").unwrap();
    let set = format!("Payload=@{}", payload.display());
    let (plan, _) = imported(&server, &[&file], &["--set", &set, "--dry-run"]);
    assert!(!plan.contains("first-root"), "{plan}");
    imported(&server, &[&file], &["--set", &set]);
    server.http.get("prod/hook/creds/default").ok();
    let role = server.http.get("prod/hook/roles/default").data();

    // Nothing is written again that stands.
    let (done, _) = imported(&server, &[&file], &["--output", "json"]);
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done[0]["config"], "stood", "{done}");
    assert_eq!(
        done[0]["role"], "prod/hook/roles/default stood",
        "{done}\n{role}"
    );
}

/// BT-10, AKL-13: nobody removes by mistake what is protected.
#[test]
fn what_is_protected_is_removed_only_once_that_is_lifted() {
    let (server, webhook) = stage();
    let http = &server.http;
    webhook.mount(&server, "hook");
    webhook.configure(&server, "hook", &json!({})).ok();
    let protected = json!({"delete_protection": true, "tags": ["prod"]});
    http.post("hook/roles/app", &protected).ok();
    http.post("sys/mounts/hook/tune", &protected).ok();
    let role = http.get("hook/roles/app").data();
    assert_eq!(role["delete_protection"], true, "{role}");
    assert_eq!(role["tags"], json!(["prod"]), "{role}");
    let leased = http.get("hook/creds/app").ok().json();
    let audit = server.audit();
    for event in ["mount.tuned", "role.written"] {
        let told = audit.lines().rfind(|line| line.contains(event));
        let told = told.unwrap();
        assert!(told.contains(r#""delete_protection":true"#), "{told}");
        assert!(told.contains(r#""tags":["prod"]"#), "{told}");
    }

    for path in ["hook/roles/app", "hook/roles/app?revoke=true"] {
        let refused = http.delete(path).refused(409);
        assert!(refused.contains("lessor role write hook app delete_protection=false"));
    }
    let refused = http.delete("sys/mounts/hook").refused(409);
    assert!(refused.contains("lessor mount tune hook --delete-protection false"));
    let lease = leased["lease_id"].as_str().unwrap();
    assert_eq!(server.lookup(lease).data()["state"], "active");
    let wrong = json!({"tags": ["a\nb"]});
    let refused = http.post("sys/mounts/hook/tune", &wrong).refused(400);
    assert!(refused.contains("tags"), "{refused}");

    let tags = |arguments: &[&str]| {
        let done = Command::new(binary())
            .args(["mount", "tune", "hook"])
            .args(arguments)
            .env("LESSOR_ADDR", http.base())
            .env("LESSOR_TOKEN", http.token())
            .stdin(Stdio::null())
            .output()
            .expect("run lessor");
        assert!(done.status.success(), "{done:?}");
        http.get("sys/mounts/hook/tune").data()["tags"].clone()
    };
    assert_eq!(tags(&["--tag", "a", "--tag", "b"]), json!(["a", "b"]));
    assert_eq!(tags(&["--tag", ""]), json!([]));
    let lifted = json!({"delete_protection": false});
    http.post("hook/roles/app", &lifted).ok();
    http.delete("hook/roles/app").ok();
    http.post("sys/mounts/hook/tune", &lifted).ok();
    http.delete("sys/mounts/hook").ok();
    server.await_no_leases("hook/creds");
    assert_eq!(webhook.ids(), Vec::<String>::new());
}
