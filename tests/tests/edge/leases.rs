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
    let longer = fixture.renew(&lease, 90_000).refused(400);
    assert!(longer.contains("increment"), "{longer}");
    assert_eq!(fixture.postgres.valid_until(&lease.username), second_end);
    let capped = fixture.renew(&lease, 86_400).ok().json();
    let seconds = capped["lease_duration"].as_u64().unwrap();
    assert!((86_300..=86_400).contains(&seconds), "{capped}");
    let last_end = fixture.postgres.valid_until(&lease.username);
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
    assert!(matches!(answer.status, 200 | 202 | 204), "{answer:?}");
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
        .write_role("reader", &json!({"default_ttl": null, "max_ttl": null}))
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

#[test]
fn deleting_a_role_revokes_its_leases() {
    let fixture = Fixture::start();
    fixture.write_role("writer", &json!({})).ok();
    fixture.issue("reader");
    fixture.issue("reader");
    let kept = fixture.issue("writer");
    fixture.server.http.delete("db/roles/reader").ok();
    fixture.await_exactly(&[kept]);
    fixture.server.http.get("db/roles/reader").nothing_here();
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

    fixture.server.http.delete("sys/mounts/other/db").ok();
    let refused = fixture.server.http.get("other/db/creds/reader");
    assert!((400..500).contains(&refused.status), "{refused:?}");
    fixture.await_exactly(&[kept]);
    fixture.server.await_no_leases("other/db/creds");
}

/// Sixteen mounts made, and half of them removed, by callers at once: none is
/// lost from sight and none stays behind.
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
