//! A validator's finding as one sentence.
//!
//! It names the field and what was expected. It never holds a value of the
//! document: that may be a password with a typing error in it.

use std::fmt::Write as _;

use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
    paths::LocationSegment,
};
use serde_json::Value;

use crate::suggest;

/// The sentence about the finding, with the document called `root`.
pub(super) fn of(root: &str, error: &ValidationError<'_>) -> String {
    let path = path(root, error);
    match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            format!("{} is required", join(&path, name))
        }
        Kind::Type { kind } => {
            let expected = any_of(types(kind).iter().map(|kind| with_article(kind)).collect());
            format!("{path} must be {expected}, not {}", found(error.instance()))
        }
        Kind::Constant { expected_value } => format!("{path} must be {expected_value}"),
        Kind::Enum { options } => format!("{path} must be {}", one_of(options)),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let name = unexpected.first().map_or("", String::as_str);
            format!("{} is not known", join(&path, name))
        }
        Kind::AnyOf { context }
        | Kind::OneOfNotValid { context }
        | Kind::OneOfMultipleValid { context } => of_branches(root, &path, context),
        Kind::Minimum { limit } => format!("{path} must be at least {limit}"),
        Kind::Maximum { limit } => format!("{path} must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("{path} must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("{path} must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("{path} must be a multiple of {multiple_of}"),
        Kind::MinLength { limit: 1 } => format!("{path} must not be empty"),
        Kind::MinLength { limit } => format!("{path} must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("{path} must have at most {limit} characters"),
        Kind::MinItems { limit: 1 } => format!("{path} must have at least one item"),
        Kind::MinItems { limit } => format!("{path} must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("{path} must have at most {limit} items"),
        Kind::AdditionalItems { limit } => format!("{path} must have at most {limit} items"),
        Kind::UniqueItems => format!("{path} must not hold an item twice"),
        Kind::MinProperties { limit } => format!("{path} must have at least {limit} fields"),
        Kind::MaxProperties { limit } => format!("{path} must have at most {limit} fields"),
        Kind::Pattern { pattern } => format!("{path} must match the pattern {pattern}"),
        Kind::Format { format } => format!("{path} must be of the format {format}"),
        Kind::PropertyNames { .. } => format!("{path} has a field with a name that is not allowed"),
        Kind::FalseSchema => format!("{path} must not be set"),
        other => format!("{path} breaks the rule {:?} of its schema", other.keyword()),
    }
}

/// `path` and the name of a field below it.
pub(super) fn join(path: &str, name: &str) -> String {
    format!("{path}.{}", suggest::shown(name))
}

/// The path of a finding, as a person writes it: `config.hosts[2].port`.
fn path(root: &str, error: &ValidationError<'_>) -> String {
    let mut path = root.to_owned();
    for segment in error.instance_path().segments() {
        match segment {
            LocationSegment::Property(name) => path = join(&path, &name),
            LocationSegment::Index(index) => {
                let _ = write!(path, "[{index}]");
            }
        }
    }
    path
}

/// The finding of the branch that was most likely meant: one whose type and tag
/// fit. Where none does, what the branches expect instead.
fn of_branches(root: &str, path: &str, branches: &[Vec<ValidationError<'static>>]) -> String {
    let is_miss = |error: &ValidationError<'_>| match error.kind() {
        Kind::Constant { .. } | Kind::Enum { .. } => true,
        Kind::Type { .. } => self::path(root, error) == path,
        _ => false,
    };
    let meant = branches
        .iter()
        .find(|errors| !errors.is_empty() && !errors.iter().any(is_miss));
    if let Some(error) = meant.and_then(|errors| errors.first()) {
        return of(root, error);
    }
    let misses: Vec<&ValidationError<'_>> = branches.iter().flatten().collect();
    let values: Vec<&ValidationError<'_>> = misses
        .iter()
        .copied()
        .filter(|error| matches!(error.kind(), Kind::Constant { .. } | Kind::Enum { .. }))
        .collect();
    if let Some(first) = values.first() {
        let place = self::path(root, first);
        let same_place = |error: &&&ValidationError<'_>| self::path(root, error) == place;
        let mut options = Vec::new();
        for error in values.iter().filter(same_place) {
            match error.kind() {
                Kind::Constant { expected_value } => options.push(Value::clone(expected_value)),
                Kind::Enum { options: several } => {
                    options.extend(several.as_array().into_iter().flatten().cloned());
                }
                _ => {}
            }
        }
        return format!("{place} must be {}", one_of(&Value::from(options)));
    }
    let mut kinds: Vec<String> = Vec::new();
    for error in &misses {
        if let Kind::Type { kind } = error.kind() {
            kinds.extend(types(kind).iter().map(|kind| with_article(kind)));
        }
    }
    kinds.dedup();
    if kinds.is_empty() {
        format!("{path} fits none of the forms that its schema allows")
    } else {
        format!("{path} must be {}", any_of(kinds))
    }
}

fn types(kind: &TypeKind) -> Vec<String> {
    match kind {
        TypeKind::Single(single) => vec![single.to_string()],
        TypeKind::Multiple(several) => several.iter().map(|kind| kind.to_string()).collect(),
    }
}

fn found(instance: &Value) -> String {
    with_article(match instance {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}

fn with_article(kind: &str) -> String {
    match kind {
        "null" => "null".to_owned(),
        "integer" | "array" | "object" => format!("an {kind}"),
        other => format!("a {other}"),
    }
}

fn one_of(options: &Value) -> String {
    let listed = options.as_array().map(Vec::as_slice).unwrap_or_default();
    any_of(listed.iter().map(ToString::to_string).collect())
}

/// `a`, `a or b`, `a, b or c`.
fn any_of(mut options: Vec<String>) -> String {
    match options.pop() {
        None => String::from("something else"),
        Some(last) if options.is_empty() => last,
        Some(last) => format!("{} or {last}", options.join(", ")),
    }
}
