//! `?help=1`: what a path does, as text. `bao path-help` and Vault's other clients
//! print it.
//!
//! All of it is the table of endpoints. Below a mount the fields are also those of its
//! provider's schemas.

use std::{collections::HashSet, fmt::Write as _};

use lessor_model::{
    dialect::{Alias, Dialect},
    id::MountPath,
    login::Kind,
    mount,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    Outcome,
    answer::Answer,
    dialect,
    endpoint::{Document, Endpoint, Field, Place, Shelf, Target},
    error::ApiError,
    table::ROUTES,
};
use crate::engine::Engine;

/// The text about a path, as Vault's clients read it.
#[derive(Serialize)]
struct Help {
    help: String,
    see_also: [String; 0],
}

/// Answers `?help=1`.
pub(super) async fn show(engine: &Engine, target: &Target) -> Outcome {
    let text = match &target.place {
        Place::Provider { mount, rest } => of_mount(engine, mount, rest, target).await,
        Place::Login { mount, rest } if rest.is_empty() => {
            let kind = mount.kind;
            let what = match kind {
                Kind::AppRole => "Logins by a role id and a secret id. For machines.",
                Kind::Userpass => "Logins by a name and a password. For people.",
                Kind::Jwt => "Logins by a signed token of somebody else.",
            };
            Some(index(what, "", Shelf::Mount(mount.spec.kind)))
        }
        Place::Nowhere if target.path == "sys" => {
            Some(index("The server itself.", "sys/", Shelf::Host))
        }
        Place::Nowhere if target.path == "auth/token" => {
            Some(index("Tokens.", "auth/token/", Shelf::Host))
        }
        Place::Login { .. } | Place::Host | Place::NoMount | Place::Nowhere => {
            target.endpoint.map(|it| page(target, it, None))
        }
    };
    let text = text.ok_or_else(ApiError::nothing_here)?;
    Ok(Answer::bare(Help {
        help: text,
        see_also: [],
    }))
}

async fn of_mount(
    engine: &Engine,
    path: &MountPath,
    rest: &str,
    target: &Target,
) -> Option<String> {
    let provider = Schemas::of(engine, path).await;
    if rest.is_empty() {
        let what = provider
            .as_ref()
            .map_or("A mounted provider.", |it| it.summary.as_str());
        let mut text = index(what, "", Shelf::Mount(mount::Kind::Provider));
        let dialect = provider.as_ref().map(|it| it.dialect.aliases());
        for alias in dialect.into_iter().flatten() {
            let methods: Vec<_> = alias.methods.iter().map(|it| it.as_str()).collect();
            let (path, methods, about) = (&alias.path, methods.join(", "), &alias.summary);
            let _ = write!(text, "\n    {path} ({methods})\n        {about}\n");
        }
        return Some(text);
    }
    let aliases = dialect::shown(engine, &ROUTES, target).await;
    // The host's own page is whole where a dialect only adds words.
    let own = target
        .endpoint
        .filter(|_| aliases.iter().all(Alias::is_on_own_path));
    let mut text = own.map_or_else(
        || format!("Request:        {}\n", target.path),
        |endpoint| page(target, endpoint, provider.as_ref()),
    );
    if own.is_none() && aliases.is_empty() {
        return None;
    }
    for alias in &aliases {
        text.push_str(&words(alias, own.is_some(), provider.as_ref()));
    }
    Some(text)
}

/// The part of a page about one alias of its path.
fn words(alias: &Alias, is_own: bool, provider: Option<&Schemas>) -> String {
    let methods: Vec<_> = alias.methods.iter().map(|it| it.as_str()).collect();
    let (path, methods, about) = (&alias.path, methods.join(", "), &alias.summary);
    let does = alias.stands_for.as_str();
    let mut text = format!("\n## {methods} {path} ({does})\n\n    {about}\n");
    let mut word = |name: &str, what: String| {
        let _ = write!(text, "\n    {name}\n        {what}\n");
    };
    for it in &alias.takes {
        let what = match it.stands_for.as_str() {
            "" => "In requests, and means nothing here.".to_owned(),
            theirs => format!("In requests, for {theirs}."),
        };
        word(&it.name, what);
    }
    for it in &alias.gives {
        word(&it.name, format!("In answers, for {}.", it.stands_for));
    }
    for (name, value) in &alias.sets {
        word(name, format!("Set to {value}."));
    }
    for (name, value) in &alias.tells {
        word(name, format!("In answers, always {value}."));
    }
    let endpoint = dialect::endpoint(&ROUTES, alias).filter(|_| !is_own);
    if let Some(endpoint) = endpoint {
        let methods = alias.methods.iter().copied().map(dialect::operation_of);
        let mut verbs: Vec<_> = methods.filter_map(|it| endpoint.verb(it)).collect();
        verbs.dedup_by(|one, other| std::ptr::eq(*one, *other));
        let only = alias.stands_for.only();
        let fields = verbs.iter().flat_map(|verb| verb.fields());
        let fields = fields.filter(|field| only.is_none_or(|only| only.contains(&field.name)));
        text.push_str(&listed(fields.collect(), endpoint, provider));
    }
    text
}

