//! `sys/policies/acl/…`, and the older `sys/policy/…`: who may do what at which
//! path.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use lessor_model::suggest::shown as readable;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Outcome,
    answer::Answer,
    ask::Ask,
    endpoint::{
        self, Endpoint, Field, MISSING, at, delete, does, field,
        gives::{data, on_top},
        read, read_or_list,
        routes::Routes,
    },
    error::ApiError,
    fields::Fields,
};
use crate::{engine::Engine, policies::PolicyView, policy::Policy};

const POLICY: Field = field::text("policy", "The rules, as HCL or JSON, or Base64 of either.");
const RULES: Field = field::text("rules", "The rules, as the field was called first.");
const CAS: Field = field::number(
    "cas",
    "The version that it must have; 0: there must be none.",
);

const CAS_REQUIRED: Field = field::truth("cas_required", "Must be false.");
const TTL: Field = field::span("ttl", "Must be 0.");
const EXPIRATION: Field = field::text("expiration", "Must be empty.");

/// The paths of policies.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("sys/policies/acl", "The policies.").on(&[read_or_list(
        "Lists them.",
        &[],
        does!(call => list(call.engine, "").await),
    )]),
    at("sys/policies/acl/~*name", "A policy.").on(&[
        read(
            "Shows it.",
            &[],
            does!(call => show(call.engine, call.at("name")?).await),
        )
        .gives(&[data::<PolicyShown>()])
        .refuses(&[MISSING]),
        endpoint::list(
            "Lists those below it.",
            does!(call => list(call.engine, call.at("name")?).await),
        ),
        endpoint::write(
            "Writes it.",
            &[POLICY, CAS, CAS_REQUIRED, TTL, EXPIRATION],
            does!(call => write(call.engine, call.routes, call.at("name")?, call.ask).await),
        ),
        delete(
            "Removes it.",
            &[],
            does!(call => remove(call.engine, call.at("name")?).await),
        ),
    ]),
    at("sys/policy", "The policies, as Vault had them first.").on(&[read_or_list(
        "Lists them.",
        &[],
        does!(call => list_legacy(call.engine, "").await),
    )
    .gives(&[on_top::<PolicyNames>()])]),
    at("sys/policy/~*name", "A policy, as Vault had them first.").on(&[
        read(
            "Shows it.",
            &[],
            does!(call => show_legacy(call.engine, call.at("name")?).await),
        )
        .gives(&[on_top::<PolicyOfOld>()])
        .refuses(&[MISSING]),
        endpoint::list(
            "Lists those below it.",
            does!(call => list_legacy(call.engine, call.at("name")?).await),
        )
        .gives(&[on_top::<PolicyNames>()]),
        endpoint::write(
            "Writes it.",
            &[POLICY, RULES, CAS, CAS_REQUIRED, TTL, EXPIRATION],
            does!(call => write_legacy(call.engine, call.routes, call.at("name")?, call.ask).await),
        ),
        delete(
            "Removes it.",
            &[],
            does!(call => remove(call.engine, call.at("name")?).await),
        ),
    ]),
];

/// A policy.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Policy")]
struct PolicyShown {
    /// The rules.
    policy: String,
    #[serde(flatten)]
    facts: PolicyFacts,
}

/// A policy, as Vault had them first.
#[derive(Serialize, JsonSchema)]
struct PolicyOfOld {
    /// The rules.
    rules: String,
    #[serde(flatten)]
    facts: PolicyFacts,
}

/// A policy. The fields that OpenBao has beyond Vault have the values of a policy that does not
/// use them.
#[derive(Serialize, JsonSchema)]
struct PolicyFacts {
    /// Its name.
    name: String,
    /// Counts up with every write.
    version: i64,
    /// False.
    cas_required: bool,
    /// False.
    allow_slashes_in_identity_templates: bool,
    /// False.
    allow_wildcards_in_identity_templates: bool,
    /// The time when it was written; left out of one that nobody wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
}

/// The names of policies.
#[derive(Serialize, JsonSchema)]
struct PolicyNames {
    /// The names.
    keys: Vec<String>,
    /// The same.
    policies: Vec<String>,
}

/// `LIST sys/policies/acl[/:prefix]`
pub(super) async fn list(engine: &Engine, prefix: &str) -> Outcome {
    Answer::list(engine.policies.list(prefix).await?)
}

/// `GET sys/policies/acl/:name`
pub(super) async fn show(engine: &Engine, name: &str) -> Outcome {
    let view = engine.policies.read(name).await?;
    let view = view.ok_or_else(ApiError::nothing_here)?;
    Ok(Answer::data(PolicyShown {
        facts: PolicyFacts::of(&view),
        policy: view.text,
    }))
}

