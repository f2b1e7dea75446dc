//! The reader of AWS' secrets, against moto with authentication on: boto3 writes what is
//! read, and a proxy between the two spoils what a network and AWS spoil.
//!
//! moto knows no simulation of policies, does not look at the resources of policies, and
//! checks neither external ids nor the tokens of web identities; the proxy stands in for
//! these, and says so where it does.

mod crashes;
mod refusals;
mod roots;
mod rows;

use std::fs;

use lessor_tests::{
    between::{Asked, Between, Deed},
    fixture::changed,
    http::Answer,
    moto::{ACCOUNT, Key, Moto, allowing, everything},
    server::{Server, Setup, built_plugins},
};
use serde_json::{Value, json};

/// A server with a mount `asm`, whose root is the user `lessor`.
struct Vault {
    moto: Moto,
    between: Between,
    server: Server,
    root: Key,
}

impl Vault {
    /// A root that may do everything.
    fn start() -> Self {
        let moto = Moto::start();
        let root = moto.user("lessor", &everything());
        Self::on(moto, root, Server::setup())
    }

    /// A fresh server before an account.
    fn on(moto: Moto, root: Key, setup: Setup) -> Self {
        let vault = Self::bare(moto, root, setup);
        vault.configure(&json!({})).ok();
        vault
    }

    /// The same, without a config.
    fn bare(moto: Moto, root: Key, setup: Setup) -> Self {
        let between = Between::start(moto.origin());
        between.rule(standing_in);
        let server = setup.start();
        server.bring_and_pin("aws-secrets-manager", "aws-secrets-manager.wasm");
        let mount = json!({
            "type": "aws-secrets-manager",
            "config": {"allowed_hosts": [between.origin()], "timeout": "30s"},
        });
        server.http.post("sys/mounts/asm", &mount).ok();
        Self {
            moto,
            between,
            server,
            root,
        }
    }

    fn config(&self) -> Value {
        config(&self.root, self.between.origin())
    }

    /// Writes the whole config with changes over it; null takes a field away.
    fn configure(&self, changes: &Value) -> Answer {
        let mut config = changed(self.config(), changes);
        config["replace"] = json!(true);
        self.server.http.post("asm/config", &config)
    }

    fn role(&self, name: &str, fields: &Value) -> Answer {
        let role = changed(json!({"default_ttl": "1h", "max_ttl": "12h"}), fields);
        self.server.http.post(&format!("asm/roles/{name}"), &role)
    }

    fn ask(&self, role: &str, request: &Value) -> Answer {
        self.server.http.post(&format!("asm/creds/{role}"), request)
    }

    /// The data of a lease.
    #[track_caller]
    fn read(&self, role: &str, request: &Value) -> Value {
        self.ask(role, request).ok().json()["data"].clone()
    }

    /// A call of Secrets Manager by the administrator.
    #[track_caller]
    fn secrets(&self, method: &str, arguments: Value) -> Value {
        self.by_admin("secretsmanager", method, arguments)
    }

    /// Makes a secret, and gives the id of its version.
    #[track_caller]
    fn secret(&self, name: &str, text: &str) -> String {
        let made = self.secrets("create_secret", json!({"Name": name, "SecretString": text}));
        made["VersionId"].as_str().expect("an id").to_owned()
    }

    /// A call of boto3 by the administrator.
    #[track_caller]
    fn by_admin(&self, service: &str, method: &str, arguments: Value) -> Value {
        self.moto
            .by(&self.moto.admin, service, method, arguments)
            .unwrap_or_else(|error| panic!("{service} {method}: {error}"))
    }

    /// A role of AWS that everybody of the account may assume, and that may do these
    /// actions; its ARN.
    fn aws_role(&self, name: &str, actions: &[&str]) -> String {
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
        });
        let made = json!({"RoleName": name, "AssumeRolePolicyDocument": trust.to_string()});
        self.moto.iam("create_role", made);
        let policy = json!({"RoleName": name, "PolicyName": "inline", "PolicyDocument": allowing(actions).to_string()});
        self.moto.iam("put_role_policy", policy);
        format!("arn:aws:iam::{ACCOUNT}:role/{name}")
    }

    /// The key of a session of such a role.
    fn session_of(&self, role_arn: &str) -> Key {
        let asked = json!({"RoleArn": role_arn, "RoleSessionName": "lent"});
        let answer = self.by_admin("sts", "assume_role", asked);
        let text = |field: &str| answer["Credentials"][field].as_str().unwrap().to_owned();
        Key {
            access_key: text("AccessKeyId"),
            secret_key: text("SecretAccessKey"),
            session_token: Some(text("SessionToken")),
        }
    }
}

fn config(root: &Key, origin: &str) -> Value {
    json!({
        "access_key": root.access_key,
        "secret_key": root.secret_key,
        "region": "eu-central-1",
        "secretsmanager_endpoint": origin,
        "ssm_endpoint": origin,
        "iam_endpoint": origin,
        "sts_endpoint": origin,
    })
}

/// Stands in for the simulation of policies, which denies nothing here.
fn standing_in(asked: &Asked) -> Deed {
    match asked.action().as_str() {
        "SimulatePrincipalPolicy" => xml(
            200,
            "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult/></SimulatePrincipalPolicyResponse>",
        ),
        _ => Deed::Pass,
    }
}

fn xml(status: u16, body: &str) -> Deed {
    let header = ("content-type".to_owned(), "text/xml".to_owned());
    Deed::Answer(status, vec![header], body.to_owned())
}

/// A refusal of STS in the words of AWS.
fn refusing_xml(status: u16, code: &str, message: &str) -> Deed {
    xml(
        status,
        &format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error><RequestId>0c5e</RequestId></ErrorResponse>"
        ),
    )
}

fn json_type() -> Vec<(String, String)> {
    let value = "application/x-amz-json-1.1".to_owned();
    vec![("content-type".to_owned(), value)]
}

/// A refusal of a service that speaks JSON.
fn refusing(status: u16, code: &str, message: &str) -> Deed {
    let body = json!({"__type": code, "message": message});
    Deed::Answer(status, json_type(), body.to_string())
}

/// `plugin check`: every rule holds, the rotation's too.
#[test]
fn the_reader_of_secrets_keeps_every_rule_with_its_rotation() {
    let moto = Moto::start();
    let root = moto.user("lessor", &everything());
    let secret = json!({"Name": "db", "SecretString": "hunter2-canary"});
    moto.by(&moto.admin, "secretsmanager", "create_secret", secret)
        .unwrap();
    let between = Between::start(moto.origin());
    between.rule(standing_in);
    let directory = tempfile::tempdir().unwrap();
    let new_config = directory.path().join("new.json");
    let found = crate::conformance::Found::by(
        &built_plugins().join("aws-secrets-manager.wasm"),
        &[
            "--config",
            &config(&root, between.origin()).to_string(),
            "--role",
            &json!({"key": "db"}).to_string(),
            "--allow-host",
            between.origin(),
            "--rotate",
            new_config.to_str().unwrap(),
        ],
    );
    let printed = &found.printed;
    assert_eq!(found.with("failed"), Vec::<&str>::new(), "{printed}");
    let new: Value = serde_json::from_str(&fs::read_to_string(&new_config).unwrap()).unwrap();
    assert_eq!(moto.keys("lessor"), [new["access_key"].as_str().unwrap()]);
    assert!(!printed.contains(new["secret_key"].as_str().unwrap()));
    assert!(!printed.contains("hunter2-canary"), "{printed}");
}
