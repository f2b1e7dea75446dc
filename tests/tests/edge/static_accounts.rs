//! Existing accounts: their password is renewed, and the password that is shown is the one that
//! works.

use std::thread;

use lessor_tests::{
    fixture::{Fixture, GIVEN_UP_SECONDS, changed},
    http::Answer,
    refusal::{Case, refuse_all},
    wait::{eventually, eventually_true},
};
use serde_json::{Value, json};

/// The account's password before lessor knew it.
const FORMER: &str = "former-password";

/// An account that nobody leased.
fn account(fixture: &Fixture, name: &str) {
    fixture
        .postgres
        .sql(&format!("create role {name} login password '{FORMER}'"));
}

/// A static role of an account, by hand where no schedule is named.
fn of_account(name: &str, fields: &Value) -> Value {
    let body = changed(json!({"username": name, "manual": true}), fields);
    let scheduled = |name: &str| ["rotation_period", "rotation_schedule"].contains(&name);
    match fields
        .as_object()
        .unwrap()
        .keys()
        .any(|name| scheduled(name))
    {
        true => changed(body, &json!({"manual": null})),
        false => body,
    }
}

/// Writes the static role `app` of the account `harness_app`.
fn write(fixture: &Fixture, fields: &Value) -> Answer {
    let body = of_account("harness_app", fields);
    fixture.server.http.post("db/static-roles/app", &body)
}

/// A server with that account and static role.
fn with_account(fields: &Value) -> Fixture {
    let fixture = Fixture::start();
    account(&fixture, "harness_app");
    write(&fixture, fields).ok();
    fixture
}

fn rotate(fixture: &Fixture) -> Answer {
    fixture.server.http.post("db/rotate-role/app", &json!({}))
}

fn shown(fixture: &Fixture) -> Value {
    fixture.server.http.get("db/static-creds/app").data()
}

fn password(fixture: &Fixture) -> String {
    shown(fixture)["password"].as_str().unwrap().to_owned()
}

fn role(fixture: &Fixture) -> Value {
    fixture.server.http.get("db/static-roles/app").data()
}

fn accepts(fixture: &Fixture, password: &str) -> bool {
    fixture.postgres.accepts("harness_app", password)
}

/// Waits until the credential of this version is in force and nothing is open.
fn await_version(fixture: &Fixture, version: u32) {
    eventually_true(&format!("version {version} is in force"), || {
        let role = role(fixture);
        role["version"] == json!(version) && role["state"] == "idle"
    });
}

#[test]
fn an_imported_account_logs_in_with_the_password_shown_and_no_other() {
    let fixture = with_account(&json!({"rotation_period": "24h"}));
    assert!(!accepts(&fixture, FORMER));
    let first = shown(&fixture);
    assert_eq!(first["username"], "harness_app");
    assert_eq!(first["port"], json!(fixture.postgres.port()));
    assert_eq!(first["rotation_period"], json!(86_400));
    let ttl = first["ttl"].as_u64().unwrap();
    assert!((86_000..=86_400).contains(&ttl), "{first}");
    assert!(first["last_vault_rotation"].is_string(), "{first}");
    let first = password(&fixture);
    assert!(accepts(&fixture, &first));

    assert_eq!(rotate(&fixture).ok().status, 204);
    let second = password(&fixture);
    assert_ne!(first, second);
    assert!(accepts(&fixture, &second) && !accepts(&fixture, &first));
    let previous = fixture
        .server
        .http
        .get("db/static-creds/app?version=previous")
        .data();
    assert_eq!(previous["password"], first);

    let http = &fixture.server.http;
    assert_eq!(http.list("db/static-roles").keys(), ["app"]);
    let role = role(&fixture);
    assert_eq!(role["username"], "harness_app");
    assert_eq!(role["state"], "idle");
    assert!(
        role["next_rotation"].is_string() && role["last_error"].is_null(),
        "{role}"
    );

    // The static role is gone, and the account upstream is unchanged.
    http.delete("db/static-roles/app").ok();
    assert!(accepts(&fixture, &second));
    http.list("db/static-roles").nothing_here();
    http.get("db/static-creds/app").nothing_here();
    http.get("db/static-roles/app").nothing_here();
}

