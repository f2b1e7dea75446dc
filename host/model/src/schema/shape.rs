//! The statements of a schema about one place of a document.
//!
//! A place is described by several schemas at once: the one that stands there,
//! what it refers to, and the branches of its combinators. This file gathers
//! them, so that the walks in `schema` and `redaction` see plain lists. It
//! decides nothing about validity; that is the validator's.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Deeper combinators are refused by `admission`; this bound only keeps a walk
/// finite over a schema that was never admitted.
pub(super) const IN_PLACE_DEPTH: usize = 32;

/// The branches of `anyOf`, `oneOf`, `if` and their like that are followed.
pub(super) enum Branches<'i> {
    /// Each of them, for statements that hold in at least one reading.
    Every,
    /// None, for statements that hold in every reading.
    Never,
    /// The branches that the instance may be meant for; each where none fits.
    Applicable(&'i Value),
    /// The one that the instance must be meant for, where there is just one.
    Sole(&'i Value),
}

/// A place of a document, by the schemas that stand there.
pub(super) struct Position<'s> {
    root: &'s Value,
    schemas: Vec<&'s Value>,
}

impl<'s> Position<'s> {
    /// The whole document.
    pub(super) fn root(schema: &'s Value) -> Self {
        Self {
            root: schema,
            schemas: vec![schema],
        }
    }

    /// Every schema that speaks about this place.
    pub(super) fn parts(&self, branches: &Branches<'_>) -> Vec<&'s Value> {
        let mut parts = Parts::default();
        for schema in &self.schemas {
            gather(self.root, schema, branches, 0, &mut parts);
        }
        parts.schemas
    }

    /// The place of a field of the object here.
    pub(super) fn field(&self, parts: &[&'s Value], name: &str) -> Self {
        let mut schemas = Vec::new();
        for part in parts {
            if let Some(schema) = part.get("properties").and_then(|all| all.get(name)) {
                schemas.push(schema);
                continue;
            }
            if let Some(patterns) = part.get("patternProperties").and_then(Value::as_object) {
                schemas.extend(patterns.values());
            }
            schemas.extend(part.get("additionalProperties"));
            schemas.extend(part.get("unevaluatedProperties"));
        }
        Self {
            root: self.root,
            schemas,
        }
    }

    /// The place of an item of the array here.
    pub(super) fn item(&self, parts: &[&'s Value], index: usize) -> Self {
        let mut schemas = Vec::new();
        for part in parts {
            let prefix = part.get("prefixItems").and_then(|all| all.get(index));
            schemas.extend(prefix.or_else(|| part.get("items")));
        }
        Self {
            root: self.root,
            schemas,
        }
    }

    /// The default of a property's schema, also of what it refers to.
    pub(super) fn default_of(&self, schema: &'s Value) -> Option<&'s Value> {
        let mut parts = Parts::default();
        gather(self.root, schema, &Branches::Never, 0, &mut parts);
        parts
            .schemas
            .into_iter()
            .find_map(|part| part.get("default"))
    }
}

/// The named properties of these schemas.
pub(super) fn properties<'s>(parts: &[&'s Value]) -> impl Iterator<Item = (&'s str, &'s Value)> {
    parts
        .iter()
        .filter_map(|part| part.get("properties").and_then(Value::as_object))
        .flat_map(Map::iter)
        .map(|(name, schema)| (name.as_str(), schema))
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether an object here may have no fields but those that are named.
pub(super) fn is_closed(parts: &[&Value]) -> bool {
    let closed = |schema: Option<&Value>| schema.is_none_or(|s| s == &Value::Bool(false));
    let open = parts.iter().any(|part| {
        !closed(part.get("additionalProperties"))
            || !closed(part.get("unevaluatedProperties"))
            || part.get("patternProperties").is_some()
    });
    let described = parts
        .iter()
        .any(|part| part.get("properties").is_some() || part.get("additionalProperties").is_some());
    !open && described
}

/// Whether one of these schemas names the property.
pub(super) fn names(parts: &[&Value], property: &str) -> bool {
    parts
        .iter()
        .filter_map(|part| part.get("properties"))
        .any(|all| all.get(property).is_some())
}

/// The schema that a local reference points to: `#` or `#/$defs/Name`.
pub(super) fn resolve<'s>(root: &'s Value, reference: &str) -> Option<&'s Value> {
    let fragment = reference.strip_prefix('#')?;
    let pointer = percent_encoding::percent_decode_str(fragment)
        .decode_utf8()
        .ok()?;
    root.pointer(&pointer)
}

/// Schemas in the order in which they are met, each once: one that is referred to
/// from several places says the same in each, and where it refers to itself below,
/// the schemas of a place would double with every level of a document.
#[derive(Default)]
struct Parts<'s> {
    schemas: Vec<&'s Value>,
    seen: BTreeSet<*const Value>,
}

fn gather<'s>(
    root: &'s Value,
    schema: &'s Value,
    branches: &Branches<'_>,
    depth: usize,
    parts: &mut Parts<'s>,
) {
    if depth > IN_PLACE_DEPTH || !parts.seen.insert(schema) {
        return;
    }
    parts.schemas.push(schema);
    // Conditions are not evaluated here: they count as possible, never as certain.
    let conditions = matches!(branches, Branches::Every | Branches::Applicable(_));
    let mut follow = |branch| gather(root, branch, branches, depth + 1, parts);
    // Most schemas have none of these keywords: walking over the keywords that exist costs less
    // than looking up each of these.
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        match keyword.as_str() {
            "$ref" => {
                let target = value.as_str().and_then(|to| resolve(root, to));
                target.into_iter().for_each(&mut follow);
            }
            "allOf" => list(value).iter().for_each(&mut follow),
            "anyOf" | "oneOf" => {
                let fitting = chosen(root, list(value), branches);
                fitting.into_iter().for_each(&mut follow);
            }
            "then" | "else" if conditions => follow(value),
            "dependentSchemas" if conditions => {
                value
                    .as_object()
                    .into_iter()
                    .flat_map(Map::values)
                    .for_each(&mut follow);
            }
            _ => {}
        }
    }
}

fn chosen<'s>(root: &'s Value, all: &'s [Value], branches: &Branches<'_>) -> Vec<&'s Value> {
    let applicable = |instance: &Value| -> Vec<&'s Value> {
        all.iter()
            .filter(|branch| may_mean(root, branch, instance))
            .collect()
    };
    match branches {
        Branches::Every => all.iter().collect(),
        Branches::Never => Vec::new(),
        Branches::Applicable(instance) => {
            let fitting = applicable(instance);
            if fitting.is_empty() {
                all.iter().collect()
            } else {
                fitting
            }
        }
        Branches::Sole(instance) => {
            let fitting = applicable(instance);
            if fitting.len() == 1 {
                fitting
            } else {
                Vec::new()
            }
        }
    }
}

/// Whether `instance` may be meant for this branch: its type fits, and so does
/// the tag that tells branches apart.
fn may_mean(root: &Value, branch: &Value, instance: &Value) -> bool {
    let mut parts = Parts::default();
    gather(root, branch, &Branches::Never, 0, &mut parts);
    parts.schemas.iter().all(|part| {
        part.get("type").is_none_or(|kind| has_type(kind, instance))
            && properties(&[part]).all(|(name, schema)| match schema.get("const") {
                Some(tag) => instance.get(name) == Some(tag),
                None => true,
            })
    })
}

fn has_type(kind: &Value, instance: &Value) -> bool {
    let is = |name: &str| match instance {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(_) => name == "number" || name == "integer",
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    };
    match kind {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
