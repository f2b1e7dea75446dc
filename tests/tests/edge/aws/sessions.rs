//! Sessions of STS: of roles, of federated users, of the root's own user, and links to the
//! console.

use lessor_tests::moto::{ACCOUNT, allowing};
use serde_json::{Value, json};

use super::{Cloud, Leased, refusing, standing_in};

/// Letters of a moment without fractions and zone.
const SECONDS: usize = "2026-01-01T00:00:00".len();

/// A role of moto that may list users, and that the account may assume.
fn assumable(cloud: &Cloud, name: &str, condition: &Value) -> String {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/lessor")},
        "Action": "sts:AssumeRole",
    });
    if !condition.is_null() {
        statement["Condition"] = condition.clone();
    }
    let trust = json!({"Version": "2012-10-17", "Statement": [statement]});
    let made = cloud.moto.iam(
        "create_role",
        json!({"RoleName": name, "AssumeRolePolicyDocument": trust.to_string()}),
    );
    let policy = allowing(&["iam:ListUsers", "sts:AssumeRole"]).to_string();
    let policy = json!({"RoleName": name, "PolicyName": "inline", "PolicyDocument": policy});
    cloud.moto.iam("put_role_policy", policy);
    made["Role"]["Arn"].as_str().unwrap().to_owned()
}

#[test]
fn a_role_is_assumed_by_its_external_id_and_signs_in_to_the_console() {
    let cloud = Cloud::start();
    let condition = json!({"StringEquals": {"sts:ExternalId": "third-party"}});
    let arn = assumable(&cloud, "reporting", &condition);
    let role = json!({
        "credential_type": "assumed_role",
        "policy_document": null,
        "role_arns": [arn],
        "external_id": "third-party",
        "session_tags": {"team": "data"},
        "console": true,
        "max_ttl": null,
        "max_sts_ttl": "2h",
    });
    // moto does not miss an external id that the trust policy asks for.
    cloud.between.rule(
        |asked| match (asked.action().as_str(), asked.field("ExternalId")) {
            ("AssumeRole", None) => refusing(
                403,
                "AccessDenied",
                "not authorized to perform: sts:AssumeRole",
            ),
            _ => standing_in(asked),
        },
    );
    // Without it AWS does not let the role be assumed, which writing the role tells.
    let wrong = lessor_tests::fixture::changed(role.clone(), &json!({"external_id": null}));
    let refused = cloud.role("reporting", &wrong).refused(502);
    assert!(refused.contains("allow sts:AssumeRole"), "{refused}");
    assert!(!refused.contains("iam:GetGroup"), "nothing else: {refused}");
    // Neither does AWS tell whether there is such a role.
    let unknown = json!({"role_arns": [format!("arn:aws:iam::{ACCOUNT}:role/nope")]});
    cloud.between.rule(|asked| {
        match asked.action() == "AssumeRole" && asked.field("RoleArn").unwrap().ends_with("/nope") {
            // moto lets roles be assumed that there are not.
            true => refusing(
                403,
                "AccessDenied",
                "User: x is not authorized to perform: sts:AssumeRole on resource: role/nope",
            ),
            false => standing_in(asked),
        }
    });
    let unknown = lessor_tests::fixture::changed(role.clone(), &unknown);
    let refused = cloud.role("reporting", &unknown).refused(502);
    assert!(refused.contains("role/nope"), "{refused}");
    assert_eq!(
        cloud.server.http.list("aws/roles").keys(),
        Vec::<String>::new()
    );
    cloud.between.rule(standing_in);
    let warned = cloud.role("reporting", &role).ok().text();
    assert!(warned.contains("Sessions end by themselves"), "{warned}");

    cloud.between.seen();
    let http = &cloud.server.http;
    let lease = Leased::of(&http.post(
        "aws/creds/reporting",
        &json!({"ttl": "2h", "role_session_name": "night-report"}),
    ));
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/reporting/night-report");
    assert_eq!(cloud.moto.identity(&lease.key), Ok(session.clone()));
    assert_eq!(lease.data["arn"], session);
    assert_eq!(lease.data["security_token"], lease.data["session_token"]);
    cloud
        .moto
        .by(&lease.key, "iam", "list_users", json!({}))
        .unwrap();
    // The lease does not outlive its session.
    let view = cloud.server.lookup(&lease.id).data();
    let moment = |text: &Value| text.as_str().unwrap()[..SECONDS].to_owned();
    let (end, of_session) = (&view["expire_time"], &view["metadata"]["ends"]);
    assert!(moment(end) <= moment(of_session), "{view}");
    assert!(lease.seconds > 7000, "{}", lease.seconds);
    let seen = cloud.between.seen();
    let asked = seen
        .iter()
        .find(|asked| asked.action() == "AssumeRole")
        .unwrap();
    let duration = asked.field("DurationSeconds").unwrap().parse().unwrap();
    assert!((7190..=7201).contains(&duration), "{duration}");
    assert_eq!(asked.field("Tags.member.1.Key").as_deref(), Some("team"));

    let url = lease.data["console_url"].as_str().unwrap();
    assert!(url.contains("?Action=login&Issuer=lessor&Destination=https%3A%2F%2Fconsole.aws.amazon.com%2F&SigninToken=signin-canary"), "{url}");
    let told = cloud.server.log() + &cloud.server.audit();
    for secret in [
        &lease.key.secret_key,
        lease.key.session_token.as_ref().unwrap(),
        "signin-canary",
    ] {
        assert!(!told.contains(secret));
    }
    cloud.revoke(&lease).ok();
    cloud.server.await_no_leases("aws/creds");
    // As it is told: nobody can end a session.
    cloud.moto.identity(&lease.key).unwrap();
}

