//! `sys/internal/specs/openapi`: the API as an OpenAPI 3.1 document, made of the table of
//! endpoints. `bao`, Terraform's generator and testing tools ask for it there.
//!
//! Paths below a mount or a login method stand in it for each one that the caller may
//! know of, with the schemas of the mounted provider. What begins with `x-vault-` is what
//! Vault's own document calls so.

use serde_json::{Map, Value, json};

use super::{
    Outcome,
    answer::Answer,
    endpoint::{
        Document, Endpoint, Handler, Verb, at, does,
        field::{Field, Form},
        read,
        routes::{Routes, Shelf},
    },
    operation::Operation,
};
use crate::{catalog::Plugin, engine::Engine, policy::Acl};

/// The path of the document.
pub(super) const ENDPOINTS: &[Endpoint] = &[at(
    "sys/internal/specs/openapi",
    "This API as an OpenAPI 3.1 document.",
)
.on(&[read(
    "Shows it, with the mounts that the caller may know of.",
    &[],
    does!(call => show(call.engine, call.routes, &call.ask.identity.acl).await),
)])];

/// The statuses of refusals, each with what it says.
const REFUSALS: [(&str, &str); 15] = [
    (
        "400",
        "A field or the path is wrong, or what it names is unknown.",
    ),
    (
        "403",
        "The token is missing or has ended, or its policies do not allow it.",
    ),
    ("404", "There is nothing here."),
    ("405", "The path does not take this method."),
    ("408", "The body did not arrive in time."),
    ("409", "Something else goes on, or stands in the way."),
    ("412", "The version is not the one that was expected."),
    ("413", "The body is too long."),
    ("415", "The body is of no type that is read."),
    ("422", "The request with this idempotency key was another."),
    ("429", "Too many at a time, or too many in all."),
    ("500", "An error of the server, which its log tells of."),
    ("502", "Upstream or its provider failed."),
    ("503", "The server cannot answer now."),
    ("504", "Upstream did not answer in time."),
];

async fn show(engine: &Engine, routes: &Routes, acl: &Acl) -> Outcome {
    let mut paths = Map::new();
    for endpoint in routes.endpoints(Shelf::Host) {
        add(&mut paths, "", endpoint, None);
    }
    for mount in engine.logins.list().iter() {
        let at = format!("auth/{}", mount.path());
        if acl.reaches(&at) {
            for endpoint in routes.endpoints(Shelf::Login(mount.spec.kind)) {
                add(&mut paths, &format!("{at}/"), endpoint, None);
            }
        }
    }
    for mount in engine.mounts.every() {
        let path = mount.path();
        if !acl.reaches(path.as_str()) {
            continue;
        }
        // Without its provider the host's own fields are all that is known.
        let plugin = engine.mounts.plugin(&mount).await.ok();
        for endpoint in routes.endpoints(Shelf::Provider) {
            add(&mut paths, &format!("{path}/"), endpoint, plugin.as_deref());
        }
    }
    Ok(Answer::bare(document(paths)))
}

fn document(paths: Map<String, Value>) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "lessor",
            "description": "Leases credentials. Vault's clients work unchanged.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/v1" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "apiKey", "in": "header", "name": "X-Vault-Token" },
            },
            "schemas": {
                "Errors": {
                    "type": "object",
                    "required": ["errors"],
                    "properties": {
                        "errors": { "type": "array", "items": { "type": "string" } },
                    },
                },
                "Answer": answer(),
            },
        },
    })
}

/// What answers are wrapped in, as Vault wraps them.
fn answer() -> Value {
    json!({
        "type": "object",
        "properties": {
            "request_id": { "type": "string" },
            "lease_id": { "type": "string" },
            "lease_duration": { "type": "integer", "description": "Seconds." },
            "renewable": { "type": "boolean" },
            "data": { "description": "What was asked for." },
            "warnings": { "type": ["array", "null"], "items": { "type": "string" } },
            "auth": { "type": ["object", "null"], "description": "The token that was given." },
            "wrap_info": { "type": ["object", "null"], "description": "The token that opens the answer." },
            "mount_type": { "type": "string" },
        },
    })
}

