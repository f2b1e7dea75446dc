//! Root credentials: those of the provider `aws`, and what each of them reads; and where the
//! services are.

use std::sync::{Arc, Mutex};

use lessor_tests::{
    between::Deed,
    fixture::changed,
    moto::{ACCOUNT, Key, Moto, allowing},
    server::{Server, workspace},
    wait::eventually_true,
};
use serde_json::{Value, json};

use super::{Vault, json_type, refusing_xml, standing_in, xml};
use crate::identity::verified_at;

const AUDIENCE: &str = "sts.amazonaws.com";
const ISSUER: &str = "https://lessor.example";

/// The privileges of a root that reads and rotates itself.
const LEAST: [&str; 7] = [
    "secretsmanager:GetSecretValue",
    "iam:GetUser",
    "iam:TagUser",
    "iam:UntagUser",
    "iam:ListAccessKeys",
    "iam:CreateAccessKey",
    "iam:DeleteAccessKey",
];

/// ESO-10: nothing is stored, the machine lends its role. A role of the store is assumed
/// after it.
#[test]
fn eso_10_the_role_of_the_machine_reads_without_a_stored_secret() {
    let vault = Vault::bare(Moto::start(), Key::of("unused", "unused"), Server::setup());
    vault.secrets(
        "create_secret",
        json!({"Name": "db", "SecretString": "hunter2"}),
    );
    let machine = vault.aws_role("machine", &["sts:*", "secretsmanager:GetSecretValue"]);
    let store = vault.aws_role("store", &["secretsmanager:GetSecretValue"]);
    let lent = vault.session_of(&machine);
    vault.between.rule(move |asked| {
        let document = json!({
            "Code": "Success",
            "AccessKeyId": lent.access_key,
            "SecretAccessKey": lent.secret_key,
            "Token": lent.session_token,
            "Expiration": "2999-01-01T00:00:00Z",
        });
        let answer = |text: &str| Deed::Answer(200, Vec::new(), text.to_owned());
        match (asked.method.as_str(), asked.path.as_str()) {
            ("PUT", "/latest/api/token") => answer("imds-token"),
            ("GET", "/latest/meta-data/iam/security-credentials/") => answer("machine\n"),
            ("GET", "/latest/meta-data/iam/security-credentials/machine")
            | ("GET", "/v2/credentials/task") => {
                Deed::Answer(200, json_type(), document.to_string())
            }
            _ => standing_in(asked),
        }
    });
    let none = json!({"access_key": null, "secret_key": null});
    let origin = vault.between.origin();
    for (way, arn) in [
        (
            json!({"instance_credentials": true, "instance_endpoint": origin}),
            "assumed-role/machine/",
        ),
        (
            json!({"instance_credentials": true, "instance_endpoint": origin, "role_arn": store}),
            "assumed-role/store/",
        ),
        (
            json!({"container_credentials_url": format!("{origin}/v2/credentials/task")}),
            "assumed-role/machine/",
        ),
    ] {
        vault.configure(&changed(none.clone(), &way)).ok();
        let shown = vault.server.http.get("asm/config").ok().text();
        assert!(shown.contains(arn), "{way}: {shown}");
        vault.role("db", &json!({"key": "db"})).ok();
        assert_eq!(vault.read("db", &json!({}))["value"], "hunter2", "{way}");
        let refused = vault.server.http.post("asm/rotate-root", &json!({}));
        assert!(refused.text().contains("nothing to rotate"), "{refused:?}");
    }
}

