//! Decides which schemas are admitted at all.
//!
//! A schema is untrusted input that the host evaluates outside any sandbox. It
//! may refer only to itself, and what has to be evaluated at one place of a
//! document is bounded: without that, a reference to itself overflows the stack
//! and a tower of `anyOf` never ends.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    InvalidSchema,
    shape::{IN_PLACE_DEPTH, resolve},
};

/// Deepest nesting of a schema's own text.
const TEXT_DEPTH: usize = 64;

/// Most schemas that one place of a document may have to satisfy. The largest
/// first-party schema needs fewer than 40.
const IN_PLACE_WEIGHT: usize = 1_000;

/// Most patterns: each may take a mebibyte once it is compiled.
const PATTERNS: usize = 100;

/// Keywords whose value is one schema for a place below.
const BELOW: [&str; 8] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "propertyNames",
    "contains",
    "contentSchema",
];
/// Keywords whose value maps names to schemas for places below.
const BELOW_BY_NAME: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
/// Keywords whose value is one schema for the same place.
pub(super) const HERE: [&str; 4] = ["not", "if", "then", "else"];
/// Keywords whose value is a list of schemas for the same place.
pub(super) const HERE_LISTED: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// References that cannot be followed by reading.
const REFUSED: [&str; 4] = ["$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"];

/// Admits a schema or says why not.
pub(super) fn admit(schema: &Value) -> Result<(), InvalidSchema> {
    if !schema.is_object() {
        return Err(refuse("it is not a JSON object"));
    }
    if patterns(schema) > PATTERNS {
        return Err(refuse("it has more than 100 patterns"));
    }
    let mut weights = HashMap::new();
    walk(schema, schema, 0, &mut weights)
}

/// The number of patterns that stand in a schema, at the most: what is named like one counts.
fn patterns(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => members
            .iter()
            .map(|(keyword, value)| {
                let own = match (keyword.as_str(), value) {
                    ("pattern", Value::String(_)) => 1,
                    ("patternProperties", Value::Object(patterns)) => patterns.len(),
                    _ => 0,
                };
                own + patterns(value)
            })
            .sum(),
        Value::Array(items) => items.iter().map(patterns).sum(),
        _ => 0,
    }
}

type Weights = HashMap<*const Value, usize>;

fn walk(
    root: &Value,
    schema: &Value,
    depth: usize,
    weights: &mut Weights,
) -> Result<(), InvalidSchema> {
    if depth > TEXT_DEPTH {
        return Err(refuse("it is nested deeper than 64 levels"));
    }
    for keyword in REFUSED {
        if schema.get(keyword).is_some() {
            return Err(refuse(format!("{keyword} is not supported")));
        }
    }
    if depth > 0 && schema.get("$id").is_some() {
        return Err(refuse("$id may stand only at its root"));
    }
    if weigh(root, schema, 0, weights)? > IN_PLACE_WEIGHT {
        return Err(refuse("its combinators multiply beyond 1,000 schemas"));
    }
    for below in children(schema, &BELOW, &[], &BELOW_BY_NAME) {
        walk(root, below, depth + 1, weights)?;
    }
    for here in children(schema, &HERE, &HERE_LISTED, &["dependentSchemas"]) {
        walk(root, here, depth + 1, weights)?;
    }
    Ok(())
}

/// The number of schemas that are evaluated where this one is.
fn weigh(
    root: &Value,
    schema: &Value,
    depth: usize,
    weights: &mut Weights,
) -> Result<usize, InvalidSchema> {
    if let Some(known) = weights.get(&std::ptr::from_ref(schema)) {
        return Ok(*known);
    }
    if depth > IN_PLACE_DEPTH {
        return Err(refuse(
            "a reference leads back to itself, or 32 levels of combinators stand in one place",
        ));
    }
    let mut weight: usize = 1;
    if let Some(reference) = schema.get("$ref") {
        let target = reference
            .as_str()
            .and_then(|reference| resolve(root, reference))
            .ok_or_else(|| refuse("a $ref does not point into the schema itself"))?;
        weight = weight.saturating_add(weigh(root, target, depth + 1, weights)?);
    }
    for here in children(schema, &HERE, &HERE_LISTED, &["dependentSchemas"]) {
        weight = weight.saturating_add(weigh(root, here, depth + 1, weights)?);
    }
    weights.insert(std::ptr::from_ref(schema), weight);
    Ok(weight)
}

pub(super) fn children<'s>(
    schema: &'s Value,
    single: &[&str],
    listed: &[&str],
    named: &[&str],
) -> Vec<&'s Value> {
    let mut out = Vec::new();
    out.extend(single.iter().filter_map(|keyword| schema.get(*keyword)));
    for keyword in listed {
        out.extend(
            schema
                .get(*keyword)
                .and_then(Value::as_array)
                .into_iter()
                .flatten(),
        );
    }
    for keyword in named {
        let map = schema.get(*keyword).and_then(Value::as_object);
        out.extend(map.into_iter().flat_map(|map| map.values()));
    }
    out
}

fn refuse(reason: impl Into<String>) -> InvalidSchema {
    InvalidSchema(reason.into())
}
