//! OpenBao on loopback: the server that ours is compared with. In memory, where
//! answers are compared; with its own storage on disk, where speed is.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{http::Http, postgres::free_port, python, wait::eventually_true};

/// A running `bao server`. Dropping it ends the process and removes what it
/// wrote.
#[derive(Debug)]
pub struct OpenBao {
    process: Child,
    /// A client with the root token.
    pub http: Http,
    home: TempDir,
    /// The arguments with which it is started.
    arguments: Vec<String>,
    /// Opens what is on disk, which is sealed after every start.
    unseal_key: Option<String>,
}

impl OpenBao {
    /// A fresh one in memory, unsealed, with the root token `root`.
    pub fn start() -> Self {
        let port = free_port();
        let arguments = vec![
            "-dev".to_owned(),
            "-dev-no-store-token".to_owned(),
            "-dev-root-token-id=root".to_owned(),
            format!("-dev-listen-address=127.0.0.1:{port}"),
        ];
        let mut bao = Self::launch(home(), arguments, port);
        bao.http = bao.http.with_token("root");
        eventually_true("OpenBao serves", || bao.health() == Some(200));
        bao
    }

    /// A fresh one with raft storage on disk, of one node, set up as its
    /// documentation says; initialised and unsealed.
    pub fn start_durable() -> Self {
        let home = home();
        let (port, cluster_port) = (free_port(), free_port());
        let data = home.path().join("data");
        fs::create_dir(&data).expect("OpenBao's data directory");
        let config = format!(
            "storage \"raft\" {{\n  path = {data:?}\n  node_id = \"one\"\n}}\n\
             listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}}\n\
             api_addr = \"http://127.0.0.1:{port}\"\n\
             cluster_addr = \"https://127.0.0.1:{cluster_port}\"\n"
        );
        let file = home.path().join("bao.hcl");
        fs::write(&file, config).expect("OpenBao's configuration");
        let arguments = vec![format!("-config={}", file.display())];
        let mut bao = Self::launch(home, arguments, port);
        eventually_true("OpenBao answers", || bao.health().is_some());
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let made = bao.http.put("sys/init", &shares).ok().json();
        let text = |pointer: &str| {
            let text = made.pointer(pointer).and_then(serde_json::Value::as_str);
            text.expect("what sys/init gives").to_owned()
        };
        bao.unseal_key = Some(text("/keys/0"));
        bao.http = bao.http.with_token(&text("/root_token"));
        bao.await_unsealed();
        bao
    }

    /// `kill -9`, and a start on the same data up to the first answer of an unsealed
    /// server.
    ///
    /// # Panics
    /// Where it does not serve again.
    pub fn restart(&mut self) {
        self.process.kill().expect("kill bao");
        self.process.wait().expect("wait for bao");
        self.process = spawn(&self.home, &self.arguments);
        self.await_unsealed();
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn launch(home: TempDir, arguments: Vec<String>, port: u16) -> Self {
        let process = spawn(&home, &arguments);
        Self {
            process,
            http: Http::new(&format!("http://127.0.0.1:{port}")),
            home,
            arguments,
            unseal_key: None,
        }
    }

    fn await_unsealed(&mut self) {
        eventually_true("OpenBao serves", || match self.health() {
            Some(200) => true,
            // Sealed, as it is after every start.
            Some(503) => {
                let key = json!({"key": self.unseal_key});
                let _ = self.http.put("sys/unseal", &key);
                self.health() == Some(200)
            }
            _ => false,
        });
    }

    /// The status of `sys/health`; none while it does not answer.
    fn health(&mut self) -> Option<u16> {
        if let Some(ended) = self.process.try_wait().expect("look at bao") {
            panic!("OpenBao did not start ({ended}): {}", self.log());
        }
        let health = self.http.try_send("GET", "sys/health", &[], None);
        health.ok().map(|answer| answer.status)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }
}

fn home() -> TempDir {
    tempfile::Builder::new()
        .prefix("lessor-bao-")
        .tempdir()
        .expect("a temporary directory")
}

fn spawn(home: &TempDir, arguments: &[String]) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(home.path().join("log"))
        .expect("OpenBao's log");
    Command::new(python::program("bao"))
        .arg("server")
        .args(arguments)
        // The environment of the person who runs the tests must not matter.
        .env_clear()
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("log"))
        .stderr(log)
        .spawn()
        .expect("start bao")
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!(
                "--- the end of OpenBao's output, backwards ---\n{}",
                tail.join("\n")
            );
        }
    }
}