#[test]
fn a_period_comes_round_and_a_restart_neither_skips_nor_repeats() {
    let mut fixture = with_account(&json!({"rotation_period": "1h"}));
    let first = password(&fixture);
    fixture.server.advance_clock(3601);
    await_version(&fixture, 2);
    let second = password(&fixture);
    assert!(accepts(&fixture, &second) && !accepts(&fixture, &first));

    let before = role(&fixture);
    fixture.server.kill();
    fixture.server.restart();
    fixture.issue("reader");
    assert_eq!(role(&fixture), before);
    assert_eq!(password(&fixture), second);
    fixture.server.advance_clock(2 * 3601);
    await_version(&fixture, 3);
    assert!(accepts(&fixture, &password(&fixture)));
}

#[test]
fn an_account_is_rotated_by_cron() {
    let fixture = with_account(&json!({
        "rotation_schedule": "30 2 * * *", "rotation_window": "24h", "skip_import_rotation": true
    }));
    assert!(accepts(&fixture, FORMER));
    let role = role(&fixture);
    assert_eq!(role["rotation_schedule"], "30 2 * * *");
    assert_eq!(role["rotation_window"], json!(86_400));
    assert!(role["last_vault_rotation"].is_null(), "{role}");
    let next = role["next_rotation"].as_str().unwrap();
    assert!(next.ends_with("T02:30:00.000Z"), "{next}");
    let unknown = fixture.server.http.get("db/static-creds/app").refused(409);
    assert!(unknown.contains("first rotated at"), "{unknown}");
    fixture.server.advance_clock(86_400);
    await_version(&fixture, 1);
    assert!(accepts(&fixture, &password(&fixture)));
    assert!(!accepts(&fixture, FORMER));
    let credential = shown(&fixture);
    assert_eq!(credential["rotation_schedule"], "30 2 * * *");
    assert!(credential["ttl"].as_u64().unwrap() <= 86_400);
}

/// A rotation dies at `point`; the password shown is the one that works.
fn rotation_dies_at(point: &str) {
    let mut fixture = Fixture::with_fault(point);
    account(&fixture, "harness_app");
    write(&fixture, &json!({"skip_import_rotation": true})).ok();
    fixture
        .server
        .http
        .post_to_the_death("db/rotate-role/app", &json!({}));
    let status = fixture.server.await_death();
    assert!(!status.success(), "{point} was not reached: {status}");
    let upstream_changed = !accepts(&fixture, FORMER);
    assert_eq!(upstream_changed, point != "rotate-account.after_open");
    fixture.server.restart();
    fixture.server.advance_clock(GIVEN_UP_SECONDS);
    await_version(&fixture, 1);
    assert!(accepts(&fixture, &password(&fixture)));
    assert!(!accepts(&fixture, FORMER));
    // And the next rotation finds it in order.
    rotate(&fixture).ok();
    await_version(&fixture, 2);
    assert!(accepts(&fixture, &password(&fixture)));
}

#[test]
fn a_rotation_that_dies_after_it_was_opened_is_finished() {
    rotation_dies_at("rotate-account.after_open");
}

/// The password is changed upstream and stored nowhere: the repeat must arrive
/// at the very same one.
#[test]
fn a_rotation_that_dies_after_the_provider_is_finished_with_the_same_password() {
    rotation_dies_at("rotate-account.after_provider");
}

#[test]
fn a_rotation_that_dies_after_it_was_stored_is_not_made_again() {
    rotation_dies_at("rotate-account.after_stored");
}

#[test]
fn an_import_that_dies_is_finished() {
    let mut fixture = Fixture::with_fault("rotate-account.after_provider");
    account(&fixture, "harness_app");
    fixture.server.http.post_to_the_death(
        "db/static-roles/app",
        &of_account("harness_app", &json!({})),
    );
    assert!(!fixture.server.await_death().success());
    assert!(!accepts(&fixture, FORMER));
    fixture.server.restart();
    await_version(&fixture, 1);
    assert!(accepts(&fixture, &password(&fixture)));
}

