//! The line of a request, read once and in one way.
//!
//! Input: the method; the path; the query.

use http::Method;
use lessor::api::internals::{
    Known, Operation, canonical, canonical_text, fields_of_query, known, segments,
};
use lessor_model::{
    id::{self, LeaseId, MountPath, OperationId, RoleName},
    login::Kind,
    name::PolicyName,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::{
    target::Target,
    text::{assert_sentence, text},
};

/// The target.
pub(super) const TARGET: Target = Target {
    name: "paths",
    words: &[
        "\n",
        "/v1/",
        "/",
        "//",
        "sys",
        "auth",
        "token",
        "mounts",
        "tune",
        "leases",
        "lookup",
        "renew",
        "revoke",
        "revoke-prefix",
        "revoke-force",
        "plugins",
        "catalog",
        "policies",
        "policy",
        "acl",
        "wrapping",
        "unwrap",
        "capabilities",
        "locked-users",
        "unlock",
        "internal",
        "ui",
        "remount",
        "status",
        "tasks",
        "storage",
        "backup",
        "health",
        "init",
        "seal-status",
        "leader",
        "metrics",
        "people",
        "users",
        "login",
        "role",
        "ADMIN",
        "Ops",
        "%e2%84%aa",
        "%20",
        "quarantine",
        "tidy",
        "count",
        "create",
        "roles",
        "accessors",
        "revoke-orphan",
        "create-orphan",
        "creds",
        "config",
        "rotate-root",
        "abort",
        "static-roles",
        "static-creds",
        "rotate-role",
        "reconcile",
        "%2f",
        "%2e",
        "%5c",
        "%00",
        "%",
        "%2",
        "%c3%a4",
        ".",
        "..",
        "?",
        "list=true",
        "&",
        "=",
        "+",
        "GET",
        "LIST",
        "PUT",
        "DELETE",
        "0123456789abcdefghjkmnpqrs",
    ],
    endings: &["refused", "elsewhere", "of the host", "of a mount"],
    cases: 20_000,
    check,
};

#[test]
fn a_path_has_one_reading() {
    TARGET.replay();
}

/// Paths that need no token, as the documentation lists them.
const OPEN: [&str; 4] = ["sys/health", "sys/seal-status", "sys/init", "sys/leader"];

/// Beginnings of paths that need `sudo` for every operation.
const PROTECTED: [&str; 14] = [
    "auth/token/create-orphan",
    "auth/token/revoke-orphan",
    "auth/token/accessors",
    "sys/remount",
    "sys/auth/",
    "sys/leases/revoke-prefix",
    "sys/revoke-prefix",
    "sys/leases/revoke-force",
    "sys/revoke-force",
    "sys/leases/quarantine",
    "sys/storage/backup",
    "sys/leases",
    "sys/test/clock",
    "sys/test/storage",
];

fn check(input: &[u8]) -> &'static str {
    let input = text(input);
    let mut lines = input.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (method, path, query) = (next(), next(), next());
    read_query(query);
    if let Ok(method) = Method::from_bytes(method.as_bytes())
        && let Some(operation) = Operation::of(&method, query)
    {
        let lists = method.as_str() == "LIST" || query.contains("list=");
        assert!(operation != Operation::List || lists);
        assert_eq!(operation == Operation::Delete, method == Method::DELETE);
    }

    let found = match segments(path) {
        Err(sentence) => {
            assert_sentence(sentence, 200);
            let is_blank = path.contains(char::is_whitespace);
            let is_odd = is_blank || is_unprintable(path) || path.contains(['.', '%', '\\']);
            assert!(path.len() > 2_048 || is_odd);
            return "refused";
        }
        Ok(None) => return "elsewhere",
        Ok(Some(found)) => found,
    };
    for segment in &found {
        assert!(!["", ".", ".."].contains(&segment.as_str()));
        assert!(!segment.contains(['/', '\\']) && !is_unprintable(segment));
    }
    let encode = |segment: &String| utf8_percent_encode(segment, NON_ALPHANUMERIC).to_string();
    let encoded: Vec<String> = found.iter().map(encode).collect();
    let printed = format!("//v1//{}/", encoded.join("///"));
    if printed.len() <= 2_048 {
        assert_eq!(segments(&printed), Ok(Some(found.clone())));
    }

    let found = match canonical(found.clone(), people) {
        Ok(once) => {
            assert_eq!(canonical(once.clone(), people), Ok(once.clone()));
            once
        }
        Err(sentence) => {
            assert_sentence(sentence, 200);
            assert!(!found.concat().is_ascii());
            return "refused";
        }
    };
    let joined = found.join("/");
    // The path that is asked about is the one that would be judged.
    assert_eq!(canonical_text(&joined, people).as_deref(), Some(&*joined));
    let listed = format!("{joined}/");
    assert_eq!(canonical_text(&listed, people), Some(listed.clone()));
    read_names(&joined);
    let known = known(&found);
    assert_eq!(known.open, OPEN.contains(&joined.as_str()), "{joined}");
    assert_used_as_judged(&joined, &known);
    if known.sudo {
        let of = |path: &&str| joined == path.trim_end_matches('/') || joined.starts_with(*path);
        assert!(PROTECTED.iter().any(of), "{joined}");
    }
    if let Some("sys" | "auth") | None = found.first().map(String::as_str) {
        assert!(!known.of_mount, "{joined}");
        return "of the host";
    }
    assert!(known.of_mount && !known.of_host, "{joined}");
    "of a mount"
}

/// A login method of users at `people`.
fn people(path: &str) -> Option<(Kind, usize)> {
    let first = path.split('/').next();
    (first == Some("people")).then_some((Kind::Userpass, 1))
}

/// A name in a judged path is in the form in which it is used.
fn assert_used_as_judged(path: &str, known: &Known) {
    for (name, said) in &known.said {
        match *name {
            "name" if path.starts_with("sys/polic") => {
                assert_eq!(PolicyName::from(said.as_str()).as_str(), *said)
            }
            "role" | "role_name" => assert_eq!(id::folded(said), *said),
            _ => {}
        }
    }
    let segments: Vec<&str> = path.split('/').collect();
    if let ["auth", "people", "users" | "login", name, ..] = segments.as_slice() {
        assert_eq!(id::folded(name), *name);
    }
}

fn is_unprintable(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// A query is the same when it is written and read again.
fn read_query(query: &str) {
    let fields = match fields_of_query(query) {
        Ok(fields) => fields,
        Err(refusal) => {
            assert_sentence(&refusal.errors().join(""), 200);
            return;
        }
    };
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut pairs = Vec::new();
    for (name, value) in &fields {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        for value in values {
            let value = value.as_str().unwrap();
            pairs.push(format!("{}={}", encode(name), encode(value)));
        }
    }
    let again: Map<String, Value> = fields_of_query(&pairs.join("&")).unwrap();
    assert_eq!(again, fields);
}

/// A name or an id is the same when it is printed and read again.
fn read_names(text: &str) {
    if let Ok(path) = text.parse::<MountPath>() {
        assert_eq!(path.to_string().parse(), Ok(path.clone()));
        assert_eq!(path.as_str(), text);
    }
    if let Ok(name) = text.parse::<RoleName>() {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(id) = text.parse::<LeaseId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(id) = text.parse::<OperationId>() {
        assert_eq!(id.to_string(), text);
        assert_eq!(OperationId::from_bytes(id.to_bytes()), id);
    }
}
