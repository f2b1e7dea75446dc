//! Bad input, and an AWS that refuses: one sentence that names the field or the privilege
//! and the way out, nothing changed, nothing left behind.

use std::sync::atomic::{AtomicU32, Ordering};

use lessor_tests::moto::allowing;
use serde_json::{Value, json};

use super::{Cloud, refusing, simulated, standing_in, xml};

/// The state of the mount, and of the account.
fn state(cloud: &Cloud) -> Value {
    let http = &cloud.server.http;
    json!({
        "config": http.get("aws/config").ok().json()["data"],
        "roles": http.list("aws/roles").keys(),
        "leases": cloud.server.leases("aws/creds"),
        "users": cloud.moto.users(),
        "keys": cloud.moto.keys("lessor"),
    })
}

#[test]
fn bt_06_a_config_that_cannot_work_is_refused_by_the_field() {
    let cloud = Cloud::start();
    let before = state(&cloud);
    let secret = cloud.root.secret_key.clone();
    let grants = json!({"allowed_hosts": [cloud.between.origin(), "https://sts.xx-nowhere-1.amazonaws.com"]});
    cloud.server.http.post("sys/mounts/aws/tune", &grants).ok();
    let first = secret.chars().next().unwrap();
    let other = if first == 'x' { "y" } else { "x" };
    let wrong_secret = format!("{other}{}", &secret[1..]);
    for (what, changes, says) in [
        (
            "unknown key",
            json!({"access_key": "AKIAUNKNOWN000000000"}),
            vec!["does not know the access key", "InvalidClientTokenId"],
        ),
        (
            "wrong secret",
            json!({"secret_key": wrong_secret}),
            vec!["does not belong to the access key"],
        ),
        (
            "newline in the secret",
            json!({"secret_key": format!("{secret}\n")}),
            vec!["config.secret_key ends with a newline"],
        ),
        (
            "no secret",
            json!({"secret_key": null}),
            vec!["config.secret_key is missing"],
        ),
        (
            "no root",
            json!({"access_key": null, "secret_key": null}),
            vec!["no root credential", "identity_token_audience"],
        ),
        (
            "two roots",
            json!({"instance_credentials": true}),
            vec!["access_key, instance_credentials", "leave all but one"],
        ),
        (
            "no region",
            json!({"region": "Frankfurt"}),
            vec!["config.region", "eu-central-1"],
        ),
        (
            "a region without the service",
            json!({"region": "xx-nowhere-1", "sts_endpoint": null}),
            vec!["is a region of AWS that has the service sts"],
        ),
        (
            "half a web identity",
            json!({"access_key": null, "secret_key": null, "identity_token_audience": "sts.amazonaws.com"}),
            vec!["config.role_arn is missing"],
        ),
        (
            "empty fields of a client of Vault",
            json!({"access_key": "", "secret_key": "", "instance_endpoint": ""}),
            vec!["no root credential"],
        ),
        (
            "no path",
            json!({"inventory_path": "x"}),
            vec!["config.inventory_path"],
        ),
        (
            "a template of Go",
            json!({"username_template": "{{ .DisplayName }}"}),
            vec!["name_template"],
        ),
        (
            "a misspelt field",
            json!({"acces_key": "x"}),
            vec!["config.acces_key", "access_key"],
        ),
        (
            "an endpoint without a grant",
            json!({"sts_endpoint": "http://127.0.0.1:9"}),
            vec!["http://127.0.0.1:9", "allow"],
        ),
    ] {
        let answer = cloud.configure(&changes);
        assert!((400..503).contains(&answer.status), "{what}: {answer:?}");
        let text = answer.text();
        assert_eq!(
            answer.json()["errors"].as_array().unwrap().len(),
            1,
            "{what}: {text}"
        );
        for part in says {
            assert!(text.contains(part), "{what}: {text}");
        }
        assert!(!text.contains(&secret[1..]), "{what}: {text}");
    }
    // An AWS that refuses for reasons of its own.
    for (what, deed, says) in [
        (
            "an expired root",
            refusing(
                403,
                "ExpiredToken",
                "The security token included in the request is expired",
            ),
            "is over",
        ),
        (
            "a skewed clock",
            refusing(
                403,
                "SignatureDoesNotMatch",
                "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z",
            ),
            "the clock of this machine",
        ),
        (
            "a region that is not enabled",
            refusing(
                403,
                "RegionDisabledException",
                "STS is not activated in this region",
            ),
            "enable it",
        ),
        (
            "an error in a success",
            refusing(200, "AccessDenied", "no"),
            "AccessDenied",
        ),
        (
            "no answer of AWS",
            xml(200, "<html>captive portal</html>"),
            "something else than it documents",
        ),
        (
            "no XML",
            xml(200, "<html>captive <b>portal</html>"),
            "XML that cannot be read",
        ),
    ] {
        cloud
            .between
            .rule(move |asked| match asked.action().as_str() {
                "GetCallerIdentity" => deed.clone(),
                _ => standing_in(asked),
            });
        let answer = cloud.configure(&json!({}));
        assert!(
            answer.status >= 400 && answer.text().contains(says),
            "{what}: {answer:?}"
        );
    }
    cloud.between.rule(standing_in);
    assert_eq!(state(&cloud), before);
}

