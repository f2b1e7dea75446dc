//! The dialect of a provider in the OpenAPI document: its paths, and the words that it has for
//! the host's fields.

use lessor_model::dialect::{Alias, Form, Word};
use serde_json::{Map, Value, json};

use super::{answers::beside, requests::parameter};

/// The beginning of a path that the host does not serve itself.
pub(super) fn item(alias: &Alias) -> Value {
    let mut item = json!({ "description": alias.summary });
    if let (Some(name), Some(fields)) = (alias.path.placeholder(), item.as_object_mut()) {
        let parameters = vec![parameter(name, "One segment.")];
        fields.insert("parameters".into(), parameters.into());
    }
    item
}

/// Adds the words of an alias to an operation.
pub(super) fn add_words(operation: &mut Value, alias: &Alias) {
    let only = alias.stands_for.only();
    if let Some(fields) = operation
        .as_object_mut()
        .filter(|_| !alias.is_on_own_path())
    {
        fields.insert("summary".into(), alias.summary.clone().into());
    }
    let body = operation.pointer_mut("/requestBody/content/application~1json/schema");
    if let Some(schema) = body.and_then(Value::as_object_mut) {
        in_requests(schema, alias);
    }
    // A query has the fields that a read takes beside.
    if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
        let is_taken = |parameter: &Value| {
            let name = parameter.get("name").and_then(Value::as_str);
            only.is_none_or(|only| name.is_some_and(|name| only.contains(&name)))
        };
        parameters.retain(is_taken);
    }
    let given = operation.pointer_mut("/responses/200/content/application~1json/schema");
    let Some(answer) = given else { return };
    let mut more = Map::new();
    for word in &alias.gives {
        more.insert(
            word.name.clone(),
            shape(word, None, "In answers: the same as"),
        );
    }
    for (name, value) in &alias.tells {
        more.insert(name.clone(), json!({ "const": value }));
    }
    match only {
        None if more.is_empty() => {}
        None => beside(answer, Some(more)),
        Some(only) => {
            // The host's own path shows more.
            let own = only.iter().map(|name| ((*name).to_owned(), json!({})));
            more.extend(own);
            if let Some(data) = answer.pointer_mut("/allOf/1/properties/data") {
                *data = json!({ "type": "object", "properties": more });
            }
        }
    }
}

/// The words of a body beside the host's own; a field that has another name is not required
/// by the former.
fn in_requests(schema: &mut Map<String, Value>, alias: &Alias) {
    let renamed = |name: &Value| {
        let is_it = |word: &Word| word.stands_for.split('.').next() == name.as_str();
        alias.takes.iter().any(is_it)
    };
    let is_set = |name: &Value| name.as_str().is_some_and(|it| alias.sets.contains_key(it));
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| !renamed(name) && !is_set(name));
    }
    let has_none = schema.get("required").and_then(Value::as_array);
    if has_none.is_some_and(Vec::is_empty) {
        schema.shift_remove("required");
    }
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    if let Some(only) = alias.stands_for.only() {
        properties.retain(|name, _| only.contains(&name.as_str()));
    }
    properties.retain(|name, _| !alias.sets.contains_key(name));
    let words = alias.takes.iter().map(|word| {
        let theirs = properties.get(&word.stands_for);
        (word.name.clone(), shape(word, theirs, "The same as"))
    });
    let words: Vec<_> = words.collect();
    properties.extend(words);
}

/// The shape of a field in the words of an alias, by that of the field that it stands for.
fn shape(word: &Word, theirs: Option<&Value>, about: &str) -> Value {
    let mut shape = match (word.form, theirs) {
        (Form::Same, Some(theirs)) => theirs.clone(),
        (Form::Duration, Some(theirs)) => theirs.clone(),
        _ => json!({}),
    };
    if let Some(fields) = shape.as_object_mut() {
        let about = match word.stands_for.as_str() {
            "" => "Means nothing here.".to_owned(),
            theirs => format!("{about} {theirs}."),
        };
        fields.insert("description".into(), about.into());
    }
    shape
}
