//! Dynamic providers and account definitions of BeyondTrust, by the fields of its command line
//! and API: a provider becomes a mount with its root credential, an account definition a role.
//! Accounts are leases, which nobody carries over: they end where they were made.

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::plan::Plan;

/// The kinds that are known, and those that are known not to be carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Aws,
    AwsPolicy,
    Other(&'static str),
}

/// The names that accounts have there: the first characters of provider and definition, and a
/// random end.
const NAME_TEMPLATE: &str = "DSS-{mount:8}-{role:8}-{random}";

/// The region of a provider that names none.
const REGION: &str = "us-east-1";

pub(super) fn kind(fields: &Fields) -> Option<Kind> {
    let kind = match fields.peek("type")?.to_ascii_lowercase().as_str() {
        "aws" => Kind::Aws,
        "awspolicy" => Kind::AwsPolicy,
        "azure" => Kind::Other("an Azure provider"),
        "gcp" => Kind::Other("a GCP provider"),
        "azurerole" => Kind::Other("an Azure account definition"),
        "gcprole" => Kind::Other("a GCP account definition"),
        _ => return None,
    };
    Some(kind)
}

/// `above` is the mount of the provider that an account definition belongs to, where its file
/// does not say.
pub(super) fn plan(kind: Kind, fields: &mut Fields, above: Option<&str>) -> Result<Plan> {
    if let Kind::Other(what) = kind {
        bail!("{what} cannot be carried over: there is no provider of lessor for it");
    }
    fields.take("type");
    fields.open("options")?;
    let uri = fields.text("uri")?;
    let name = fields.required("name")?;
    let (source, mount, plugin) = match kind {
        Kind::AwsPolicy => {
            let Some(mount) = parent(fields, uri.as_deref())?.or(above.map(str::to_owned)) else {
                bail!(
                    "account definition {name} names no provider: put its provider before it, or give --mount"
                );
            };
            (
                format!("BeyondTrust account definition {name}"),
                mount,
                None,
            )
        }
        _ => (
            format!("BeyondTrust provider {name}"),
            word(&name),
            Some("aws"),
        ),
    };
    let mut plan = Plan {
        source,
        mount,
        plugin,
        tune: Map::new(),
        config: Map::new(),
        roles: Vec::new(),
        lost: Vec::new(),
    };
    match plugin {
        Some(_) => provider(fields, &mut plan)?,
        None => definition(fields, &mut plan, &name)?,
    }
    Ok(plan)
}

fn provider(fields: &mut Fields, plan: &mut Plan) -> Result<()> {
    let region = fields.text("region")?;
    let region = region.unwrap_or_else(|| REGION.to_owned());
    plan.tune.insert(
        "allowed_hosts".into(),
        json!([
            "https://iam.amazonaws.com",
            format!("https://sts.{region}.amazonaws.com"),
        ]),
    );
    // A definition bounds its own accounts, and may say that they never end.
    plan.tune.insert("max_lease_ttl".into(), "never".into());
    let key = fields.required("AccessKeyId")?;
    let secret = fields.required("SecretAccessKey")?;
    plan.config.insert("access_key".into(), key.into());
    plan.config.insert("secret_key".into(), secret.into());
    plan.config.insert("region".into(), region.into());
    // There it rotates at once, and every 24 hours from then on.
    if fields.truth("CredentialRotationEnabled")? {
        plan.config.insert("rotate_on_config".into(), true.into());
        plan.config.insert("rotation_period".into(), 86_400.into());
    }
    describe(fields, plan)
}

fn definition(fields: &mut Fields, plan: &mut Plan, name: &str) -> Result<()> {
    let policies = fields.texts("PolicyARNs")?;
    if policies.is_empty() {
        bail!("`PolicyARNs` is missing");
    }
    let mut role = Map::from_iter([
        ("credential_type".to_owned(), Value::from("iam_user")),
        ("policy_arns".to_owned(), json!(policies)),
        ("name_template".to_owned(), NAME_TEMPLATE.into()),
    ]);
    let longest = match fields.number("MaxExpiryDurationMinutes")? {
        None | Some(0) => Value::from("never"),
        Some(minutes) => Value::from(format!("{minutes}m")),
    };
    role.insert("max_ttl".into(), longest);
    if fields.truth("delete_protection")? {
        role.insert("delete_protection".into(), true.into());
    }
    let tags = fields.texts("tags")?;
    if !tags.is_empty() {
        role.insert("tags".into(), json!(tags));
    }
    plan.roles.push((word(name), role));
    Ok(())
}

fn describe(fields: &mut Fields, plan: &mut Plan) -> Result<()> {
    if let Some(description) = fields.text("description")? {
        plan.tune.insert("description".into(), description.into());
    }
    if fields.truth("delete_protection")? {
        plan.tune.insert("delete_protection".into(), true.into());
    }
    let tags = fields.texts("tags")?;
    if !tags.is_empty() {
        plan.tune.insert("tags".into(), json!(tags));
    }
    Ok(())
}

/// The mount of the provider that a definition names, by itself or in its URI
/// (`/dynamic/<provider>/<definition>`).
fn parent(fields: &mut Fields, uri: Option<&str>) -> Result<Option<String>> {
    for name in ["provider", "providerName"] {
        if let Some(provider) = fields.text(name)? {
            return Ok(Some(word(&provider)));
        }
    }
    let within = uri.and_then(|uri| uri.split_once("dynamic/"));
    let provider = within.and_then(|(_, rest)| rest.split('/').next());
    Ok(provider.filter(|name| !name.is_empty()).map(word))
}

/// A name as a path of one segment, or a role, can have it.
fn word(name: &str) -> String {
    let allowed = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => character,
        _ => '-',
    };
    name.trim().chars().map(allowed).collect()
}
