//! The cases that users of other systems for cloud accounts know: limits of roles, changes
//! that count for new accounts, cascades, accounts that could not be deleted, and a root that
//! is renewed every day.

use std::collections::BTreeSet;

use lessor_tests::{moto::allowing, wait::eventually_true};
use serde_json::json;

use super::{Cloud, Leased, refusing, standing_in};

/// BT-08 (policy ARNs alone make a role), BT-09 and BT-10 (the longest time of a role bounds
/// what is asked for), BT-20 (a changed role counts for new accounts alone).
#[test]
fn bt_08_09_10_20_a_role_of_policy_arns_bounds_what_is_leased_from_it() {
    let cloud = Cloud::start();
    let moto = &cloud.moto;
    let policy = |name: &str, action: &str| {
        let document = allowing(&[action]).to_string();
        let policy = json!({"PolicyName": name, "PolicyDocument": document});
        moto.iam("create_policy", policy)["Policy"]["Arn"].clone()
    };
    let (groups, roles) = (
        policy("groups", "iam:ListGroups"),
        policy("roles", "iam:ListRoles"),
    );
    let of = |arn| json!({"policy_document": null, "policy_arns": [arn], "max_ttl": "2h"});
    cloud.role("reader", &of(&groups)).ok();
    let http = &cloud.server.http;
    let long = http.post("aws/creds/reader", &json!({"ttl": "9h"}));
    assert!(long.refused(400).contains("max_ttl"));
    let before = Leased::of(&http.post("aws/creds/reader", &json!({"ttl": "2h"})));
    assert!(before.seconds <= 7200, "{}", before.seconds);

    cloud.role("reader", &of(&roles)).ok();
    let after = cloud.lease("reader");
    let may = |lease: &Leased, method| moto.by(&lease.key, "iam", method, json!({})).is_ok();
    assert!(may(&before, "list_groups") && !may(&before, "list_roles"));
    assert!(may(&after, "list_roles") && !may(&after, "list_groups"));
}

/// BT-21: what is removed takes with it what was leased from it, upstream too.
#[test]
fn bt_21_a_role_and_a_mount_that_are_removed_take_their_users_along() {
    let cloud = Cloud::start();
    cloud.role("reader", &json!({})).ok();
    cloud.role("other", &json!({})).ok();
    let (gone, kept) = (cloud.lease("reader"), cloud.lease("other"));
    let http = &cloud.server.http;
    http.delete("aws/roles/reader?revoke=true").ok();
    eventually_true("the role's users are ended", || {
        cloud.leased_users() == BTreeSet::from([kept.user()])
    });
    assert!(cloud.moto.identity(&gone.key).is_err());
    cloud.moto.identity(&kept.key).unwrap();
    http.delete("sys/mounts/aws").ok();
    cloud.await_no_users();
}

/// BT-22: where AWS does not let a user be deleted, the call says so and the lease stays;
/// by force it is forgotten here alone, and the inventory finds the user again.
#[test]
fn bt_22_a_user_that_aws_keeps_is_told_and_forgotten_by_force_alone() {
    let cloud = Cloud::start();
    cloud.role("reader", &json!({})).ok();
    let lease = cloud.lease("reader");
    cloud.between.rule(|asked| match asked.action().as_str() {
        "DeleteUser" => refusing(
            403,
            "AccessDenied",
            "User: x is not authorized to perform: iam:DeleteUser",
        ),
        _ => standing_in(asked),
    });
    let http = &cloud.server.http;
    let revoke = |how: &str| {
        let body = json!({"lease_id": lease.id, how: true});
        http.put("sys/leases/revoke", &body)
    };
    let refused = revoke("sync").refused(502);
    assert!(
        refused.contains("allow iam:DeleteUser in its policy"),
        "{refused}"
    );
    let view = cloud.server.lookup(&lease.id).data();
    assert_ne!(view["state"], "active", "{view}");
    assert!(view["last_error"].as_str().unwrap().contains("DeleteUser"));
    // It is not there any more for whoever has its key.
    assert!(cloud.moto.identity(&lease.key).is_err());

    revoke("force").ok();
    assert_eq!(cloud.server.leases("aws/creds"), Vec::<String>::new());
    assert_eq!(cloud.leased_users(), BTreeSet::from([lease.user()]));
    cloud.between.rule(standing_in);
    let found = http.post("aws/reconcile", &json!({})).data();
    assert_eq!(found["orphans"], json!([lease.user()]));
    let end = json!({"dry_run": false, "revoke": [lease.user()]});
    http.post("aws/reconcile", &end).ok();
    cloud.await_no_users();
}

/// BT-15: the root is rotated as soon as it is written, where that is asked for, and then
/// every day.
#[test]
fn bt_15_the_root_is_rotated_at_once_and_then_every_day() {
    let cloud = Cloud::start();
    let daily = json!({"rotate_on_config": true, "rotation_period": "24h"});
    cloud.configure(&daily).ok();
    let one_is_left = || {
        // The former one is ended once its grace is over.
        cloud.server.advance_clock(61);
        eventually_true("one root is left", || cloud.moto.keys("lessor").len() == 1);
        cloud.moto.keys("lessor").remove(0)
    };
    let first = one_is_left();
    assert_ne!(first, cloud.root.access_key);
    cloud.server.advance_clock(24 * 3600);
    eventually_true("a second rotation", || {
        cloud.server.http.get("aws/config").data()["config"]["access_key"] != first
    });
    let second = one_is_left();
    assert_ne!(second, first);
    cloud.role("reader", &json!({})).ok();
    cloud.lease("reader");
}
