//! The standard `token_*` fields of roles and users of login methods, and of
//! token roles.

use ipnet::IpNet;
use lessor_model::{
    addresses,
    token::{RoleTokenKind, TokenParameters},
};
use schemars::JsonSchema;
use serde::Serialize;
#[cfg(feature = "test-hooks")]
use serde_json::{Map, Value};

use super::{
    endpoint::{Field, field},
    error::ApiError,
    fields::Fields,
};
use crate::{login::LoginMount, policy};

/// The standard fields, as endpoints declare them.
pub(super) const FIELDS: &[Field] = &[
    field::span("token_ttl", "The time that a token lives."),
    field::span("token_max_ttl", "The longest time that a token lives."),
    field::span(
        "token_explicit_max_ttl",
        "The longest time that a token lives, renewals included.",
    ),
    field::span(
        "token_period",
        "The time that each renewal makes a token live, as often as it is renewed.",
    ),
    POLICIES,
    field::truth(
        "token_no_default_policy",
        "Whether they are without the policy default.",
    ),
    field::number(
        "token_num_uses",
        "The number of uses that a token has; 0: any number.",
    ),
    field::texts(
        "token_bound_cidrs",
        "Addresses and ranges that they can be used from.",
    ),
    field::text(
        "token_type",
        "service, batch, default, default-service or default-batch.",
    ),
];

pub(super) const POLICIES: Field = field::texts("token_policies", "Their policies.");

/// Vault's older names of the parameters, and its present ones.
pub(super) const OLDER: [(&str, &str); 6] = [
    ("policies", "token_policies"),
    ("ttl", "token_ttl"),
    ("max_ttl", "token_max_ttl"),
    ("period", "token_period"),
    ("num_uses", "token_num_uses"),
    ("bound_cidrs", "token_bound_cidrs"),
];

/// Notes which of the older names that an endpoint takes (`taken`, with their present
/// ones) a write uses. Once a parameter is written by its present name alone, it is no longer
/// shown under the older one, as in Vault.
pub(super) fn note_older(
    parameters: &mut TokenParameters,
    fields: &Fields,
    taken: &[(&str, &str)],
) {
    for (older, present) in taken.iter().filter(|pair| OLDER.contains(pair)) {
        if fields.has(older) {
            parameters.older_names.insert((*older).to_owned());
        } else if fields.has(present) {
            parameters.older_names.remove(*older);
        }
    }
}

/// Takes the fields; a parameter that is not given stays as it was.
pub fn take(fields: &mut Fields, former: TokenParameters) -> Result<TokenParameters, ApiError> {
    let mut parameters = former;
    for (name, slot) in [
        ("token_ttl", &mut parameters.ttl),
        ("token_max_ttl", &mut parameters.max_ttl),
        ("token_explicit_max_ttl", &mut parameters.explicit_max_ttl),
        ("token_period", &mut parameters.period),
    ] {
        if let Some(span) = fields.duration(name)? {
            *slot = span;
        }
    }
    if !parameters.max_ttl.is_zero() && parameters.ttl > parameters.max_ttl {
        return Err(ApiError::bad_request(
            "token_ttl must not be longer than token_max_ttl",
        ));
    }
    if let Some(policies) = fields.list("token_policies")? {
        parameters.policies =
            policy::names("token_policies", &policies).map_err(ApiError::bad_request)?;
    }
    if parameters
        .policies
        .iter()
        .any(|policy| policy == crate::token::ROOT)
    {
        return Err(ApiError::bad_request(
            "token_policies must not name root: no login makes a root token",
        ));
    }
    if let Some(without) = fields.truth("token_no_default_policy")? {
        parameters.no_default_policy = without;
    }
    if let Some(uses) = uses(fields, "token_num_uses")? {
        parameters.num_uses = uses;
    }
    if let Some(ranges) = ranges(fields, "token_bound_cidrs")? {
        parameters.bound_cidrs = ranges;
    }
    if let Some(kind) = fields.text("token_type")? {
        parameters.kind = RoleTokenKind::parse(&kind).ok_or_else(|| {
            ApiError::bad_request(
                "token_type must be default, service, batch, default-service or default-batch",
            )
        })?;
    }
    if parameters.kind == RoleTokenKind::Batch
        && (parameters.num_uses > 0 || !parameters.period.is_zero())
    {
        return Err(ApiError::bad_request(
            "token_num_uses and token_period cannot be set where token_type is batch: leave them out, or use service",
        ));
    }
    Ok(parameters)
}

/// Warnings for the writer of a role or user of a login method: a period is cut to the longest
/// life that the method gives.
pub(super) fn warnings(parameters: &TokenParameters, mount: &LoginMount) -> Vec<String> {
    let (period, longest) = (parameters.period, mount.spec.tune.longest());
    if period <= longest {
        return Vec::new();
    }
    vec![format!(
        "token_period of {} s is longer than the max_lease_ttl of auth/{} of {} s: its tokens are renewed for that",
        period.as_secs(),
        mount.path(),
        longest.as_secs()
    )]
}

