//! The words of Vault's engine for AWS, as its clients speak them: hvac and `bao`, unchanged,
//! which lease of moto.

use lessor_tests::{
    between::Between,
    moto::{ACCOUNT, Key, Moto, allowing, everything},
    server::Server,
    wait::eventually_true,
};
use serde_json::{Value, json};

use super::standing_in;
use crate::clients::{bao::Person, hvac};

/// An account with a role `app` and a managed policy, and a server without a mount.
struct Account {
    moto: Moto,
    between: Between,
    server: Server,
    root: Key,
    /// The managed policy.
    policy: String,
}

impl Account {
    fn start() -> Self {
        let moto = Moto::start();
        let root = moto.user("lessor", &everything());
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/lessor")},
            "Action": "sts:AssumeRole",
        }]});
        let role = json!({"RoleName": "app", "AssumeRolePolicyDocument": trust.to_string()});
        moto.iam("create_role", role);
        let readers = allowing(&["iam:ListUsers"]).to_string();
        let readers = json!({"PolicyName": "readers", "PolicyDocument": readers});
        let policy = moto.iam("create_policy", readers)["Policy"]["Arn"].clone();
        let between = Between::start(moto.origin());
        between.rule(standing_in);
        let mut server = Server::setup().start_uninitialised();
        server.initialise();
        server.bring_and_pin("aws", "aws.wasm");
        Self {
            moto,
            between,
            server,
            root,
            policy: policy.as_str().unwrap().to_owned(),
        }
    }

    /// Nothing is left in the account once all leases are revoked, and no secret was told.
    fn ends_clean(&self) {
        let http = &self.server.http;
        let revoked = http.put("sys/leases/revoke-prefix/aws", &json!({"sync": true}));
        revoked.ok();
        eventually_true("no leased user is left", || {
            self.moto.users() == ["administrator", "lessor"]
        });
        let told = self.server.log() + &self.server.audit();
        assert!(!told.contains(&self.root.secret_key));
    }
}

#[test]
fn hvac_leases_of_aws_as_of_the_engine() {
    let account = Account::start();
    let arguments = [
        &account.root.access_key,
        &account.root.secret_key,
        account.between.origin(),
        &account.policy,
    ];
    hvac::succeeds("aws", &account.server, &arguments);
    // The script has rotated the root, so that its first key is over after a minute.
    account.server.advance_clock(61);
    eventually_true("the first key is over", || {
        !account
            .moto
            .keys("lessor")
            .contains(&account.root.access_key)
    });
    account.ends_clean();
}

#[test]
fn bao_leases_of_aws_as_of_the_engine() {
    let account = Account::start();
    let (moto, root, origin) = (&account.moto, &account.root, account.between.origin());
    let person = Person::new(&account.server.http);
    let http = &account.server.http;
    person.reads("secrets enable aws");
    let grant = json!({"allowed_hosts": [origin]});
    http.post("sys/mounts/aws/tune", &grant).ok();
    person.reads(&format!(
        "write aws/config/root access_key={} secret_key={} region=eu-central-1 iam_endpoint={origin} sts_endpoint={origin} max_retries=3",
        root.access_key, root.secret_key
    ));
    let shown = &person.reads_json("read aws/config/root")["data"];
    for (field, value) in [
        ("access_key", json!(root.access_key)),
        ("region", json!("eu-central-1")),
        ("iam_endpoint", json!(origin)),
        ("sts_endpoint", json!(origin)),
        ("sts_region", json!("")),
        ("max_retries", json!(-1)),
    ] {
        assert_eq!(shown[field], value, "{shown}");
    }
    assert!(!shown.to_string().contains(&root.secret_key));
    person.reads("write aws/config/lease lease=30m lease_max=12h");
    let lease = &person.reads_json("read aws/config/lease")["data"];
    assert_eq!(lease["lease"], "30m0s", "{lease}");
    assert_eq!(lease["lease_max"], "12h0m0s", "{lease}");

    // A user, with everything that a user may have.
    let document = allowing(&["sts:GetCallerIdentity"]);
    person.reads(&format!(
        "write aws/roles/user credential_type=iam_user policy_arns={} policy_document={document} iam_tags=team=data user_path=/teams/",
        account.policy
    ));
    let role = &person.reads_json("read aws/roles/user")["data"];
    for (field, value) in [
        ("credential_types", json!(["iam_user"])),
        ("role_arns", json!([])),
        ("user_path", json!("/teams/")),
        ("permissions_boundary_arn", json!("")),
    ] {
        assert_eq!(role[field], value, "{role}");
    }
    let leased = person.reads_json("read aws/creds/user");
    assert_eq!(leased["lease_duration"], 1800, "{leased}");
    let data = &leased["data"];
    assert_eq!(data["security_token"], Value::Null, "{data}");
    let arn = moto.identity(&key_of(data)).unwrap();
    assert!(arn.contains(":user/teams/"), "{arn}");
    assert_eq!(data["arn"], arn);

    // A session, by both paths.
    person.reads(&format!(
        "write aws/roles/session credential_type=assumed_role role_arns=arn:aws:iam::{ACCOUNT}:role/app default_sts_ttl=20m max_sts_ttl=1h"
    ));
    let role = &person.reads_json("read aws/roles/session")["data"];
    assert_eq!(role["default_sts_ttl"], 1200, "{role}");
    assert_eq!(role["max_sts_ttl"], 3600, "{role}");
    // A role that was read is written back as it is.
    http.post("aws/roles/session", role).ok();
    assert_eq!(http.get("aws/roles/session").data(), *role);
    let longer = http.post("aws/sts/session", &json!({"ttl": "5h"}));
    let refused = longer.refused(400);
    assert!(refused.contains("longer than the max_ttl"), "{refused}");
    for (line, seconds) in [
        ("read aws/sts/session", 1200),
        ("read aws/creds/session", 1200),
        ("write aws/sts/session ttl=30m role_session_name=me", 1800),
    ] {
        let leased = person.reads_json(line);
        let duration = leased["lease_duration"].as_u64().unwrap();
        assert!((seconds - 10..=seconds).contains(&duration), "{leased}");
        let data = &leased["data"];
        assert_eq!(data["security_token"], data["session_token"], "{line}");
        let arn = moto.identity(&key_of(data)).unwrap();
        assert!(arn.contains(":assumed-role/app/"), "{arn}");
        assert_eq!(arn.ends_with("/me"), line.contains("=me"), "{arn}");
    }

    let rotated = &person.reads_json("write -f aws/config/rotate-root")["data"];
    account.server.advance_clock(61);
    eventually_true("the new key is the only one", || {
        moto.keys("lessor") == [rotated["access_key"].as_str().unwrap()]
    });
    person.reads("read aws/creds/user");
    let names = person.reads_json("list aws/roles");
    assert_eq!(names, json!(["session", "user"]));
    account.ends_clean();
}

/// The key in an answer.
fn key_of(data: &Value) -> Key {
    let text = |field: &str| data[field].as_str().map(str::to_owned);
    Key {
        access_key: text("access_key").unwrap(),
        secret_key: text("secret_key").unwrap(),
        session_token: text("security_token"),
    }
}
