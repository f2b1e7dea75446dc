//! Checks refusals: each is a 4xx (or upstream's 502) with one sentence that names the mistake.
//! Tables of bad requests are run to their end, so that one failing test shows all faults.

use serde_json::{Value, json};

use crate::{
    http::{Answer, Http},
    server::Server,
};

/// One bad request: its fault, the request, the status, and a text that the sentence must hold.
pub type Case<'a> = (&'a str, &'a str, &'a str, Value, u16, &'a [&'a str]);

/// Everything that a request could change, as the API shows it,
/// for the mount `db` and its role `reader`.
pub fn state(server: &Server) -> Value {
    let shown = |path: &str| {
        let answer = server.http.get(path);
        assert!(answer.status == 200 || answer.status == 404, "{answer:?}");
        answer.json()["data"].clone()
    };
    json!({
        "mounts": shown("sys/mounts"),
        "tune": shown("sys/mounts/db/tune"),
        "config": shown("db/config"),
        "roles": server.http.list("db/roles").keys(),
        "role": shown("db/roles/reader"),
        "leases": server.leases("db/creds"),
        "pins": shown("sys/plugins/pins"),
        "catalog": shown("sys/plugins/catalog"),
    })
}

/// Sends every case.
///
/// # Panics
/// With every case that fails.
pub fn refuse_all(http: &Http, cases: &[Case<'_>]) {
    let mut wrong = Vec::new();
    for (what, method, path, body, status, says) in cases {
        let headers = [("Content-Type", "application/json")];
        let body = body.to_string();
        let body = (*method != "GET" && *method != "LIST").then_some(body.as_bytes());
        let answer = http.send(method, path, &headers, body);
        if let Some(why) = complaint(&answer, *status, says) {
            wrong.push(format!("{what}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

/// The fault of a refusal, if there is one.
pub fn complaint(answer: &Answer, status: u16, says: &[&str]) -> Option<String> {
    let text = answer.text();
    let complain = |why: &str| {
        Some(format!(
            "{why}: {} {} {text}",
            answer.request, answer.status
        ))
    };
    if answer.status != status {
        return complain(&format!("not {status}"));
    }
    if answer.content_type.as_deref() != Some("application/json") {
        return complain("not JSON");
    }
    let body: Value = serde_json::from_str(&text).ok()?;
    let sentences = body["errors"].as_array().cloned().unwrap_or_default();
    let [sentence] = sentences.as_slice() else {
        return complain("not one sentence");
    };
    let sentence = sentence.as_str().unwrap_or_default();
    if sentence.len() > 600 || sentence.contains('\n') {
        return complain("not one clear sentence");
    }
    says.iter()
        .find(|word| !sentence.contains(**word))
        .and_then(|word| complain(&format!("does not say {word:?}")))
}
