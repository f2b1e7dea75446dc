//! Fields of bodies that the host itself understands (mounts, pins, leases).
//!
//! A handler takes the fields it knows; [`Fields::finish`] refuses what is left,
//! naming the nearest of those that were asked for. Fields that Vault's clients
//! are known to send and that mean nothing here are named by [`Fields::ignore`].

use std::time::Duration;

use serde_json::{Map, Value};

use super::error::ApiError;
use crate::{
    duration,
    lifetime::{self, Length},
    suggest,
};

/// The fields of one object that were not taken yet.
#[derive(Debug)]
pub(super) struct Fields {
    /// What stands before a field's name in a sentence: `config.`, or nothing.
    prefix: String,
    left: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Fields {
    /// The fields of a whole body.
    pub(super) fn new(body: Map<String, Value>) -> Self {
        Self {
            prefix: String::new(),
            left: body,
            known: Vec::new(),
        }
    }

    /// Whether a field was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.get(name).is_some_and(|value| !value.is_null())
    }

    /// Text; absent, null and wrong types are told apart.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "must be a string")),
        }
    }

    /// Text that must be there.
    pub(super) fn required(&mut self, name: &'static str) -> Result<String, ApiError> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.wrong(name, "is required")),
        }
    }

    /// `true`, `false`, or those words as text, which query strings make of them.
    pub(super) fn truth(&mut self, name: &'static str) -> Result<Option<bool>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(truth)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(self.wrong(name, "must be true or false")),
        }
    }

    /// A whole number, also as text.
    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<u64>, ApiError> {
        let parsed = match self.take(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        parsed
            .map(Some)
            .ok_or_else(|| self.wrong(name, "must be a whole number, 0 or more"))
    }

    /// A whole number that may be negative, also as text.
    pub(super) fn integer(&mut self, name: &'static str) -> Result<Option<i64>, ApiError> {
        let parsed = match self.take(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        parsed
            .map(Some)
            .ok_or_else(|| self.wrong(name, "must be a whole number"))
    }

    /// A span of time.
    pub(super) fn duration(&mut self, name: &'static str) -> Result<Option<Duration>, ApiError> {
        let value = self.take(name).unwrap_or(Value::Null);
        duration::of_value(&self.path(name), &value).map_err(ApiError::bad_request)
    }

    /// How long something lives, or `never`; none within where 0 asks for none of its
    /// own.
    pub(super) fn length(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Option<Length>>, ApiError> {
        let value = self.take(name).unwrap_or(Value::Null);
        lifetime::of_value(&self.path(name), &value).map_err(ApiError::bad_request)
    }

    /// A list of texts, as an array or separated by commas.
    pub(super) fn list(&mut self, name: &'static str) -> Result<Option<Vec<String>>, ApiError> {
        let items = match self.take(name) {
            None => return Ok(None),
            Some(Value::String(text)) => {
                let parts = text
                    .split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty());
                Some(parts.map(str::to_owned).collect())
            }
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Some(text),
                    _ => None,
                })
                .collect(),
            Some(_) => None,
        };
        items.map(Some).ok_or_else(|| {
            self.wrong(
                name,
                "must be a list of strings, or one string separated by commas",
            )
        })
    }

    /// Any JSON, for somebody who knows more of it.
    pub(super) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.take(name)
    }

    /// The fields of an object within.
    pub(super) fn object(&mut self, name: &'static str) -> Result<Option<Self>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(left)) => {
                let prefix = format!("{}.", self.path(name));
                Ok(Some(Self {
                    prefix,
                    left,
                    known: Vec::new(),
                }))
            }
            Some(_) => Err(self.wrong(name, "must be an object")),
        }
    }

    /// Accepts a list only where it is empty: the field exists in Vault, and
    /// what it asks for does not exist here.
    pub(super) fn empty(&mut self, name: &'static str, reason: &str) -> Result<(), ApiError> {
        let is_empty = match self.take(name) {
            None => true,
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::Object(fields)) => fields.is_empty(),
            Some(Value::String(text)) => text.is_empty(),
            Some(Value::Number(number)) => number.as_u64() == Some(0),
            Some(Value::Bool(truth)) => !truth,
            Some(Value::Null) => true,
        };
        if is_empty {
            Ok(())
        } else {
            Err(self.wrong(name, reason))
        }
    }

    /// Drops fields that Vault's clients send and that mean nothing here. They
    /// are not offered as a suggestion.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.left.remove(*name);
        }
    }

    /// What nobody took, for somebody who knows more fields.
    pub(super) fn rest(self) -> Value {
        Value::Object(self.left)
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        // Clients write null for what their callers left out.
        match self.left.iter().find(|(_, value)| !value.is_null()) {
            None => Ok(()),
            Some((name, _)) => {
                let path = format!("{}{}", self.prefix, suggest::shown(name));
                let sentence = suggest::unknown(&path, name, self.known.iter().copied());
                Err(ApiError::bad_request(sentence))
            }
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left.remove(name).filter(|value| !value.is_null())
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn wrong(&self, name: &str, what: &str) -> ApiError {
        ApiError::bad_request(format!("{} {what}", self.path(name)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(body: Value) -> Fields {
        match body {
            Value::Object(map) => Fields::new(map),
            _ => Fields::new(Map::new()),
        }
    }

    #[test]
    fn fields_are_taken_by_type() {
        let mut body = fields(json!({
            "a": "x", "b": "TRUE", "c": "7", "d": "1h", "e": "x, y,", "f": ["x"], "g": {"h": 1}, "i": -1, "n": null
        }));
        assert_eq!(body.required("a").unwrap(), "x");
        assert_eq!(body.truth("b").unwrap(), Some(true));
        assert_eq!(body.number("c").unwrap(), Some(7));
        assert_eq!(body.duration("d").unwrap(), Some(Duration::from_secs(3600)));
        assert_eq!(body.list("e").unwrap().unwrap(), ["x", "y"]);
        assert_eq!(body.list("f").unwrap().unwrap(), ["x"]);
        let mut inner = body.object("g").unwrap().unwrap();
        assert_eq!(inner.number("h").unwrap(), Some(1));
        inner.finish().unwrap();
        assert_eq!(body.integer("i").unwrap(), Some(-1));
        assert_eq!(body.text("n").unwrap(), None);
        body.finish().unwrap();
    }

    #[test]
    fn a_mistake_names_the_field_and_its_path() {
        let sentence = |take: fn(&mut Fields) -> Result<(), ApiError>| {
            let mut body = fields(
                json!({"typ": 1, "config": {"max_lease_tll": 1, "timeout": "soon"}, "args": ["x"]}),
            );
            take(&mut body)
                .and_then(|()| body.finish())
                .unwrap_err()
                .errors()
                .join("")
        };
        assert_eq!(
            sentence(|body| {
                body.ignore(&["config", "args"]);
                body.text("type").map(drop)
            }),
            "typ is not known: did you mean \"type\"?"
        );
        assert_eq!(
            sentence(|body| body.text("typ").map(drop)),
            "typ must be a string"
        );
        assert_eq!(
            sentence(|body| body.required("type").map(drop)),
            "type is required"
        );
        assert_eq!(
            sentence(|body| {
                let mut config = body.object("config")?.unwrap();
                config.ignore(&["timeout"]);
                config.duration("max_lease_ttl")?;
                config.finish()
            }),
            "config.max_lease_tll is not known: did you mean \"max_lease_ttl\"?"
        );
        assert!(
            sentence(|body| body
                .object("config")?
                .unwrap()
                .duration("timeout")
                .map(drop))
            .starts_with("config.timeout is not a duration")
        );
        assert_eq!(
            sentence(|body| body.empty("args", "must be empty")),
            "args must be empty"
        );
    }
}
