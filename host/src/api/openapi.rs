//! `sys/internal/specs/openapi`: the API as an OpenAPI 3.1 document, made of the table of
//! endpoints. `bao`, Terraform's generator and testing tools ask for it there.
//!
//! Paths below a mount or a login method stand in it once for each mount and method that the
//! caller may know of, with the schemas of the mounted provider. Keys that begin with
//! `x-vault-` are those of Vault's own document.

mod aliases;
mod answers;
mod requests;

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

#[cfg(test)]
pub(super) use self::answers::REFUSALS;
pub(super) use self::answers::types;
use self::{
    answers::{Answers, JSON},
    requests::{body, braced, parameters, query},
};
use super::{
    Outcome,
    answer::Answer,
    dialect,
    endpoint::{Endpoint, Handler, Shelf, Verb, at, does, gives::bare, read, routes::Routes},
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
)
.gives(&[bare::<Map<String, Value>>()])])];

async fn show(engine: &Engine, routes: &Routes, acl: &Acl) -> Outcome {
    let mut document = Document::default();
    for endpoint in routes.endpoints(Shelf::Host) {
        document.add((Shelf::Host, ""), endpoint, None);
    }
    for mount in engine.logins.list().iter() {
        let at = format!("auth/{}", mount.path());
        if acl.reaches(&at) {
            let shelf = Shelf::Mount(mount.spec.kind);
            for endpoint in routes.endpoints(shelf) {
                document.add((shelf, &format!("{at}/")), endpoint, None);
            }
        }
    }
    for mount in engine.mounts.every() {
        let path = mount.path();
        if !acl.reaches(path.as_str()) {
            continue;
        }
        // Where the provider cannot be loaded, only the host's own fields are known.
        let plugin = engine.mounts.plugin(&mount).await.ok();
        let shelf = Shelf::Mount(mount.spec.kind);
        for endpoint in routes.endpoints(shelf) {
            let place = (shelf, &*format!("{path}/"));
            document.add(place, endpoint, plugin.as_deref());
        }
        if let Some(plugin) = &plugin {
            document.add_dialect(routes, (shelf, &format!("{path}/")), plugin);
        }
    }
    Ok(Answer::bare(document.finished()))
}

/// The document while it is made.
struct Document {
    paths: Map<String, Value>,
    /// The types of answers that its paths refer to.
    types: SchemaGenerator,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            paths: Map::new(),
            types: types(),
        }
    }
}

impl Document {
    fn finished(mut self) -> Value {
        let schemas = self.types.take_definitions(true);
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
            "paths": self.paths,
            "components": {
                "securitySchemes": {
                    "token": { "type": "apiKey", "in": "header", "name": "X-Vault-Token" },
                },
                "schemas": schemas,
            },
        })
    }

    /// Adds an endpoint's paths; an endpoint that lists beside other operations has one more
    /// path for the list.
    fn add(
        &mut self,
        (shelf, before): (Shelf, &str),
        endpoint: &Endpoint,
        plugin: Option<&Plugin>,
    ) {
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
        let mut done = |operation, method| {
            let verb = endpoint.verb(operation)?;
            let done = Done {
                path: &path,
                shelf,
                method,
                operation,
                verb,
                endpoint,
                plugin,
            };
            Some(self.of(&done))
        };
        for (operation, method) in [
            (Operation::Read, "get"),
            (Operation::Write, "post"),
            (Operation::Delete, "delete"),
        ] {
            item.extend(done(operation, method).map(|done| (method.to_owned(), done)));
        }
        let list = done(Operation::List, "list");
        if let Some(list) = list {
            listed.insert("get".into(), list);
            self.paths.insert(format!("{path}/"), listed.into());
        }
        if ["get", "post", "delete"]
            .iter()
            .any(|method| item.contains_key(*method))
        {
            self.paths.insert(path, item.into());
        }
    }

    /// Adds the paths of a provider's dialect, and to the host's own paths the words that it
    /// has for them.
    fn add_dialect(&mut self, routes: &Routes, (shelf, before): (Shelf, &str), plugin: &Plugin) {
        for alias in plugin.provider.descriptor().dialect.aliases() {
            let Some(endpoint) = dialect::endpoint(routes, alias) else {
                continue;
            };
            let path = format!("/{before}{}", alias.path);
            // The host's own path, by the name that it has for the segment.
            let own = format!("/{before}{}", braced(endpoint.pattern));
            let path = match alias.is_on_own_path() && self.paths.contains_key(&own) {
                true => own,
                false => path,
            };
            for method in &alias.methods {
                let operation = dialect::operation_of(*method);
                let Some(verb) = endpoint.verb(operation) else {
                    continue;
                };
                let (at, key) = match operation {
                    Operation::List => (format!("{path}/"), "get"),
                    Operation::Read => (path.clone(), "get"),
                    Operation::Write => (path.clone(), "post"),
                    Operation::Delete => (path.clone(), "delete"),
                };
                let done = Done {
                    path: &path,
                    shelf,
                    method: match operation {
                        Operation::List => "list",
                        _ => key,
                    },
                    operation,
                    verb,
                    endpoint,
                    plugin: Some(plugin),
                };
                let known = self.paths.get_mut(&at).and_then(|item| item.get_mut(key));
                let mut shown = match known.filter(|_| alias.is_on_own_path()) {
                    Some(known) => known.take(),
                    None => self.of(&done),
                };
                aliases::add_words(&mut shown, alias);
                let item = self.paths.entry(at).or_insert_with(|| aliases::item(alias));
                if let Some(item) = item.as_object_mut() {
                    if operation == Operation::Write && endpoint.exists.is_some() {
                        item.insert("x-vault-createSupported".into(), true.into());
                    }
                    item.insert(key.into(), shown);
                }
            }
        }
    }

    fn of(&mut self, done: &Done<'_>) -> Value {
        let mut shown = Map::new();
        shown.insert("summary".into(), done.verb.about.into());
        let id = operation_id(done.method, done.path);
        shown.insert("operationId".into(), id.into());
        let tag = match done.path.split('/').nth(1) {
            Some("sys") => "system",
            Some("auth") => "auth",
            _ => "secrets",
        };
        shown.insert("tags".into(), json!([tag]));
        if matches!(done.verb.handler, Handler::Anybody(_) | Handler::Login) {
            shown.insert("security".into(), json!([]));
        } else if done.endpoint.to_strangers.is_some() {
            shown.insert("security".into(), json!([{}, { "token": [] }]));
        }
        let mut parameters = match done.operation {
            Operation::Write => Vec::new(),
            _ => query(done.verb),
        };
        match done.operation {
            Operation::Write => {
                let (schema, is_required) = body(done.verb, done.endpoint, done.plugin);
                let content = json!({ JSON: { "schema": schema } });
                let body = json!({ "required": is_required, "content": content });
                shown.insert("requestBody".into(), body);
            }
            Operation::List => parameters.push(json!({
                "name": "list",
                "in": "query",
                "required": true,
                "schema": { "type": "string", "enum": ["true"] },
            })),
            Operation::Read | Operation::Delete => {}
        }
        if !parameters.is_empty() {
            shown.insert("parameters".into(), parameters.into());
        }
        let responses = Answers::of(&mut self.types, done);
        shown.insert("responses".into(), responses);
        shown.into()
    }
}

