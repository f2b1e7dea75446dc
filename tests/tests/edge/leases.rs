//! A credential's life: issued, used, renewed, expired, revoked.

use std::collections::BTreeSet;

use lessor_tests::{
    fixture::{Fixture, Lease},
    server::Server,
    wait::eventually_true,
};
use serde_json::json;

#[test]
fn a_leased_credential_logs_in_and_may_do_what_its_role_says() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");

    let login = |sql| {
        fixture
            .postgres
            .query_as(&lease.username, &lease.password, sql)
    };
    assert_eq!(
        login("select value from harness_table").unwrap(),
        "found it"
    );
    let refused = login("insert into harness_table values ('x')").unwrap_err();
    assert!(refused.contains("permission denied"), "{refused}");

    assert_eq!(lease.seconds, 3600);
    assert!(lease.id.starts_with("db/creds/reader/"), "{}", lease.id);
    assert_eq!(lease.id.rsplit('/').next().unwrap().len(), 26);
    fixture.await_exactly(&[lease]);
}

#[test]
fn a_role_may_bring_its_own_statements() {
    let fixture = Fixture::start();
    fixture
        .write_role(
            "own",
            &json!({
                "member_of": null,
                "creation_statements": [
                    "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'",
                    "GRANT SELECT, INSERT ON harness_table TO \"{{name}}\"",
                ],
                "revocation_statements": [
                    "REVOKE ALL ON harness_table FROM \"{{name}}\"",
                    "DROP ROLE IF EXISTS \"{{name}}\"",
                ],
            }),
        )
        .ok();
    let lease = fixture.issue("own");
    fixture
        .postgres
        .query_as(
            &lease.username,
            &lease.password,
            "insert into harness_table values ('x')",
        )
        .unwrap();
    fixture.revoke(&lease).ok();
    fixture.await_exactly(&[]);
}

#[test]
fn a_role_may_declare_grants_without_sql() {
    let fixture = Fixture::start();
    fixture
        .write_role(
            "declared",
            &json!({
                "member_of": null,
                "grants": [{"schema": "public", "tables": ["harness_table"], "privileges": ["SELECT"]}],
            }),
        )
        .ok();
    let lease = fixture.issue("declared");
    let login = |sql| {
        fixture
            .postgres
            .query_as(&lease.username, &lease.password, sql)
    };
    assert_eq!(
        login("select value from harness_table").unwrap(),
        "found it"
    );
    assert!(login("delete from harness_table").is_err());
    // A role that holds privileges and owns things can be dropped only after both are gone.
    fixture
        .postgres
        .sql("grant create on schema public to public");
    login("create table public.left_behind (x int)").unwrap();
    fixture.revoke(&lease).ok();
    fixture.await_exactly(&[]);
}

#[test]
fn renewal_moves_the_end_upstream_too_and_never_past_the_longest_life() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    let first_end = fixture.postgres.valid_until(&lease.username);

    let renewed = fixture.renew(&lease, 7200).ok().json();
    assert_eq!(renewed["lease_id"], json!(lease.id));
    assert_eq!(renewed["renewable"], json!(true));
    let seconds = renewed["lease_duration"].as_u64().unwrap();
    assert!((7190..=7200).contains(&seconds), "{renewed}");
    let second_end = fixture.postgres.valid_until(&lease.username);
    let moved = second_end - first_end;
    assert!((3590..=3620).contains(&moved), "moved by {moved} s");

    // The role's max_ttl of a day counts from the issue, not from the renewal.
    assert_eq!(renewed["warnings"], json!(null));
    let capped = fixture.renew(&lease, 90_000).ok().json();
    let seconds = capped["lease_duration"].as_u64().unwrap();
    assert!((86_300..=86_400).contains(&seconds), "{capped}");
    let warning = capped["warnings"][0].as_str().unwrap();
    assert!(warning.contains("increment (90000 s)"), "{warning}");
    let last_end = fixture.postgres.valid_until(&lease.username);
    assert!(last_end > second_end);
    let life = last_end - (first_end - 3600);
    assert!((86_390..=86_400).contains(&life), "lives for {life} s");
    assert!(fixture.works(&lease));
}