#[test]
fn a_rotation_that_failed_shows_why_and_is_made_up() {
    let mut fixture = with_account(&json!({}));
    let first = password(&fixture);
    fixture.postgres.stop();
    let sentence = rotate(&fixture).refused(502);
    assert!(sentence.contains("refused"), "{sentence}");
    let failing = role(&fixture);
    assert_eq!(failing["state"], "rotating");
    assert!(failing["attempts"].as_u64().unwrap() >= 1, "{failing}");
    assert!(failing["next_attempt"].is_string(), "{failing}");
    assert!(failing["last_error"].is_string(), "{failing}");
    // The change never reached upstream: the shown password still works.
    assert_eq!(password(&fixture), first);

    fixture.postgres.start_again();
    fixture.server.advance_clock(900);
    await_version(&fixture, 2);
    assert!(role(&fixture)["last_error"].is_null());
    assert!(accepts(&fixture, &password(&fixture)));
}

#[test]
fn accounts_and_the_root_are_rotated_at_once_and_none_is_lost() {
    let fixture = with_account(&json!({"rotation_period": "24h"}));
    for name in ["harness_b", "harness_c"] {
        account(&fixture, name);
        let body = of_account(name, &json!({}));
        let path = format!("db/static-roles/{name}");
        fixture.server.http.post(&path, &body).ok();
    }
    let http = &fixture.server.http;
    thread::scope(|scope| {
        for name in ["app", "harness_b", "harness_c", "app"] {
            scope.spawn(move || {
                for _ in 0..8 {
                    http.post(&format!("db/rotate-role/{name}"), &json!({}))
                        .ok();
                }
            });
        }
        for _ in 0..8 {
            http.post("db/rotate-root", &json!({})).ok();
        }
    });
    await_version(&fixture, 17);
    for (role, account) in [
        ("app", "harness_app"),
        ("harness_b", "harness_b"),
        ("harness_c", "harness_c"),
    ] {
        let credential = http.get(&format!("db/static-creds/{role}")).data();
        let password = credential["password"].as_str().unwrap();
        assert!(fixture.postgres.accepts(account, password), "{account}");
    }
    assert_eq!(fixture.config_view()["version"], json!(9));
}

#[test]
fn no_password_of_an_account_is_told_to_anybody_but_its_readers() {
    let fixture = with_account(&json!({"rotation_period": "24h"}));
    let first = password(&fixture);
    rotate(&fixture).ok();
    let second = password(&fixture);
    let data = std::fs::read_dir(fixture.server.data()).unwrap();
    let mut found: Vec<String> = data
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned())
        .collect();
    found.push(fixture.server.audit());
    found.push(fixture.server.log());
    found.push(role(&fixture).to_string());
    for secret in [&first, &second] {
        assert!(!found.iter().any(|text| text.contains(secret.as_str())));
    }
    assert!(
        fixture
            .server
            .audit()
            .contains("rotated an account's credential")
    );
    let stranger = fixture.server.http.without_token();
    for path in ["db/static-creds/app", "db/static-roles/app"] {
        stranger.get(path).refused(403);
    }
}

#[test]
fn an_unmounted_provider_leaves_its_accounts_as_they_are() {
    let fixture = with_account(&json!({"rotation_period": "1h"}));
    let password = password(&fixture);
    fixture.server.http.delete("sys/mounts/db").ok();
    fixture.mount("db").ok();
    fixture.configure("db").ok();
    fixture.server.http.list("db/static-roles").nothing_here();
    assert!(accepts(&fixture, &password));
    write(&fixture, &json!({})).ok();
    assert!(!accepts(&fixture, &password));
}

