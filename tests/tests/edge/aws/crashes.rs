//! `kill -9` at every point of issuing, revoking and rotating, and again while that is
//! recovered from. Afterwards AWS has exactly the users of the leases, with one key each,
//! and exactly one root, which works.

use lessor_tests::{
    fixture::GIVEN_UP_SECONDS,
    moto::{Moto, everything},
    server::Server,
    wait::eventually_true,
};
use serde_json::json;

use super::Cloud;

/// The points, and where the recovery dies once more.
const CRASHES: [(&str, &str); 19] = [
    ("issue.before_intent", ""),
    ("issue.after_intent", ""),
    ("issue.after_create", ""),
    ("issue.after_commit", ""),
    ("issue.after_create", "revoke.after_provider"),
    ("issue.after_create", "revoke.after_commit"),
    ("revoke.after_mark", ""),
    ("revoke.after_provider", ""),
    ("revoke.after_commit", ""),
    ("revoke.after_mark", "revoke.after_provider"),
    ("rotate.after_open", ""),
    ("rotate.after_provider", ""),
    ("rotate.after_staged", ""),
    ("rotate.after_proven", ""),
    ("rotate.after_promoted", ""),
    ("rotate.after_retired", ""),
    ("rotate.after_provider", "rotate.after_provider"),
    ("rotate.after_staged", "rotate.after_proven"),
    ("rotate.after_promoted", "rotate.after_retired"),
];

#[test]
fn no_user_and_no_root_is_lost_whatever_the_point_of_the_crash() {
    let mut moto = Moto::start();
    moto.user("lessor", &everything());
    for (point, again) in CRASHES {
        moto = crash(moto, point, again);
    }
}

fn crash(moto: Moto, point: &str, again: &str) -> Moto {
    let story = format!("{point} {again}");
    for key in moto.keys("lessor") {
        moto.iam(
            "delete_access_key",
            json!({"UserName": "lessor", "AccessKeyId": key}),
        );
    }
    let made = moto.iam("create_access_key", json!({"UserName": "lessor"}));
    let text = |field: &str| made["AccessKey"][field].as_str().unwrap().to_owned();
    let root = lessor_tests::moto::Key::of(&text("AccessKeyId"), &text("SecretAccessKey"));
    let mut cloud = Cloud::on(moto, root, Server::setup().fault(point));
    cloud.role("reader", &json!({})).ok();
    let http = cloud.server.http.clone();
    let kept = match point.split_once('.').unwrap().0 {
        "issue" => {
            http.post_to_the_death("aws/creds/reader", &json!({}));
            vec![]
        }
        "revoke" => {
            let (gone, kept) = (cloud.lease("reader"), cloud.lease("reader"));
            http.post_to_the_death("sys/leases/revoke", &json!({"lease_id": gone.id}));
            vec![kept]
        }
        _ => {
            let kept = cloud.lease("reader");
            // The process may die in the scheduler, after the answer.
            let headers = [("Content-Type", "application/json")];
            let _ = http.try_send("POST", "aws/rotate-root", &headers, Some(b"{}"));
            vec![kept]
        }
    };
    cloud.server.await_death();
    let mut passed = 0;
    if !again.is_empty() {
        passed += GIVEN_UP_SECONDS;
        cloud.server.restart_with_fault(again);
        // The server dies while it recovers, perhaps before it can answer this.
        let body = format!("{{\"advance\": \"{passed}s\"}}");
        let headers = [("Content-Type", "application/json")];
        let http = &cloud.server.http;
        let _ = http.try_send("PUT", "sys/test/clock", &headers, Some(body.as_bytes()));
        cloud.server.await_death();
    }
    cloud.server.restart();
    cloud.server.advance_clock(passed + GIVEN_UP_SECONDS);

    eventually_true(&format!("{story}: AWS has the users of the leases"), || {
        let states = cloud.server.http.get("sys/leases/count").data();
        let states = states["states"].as_object().cloned().unwrap_or_default();
        states.keys().all(|state| state == "active")
            && cloud.leased_users() == cloud.users_of_leases()
    });
    for user in cloud.leased_users() {
        assert_eq!(cloud.moto.keys(&user).len(), 1, "{story}: {user}");
    }
    for lease in &kept {
        assert!(
            cloud.moto.identity(&lease.key).is_ok(),
            "{story}: {lease:?}"
        );
    }
    eventually_true(
        &format!("{story}: no rotation is open, one root is left"),
        || {
            let view = cloud.server.http.get("aws/config").data();
            view["rotation"].is_null() && cloud.moto.keys("lessor").len() == 1
        },
    );
    let rotated = cloud.moto.keys("lessor") != [cloud.root.access_key.clone()];
    assert_eq!(rotated, point.starts_with("rotate."), "{story}");
    let lease = cloud.lease("reader");
    assert!(cloud.moto.identity(&lease.key).is_ok(), "{story}");

    cloud.server.http.delete("sys/mounts/aws").ok();
    cloud.await_no_users();
    cloud.server.kill();
    cloud.moto
}