/// Adds an endpoint's paths; one that lists beside what it reads, writes or removes has
/// one more for the list.
fn add(paths: &mut Map<String, Value>, before: &str, endpoint: &Endpoint, plugin: Option<&Plugin>) {
    let path = format!("/{before}{}", braced(endpoint.pattern));
    let mut item = Map::new();
    item.insert("description".into(), endpoint.about.into());
    let parameters = parameters(endpoint.pattern);
    if !parameters.is_empty() {
        item.insert("parameters".into(), parameters.into());
    }
    if endpoint.is_open() {
        item.insert("x-vault-unauthenticated".into(), true.into());
    }
    if !endpoint.sudo.is_empty() {
        item.insert("x-vault-sudo".into(), true.into());
    }
    if endpoint.exists.is_some() {
        item.insert("x-vault-createSupported".into(), true.into());
    }
    let mut listed = item.clone();
    let verb = |operation| endpoint.verb(operation);
    for (operation, method) in [
        (Operation::Read, "get"),
        (Operation::Write, "post"),
        (Operation::Delete, "delete"),
    ] {
        if let Some(verb) = verb(operation) {
            let mut done = of_verb(&path, method, verb, endpoint, plugin);
            if operation != Operation::Write {
                done.insert("parameters".into(), query(verb).into());
            }
            item.insert(method.into(), done.into());
        }
    }
    if let Some(verb) = verb(Operation::List) {
        let mut done = of_verb(&path, "list", verb, endpoint, plugin);
        let list = json!({
            "name": "list",
            "in": "query",
            "required": true,
            "schema": { "type": "string", "enum": ["true"] },
        });
        done.insert("parameters".into(), json!([list]));
        listed.insert("get".into(), done.into());
        paths.insert(format!("{path}/"), listed.into());
    }
    if ["get", "post", "delete"]
        .iter()
        .any(|method| item.contains_key(*method))
    {
        paths.insert(path, item.into());
    }
}

fn of_verb(
    path: &str,
    method: &str,
    verb: &Verb,
    endpoint: &Endpoint,
    plugin: Option<&Plugin>,
) -> Map<String, Value> {
    let mut done = Map::new();
    done.insert("summary".into(), verb.about.into());
    done.insert("operationId".into(), operation_id(method, path).into());
    let tag = match path.split('/').nth(1) {
        Some("sys") => "system",
        Some("auth") => "auth",
        _ => "secrets",
    };
    done.insert("tags".into(), json!([tag]));
    if matches!(verb.handler, Handler::Anybody(_) | Handler::Login) {
        done.insert("security".into(), json!([]));
    }
    if method == "post" {
        let schema = body(verb, endpoint, plugin);
        let content = json!({ "application/json": { "schema": schema } });
        done.insert("requestBody".into(), json!({ "content": content }));
    }
    done.insert("responses".into(), responses());
    done
}

fn responses() -> Value {
    let of = |name: &str| {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        json!({ "application/json": { "schema": schema } })
    };
    let mut all = Map::from_iter([
        (
            "200".to_owned(),
            json!({ "description": "It is done.", "content": of("Answer") }),
        ),
        (
            "202".to_owned(),
            json!({ "description": "It goes on by itself.", "content": of("Answer") }),
        ),
        (
            "204".to_owned(),
            json!({ "description": "It is done, and there is nothing to say." }),
        ),
    ]);
    for (status, about) in REFUSALS {
        all.insert(
            status.to_owned(),
            json!({ "description": about, "content": of("Errors") }),
        );
    }
    all.into()
}

/// The body of a write: the host's own fields and the provider's document.
fn body(verb: &Verb, endpoint: &Endpoint, plugin: Option<&Plugin>) -> Value {
    let properties: Map<String, Value> = verb
        .fields()
        .map(|field| (field.name.to_owned(), schema_of(field)))
        .collect();
    let own = json!({ "type": "object", "properties": properties });
    let descriptor = plugin.map(|plugin| plugin.provider.descriptor());
    let theirs = descriptor
        .zip(endpoint.document)
        .and_then(|(descriptor, document)| {
            Some(match document {
                Document::Config => &descriptor.config_schema,
                Document::Role => &descriptor.role_schema,
                Document::Request => &descriptor.request_schema,
                Document::StaticRole => return None,
            })
        });
    match theirs {
        Some(theirs) => json!({ "allOf": [own, theirs] }),
        None => own,
    }
}

