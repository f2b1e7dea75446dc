//! Dynamic secrets of Akeyless, by the fields of its command line and API: custom producers
//! become mounts of `webhook`, PostgreSQL producers of `postgres`.

use anyhow::{Error, Result, bail};
use lessor_model::duration;
use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::plan::Plan;

/// The kinds that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Custom,
    Postgres,
}

/// The name of the role that a dynamic secret becomes: there, an item is both.
const ROLE: &str = "default";

/// The time of a call where a producer names none.
const TIMEOUT_S: u64 = 60;

/// The life of a credential where a producer names none.
const USER_TTL: &str = "60m";

pub(super) fn kind(fields: &Fields) -> Option<Kind> {
    if fields.has("create-sync-url") {
        return Some(Kind::Custom);
    }
    fields.has_any("postgresql").then_some(Kind::Postgres)
}

pub(super) fn plan(kind: Kind, fields: &mut Fields, audience: Option<&str>) -> Result<Plan> {
    let name = fields.required("name")?;
    let mut plan = Plan {
        source: format!("Akeyless dynamic secret {name}"),
        mount: path(&name),
        plugin: Some(match kind {
            Kind::Custom => "webhook",
            Kind::Postgres => "postgres",
        }),
        tune: Map::new(),
        config: Map::new(),
        roles: Vec::new(),
        lost: Vec::new(),
    };
    let mut role = Map::new();
    match kind {
        Kind::Custom => custom(fields, &mut plan, &mut role, audience)?,
        Kind::Postgres => postgres(fields, &mut plan, &mut role)?,
    }
    common(fields, &mut plan, &mut role)?;
    plan.roles.push((ROLE.to_owned(), role));
    Ok(plan)
}

/// The options that every producer has.
fn common(fields: &mut Fields, plan: &mut Plan, role: &mut Map<String, Value>) -> Result<()> {
    let ttl = fields.text("user-ttl")?;
    let ttl = ttl.unwrap_or_else(|| USER_TTL.to_owned());
    duration::of_text("user-ttl", &ttl).map_err(Error::msg)?;
    role.insert("default_ttl".into(), ttl.into());
    if fields.truth("delete_protection")? {
        plan.tune.insert("delete_protection".into(), true.into());
        role.insert("delete_protection".into(), true.into());
    }
    let tags = fields.texts("tags")?;
    if !tags.is_empty() {
        plan.tune.insert("tags".into(), json!(tags));
        role.insert("tags".into(), json!(tags));
    }
    for name in ["description", "metadata"] {
        if let Some(description) = fields.text(name)? {
            plan.tune.insert("description".into(), description.into());
        }
    }
    for key in [
        "producer-encryption-key-name",
        "producer-encryption-key",
        "encryption-key-name",
    ] {
        if fields.text(key)?.is_some() {
            plan.lose(key, "lessor seals everything by the keys of its server");
        }
    }
    if fields.text("target-name")?.is_some() {
        plan.lose(
            "target-name",
            "the target's connection is not in the file: give the config its fields",
        );
    }
    // What the command line was called with: whose call it was is nothing to carry over.
    for flag in [
        "json",
        "token",
        "uid-token",
        "profile",
        "gateway-url",
        "type",
    ] {
        fields.take(flag);
    }
    Ok(())
}

