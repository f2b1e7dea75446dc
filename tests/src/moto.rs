//! AWS on loopback: moto, which checks signatures and the policies of IAM, and boto3,
//! which logs in with what was leased.

use std::{
    cell::RefCell,
    fs::File,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{postgres::free_port, python, server::workspace, wait::eventually_true};

/// The account that moto has.
pub const ACCOUNT: &str = "123456789012";

/// An access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// `AKIA…` of a user, `ASIA…` of a session.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
    /// Belongs to the key of a session.
    pub session_token: Option<String>,
}

/// A running moto, whose first user may do everything. Dropping it ends the process.
#[derive(Debug)]
pub struct Moto {
    process: Child,
    origin: String,
    boto: RefCell<Boto>,
    /// The key of the first user, `administrator`.
    pub admin: Key,
    _home: TempDir,
}

/// boto3, which waits for calls.
#[derive(Debug)]
struct Boto {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// A policy that allows everything.
pub fn everything() -> Value {
    allowing(&["*"])
}

/// A policy that allows these actions, on everything.
pub fn allowing(actions: &[&str]) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    })
}

impl Moto {
    /// An account with one user, `administrator`. Whoever calls from then on must have a
    /// key, and may do what its policies say.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let origin = format!("http://127.0.0.1:{port}");
        let log = File::create(home.path().join("log")).expect("moto's log");
        let process = Command::new(python::program("python"))
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p"])
            .arg(port.to_string())
            // The environment of the person who runs the tests must not matter.
            .env_clear()
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("start moto");
        let boto = RefCell::new(Boto::start(&origin));
        let nobody = Key::of("none", "none");
        let mut moto = Self {
            process,
            origin,
            boto,
            admin: nobody,
            _home: home,
        };
        eventually_true("moto answers", || {
            assert!(
                moto.process.try_wait().expect("look at moto").is_none(),
                "moto has ended"
            );
            ureq::get(format!("{}/moto-api/data.json", moto.origin))
                .call()
                .is_ok()
        });
        moto.admin = moto.user("administrator", &everything());
        ureq::post(format!("{}/moto-api/reset-auth", moto.origin))
            .send("0")
            .expect("authentication is on");
        moto
    }

    /// Its address, which is also what a mount must be granted to reach it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Makes a user with one inline policy, and gives its key.
    pub fn user(&self, name: &str, policy: &Value) -> Key {
        self.iam("create_user", json!({"UserName": name}));
        self.allow(name, policy);
        self.new_key(name)
    }

    /// Makes a further key of a user.
    pub fn new_key(&self, user: &str) -> Key {
        let made = self.iam("create_access_key", json!({"UserName": user}));
        let text = |field: &str| made["AccessKey"][field].as_str().expect("a key").to_owned();
        Key::of(&text("AccessKeyId"), &text("SecretAccessKey"))
    }

    /// Ends all keys of a user, and makes one.
    pub fn only_key(&self, user: &str) -> Key {
        for key in self.keys(user) {
            let gone = json!({"UserName": user, "AccessKeyId": key});
            self.iam("delete_access_key", gone);
        }
        self.new_key(user)
    }

    /// Replaces the inline policy of such a user.
    pub fn allow(&self, name: &str, policy: &Value) {
        let document = policy.to_string();
        let arguments =
            json!({"UserName": name, "PolicyName": "inline", "PolicyDocument": document});
        self.iam("put_user_policy", arguments);
    }

    /// A call of IAM by the administrator.
    #[track_caller]
    pub fn iam(&self, method: &str, arguments: Value) -> Value {
        self.by(&self.admin, "iam", method, arguments)
            .unwrap_or_else(|error| panic!("iam {method}: {error}"))
    }

    /// A call of boto3, by a key.
    ///
    /// # Errors
    /// The code of AWS, and its message.
    ///
    /// # Panics
    /// Where boto3 does not answer.
    pub fn by(
        &self,
        key: &Key,
        service: &str,
        method: &str,
        arguments: Value,
    ) -> Result<Value, String> {
        let call = json!({
            "service": service,
            "method": method,
            "arguments": arguments,
            "access_key": key.access_key,
            "secret_key": key.secret_key,
            "session_token": key.session_token,
        });
        let mut said = self.boto.borrow_mut().ask(&call);
        match said["ok"].take() {
            Value::Null => Err(format!(
                "{}: {}",
                said["error"].as_str().unwrap_or_default(),
                said["message"].as_str().unwrap_or_default()
            )),
            answer => Ok(answer),
        }
    }

    /// Whether a key is good, and whose it is.
    pub fn identity(&self, key: &Key) -> Result<String, String> {
        let answer = self.by(key, "sts", "get_caller_identity", json!({}))?;
        Ok(answer["Arn"].as_str().expect("an ARN").to_owned())
    }

    /// The names of all users, sorted.
    pub fn users(&self) -> Vec<String> {
        let listed = self.iam("list_users", json!({}));
        let users = listed["Users"].as_array().expect("a list").iter();
        let mut names: Vec<String> = users
            .map(|user| user["UserName"].as_str().expect("a name").to_owned())
            .collect();
        names.sort();
        names
    }

    /// The ids of the access keys of a user.
    pub fn keys(&self, user: &str) -> Vec<String> {
        let listed = self.iam("list_access_keys", json!({"UserName": user}));
        let keys = listed["AccessKeyMetadata"].as_array().expect("a list");
        keys.iter()
            .map(|key| key["AccessKeyId"].as_str().expect("an id").to_owned())
            .collect()
    }
}

impl Key {
    /// The key of a user.
    pub fn of(access_key: &str, secret_key: &str) -> Self {
        Self {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            session_token: None,
        }
    }
}

impl Boto {
    fn start(origin: &str) -> Self {
        let mut process = Command::new(python::program("python"))
            .arg(workspace().join("tests/clients/aws.py"))
            .arg(origin)
            .env_clear()
            // No file of the person who runs the tests, and no metadata service.
            .env("HOME", "/nonexistent")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start boto3");
        let input = process.stdin.take().expect("its input");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        Self {
            process,
            input,
            output,
        }
    }

    fn ask(&mut self, call: &Value) -> Value {
        writeln!(self.input, "{call}").expect("boto3 reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("boto3 answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("boto3: {error}: {line:?}"))
    }
}

impl Drop for Boto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
