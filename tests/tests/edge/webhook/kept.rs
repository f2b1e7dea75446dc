//! Credentials that are kept and rotated, as rotated and static secrets are elsewhere.

use lessor_tests::{fixture::Fixture, wait::eventually_true};
use serde_json::{Value, json};

use super::{HOUR, Stage};

const DAY: u64 = 24 * HOUR;

/// An account of PostgreSQL whose password the server keeps.
fn kept(fields: &Value) -> Fixture {
    let fixture = Fixture::start();
    fixture
        .postgres
        .sql("create role harness_kept login password 'former-password'");
    let body = lessor_tests::fixture::changed(json!({"username": "harness_kept"}), fields);
    fixture.server.http.post("db/static-roles/kept", &body).ok();
    fixture
}

/// What an application does that stores nothing but a path.
fn fetched(fixture: &Fixture) -> String {
    let data = fixture.server.http.get("db/static-creds/kept").data();
    data["password"].as_str().unwrap().to_owned()
}

fn accepts(fixture: &Fixture, password: &str) -> bool {
    fixture.postgres.accepts("harness_kept", password)
}

/// An interval of days, automatic or not, and the version before.
#[test]
fn akl_14_a_kept_credential_rotates_by_days_and_its_former_version_is_shown() {
    let fixture = kept(&json!({"rotation_period": "30d"}));
    let first = fetched(&fixture);
    fixture.server.advance_clock(29 * DAY);
    assert_eq!(fetched(&fixture), first);
    fixture.server.advance_clock(DAY + HOUR);
    eventually_true("the interval is over", || fetched(&fixture) != first);
    let second = fetched(&fixture);
    assert!(accepts(&fixture, &second) && !accepts(&fixture, &first));
    let former = "db/static-creds/kept?version=previous";
    let former = fixture.server.http.get(former).data();
    assert_eq!(former["password"], first);

    let http = &fixture.server.http;
    let year = json!({"rotation_period": "365d"});
    http.post("db/static-roles/kept", &year).ok();
    let role = http.get("db/static-roles/kept").data();
    assert_eq!(role["rotation_period"], 365 * DAY);
    // Not by itself, but when somebody says so.
    let by_hand = json!({"rotation_period": null, "manual": true});
    http.post("db/static-roles/kept", &by_hand).ok();
    let role = http.get("db/static-roles/kept").data();
    assert!(role["next_rotation"].is_null(), "{role}");
    http.post("db/rotate-role/kept", &json!({})).ok();
    assert_ne!(fetched(&fixture), second);
}

/// An hour of the day, in UTC, of a payload.
#[test]
fn akl_14_a_payload_rotates_at_an_hour_of_utc() {
    let stage = Stage::with(&json!({"rotation_schedule": "0 3 * * *", "rotation_window": "24h"}));
    let config = || stage.server.http.get("hook/config").data();
    let next = config()["next_rotation"].as_str().unwrap().to_owned();
    assert!(next.contains("T03:00:00"), "{next}");
    stage.server.advance_clock(DAY);
    eventually_true("the hour has come", || config()["version"] == 2);
    stage.issue();
}

/// Applications store the path alone: they fetch, and fetch again where a login is refused.
/// The credential is overwritten at the same path.
#[test]
fn akl_16_who_stores_a_path_fetches_again_where_a_login_is_refused() {
    let fixture = kept(&json!({"rotation_period": "24h"}));
    let mut password = fetched(&fixture);
    let mut fetched_again = 0;
    for rotations in 0..3 {
        if !accepts(&fixture, &password) {
            password = fetched(&fixture);
            fetched_again += 1;
        }
        assert!(accepts(&fixture, &password), "after {rotations} rotations");
        let http = &fixture.server.http;
        http.post("db/rotate-role/kept", &json!({})).ok();
    }
    assert_eq!(fetched_again, 2);
}

/// BT-11: the names that credentials have upstream, of the first characters of mount and role.
#[test]
fn bt_11_names_are_given_by_a_template() {
    let fixture = Fixture::start();
    let template = json!({"name_template": "DSS-{mount:8}-{role:8}-{random}"});
    fixture.write_role("administrators", &template).ok();
    let lease = fixture.issue("administrators");
    let random = lease.username.strip_prefix("DSS-db-administ-").unwrap();
    assert_eq!(random.len(), 16, "{}", lease.username);
    assert!(fixture.postgres.accepts(&lease.username, &lease.password));
    // What is written else overrides it, for new credentials.
    let other = json!({"name_template": "orders-{random}"});
    fixture.write_role("administrators", &other).ok();
    let next = fixture.issue("administrators");
    assert!(next.username.starts_with("orders-"), "{}", next.username);
    assert!(fixture.postgres.accepts(&lease.username, &lease.password));
}
