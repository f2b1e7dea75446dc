//! `sys/capabilities…`: what a token may do at some paths.

use serde_json::{Map, Value, json};

use super::{
    Outcome, answer::Answer, ask::Ask, error::ApiError, fields::Fields, path::canonical_text,
    route::Which, tokens,
};
use crate::{
    engine::Engine,
    policy::{Acl, Capability},
    token::ROOT,
};

/// `POST sys/capabilities`, `…-self`, `…-accessor`
pub(super) async fn show(engine: &Engine, which: Which, mut ask: Ask) -> Outcome {
    let mut fields = ask.take_fields();
    let paths = paths(&mut fields)?;
    let named = tokens::named(engine, which, &ask, &mut fields).await?;
    fields.finish()?;
    let (token, _) = named.ok_or_else(|| match which {
        Which::Accessor => tokens::invalid_accessor(),
        _ => ApiError::bad_request("invalid token: it is unknown or has ended"),
    })?;
    let acl = engine.policies.acl(&token.row.policies).await?;
    let canonical = |path: &str| canonical_text(path, |path| engine.logins.kind_at(path));
    Ok(capabilities(&acl, &paths, canonical))
}

/// `GET sys/internal/ui/resultant-acl`: all that a token may do, by path; what ends
/// in a wildcard stands without it under `glob_paths`.
pub(super) fn resultant(acl: &Acl) -> Answer {
    if acl.is_root() {
        return Answer::data(json!({ "root": true }));
    }
    let (mut exact, mut globs) = (Map::new(), Map::new());
    for granted in acl.granted() {
        let names: Value = granted
            .capabilities
            .iter()
            .map(|capability| Value::from(capability.as_str()))
            .collect();
        let place = match granted.is_glob {
            true => &mut globs,
            false => &mut exact,
        };
        place.insert(granted.path, json!({ "capabilities": names }));
    }
    Answer::data(json!({ "root": false, "exact_paths": exact, "glob_paths": globs }))
}

/// The paths that are asked about: `paths`, or `path` as older clients send it.
fn paths(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let older = fields.list("path")?;
    let paths = fields.list("paths")?.filter(|paths| !paths.is_empty());
    match paths.or(older) {
        Some(paths) if paths.iter().any(String::is_empty) => {
            Err(ApiError::bad_request("paths must not hold an empty path"))
        }
        Some(paths) if !paths.is_empty() => Ok(paths),
        _ => Err(ApiError::bad_request(
            "paths is required: the paths to ask about",
        )),
    }
}

/// What an ACL allows at some paths, by path as it was asked for; of a lone path also
/// as `capabilities`. A request's path is judged in its `canonical` form, so these are.
fn capabilities(acl: &Acl, paths: &[String], canonical: impl Fn(&str) -> Option<String>) -> Answer {
    let of_path = |path: &String| -> Value {
        if acl.is_root() {
            return json!([ROOT]);
        }
        let Some(path) = canonical(path) else {
            return json!([Capability::Deny.as_str()]);
        };
        let capabilities = acl.capabilities(&path).into_iter();
        capabilities.map(|known| known.as_str()).collect()
    };
    let mut found: Map<String, Value> = paths
        .iter()
        .map(|path| (path.clone(), of_path(path)))
        .collect();
    if let [path] = paths {
        found.insert("capabilities".to_owned(), of_path(path));
    }
    Answer::data_on_top(found.into())
}
