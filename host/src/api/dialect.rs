//! Requests in the words of a provider's dialect: paths below its mount that stand for what
//! the host does anyway.
//!
//! A caller is known before its path is looked up here, so that strangers have no provider
//! loaded. What a path stands for is decided once, by [`understood`]; from then on the
//! handler of the host's own path answers, and [`spoken`] tells its answer in the client's
//! words. The path stays as it was asked wherever it is judged, written down or shown.
//!
//! An alias gives nobody more than the host's own path does: what policies forbid there, they
//! forbid in every other word for it ([`is_forbidden`]).

use std::sync::Arc;

use http::StatusCode;
use lessor_model::{
    dialect::{Alias, Method},
    id::ConnectionName,
    mount::Kind,
    refusal::Refusal,
    secret::Secret,
};
use serde_json::{Map, Value};

use super::{
    Outcome,
    answer::{Answer, Body, Data},
    endpoint::{Endpoint, Place, Shelf, Target, routes::Routes},
    error::ApiError,
    operation::Operation,
};
use crate::{auth::Identity, catalog::Plugin, engine::Engine, policy::Acl};

/// Where the host takes any word for the name of a connection.
const CONFIG: &str = "config/:name";

/// The meaning of a path in the dialect of the mount that it is below; none where it is in no
/// other words than the host's.
///
/// # Errors
/// Where the path does not take the method, or the provider that would say so cannot run.
pub(super) async fn understood(
    engine: &Engine,
    routes: &Routes,
    target: &Target,
    operation: Operation,
) -> Result<Option<Target>, ApiError> {
    let is_served = is_served(engine, target).await?;
    let plugin = match of_mount(engine, target).await {
        Ok(Some(plugin)) => plugin,
        Ok(None) => return Ok(None),
        // What the host serves itself is served also where the provider cannot say more of it.
        // A write below `config` waits: it might make a connection of a name that is none.
        Err(_) if is_served => return Ok(None),
        Err(_) if target.endpoint.is_some() && operation != Operation::Write => return Ok(None),
        Err(refusal) => return Err(refusal),
    };
    let aliases = here(routes, &plugin, target, is_served);
    let method = method_of(operation);
    let mut taking = aliases
        .iter()
        .filter(|alias| alias.methods.contains(&method));
    match taking.next() {
        Some(alias) => Ok(Some(standing(routes, target, alias)?)),
        None if aliases.is_empty() || is_served => Ok(None),
        None => {
            let methods = aliases.iter().flat_map(|alias| &alias.methods);
            let methods = methods.flat_map(|method| match method {
                Method::Get => ["GET"].as_slice(),
                Method::List => &["LIST"],
                Method::Post => &["POST", "PUT"],
                Method::Delete => &["DELETE"],
            });
            let methods: Vec<&str> = methods.copied().collect();
            Err(ApiError::wrong_method().allowing(&methods))
        }
    }
}

/// All aliases that count for a path, for whoever shows what there is.
pub(super) async fn shown(engine: &Engine, routes: &Routes, target: &Target) -> Vec<Alias> {
    let plugin = of_mount(engine, target).await;
    match (plugin, is_served(engine, target).await) {
        (Ok(Some(plugin)), Ok(is_served)) => {
            let aliases = here(routes, &plugin, target, is_served).into_iter();
            aliases.cloned().collect()
        }
        _ => Vec::new(),
    }
}

/// The endpoint that serves what an alias stands for.
pub(super) fn endpoint(routes: &Routes, alias: &Alias) -> Option<&'static Endpoint> {
    let has_name = alias.path.placeholder().is_some();
    let own = alias.stands_for.own_path(has_name);
    let shelf = match alias.stands_for.is_of_the_mount() {
        true => Shelf::Host,
        false => Shelf::Mount(Kind::Provider),
    };
    let mut endpoints = routes.endpoints(shelf);
    endpoints.find(|endpoint| endpoint.pattern == own)
}

/// The operation that a method of an alias asks for.
pub(super) fn operation_of(method: Method) -> Operation {
    match method {
        Method::Get => Operation::Read,
        Method::List => Operation::List,
        Method::Post => Operation::Write,
        Method::Delete => Operation::Delete,
    }
}

/// Whether the caller's policies forbid it at the host's own path, in the host's words: a rule
/// that denies that path, or one of its fields, was written by somebody who may not know that
/// there are other words for it.
pub(super) fn is_forbidden(
    target: &Target,
    operation: Operation,
    identity: &Identity,
    fields: &Map<String, Value>,
) -> bool {
    if identity.is_root() {
        return false;
    }
    let Some(mut own) = target.own_path() else {
        return false;
    };
    let is_list = operation == Operation::List;
    if is_list {
        own.push('/');
    }
    identity.acl.forbids(&own, is_list, fields)
}

