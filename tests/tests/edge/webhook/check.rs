//! `lessor plugin check` of the provider, with the webhook as its upstream.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use lessor_tests::{
    server::{Server, binary, built_plugins, workspace},
    wait::eventually_true,
    webhook::Webhook,
};
use serde_json::{Value, json};

#[test]
fn the_provider_keeps_every_rule_with_a_webhook_that_knows_its_calls_again() {
    let webhook = Webhook::start();
    webhook.control(&json!({"idempotency": "Idempotency-Key"}));
    let directory = tempfile::tempdir().unwrap();
    let new_config = directory.path().join("new.json");
    let config = json!({
        "url": webhook.origin(),
        "payload": Webhook::payload(),
        "idempotency_header": "Idempotency-Key",
    });
    let done = Command::new(binary())
        .args(["plugin", "check"])
        .arg(built_plugins().join("webhook.wasm"))
        .args(["--config", &config.to_string()])
        .args(["--allow-host", webhook.origin()])
        .arg("--rotate")
        .arg(&new_config)
        .args(["--output", "json"])
        .env(
            "LESSOR_TEST_CODE_CACHE",
            binary().with_file_name("test-code-cache"),
        )
        .stdin(Stdio::null())
        .output()
        .expect("run lessor");
    let found: Value = serde_json::from_slice(&done.stdout).unwrap();
    let of = |result: &str| -> Vec<String> {
        let findings = found["findings"].as_array().unwrap().iter();
        findings
            .filter(|finding| finding["result"] == result)
            .map(|finding| finding["check"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(of("failed"), Vec::<String>::new(), "{found}");
    assert_eq!(of("skipped"), ["renew", "inventory"], "{found}");
    assert_eq!(webhook.ids(), Vec::<String>::new());
    let kept: Value = serde_json::from_slice(&std::fs::read(new_config).unwrap()).unwrap();
    let payload: Value = serde_json::from_str(kept["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["password"], webhook.state()["password"]);
}

/// The webhook of the README, as somebody copies it.
#[test]
fn the_webhook_of_the_readme_is_leased_from() {
    let readme = fs::read_to_string(workspace().join("plugins/webhook/README.md")).unwrap();
    let (_, skeleton) = readme.split_once("```python\n").unwrap();
    let (skeleton, _) = skeleton.split_once("```").unwrap();
    assert_eq!(skeleton.lines().count(), 8);
    let port = free_port();
    let skeleton = skeleton.replace("9000", &port.to_string());
    let process = Command::new("python3")
        .args(["-c", &skeleton])
        .stderr(Stdio::null())
        .spawn()
        .expect("python3 runs the webhook");
    let _running = Running(process);
    eventually_true("it listens", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    let server = Server::start();
    let webhook = Webhook::start();
    webhook.mount(&server, "hook");
    let url = format!("http://127.0.0.1:{port}");
    let granted = json!({"allowed_hosts": [url]});
    let http = &server.http;
    http.post("sys/mounts/hook/tune", &granted).ok();
    let answer = http.post("hook/config", &json!({"url": url, "payload": "{}"}));
    let warnings = answer.ok().json()["warnings"].to_string();
    assert!(!warnings.contains("dry run"), "{warnings}");
    http.post("hook/roles/app", &json!({})).ok();
    let leased = http.get("hook/creds/app").ok().json();
    let username = leased["data"]["response"]["username"].as_str().unwrap();
    assert!(username.starts_with("tmp-"), "{leased}");
    let lease = json!({"lease_id": leased["lease_id"]});
    http.put("sys/leases/revoke", &lease).ok();
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
