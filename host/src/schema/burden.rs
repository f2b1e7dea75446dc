//! How much work a document is by its schema.
//!
//! `admission` bounds what one place of a document has to satisfy. But where a
//! schema refers to itself twice, each level of a document doubles the work, and
//! a validator that follows every branch does not end. So the branches are
//! counted first, those that lead to the same schema at once.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    admission::{HERE, HERE_LISTED, children},
    shape::resolve,
};

/// Schemas that may be applied over a whole document: a tenth of a second. A
/// config of the first-party providers takes some hundred, a list of ten thousand
/// items by a large schema 400,000.
const MOST: u64 = 1_000_000;

/// Whether `document` can be checked by `schema`, which was admitted, in
/// reasonable time; [`Checker`](super::Checker) looks by itself.
pub fn is_bearable(schema: &Value, document: &Value) -> bool {
    let mut burden = Burden {
        root: schema,
        left: MOST,
    };
    let place = Place::from([(std::ptr::from_ref(schema), (schema, 1))]);
    burden.take(&place, document).is_some()
}

/// The schemas of one place, each with how often it is applied there.
type Place<'s> = BTreeMap<*const Value, (&'s Value, u64)>;

struct Burden<'s> {
    root: &'s Value,
    left: u64,
}

impl<'s> Burden<'s> {
    /// Takes the work of a place and of all below it, if it is bearable.
    fn take(&mut self, place: &Place<'s>, instance: &Value) -> Option<()> {
        let mut here = Place::new();
        for (schema, times) in place.values() {
            self.expand(schema, *times, &mut here)?;
        }
        match instance {
            Value::Object(fields) => {
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
    fn expand(&mut self, schema: &'s Value, times: u64, here: &mut Place<'s>) -> Option<()> {
        self.left = self.left.checked_sub(times)?;
        add(here, schema, times);
        let target = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| resolve(self.root, reference));
        let others = children(schema, &HERE, &HERE_LISTED, &["dependentSchemas"]);
        for part in target.into_iter().chain(others) {
            self.expand(part, times, here)?;
        }
        Some(())
    }
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
}