#[test]
fn bad_static_roles_are_refused_and_change_nothing() {
    let fixture = with_account(&json!({"rotation_period": "24h"}));
    account(&fixture, "harness_b");
    fixture
        .server
        .http
        .post("sys/mounts/pki", &json!({"type": "certificate"}))
        .ok();
    fixture.mount("bare").ok();
    let of_b = |fields: Value| of_account("harness_b", &fields);
    let before = (role(&fixture), shown(&fixture)["password"].clone());
    let root = fixture.root.username.clone();

    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        ("no account", "POST", "db/static-roles/b", json!({}), 400, &["username is required"]),
        ("an account that is no text", "POST", "db/static-roles/b", json!({"username": 5}), 400, &["username"]),
        ("an account that is not there", "POST", "db/static-roles/b", of_account("nobody", &json!({})), 400, &["nobody"]),
        ("another role's account", "POST", "db/static-roles/b", of_account("harness_app", &json!({})), 409, &["harness_app", "static role app"]),
        ("the root's account", "POST", "db/static-roles/b", of_account(&root, &json!({})), 409, &[&root, "rotate-root"]),
        ("a root that has a static role", "POST", "db/config", changed(fixture.config(), &json!({"username": "harness_app"})), 409, &["config.username", "static role app"]),
        ("another account for a role", "POST", "db/static-roles/app", of_b(json!({})), 409, &["harness_app", "cannot be changed"]),
        ("an unknown field", "POST", "db/static-roles/b", of_b(json!({"rotation_perod": "1d"})), 400, &["rotation_perod", "rotation_period"]),
        ("no schedule", "POST", "db/static-roles/b", json!({"username": "harness_b"}), 400, &["rotation_period", "manual=true"]),
        ("another kind of credential", "POST", "db/static-roles/b", of_b(json!({"credential_type": "rsa_private_key"})), 400, &["credential_type"]),
        ("statements that do not set the password", "POST", "db/static-roles/b", of_b(json!({"rotation_statements": ["ALTER ROLE x"]})), 400, &["rotation_statements"]),
        ("a role that leases too", "POST", "db/static-roles/b", of_b(json!({"member_of": ["harness_readers"]})), 400, &["write two roles"]),
        ("period and schedule", "POST", "db/static-roles/b", of_b(json!({"rotation_period": "1d", "rotation_schedule": "0 3 * * *"})), 400, &["rotation_period", "rotation_schedule"]),
        ("an unknown schedule", "POST", "db/static-roles/b", of_b(json!({"rotation_schedule": "@daily"})), 400, &["rotation_schedule", "@daily"]),
        ("a schedule that never fires", "POST", "db/static-roles/b", of_b(json!({"rotation_schedule": "0 0 30 2 *"})), 400, &["never fires"]),
        ("a window alone", "POST", "db/static-roles/b", of_b(json!({"rotation_window": "2h"})), 400, &["rotation_window"]),
        ("a window too short", "POST", "db/static-roles/b", of_b(json!({"rotation_schedule": "0 3 * * *", "rotation_window": "59m"})), 400, &["rotation_window", "1h"]),
        ("a window too long", "POST", "db/static-roles/b", of_b(json!({"rotation_schedule": "0 3 * * *", "rotation_window": "25h"})), 400, &["rotation_window", "86400 s"]),
        ("a period too short", "POST", "db/static-roles/b", of_b(json!({"rotation_period": "1s"})), 400, &["rotation_period", "5 s"]),
        ("a word for a truth", "POST", "db/static-roles/b", of_b(json!({"skip_import_rotation": "no"})), 400, &["skip_import_rotation"]),
        ("two passwords at a time", "POST", "db/static-roles/b", of_b(json!({"keep": 2})), 400, &["keep must be 1", "write keep=1"]),
        ("two passwords at a time for a role that is there", "POST", "db/static-roles/app", json!({"keep": "2"}), 400, &["keep must be 1"]),
        ("a provider without accounts", "POST", "pki/static-roles/b", of_account("x", &json!({})), 400, &["no static roles"]),
        ("a mount without config", "POST", "bare/static-roles/b", of_b(json!({})), 400, &["no config"]),
        ("no such mount", "POST", "nowhere/static-roles/b", of_b(json!({})), 404, &["nowhere"]),
        ("no such static role", "POST", "db/rotate-role/ap", json!({}), 404, &["ap", "app"]),
        ("an unknown version", "GET", "db/static-creds/app?version=3", json!({}), 400, &["previous"]),
        ("no previous version", "GET", "db/static-creds/app?version=previous", json!({}), 409, &["no previous"]),
    ];
    refuse_all(&fixture.server.http, cases);
    assert_eq!(
        (role(&fixture), shown(&fixture)["password"].clone()),
        before
    );
    assert!(fixture.postgres.accepts("harness_b", FORMER));
    assert_eq!(fixture.server.http.list("db/static-roles").keys(), ["app"]);
}