#[test]
fn of_several_roles_the_request_names_one() {
    let cloud = Cloud::start();
    let (one, two) = (
        assumable(&cloud, "one", &Value::Null),
        assumable(&cloud, "two", &Value::Null),
    );
    let role = json!({"credential_type": "assumed_role", "policy_document": null, "role_arns": [one, two]});
    cloud.role("any", &role).ok();
    let http = &cloud.server.http;
    let refused = http.get("aws/creds/any").refused(400);
    assert!(
        refused.contains("role_arn") && refused.contains(&two),
        "{refused}"
    );
    let refused = http
        .post(
            "aws/creds/any",
            &json!({"role_arn": "arn:aws:iam::1:role/x"}),
        )
        .refused(400);
    assert!(refused.contains("role_arn"), "{refused}");
    let lease = Leased::of(&http.post("aws/creds/any", &json!({"role_arn": two})));
    assert!(
        cloud
            .moto
            .identity(&lease.key)
            .unwrap()
            .contains("assumed-role/two/")
    );
}

/// moto gives every federated user and every session of a user the same key, which nobody
/// can log in with: what AWS is asked, and what a caller gets of its answer, is seen.
#[test]
fn federation_and_session_tokens_are_asked_for_as_the_role_says() {
    let cloud = Cloud::start();
    let federated = json!({
        "credential_type": "federation_token",
        "policy_document": allowing(&["s3:GetObject"]),
        "policy_arns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
    });
    cloud.role("federated", &federated).ok();
    cloud.between.seen();
    let lease = cloud.lease("federated");
    let seen = cloud.between.seen();
    let asked = seen
        .iter()
        .find(|asked| asked.action() == "GetFederationToken")
        .unwrap();
    let name = asked.field("Name").unwrap();
    assert!((2..=32).contains(&name.len()), "{name}");
    assert_eq!(
        asked.field("PolicyArns.member.1.arn").as_deref(),
        Some("arn:aws:iam::aws:policy/ReadOnlyAccess")
    );
    assert!(asked.field("Policy").unwrap().contains("s3:GetObject"));
    assert_eq!(
        lease.data["arn"],
        format!("arn:aws:sts::{ACCOUNT}:federated-user/{name}")
    );
    assert!(lease.key.session_token.is_some());
    // Two leases of the same answer are two leases.
    let again = cloud.lease("federated");
    assert_ne!(again.id, lease.id);

    let session = json!({"credential_type": "session_token", "policy_document": null, "mfa_serial_number": "arn:aws:iam::123456789012:mfa/lessor"});
    cloud.role("own", &session).ok();
    let http = &cloud.server.http;
    let refused = http.get("aws/creds/own").refused(400);
    assert!(refused.contains("mfa_code"), "{refused}");
    cloud.between.seen();
    let lease = Leased::of(&http.post("aws/creds/own", &json!({"mfa_code": "123456"})));
    let seen = cloud.between.seen();
    let asked = seen
        .iter()
        .find(|asked| asked.action() == "GetSessionToken")
        .unwrap();
    assert_eq!(asked.field("TokenCode").as_deref(), Some("123456"));
    assert_eq!(lease.data["arn"], Value::Null);
    for lease in cloud.server.leases("aws/creds") {
        http.put("sys/leases/revoke", &json!({"lease_id": lease}))
            .ok();
    }
    cloud.server.await_no_leases("aws/creds");
}
