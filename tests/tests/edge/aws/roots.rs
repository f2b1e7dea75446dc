//! Root credentials: two keys at a rotation, and the ways that store no secret at all.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use lessor_tests::{
    between::{Asked, Deed},
    moto::{ACCOUNT, Key, Moto, allowing},
    server::Server,
    wait::eventually_true,
};
use serde_json::{Value, json};

use super::{Cloud, json_type, refusing, standing_in, xml};
use crate::identity::verified_at;

const AUDIENCE: &str = "sts.amazonaws.com";
const ISSUER: &str = "https://lessor.example";

/// AKL-18, BT-14 (the root is never shown), BT-16 (the operator's copy is invalid), BT-17
/// (both are valid for a while).
#[test]
fn akl_18_bt_14_16_17_the_root_is_rotated_by_two_keys() {
    let cloud = Cloud::start();
    cloud.role("reader", &json!({})).ok();
    let lease = cloud.lease("reader");
    let http = &cloud.server.http;
    // A new key is not known everywhere at once.
    let (asked_by, known) = (Arc::new(Mutex::new(Vec::new())), AtomicU32::new(0));
    let (recorded, first) = (Arc::clone(&asked_by), cloud.root.access_key.clone());
    cloud.between.rule(move |asked| {
        let credential = asked
            .headers
            .get("authorization")
            .cloned()
            .unwrap_or_default();
        let is_first = credential.contains(&first);
        recorded.lock().unwrap().push((asked.action(), is_first));
        match asked.action().as_str() {
            "GetCallerIdentity" if !is_first && known.fetch_add(1, Ordering::SeqCst) < 2 => {
                refusing(
                    403,
                    "InvalidClientTokenId",
                    "The security token included in the request is invalid.",
                )
            }
            _ => standing_in(asked),
        }
    });
    http.post("aws/rotate-root", &json!({})).ok();
    assert_eq!(
        cloud.moto.keys("lessor").len(),
        2,
        "both are valid for a minute"
    );
    cloud.moto.identity(&cloud.root).unwrap();
    cloud.server.advance_clock(61);
    eventually_true("one key is left", || cloud.moto.keys("lessor").len() == 1);
    let left = cloud.moto.keys("lessor");
    assert_ne!(left, [cloud.root.access_key.as_str()]);
    assert!(
        cloud.moto.identity(&cloud.root).is_err(),
        "the operator's copy is invalid"
    );
    let by = asked_by.lock().unwrap().clone();
    assert!(
        by.contains(&("CreateAccessKey".to_owned(), true)),
        "made with the old: {by:?}"
    );
    assert!(
        by.contains(&("DeleteAccessKey".to_owned(), false)),
        "ended with the new: {by:?}"
    );
    // The note is gone, the new root works, and nobody is shown it.
    eventually_true("no note is left", || {
        let tags = cloud
            .moto
            .iam("list_user_tags", json!({"UserName": "lessor"}));
        tags["Tags"] == json!([])
    });
    let shown = http.get("aws/config").ok().text();
    assert!(
        shown.contains(&left[0]) && !shown.contains(&cloud.root.secret_key),
        "{shown}"
    );
    cloud.revoke(&lease).ok();
    cloud.lease("reader");

    // A second key that somebody else made stops a rotation, and is kept.
    cloud
        .moto
        .iam("create_access_key", json!({"UserName": "lessor"}));
    let both = cloud.moto.keys("lessor");
    let refused = http.post("aws/rotate-root", &json!({}));
    let theirs = both.iter().find(|key| **key != left[0]).unwrap();
    assert!(
        refused.status >= 400 && refused.text().contains(theirs),
        "{refused:?}"
    );
    assert_eq!(cloud.moto.keys("lessor"), both);
    cloud.lease("reader");
}

