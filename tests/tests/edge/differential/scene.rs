//! One of the two servers, with the values that its answers have given so far.

use std::collections::BTreeMap;

use lessor_tests::http::{Answer, Http};
use serde_json::Value;

use super::steps::Step;

/// A server with the values that later requests need: tokens, lease ids.
pub(super) struct Scene {
    http: Http,
    values: BTreeMap<&'static str, String>,
}

impl Scene {
    pub(super) fn new(http: &Http) -> Self {
        let root = http.token().to_owned();
        Self {
            http: http.clone(),
            values: BTreeMap::from([("root", root)]),
        }
    }

    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        self.values.insert(name, value.to_owned());
    }

    /// Sends the step's request and keeps what it names of the answer.
    pub(super) fn perform(&mut self, step: &Step) -> Answer {
        let http = match step.by {
            "nobody" => self.http.without_token(),
            name => self.http.with_token(self.value(name)),
        };
        let path = self.filled(&step.path);
        let body = step.body.as_ref().map(|body| self.filled_body(body));
        let mut headers = vec![("X-Vault-Request", "true")];
        if let Some(ttl) = step.wrap {
            headers.push(("X-Vault-Wrap-TTL", ttl));
        }
        if let Some(namespace) = step.namespace {
            headers.push(("X-Vault-Namespace", namespace));
        }
        let body = body.map(|body| body.to_string());
        let body = body.as_deref().map(str::as_bytes);
        let answer = http.send(step.method, &path, &headers, body);
        for (name, pointer) in &step.keep {
            let kept = match answer.json().pointer(pointer) {
                Some(Value::String(text)) => text.clone(),
                // A missing value is reported as a difference; requests that need it go on with
                // a value that names nothing.
                _ => format!("no-{name}"),
            };
            self.values.insert(name, kept);
        }
        answer
    }

    fn value(&self, name: &str) -> &str {
        let value = self.values.get(name);
        value.unwrap_or_else(|| panic!("no step has kept {name}"))
    }

    /// `text` with each `{name}` replaced by what was kept under it.
    fn filled(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in &self.values {
            filled = filled.replace(&format!("{{{name}}}"), value);
        }
        filled
    }

    fn filled_body(&self, body: &Value) -> Value {
        match body {
            Value::String(text) => self.filled(text).into(),
            Value::Array(items) => items.iter().map(|item| self.filled_body(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), self.filled_body(value)))
                .collect(),
            other => other.clone(),
        }
    }
}
