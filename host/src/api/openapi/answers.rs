//! The answers of an operation in the OpenAPI document: those that the endpoint declares, by
//! status, in the shape of the handler's type.

use std::collections::BTreeMap;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Done, requests::stands_alone};
use crate::api::{
    answer::{Auth, Errors, Wire, WrapInfo},
    endpoint::{Document, gives::Gives},
    operation::Operation,
};

/// The statuses of refusals, each with what it says.
pub(in crate::api) const REFUSALS: [(u16, &str); 11] = [
    (
        400,
        "A field or the path is wrong, or names a thing that does not exist.",
    ),
    (
        403,
        "The token is missing or has ended, or its policies do not allow it.",
    ),
    (404, "There is nothing here."),
    (405, "The path does not take this method."),
    (408, "The body did not arrive in time."),
    (
        409,
        "Something else that goes on, or the present state, is in the way.",
    ),
    (413, "The body is too long."),
    (429, "Too many at a time, or too many in all."),
    (500, "An error of the server; its log has the details."),
    (501, "The provider does not do this."),
    (502, "Upstream or its provider failed."),
];

/// The sentence of every other status.
const UNAVAILABLE: &str = "The server cannot answer now.";

/// The type of all answers but documents and files.
pub(super) const JSON: &str = "application/json";

/// Describes types as they are written, each in one place of the document.
pub(in crate::api) fn types() -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.into_generator()
}

/// The description of an answer, and its content by type.
type Known = (&'static str, Vec<(&'static str, Value)>);

/// The answers of an operation, by status.
pub(super) struct Answers<'t> {
    /// The types that it refers to.
    types: &'t mut SchemaGenerator,
    known: BTreeMap<String, Known>,
}

impl Answers<'_> {
    /// All answers of an operation.
    pub(super) fn of(types: &mut SchemaGenerator, done: &Done<'_>) -> Value {
        let mut answers = Answers {
            types,
            known: BTreeMap::new(),
        };
        for gives in done.verb.gives {
            answers.add_success(gives, done);
        }
        // A GET of this path without `list=true` is a read.
        let mut refusals = done
            .verb
            .refusals(done.endpoint, done.operation, done.shelf);
        match done.endpoint.verb(Operation::Read) {
            Some(read) if done.operation == Operation::List => {
                for gives in read.gives {
                    answers.add_success(gives, done);
                }
            }
            None if done.operation == Operation::List => refusals.push(405),
            _ => {}
        }
        let errors: Value = answers.types.subschema_for::<Errors>().into();
        for status in refusals {
            let about = REFUSALS.iter().find(|(known, _)| *known == status);
            let about = about.map_or(UNAVAILABLE, |(_, about)| *about);
            answers.add(&status.to_string(), about, Some((JSON, errors.clone())));
        }
        answers.finished()
    }

    fn add_success(&mut self, gives: &Gives, done: &Done<'_>) {
        const DONE: &str = "It is done.";
        let null = json!({ "type": "null" });
        match *gives {
            Gives::Nothing => {
                self.add("204", "It is done, and there is nothing to say.", None);
                let answer = self.enveloped("data", &null);
                self.add("200", DONE, Some((JSON, answer)));
            }
            Gives::Data(shape) | Gives::OnTop(shape) => {
                let data = shape(self.types).into();
                let mut data = self.enveloped("data", &data);
                if done.operation == Operation::Read {
                    beside(&mut data, done.theirs_shown());
                }
                self.add("200", DONE, Some((JSON, data)));
            }
            Gives::Credential => {
                let provider = done.plugin.map(|plugin| plugin.provider.descriptor());
                let theirs = provider.map(|it| &it.credential_schema);
                let mut data = theirs
                    .filter(|it| stands_alone(it))
                    .cloned()
                    .unwrap_or_else(|| json!({ "type": "object" }));
                as_shown(&mut data);
                let answer = self.enveloped("data", &data);
                self.add("200", DONE, Some((JSON, answer)));
            }
            Gives::Accepted(shape) => {
                let data = shape(self.types).into();
                let answer = self.enveloped("data", &data);
                self.add("202", "It goes on by itself.", Some((JSON, answer)));
            }
            Gives::Token => {
                let auth = self.types.subschema_for::<Auth<'_>>().into();
                let answer = self.enveloped("auth", &auth);
                self.add("200", DONE, Some((JSON, answer)));
            }
            Gives::Wrapped => {
                let info = self.types.subschema_for::<WrapInfo<'_>>().into();
                let answer = self.enveloped("wrap_info", &info);
                self.add("200", DONE, Some((JSON, answer)));
            }
            Gives::Opened => {
                let answer = self.types.subschema_for::<Wire<'_>>().into();
                self.add("200", "The answer that was wrapped.", Some((JSON, answer)));
            }
            Gives::Bare(shape) => {
                let answer = shape(self.types).into();
                self.add("200", DONE, Some((JSON, answer)));
            }
            Gives::AtWill(shape) => {
                let answer = shape(self.types).into();
                let about = "The same, with the status that was asked for.";
                self.add("default", about, Some((JSON, answer)));
            }
            Gives::Bytes(kind) => {
                self.add("200", DONE, Some((kind, json!({ "type": "string" }))));
            }
        }
    }

    /// An answer with this in one of its fields.
    fn enveloped(&mut self, field: &str, schema: &Value) -> Value {
        let answer: Value = self.types.subschema_for::<Wire<'_>>().into();
        json!({
            "allOf": [
                answer,
                { "type": "object", "required": [field], "properties": { field: schema } },
            ],
        })
    }

    fn add(&mut self, status: &str, about: &'static str, content: Option<(&'static str, Value)>) {
        let (_, contents) = self
            .known
            .entry(status.to_owned())
            .or_insert_with(|| (about, Vec::new()));
        contents.extend(content.filter(|content| !contents.contains(content)));
    }

    fn finished(self) -> Value {
        let shown = self.known.into_iter().map(|(status, (about, contents))| {
            let mut response = json!({ "description": about });
            let schemas = contents
                .iter()
                .map(|(_, schema)| schema)
                .collect::<Vec<_>>();
            let content = match (contents.first(), schemas.as_slice()) {
                (None, _) => None,
                (Some((kind, schema)), [_]) => Some(json!({ *kind: { "schema": schema } })),
                (Some((kind, _)), several) => {
                    Some(json!({ *kind: { "schema": { "anyOf": several } } }))
                }
            };
            if let (Some(fields), Some(content)) = (response.as_object_mut(), content) {
                fields.insert("content".into(), content);
            }
            (status, response)
        });
        shown.collect::<Map<String, Value>>().into()
    }
}