/// Federation: a mount without any stored secret. What AWS would do with the token is done
/// here by PyJWT, with the keys that the server publishes.
#[test]
fn a_mount_without_a_stored_secret_leases_by_who_it_is() {
    let moto = Moto::start();
    let setup = Server::setup().config(&format!("issuer = {ISSUER:?}"));
    let nobody = Key::of("unused", "unused");
    let cloud = Cloud::bare(moto, nobody, setup);
    let session = session_of_role(&cloud, "lessor");
    let base = cloud.server.http.base().to_owned();
    let claims = Arc::new(Mutex::new(Vec::new()));
    let verified = Arc::clone(&claims);
    cloud.between.rule(move |asked| {
        if asked.action() != "AssumeRoleWithWebIdentity" {
            return standing_in(asked);
        }
        assert!(
            !asked.headers.contains_key("authorization"),
            "it is not signed"
        );
        let token = asked.field("WebIdentityToken").unwrap();
        match verified_at(&base, ISSUER, AUDIENCE, &token) {
            Ok(found) => {
                verified.lock().unwrap().push(found);
                web_identity(&session)
            }
            Err(error) => refusing(400, "InvalidIdentityToken", &error),
        }
    });
    let config = json!({
        "access_key": null,
        "secret_key": null,
        "identity_token_audience": AUDIENCE,
        "role_arn": format!("arn:aws:iam::{ACCOUNT}:role/lessor"),
    });
    let http = &cloud.server.http;
    let refused = cloud.configure(&config).refused(400);
    assert!(refused.contains("identity_audiences"), "{refused}");
    let allowed = json!({"identity_audiences": [AUDIENCE]});
    http.post("sys/mounts/aws/tune", &allowed).ok();
    cloud.configure(&config).ok();
    cloud.role("reader", &json!({})).ok();
    let (lease, other) = (cloud.lease("reader"), cloud.lease("reader"));
    assert!(
        cloud
            .moto
            .identity(&lease.key)
            .unwrap()
            .contains(":user/lessor/aws/")
    );
    cloud.revoke(&lease).ok();
    cloud.revoke(&other).ok();
    cloud.await_no_users();

    let mounts = http.get("sys/mounts").data();
    let subject = format!("mount:{}:aws", mounts["aws/"]["uuid"].as_str().unwrap());
    let claims = claims.lock().unwrap();
    // Asked for once by each config version, and kept: not with every lease.
    assert!((1..=3).contains(&claims.len()), "{claims:?}");
    assert!(
        claims.iter().all(|claims| claims["sub"] == subject),
        "{claims:?}"
    );
    assert!(
        !http
            .get("aws/config")
            .ok()
            .text()
            .contains("secret_key\":\"")
    );
    let refused = http.post("aws/rotate-root", &json!({}));
    assert!(refused.text().contains("nothing to rotate"), "{refused:?}");
}

/// The credentials of an instance, by IMDSv2 alone, and those of a container; each with a
/// chain of roles behind it.
#[test]
fn an_instance_and_a_container_lend_their_roles() {
    let cloud = Cloud::bare(Moto::start(), Key::of("unused", "unused"), Server::setup());
    let first = session_of_role(&cloud, "machine");
    role(&cloud, "lessor", &["*"]);
    cloud.between.rule(move |asked| {
        let token = asked.headers.get("x-aws-ec2-metadata-token");
        let document = json!({
            "Code": "Success",
            "AccessKeyId": first.access_key,
            "SecretAccessKey": first.secret_key,
            "Token": first.session_token,
            "Expiration": "2999-01-01T00:00:00Z",
        });
        let below = "/latest/meta-data/iam/security-credentials/";
        match (asked.method.as_str(), asked.path.as_str()) {
            ("PUT", "/latest/api/token") => Deed::Answer(200, Vec::new(), "imds-token".to_owned()),
            ("GET", path) if path.starts_with(below) => {
                match (token.map(String::as_str), path.strip_prefix(below)) {
                    (Some("imds-token"), Some("")) => {
                        Deed::Answer(200, Vec::new(), "machine\n".to_owned())
                    }
                    (Some("imds-token"), Some("machine")) => {
                        Deed::Answer(200, json_type(), document.to_string())
                    }
                    _ => Deed::Answer(401, Vec::new(), String::new()),
                }
            }
            ("GET", "/v2/credentials/task") => {
                match asked.headers.get("authorization").map(String::as_str) {
                    Some("task-token") => Deed::Answer(200, json_type(), document.to_string()),
                    _ => Deed::Answer(401, Vec::new(), String::new()),
                }
            }
            _ => standing_in(asked),
        }
    });
    let chain =
        json!([{"role_arn": format!("arn:aws:iam::{ACCOUNT}:role/lessor"), "external_id": "x"}]);
    let none = json!({"access_key": null, "secret_key": null});
    for way in [
        json!({"instance_credentials": true, "instance_endpoint": cloud.between.origin()}),
        json!({
            "instance_credentials": null,
            "instance_endpoint": null,
            "container_credentials_url": format!("{}/v2/credentials/task", cloud.between.origin()),
            "container_authorization_token": "task-token",
            "role_chain": chain,
        }),
    ] {
        let config = lessor_tests::fixture::changed(none.clone(), &way);
        let answer = cloud.configure(&config).ok();
        let shown = cloud.server.http.get("aws/config").ok().text();
        let is_chained = way.get("role_chain").is_some();
        let expected = if is_chained {
            "assumed-role/lessor/"
        } else {
            "assumed-role/machine/"
        };
        assert!(
            answer.text().contains(expected) || shown.contains(expected),
            "{answer:?} {shown}"
        );
        cloud.role("reader", &json!({})).ok();
        let lease = cloud.lease("reader");
        cloud.moto.identity(&lease.key).unwrap();
        cloud.revoke(&lease).ok();
        cloud.await_no_users();
    }
    let told = cloud.server.log() + &cloud.server.audit();
    assert!(!told.contains("imds-token") && !told.contains("task-token"));
}

