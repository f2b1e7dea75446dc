//! A policy as a tree of named values: both languages, HCL and JSON, are read into it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::DEEPEST;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A block or an object.
    Object(Vec<Entry>),
    /// A list.
    List(Vec<Node>),
    /// Text, number, truth or null.
    Plain(Value),
}

/// A named value. A name may stand several times.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name.
    pub key: String,
    /// Its line, counted from 1; JSON does not tell.
    pub line: Option<usize>,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// The same as JSON. Of a name that stands twice, the last counts.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Object(entries) => {
                let fields = entries
                    .into_iter()
                    .map(|entry| (entry.key, entry.value.into_value()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            Self::List(items) => items.into_iter().map(Self::into_value).collect(),
            Self::Plain(value) => value,
        }
    }
}

/// Reads a JSON object.
///
/// # Errors
/// A sentence that says where it breaks off.
pub(super) fn of_json(text: &str) -> Result<Vec<Entry>, String> {
    // The depth is checked first, by a walk that does not recurse.
    if depth_of_json(text) > DEEPEST {
        return Err(too_deep());
    }
    match serde_json::from_str(text) {
        Ok(Node::Object(entries)) => Ok(entries),
        Ok(_) => Err("the policy must be an object".into()),
        Err(error) => Err(format!(
            "the policy begins with {{ and is not JSON (line {}, column {})",
            error.line(),
            error.column()
        )),
    }
}

/// The sentence about a text that nests too deeply.
pub(super) fn too_deep() -> String {
    format!("the policy is nested deeper than {DEEPEST} levels")
}

/// The depth to which brackets nest outside of strings.
fn depth_of_json(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Plain(truth.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Plain(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Plain(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        let number = Number::from_f64(number).map_or(Value::Null, Value::Number);
        Ok(Node::Plain(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Plain(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = object.next_entry()? {
            let line = None;
            entries.push(Entry { key, line, value });
        }
        Ok(Node::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_stand_twice_are_both_kept() {
        let entries = of_json(r#"{"a": 1, "b": [null, true, "x", 1.5, -1], "a": {}}"#).unwrap();
        let names: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(names, ["a", "b", "a"]);
        assert_eq!(
            Node::Object(entries).into_value(),
            json!({"a": {}, "b": [null, true, "x", 1.5, -1]})
        );
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for text in ["{", "{]", "{a: 1}", "{\"a\": 1,}", "{} {}", "{\"a\" 1}"] {
            let sentence = of_json(text).unwrap_err();
            assert!(
                sentence.contains("is not JSON (line 1,"),
                "{text}: {sentence}"
            );
        }
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert_eq!(depth_of_json(r#"{"[[[\"[[": [{}, "}"], "b": []}"#), 3);
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(of_json(&deep).unwrap_err(), too_deep());
    }
}