/// A provider's schema for an answer. Providers mark secrets with `writeOnly`, which in OpenAPI
/// means that no answer holds the field, so it becomes `format: password`. `$schema` is left
/// out, since a document has one dialect.
fn as_shown(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.shift_remove("$schema");
            if fields.shift_remove("writeOnly").is_some() {
                fields.insert("format".into(), "password".into());
            }
            fields.values_mut().for_each(as_shown);
        }
        Value::Array(items) => items.iter_mut().for_each(as_shown),
        _ => {}
    }
}

impl Done<'_> {
    /// The provider's fields that are shown beside the host's: those of a role, where they
    /// are no secrets.
    fn theirs_shown(&self) -> Option<Map<String, Value>> {
        let is_role = matches!(
            self.endpoint.document,
            Some(Document::Role | Document::StaticRole)
        );
        let plugin = self.plugin.filter(|_| is_role)?;
        let schema = &plugin.provider.descriptor().role_schema;
        let properties = schema.get("properties").filter(|_| stands_alone(schema))?;
        let shown = properties.as_object()?.iter().filter(|(_, property)| {
            let secret = property.get("writeOnly").and_then(Value::as_bool);
            secret != Some(true)
        });
        Some(
            shown
                .map(|(name, property)| {
                    let mut property = property.clone();
                    as_shown(&mut property);
                    (name.clone(), property)
                })
                .collect(),
        )
    }
}

/// Adds fields to those under `data`.
pub(super) fn beside(answer: &mut Value, fields: Option<Map<String, Value>>) {
    let data = answer.pointer_mut("/allOf/1/properties/data");
    if let (Some(data), Some(fields)) = (data, fields) {
        *data = json!({ "allOf": [data.take(), { "properties": fields }] });
    }
}
