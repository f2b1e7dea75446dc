//! `sys/capabilities…`: what a token may do at some paths.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Outcome,
    answer::Answer,
    ask::Ask,
    dialect,
    endpoint::{
        Endpoint, Field, at, does, field,
        gives::{Gives, data, on_top},
        read,
        routes::Routes,
        write,
    },
    error::ApiError,
    fields::Fields,
    tokens::{self, Which},
};
use crate::{
    engine::Engine,
    policy::{Acl, Capability},
    token::ROOT,
};

const PATHS: Field = field::texts("paths", "The paths. Required, unless path has them.");
const PATH: Field = field::texts("path", "The same, by its first name.");

/// The paths that tell what a token may do.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at(
        "sys/capabilities",
        "The operations that a token may perform at some paths.",
    )
    .on(&[write(
        "Shows it.",
        &[field::secret("token", "The token.").required(), PATHS, PATH],
        does!(call => show(call.engine, call.routes, Which::Value, call.ask).await),
    )
    .gives(CAPABILITIES)]),
    at(
        "sys/capabilities-self",
        "The operations that the token in use may perform at some paths.",
    )
    .on(&[write(
        "Shows it.",
        &[PATHS, PATH],
        does!(call => show(call.engine, call.routes, Which::Own, call.ask).await),
    )
    .gives(CAPABILITIES)]),
    at(
        "sys/capabilities-accessor",
        "The operations that the token of an accessor may perform at some paths.",
    )
    .on(&[write(
        "Shows it.",
        &[
            field::text("accessor", "The accessor.").required(),
            PATHS,
            PATH,
        ],
        does!(call => show(call.engine, call.routes, Which::Accessor, call.ask).await),
    )
    .gives(CAPABILITIES)]),
    at(
        "sys/internal/ui/resultant-acl",
        "All paths and operations that the token in use may use.",
    )
    .on(&[read(
        "Shows it, by path.",
        &[],
        does!(call => Ok(resultant(&call.ask.identity.acl))),
    )
    .gives(&[data::<ResultantAcl>()])]),
];

/// Capabilities by path; of a lone path also as `capabilities`.
type Capabilities = BTreeMap<String, Vec<&'static str>>;

const CAPABILITIES: &[Gives] = &[on_top::<Capabilities>()];

/// All paths and operations that a token may use.
#[derive(Serialize, JsonSchema)]
struct ResultantAcl {
    /// Whether it may do everything; then the other fields are left out.
    root: bool,
    /// By path.
    #[serde(skip_serializing_if = "Option::is_none")]
    exact_paths: Option<BTreeMap<String, Allowed>>,
    /// By the prefix of paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    glob_paths: Option<BTreeMap<String, Allowed>>,
}

/// The operations that a token may perform at a path.
#[derive(Serialize, JsonSchema)]
struct Allowed {
    /// create, read, update, patch, delete, list, sudo or deny.
    capabilities: Vec<&'static str>,
}

/// `POST sys/capabilities`, `…-self`, `…-accessor`
async fn show(engine: &Engine, routes: &Routes, which: Which, mut ask: Ask) -> Outcome {
    let mut fields = ask.take_fields();
    let paths = paths(&mut fields)?;
    let named = tokens::named(engine, which, &ask, &mut fields).await?;
    fields.finish()?;
    let (token, _) = named.ok_or_else(|| match which {
        Which::Accessor => tokens::invalid_accessor(),
        _ => ApiError::bad_request("invalid token: it is unknown or has ended"),
    })?;
    let acl = engine.policies.acl(&token.row.policies).await?;
    let canonical = |path: &str| routes.canonical_text(path, |path| engine.logins.kind_at(path));
    let mut judged = Vec::new();
    for path in paths {
        let mut spelled = canonical(&path);
        // A denial of the host's own path counts for every other word for it.
        if let Some(known) = &spelled
            && !acl.is_root()
            && dialect::is_denied(engine, routes, &acl, known).await
        {
            spelled = None;
        }
        judged.push((path, spelled));
    }
    Ok(capabilities(&acl, &judged))
}

/// `GET sys/internal/ui/resultant-acl`: all that a token may do, by path; a path that ends in a
/// wildcard stands without it under `glob_paths`.
pub(super) fn resultant(acl: &Acl) -> Answer {
    let root = acl.is_root();
    let (mut exact, mut globs) = (BTreeMap::new(), BTreeMap::new());
    for granted in acl.granted().into_iter().filter(|_| !root) {
        let names = granted.capabilities.iter();
        let capabilities = names.map(|capability| capability.as_str()).collect();
        let place = match granted.is_glob {
            true => &mut globs,
            false => &mut exact,
        };
        place.insert(granted.path, Allowed { capabilities });
    }
    Answer::data(ResultantAcl {
        root,
        exact_paths: (!root).then_some(exact),
        glob_paths: (!root).then_some(globs),
    })
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

/// The capabilities that an ACL grants at some paths, by path as it was asked for; of a lone
/// path also as `capabilities`. Each path stands beside the form in which it is judged, as the
/// path of a request is; none where nothing can be allowed there.
fn capabilities(acl: &Acl, paths: &[(String, Option<String>)]) -> Answer {
    let of_path = |judged: &Option<String>| -> Vec<&'static str> {
        if acl.is_root() {
            return vec![ROOT];
        }
        let Some(path) = judged else {
            return vec![Capability::Deny.as_str()];
        };
        let capabilities = acl.capabilities(path).into_iter();
        capabilities.map(|known| known.as_str()).collect()
    };
    let mut found: Capabilities = paths
        .iter()
        .map(|(path, judged)| (path.clone(), of_path(judged)))
        .collect();
    if let [(_, judged)] = paths {
        found.insert("capabilities".to_owned(), of_path(judged));
    }
    Answer::data_on_top(found)
}