#[test]
fn an_expired_lease_is_gone_upstream() {
    let fixture = Fixture::start();
    let short = fixture.issue("reader");
    let long = Lease::of(
        &fixture
            .server
            .http
            .post("db/creds/reader", &json!({"ttl": "5h"})),
    );
    assert_eq!(long.seconds, 5 * 3600);
    assert!(fixture.works(&short));

    fixture.server.advance_clock(3601);
    fixture.await_exactly(std::slice::from_ref(&long));
    assert!(!fixture.works(&short));
    assert!(fixture.works(&long));
    let gone = fixture.renew(&short, 60).refused(400);
    assert!(gone.contains("lease not found"), "{gone}");
}

#[test]
fn revoking_a_lease_ends_its_open_session() {
    let fixture = Fixture::start();
    let lease = fixture.issue("reader");
    let other = fixture.issue("reader");
    let session = fixture
        .postgres
        .open_session(&lease.username, &lease.password);
    let unconcerned = fixture
        .postgres
        .open_session(&other.username, &other.password);

    fixture.revoke(&lease).ok();
    session.await_end();
    assert!(!fixture.works(&lease));
    assert!(unconcerned.is_open());
    assert!(fixture.works(&other));
    fixture.await_exactly(&[other]);
}

#[test]
fn revoking_a_prefix_ends_what_is_under_it_and_nothing_else() {
    let fixture = Fixture::start();
    fixture.write_role("writer", &json!({})).ok();
    // A role whose name begins with the other's is not under its prefix.
    fixture.write_role("reader-too", &json!({})).ok();
    let ended: Vec<Lease> = (0..5).map(|_| fixture.issue("reader")).collect();
    let kept = [fixture.issue("writer"), fixture.issue("reader-too")];

    let answer = fixture
        .server
        .http
        .put("sys/leases/revoke-prefix/db/creds/reader", &json!({}))
        .ok();
    // The answer is Vault's; a header names the task that goes on.
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    let task = format!("sys/tasks/{}", answer.task.unwrap());
    assert_eq!(
        fixture.server.http.get(&task).data()["kind"],
        "revoke-prefix"
    );
    fixture.await_exactly(&kept);
    for lease in ended {
        assert!(!fixture.works(&lease));
    }
}

#[test]
fn a_changed_role_applies_to_new_leases_only() {
    let fixture = Fixture::start();
    fixture
        .postgres
        .sql("create role harness_writers; grant insert on harness_table to harness_writers");
    let before = fixture.issue("reader");
    fixture
        .write_role(
            "reader",
            &json!({"member_of": ["harness_writers"], "default_ttl": "2h", "max_ttl": "3h"}),
        )
        .ok();
    let after = fixture.issue("reader");

    let may = |lease: &Lease, sql| {
        fixture
            .postgres
            .query_as(&lease.username, &lease.password, sql)
            .is_ok()
    };
    let (read, write) = (
        "select value from harness_table",
        "insert into harness_table values ('x')",
    );
    assert!(may(&before, read) && !may(&before, write));
    assert!(!may(&after, read) && may(&after, write));
    assert_eq!((before.seconds, after.seconds), (3600, 7200));

    // The older lease keeps the longest life that it was made with.
    let renewed = fixture.renew(&before, 12 * 3600).ok().json();
    let seconds = renewed["lease_duration"].as_u64().unwrap();
    assert!((43_190..=43_200).contains(&seconds), "{renewed}");
    fixture.revoke(&before).ok();
    fixture.await_exactly(&[after]);
}

