//! The fields of an operation's request in the OpenAPI document: those that its endpoint
//! declares, and those of the provider's document.

use serde_json::{Map, Value, json};

use crate::{
    api::endpoint::{
        Document, Endpoint, Verb,
        field::{Field, Form},
    },
    catalog::Plugin,
};

/// The body of a write, the host's own fields and those of the provider's document; and
/// whether there must be one.
pub(super) fn body(verb: &Verb, endpoint: &Endpoint, plugin: Option<&Plugin>) -> (Value, bool) {
    let own = verb
        .fields()
        .map(|field| (field.name.to_owned(), schema_of(field)));
    let own: Map<String, Value> = own.collect();
    let required = verb.fields().filter(|field| field.is_required);
    let mut required: Vec<Value> = required.map(|field| field.name.into()).collect();
    let mut schema = Map::new();
    let provider = plugin.map(|plugin| plugin.provider.descriptor());
    if let Some((provider, document)) = provider.zip(endpoint.document) {
        // A write changes only the fields of a config or role that it names, so none of them is
        // required.
        let (theirs, is_whole) = match document {
            Document::Request => (&provider.request_schema, true),
            Document::Config => (&provider.config_schema, false),
            Document::Role | Document::StaticRole => (&provider.role_schema, false),
        };
        let theirs = theirs.as_object().cloned().unwrap_or_default();
        let of = |schema: &Value, word: &str| schema.get(word).cloned().unwrap_or_default();
        let theirs = Value::Object(theirs);
        if let (true, Value::Object(fields)) = (stands_alone(&theirs), of(&theirs, "properties")) {
            schema.extend(fields);
            if let (true, Value::Array(names)) = (is_whole, of(&theirs, "required")) {
                required.extend(names);
            }
        }
    }
    schema.extend(own);
    let is_required = !required.is_empty();
    let mut object = json!({ "type": "object", "properties": schema });
    if let (true, Some(object)) = (is_required, object.as_object_mut()) {
        object.insert("required".into(), required.into());
    }
    (object, is_required)
}

/// The fields that a read or a removal takes from its query.
pub(super) fn query(verb: &Verb) -> Vec<Value> {
    let of = |field: &Field| {
        let mut schema = schema_of(field);
        let about = schema
            .as_object_mut()
            .and_then(|it| it.remove("description"));
        json!({
            "name": field.name,
            "in": "query",
            "required": field.is_required,
            "description": about,
            "schema": schema,
        })
    };
    verb.fields().map(of).collect()
}

/// Seconds, or numbers with units: what `duration` takes.
const SPAN: &str = "^([0-9.]+|([0-9.]+(ns|us|µs|ms|s|m|h|d|w))+)?$";

fn schema_of(field: &Field) -> Value {
    let mut schema = match field.form {
        Form::Text => json!({ "type": "string" }),
        Form::Secret => json!({ "type": "string", "format": "password", "writeOnly": true }),
        Form::Truth => json!({ "type": "boolean" }),
        Form::Number => json!({ "type": "integer", "minimum": 0 }),
        // JSON Schema's own format for a duration is ISO 8601's, which nobody writes here.
        Form::Span => json!({ "type": ["integer", "string"], "pattern": SPAN }),
        Form::Length => {
            let pattern = format!("{SPAN}|^never$");
            json!({ "type": ["integer", "string"], "pattern": pattern })
        }
        Form::List => json!({ "type": ["array", "string"], "items": { "type": "string" } }),
        Form::Object => json!({ "type": "object" }),
    };
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("description".into(), field.about.into());
    }
    schema
}

/// A pattern as OpenAPI writes it: `{name}` for what is to be filled in.
pub(super) fn braced(pattern: &str) -> String {
    let part = |part: &str| match part.trim_start_matches(['~', ':', '*']) {
        name if name == part => part.to_owned(),
        name => format!("{{{name}}}"),
    };
    pattern.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The parameters of a path, by the names of its pattern.
pub(super) fn parameters(pattern: &str) -> Vec<Value> {
    let of = |part: &str| {
        let bare = part.trim_start_matches('~');
        let (name, about) = match (bare.strip_prefix(':'), bare.strip_prefix('*')) {
            (Some(name), _) => (name, "One segment."),
            (_, Some(name)) => (name, "One segment or more, with slashes between."),
            (None, None) => return None,
        };
        Some(parameter(name, about))
    };
    pattern.split('/').filter_map(of).collect()
}

/// A parameter of a path.
pub(super) fn parameter(name: &str, about: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": about,
        "schema": { "type": "string" },
    })
}

/// Whether a provider's schema can stand within another document: it refers to nothing.
pub(super) fn stands_alone(schema: &Value) -> bool {
    const REFERRING: [&str; 5] = ["$ref", "$dynamicRef", "$id", "$anchor", "$dynamicAnchor"];
    match schema {
        Value::Object(fields) => fields
            .iter()
            .all(|(name, within)| !REFERRING.contains(&name.as_str()) && stands_alone(within)),
        Value::Array(items) => items.iter().all(stands_alone),
        _ => true,
    }
}
