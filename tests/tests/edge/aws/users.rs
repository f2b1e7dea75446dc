//! Users of IAM: made as the role says, ended with all that hangs on them, found again.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
};

use lessor_tests::{
    between::Deed,
    moto::{ACCOUNT, allowing},
    wait::eventually_true,
};
use serde_json::{Value, json};

use super::{Cloud, refusing, standing_in, xml};

/// BT-11 (name), BT-12 (shown once), BT-13 (gone at its end), BT-18 (told when it works),
/// BT-27 (the least that is needed is shown).
#[test]
fn bt_11_12_13_18_27_a_user_is_made_as_the_role_says_and_ended_with_all_that_hangs_on_it() {
    let cloud = Cloud::start();
    let moto = &cloud.moto;
    let policy = allowing(&["iam:ListGroups"]).to_string();
    let policy = json!({"PolicyName": "readers", "PolicyDocument": policy});
    let policy = moto.iam("create_policy", policy)["Policy"]["Arn"].clone();
    moto.iam("create_group", json!({"GroupName": "analysts"}));
    cloud
        .role(
            "reader",
            &json!({
                "policy_arns": [policy],
                "inline_policies": {"more": allowing(&["iam:ListRoles"])},
                "iam_groups": "analysts",
                "iam_tags": ["team=data"],
                "permissions_boundary_arn": policy,
                "name_template": "DSS-{mount:8}-{role:8}-{random}",
            }),
        )
        .ok();
    cloud.between.seen();
    let answer = cloud.server.http.get("aws/creds/reader");
    let lease = super::Leased::of(&answer);
    // moto asks nobody for a boundary before it lets users be made.
    let seen = cloud.between.seen();
    let mut made = seen.iter().filter(|asked| asked.action() == "CreateUser");
    let boundary = made.next().unwrap().field("PermissionsBoundary");
    assert_eq!(json!(boundary), policy);
    let body = answer.json();
    assert!(
        body["effective_after"].is_string()
            || body
                .to_string()
                .contains("honours this credential only from"),
        "{body}"
    );
    assert_eq!(lease.data["security_token"], Value::Null);

    let user = lease.user();
    assert!(
        user.starts_with("DSS-aws-reader-") && user.len() <= 64,
        "{user}"
    );
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/lessor/aws/{user}");
    assert_eq!(lease.data["arn"], arn);
    // boto3 logs in with it, and may what the role grants in each way, and no more.
    assert_eq!(moto.identity(&lease.key), Ok(arn));
    for method in ["list_users", "list_groups", "list_roles"] {
        moto.by(&lease.key, "iam", method, json!({})).unwrap();
    }
    let denied = moto.by(&lease.key, "iam", "list_policies", json!({}));
    assert!(denied.unwrap_err().starts_with("AccessDenied"));
    let tags = moto.iam("list_user_tags", json!({"UserName": user}));
    for (key, value) in [("lessor:mount", "aws"), ("team", "data")] {
        let tag = json!({"Key": key, "Value": value});
        assert!(tags["Tags"].as_array().unwrap().contains(&tag), "{tags}");
    }
    let group = moto.iam("get_group", json!({"GroupName": "analysts"}));
    assert_eq!(group["Users"][0]["UserName"], user);

    // Nobody is shown the secret again, nor told it.
    let shown = cloud.server.lookup(&lease.id).ok().text();
    let told = shown + &cloud.server.log() + &cloud.server.audit();
    assert!(!told.contains(&lease.key.secret_key));
    assert!(!told.contains(&cloud.root.secret_key));

    // A password that somebody gave the user does not keep it.
    moto.iam(
        "create_login_profile",
        json!({"UserName": user, "Password": "Passw0rd!x"}),
    );
    let refusals = AtomicU32::new(0);
    cloud.between.rule(move |asked| {
        // moto deletes a user with a password; AWS does not.
        let first = asked.action() == "DeleteUser" && refusals.fetch_add(1, Ordering::SeqCst) == 0;
        match first {
            true => refusing(
                409,
                "DeleteConflict",
                "Cannot delete entity, must delete login profile first.",
            ),
            false => standing_in(asked),
        }
    });
    cloud.between.seen();
    cloud.revoke(&lease).ok();
    cloud.server.await_no_leases("aws/creds");
    let seen: Vec<_> = cloud
        .between
        .seen()
        .iter()
        .map(|asked| asked.action())
        .collect();
    for action in [
        "DeleteAccessKey",
        "DetachUserPolicy",
        "DeleteUserPolicy",
        "RemoveUserFromGroup",
        "DeleteLoginProfile",
    ] {
        assert!(seen.iter().any(|seen| seen == action), "{action}: {seen:?}");
    }
    assert_eq!(cloud.leased_users(), BTreeSet::new());
    assert!(moto.identity(&lease.key).is_err(), "the key is gone");

    // At its end a lease goes by itself.
    let lease = cloud.lease("reader");
    cloud.server.advance_clock(lease.seconds + 1);
    cloud.await_no_users();

    let shown = cloud
        .server
        .http
        .get("sys/plugins/catalog/secret/aws")
        .text();
    for privilege in [
        "iam:CreateUser",
        "iam:DetachUserPolicy",
        "iam:ListUsers",
        "iam:CreateAccessKey",
    ] {
        assert!(shown.contains(privilege), "{privilege}: {shown}");
    }
}

