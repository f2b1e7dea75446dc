//! Changes that come by time, without any request, and failures.

use lessor_tests::{
    fixture::Fixture,
    postgres::Postgres,
    server::{Server, binary},
    toy::{TOKEN, Toy},
};
use serde_json::{Value, json};

use super::{Reader, Told, send};

/// The events that these tests cause and that no successful operation does.
pub(super) const EVENTS: &[&str] = &[
    "static_role.missed",
    "static_role.not_rotated",
    "config.not_rotated",
    "hold.begun",
    "hold.released",
    "installation.initialised_again",
    "lease.expired",
    "lease.forced",
    "lease.not_issued",
    "lease.not_revoked",
    "orphan.not_revoked",
    "rotation.abandoned",
    "rotation.failed",
    "rotation.forced",
    "rotation.former_ended",
    "rotation.given_up",
    "rotation.missed",
    "rotation.put_off",
    "rotation.retried",
    "rotation.undone",
    "rotation.waiting",
    "secret_id.expired",
    "token.expired",
    "upstream.lost",
    "upstream.returned",
];

/// The newest line of an event.
fn newest(server: &Server, event: &str) -> Value {
    let audit = server.audit();
    let line = |line: &&str| line.contains(&format!("\"event\":\"{event}\""));
    let found = audit.lines().rfind(line);
    serde_json::from_str(found.unwrap_or_else(|| panic!("no {event}"))).unwrap()
}

/// Sends a request, and waits for exactly these events of it.
#[track_caller]
fn step(
    reader: &mut Reader,
    server: &Server,
    operation: &str,
    body: Value,
    events: &[&str],
) -> lessor_tests::http::Answer {
    let (method, path) = operation.split_once(' ').unwrap();
    let answer = send(&server.http, method, path, &body);
    let what = format!("{operation}: {} {:.300}", answer.status, answer.text());
    reader.expect(server, &what, &Told::of(events, &[]));
    answer
}

/// Moves the clock, and waits for exactly these events.
#[track_caller]
fn pass(reader: &mut Reader, server: &Server, seconds: u64, events: &[&str]) {
    server.advance_clock(seconds);
    let what = format!("{seconds} s pass");
    reader.expect(server, &what, &Told::of(&[], events));
}

fn made(answer: lessor_tests::http::Answer, pointer: &str) -> String {
    let answer = answer.ok().json();
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap()
        .to_owned()
}

#[test]
fn what_ends_at_its_time_is_told_without_a_request() {
    let fixture = Fixture::start();
    let server = &fixture.server;
    let reader = &mut Reader::behind(server);
    let lease = step(
        reader,
        server,
        "GET db/creds/reader?ttl=60s",
        Value::Null,
        &["lease.issued"],
    );
    let lease = made(lease, "/lease_id");
    let parent = json!({"policies": ["default"], "ttl": "1m"});
    let first = step(
        reader,
        server,
        "POST auth/token/create",
        parent.clone(),
        &["token.created"],
    );
    let second = step(
        reader,
        server,
        "POST auth/token/create",
        parent,
        &["token.created"],
    );
    pass(reader, server, 61, &["lease.expired", "token.expired"]);
    assert_eq!(newest(server, "lease.expired")["lease"], json!(lease));
    let ended = newest(server, "token.expired");
    let mut expected = [
        made(first, "/auth/accessor"),
        made(second, "/auth/accessor"),
    ];
    expected.sort();
    let mut found = ended["accessors"].as_array().unwrap().clone();
    found.sort_by_key(ToString::to_string);
    assert_eq!(json!(found), json!(expected));
    assert_eq!((&ended["tokens"], &ended["leases"]), (&json!(2), &json!(0)));

    // The lease ends with its token: first the token has its event, then the lease.
    let bound = json!({"member_of": ["harness_readers"], "bind_to_token": true});
    step(
        reader,
        server,
        "POST db/roles/bound",
        bound,
        &["role.written"],
    )
    .ok();
    let rules = json!({"policy": "path \"*\" { capabilities = [\"read\"] }"});
    step(
        reader,
        server,
        "PUT sys/policies/acl/reads",
        rules,
        &["policy.written"],
    )
    .ok();
    let body = json!({"policies": ["reads"], "ttl": "1m", "num_uses": 5});
    let made_token = step(
        reader,
        server,
        "POST auth/token/create",
        body,
        &["token.created"],
    );
    let holder = server
        .http
        .with_token(&made(made_token.clone(), "/auth/client_token"));
    holder.get("db/creds/bound").ok();
    reader.expect(
        server,
        "a lease of the token",
        &Told::of(&["lease.issued"], &[]),
    );
    let revoke = json!({"accessor": made(made_token, "/auth/accessor")});
    server.http.post("auth/token/revoke-accessor", &revoke).ok();
    reader.expect(
        server,
        "the token ends",
        &Told::of(&["token.revoked"], &["lease.revoked"]),
    );
    assert_eq!(newest(server, "token.revoked")["leases"], 1);

    let body = json!({"type": "approle"});
    step(
        reader,
        server,
        "POST sys/auth/approle",
        body,
        &["login.enabled"],
    )
    .ok();
    let entry = ["login_entry.written"];
    step(
        reader,
        server,
        "POST auth/approle/role/app",
        json!({}),
        &entry,
    )
    .ok();
    let secret_id = "POST auth/approle/role/app/secret-id";
    step(
        reader,
        server,
        secret_id,
        json!({"ttl": "1m"}),
        &["secret_id.created"],
    )
    .ok();
    pass(reader, server, 61, &[]);
    step(
        reader,
        server,
        "POST auth/approle/tidy/secret-id",
        json!({}),
        &["secret_id.expired"],
    )
    .ok();
    assert_eq!(newest(server, "secret_id.expired")["count"], 1);
}

