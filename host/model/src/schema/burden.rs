//! Bounds the work of checking a document by its schema.
//!
//! `admission` bounds what one place of a document has to satisfy. But where a
//! schema refers to itself twice, each level of a document doubles the work, and
//! a validator that follows every branch does not end. So the branches are
//! counted first, those that lead to the same schema at once. A schema counts for
//! more where it has many names or values to compare, and a pattern for as much as
//! it may take over its text.

use std::collections::{BTreeMap, HashMap};

use regex_syntax::hir::{Hir, HirKind};
use serde_json::Value;

use super::{
    PATTERN_SIZE,
    admission::{HERE, HERE_LISTED, children},
    shape::resolve,
};

/// Schemas that may be applied over a whole document: a tenth of a second. A
/// config of the first-party providers takes some hundred, a list of ten thousand
/// items by a large schema 400,000.
const MOST: u64 = 1_000_000;

/// Names that are looked up in the time of one check.
const LOOKED_UP: u64 = 8;

/// Bytes of a text that are read in that time.
const READ: u64 = 1024;

/// Steps of a pattern in that time. A pattern of `n` places over a text of `m` bytes
/// takes up to `n` times `m` (documentation of the crate `regex`, "Untrusted input").
const STEPS: u64 = 32;

/// Places of a pattern that only its compiler understands: as many as fit.
const MOST_PLACES: u64 = (PATTERN_SIZE / 16) as u64;

/// Whether `document` can be checked by `schema`, which was admitted, in
/// reasonable time; [`Checker`](super::Checker) looks by itself.
pub fn is_bearable(schema: &Value, document: &Value) -> bool {
    let mut burden = Burden {
        root: schema,
        left: MOST,
        patterns: HashMap::new(),
    };
    let place = Place::from([(std::ptr::from_ref(schema), (schema, 1))]);
    burden.take(&place, document).is_some()
}

/// Bytes that a value takes, about.
pub(super) fn bytes(value: &Value) -> usize {
    let below = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + bytes(value))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + below
}

/// The schemas of one place, each with how often it is applied there.
type Place<'s> = BTreeMap<*const Value, (&'s Value, u64)>;

struct Burden<'s> {
    root: &'s Value,
    left: u64,
    /// The places of each pattern that was met.
    patterns: HashMap<&'s str, u64>,
}

impl<'s> Burden<'s> {
    /// Takes the work of a place and of all below it, if it is bearable.
    fn take(&mut self, place: &Place<'s>, instance: &Value) -> Option<()> {
        let mut here = Place::new();
        for (schema, times) in place.values() {
            self.expand(schema, *times, instance, &mut here)?;
        }
        match instance {
            Value::Object(fields) => {
                let naming = below(&here, |part| part.get("propertyNames").into_iter());
                for (name, value) in fields {
                    let named = |part: &'s Value| {
                        let own = part.get("properties").and_then(|all| all.get(name));
                        own.into_iter().chain(children(
                            part,
                            &["additionalProperties", "unevaluatedProperties"],
                            &[],
                            &["patternProperties"],
                        ))
                    };
                    self.take(&below(&here, named), value)?;
                    if !naming.is_empty() {
                        self.take(&naming, &Value::from(name.as_str()))?;
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let at = |part: &'s Value| {
                        let own = part.get("prefixItems").and_then(|all| all.get(index));
                        own.into_iter().chain(children(
                            part,
                            &["items", "contains", "unevaluatedItems"],
                            &[],
                            &[],
                        ))
                    };
                    self.take(&below(&here, at), item)?;
                }
            }
            _ => {}
        }
        Some(())
    }

    /// Adds a schema and all that it applies in the same place.
    fn expand(
        &mut self,
        schema: &'s Value,
        times: u64,
        instance: &Value,
        here: &mut Place<'s>,
    ) -> Option<()> {
        let work = times.checked_mul(self.work(schema, instance))?;
        self.left = self.left.checked_sub(work)?;
        add(here, schema, times);
        let target = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| resolve(self.root, reference));
        let others = children(schema, &HERE, &HERE_LISTED, &["dependentSchemas"]);
        for part in target.into_iter().chain(others) {
            self.expand(part, times, instance, here)?;
        }
        Some(())
    }

    /// The cost of applying a schema's own keywords once.
    fn work(&mut self, schema: &'s Value, instance: &Value) -> u64 {
        let mut work = match instance {
            Value::String(text) => 1 + wide(text.len()) / READ,
            _ => 1,
        };
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            let more = match (keyword.as_str(), value, instance) {
                ("enum", Value::Array(values), _) => wide(values.len()),
                ("required", Value::Array(names), Value::Object(_)) => {
                    wide(names.len()) / LOOKED_UP
                }
                (
                    "properties" | "dependentRequired" | "dependentSchemas" | "dependencies",
                    Value::Object(names),
                    Value::Object(_),
                ) => wide(names.len()) / LOOKED_UP,
                ("pattern", Value::String(pattern), Value::String(text)) => {
                    self.steps(pattern, text.len())
                }
                ("patternProperties", Value::Object(patterns), Value::Object(fields)) => {
                    let length = fields.keys().map(String::len).sum();
                    let steps = patterns.keys().map(|pattern| self.steps(pattern, length));
                    steps.fold(0, u64::saturating_add)
                }
                ("uniqueItems", Value::Bool(true), Value::Array(items)) => wide(items.len()),
                _ => 0,
            };
            work = work.saturating_add(more);
        }
        work
    }

    /// The cost of looking for a pattern in a text of this length.
    fn steps(&mut self, pattern: &'s str, length: usize) -> u64 {
        let places = self.patterns.entry(pattern).or_insert_with(|| {
            regex_syntax::parse(pattern).map_or(MOST_PLACES, |hir| places(&hir))
        });
        places.saturating_mul(wide(length)) / STEPS
    }
}

