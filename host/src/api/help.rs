//! `?help=1`: what a path does, as text. `bao path-help` and Vault's other clients
//! print it.
//!
//! All of it is the table of endpoints. Below a mount the fields are also those of its
//! provider's schemas.

use std::{collections::HashSet, fmt::Write as _};

use lessor_model::{id::MountPath, login::Kind, mount};
use serde::Serialize;
use serde_json::Value;

use super::{
    Outcome,
    answer::Answer,
    endpoint::{Document, Endpoint, Place, Shelf, Target},
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
        let what = provider.map_or_else(|| "A mounted provider.".to_owned(), |it| it.summary);
        return Some(index(&what, "", Shelf::Mount(mount::Kind::Provider)));
    }
    let endpoint = target.endpoint?;
    Some(page(target, endpoint, provider.as_ref()))
}

/// The fields that a provider takes, by its schemas.
struct Schemas {
    summary: String,
    config: Value,
    role: Value,
    request: Value,
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