/// An event names the tokens that end along with the one that made them.
#[test]
fn a_token_that_ends_is_told_with_those_that_it_made() {
    let server = Server::start();
    let reader = &mut Reader::behind(&server);
    let sudo = json!({"policy": "path \"auth/token/*\" { capabilities = [\"create\", \"update\", \"sudo\"] }"});
    step(
        reader,
        &server,
        "PUT sys/policies/acl/makes",
        sudo,
        &["policy.written"],
    )
    .ok();
    let body = json!({"policies": ["makes"]});
    let parent = step(
        reader,
        &server,
        "POST auth/token/create",
        body.clone(),
        &["token.created"],
    );
    let holder = server
        .http
        .with_token(&made(parent.clone(), "/auth/client_token"));
    let child = send(&holder, "POST", "auth/token/create", &body);
    reader.expect(&server, "a child", &Told::of(&["token.created"], &[]));
    let body = json!({"accessor": made(parent.clone(), "/auth/accessor")});
    step(
        reader,
        &server,
        "POST auth/token/revoke-accessor",
        body,
        &["token.revoked"],
    )
    .ok();
    let told = newest(&server, "token.revoked");
    assert_eq!(told["accessor"], json!(made(parent, "/auth/accessor")));
    assert_eq!(told["with"], json!([made(child, "/auth/accessor")]));
}

#[test]
fn rotations_that_come_by_time_are_told_step_by_step() {
    let fixture = Fixture::start();
    let server = &fixture.server;
    fixture
        .postgres
        .sql("create role harness_app login password 'former'");
    let reader = &mut Reader::behind(server);
    let day = json!({"rotation_period": "24h"});
    step(reader, server, "POST db/config", day, &["config.written"]).ok();
    let role = json!({"username": "harness_app", "rotation_period": "24h"});
    let written = ["static_role.written", "static_role.rotated"];
    step(reader, server, "POST db/static-roles/app", role, &written).ok();
    pass(
        reader,
        server,
        24 * 3600 + 1,
        &[
            "rotation.begun",
            "rotation.staged",
            "rotation.completed",
            "static_role.rotation_begun",
            "static_role.rotated",
        ],
    );
    // Schedules at night with a window of an hour, which the clock then passes.
    let nightly =
        json!({"rotation_schedule": "0 3 * * *", "rotation_window": "1h", "rotation_period": 0});
    step(
        reader,
        server,
        "POST db/config",
        nightly,
        &["config.written"],
    )
    .ok();
    let nightly = json!({"username": "harness_app", "rotation_schedule": "0 3 * * *", "rotation_window": "1h"});
    step(
        reader,
        server,
        "POST db/static-roles/app",
        nightly,
        &["static_role.changed"],
    )
    .ok();
    let next = server.http.get("db/config").data()["next_rotation"].clone();
    reader.expect(server, "a look at the config", &Told::default());
    // Beyond the window of the next night, and before the one after, whatever the
    // time of day is: by then the server's clock shows five.
    assert_eq!(&next.as_str().unwrap()[11..], "03:00:00.000Z");
    let changed = newest(server, "static_role.changed")["time"].clone();
    let of_day = |from, to| changed.as_str().unwrap()[from..to].parse::<u64>().unwrap();
    let now = of_day(11, 13) * 3600 + of_day(14, 16) * 60 + of_day(17, 19);
    let until_five = 5 * 3600 + if now < 3 * 3600 { 0 } else { 24 * 3600 } - now;
    pass(
        reader,
        server,
        until_five,
        &["rotation.missed", "static_role.missed"],
    );
    assert_eq!(newest(server, "static_role.missed")["static_role"], "app");
}

