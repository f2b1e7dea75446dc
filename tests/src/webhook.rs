//! A webhook to lease from, with the habits of those that people write.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    http::Answer,
    python,
    server::{Server, workspace},
    wait::eventually_true,
};

/// The root credential that it takes at first.
pub const PASSWORD: &str = "first-root";

/// The client that its token endpoint knows: id and secret.
pub const CLIENT: (&str, &str) = ("lessor", "s3cr:t%");

/// A running one; dropping it ends the process.
#[derive(Debug)]
pub struct Webhook {
    process: Child,
    origin: String,
}

impl Webhook {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start() -> Self {
        let mut process = Command::new(python::program("python"))
            .arg(workspace().join("tests/upstreams/webhook.py"))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("python runs the webhook");
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

    /// The payload with its first root credential.
    pub fn payload() -> String {
        json!({"type": "target", "user": "root", "password": PASSWORD}).to_string()
    }

    /// The config of a mount that leases from it.
    pub fn config(&self) -> Value {
        json!({"url": self.origin, "payload": Self::payload()})
    }

    /// Changes how it behaves.
    pub fn control(&self, changes: &Value) {
        ureq::post(format!("{}/control", self.origin))
            .send_json(changes)
            .expect("the webhook answers");
    }

    /// What it does at the next calls of an endpoint, instead of what it should.
    pub fn next(&self, endpoint: &str, acts: &[&str]) {
        self.control(&json!({"next": {endpoint: acts}}));
    }

    /// All that it knows.
    pub fn state(&self) -> Value {
        let answer = ureq::get(format!("{}/state", self.origin)).call();
        let mut answer = answer.expect("the webhook answers");
        answer.body_mut().read_json().expect("what it knows")
    }

    /// Waits until it holds the request that its behaviour `hold` names.
    pub fn await_held(&self) {
        eventually_true("a request is held", || self.state()["held"] == true);
    }

    /// The ids of what exists.
    pub fn ids(&self) -> Vec<String> {
        let state = self.state();
        let mut ids: Vec<String> = state["credentials"]
            .as_object()
            .expect("credentials by id")
            .keys()
            .cloned()
            .collect();
        ids.sort();
        ids
    }

    /// The bodies that an endpoint was sent, oldest first.
    pub fn sent(&self, endpoint: &str) -> Vec<Value> {
        let state = self.state();
        let requests = state["requests"].as_array().expect("requests").iter();
        requests
            .filter(|request| request["endpoint"] == endpoint)
            .map(|request| request["body"].clone())
            .collect()
    }

    /// Pins the provider of webhooks, and mounts it at `path` with the grant that it needs.
    pub fn mount(&self, server: &Server, path: &str) {
        server.bring_and_pin("webhook", "webhook.wasm");
        let mount = json!({
            "type": "webhook",
            "config": {"allowed_hosts": [self.origin]},
        });
        server.http.post(&format!("sys/mounts/{path}"), &mount).ok();
    }

    /// Writes its config at a mount, with changes.
    pub fn configure(&self, server: &Server, path: &str, changes: &Value) -> Answer {
        let config = crate::fixture::changed(self.config(), changes);
        server.http.post(&format!("{path}/config"), &config)
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