/// A role without limits of its own has those of the mount, and reading and
/// writing it back, as configuration tools do, must not lift them.
#[test]
fn a_role_written_back_as_it_was_read_stays_the_same() {
    let fixture = Fixture::start();
    fixture
        .write_role(
            "reader",
            &json!({"default_ttl": null, "max_ttl": null, "replace": true}),
        )
        .ok();
    let before = fixture.issue("reader");
    let read = fixture.server.http.get("db/roles/reader").data();
    fixture.server.http.post("db/roles/reader", &read).ok();
    assert_eq!(fixture.server.http.get("db/roles/reader").data(), read);
    let after = fixture.issue("reader");
    let month = 768 * 3600;
    assert_eq!((before.seconds, after.seconds), (month, month));
    // At its longest life already, a renewal gives what is left, as Vault does.
    let renewed = fixture.renew(&after, month).ok().json();
    let seconds = renewed["lease_duration"].as_u64().unwrap();
    assert!((month - 60..=month).contains(&seconds), "{renewed}");
    let longer = fixture
        .server
        .http
        .post("db/creds/reader", &json!({"ttl": "769h"}))
        .refused(400);
    assert!(
        longer.contains("max_ttl"),
        "the mount's limit holds: {longer}"
    );
}

/// As in Vault, deleting a role leaves its leases alone. A caller can ask for their end, and
/// then hears how many there are and which task ends with the last.
#[test]
fn leases_outlive_their_role_unless_they_are_to_end_with_it() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    fixture.write_role("writer", &json!({})).ok();
    let (one, two) = (fixture.issue("reader"), fixture.issue("reader"));
    let kept = fixture.issue("writer");
    assert_eq!(http.delete("db/roles/reader").ok().status, 204);
    http.get("db/roles/reader").nothing_here();
    http.get("db/creds/reader").refused(404);
    fixture.renew(&one, 7200).ok();
    fixture.await_exactly(&[one, two, kept.clone()]);

    fixture.write_role("reader", &json!({})).ok();
    let removed = http.delete("db/roles/reader?revoke=true").data();
    assert_eq!(
        (&removed["marked"], &removed["state"]),
        (&json!(2), &json!("revoking"))
    );
    let task = removed["task_id"].as_str().unwrap();
    assert_eq!(
        http.get(&format!("sys/tasks/{task}")).data()["kind"],
        "remove-role"
    );
    fixture.await_exactly(std::slice::from_ref(&kept));

    // By the settings of the mount, and the request waits for the end.
    let tune = json!({"revoke_leases_with_role": true});
    http.post("sys/mounts/db/tune", &tune).ok();
    let removed = http.delete("db/roles/writer?sync=true").data();
    assert_eq!(
        (&removed["marked"], &removed["state"]),
        (&json!(1), &json!("revoked"))
    );
    assert!(fixture.postgres.leased_roles().is_empty());
    assert_eq!(http.delete("db/roles/writer?revoke=true").ok().status, 204);
}