/// Places at which the search for a pattern may be at once.
fn places(pattern: &Hir) -> u64 {
    let sum = |parts: &[Hir]| parts.iter().map(places).fold(0, u64::saturating_add);
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => wide(literal.0.len()),
        HirKind::Class(_) => 1,
        HirKind::Capture(group) => places(&group.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts),
        HirKind::Repetition(repeated) => {
            let times = repeated.max.unwrap_or(repeated.min).max(1);
            places(&repeated.sub).saturating_mul(times.into())
        }
    }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The schemas of a place below.
fn below<'s, I: Iterator<Item = &'s Value>>(
    here: &Place<'s>,
    find: impl Fn(&'s Value) -> I,
) -> Place<'s> {
    let mut place = Place::new();
    for (part, times) in here.values() {
        for schema in find(part) {
            add(&mut place, schema, *times);
        }
    }
    place
}

fn add<'s>(place: &mut Place<'s>, schema: &'s Value, times: u64) {
    let known = place.entry(schema).or_insert((schema, 0));
    known.1 = known.1.saturating_add(times);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn work_that_doubles_with_every_level_is_refused_and_long_lists_are_not() {
        let twice = json!({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
        let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({"a": inner}));
        assert!(is_bearable(&twice, &nested(15)));
        assert!(!is_bearable(&twice, &nested(40)));

        let once = json!({"properties": {"a": {"items": {"$ref": "#"}}}});
        assert!(is_bearable(&once, &nested(100)));
        assert!(is_bearable(
            &once,
            &json!({"a": vec![json!({"a": []}); 10_000]})
        ));
    }

    /// Each of these makes work that grows with the schema and with the document: it
    /// counted as one check.
    #[test]
    fn what_a_schema_compares_with_counts() {
        let names = |count: usize| -> Value {
            (0..count)
                .map(|name| (format!("n{name}"), json!({})))
                .collect()
        };
        let listed = |count: usize| -> Vec<usize> { (0..count).collect() };
        let long = "a".repeat(100_000);
        for (schema, small, large) in [
            (
                json!({"items": {"enum": listed(2_000)}}),
                json!(listed(100)),
                json!(listed(2_000)),
            ),
            (
                json!({"items": {"properties": names(2_000)}}),
                json!([{}, {}]),
                json!(vec![json!({}); 10_000]),
            ),
            (
                json!({"items": {"dependentRequired": names(2_000)}}),
                json!([{}, {}]),
                json!(vec![json!({}); 10_000]),
            ),
            (
                json!({"items": {"pattern": "(?:[a-f]{1,10}x){1,100}"}}),
                json!(["abcdef"]),
                json!([long]),
            ),
            (
                json!({"patternProperties": {"[a-f]{1,1000}x": {}}}),
                json!({"abcdef": 1}),
                json!({long.as_str(): 1}),
            ),
            (
                json!({"propertyNames": {"pattern": "[a-f]{1,1000}x"}}),
                json!({"abcdef": 1}),
                json!({long.as_str(): 1}),
            ),
            // A pattern that the regex crate does not read itself counts as the worst case.
            (json!({"pattern": r"\cA"}), json!("abcdef"), json!(long)),
            (
                json!({"allOf": vec![json!({"minLength": 1}); 900]}),
                json!(long),
                json!("a".repeat(1_500_000)),
            ),
            (
                json!({"allOf": vec![json!({"uniqueItems": true}); 900]}),
                json!(listed(100)),
                json!(listed(2_000)),
            ),
        ] {
            assert!(is_bearable(&schema, &small), "{small}");
            let keyword = schema.to_string().chars().take(60).collect::<String>();
            assert!(!is_bearable(&schema, &large), "{keyword}");
        }
        // A key with a pattern that is anchored is none the worse for its length.
        let key = json!({"pattern": "^-----BEGIN [A-Z ]{1,32}-----"});
        assert!(is_bearable(&key, &json!("k".repeat(16 << 10))));
    }
}