/// The key of a user that may do nothing but assume a role: what is leased is made by the
/// role, and what is rotated is the user's key.
#[test]
fn a_key_that_assumes_a_role_is_rotated_and_leases_by_the_role() {
    let moto = Moto::start();
    let own = [
        "sts:AssumeRole",
        "iam:GetUser",
        "iam:TagUser",
        "iam:UntagUser",
        "iam:ListAccessKeys",
        "iam:CreateAccessKey",
        "iam:DeleteAccessKey",
    ];
    let root = moto.user("lessor", &allowing(&own));
    let cloud = Cloud::bare(moto, root, Server::setup());
    role(&cloud, "leasing", &["*"]);
    let role_arn = format!("arn:aws:iam::{ACCOUNT}:role/leasing");
    let assumed = json!({"role_arn": role_arn, "external_id": "third-party"});
    cloud.configure(&assumed).ok();
    cloud.role("reader", &json!({})).ok();
    let http = &cloud.server.http;
    http.post("aws/rotate-root", &json!({})).ok();
    cloud.server.advance_clock(61);
    eventually_true("one key is left", || cloud.moto.keys("lessor").len() == 1);
    assert_ne!(cloud.moto.keys("lessor"), [cloud.root.access_key.as_str()]);
    let lease = cloud.lease("reader");
    cloud.moto.identity(&lease.key).unwrap();
    let seen = cloud.between.seen();
    let mut roles = seen.iter().filter(|asked| asked.action() == "AssumeRole");
    assert!(
        roles.all(|asked| asked.field("ExternalId").as_deref() == Some("third-party")),
        "{seen:?}"
    );
    // A role has no device and no federated users.
    let refused = cloud.role(
        "own",
        &json!({"credential_type": "session_token", "policy_document": null}),
    );
    assert!(
        refused.refused(400).contains("lease an assumed_role"),
        "a session asks for no session of a user"
    );
    cloud.revoke(&lease).ok();
    cloud.await_no_users();
}

/// A role that everybody of the account may assume, and that may do these actions.
fn role(cloud: &Cloud, name: &str, actions: &[&str]) {
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    });
    let made = json!({"RoleName": name, "AssumeRolePolicyDocument": trust.to_string()});
    cloud.moto.iam("create_role", made);
    let policy = json!({"RoleName": name, "PolicyName": "inline", "PolicyDocument": allowing(actions).to_string()});
    cloud.moto.iam("put_role_policy", policy);
}

/// The key of a session of a new role that may do everything.
fn session_of_role(cloud: &Cloud, name: &str) -> Key {
    role(cloud, name, &["*"]);
    let asked = json!({"RoleArn": format!("arn:aws:iam::{ACCOUNT}:role/{name}"), "RoleSessionName": "lent"});
    let answer = cloud
        .moto
        .by(&cloud.moto.admin, "sts", "assume_role", asked)
        .unwrap();
    let text = |field: &str| answer["Credentials"][field].as_str().unwrap().to_owned();
    Key {
        access_key: text("AccessKeyId"),
        secret_key: text("SecretAccessKey"),
        session_token: Some(text("SessionToken")),
    }
}