/// Migrations write back what Vault shows of a role without lengths of its own: that lifts no
/// bound.
#[test]
fn a_length_of_zero_is_none_and_only_a_word_is_without_end() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let tune = json!({"default_lease_ttl": "10m", "max_lease_ttl": "1h"});
    http.post("sys/mounts/db/tune", &tune).ok();
    for lengths in [
        json!({"default_ttl": 0, "max_ttl": 0}),
        json!({"default_ttl": "0", "max_ttl": "0s"}),
        json!({"default_ttl": "", "max_ttl": ""}),
        json!({"default_ttl": 0, "max_ttl": "never"}),
    ] {
        fixture.write_role("reader", &lengths).ok();
        let lease = fixture.issue("reader");
        assert_eq!(lease.seconds, 600, "{lengths}");
        let asked = Lease::of(&http.post("db/creds/reader", &json!({"ttl": 0})));
        assert_eq!(asked.seconds, 600, "{lengths}");
        let renewed = fixture.renew(&lease, 864_000).ok().json();
        let seconds = renewed["lease_duration"].as_u64().unwrap();
        assert!((3_500..=3_600).contains(&seconds), "{lengths}: {renewed}");
        assert!(renewed["warnings"][0].is_string(), "{lengths}: {renewed}");
    }
    let endless = json!({"default_ttl": "never", "max_ttl": "never"});
    let warned = fixture.write_role("reader", &endless).ok().json();
    assert!(
        warned["warnings"][0]
            .as_str()
            .unwrap()
            .contains("max_lease_ttl=never")
    );
    assert_eq!(fixture.issue("reader").seconds, 3600);

    http.post("sys/mounts/db/tune", &json!({"max_lease_ttl": "never"}))
        .ok();
    assert_eq!(
        http.get("sys/mounts/db/tune").data()["max_lease_ttl"],
        "never"
    );
    let lease = http.get("db/creds/reader").ok().json();
    assert_eq!(
        (&lease["lease_duration"], &lease["renewable"]),
        (&json!(0), &json!(false))
    );
    let id = lease["lease_id"].as_str().unwrap();
    assert_eq!(fixture.server.lookup(id).data()["expire_time"], json!(null));
    let renewal = json!({"lease_id": id, "increment": "1h"});
    let refused = http.put("sys/leases/renew", &renewal).refused(400);
    assert!(refused.contains("has no end"), "{refused}");
    let role = http.get("db/roles/reader").data();
    assert_eq!(
        (&role["default_ttl"], &role["max_ttl"]),
        (&json!("never"), &json!("never"))
    );
    http.post("db/roles/reader", &role).ok();
    for body in [
        json!({"default_ttl": "never", "max_ttl": "1h"}),
        json!({"default_ttl": "forever"}),
    ] {
        let refused = fixture
            .server
            .http
            .post("db/roles/reader", &body)
            .refused(400);
        assert!(refused.contains("default_ttl"), "{refused}");
    }
}

#[test]
fn a_write_of_a_role_keeps_what_it_does_not_name_unless_it_replaces_the_role() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let whole = json!({
        "member_of": ["harness_readers"], "default_ttl": "1h", "max_ttl": "2h", "max_leases": 7,
        "bind_to_token": false, "db_name": "orders",
    });
    http.post("db/roles/app", &whole).ok();
    let before = http.get("db/roles/app").data();
    http.post("db/roles/app", &json!({"default_ttl": "30m"}))
        .ok();
    let mut after = http.get("db/roles/app").data();
    assert_eq!(after["default_ttl"].take(), json!(1800));
    for (name, value) in after.as_object().unwrap() {
        assert!(
            name == "default_ttl" || before[name] == *value,
            "{name}: {value}"
        );
    }
    let anew = json!({"member_of": ["harness_readers"], "replace": true});
    http.post("db/roles/app", &anew).ok();
    let replaced = http.get("db/roles/app").data();
    assert_eq!(
        (&replaced["max_leases"], &replaced["max_ttl"]),
        (&json!(0), &json!(0))
    );
    assert!(replaced.get("db_name").is_none() && replaced.get("replace").is_none());
}

#[test]
fn unmounting_revokes_the_leases_of_the_mount() {
    let fixture = Fixture::start();
    fixture.mount("other/db").ok();
    fixture.configure("other/db").ok();
    let role = json!({"member_of": ["harness_readers"]});
    fixture
        .server
        .http
        .post("other/db/roles/reader", &role)
        .ok();
    fixture.server.http.get("other/db/creds/reader").ok();
    let kept = fixture.issue("reader");
    assert_eq!(fixture.postgres.leased_roles().len(), 2);

    let removed = fixture.server.http.delete("sys/mounts/other/db").data();
    assert_eq!(removed["marked"], json!(1));
    assert!(removed["task_id"].is_string(), "{removed}");
    let refused = fixture.server.http.get("other/db/creds/reader");
    assert!((400..500).contains(&refused.status), "{refused:?}");
    fixture.await_exactly(&[kept]);
    fixture.server.await_no_leases("other/db/creds");
}