/// A network that loses answers, and an AWS that throttles and does not know yet what it
/// made: one user, and no more, or none at all.
#[test]
fn bt_17_eventual_consistency_throttling_and_lost_answers_make_no_second_user() {
    let cloud = Cloud::start();
    let policy = json!({"PolicyName": "readers", "PolicyDocument": allowing(&["iam:ListGroups"]).to_string()});
    let policy = cloud.moto.iam("create_policy", policy)["Policy"]["Arn"].clone();
    cloud.role("reader", &json!({"policy_arns": [policy]})).ok();
    let counts: [AtomicU32; 3] = Default::default();
    cloud.between.rule(move |asked| {
        let nth = |place: usize| counts[place].fetch_add(1, Ordering::SeqCst);
        match asked.action().as_str() {
            "CreateUser" if nth(0) == 0 => Deed::LoseAnswer,
            "AttachUserPolicy" if nth(1) < 2 => {
                let name = asked.field("UserName").unwrap();
                refusing(
                    404,
                    "NoSuchEntity",
                    &format!("The user with name {name} cannot be found."),
                )
            }
            "CreateAccessKey" if nth(2) == 0 => refusing(400, "Throttling", "Rate exceeded"),
            _ => standing_in(asked),
        }
    });
    let lease = cloud.lease("reader");
    assert_eq!(cloud.leased_users(), BTreeSet::from([lease.user()]));
    assert_eq!(
        cloud.moto.keys(&lease.user()),
        [lease.key.access_key.as_str()]
    );
    cloud.moto.identity(&lease.key).unwrap();

    // The answer with the only copy of a secret is lost: either another key is made, or
    // the user is ended. Each user that is left has a lease, and one key.
    let lost = AtomicU32::new(0);
    cloud
        .between
        .rule(move |asked| match asked.action().as_str() {
            "CreateAccessKey" if lost.fetch_add(1, Ordering::SeqCst) == 0 => Deed::LoseAnswer,
            _ => standing_in(asked),
        });
    let _ = cloud.server.http.get("aws/creds/reader");
    eventually_true("users and leases agree", || {
        cloud.leased_users() == cloud.users_of_leases()
    });
    for user in cloud.leased_users() {
        assert_eq!(cloud.moto.keys(&user).len(), 1, "{user}");
    }
}

/// The inventory finds this mount's users by path and tag, over several pages, and nobody
/// else's; only named orphans are ended.
#[test]
fn users_without_a_lease_are_found_by_path_and_tag() {
    let cloud = Cloud::start();
    cloud.role("reader", &json!({})).ok();
    cloud
        .role("elsewhere", &json!({"user_path": "/teams/data/"}))
        .ok();
    let make = |name: &str, path: &str, mount: &str| {
        let tags = json!([{"Key": "lessor:mount", "Value": mount}, {"Key": "lessor:operation", "Value": "0".repeat(26)}]);
        cloud.moto.iam(
            "create_user",
            json!({"UserName": name, "Path": path, "Tags": tags}),
        );
        cloud
            .moto
            .iam("create_access_key", json!({"UserName": name}));
    };
    make("orphan-here", "/lessor/aws/", "aws");
    make("orphan-there", "/teams/data/", "aws");
    make("stranger", "/teams/data/", "other");
    cloud
        .moto
        .iam("create_user", json!({"UserName": "nobodys", "Path": "/"}));
    let (here, there) = (cloud.lease("reader"), cloud.lease("elsewhere"));

    let http = &cloud.server.http;
    let orphans = || http.post("aws/reconcile", &json!({})).data()["orphans"].clone();
    assert_eq!(orphans(), json!(["orphan-here"]));
    cloud.configure(&json!({"inventory_path": "/"})).ok();
    // moto lists everything at once; AWS does not.
    cloud.between.rule(|asked| match (asked.action().as_str(), asked.field("Marker")) {
        ("ListUsers", None) => xml(
            200,
            "<ListUsersResponse><ListUsersResult><IsTruncated>true</IsTruncated><Marker>two=</Marker><Users/></ListUsersResult></ListUsersResponse>",
        ),
        ("ListUsers", Some(marker)) if marker != "two=" => refusing(400, "ValidationError", "Invalid Marker"),
        _ => standing_in(asked),
    });
    assert_eq!(orphans(), json!(["orphan-here", "orphan-there"]));

    let body = json!({"dry_run": false, "revoke": ["orphan-here", "orphan-there"]});
    let ended = http.post("aws/reconcile", &body).data();
    assert_eq!(ended["revoked"].as_array().unwrap().len(), 2, "{ended}");
    let left = BTreeSet::from([
        here.user(),
        there.user(),
        "stranger".to_owned(),
        "nobodys".to_owned(),
    ]);
    assert_eq!(cloud.leased_users(), left);

    // A user that lost its mark is not taken for the mount's, and is named.
    let untag = json!({"UserName": here.user(), "TagKeys": ["lessor:mount"]});
    cloud.moto.iam("untag_user", untag);
    let sentence = cloud.server.http.put(
        "sys/leases/revoke",
        &json!({"lease_id": here.id, "sync": true}),
    );
    assert!(sentence.text().contains("lessor:mount"), "{sentence:?}");
    assert!(cloud.leased_users().contains(&here.user()));
}