/// Six attempts are made soon, and then one a day.
#[test]
fn an_account_that_upstream_has_lost_is_out_of_sync() {
    let fixture = with_account(&json!({}));
    fixture.postgres.sql("drop role harness_app");
    let sentence = rotate(&fixture).refused(400);
    assert!(sentence.contains("harness_app"), "{sentence}");
    let mut failed = 0;
    let stuck = eventually("the account is out of sync", || {
        let role = role(&fixture);
        let attempts = role["attempts"].as_u64().unwrap();
        if role["state"] == "out-of-sync" {
            return Some(role);
        }
        if attempts > failed {
            failed = attempts;
            fixture.server.advance_clock(300);
        }
        None
    });
    assert_eq!(stuck["attempts"], json!(6));
    assert!(
        stuck["last_error"]
            .as_str()
            .unwrap()
            .contains("harness_app")
    );
    // Back upstream, it is taken up again at the next daily attempt.
    account(&fixture, "harness_app");
    fixture.server.advance_clock(86_400);
    await_version(&fixture, 2);
    assert!(accepts(&fixture, &password(&fixture)));
}

/// Terraform and operators write back what they read, and clients of Vault send fields that
/// have a meaning only there.
#[test]
fn a_static_role_takes_what_it_shows_and_what_vaults_clients_send() {
    let fixture =
        with_account(&json!({"rotation_period": "1h", "rotation_grace": "5m", "db_name": "pg"}));
    let before = role(&fixture);
    let http = &fixture.server.http;
    assert_eq!(http.post("db/static-roles/app", &before).ok().status, 204);
    assert_eq!(role(&fixture), before);
    // One field alone changes that and no other.
    http.post("db/static-roles/app", &json!({"rotation_period": "2h"}))
        .ok();
    let after = role(&fixture);
    assert_eq!(after["rotation_period"], json!(7200));
    assert_eq!(
        (&after["rotation_grace"], &after["db_name"]),
        (&json!(300), &json!("pg"))
    );

    account(&fixture, "harness_b");
    let body = json!({
        "username": "harness_b", "db_name": "pg", "rotation_period": 3600, "credential_type": "password",
        "credential_config": {"password_policy": "x"}, "rotation_statements": ["ALTER USER \"{{name}}\" WITH PASSWORD '{{password}}';"]
    });
    let warned = http.post("db/static-roles/b", &body).ok();
    let warnings = warned.json()["warnings"].to_string();
    assert!(
        warnings.contains("credential_config") && !warnings.contains("rotation_statements"),
        "{warnings}"
    );
    let shown = http.get("db/static-creds/b").data();
    assert_eq!(
        (&shown["state"], &shown["expires"]),
        (&json!("valid"), &Value::Null)
    );
    let password = shown["password"].as_str().unwrap();
    assert!(fixture.postgres.accepts("harness_b", password));
}

/// Two owners of an account would each end the other's password, and lock the mount out.
#[test]
fn an_account_has_one_owner_over_all_mounts() {
    let fixture = with_account(&json!({"rotation_period": "1h"}));
    let http = &fixture.server.http;
    fixture
        .postgres
        .sql("create role harness_low login createrole password 'low'");
    fixture.mount("other").ok();
    let low = changed(
        fixture.config(),
        &json!({"username": "harness_low", "password": "low"}),
    );
    http.post("other/config", &low).ok();
    let root = &fixture.root;
    let taken = |path: &str, account: &str, owner: &str| {
        let sentence = http
            .post(path, &of_account(account, &json!({})))
            .refused(409);
        assert!(sentence.contains(owner), "{sentence}");
    };
    taken("db/static-roles/x", "harness_low", "other/rotate-root");
    taken("other/static-roles/x", &root.username, "db/rotate-root");
    taken(
        "other/static-roles/x",
        "harness_app",
        "static role app of db",
    );
    let config = changed(
        fixture.config(),
        &json!({"username": "harness_app", "password": password(&fixture)}),
    );
    let sentence = http.post("other/config", &config).refused(409);
    assert!(sentence.contains("static role app of db"), "{sentence}");

    // Two mounts may have one root, and then neither changes its password.
    let shared = http.post("other/config", &fixture.config()).ok();
    assert!(shared.text().contains("mount db too"), "{}", shared.text());
    for path in ["db/rotate-root", "other/rotate-root"] {
        let sentence = http.post(path, &json!({})).refused(409);
        assert!(
            sentence.contains("give each mount an account of its own"),
            "{sentence}"
        );
    }
    assert!(fixture.postgres.accepts(&root.username, &root.password));
    http.delete("other/config").ok();
    http.post("db/rotate-root", &json!({})).ok();
    assert!(!fixture.postgres.accepts(&root.username, &root.password));
}