/// The settings of the tokens that a role or user gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Shown {
    /// The number of seconds that a token lives.
    token_ttl: u64,
    /// The largest number of seconds that a token lives.
    token_max_ttl: u64,
    #[serde(flatten)]
    shared: SharedWithTokenRoles,
    /// Their policies.
    token_policies: Vec<String>,
    #[serde(flatten)]
    older: OlderNames,
}

/// The part of these settings that token roles have, too.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SharedWithTokenRoles {
    /// The largest number of seconds that a token lives, renewals included.
    token_explicit_max_ttl: u64,
    /// The number of seconds that each renewal makes a token live, as often as it is renewed.
    token_period: u64,
    /// Whether they are without the policy default.
    token_no_default_policy: bool,
    /// The number of uses that a token has; 0: any number.
    token_num_uses: u32,
    /// Addresses and ranges that they can be used from.
    token_bound_cidrs: Vec<String>,
    /// service, batch, default, default-service or default-batch.
    token_type: &'static str,
}

/// Settings that were written by their first names are shown by those, too.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct OlderNames {
    /// token_policies
    #[serde(skip_serializing_if = "Option::is_none")]
    policies: Option<Vec<String>>,
    /// token_ttl
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    /// token_max_ttl
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ttl: Option<u64>,
    /// token_period
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<u64>,
    /// token_num_uses
    #[serde(skip_serializing_if = "Option::is_none")]
    num_uses: Option<u32>,
    /// token_bound_cidrs
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_cidrs: Option<Vec<String>>,
}

impl Shown {
    /// The parameters, spans in seconds.
    pub(super) fn of(parameters: &TokenParameters) -> Self {
        let shared = SharedWithTokenRoles::of(parameters);
        let (ttl, max_ttl) = (parameters.ttl.as_secs(), parameters.max_ttl.as_secs());
        let is_older = |name: &str| parameters.older_names.contains(name);
        Self {
            token_ttl: ttl,
            token_max_ttl: max_ttl,
            token_policies: parameters.policies.clone(),
            older: OlderNames {
                policies: is_older("policies").then(|| parameters.policies.clone()),
                ttl: is_older("ttl").then_some(ttl),
                max_ttl: is_older("max_ttl").then_some(max_ttl),
                period: is_older("period").then_some(shared.token_period),
                num_uses: is_older("num_uses").then_some(shared.token_num_uses),
                bound_cidrs: is_older("bound_cidrs").then(|| shared.token_bound_cidrs.clone()),
            },
            shared,
        }
    }
}

impl SharedWithTokenRoles {
    pub(super) fn of(parameters: &TokenParameters) -> Self {
        Self {
            token_explicit_max_ttl: parameters.explicit_max_ttl.as_secs(),
            token_period: parameters.period.as_secs(),
            token_no_default_policy: parameters.no_default_policy,
            token_num_uses: parameters.num_uses,
            token_bound_cidrs: parameters.bound_cidrs.iter().map(shown).collect(),
            token_type: shown_kind(parameters.kind),
        }
    }

    /// A token role that leaves the kind open is shown as what it then makes.
    pub(super) fn with_kind(self, kind: RoleTokenKind) -> Self {
        Self {
            token_type: kind.as_str(),
            ..self
        }
    }
}

/// Puts the fields into an answer, for the target that fuzzes them.
#[cfg(feature = "test-hooks")]
pub fn show(parameters: &TokenParameters, into: &mut Map<String, Value>) {
    if let Value::Object(fields) = serde_json::json!(Shown::of(parameters)) {
        into.extend(fields);
    }
}

/// A list of address ranges; a single address is a range of its own.
pub(super) fn ranges(
    fields: &mut Fields,
    name: &'static str,
) -> Result<Option<Vec<IpNet>>, ApiError> {
    let Some(texts) = fields.list(name)? else {
        return Ok(None);
    };
    let parse = |text: String| {
        addresses::parse(&text).ok_or_else(|| {
            ApiError::bad_request(format!(
                "{name} must hold addresses or ranges such as 10.0.0.0/8"
            ))
        })
    };
    texts
        .into_iter()
        .map(parse)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// A number of uses; 0: any.
pub(super) fn uses(fields: &mut Fields, name: &'static str) -> Result<Option<u32>, ApiError> {
    let number = fields.number(name)?;
    number
        .map(|number| {
            u32::try_from(number)
                .map_err(|_| ApiError::bad_request(format!("{name} must be at most {}", u32::MAX)))
        })
        .transpose()
}

/// A range as Vault shows it: an address alone without its length.
pub(super) fn shown(range: &IpNet) -> String {
    if range.prefix_len() == range.max_prefix_len() {
        range.addr().to_string()
    } else {
        range.to_string()
    }
}

/// The kind as Vault shows it: `default` where nobody chose one.
fn shown_kind(kind: RoleTokenKind) -> &'static str {
    match kind {
        RoleTokenKind::DefaultService => "default",
        other => other.as_str(),
    }
}