/// BT-07: the root credential must be able to see the named privileges.
#[test]
fn bt_07_a_role_that_cannot_work_is_refused_by_the_field_or_the_privilege() {
    let cloud = Cloud::start();
    let before = state(&cloud);
    let user = |changes: Value| changes;
    for (what, changes, says) in [
        (
            "an unknown policy",
            user(json!({"policy_arns": ["arn:aws:iam::aws:policy/Nope"]})),
            vec!["role.policy_arns", "policy/Nope"],
        ),
        (
            "an unknown group",
            user(json!({"iam_groups": ["nope"]})),
            vec!["role.iam_groups", "nope"],
        ),
        (
            "no policy",
            user(json!({"policy_document": "{"})),
            vec!["role.policy_document is not well-formed JSON"],
        ),
        (
            "grants nothing",
            user(json!({"policy_document": null})),
            vec!["role grants nothing"],
        ),
        (
            "a field of another type",
            user(json!({"role_arns": ["x"]})),
            vec!["role.role_arns", "assumed_role", "iam_user"],
        ),
        (
            "no role",
            json!({"credential_type": "assumed_role", "policy_document": null}),
            vec!["role.role_arns is missing"],
        ),
        (
            "a tag of ours",
            user(json!({"iam_tags": {"lessor:mount": "x"}})),
            vec!["role.iam_tags", "lessor:mount"],
        ),
        (
            "no path",
            user(json!({"user_path": "teams"})),
            vec!["role.user_path"],
        ),
        (
            "too short",
            json!({"credential_type": "session_token", "policy_document": null, "max_sts_ttl": "5m"}),
            vec!["role.max_sts_ttl", "15 minutes"],
        ),
        (
            "no type",
            json!({"credential_type": "iam_usr"}),
            vec!["credential_type", "iam_user"],
        ),
    ] {
        let refused = cloud.role("bad", &changes).refused(400);
        for part in says {
            assert!(refused.contains(part), "{what}: {refused}");
        }
    }
    cloud.between.rule(|asked| match asked.action().as_str() {
        "SimulatePrincipalPolicy" => simulated(asked, &["iam:CreateUser", "iam:DeleteUser"]),
        _ => standing_in(asked),
    });
    let answer = cloud.role("bad", &json!({}));
    let text = answer.text();
    assert!(answer.status >= 400, "{answer:?}");
    assert!(
        text.contains("lacks iam:CreateUser, iam:DeleteUser on arn:aws:iam::"),
        "{text}"
    );
    // Where AWS lets nobody look, the role is taken, and what could not be seen is told.
    cloud.between.rule(|asked| match asked.action().as_str() {
        "SimulatePrincipalPolicy" => refusing(403, "AccessDenied", "not authorized"),
        _ => standing_in(asked),
    });
    assert_eq!(state(&cloud), before);
    let documents = (0..28).map(|n| (n.to_string(), allowing(&["iam:ListUsers"])));
    let documents: Value = documents.collect::<serde_json::Map<_, _>>().into();
    let many = json!({"user_path": "/teams/", "inline_policies": documents});
    let warned = cloud.role("good", &many).ok().text();
    assert!(warned.contains("iam:SimulatePrincipalPolicy"), "{warned}");
    assert!(warned.contains("inventory_path"), "{warned}");
    assert!(warned.contains("up to 34 requests"), "{warned}");
}

/// A refusal of AWS while a credential is made leaves no user.
#[test]
fn what_aws_refuses_while_a_user_is_made_is_told_and_leaves_nothing() {
    let cloud = Cloud::start();
    cloud.role("reader", &json!({})).ok();
    for (what, action, status, code, message, says) in [
        (
            "a quota",
            "CreateUser",
            409,
            "LimitExceeded",
            "Cannot exceed quota for UsersPerAccount: 5000",
            vec!["quota", "UsersPerAccount: 5000"],
        ),
        (
            "throttled",
            "CreateUser",
            400,
            "Throttling",
            "Rate exceeded",
            vec!["slow down"],
        ),
        (
            "a policy",
            "PutUserPolicy",
            400,
            "MalformedPolicyDocument",
            "Syntax errors in policy.",
            vec!["Syntax errors in policy"],
        ),
        (
            "an outage",
            "CreateAccessKey",
            503,
            "ServiceUnavailable",
            "x",
            vec!["iam:CreateAccessKey"],
        ),
    ] {
        cloud.between.rule(move |asked| {
            if asked.action() == action {
                return refusing(status, code, message);
            }
            standing_in(asked)
        });
        let answer = cloud.server.http.get("aws/creds/reader");
        assert!(answer.status >= 400, "{what}: {answer:?}");
        for part in says {
            assert!(answer.text().contains(part), "{what}: {answer:?}");
        }
        cloud.between.rule(standing_in);
        cloud.await_no_users();
        cloud.server.await_no_leases("aws/creds");
    }
    // A privilege is missing, says moto itself: which one is named.
    cloud.moto.allow(
        "lessor",
        &allowing(&[
            "iam:Get*",
            "iam:List*",
            "iam:Create*",
            "iam:Delete*",
            "iam:TagUser",
        ]),
    );
    let answer = cloud.server.http.get("aws/creds/reader");
    assert!(
        answer
            .text()
            .contains("allow iam:PutUserPolicy in its policy"),
        "{answer:?}"
    );
    cloud.await_no_users();
    // A user of that name, of somebody else.
    let taken = AtomicU32::new(0);
    cloud
        .moto
        .allow("lessor", &lessor_tests::moto::everything());
    cloud.between.rule(move |asked| match asked.action().as_str() {
        "CreateUser" if taken.fetch_add(1, Ordering::SeqCst) == 0 => refusing(409, "EntityAlreadyExists", "User already exists."),
        "GetUser" => xml(200, "<GetUserResponse><GetUserResult><User><UserName>x</UserName></User></GetUserResult></GetUserResponse>"),
        _ => standing_in(asked),
    });
    let answer = cloud.server.http.get("aws/creds/reader");
    assert!(
        answer.text().contains("which this lease did not make"),
        "{answer:?}"
    );
    cloud.between.rule(standing_in);
    cloud.server.await_no_leases("aws/creds");
}