/// `PUT sys/policies/acl/:name`
pub(super) async fn write(engine: &Engine, routes: &Routes, name: &str, ask: Ask) -> Outcome {
    let warnings = renamed(name, &ask);
    let mut fields = ask.into_fields();
    let text = fields.required("policy")?;
    store((engine, routes), name, text, fields, warnings).await
}

/// `DELETE` of either path; gone already is done.
pub(super) async fn remove(engine: &Engine, name: &str) -> Outcome {
    engine.policies.delete(name).await?;
    Ok(Answer::done())
}

/// `GET sys/policy`, `LIST sys/policy[/:prefix]`
pub(super) async fn list_legacy(engine: &Engine, prefix: &str) -> Outcome {
    let names = engine.policies.list(prefix).await?;
    if names.is_empty() {
        return Err(ApiError::nothing_here());
    }
    Ok(Answer::data_on_top(PolicyNames {
        keys: names.clone(),
        policies: names,
    }))
}

/// `GET sys/policy/:name`
pub(super) async fn show_legacy(engine: &Engine, name: &str) -> Outcome {
    let view = engine.policies.read(name).await?;
    let view = view.ok_or_else(ApiError::nothing_here)?;
    Ok(Answer::data_on_top(PolicyOfOld {
        facts: PolicyFacts::of(&view),
        rules: view.text,
    }))
}

/// `PUT sys/policy/:name`, which takes the text as `rules`, too.
pub(super) async fn write_legacy(
    engine: &Engine,
    routes: &Routes,
    name: &str,
    ask: Ask,
) -> Outcome {
    let mut warnings = renamed(name, &ask);
    let mut fields = ask.into_fields();
    let rules = fields.text("rules")?.filter(|text| !text.is_empty());
    let policy = fields.text("policy")?.filter(|text| !text.is_empty());
    let text = match (policy, rules) {
        (Some(text), _) => text,
        (None, Some(text)) => {
            warnings.push("the field rules is deprecated: send the text as policy".to_owned());
            text
        }
        (None, None) => fields.required("policy")?,
    };
    store((engine, routes), name, text, fields, warnings).await
}

/// A warning where the path that was sent spells the name otherwise.
fn renamed(name: &str, ask: &Ask) -> Vec<String> {
    match ask.spelled_otherwise {
        true => vec![format!(
            "the policy is stored as {name}: names are in lower case"
        )],
        false => Vec::new(),
    }
}

/// Writes a policy from its text and the other fields of the request.
async fn store(
    (engine, routes): (&Engine, &Routes),
    name: &str,
    text: String,
    mut fields: Fields,
    mut warnings: Vec<String>,
) -> Outcome {
    let expected = fields.integer("cas")?;
    fields.empty("cas_required", "is not available: send cas with each write")?;
    for unkept in ["ttl", "expiration"] {
        fields.empty(
            unkept,
            "is not available: delete the policy when it is to end",
        )?;
    }
    // These fields mean nothing here: no templates are filled into paths. They are accepted
    // because a client may write back what it read.
    fields.ignore(&[
        "version",
        "modified",
        "allow_slashes_in_identity_templates",
        "allow_wildcards_in_identity_templates",
    ]);
    fields.finish()?;
    let text = decoded(text);
    engine.policies.write(name, &text, expected).await?;
    warnings.extend(unmatched(engine, routes, &text));
    Ok(Answer::done_with(warnings))
}

/// Warnings about rules for a spelling in which no request is judged: such rules grant nothing,
/// and deny nothing.
fn unmatched(engine: &Engine, routes: &Routes, text: &str) -> Vec<String> {
    let Ok(policy) = Policy::parse(text) else {
        return Vec::new();
    };
    let paths = policy.paths().filter_map(|path| {
        let judged = routes.canonical_text(&path, |path| engine.logins.kind_at(path))?;
        (judged != path).then(|| {
            format!(
                "path {:?} meets no request: one that is written so is judged as {:?}",
                readable(&path),
                readable(&judged)
            )
        })
    });
    paths.collect()
}

/// The text, where base64 was sent. No useful policy is itself valid base64.
fn decoded(text: String) -> String {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or(text)
}

impl PolicyFacts {
    fn of(view: &PolicyView) -> Self {
        Self {
            name: view.name.to_string(),
            version: view.version,
            cas_required: false,
            allow_slashes_in_identity_templates: false,
            allow_wildcards_in_identity_templates: false,
            modified: view.written_at.map(|moment| moment.rfc3339()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_taken_for_what_it_holds() {
        let text = "path \"a\" { policy = \"read\" }";
        assert_eq!(decoded(text.to_owned()), text);
        assert_eq!(decoded(BASE64_STANDARD.encode(text)), text);
        assert_eq!(decoded(format!("{}\n", BASE64_STANDARD.encode(text))), text);
        // Not UTF-8 when decoded.
        assert_eq!(decoded("/////w==".to_owned()), "/////w==");
    }
}