/// What a read or a removal takes from its query.
fn query(verb: &Verb) -> Vec<Value> {
    let of = |field: &Field| {
        let mut schema = schema_of(field);
        let about = schema
            .as_object_mut()
            .and_then(|it| it.remove("description"));
        json!({ "name": field.name, "in": "query", "description": about, "schema": schema })
    };
    verb.fields().map(of).collect()
}

fn schema_of(field: &Field) -> Value {
    let mut schema = match field.form {
        Form::Text => json!({ "type": "string" }),
        Form::Secret => json!({ "type": "string", "format": "password", "writeOnly": true }),
        Form::Truth => json!({ "type": "boolean" }),
        Form::Number => json!({ "type": "integer", "minimum": 0 }),
        Form::Span | Form::Length => json!({ "type": ["integer", "string"], "format": "duration" }),
        Form::List => json!({ "type": ["array", "string"], "items": { "type": "string" } }),
        Form::Object => json!({ "type": "object" }),
    };
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("description".into(), field.about.into());
    }
    schema
}

/// A pattern as OpenAPI writes it: `{name}` for what is to be filled in.
fn braced(pattern: &str) -> String {
    let part = |part: &str| match part.trim_start_matches(['~', ':', '*']) {
        name if name == part => part.to_owned(),
        name => format!("{{{name}}}"),
    };
    pattern.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn parameters(pattern: &str) -> Vec<Value> {
    let of = |part: &str| {
        let bare = part.trim_start_matches('~');
        let (name, about) = match (bare.strip_prefix(':'), bare.strip_prefix('*')) {
            (Some(name), _) => (name, "One segment."),
            (_, Some(name)) => (name, "One segment or more, with slashes between."),
            (None, None) => return None,
        };
        Some(json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": about,
            "schema": { "type": "string" },
        }))
    };
    pattern.split('/').filter_map(of).collect()
}

/// What names an operation in a document: generators make functions of it.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    std::iter::once(method)
        .chain(words)
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::api::table::ROUTES;

    fn all() -> Map<String, Value> {
        let mut paths = Map::new();
        for shelf in ROUTES.shelves() {
            let before = match shelf {
                Shelf::Host => String::new(),
                Shelf::Provider => "db/".to_owned(),
                Shelf::Login(kind) => format!("auth/{}/", kind.as_str()),
            };
            for endpoint in ROUTES.endpoints(shelf) {
                add(&mut paths, &before, endpoint, None);
            }
        }
        paths
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_its_parameters() {
        let mut names = HashSet::new();
        for (path, item) in all() {
            for method in ["get", "post", "delete"] {
                let Some(done) = item.get(method) else {
                    continue;
                };
                let name = done["operationId"].as_str().unwrap().to_owned();
                assert!(names.insert(name.clone()), "{name} twice");
            }
            let filled = path.matches('{').count();
            let declared = item.get("parameters").and_then(Value::as_array);
            assert_eq!(declared.map_or(0, Vec::len), filled, "{path}");
        }
        assert!(names.contains("get-sys-mounts-path-tune"), "{names:?}");
        assert!(names.contains("list-db-roles"), "{names:?}");
    }

    #[test]
    fn nobody_is_told_that_a_secret_may_be_read() {
        let paths = all();
        let user = &paths["/auth/userpass/users/{username}"];
        assert_eq!(user["x-vault-createSupported"], true);
        let body = &user["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["properties"]["password"]["writeOnly"], true);
        assert_eq!(body["properties"]["token_ttl"]["format"], "duration");
        assert_eq!(paths["/sys/init"]["post"]["security"], json!([]));
        assert_eq!(paths["/auth/jwt/login"]["post"]["security"], json!([]));
        assert_eq!(paths["/sys/mounts"]["get"].get("security"), None);
    }
}
