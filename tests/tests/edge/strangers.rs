//! A request without a token costs a bounded amount, and callers with one are served meanwhile.

mod bodies;
mod connections;
mod lines;
mod logins;

use lessor_tests::{
    http::{Answer, Http},
    server::Server,
};
use serde_json::Value;

/// The lines of the audit log that are of one type.
fn lines(server: &Server, kind: &str) -> Vec<Value> {
    let of_kind = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        (line["type"] == kind).then_some(line)
    };
    server.audit().lines().filter_map(of_kind).collect()
}

/// Posts text as it stands.
fn post(http: &Http, path: &str, text: &str) -> Answer {
    let headers = [("Content-Type", "application/json")];
    http.send("POST", path, &headers, Some(text.as_bytes()))
}