/// ESO-11: a key reads, the key of a session too. The key of a user is rotated by two keys.
#[test]
fn eso_11_a_key_reads_and_is_rotated() {
    let moto = Moto::start();
    let root = moto.user("lessor", &allowing(&LEAST));
    let vault = Vault::on(moto, root, Server::setup());
    vault.secrets(
        "create_secret",
        json!({"Name": "db", "SecretString": "hunter2"}),
    );
    vault.role("db", &json!({"key": "db"})).ok();
    assert_eq!(vault.read("db", &json!({}))["value"], "hunter2");
    let http = &vault.server.http;
    http.post("asm/rotate-root", &json!({})).ok();
    assert_eq!(
        vault.moto.keys("lessor").len(),
        2,
        "both are valid for a minute"
    );
    assert_eq!(vault.read("db", &json!({}))["value"], "hunter2");
    vault.server.advance_clock(61);
    eventually_true("one key is left", || vault.moto.keys("lessor").len() == 1);
    assert!(
        vault.moto.identity(&vault.root).is_err(),
        "the operator's copy is invalid"
    );
    assert_eq!(vault.read("db", &json!({}))["value"], "hunter2");
    let shown = http.get("asm/config").ok().text();
    assert!(!shown.contains(&vault.root.secret_key), "{shown}");

    let reader = vault.aws_role("reader", &["secretsmanager:GetSecretValue"]);
    let session = vault.session_of(&reader);
    let of_session = json!({
        "access_key": session.access_key,
        "secret_key": session.secret_key,
        "session_token": session.session_token,
    });
    let warned = vault.configure(&of_session).ok().text();
    assert!(warned.contains("it ends by itself"), "{warned}");
    assert_eq!(vault.read("db", &json!({}))["value"], "hunter2");
    let refused = http.post("asm/rotate-root", &json!({}));
    assert!(refused.text().contains("nothing to rotate"), "{refused:?}");
    let told = vault.server.log() + &vault.server.audit() + &http.get("asm/config").ok().text();
    assert!(!told.contains(session.session_token.as_deref().unwrap()));
}

/// ESO-12: a token that says who the mount is, instead of a secret. What AWS would do with
/// it is done here by PyJWT, with the keys that the server publishes.
#[test]
fn eso_12_a_mount_reads_by_who_it_is() {
    let setup = Server::setup().config(&format!("issuer = {ISSUER:?}"));
    let vault = Vault::bare(Moto::start(), Key::of("unused", "unused"), setup);
    vault.secrets(
        "create_secret",
        json!({"Name": "db", "SecretString": "hunter2"}),
    );
    let role_arn = vault.aws_role("reader", &["secretsmanager:GetSecretValue"]);
    let session = vault.session_of(&role_arn);
    let base = vault.server.http.base().to_owned();
    let verified = Arc::new(Mutex::new(Vec::new()));
    let claims = Arc::clone(&verified);
    vault.between.rule(move |asked| {
        if asked.action() != "AssumeRoleWithWebIdentity" {
            return standing_in(asked);
        }
        let token = asked.field("WebIdentityToken").unwrap();
        match verified_at(&base, ISSUER, AUDIENCE, &token) {
            Ok(found) => {
                verified.lock().unwrap().push(found);
                web_identity(&session)
            }
            Err(error) => refusing_xml(400, "InvalidIdentityToken", &error),
        }
    });
    let allowed = json!({"identity_audiences": [AUDIENCE]});
    vault.server.http.post("sys/mounts/asm/tune", &allowed).ok();
    let config = json!({
        "access_key": null,
        "secret_key": null,
        "identity_token_audience": AUDIENCE,
        "role_arn": role_arn,
    });
    vault.configure(&config).ok();
    vault.role("db", &json!({"key": "db"})).ok();
    for _ in 0..3 {
        assert_eq!(vault.read("db", &json!({}))["value"], "hunter2");
    }
    let mounts = vault.server.http.get("sys/mounts").data();
    let subject = format!("mount:{}:asm", mounts["asm/"]["uuid"].as_str().unwrap());
    let claims = claims.lock().unwrap();
    // Asked for once by each config version, and kept: not with every lease.
    assert!((1..=3).contains(&claims.len()), "{claims:?}");
    assert!(
        claims.iter().all(|claims| claims["sub"] == subject),
        "{claims:?}"
    );
}

/// AWS's answer to AssumeRoleWithWebIdentity.
fn web_identity(key: &Key) -> Deed {
    let token = key.session_token.as_deref().unwrap_or_default();
    let (access_key, secret_key) = (&key.access_key, &key.secret_key);
    xml(
        200,
        &format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{secret_key}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>\
             <AssumedRoleUser><Arn>arn:aws:sts::{ACCOUNT}:assumed-role/reader/lent</Arn></AssumedRoleUser>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ),
    )
}

