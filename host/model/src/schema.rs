//! JSON Schema: the documents that a provider takes, checked by the host.
//!
//! A [`Checker`] is made once per provider and schema. It refuses what the
//! schema does not know, fills in defaults, and says what is wrong in one
//! sentence that names the field and never the value: a config holds the root
//! credential. [`redact`] is what makes a stored document fit to be shown.
//!
//! Pure: no clock, no disk, no network. A schema comes from a component that
//! nobody trusts, so [`Checker::new`] admits only what can be evaluated in
//! bounded time (`admission`).

mod admission;
mod burden;
mod changes;
mod held;
mod lists;
mod marked;
mod patch;
mod redaction;
mod scalars;
mod sentence;
mod shape;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use self::shape::{Branches, Position};
pub use self::{
    burden::is_bearable,
    changes::changes,
    held::credentials_held,
    marked::{marks_secrets, secrets},
    patch::{kept, patched},
    redaction::{REDACTED, is_redacted, redact, restore},
};
use crate::suggest;

/// Bytes that one compiled `pattern` of a schema may take.
const PATTERN_SIZE: usize = 1 << 20;

/// Bytes that defaults may add to a document, about.
const DEFAULTS: usize = 1 << 20;

/// Checks documents against one schema.
#[derive(Debug)]
pub struct Checker {
    schema: Value,
    validator: Validator,
    /// Fields of the host's own, which were taken out before the check.
    beside: &'static [&'static str],
}

impl Checker {
    /// Compiles a schema (JSON Schema 2020-12).
    ///
    /// # Errors
    /// Where the schema is none, refers to anything outside itself, or could
    /// keep the host busy without end.
    pub fn new(schema: &Value) -> Result<Self, InvalidSchema> {
        Ok(Self {
            schema: schema.clone(),
            validator: compile(schema)?,
            beside: &[],
        })
    }

    /// The same checker, which offers these fields as well where a field of the
    /// document is not known: the host takes them out before the check.
    #[must_use]
    pub fn beside(self, fields: &'static [&'static str]) -> Self {
        Self {
            beside: fields,
            ..self
        }
    }

    /// Whether the schema has a field of this name at its top.
    pub fn names(&self, field: &str) -> bool {
        let parts = Position::root(&self.schema).parts(&Branches::Every);
        shape::names(&parts, field)
    }

    /// Checks `document` and fills in the schema's defaults.
    ///
    /// `root` is the sentence's name for the document: `config`, `role`, `request`.
    ///
    /// # Errors
    /// One sentence that names the field; the document may then hold some
    /// defaults and is of no use.
    pub fn check(&self, root: &str, document: &mut Value) -> Result<(), String> {
        if !document.is_object() {
            return Err(format!("{root} must be a JSON object"));
        }
        if !is_bearable(&self.schema, document) {
            return Err(format!("{root} {UNBEARABLE}"));
        }
        let top = Position::root(&self.schema);
        if lists::split(&top, document) && !is_bearable(&self.schema, document) {
            return Err(format!("{root} {UNBEARABLE}"));
        }
        scalars::read(&top, document);
        refuse_unknown(&top, document, root, self.beside)?;
        let mut room = DEFAULTS;
        fill_defaults(&top, document, &mut room).ok_or_else(|| {
            format!("{root} would grow by more than 1 MiB of defaults: shorten it")
        })?;
        // The first mistake only: all of them may be more than fit in memory.
        self.validator
            .validate(document)
            .map_err(|error| clipped(&sentence::of(root, &error)))
    }
}

/// Whether a schema names a field at the top of its documents.
pub fn knows(schema: &Value, name: &str) -> bool {
    shape::names(&Position::root(schema).parts(&Branches::Every), name)
}

/// The end of the sentence about a document that is too much work, behind its name.
pub const UNBEARABLE: &str =
    "would take more than 1,000,000 checks by its schema: shorten it, or nest it less deeply";

/// Compiles a schema that comes from a plugin, for checks that only need a yes or no and the
/// place of the mistake.
///
/// # Errors
/// As [`Checker::new`].
pub fn compile(schema: &Value) -> Result<Validator, InvalidSchema> {
    admission::admit(schema)?;
    jsonschema::draft202012::options()
        .with_pattern_options(
            PatternOptions::regex()
                .size_limit(PATTERN_SIZE)
                .dfa_size_limit(PATTERN_SIZE),
        )
        .build(schema)
        .map_err(|error| InvalidSchema(clipped(&error.masked().to_string())))
}

/// A sentence that may repeat what a plugin's schema says, such as a pattern, as
/// one line of bounded length.
fn clipped(text: &str) -> String {
    const LIMIT: usize = 800;
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut out: String = text.chars().take(LIMIT).map(printable).collect();
    if text.chars().nth(LIMIT).is_some() {
        out.push('…');
    }
    out
}

/// Refuses fields that the schema does not name, and references to stored
/// secrets, which this server does not keep.
fn refuse_unknown(
    position: &Position<'_>,
    instance: &Value,
    path: &str,
    beside: &[&'static str],
) -> Result<(), String> {
    let parts = position.parts(&Branches::Applicable(instance));
    let is_reference = |part: &&Value| part.get("format").is_some_and(|f| f == "secret-ref");
    if !instance.is_null() && parts.iter().any(is_reference) {
        return Err(format!(
            "{path} names a stored secret, and this server keeps none: \
             give the value itself in the field that takes one"
        ));
    }
    match instance {
        Value::Object(fields) => {
            let closed = shape::is_closed(&parts);
            for (name, value) in fields {
                let below = sentence::join(path, name);
                if closed && !shape::names(&parts, name) {
                    let known = shape::properties(&parts).map(|(name, _)| name);
                    let known = known.chain(beside.iter().copied());
                    return Err(suggest::unknown(&below, name, known));
                }
                refuse_unknown(&position.field(&parts, name), value, &below, &[])?;
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let below = format!("{path}[{index}]");
                refuse_unknown(&position.item(&parts, index), value, &below, &[])?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Sets absent fields that have a default, at every level that is present. Returns none where
/// the defaults would take too much room.
fn fill_defaults(position: &Position<'_>, instance: &mut Value, room: &mut usize) -> Option<()> {
    let parts = position.parts(&Branches::Sole(instance));
    match instance {
        Value::Object(fields) => {
            for (name, schema) in shape::properties(&parts) {
                if !fields.contains_key(name)
                    && let Some(default) = position.default_of(schema)
                {
                    *room = room.checked_sub(name.len() + burden::bytes(default))?;
                    fields.insert(name.to_owned(), default.clone());
                }
            }
            for (name, value) in fields.iter_mut() {
                fill_defaults(&position.field(&parts, name), value, room)?;
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                fill_defaults(&position.item(&parts, index), value, room)?;
            }
        }
        _ => {}
    }
    Some(())
}

/// A schema that cannot be used, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema cannot be used: {0}")]
pub struct InvalidSchema(pub(crate) String);

#[cfg(test)]
mod tests;