/// The fields that a provider takes, by its schemas.
struct Schemas {
    summary: String,
    config: Value,
    role: Value,
    request: Value,
    dialect: Dialect,
}

impl Schemas {
    /// None where the provider cannot run now: the host's own pages stay readable.
    async fn of(engine: &Engine, mount: &MountPath) -> Option<Self> {
        let mount = engine.mounts.open(mount).ok()?;
        let plugin = engine.mounts.plugin(&mount).await.ok()?;
        let descriptor = plugin.provider.descriptor();
        Some(Self {
            summary: descriptor.summary.clone(),
            config: descriptor.config_schema.clone(),
            role: descriptor.role_schema.clone(),
            request: descriptor.request_schema.clone(),
            dialect: descriptor.dialect.clone(),
        })
    }

    fn of_document(&self, document: Document) -> Option<&Value> {
        match document {
            Document::Config => Some(&self.config),
            Document::Role => Some(&self.role),
            Document::Request => Some(&self.request),
            Document::StaticRole => None,
        }
    }
}

/// The page of a path.
fn page(target: &Target, endpoint: &Endpoint, provider: Option<&Schemas>) -> String {
    let mut text = format!(
        "Request:        {}\nMatching Route: {}\n\n{}\n\n## OPERATIONS\n",
        target.path,
        readable(endpoint.pattern),
        endpoint.about
    );
    for verb in endpoint.verbs {
        let methods: Vec<_> = verb.operations.iter().map(|it| it.method()).collect();
        let _ = write!(
            text,
            "\n    {}\n        {}\n",
            methods.join(", "),
            verb.about
        );
    }
    let mut seen = HashSet::new();
    let fields = endpoint.verbs.iter().flat_map(|verb| verb.fields());
    let fields: Vec<_> = fields.filter(|field| seen.insert(field.name)).collect();
    text.push_str(&listed(fields, endpoint, provider));
    text
}

/// The fields of a page: the host's, and those of the provider's document.
fn listed(fields: Vec<&Field>, endpoint: &Endpoint, provider: Option<&Schemas>) -> String {
    let mut text = String::new();
    let schema = provider.and_then(|it| it.of_document(endpoint.document?));
    let properties = schema.and_then(|schema| schema.get("properties")?.as_object());
    if fields.is_empty() && properties.is_none() {
        return text;
    }
    text.push_str("\n## FIELDS\n");
    for field in fields {
        let (name, form, about) = (field.name, field.form.as_str(), field.described());
        let _ = write!(text, "\n    {name} ({form})\n        {about}\n");
    }
    for (name, property) in properties.into_iter().flatten() {
        let of = |word: &str| property.get(word).and_then(Value::as_str);
        let kind = of("type").map(|kind| format!(" ({kind})"));
        let _ = writeln!(text, "\n    {name}{}", kind.unwrap_or_default());
        if let Some(what) = of("description") {
            let _ = writeln!(text, "        {what}");
        }
    }
    text
}

/// A pattern as people know it: `:name` for what is to be filled in.
fn readable(pattern: &str) -> String {
    pattern.replace('~', "").replace('*', ":")
}

/// The endpoints whose pattern begins with `prefix`, one by one.
fn index(what: &str, prefix: &str, shelf: Shelf) -> String {
    let mut text = format!("## DESCRIPTION\n\n{what}\n\n## PATHS\n");
    for endpoint in ROUTES.endpoints(shelf) {
        if endpoint.pattern.starts_with(prefix) {
            let (pattern, about) = (readable(endpoint.pattern), endpoint.about);
            let _ = write!(text, "\n    {pattern}\n        {about}\n");
        }
    }
    text
}