#[test]
fn what_goes_wrong_upstream_is_told() {
    let mut fixture = Fixture::start();
    fixture
        .postgres
        .sql("create role harness_app login password 'former'");
    for _ in 0..6 {
        fixture.issue("reader");
    }
    let http = fixture.server.http.clone();
    let role = json!({"username": "harness_app", "manual": true});
    http.post("db/static-roles/app", &role).ok();
    let reader = &mut Reader::behind(&fixture.server);

    fixture.postgres.stop();
    let server = &fixture.server;
    step(
        reader,
        server,
        "GET db/creds/reader",
        Value::Null,
        &["lease.not_issued"],
    )
    .refused(502);
    assert_eq!(newest(server, "lease.not_issued")["maybe_made"], false);
    let events = ["static_role.rotation_begun", "static_role.not_rotated"];
    step(
        reader,
        server,
        "POST db/rotate-role/app",
        json!({}),
        &events,
    )
    .refused(502);
    let events = ["rotation.begun", "rotation.abandoned"];
    step(reader, server, "POST db/rotate-root", json!({}), &events).refused(502);

    http.put("sys/leases/revoke-prefix/db", &json!({})).ok();
    reader.meet(
        server,
        "leases that are not ended",
        &["lease.not_revoked", "upstream.lost"],
    );
    http.put("sys/leases/revoke-force/db", &json!({"reason": "gone"}))
        .ok();
    reader.meet(server, "a lease is dropped", &["lease.forced"]);
    assert_eq!(newest(server, "lease.forced")["reason"], "gone");
    fixture.postgres.start_again();
    let server = &fixture.server;
    http.get("db/creds/reader").ok();
    reader.meet(server, "upstream is back", &["upstream.returned"]);
}

/// A root that is no superuser cannot drop one.
#[test]
fn an_orphan_that_cannot_be_ended_is_told_of() {
    let fixture = Fixture::with(Server::setup(), Postgres::role_creator);
    fixture.postgres.sql(
        "create role orphan_one superuser; \
         comment on role orphan_one is 'lessor:db:00000000000000000000000001'",
    );
    let reader = &mut Reader::behind(&fixture.server);
    let body = json!({"dry_run": false, "revoke": ["orphan_one"]});
    let events = ["task.queued", "orphan.not_revoked", "task.ended"];
    step(reader, &fixture.server, "POST db/reconcile", body, &events).ok();
}

/// Two mounts with one root would lock each other out, so that neither rotates it.
#[test]
fn a_config_whose_root_cannot_be_rotated_says_so() {
    let fixture = Fixture::start();
    fixture.mount("other").ok();
    let server = &fixture.server;
    let reader = &mut Reader::behind(server);
    let mut config = fixture.config();
    config["rotate_on_config"] = json!(true);
    let events = ["config.written", "rotation.put_off", "config.not_rotated"];
    step(reader, server, "POST other/config", config, &events).ok();
}

