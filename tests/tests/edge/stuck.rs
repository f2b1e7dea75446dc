//! Leases that upstream does not end: shown, held back while upstream is down, dropped by force
//! with a reason.

use lessor_tests::{fixture::Fixture, wait::eventually_true};
use serde_json::json;

fn metric(fixture: &Fixture, name: &str) -> f64 {
    let text = fixture.server.http.get("sys/metrics").ok().text();
    let line = format!("{name}{{mount=\"db\"}} ");
    let value = text.lines().find_map(|text| text.strip_prefix(&line));
    let value = value.unwrap_or_else(|| panic!("{name} is in:\n{text}"));
    value.parse().expect("a number")
}

#[test]
fn what_is_late_is_listed_and_measured_and_can_be_dropped_by_force() {
    let mut fixture = Fixture::start();
    let (stuck, kept) = (fixture.issue("reader"), fixture.issue("reader"));
    assert_eq!(metric(&fixture, "lessor_leases"), 2.0);
    assert_eq!(
        metric(&fixture, "lessor_oldest_overdue_revocation_seconds"),
        0.0
    );
    fixture.postgres.stop();
    let _ = fixture.revoke(&stuck);
    eventually_true("the failed attempt is recorded", || {
        fixture.server.lookup(&stuck.id).data()["last_error"].is_string()
    });
    fixture.server.advance_clock(30);
    assert!(metric(&fixture, "lessor_oldest_overdue_revocation_seconds") >= 30.0);
    assert_eq!(metric(&fixture, "lessor_leases_revoking"), 1.0);
    let listed = fixture.server.http.get("sys/leases?state=revoking").data();
    assert_eq!(listed["leases"][0]["lease_id"], json!(stuck.id), "{listed}");
    assert!(listed["leases"][0]["last_error"].is_string(), "{listed}");

    let http = &fixture.server.http;
    let force = |body| http.put("sys/leases/revoke", &body);
    let long = json!({"lease_id": stuck.id, "force": true, "reason": "x".repeat(2000)});
    let refused = force(long).refused(400);
    assert!(refused.contains("reason"), "{refused}");
    http.get("sys/leases?state=active").refused(400);

    let forced = http.put(
        "sys/leases/revoke-force/db",
        &json!({"reason": "decommissioned"}),
    );
    let data = forced.clone().data();
    assert_eq!((&data["purged"], &data["marked"]), (&json!(1), &json!(1)));
    assert!(forced.text().contains("may still work"), "{forced:?}");
    assert!(fixture.server.audit().contains("decommissioned"));
    assert!(fixture.server.audit().contains(&stuck.username));
    http.put("sys/leases/lookup", &json!({"lease_id": stuck.id}))
        .refused(400);

    // A lease whose end was never tried upstream is not dropped, but ended.
    fixture.postgres.start_again();
    fixture.server.advance_clock(3600);
    eventually_true("the other lease is ended", || {
        fixture.server.leases("db/creds").is_empty()
    });
    assert!(!fixture.works(&kept));
    assert!(fixture.postgres.leased_roles().contains(&stuck.username));
}

#[test]
fn a_system_that_is_down_is_asked_seldom_and_all_is_ended_once_it_is_back() {
    let mut fixture = Fixture::start();
    for _ in 0..30 {
        fixture.issue("reader");
    }
    fixture.postgres.stop();
    fixture
        .server
        .http
        .put("sys/leases/revoke-prefix/db", &json!({}))
        .ok();
    eventually_true("upstream is taken to be down", || {
        metric(&fixture, "lessor_upstream_down") == 1.0
    });
    fixture.postgres.start_again();
    eventually_true("everything is ended soon after", || {
        fixture.server.advance_clock(10);
        fixture.postgres.leased_roles().is_empty()
    });
    assert_eq!(metric(&fixture, "lessor_upstream_down"), 0.0);
    fixture.await_exactly(&[]);
}

/// A revocation that upstream refuses is never answered as done, by whichever path it was asked
/// for.
#[test]
fn a_revocation_that_upstream_refuses_is_never_told_as_done() {
    let mut fixture = Fixture::start();
    let (one, two) = (fixture.issue("reader"), fixture.issue("reader"));
    fixture.postgres.stop();
    let http = &fixture.server.http;
    let told = fixture.revoke(&one);
    assert_eq!(told.status, 202);
    assert_eq!(told.clone().data()["state"], "revoking", "{told:?}");
    assert!(told.data()["last_error"].is_string());
    let sync = json!({"lease_id": one.id, "sync": true});
    http.put("sys/leases/revoke", &sync).refused(502);
    let sync = json!({"sync": true});
    let refused = http.put("sys/leases/revoke-prefix/db", &sync).refused(502);
    assert!(refused.contains("2 leases below db"), "{refused}");
    let refused = http
        .delete("db/roles/reader?revoke=true&sync=true")
        .refused(502);
    assert!(
        refused.contains("role reader of db is removed"),
        "{refused}"
    );
    let both = json!({"sync": true, "async": true});
    let refused = http.put("sys/leases/revoke-prefix/db", &both).refused(400);
    assert!(
        refused.contains("sync") && refused.contains("async"),
        "{refused}"
    );

    // Vault's clients send no reason: then the audit log says that none was given.
    let force = json!({"lease_id": one.id, "force": true});
    assert_eq!(http.put("sys/leases/revoke", &force).status, 204);
    assert!(fixture.server.audit().contains("no reason was given"));
    let _ = fixture.revoke(&two);
    let forced = http.put("sys/leases/revoke-force/db", &json!({})).data();
    assert_eq!(forced["purged"], 1, "{forced}");
    let nothing = http.put("sys/leases/revoke-force/db", &json!({}));
    assert_eq!(nothing.status, 204);
    let removed = http.delete("sys/mounts/db?sync=true");
    assert_eq!(removed.status, 204);
}
