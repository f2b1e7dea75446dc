//! Checks that an endpoint declares the answer that it gives. Only in a build for tests, where
//! an undeclared answer fails its request. So every test that sends a request also checks the
//! table of endpoints, and the documents that are made of it.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use http::StatusCode;
use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{
    Outcome,
    answer::{Answer, Body, Data, published_as},
    endpoint::{
        Shelf, Target, Verb,
        gives::{Gives, Shape},
    },
    error::ApiError,
    operation::Operation,
};

/// Statuses with which any request may be refused that does not fit the document of the API,
/// such as one with a body, too large or too slow, where none is asked for.
const OF_ANY_BODY: [u16; 2] = [408, 413];

/// The outcome if the endpoint declares it, else an error that names the defect.
pub(super) fn held_against(target: &Target, operation: Operation, outcome: Outcome) -> Outcome {
    let Some(endpoint) = target.endpoint else {
        return outcome;
    };
    let Some(verb) = endpoint.verb(operation) else {
        return outcome;
    };
    let fault = match &outcome {
        Ok(answer) => fault_of(verb, answer),
        Err(refusal) => {
            let status = refusal.status().as_u16();
            // A path that is served nowhere counts as one of the host's.
            let shelf = target.place.shelf().unwrap_or(Shelf::Host);
            let known = verb.refusals(endpoint, operation, shelf);
            let is_known = known.contains(&status) || OF_ANY_BODY.contains(&status);
            (!is_known).then(|| format!("the refusal {status} ({:?})", refusal.errors()))
        }
    };
    match fault {
        Some(fault) => Err(ApiError::internal(format!(
            "{} {} answers with what its endpoint does not declare: {fault}",
            operation.method(),
            endpoint.pattern
        ))),
        None => outcome,
    }
}

/// The fault of an answer.
fn fault_of(verb: &'static Verb, answer: &Answer) -> Option<String> {
    let mut faults = Vec::new();
    for (index, gives) in verb.gives.iter().enumerate() {
        match fits((verb, index), gives, answer) {
            Ok(()) => return None,
            Err(fault) => faults.push(format!("{gives:?}: {fault}")),
        }
    }
    Some(format!("{}: {faults:?}", answer.status))
}

/// The name of the shape: the verb, and the place among the shapes that it gives.
type Key = (&'static Verb, usize);

fn fits(key: Key, gives: &Gives, answer: &Answer) -> Result<(), String> {
    let status = match gives {
        Gives::Nothing if matches!(answer.body, Body::Empty) => StatusCode::NO_CONTENT,
        Gives::Accepted(_) => StatusCode::ACCEPTED,
        Gives::AtWill(_) => answer.status,
        _ => StatusCode::OK,
    };
    if answer.status != status {
        return Err("another status".to_owned());
    }
    let fits = match (gives, &answer.body) {
        (Gives::Nothing, Body::Empty) | (Gives::Opened, Body::Unwrapped(_)) => true,
        (Gives::Bytes(kind), Body::File { content_type, .. }) => kind == content_type,
        (Gives::Bytes(kind), Body::Lines(_)) => *kind == "text/plain",
        (Gives::Bytes(kind), Body::Document { content_type, .. }) => {
            *kind == published_as(content_type)
        }
        (Gives::Bare(shape) | Gives::AtWill(shape), Body::Bare(value))
        | (Gives::Bare(shape), Body::Public { value, .. }) => {
            return check(key, *shape, value);
        }
        (_, Body::Envelope(envelope)) => {
            let has = (envelope.auth.is_some(), envelope.wrapped.is_some());
            match (gives, &envelope.data) {
                (Gives::Token, Data::None) => has == (true, false),
                (Gives::Wrapped, Data::None) => has == (false, true),
                (Gives::Nothing, Data::None) => {
                    has == (false, false) && !envelope.warnings.is_empty()
                }
                (Gives::Credential, Data::Credential(text)) => {
                    let object = serde_json::from_str::<Value>(text.expose());
                    let is_object = object.is_ok_and(|value| value.is_object());
                    has == (false, false) && envelope.lease.is_some() && is_object
                }
                (Gives::Data(shape) | Gives::Accepted(shape), data)
                    if has == (false, false) && !envelope.data_on_top =>
                {
                    return check(key, *shape, &read(data)?);
                }
                (Gives::OnTop(shape), data) if has == (false, false) && envelope.data_on_top => {
                    return check(key, *shape, &read(data)?);
                }
                _ => false,
            }
        }
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err("another form".to_owned()),
    }
}

fn read(data: &Data) -> Result<Value, String> {
    match data {
        Data::None => Ok(Value::Null),
        Data::Json(value) => Ok(value.clone()),
        Data::Credential(text) => {
            serde_json::from_str(text.expose()).map_err(|error| error.to_string())
        }
    }
}

fn check(key: Key, shape: Shape, value: &Value) -> Result<(), String> {
    let validator = validator(key, shape)?;
    // Without the value, which may be a secret.
    let first = validator.iter_errors(value).next();
    first.map_or(Ok(()), |error| Err(error.masked().to_string()))
}

/// Checks a shape, whose objects have the fields that it names and no others.
fn validator((verb, index): Key, shape: Shape) -> Result<Arc<Validator>, String> {
    type Known = HashMap<(usize, usize), Arc<Validator>>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    let key = (std::ptr::from_ref(verb).addr(), index);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(validator) = known.get(&key) {
        return Ok(Arc::clone(validator));
    }
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.inline_subschemas = true;
    let mut schema = shape(&mut settings.into_generator()).to_value();
    close(&mut schema);
    let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
    let validator = Arc::new(validator);
    known.insert(key, Arc::clone(&validator));
    Ok(validator)
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::table::ROUTES;

    #[test]
    fn what_is_not_declared_is_a_defect() {
        let keys = || Answer::data(json!({ "keys": ["a"] }));
        let refused = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            Err(ApiError::new(status, "no"))
        };
        for (outcome, expected) in [
            (Ok(keys()), 200),
            (refused(403), 403),
            (refused(404), 404),
            (refused(413), 413),
            (refused(409), 500),
            (refused(502), 500),
            (Ok(Answer::data(json!({ "keys": ["a"], "more": 1 }))), 500),
            (Ok(Answer::data(json!({ "keys": [1] }))), 500),
            (Ok(Answer::data(json!({}))), 500),
            (Ok(Answer::data(Value::Null)), 500),
            (Ok(Answer::data_on_top(json!({ "keys": ["a"] }))), 500),
            (Ok(Answer::bare(json!({ "keys": ["a"] }))), 500),
            (Ok(keys().with_status(StatusCode::ACCEPTED)), 500),
            (Ok(Answer::done()), 500),
        ] {
            let path = ["auth", "token", "roles"].map(str::to_owned);
            let target = ROUTES.target(&path, None);
            let shown = format!("{outcome:?}");
            let held = held_against(&target, Operation::List, outcome);
            let status = match held {
                Ok(answer) => answer.status,
                Err(refusal) => refusal.status(),
            };
            assert_eq!(status, expected, "{shown}");
        }
    }
}
