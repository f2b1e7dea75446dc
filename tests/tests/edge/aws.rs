//! The provider for AWS, against moto with authentication on: boto3 logs in with what was
//! leased, and a proxy between the two spoils what a network and AWS spoil.
//!
//! moto knows no simulation of policies, no sign-in page, and neither checks the tokens of
//! web identities nor lets anybody log in with a federation or session token; the proxy
//! stands in for these, and says so where it does.

mod accounts;
mod crashes;
mod dialect;
mod refusals;
mod roots;
mod sessions;
mod users;

use std::{collections::BTreeSet, fs};

use lessor_tests::{
    between::{Asked, Between, Deed},
    fixture::changed,
    http::Answer,
    moto::{Key, Moto, everything},
    server::{Server, Setup, built_plugins},
    wait::eventually_true,
};
use serde_json::{Value, json};

/// A server with a mount `aws`, whose root is the user `lessor`.
struct Cloud {
    moto: Moto,
    between: Between,
    server: Server,
    root: Key,
}

/// A credential that a caller got.
#[derive(Clone, Debug)]
struct Leased {
    id: String,
    key: Key,
    data: Value,
    seconds: u64,
}

impl Cloud {
    fn start() -> Self {
        let moto = Moto::start();
        let root = moto.user("lessor", &everything());
        Self::on(moto, root, Server::setup())
    }

    /// A fresh server before an account.
    fn on(moto: Moto, root: Key, setup: Setup) -> Self {
        let cloud = Self::bare(moto, root, setup);
        cloud.configure(&json!({})).ok();
        cloud
    }

    /// The same, without a config.
    fn bare(moto: Moto, root: Key, setup: Setup) -> Self {
        let between = Between::start(moto.origin());
        between.rule(standing_in);
        let server = setup.start();
        server.bring_and_pin("aws", "aws.wasm");
        let mount = json!({
            "type": "aws",
            "config": {"allowed_hosts": [between.origin()], "timeout": "30s"},
        });
        server.http.post("sys/mounts/aws", &mount).ok();
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
            "region": "eu-central-1",
            "iam_endpoint": self.between.origin(),
            "sts_endpoint": self.between.origin(),
            "signin_endpoint": format!("{}/federation", self.between.origin()),
        })
    }

    /// Writes the whole config with changes over it; null takes a field away.
    fn configure(&self, changes: &Value) -> Answer {
        let mut config = changed(self.config(), changes);
        config["replace"] = json!(true);
        self.server.http.post("aws/config", &config)
    }

    /// Writes a role of users who may list users, with changes over it.
    fn role(&self, name: &str, changes: &Value) -> Answer {
        let role = json!({
            "credential_type": "iam_user",
            "policy_document": lessor_tests::moto::allowing(&["iam:ListUsers"]),
            "default_ttl": "1h",
            "max_ttl": "12h",
        });
        let path = format!("aws/roles/{name}");
        self.server.http.post(&path, &changed(role, changes))
    }

    #[track_caller]
    fn lease(&self, role: &str) -> Leased {
        Leased::of(&self.server.http.get(&format!("aws/creds/{role}")))
    }

    fn revoke(&self, lease: &Leased) -> Answer {
        let body = json!({"lease_id": lease.id});
        self.server.http.put("sys/leases/revoke", &body)
    }

    /// The names of the users that are nobody's of the test.
    fn leased_users(&self) -> BTreeSet<String> {
        let own = |name: &String| !["administrator", "lessor"].contains(&name.as_str());
        self.moto.users().into_iter().filter(own).collect()
    }

    /// The names of the users of all leases.
    fn users_of_leases(&self) -> BTreeSet<String> {
        let leases = self.server.leases("aws/creds").into_iter();
        let views = leases.map(|id| self.server.lookup(&id));
        // A lease may end between the two looks.
        let views = views.filter(|answer| answer.status == 200);
        let names = views.map(|answer| answer.data()["credential_id"].clone());
        names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    }

    #[track_caller]
    fn await_no_users(&self) {
        eventually_true("no leased user is left", || self.leased_users().is_empty());
    }
}