/// The policy of the README suffices for all that the provider does, and has nothing that
/// the descriptor does not name. moto looks at the actions of a policy alone.
#[test]
fn the_least_privilege_of_the_readme_of_the_reader_suffices() {
    let readme = workspace().join("plugins/aws-secrets-manager/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, rest) = readme.split_once("```json\n").unwrap();
    let (policy, _) = rest.split_once("```").unwrap();
    let mut policy: Value = serde_json::from_str(&policy.replace("ACCOUNT", ACCOUNT)).unwrap();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Resource"] = json!("*");
    }
    let moto = Moto::start();
    let root = moto.user("lessor", &policy);
    let vault = Vault::on(moto, root, Server::setup());
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let secret = json!({"Name": "dev-db", "SecretString": "hunter2", "Tags": tags});
    vault.secrets("create_secret", secret);
    let parameter = json!({"Name": "/dev/db", "Type": "SecureString", "Value": "x", "Tags": tags});
    vault.by_admin("ssm", "put_parameter", parameter);
    let reader = vault.aws_role("reader", &["secretsmanager:GetSecretValue"]);
    for (count, fields) in [
        json!({"key": "dev-db"}),
        json!({"key": "dev-db", "metadataPolicy": "Fetch"}),
        json!({"key": "dev-db", "role_arn": reader}),
        json!({"key": "/dev/db", "service": "ParameterStore"}),
        json!({"key": "/dev/db", "service": "ParameterStore", "metadataPolicy": "Fetch"}),
    ]
    .iter()
    .enumerate()
    {
        let name = format!("db-{count}");
        vault.role(&name, fields).ok();
        vault.read(&name, &json!({}));
    }
    vault.server.http.post("asm/rotate-root", &json!({})).ok();
    vault.server.advance_clock(61);
    eventually_true("one key is left", || vault.moto.keys("lessor").len() == 1);
}

/// ESO-13: an endpoint and a region for each service, by the config and by the role.
#[test]
fn eso_13_endpoints_and_regions_are_the_operators_own() {
    let vault = Vault::start();
    vault.secrets(
        "create_secret",
        json!({"Name": "db", "SecretString": "hunter2"}),
    );
    // Another endpoint for the values alone: the mount must allow it.
    let other = lessor_tests::between::Between::start(vault.moto.origin());
    let elsewhere = json!({"secretsmanager_endpoint": other.origin()});
    vault.configure(&elsewhere).ok();
    let refused = vault.role("db", &json!({"key": "db"}));
    let text = refused.text();
    assert!(
        refused.status >= 400 && text.contains(other.origin()),
        "{text}"
    );
    let grants = json!({"allowed_hosts": [vault.between.origin(), other.origin()]});
    vault.server.http.post("sys/mounts/asm/tune", &grants).ok();
    vault
        .configure(&json!({"secretsmanager_endpoint": other.origin()}))
        .ok();
    vault.role("db", &json!({"key": "db"})).ok();
    vault.between.seen();
    assert_eq!(vault.read("db", &json!({}))["value"], "hunter2");
    let signed_for = |region: &str| {
        let seen = other.seen();
        let last = seen.last().expect("a request");
        assert_eq!(last.action(), "GetSecretValue");
        let scope = format!("/{region}/secretsmanager/aws4_request");
        assert!(last.headers["authorization"].contains(&scope), "{last:?}");
    };
    signed_for("eu-central-1");
    assert!(
        vault
            .between
            .seen()
            .iter()
            .all(|asked| asked.action() != "GetSecretValue")
    );
    // The region of a role: there is no such secret there.
    let refused = vault.role("far", &json!({"key": "db", "region": "us-west-2"}));
    let text = refused.text();
    assert!(
        refused.status >= 400 && text.contains("us-west-2"),
        "{text}"
    );
    signed_for("us-west-2");
    // Without an endpoint of its own it is that of the region, which the mount must allow.
    vault
        .configure(&json!({"secretsmanager_endpoint": null}))
        .ok();
    let refused = vault.ask("db", &json!({})).text();
    assert!(
        refused.contains("https://secretsmanager.eu-central-1.amazonaws.com"),
        "{refused}"
    );
}