/// A server with a mount of the provider `keys` that has a root credential.
fn keys_server(toy: &Toy, answers: &str) -> Server {
    let server = Server::start();
    server.bring_and_pin("keys", "test/keys.wasm");
    let mount = json!({"type": "keys", "config": {"allowed_hosts": [toy.origin()]}});
    server.http.post("sys/mounts/keys", &mount).ok();
    let config = json!({"url": toy.origin(), "token": TOKEN, "answers": answers});
    server.http.post("keys/config", &config).ok();
    server
}

/// A rotation that waits for the operator, taken up and given up.
#[test]
fn what_an_operator_decides_of_a_rotation_is_told() {
    let toy = Toy::start();
    let server = keys_server(&toy, "wrong");
    let reader = &mut Reader::behind(&server);
    let waits = ["rotation.begun", "rotation.waiting"];
    step(reader, &server, "POST keys/rotate-root", json!({}), &waits).refused(409);
    let undone = ["rotation.given_up", "rotation.undone"];
    step(
        reader,
        &server,
        "POST keys/rotate-root/abort",
        json!({}),
        &undone,
    )
    .ok();
    step(reader, &server, "POST keys/rotate-root", json!({}), &waits).refused(409);
    let taken = ["rotation.retried", "rotation.completed"];
    step(
        reader,
        &server,
        "POST keys/rotate-root/retry",
        json!({"accept": true}),
        &taken,
    )
    .ok();
    // The grace of the former one is over.
    pass(reader, &server, 61, &["rotation.former_ended"]);
}

/// A root credential that a rotation leaves is ended later. Where that fails, each attempt has
/// its event, and only force drops the credential.
#[test]
fn a_former_root_that_cannot_be_ended_is_told_of() {
    let toy = Toy::start();
    let server = keys_server(&toy, "");
    let reader = &mut Reader::behind(&server);
    let rotated = ["rotation.begun", "rotation.staged", "rotation.completed"];
    step(
        reader,
        &server,
        "POST keys/rotate-root",
        json!({}),
        &rotated,
    )
    .ok();
    drop(toy);
    server.advance_clock(61);
    reader.meet(
        &server,
        "the former one cannot be ended",
        &["rotation.failed"],
    );
    assert!(newest(&server, "rotation.failed")["next"].is_string());
    let body = json!({"reason": "gone"});
    server.http.put("sys/leases/revoke-force/keys", &body).ok();
    reader.meet(&server, "it is dropped", &["rotation.forced"]);
    assert_eq!(newest(&server, "rotation.forced")["credentials"], 1);
}

#[test]
fn a_restore_and_its_end_are_told() {
    let mut fixture = Fixture::start();
    let home = fixture.server.data().parent().unwrap().to_owned();
    let backup = home.join("backup");
    let lessor = |server: &Server, words: &[&str]| {
        let done = std::process::Command::new(binary())
            .args(words)
            .env("LESSOR_ADDR", server.http.base())
            .env("LESSOR_TOKEN", server.http.token())
            .output()
            .expect("run lessor");
        assert!(done.status.success(), "{words:?}: {done:?}");
    };
    lessor(&fixture.server, &["backup", backup.to_str().unwrap()]);
    fixture.server.kill();
    let data = fixture.server.data();
    std::fs::rename(&data, home.join("lost")).unwrap();
    let words = [
        "restore",
        backup.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
    ];
    lessor(&fixture.server, &words);
    std::fs::copy(home.join("lost/root.key"), data.join("root.key")).unwrap();
    let reader = &mut Reader::behind(&fixture.server);
    fixture.server.restart();
    reader.expect(
        &fixture.server,
        "the restored server",
        &Told::of(&[], &["hold.begun"]),
    );
    assert_eq!(newest(&fixture.server, "hold.begun")["mounts"], 1);
    step(
        reader,
        &fixture.server,
        "POST sys/hold/release",
        json!({}),
        &["hold.released"],
    )
    .ok();
}

#[test]
fn an_initialisation_that_is_repeated_is_told() {
    let mut server = Server::setup().start_uninitialised();
    server.initialise();
    let reader = &mut Reader::behind(&server);
    step(
        reader,
        &server,
        "PUT sys/init",
        json!({}),
        &["installation.initialised_again"],
    )
    .ok();
}