impl Leased {
    #[track_caller]
    fn of(answer: &Answer) -> Self {
        let body = answer.clone().ok().json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let data = body["data"].clone();
        Self {
            id: text(&body["lease_id"]),
            key: Key {
                access_key: text(&data["access_key"]),
                secret_key: text(&data["secret_key"]),
                session_token: data["session_token"].as_str().map(str::to_owned),
            },
            seconds: body["lease_duration"].as_u64().unwrap_or_default(),
            data,
        }
    }

    fn user(&self) -> String {
        let arn = self.data["arn"].as_str().expect("an ARN");
        arn.rsplit('/').next().unwrap_or_default().to_owned()
    }
}

/// Stands in for the parts that moto lacks: it simulates no policies, and has no sign-in page.
fn standing_in(asked: &Asked) -> Deed {
    if asked.path.starts_with("/federation?Action=getSigninToken") {
        return Deed::Answer(
            200,
            json_type(),
            json!({"SigninToken": "signin-canary"}).to_string(),
        );
    }
    match asked.action().as_str() {
        "SimulatePrincipalPolicy" => simulated(asked, &[]),
        "ListServiceSpecificCredentials" => xml(200, "<ListServiceSpecificCredentialsResponse/>"),
        _ => Deed::Pass,
    }
}

/// The answer of a simulation that denies these actions.
fn simulated(asked: &Asked, denied: &[&str]) -> Deed {
    let actions = (1..).map_while(|place| asked.field(&format!("ActionNames.member.{place}")));
    let results: String = actions
        .map(|action| {
            let decision = match denied.contains(&action.as_str()) {
                true => "implicitDeny",
                false => "allowed",
            };
            format!("<member><EvalActionName>{action}</EvalActionName><EvalDecision>{decision}</EvalDecision></member>")
        })
        .collect();
    xml(
        200,
        &format!(
            "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult>\
             <EvaluationResults>{results}</EvaluationResults>\
             </SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
        ),
    )
}

/// A refusal in the words of AWS.
fn refusing(status: u16, code: &str, message: &str) -> Deed {
    xml(
        status,
        &format!(
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>0c5e</RequestId></ErrorResponse>"
        ),
    )
}

fn xml(status: u16, body: &str) -> Deed {
    let header = ("content-type".to_owned(), "text/xml".to_owned());
    Deed::Answer(status, vec![header], body.to_owned())
}

fn json_type() -> Vec<(String, String)> {
    vec![("content-type".to_owned(), "application/json".to_owned())]
}

/// `plugin check`: every rule holds, the rotation's too.
#[test]
fn the_aws_provider_keeps_every_rule_with_its_rotation() {
    let moto = Moto::start();
    let root = moto.user("lessor", &everything());
    let between = Between::start(moto.origin());
    between.rule(standing_in);
    let directory = tempfile::tempdir().unwrap();
    let new_config = directory.path().join("new.json");
    let config = json!({
        "access_key": root.access_key,
        "secret_key": root.secret_key,
        "iam_endpoint": between.origin(),
        "sts_endpoint": between.origin(),
    });
    let role = json!({
        "credential_type": "iam_user",
        "policy_document": lessor_tests::moto::allowing(&["iam:ListUsers"]),
    });
    let found = crate::conformance::Found::by(
        &built_plugins().join("aws.wasm"),
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
    assert_eq!(found.with("skipped"), ["renew"], "{}", found.printed);
    assert_eq!(moto.users(), ["administrator", "lessor"]);
    let new: Value = serde_json::from_str(&fs::read_to_string(&new_config).unwrap()).unwrap();
    assert_eq!(moto.keys("lessor"), [new["access_key"].as_str().unwrap()]);
    assert!(!found.printed.contains(new["secret_key"].as_str().unwrap()));
}
