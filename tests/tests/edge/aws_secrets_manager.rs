//! The provider for AWS Secrets Manager and Parameter Store, against moto with
//! authentication on: boto3 writes what is read. A proxy between the two says what AWS says
//! and moto does not.

mod refusals;
mod roots;
mod rows;

use std::fs;

use lessor_tests::{
    between::{Asked, Between, Deed},
    fixture::changed,
    http::Answer,
    moto::{Key, Moto, everything},
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
    fn start() -> Self {
        let moto = Moto::start();
        let root = moto.user("lessor", &everything());
        let vault = Self::bare(moto, root, Server::setup());
        vault.configure(&json!({})).ok();
        vault
    }

    /// A fresh server before an account, without a config.
    fn bare(moto: Moto, root: Key, setup: Setup) -> Self {
        let between = Between::start(moto.origin());
        between.rule(standing_in);
        let server = setup.start();
        let file = "aws-secrets-manager.wasm";
        fs::copy(built_plugins().join(file), server.plugins().join(file))
            .expect("run `cargo xtask test`");
        server
            .pin("aws-secrets-manager", file, &server.digest(file))
            .ok();
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
        json!({
            "access_key": self.root.access_key,
            "secret_key": self.root.secret_key,
            "session_token": self.root.session_token,
            "region": "eu-central-1",
            "secretsmanager_endpoint": self.between.origin(),
            "ssm_endpoint": self.between.origin(),
            "iam_endpoint": self.between.origin(),
            "sts_endpoint": self.between.origin(),
        })
    }

    /// Writes the whole config with changes over it; null takes a field away.
    fn configure(&self, changes: &Value) -> Answer {
        let mut config = changed(self.config(), changes);
        config["replace"] = json!(true);
        self.server.http.post("asm/config", &config)
    }

    fn role(&self, name: &str, role: &Value) -> Answer {
        self.server.http.post(&format!("asm/roles/{name}"), role)
    }

    /// What a caller gets that asks for nothing but what the role fixes.
    fn ask(&self, role: &str, request: &Value) -> Answer {
        self.server.http.post(&format!("asm/creds/{role}"), request)
    }

    /// A call of boto3 by the administrator.
    #[track_caller]
    fn by_admin(&self, service: &str, method: &str, arguments: Value) -> Value {
        self.moto
            .by(&self.moto.admin, service, method, arguments)
            .unwrap_or_else(|error| panic!("{service} {method}: {error}"))
    }

    /// Makes a secret, and gives the id of its version.
    #[track_caller]
    fn secret(&self, name: &str, text: &str) -> String {
        let arguments = json!({"Name": name, "SecretString": text});
        let made = self.by_admin("secretsmanager", "create_secret", arguments);
        made["VersionId"].as_str().expect("an id").to_owned()
    }
}

/// moto simulates no policies.
fn standing_in(asked: &Asked) -> Deed {
    match asked.action().as_str() {
        "SimulatePrincipalPolicy" => {
            let header = ("content-type".to_owned(), "text/xml".to_owned());
            let body = "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult>\
                <EvaluationResults/></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>";
            Deed::Answer(200, vec![header], body.to_owned())
        }
        _ => Deed::Pass,
    }
}

/// A refusal in the words of AWS' JSON protocol.
fn refusing(status: u16, code: &str, message: &str) -> Deed {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Deed::Answer(
        status,
        vec![
            header("content-type", "application/x-amz-json-1.1"),
            header("x-amzn-requestid", "7f1c"),
        ],
        json!({"__type": code, "message": message}).to_string(),
    )
}

/// `plugin check`: every rule holds, the rotation's too.
#[test]
fn the_provider_of_secrets_keeps_every_rule_with_its_rotation() {
    let moto = Moto::start();
    let root = moto.user("lessor", &everything());
    let made = json!({"Name": "db", "SecretString": "{\"password\": \"hunter2hunter2\"}"});
    moto.by(&moto.admin, "secretsmanager", "create_secret", made)
        .unwrap();
    let between = Between::start(moto.origin());
    between.rule(standing_in);
    let directory = tempfile::tempdir().unwrap();
    let new_config = directory.path().join("new.json");
    let config = json!({
        "access_key": root.access_key,
        "secret_key": root.secret_key,
        "secretsmanager_endpoint": between.origin(),
        "iam_endpoint": between.origin(),
        "sts_endpoint": between.origin(),
    });
    let role = json!({"key": "db", "property": "password"});
    let found = crate::conformance::Found::by(
        &built_plugins().join("aws-secrets-manager.wasm"),
        &[
            "--config",
            &config.to_string(),
            "--role",
            &role.to_string(),
            "--allow-host",
            between.origin(),
            "--rotate",
            new_config.to_str().unwrap(),
        ],
    );
    assert_eq!(
        found.with("failed"),
        Vec::<&str>::new(),
        "{}",
        found.printed
    );
    let new: Value = serde_json::from_str(&fs::read_to_string(&new_config).unwrap()).unwrap();
    assert_eq!(moto.keys("lessor"), [new["access_key"].as_str().unwrap()]);
    assert!(!found.printed.contains("hunter2"), "{}", found.printed);
}
