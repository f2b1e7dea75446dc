//! The toy upstream of the examples: accounts in memory, and a root token.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::server::workspace;

/// The root token that it starts with.
pub const TOKEN: &str = "toy-token";

/// A running one; dropping it ends the process.
#[derive(Debug)]
pub struct Toy {
    process: Child,
    origin: String,
}

impl Toy {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// Where there is no Python.
    pub fn start() -> Self {
        let mut process = Command::new("python3")
            .arg(workspace().join("examples/upstream.py"))
            .arg("0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 runs the toy upstream");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("its first line");
        let origin = line.trim().strip_prefix("listening on ").expect("its URL");
        Self {
            origin: origin.to_owned(),
            process,
        }
    }

    /// Its address, which is also what a mount must be granted to reach it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The URL of its accounts.
    pub fn accounts_url(&self) -> String {
        format!("{}/accounts", self.origin)
    }

    /// The names of the accounts that exist.
    pub fn accounts(&self) -> Vec<String> {
        self.accounts_by(TOKEN).expect("the root token is accepted")
    }

    /// The names of the root tokens that are taken, whoever made them.
    pub fn tokens(&self) -> Vec<String> {
        let answer = ureq::get(format!("{}/tokens", self.origin)).call();
        let names: Value = answer
            .expect("the upstream answers")
            .body_mut()
            .read_json()
            .expect("a list of names");
        serde_json::from_value(names).expect("names are strings")
    }

    /// The same by another token; none where it is refused.
    pub fn accounts_by(&self, token: &str) -> Option<Vec<String>> {
        let answer = ureq::get(self.accounts_url())
            .header("authorization", format!("Bearer {token}"))
            .call();
        match answer {
            Ok(mut answer) => {
                let names: Value = answer.body_mut().read_json().expect("a list of names");
                Some(serde_json::from_value(names).expect("names are strings"))
            }
            Err(ureq::Error::StatusCode(401)) => None,
            Err(error) => panic!("the upstream answers: {error}"),
        }
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