/// AWS's answer to AssumeRoleWithWebIdentity.
fn web_identity(key: &Key) -> Deed {
    let Key {
        access_key,
        secret_key,
        session_token,
    } = key;
    let token = session_token.as_deref().unwrap_or_default();
    xml(
        200,
        &format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{secret_key}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>\
             <AssumedRoleUser><Arn>arn:aws:sts::{ACCOUNT}:assumed-role/lessor/lent</Arn></AssumedRoleUser>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ),
    )
}

/// The policy of the README suffices for all that the provider does. moto looks at the
/// actions of a policy alone, so the resources are looked at here.
#[test]
fn bt_27_the_least_privilege_of_the_readme_suffices() {
    let readme =
        std::fs::read_to_string(lessor_tests::server::workspace().join("plugins/aws/README.md"))
            .unwrap();
    let (_, rest) = readme.split_once("```json\n").unwrap();
    let (policy_text, _) = rest.split_once("```").unwrap();
    let policy: Value = serde_json::from_str(&policy_text.replace("ACCOUNT", ACCOUNT)).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let anywhere: Vec<Value> = statements
        .iter()
        .map(|statement| {
            lessor_tests::fixture::changed(statement.clone(), &json!({"Resource": "*"}))
        })
        .collect();
    let moto = Moto::start();
    let policy = json!({"Version": "2012-10-17", "Statement": anywhere});
    let root = moto.user("lessor", &policy);
    let cloud = Cloud::on(moto, root, Server::setup());
    cloud
        .moto
        .iam("create_group", json!({"GroupName": "analysts"}));
    let readers = json!({"PolicyName": "readers", "PolicyDocument": allowing(&["iam:ListGroups"]).to_string()});
    let readers = cloud.moto.iam("create_policy", readers)["Policy"]["Arn"].clone();
    cloud
        .role(
            "reader",
            &json!({"iam_groups": ["analysts"], "policy_arns": [readers]}),
        )
        .ok();
    let lease = cloud.lease("reader");
    cloud.moto.identity(&lease.key).unwrap();
    let http = &cloud.server.http;
    http.post("aws/rotate-root", &json!({})).ok();
    cloud.server.advance_clock(61);
    eventually_true("one key is left", || cloud.moto.keys("lessor").len() == 1);
    let found = http.post("aws/reconcile", &json!({})).data();
    assert_eq!(found["orphan_count"], 0, "{found}");
    cloud.revoke(&lease).ok();
    cloud.await_no_users();

    let seen = cloud.between.seen();
    let mut actions: Vec<_> = seen.iter().map(|asked| asked.action()).collect();
    actions.sort();
    actions.dedup();
    for needed in [
        "CreateUser",
        "DeleteUser",
        "TagUser",
        "ListUsers",
        "UntagUser",
    ] {
        assert!(actions.iter().any(|action| action == needed), "{actions:?}");
    }
    for asked in seen {
        assert!(is_allowed(statements, &asked), "{asked:?}");
    }
    // Also what only users need on whom somebody hung more than lessor did.
    let shown = http.get("sys/plugins/catalog/secret/aws").ok().text();
    let told: Vec<_> = shown
        .split('"')
        .filter_map(|text| text.split(' ').next())
        .filter(|text| text.starts_with("iam:") || text.starts_with("sts:"))
        .collect();
    assert!(told.len() > 30, "{shown}");
    for privilege in told {
        let quoted = format!("\"{privilege}\"");
        assert!(policy_text.contains(&quoted), "{privilege}");
    }
}

/// Whether a policy allows what was asked for, on the user that it is about.
fn is_allowed(statements: &[Value], asked: &Asked) -> bool {
    // Nobody needs a privilege to ask who it is.
    let action = asked.action();
    if action == "GetCallerIdentity" {
        return true;
    }
    let user = match asked.field("UserName").as_deref() {
        None | Some("lessor") => format!("arn:aws:iam::{ACCOUNT}:user/lessor"),
        Some(leased) => format!("arn:aws:iam::{ACCOUNT}:user/lessor/aws/{leased}"),
    };
    statements.iter().any(|statement| {
        let mut actions = statement["Action"].as_array().unwrap().iter();
        let resource = statement["Resource"].as_str().unwrap();
        let matches = match resource.strip_suffix('*') {
            Some(start) => user.starts_with(start),
            None => user == resource,
        };
        matches && actions.any(|allowed| *allowed == format!("iam:{action}"))
    })
}