/// An operation of a path.
struct Done<'a> {
    path: &'a str,
    shelf: Shelf,
    method: &'a str,
    operation: Operation,
    verb: &'a Verb,
    endpoint: &'a Endpoint,
    plugin: Option<&'a Plugin>,
}

/// The name of an operation in the document, from which generators make functions.
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

    use lessor_model::mount;

    use super::*;
    use crate::api::table::ROUTES;

    fn all() -> Map<String, Value> {
        let mut document = Document::default();
        for shelf in ROUTES.shelves() {
            let before = match shelf {
                Shelf::Host => String::new(),
                Shelf::Mount(mount::Kind::Provider) => "db/".to_owned(),
                Shelf::Mount(mount::Kind::Login(kind)) => format!("auth/{}/", kind.as_str()),
            };
            for endpoint in ROUTES.endpoints(shelf) {
                document.add((shelf, &before), endpoint, None);
            }
        }
        document.paths
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

    /// A client's generator makes a type of each, under that name.
    #[test]
    fn every_type_of_an_answer_has_a_name_of_its_own() {
        let mut document = Document::default();
        for shelf in ROUTES.shelves() {
            for endpoint in ROUTES.endpoints(shelf) {
                document.add((shelf, &format!("{shelf:?}/")), endpoint, None);
            }
        }
        let document = document.finished();
        let types = document["components"]["schemas"].as_object().unwrap();
        for (name, schema) in types {
            assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name}");
            assert!(schema["description"].is_string(), "{name} says nothing");
            for (field, within) in schema["properties"].as_object().into_iter().flatten() {
                assert!(within["description"].is_string(), "{name}.{field}");
            }
        }
        assert!(types.contains_key("Lease"), "{:?}", types.keys());
        let statuses = |path: &str, method: &str| {
            let answers = &document["paths"][path][method]["responses"];
            answers
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(statuses("/Host/sys/seal-status", "get"), "200 400 500");
        assert_eq!(
            statuses("/Host/sys/mounts", "get"),
            "200 400 403 429 500 503"
        );
        // A GET without `list=true` is a read, which this path does not take or answers with
        // something else.
        assert_eq!(
            statuses("/Host/auth/token/roles/", "get"),
            "200 400 403 404 405 429 500 503"
        );
        let policy = &document["paths"]["/Host/sys/policy/{name}/"]["get"]["responses"]["200"];
        let policy = &policy["content"]["application/json"]["schema"];
        assert_eq!(policy["anyOf"].as_array().unwrap().len(), 2, "{policy}");
        assert_eq!(
            statuses("/Mount(Provider)/creds/{role}", "post"),
            "200 202 400 403 404 408 409 413 429 500 501 502 503"
        );
    }

    #[test]
    fn nobody_is_told_that_a_secret_may_be_read() {
        let paths = all();
        let user = &paths["/auth/userpass/users/{username}"];
        assert_eq!(user["x-vault-createSupported"], true);
        let body = &user["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["properties"]["password"]["writeOnly"], true);
        // JSON Schema's format of that name means something else.
        assert_eq!(body["properties"]["token_ttl"].get("format"), None);
        assert!(body["properties"]["token_ttl"]["pattern"].is_string());
        assert_eq!(paths["/sys/init"]["post"]["security"], json!([]));
        assert_eq!(paths["/auth/jwt/login"]["post"]["security"], json!([]));
        assert_eq!(paths["/sys/mounts"]["get"].get("security"), None);
        let either = json!([{}, {"token": []}]);
        assert_eq!(paths["/sys/internal/ui/mounts"]["get"]["security"], either);
    }
}
