//! `kill -9` at every point of issuing, ending and rotating, with a webhook that knows its
//! calls again: afterwards it holds what leases hold, and takes the payload that is known.

use std::collections::BTreeSet;

use lessor_tests::{server::Server, wait::eventually_true};
use serde_json::json;

use super::Stage;

const POINTS: [&str; 12] = [
    "issue.before_intent",
    "issue.after_intent",
    "issue.after_create",
    "issue.after_commit",
    "revoke.after_mark",
    "revoke.after_provider",
    "revoke.after_commit",
    "rotate.after_open",
    "rotate.after_provider",
    "rotate.after_staged",
    "rotate.after_proven",
    "rotate.after_promoted",
];

/// When a call of a dead process can no longer take effect, the timeout of a mount being a
/// minute; leases last longer.
const GIVEN_UP_SECONDS: u64 = 600;

#[test]
fn nothing_is_lost_at_a_webhook_whatever_the_point_of_the_crash() {
    for point in POINTS {
        crash(point);
    }
}

fn crash(point: &str) {
    let setup = Server::setup().fault(point);
    let mut stage = Stage::on(setup, &json!({"idempotency_header": "Idempotency-Key"}));
    let known = json!({"idempotency": "Idempotency-Key"});
    stage.webhook.control(&known);
    let http = stage.server.http.clone();
    let kept = match point.split_once('.').unwrap().0 {
        "issue" => {
            http.post_to_the_death("hook/creds/app", &json!({}));
            None
        }
        "revoke" => {
            let (gone, kept) = (stage.issue(), stage.issue());
            http.post_to_the_death("sys/leases/revoke", &json!({"lease_id": gone.lease}));
            Some(kept)
        }
        _ => {
            let kept = stage.issue();
            http.post_to_the_death("hook/rotate-root", &json!({}));
            Some(kept)
        }
    };
    stage.server.await_death();
    stage.server.restart();
    stage.server.advance_clock(GIVEN_UP_SECONDS);
    eventually_true(
        &format!("{point}: the webhook has what leases hold"),
        || {
            let leases = stage.server.leases("hook/creds");
            let views = leases.iter().map(|lease| stage.server.lookup(lease).json());
            let views: Vec<_> = views.collect();
            let settled = views.iter().all(|view| view["data"]["state"] == "active");
            let held: BTreeSet<String> = views
                .iter()
                .filter_map(|view| view["data"]["credential_id"].as_str())
                .map(str::to_owned)
                .collect();
            settled && held == stage.webhook.ids().into_iter().collect()
        },
    );
    eventually_true(&format!("{point}: no rotation is open"), || {
        stage.server.http.get("hook/config").data()["rotation"].is_null()
    });
    if let Some(kept) = kept {
        let ids = stage.webhook.ids();
        assert!(ids.contains(&kept.username), "{point}: {ids:?}");
    }
    let leased = stage.issue();
    stage.revoke(&leased.lease).ok();
}