/// Callers make sixteen mounts at once and remove half of them: no mount is missing, and no
/// removed one stays.
#[test]
fn mounts_made_and_removed_at_once_are_all_seen() {
    let server = Server::start();
    std::thread::scope(|scope| {
        for number in 0..16 {
            let server = &server;
            scope.spawn(move || {
                let mount = format!("sys/mounts/m{number}");
                let body = json!({"type": "certificate"});
                server.http.post(&mount, &body).ok();
                server.http.get(&mount).ok();
                if number % 2 == 0 {
                    server.http.delete(&mount).ok();
                    assert!(server.http.get(&mount).status >= 400);
                }
            });
        }
    });
    let mounts = server.http.get("sys/mounts").data();
    for number in 0..16 {
        let shown = mounts.get(format!("m{number}/")).is_some();
        assert_eq!(shown, number % 2 == 1, "m{number}: {mounts}");
    }
}

#[test]
fn passwords_conform_to_the_policy_of_the_role() {
    let fixture = Fixture::start();
    let policy = json!({
        "length": 20, "lower": 4, "upper": 3, "digits": 5, "symbols": 2,
        "symbol_set": "_+", "starts_with_letter": true,
    });
    fixture
        .write_role("strict", &json!({"password_policy": policy}))
        .ok();
    for _ in 0..10 {
        let lease = fixture.issue("strict");
        let count = |class: fn(&char) -> bool| lease.password.chars().filter(class).count();
        assert_eq!(lease.password.chars().count(), 20);
        assert!(count(char::is_ascii_lowercase) >= 4, "{}", lease.password);
        assert!(count(char::is_ascii_uppercase) >= 3, "{}", lease.password);
        assert!(count(char::is_ascii_digit) >= 5, "{}", lease.password);
        assert!(count(|c| "_+".contains(*c)) >= 2, "{}", lease.password);
        assert_eq!(
            count(|c| !c.is_ascii_alphanumeric() && !"_+".contains(*c)),
            0
        );
        assert!(
            lease
                .password
                .starts_with(|c: char| c.is_ascii_alphabetic())
        );
        assert!(fixture.works(&lease));
    }
}

#[test]
fn no_two_credentials_share_a_name_or_a_password() {
    let fixture = Fixture::start();
    let leases: Vec<Lease> = (0..8).map(|_| fixture.issue("reader")).collect();
    let names: BTreeSet<_> = leases.iter().map(|lease| &lease.username).collect();
    let passwords: BTreeSet<_> = leases.iter().map(|lease| &lease.password).collect();
    let ids: Vec<_> = leases.iter().map(|lease| lease.id.clone()).collect();
    assert_eq!((names.len(), passwords.len()), (8, 8));
    // Lease ids sort by time, so a listing reads as a history.
    assert_eq!(fixture.server.leases("db/creds/reader"), ids);
}

#[test]
fn leases_survive_a_restart_of_the_server() {
    let mut fixture = Fixture::start();
    let (renewed, revoked) = (fixture.issue("reader"), fixture.issue("reader"));
    let status = fixture.server.stop();
    assert!(status.success(), "SIGTERM is a clean end, not {status}");
    fixture.server.restart();

    assert!(fixture.works(&renewed) && fixture.works(&revoked));
    fixture.renew(&renewed, 7200).ok();
    fixture.revoke(&revoked).ok();
    let issued = fixture.issue("reader");
    fixture.await_exactly(&[renewed.clone(), issued.clone()]);

    fixture.server.kill();
    fixture.server.restart();
    fixture.await_exactly(&[renewed, issued]);
}

#[test]
fn a_lease_ended_while_the_server_was_down_is_ended_when_it_is_back() {
    let mut fixture = Fixture::start();
    fixture.issue("reader");
    fixture.server.kill();
    fixture.server.restart();
    fixture.server.advance_clock(3601);
    fixture.await_exactly(&[]);
    eventually_true("the lease is forgotten", || {
        fixture.server.leases("db/creds").is_empty()
    });
}