fn custom(
    fields: &mut Fields,
    plan: &mut Plan,
    role: &mut Map<String, Value>,
    audience: Option<&str>,
) -> Result<()> {
    let create = split("create-sync-url", &fields.required("create-sync-url")?)?;
    let revoke = split("revoke-sync-url", &fields.required("revoke-sync-url")?)?;
    let rotate = match fields.text("rotate-sync-url")? {
        Some(url) => Some(split("rotate-sync-url", &url)?),
        None => None,
    };
    let origin = create.0.clone();
    let others = [Some(&revoke), rotate.as_ref()];
    if others
        .into_iter()
        .flatten()
        .any(|(other, _)| *other != origin)
    {
        bail!(
            "the endpoints are at several servers, and a mount's webhook is one: put them behind one address, and \
             change the URLs in the file"
        );
    }
    plan.tune.insert("allowed_hosts".into(), json!([origin]));
    let timeout = fields.number("timeout-sec")?.unwrap_or(TIMEOUT_S);
    plan.tune
        .insert("timeout".into(), format!("{timeout}s").into());
    let config = &mut plan.config;
    config.insert("url".into(), origin.into());
    config.insert("create_path".into(), create.1.into());
    config.insert("revoke_path".into(), revoke.1.into());
    let rotates = rotate.is_some();
    let rotate = rotate.map(|(_, path)| path).unwrap_or_default();
    config.insert("rotate_path".into(), rotate.into());
    let payload = fields.text("payload")?.unwrap_or_default();
    config.insert("payload".into(), payload.into());
    if fields.truth("skip-dry-run")? {
        config.insert("dry_run".into(), false.into());
    }
    let period = fields.number("admin-rotation-interval-days")?;
    if fields.truth("enable-admin-rotation")? {
        if rotates {
            let days = period.unwrap_or(90);
            config.insert("rotation_period".into(), (days * 86_400).into());
        } else {
            plan.lose(
                "enable-admin-rotation",
                "without rotate-sync-url the webhook has nothing that rotates its payload",
            );
        }
    }
    match audience {
        Some(audience) => {
            plan.config.insert("audience".into(), audience.into());
            plan.tune.insert("identity_audiences".into(), json!([audience]));
        }
        None => plan.lose(
            "AkeylessCreds",
            "no longer signed by Akeyless: import with --audience, and let the webhook verify the token of lessor",
        ),
    }
    // There, every caller may give input.
    role.insert("caller_input".into(), json!(["*"]));
    Ok(())
}

fn postgres(fields: &mut Fields, plan: &mut Plan, role: &mut Map<String, Value>) -> Result<()> {
    let host = fields.text("postgresql-host")?;
    let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = fields.number("postgresql-port")?.unwrap_or(5432);
    let grant = match host.contains(':') {
        true => format!("tcp://[{host}]:{port}"),
        false => format!("tcp://{host}:{port}"),
    };
    plan.tune.insert("allowed_hosts".into(), json!([grant]));
    plan.config.insert("host".into(), host.into());
    plan.config.insert("port".into(), port.into());
    for (theirs, ours) in [
        ("postgresql-db-name", "database"),
        ("postgresql-username", "username"),
        ("postgresql-password", "password"),
    ] {
        if let Some(value) = fields.text(theirs)? {
            plan.config.insert(ours.into(), value.into());
        }
    }
    for needed in ["username", "password"] {
        if !plan.config.contains_key(needed) {
            bail!(
                "`postgresql-{needed}` is missing: the file must have the login of the root credential"
            );
        }
    }
    let sslmode = match fields.truth("ssl")? {
        true => "verify-full",
        false => "disable",
    };
    plan.config.insert("sslmode".into(), sslmode.into());
    if let Some(authorities) = fields.text("ssl-certificate")? {
        plan.tune.insert("extra_roots".into(), authorities.into());
    }
    match fields.text("creation-statements")? {
        Some(statements) => role.insert("creation_statements".into(), statements.into()),
        None => bail!("`creation-statements` is missing: lessor does not guess what a role may do"),
    };
    for theirs in ["revocation-statement", "revocation-statements"] {
        if let Some(statements) = fields.text(theirs)? {
            role.insert("revocation_statements".into(), statements.into());
        }
    }
    if let Some(length) = fields.number("password-length")? {
        role.insert("password_policy".into(), json!({"length": length}));
    }
    if fields.text("custom-username-template")?.is_some() {
        plan.lose(
            "custom-username-template",
            "a template of Go, which lessor does not evaluate: give the role a name_template",
        );
    }
    Ok(())
}

/// The path of a mount for an item: without what a path cannot have.
fn path(name: &str) -> String {
    let allowed = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' | '/' => character,
        _ => '-',
    };
    let parts = name.split('/').filter(|part| !part.trim().is_empty());
    let parts: Vec<String> = parts
        .map(|part| part.trim().chars().map(allowed).collect())
        .collect();
    parts.join("/")
}

/// Origin and path of an endpoint. Akeyless takes addresses without a scheme as https.
fn split(field: &str, url: &str) -> Result<(String, String)> {
    let url = match url.contains("://") {
        true => url.to_owned(),
        false => format!("https://{url}"),
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        bail!("`{field}` is not a URL");
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let is_http = matches!(scheme, "http" | "https");
    if !is_http || authority.is_empty() || authority.contains('@') || path.contains('#') {
        bail!("`{field}` must be a URL of http or https, without user and password");
    }
    Ok((format!("{scheme}://{authority}"), path.to_owned()))
}
