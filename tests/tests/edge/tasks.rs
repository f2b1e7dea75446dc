//! Work that callers ask for and do not wait for.

use lessor_tests::{
    fixture::{Fixture, GIVEN_UP_SECONDS},
    http::Answer,
    wait::eventually,
};
use serde_json::{Value, json};

/// The task that an answer names.
fn task_of(answer: Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    let data = answer.data();
    data["task_id"].as_str().expect("a task id").to_owned()
}

/// The first view of a task that is over, credential and all.
fn outcome(fixture: &Fixture, task: &str) -> Value {
    eventually("the task is over", || {
        let body = fixture
            .server
            .http
            .get(&format!("sys/tasks/{task}"))
            .ok()
            .json();
        let state = body["data"]["state"].as_str().unwrap_or_default();
        (!matches!(state, "queued" | "processing")).then_some(body)
    })
}

fn issue_async(fixture: &Fixture) -> String {
    task_of(
        fixture
            .server
            .http
            .post("db/creds/reader", &json!({"async": true})),
    )
}

#[test]
fn a_credential_asked_for_asynchronously_is_handed_out_once() {
    let fixture = Fixture::start();
    let task = issue_async(&fixture);
    let done = outcome(&fixture, &task);
    assert_eq!(done["data"]["state"], "succeeded", "{done}");
    let credential = &done["data"]["credential"];
    let (user, password) = (
        credential["username"].as_str().unwrap(),
        credential["password"].as_str().unwrap(),
    );
    assert!(fixture.postgres.accepts(user, password));
    let lease = done["lease_id"].as_str().unwrap();
    assert_eq!(fixture.server.leases("db/creds"), [lease]);

    let again = fixture.server.http.get(&format!("sys/tasks/{task}")).data();
    assert!(again["credential"].is_null(), "{again}");
    assert_eq!(again["has_credential"], false, "{again}");
    let listed = fixture.server.http.list("sys/tasks").data();
    assert_eq!(listed["keys"], json!([task]));
    assert!(!listed.to_string().contains(password));
    let late = fixture
        .server
        .http
        .delete(&format!("sys/tasks/{task}"))
        .refused(409);
    assert!(late.contains("nothing to cancel"), "{late}");
}

#[test]
fn revocations_unmounting_and_rotation_can_be_left_to_a_task() {
    let fixture = Fixture::start();
    let (one, two) = (fixture.issue("reader"), fixture.issue("reader"));
    let revoke = json!({"lease_id": one.id, "async": true});
    let task = task_of(fixture.server.http.put("sys/leases/revoke", &revoke));
    assert_eq!(outcome(&fixture, &task)["data"]["state"], "succeeded");
    fixture.await_exactly(std::slice::from_ref(&two));

    let rotate = fixture
        .server
        .http
        .post("db/rotate-root", &json!({"async": true}));
    let task = task_of(rotate);
    assert_eq!(outcome(&fixture, &task)["data"]["state"], "succeeded");
    assert_eq!(fixture.config_view()["version"], 2);

    let prefix = fixture
        .server
        .http
        .put("sys/leases/revoke-prefix/db", &json!({"async": true}));
    assert_eq!(prefix.clone().data()["marked"], 1);
    assert_eq!(
        outcome(&fixture, &task_of(prefix))["data"]["state"],
        "succeeded"
    );
    fixture.await_exactly(&[]);

    fixture.issue("reader");
    let prefer = [("Prefer", "respond-async")];
    let unmount = fixture
        .server
        .http
        .send("DELETE", "sys/mounts/db", &prefer, None);
    assert_eq!(
        outcome(&fixture, &task_of(unmount))["data"]["state"],
        "succeeded"
    );
    assert!(fixture.postgres.leased_roles().is_empty());
}

#[test]
fn a_failure_stands_in_the_task_with_the_provider_s_code() {
    let mut fixture = Fixture::start();
    fixture.postgres.stop();
    let task = issue_async(&fixture);
    let done = outcome(&fixture, &task);
    assert_eq!(done["data"]["state"], "failed", "{done}");
    let error = &done["data"]["errors"][0];
    assert!(
        error["code"].is_string() && error["description"].is_string(),
        "{done}"
    );
    fixture.server.http.get("sys/tasks/none").refused(400);
}

/// The host dies at each point of a task's life. The task goes on after the
/// restart, as the same operation, and ends with one credential.
#[test]
fn a_task_survives_a_crash_at_every_point() {
    for point in [
        "task.after_queued",
        "task.after_claimed",
        "issue.after_intent",
        "issue.after_create",
        "issue.after_commit",
        "task.after_work",
        "task.after_finished",
    ] {
        let mut fixture = Fixture::with_fault(point);
        let asked = fixture.server.http.try_send(
            "POST",
            "db/creds/reader",
            &[("Content-Type", "application/json")],
            Some(b"{\"async\": true}"),
        );
        fixture.server.await_death();
        fixture.server.restart();
        let task = match asked {
            Ok(answer) => task_of(answer),
            // The server died before it could answer: the task is in the list.
            Err(_) => {
                let keys = fixture.server.http.list("sys/tasks").keys();
                assert_eq!(keys.len(), 1, "{point}: {keys:?}");
                keys[0].clone()
            }
        };
        let done = outcome(&fixture, &task);
        assert_eq!(done["data"]["state"], "succeeded", "{point}: {done}");
        let credential = &done["data"]["credential"];
        let (user, password) = (
            credential["username"].as_str().unwrap(),
            credential["password"].as_str().unwrap(),
        );
        fixture.server.advance_clock(GIVEN_UP_SECONDS);
        assert!(fixture.postgres.accepts(user, password), "{point}");
        assert_eq!(fixture.postgres.leased_roles().len(), 1, "{point}");
        assert_eq!(fixture.server.leases("db/creds").len(), 1, "{point}");
    }
}
