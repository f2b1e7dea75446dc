//! OpenBao on loopback, in memory: the server that ours is compared with.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{http::Http, postgres::free_port, python, wait::eventually_true};

/// A running `bao server -dev`. Dropping it ends the process and removes what it
/// wrote.
#[derive(Debug)]
pub struct OpenBao {
    process: Child,
    /// A client with the root token.
    pub http: Http,
    home: TempDir,
}

impl OpenBao {
    /// A fresh one, unsealed, with the root token `root`.
    pub fn start() -> Self {
        let home = tempfile::Builder::new()
            .prefix("lessor-bao-")
            .tempdir()
            .expect("a temporary directory");
        let port = free_port();
        let log = File::create(home.path().join("log")).expect("OpenBao's log");
        let process = Command::new(python::program("bao"))
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg("-dev-root-token-id=root")
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            // Nothing of the person who runs the tests has a say here.
            .env_clear()
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("start bao");
        let mut bao = Self {
            process,
            http: Http::new(&format!("http://127.0.0.1:{port}")).with_token("root"),
            home,
        };
        eventually_true("OpenBao serves", || bao.serves());
        bao
    }

    fn serves(&mut self) -> bool {
        if let Some(ended) = self.process.try_wait().expect("look at bao") {
            panic!("OpenBao did not start ({ended}): {}", self.log());
        }
        let health = self.http.try_send("GET", "sys/health", &[], None);
        health.is_ok_and(|answer| answer.status == 200)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }
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