/// Whether a token's policies deny the host's own path of what is done at a path.
pub(super) async fn is_denied(engine: &Engine, routes: &Routes, acl: &Acl, path: &str) -> bool {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let segments: Vec<String> = segments.map(str::to_owned).collect();
    let target = routes.target(&segments, Some(engine));
    let nothing = Map::new();
    shown(engine, routes, &target).await.iter().any(|alias| {
        let own = standing(routes, &target, alias)
            .ok()
            .and_then(|it| it.own_path());
        own.is_some_and(|own| acl.forbids(&own, true, &nothing))
    })
}

/// What an answer, or a refusal, says in the words of the client.
pub(super) fn spoken(alias: &Alias, outcome: Outcome) -> Outcome {
    match outcome {
        Ok(answer) => translated(alias, answer),
        Err(refusal) => Err(refusal.told(|sentence| alias.in_words(sentence))),
    }
}

fn translated(alias: &Alias, mut answer: Answer) -> Outcome {
    let Body::Envelope(envelope) = &mut answer.body else {
        return Ok(answer);
    };
    for warning in &mut envelope.warnings {
        *warning = alias.in_words(warning);
    }
    // A task that goes on is the host's own.
    if answer.status != StatusCode::OK || !alias.changes_answers() {
        return Ok(answer);
    }
    match &mut envelope.data {
        Data::Json(Value::Object(data)) => alias.outward(data),
        Data::Credential(text) => {
            let parsed = serde_json::from_str(text.expose());
            let mut data: Map<String, Value> = parsed.map_err(ApiError::internal)?;
            alias.outward(&mut data);
            let text = serde_json::to_string(&data).map_err(ApiError::internal)?;
            envelope.data = Data::Credential(Secret::new(text));
        }
        Data::Json(_) | Data::None => {}
    }
    // Beside the envelope stand the host's words, which are not all for whoever asks here.
    envelope.data_on_top &= alias.stands_for.only().is_none();
    Ok(answer)
}

/// The provider of the mount that a path is below; none where it is below none.
async fn of_mount(engine: &Engine, target: &Target) -> Result<Option<Arc<Plugin>>, ApiError> {
    let Place::Provider { mount, rest } = &target.place else {
        return Ok(None);
    };
    match engine.mounts.open(mount) {
        Ok(mount) if !rest.is_empty() => Ok(Some(engine.mounts.plugin(&mount).await?)),
        _ => Ok(None),
    }
}

/// The aliases that count for a path: where the host serves it itself, those that stand for
/// what it does there.
fn here<'p>(
    routes: &Routes,
    plugin: &'p Plugin,
    target: &Target,
    is_served: bool,
) -> Vec<&'p Alias> {
    let dialect = &plugin.provider.descriptor().dialect;
    if dialect.is_empty() {
        return Vec::new();
    }
    let counts = |alias: &&Alias| match (target.endpoint, alias.is_on_own_path()) {
        (Some(own), true) => endpoint(routes, alias).is_some_and(|it| std::ptr::eq(it, own)),
        _ => !is_served,
    };
    dialect.at(&segments_of(target)).filter(counts).collect()
}

/// The same path, which stands for what an alias says.
fn standing(routes: &Routes, target: &Target, alias: &Alias) -> Result<Target, ApiError> {
    let endpoint = endpoint(routes, alias)
        .ok_or_else(|| ApiError::internal(format!("no endpoint for {}", alias.path)))?;
    let segments = segments_of(target);
    let said = match (&target.place, alias.path.named(&segments)) {
        (Place::Provider { mount, .. }, _) if alias.stands_for.is_of_the_mount() => {
            vec![("path", mount.to_string())]
        }
        (_, Some(name)) => vec![(endpoint.name(), name.to_owned())],
        (_, None) => Vec::new(),
    };
    let alias = Arc::new(alias.clone());
    Ok(target.clone().standing_for(endpoint, said, alias))
}

/// Whether the host itself serves a path, whatever a dialect says. The path of a connection's
/// config is its own while the connection has a config, or leases that need one; that a role
/// names the connection is not enough, or whoever writes roles could take the path away.
async fn is_served(engine: &Engine, target: &Target) -> Result<bool, ApiError> {
    let (Some(own), Place::Provider { mount, .. }) = (target.endpoint, &target.place) else {
        return Ok(target.endpoint.is_some());
    };
    if own.pattern != CONFIG {
        return Ok(true);
    }
    let name = target.said("name").unwrap_or_default();
    let Ok(name) = name.parse::<ConnectionName>() else {
        return Ok(false);
    };
    let Ok(connection) = engine.mounts.connection(mount, &name) else {
        return Ok(false);
    };
    let config = engine.storage.current_config(connection.id).await;
    if config.map_err(Refusal::from)?.is_some() {
        return Ok(true);
    }
    let leases = engine.storage.leases_by_connection(connection.id).await;
    Ok(leases.map_err(Refusal::from)? > 0)
}

fn segments_of(target: &Target) -> Vec<String> {
    match &target.place {
        Place::Provider { rest, .. } => rest.split('/').map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn method_of(operation: Operation) -> Method {
    match operation {
        Operation::Read => Method::Get,
        Operation::List => Method::List,
        Operation::Write => Method::Post,
        Operation::Delete => Method::Delete,
    }
}
