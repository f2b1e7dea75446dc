//! The standard `token_*` fields of roles and users of login methods, and of
//! token roles.

use ipnet::IpNet;
use lessor_model::{
    addresses,
    token::{RoleTokenKind, TokenParameters},
};
use serde_json::{Map, Value, json};

use super::{
    endpoint::{Field, field},
    error::ApiError,
    fields::Fields,
};
use crate::{login::LoginMount, policy};

/// The standard fields, as endpoints declare them.
pub(super) const FIELDS: &[Field] = &[
    field::span("token_ttl", "How long tokens live."),
    field::span("token_max_ttl", "How long they live at most."),
    field::span(
        "token_explicit_max_ttl",
        "How long they live at most, whatever is renewed.",
    ),
    field::span(
        "token_period",
        "How long a renewal makes them live, without end.",
    ),
    POLICIES,
    field::truth(
        "token_no_default_policy",
        "Whether they are without the policy default.",
    ),
    field::number(
        "token_num_uses",
        "How often each can be used; 0: any number.",
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

/// Names that Vault had for the parameters before, and has now.
pub(super) const OLDER: [(&str, &str); 6] = [
    ("policies", "token_policies"),
    ("ttl", "token_ttl"),
    ("max_ttl", "token_max_ttl"),
    ("period", "token_period"),
    ("num_uses", "token_num_uses"),
    ("bound_cidrs", "token_bound_cidrs"),
];

/// Notes which of the older names that an endpoint takes (`taken`, with their present
/// ones) a write uses. A parameter that is written by its present name alone has its
/// older one no more, as in Vault.
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

/// Takes the fields; those that are not given stay as they were.
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

/// What whoever writes a role or user of a login method should know of its tokens:
/// a period is cut to the longest life that the method gives.
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

/// Puts the fields into an answer, spans in seconds.
pub fn show(parameters: &TokenParameters, into: &mut Map<String, Value>) {
    let ranges: Vec<String> = parameters.bound_cidrs.iter().map(shown).collect();
    for (name, value) in [
        ("token_ttl", json!(parameters.ttl.as_secs())),
        ("token_max_ttl", json!(parameters.max_ttl.as_secs())),
        (
            "token_explicit_max_ttl",
            json!(parameters.explicit_max_ttl.as_secs()),
        ),
        ("token_period", json!(parameters.period.as_secs())),
        ("token_policies", json!(parameters.policies)),
        (
            "token_no_default_policy",
            json!(parameters.no_default_policy),
        ),
        ("token_num_uses", json!(parameters.num_uses)),
        ("token_bound_cidrs", json!(ranges)),
        ("token_type", json!(shown_kind(parameters.kind))),
    ] {
        into.insert(name.to_owned(), value);
    }
    for (older, present) in OLDER {
        if parameters.older_names.contains(older)
            && let Some(value) = into.get(present).cloned()
        {
            into.insert(older.to_owned(), value);
        }
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

/// The kind as Vault shows it: `default` is the word for what nobody chose.
fn shown_kind(kind: RoleTokenKind) -> &'static str {
    match kind {
        RoleTokenKind::DefaultService => "default",
        other => other.as_str(),
    }
}
