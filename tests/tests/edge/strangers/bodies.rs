//! Bodies that are small on the wire and large in memory, in time or in the audit
//! log.

use lessor_tests::{refusal::complaint, server::Server};
use serde_json::json;

use super::{lines, post};

/// Longest audit line, as docs/operations.md has it.
const LONGEST_LINE: usize = 64 << 10;

/// CVE-2025-6203: bodies of 1 MiB that are deep, wide, or long in one place took the
/// server's time and memory, and its audit log's.
#[test]
fn a_complex_body_without_a_token_is_refused_while_it_is_read() {
    let server = Server::start();
    let stranger = server.http.without_token();
    server
        .http
        .post("sys/auth/people", &json!({"type": "userpass"}))
        .ok();
    let within = |inner: String| format!("{{\"token\": {inner}}}");
    let names = |count: usize| -> String {
        let names = (0..count).map(|number| format!("\"{number}\":0"));
        format!("{{{}}}", names.collect::<Vec<_>>().join(","))
    };
    let pairs = |count: usize| format!("[{}]", vec!["{\"a\":[]}"; count].join(","));
    for (what, body, status, says) in [
        (
            "a million numbers",
            within(format!("[{}1]", "1,".repeat(500_000))),
            413,
            "larger than",
        ),
        (
            "many numbers",
            within(format!("[{}1]", "1,".repeat(60_000))),
            400,
            "more than 200 values",
        ),
        (
            "many fields",
            within(names(5_000)),
            400,
            "more than 200 values",
        ),
        (
            "many empty objects",
            within(pairs(10_000)),
            400,
            "more than 200 values",
        ),
        (
            "deep",
            within(format!("{}{}", "[".repeat(60_000), "]".repeat(60_000))),
            400,
            "nested deeper than 8 levels",
        ),
        (
            "deep objects",
            within(format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000))),
            400,
            "nested deeper than 8 levels",
        ),
        (
            "a long text",
            within(format!("{:?}", "x".repeat(120_000))),
            400,
            "a text longer than 98304 bytes",
        ),
        (
            "a long name",
            within(format!("{{{:?}: 1}}", "x".repeat(100_000))),
            400,
            "name is longer than 256 bytes",
        ),
        (
            "twice the same",
            "{\"token\": \"a\", \"token\": \"b\"}".to_owned(),
            400,
            "twice",
        ),
        (
            "a long number",
            within("1".repeat(120_000)),
            400,
            "the body",
        ),
    ] {
        for path in [
            "sys/wrapping/lookup",
            "sys/wrapping/unwrap",
            "auth/people/login/bob",
            "sys/init",
        ] {
            let answer = post(&stranger, path, &body);
            // A number is one value, however it is written.
            if what == "a long number" {
                assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
                continue;
            }
            if let Some(why) = complaint(&answer, status, &[says]) {
                panic!("{what}: {why}");
            }
        }
    }
    let audit = server.audit();
    let longest = audit.lines().map(str::len).max().unwrap();
    assert!(longest <= LONGEST_LINE, "{longest}");
    assert!(audit.len() < 256 << 10, "{} bytes of audit", audit.len());
}

/// CVE-2025-59043: a body grew to 35 times its size in memory before its sender was identified,
/// and its strings kept the audit log busy.
#[test]
fn bodies_that_grow_when_they_are_read_leave_the_memory_as_it_was() {
    let server = Server::start();
    let stranger = server.http.without_token();
    let body = format!("{{\"token\": [{}0]}}", "{},".repeat(40_000));
    post(&stranger, "sys/wrapping/lookup", &body);
    let before = server.resident();
    for _ in 0..200 {
        post(&stranger, "sys/wrapping/lookup", &body).refused(400);
    }
    let more = server.resident().saturating_sub(before);
    assert!(more < 32 << 20, "{more} bytes more");
}

/// A caller's body is larger, and its line no longer.
#[test]
fn a_wide_body_of_a_caller_is_one_line_of_bounded_length() {
    let server = Server::start();
    let wide: Vec<String> = (0..9_000).map(|number| format!("value {number}")).collect();
    let wrap = [("X-Vault-Wrap-TTL", "60")];
    let body = json!({ "wide": wide }).to_string();
    server
        .http
        .send("POST", "sys/wrapping/wrap", &wrap, Some(body.as_bytes()))
        .ok();
    let lines = lines(&server, "request");
    let line = lines
        .iter()
        .rfind(|line| line["path"] == "sys/wrapping/wrap");
    let line = line.unwrap();
    assert!(line.to_string().len() <= LONGEST_LINE);
    let shown = line["request"]["wide"].as_array().unwrap();
    assert!(shown[0].as_str().unwrap().starts_with("hmac-sha256:"));
    let rest = shown.last().unwrap().as_str().unwrap();
    assert!(rest.contains(" more hmac-sha256:"), "{rest}");
}

/// A caller with a token may send more than one without.
#[test]
fn a_body_is_bounded_by_who_sends_it() {
    let server = Server::start();
    let text = "x".repeat(200 << 10);
    let policy = json!({"policy": format!("# {text}\npath \"a\" {{ capabilities = [\"read\"] }}")});
    server.http.put("sys/policies/acl/long", &policy).ok();
    let token = json!({ "token": text });
    let stranger = server.http.without_token();
    let sentence = stranger.post("sys/wrapping/lookup", &token).refused(413);
    assert!(sentence.contains("without a token"), "{sentence}");
}
