//! `kill -9` at every point of issuing, revoking and rotating, and again while that is
//! recovered from. Afterwards AWS has exactly the users of the leases, with one key each,
//! and exactly one root, which works.

use std::{
    sync::{Mutex, mpsc},
    thread,
};

use lessor_tests::{
    between::Deed,
    fixture::{GIVEN_UP_SECONDS, GRACE_SECONDS},
    http::Http,
    moto::{Moto, everything},
    server::Server,
    wait::{PATIENCE, eventually_true},
};
use serde_json::json;

use super::{Cloud, Leased, standing_in};

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
    let root = moto.only_key("lessor");
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
    let mut passed = 0;
    if point == "rotate.after_retired" {
        passed += GRACE_SECONDS;
        cloud.server.advance_clock_to_the_death(passed);
    }
    cloud.server.await_death();
    if !again.is_empty() {
        passed += GIVEN_UP_SECONDS + GRACE_SECONDS;
        cloud.server.restart_with_fault(again);
        // The server dies while it recovers, perhaps before it can answer this.
        cloud.server.advance_clock_to_the_death(passed);
        cloud.server.await_death();
    }
    cloud.server.restart();
    cloud.server.advance_clock(passed + GIVEN_UP_SECONDS);

    aws_has_the_users_of_the_leases(&cloud, &story);
    for lease in &kept {
        assert!(
            cloud.moto.identity(&lease.key).is_ok(),
            "{story}: {lease:?}"
        );
    }
    one_root_is_left(&cloud, &story);
    let rotated = cloud.moto.keys("lessor") != [cloud.root.access_key.clone()];
    assert_eq!(rotated, point.starts_with("rotate."), "{story}");
    let lease = cloud.lease("reader");
    assert!(cloud.moto.identity(&lease.key).is_ok(), "{story}");

    cloud.server.http.delete("sys/mounts/aws").ok();
    cloud.await_no_users();
    cloud.server.kill();
    cloud.moto
}

/// Six lives of a server that two callers lease from and revoke at while its root is
/// rotated. Each is killed while a request to AWS is under way, at a place that nobody
/// chose; AWS takes every second of these requests.
#[test]
fn no_user_and_no_root_is_lost_whenever_the_server_is_killed() {
    let mut cloud = Cloud::start();
    cloud.role("reader", &json!({"default_ttl": "12h"})).ok();
    let handed = Mutex::new(Vec::<Leased>::new());
    let (mut seed, mut passed) = (SEED, 0);
    for life in 0..6 {
        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let place = 1 + (seed >> 16) % 30;
        let story = format!("life {life}, request {place}");
        let (reached, at_the_place) = mpsc::channel();
        let (killed, go_on) = mpsc::channel::<()>();
        let mut left = place;
        cloud.between.rule(move |asked| {
            left = left.saturating_sub(1);
            if left > 0 || reached.send(()).is_err() {
                return standing_in(asked);
            }
            let _ = go_on.recv();
            match life % 2 {
                0 => standing_in(asked),
                _ => Deed::Lose,
            }
        });
        thread::scope(|scope| {
            for _ in 0..2 {
                let http = cloud.server.http.clone();
                scope.spawn(|| until_death(http, &handed));
            }
            let http = cloud.server.http.clone();
            scope.spawn(move || {
                let _ = http.try_send("POST", "aws/rotate-root", &[], None);
            });
            let came = at_the_place.recv_timeout(PATIENCE);
            cloud.server.kill();
            drop((at_the_place, killed));
            came.unwrap_or_else(|_| panic!("{story}: it was not reached"));
        });
        cloud.between.rule(standing_in);
        cloud.server.restart();
        passed += GIVEN_UP_SECONDS;
        cloud.server.advance_clock(passed);

        aws_has_the_users_of_the_leases(&cloud, &story);
        one_root_is_left(&cloud, &story);
        passed += GRACE_SECONDS;
        for lease in handed.lock().unwrap().iter() {
            let known = cloud.moto.identity(&lease.key);
            assert!(known.is_ok(), "{story}: {lease:?}: {known:?}");
        }
    }
    let lease = cloud.lease("reader");
    assert!(cloud.moto.identity(&lease.key).is_ok());
    cloud.server.http.delete("sys/mounts/aws").ok();
    cloud.await_no_users();
}

/// Leases, and gives every second one back, until nobody answers.
fn until_death(http: Http, handed: &Mutex<Vec<Leased>>) {
    let headers = [("Content-Type", "application/json")];
    for count in 0.. {
        let Ok(answer) = http.try_send("POST", "aws/creds/reader", &headers, Some(b"{}")) else {
            return;
        };
        // A root that is being replaced may refuse.
        if answer.status != 200 {
            continue;
        }
        let lease = Leased::of(&answer);
        if count % 2 == 0 {
            handed.lock().unwrap().push(lease);
            continue;
        }
        let body = json!({"lease_id": lease.id}).to_string();
        let revoke = "sys/leases/revoke";
        if http
            .try_send("PUT", revoke, &headers, Some(body.as_bytes()))
            .is_err()
        {
            return;
        }
    }
}

fn aws_has_the_users_of_the_leases(cloud: &Cloud, story: &str) {
    eventually_true(&format!("{story}: AWS has the users of the leases"), || {
        let states = cloud.server.http.get("sys/leases/count").data();
        let states = states["states"].as_object().cloned().unwrap_or_default();
        states.keys().all(|state| state == "active")
            && cloud.leased_users() == cloud.users_of_leases()
    });
    for user in cloud.leased_users() {
        assert_eq!(cloud.moto.keys(&user).len(), 1, "{story}: {user}");
    }
}

/// Waits until no rotation is under way, and only the root in use is left.
fn one_root_is_left(cloud: &Cloud, story: &str) {
    let view = || cloud.server.http.get("aws/config").data();
    eventually_true(&format!("{story}: no rotation is open"), || {
        view()["rotation"].is_null()
    });
    // A former root is ended once its grace is over.
    cloud.server.advance_clock(GRACE_SECONDS);
    eventually_true(&format!("{story}: one root is left"), || {
        view()["ending"] == json!([]) && cloud.moto.keys("lessor").len() == 1
    });
    let in_use = view()["config"]["access_key"].clone();
    assert_eq!(json!(cloud.moto.keys("lessor")), json!([in_use]), "{story}");
}

/// The seed of the places at which the server is killed. Any number does.
const SEED: u32 = 20;
