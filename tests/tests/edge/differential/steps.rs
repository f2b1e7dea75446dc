//! The requests, in the order in which they are sent. `{name}` in a path or body stands for a
//! value that an earlier answer of the same server gave.

// Tables: a request a line.
#[rustfmt::skip]
mod access;
#[rustfmt::skip]
mod leases;
#[rustfmt::skip]
mod logins;
#[rustfmt::skip]
mod system;

use serde_json::Value;

/// One request.
pub(super) struct Step {
    /// The subject, then the action: `tokens: create`.
    pub(super) name: String,
    /// The token that it carries: a kept value, or `nobody`.
    pub(super) by: &'static str,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// `X-Vault-Wrap-TTL`.
    pub(super) wrap: Option<&'static str>,
    /// `X-Vault-Namespace`.
    pub(super) namespace: Option<&'static str>,
    /// Names for values of the answer, with where they stand in it.
    pub(super) keep: Vec<(&'static str, &'static str)>,
}

impl Step {
    fn new(name: &str, method: &'static str, path: &str, body: Option<Value>) -> Self {
        Self {
            name: name.to_owned(),
            by: "root",
            method,
            path: path.to_owned(),
            body,
            wrap: None,
            namespace: None,
            keep: Vec::new(),
        }
    }

    fn by(mut self, by: &'static str) -> Self {
        self.by = by;
        self
    }

    fn wrap(mut self, ttl: &'static str) -> Self {
        self.wrap = Some(ttl);
        self
    }

    fn within(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    fn keep(mut self, name: &'static str, pointer: &'static str) -> Self {
        self.keep.push((name, pointer));
        self
    }
}

fn read(name: &str, path: &str) -> Step {
    Step::new(name, "GET", path, None)
}

fn list(name: &str, path: &str) -> Step {
    Step::new(name, "LIST", path, None)
}

fn delete(name: &str, path: &str) -> Step {
    Step::new(name, "DELETE", path, None)
}

fn write(name: &str, path: &str, body: Value) -> Step {
    Step::new(name, "POST", path, Some(body))
}

/// All of them.
pub(super) fn all() -> Vec<Step> {
    let mut all = Vec::new();
    for (subject, steps) in [
        ("system", system::system()),
        ("mounts", system::mounts()),
        ("tuning", system::tuning()),
        ("operations", system::operations()),
        ("help", system::help()),
        ("namespaces", system::namespaces()),
        ("plugins", system::plugins()),
        ("policies", access::policies()),
        ("tokens", access::tokens()),
        ("token roles", access::token_roles()),
        ("capabilities", access::capabilities()),
        ("permission", access::permission()),
        ("login methods", logins::methods()),
        ("approle", logins::approle()),
        ("userpass", logins::userpass()),
        ("jwt", logins::jwt()),
        ("leases", leases::leases()),
        ("accounts", leases::accounts()),
        ("wrapping", leases::wrapping()),
    ] {
        all.extend(steps.into_iter().map(|mut step| {
            step.name = format!("{subject}: {}", step.name);
            step
        }));
    }
    all
}
