//! `auth/token/…`: tokens made, looked up, renewed and revoked.

use std::{collections::BTreeMap, time::Duration};

use http::StatusCode;
use lessor_model::{clock::Timestamp, name::TokenRoleName, secret::Secret, token::TokenKind, weak};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    Outcome,
    answer::{Answer, Data},
    ask::Ask,
    endpoint::{
        self, CONFLICT, Endpoint, Field, MISSING, at, delete, does, field,
        gives::{Gives, accepted, data},
        read, read_or_list, read_or_write, write,
    },
    error::ApiError,
    fields::Fields,
    operation::ALL,
    token_parameters::{self, SharedWithTokenRoles},
};
use crate::{
    engine::Engine,
    policy,
    token::{Granted, NewToken, Permits, Token},
};

const TOKEN: Field = field::secret("token", "The token.").required();
const TOKEN_OR_OWN: Field = field::secret("token", "The token; left out: the token in use.");
const ACCESSOR: Field = field::text("accessor", "The accessor of the token.").required();
const INCREMENT: Field = field::span("increment", "The time that the token shall live from now.");
const NEW: &[Field] = &[
    field::secret("id", "The token itself, chosen; for root tokens alone."),
    field::texts(
        "policies",
        "Its policies; left out: those of the token in use.",
    ),
    field::object("meta", "The metadata of the token, as texts."),
    field::truth(
        "no_parent",
        "Whether it does not end with the token in use; needs root or sudo.",
    ),
    field::truth(
        "no_default_policy",
        "Whether it is without the policy default.",
    ),
    field::truth("renewable", "Whether its end can be moved."),
    field::span("ttl", "The time that the token lives."),
    field::span("lease", "The same, by its first name."),
    field::span(
        "explicit_max_ttl",
        "The longest time that the token lives, renewals included.",
    ),
    field::span(
        "period",
        "The time that each renewal makes the token live, as often as it is renewed; needs root or sudo.",
    ),
    field::text(
        "display_name",
        "The display name of the token, which is put behind token-.",
    ),
    field::number(
        "num_uses",
        "The number of uses that the token has; 0: any number.",
    ),
    field::text("type", "service or batch."),
    field::text("entity_alias", "Must be empty."),
];

/// The fields of a token role; the last three under their older names.
const ROLE: &[Field] = &[
    field::texts("allowed_policies", "Policies that its tokens may have."),
    field::texts(
        "disallowed_policies",
        "Policies that its tokens must not have.",
    ),
    field::texts("allowed_policies_glob", "The same, with * at an end."),
    field::texts("disallowed_policies_glob", "The same, with * at an end."),
    field::truth(
        "orphan",
        "Whether its tokens do not end with the one that makes them.",
    ),
    field::truth("renewable", "Whether their end can be moved."),
    field::text(
        "path_suffix",
        "The suffix that is put behind the path that made them.",
    ),
    field::texts("allowed_entity_aliases", "Must be empty."),
    field::span(
        "explicit_max_ttl",
        "token_explicit_max_ttl, as it was called first.",
    ),
    field::span("period", "token_period, as it was called first."),
    field::texts("bound_cidrs", "token_bound_cidrs, as it was called first."),
];

/// The paths of tokens.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("auth/token/create", "Makes a token.").on(&[write(
        "Gives it.",
        NEW,
        does!(call => create(call.engine, None, false, call.ask).await),
    )
    .gives(&[Gives::Token])
    .refuses(&[CONFLICT])]),
    at(
        "auth/token/create/~:role",
        "Makes a token as a role has it.",
    )
    .on(&[write(
        "Gives it.",
        NEW,
        does!(call => create(call.engine, Some(call.at("role")?), false, call.ask).await),
    )
    .gives(&[Gives::Token])
    .refuses(&[CONFLICT])]),
    at(
        "auth/token/create-orphan",
        "Makes a token that does not end with the one that made it.",
    )
    .sudo(ALL)
    .on(&[write(
        "Gives it.",
        NEW,
        does!(call => create(call.engine, None, true, call.ask).await),
    )
    .gives(&[Gives::Token])
    .refuses(&[CONFLICT])]),
    at("auth/token/lookup", "A token.").on(&[read_or_write(
        "Shows it.",
        &[TOKEN_OR_OWN],
        does!(call => lookup(call.engine, Which::Value, call.ask).await),
    )
    .gives(&[data::<ShownToken>()])]),
    at("auth/token/lookup-self", "The token in use.").on(&[read_or_write(
        "Shows it.",
        &[],
        does!(call => lookup(call.engine, Which::Own, call.ask).await),
    )
    .gives(&[data::<ShownToken>()])]),
    at("auth/token/lookup-accessor", "The token of an accessor.").on(&[read_or_write(
        "Shows it.",
        &[ACCESSOR],
        does!(call => lookup(call.engine, Which::Accessor, call.ask).await),
    )
    .gives(&[data::<ShownToken>()])]),
    at("auth/token/renew", "Moves the end of a token.").on(&[write(
        "Moves it.",
        &[TOKEN, INCREMENT],
        does!(call => renew(call.engine, Which::Value, call.ask).await),
    )
    .gives(&[Gives::Token])]),
    at(
        "auth/token/renew-self",
        "Moves the end of the token in use.",
    )
    .on(&[write(
        "Moves it.",
        &[INCREMENT],
        does!(call => renew(call.engine, Which::Own, call.ask).await),
    )
    .gives(&[Gives::Token])]),
    at(
        "auth/token/renew-accessor",
        "Moves the end of the token of an accessor.",
    )
    .on(&[write(
        "Moves it.",
        &[ACCESSOR, INCREMENT],
        does!(call => renew(call.engine, Which::Accessor, call.ask).await),
    )
    .gives(&[Gives::Token])]),
    at("auth/token/revoke", "Ends a token and its children.").on(&[write(
        "Ends them.",
        &[TOKEN],
        does!(call => revoke(call.engine, Which::Value, call.ask).await),
    )
    .for_good()]),
    at(
        "auth/token/revoke-self",
        "Ends the token in use and its children.",
    )
    .on(&[write(
        "Ends them.",
        &[],
        does!(call => revoke(call.engine, Which::Own, call.ask).await),
    )
    .for_good()]),
    at(
        "auth/token/revoke-accessor",
        "Ends the token of an accessor and its children.",
    )
    .on(&[write(
        "Ends them.",
        &[ACCESSOR],
        does!(call => revoke(call.engine, Which::Accessor, call.ask).await),
    )
    .for_good()]),
    at(
        "auth/token/revoke-orphan",
        "Ends a token and leaves its children.",
    )
    .sudo(ALL)
    .on(&[write(
        "Ends it.",
        &[TOKEN],
        does!(call => revoke_orphan(call.engine, call.ask).await),
    )
    .for_good()]),
    at("auth/token/accessors", "The accessors of all tokens.")
        .sudo(ALL)
        .on(&[read_or_list(
            "Lists them.",
            &[],
            does!(call => accessors(call.engine).await),
        )]),
    at("auth/token/tidy", "Nothing has to be tidied.").on(&[write(
        "Says so.",
        &[],
        does!(call => tidy(call.engine, call.ask).await),
    )
    .gives(&[accepted::<()>()])]),
    at("auth/token/roles", "Roles that tokens are made by.").on(&[endpoint::list(
        "Lists them.",
        does!(call => roles(call.engine).await),
    )]),
    at(
        "auth/token/roles/~:role_name",
        "A role that tokens are made by.",
    )
    .exists(|engine, target| {
        Box::pin(async move {
            match target.said("role_name").unwrap_or_default().parse() {
                Ok(name) => Ok(engine.tokens.role(&name).await?.is_some()),
                Err(_) => Ok(false),
            }
        })
    })
    .on(&[
        read(
            "Shows it.",
            &[],
            does!(call => show_role(call.engine, call.at("role_name")?).await),
        )
        .gives(&[data::<ShownRole>()])
        .refuses(&[MISSING]),
        write(
            "Writes it.",
            ROLE,
            does!(call => write_role(call.engine, call.at("role_name")?, call.ask).await),
        )
        .sharing(&[token_parameters::FIELDS]),
        delete(
            "Removes it.",
            &[],
            does!(call => remove_role(call.engine, call.at("role_name")?).await),
        ),
    ]),
];

/// A token. External Secrets Operator and vaultrs insist on every field above `period`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Token")]
struct ShownToken {
    /// Names it, and opens nothing.
    accessor: String,
    /// The time when it was made, in seconds since 1970.
    creation_time: u64,
    /// The number of seconds that it had to live then.
    creation_ttl: u64,
    /// Its display name.
    display_name: String,
    /// Empty: there are no identities.
    entity_id: &'static str,
    /// The time when it ends; null: never.
    expire_time: Option<String>,
    /// The largest number of seconds that it lives, renewals included; 0: no such end.
    explicit_max_ttl: u64,
    /// The token; empty where it was named by its accessor.
    id: String,
    /// The time when it was made.
    issue_time: String,
    /// Its metadata.
    meta: Option<BTreeMap<String, String>>,
    /// The number of uses that are left; 0: any number.
    num_uses: u32,
    /// Whether it does not end with another token.
    orphan: bool,
    /// The path that made it.
    path: String,
    /// Its policies.
    policies: Vec<String>,
    /// Whether its end can be moved.
    renewable: bool,
    /// Seconds until it ends; 0: it never does.
    ttl: u64,
    /// service or batch.
    r#type: &'static str,
    /// The number of seconds that each renewal makes it live, as often as it is renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<u64>,
    /// The role that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// Addresses and ranges that it can be used from.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_cidrs: Option<Vec<String>>,
    /// The time when its end was last moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_renewal: Option<String>,
    /// The same, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_renewal_time: Option<u64>,
}

/// A role that tokens are made by.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TokenRole")]
struct ShownRole {
    /// Its name.
    name: String,
    /// Policies that its tokens may have.
    allowed_policies: Vec<String>,
    /// Policies that its tokens must not have.
    disallowed_policies: Vec<String>,
    /// The same, with * at an end.
    allowed_policies_glob: Vec<String>,
    /// The same, with * at an end.
    disallowed_policies_glob: Vec<String>,
    /// Null: there are no identities.
    allowed_entity_aliases: (),
    /// Whether its tokens do not end with the one that makes them.
    orphan: bool,
    /// Whether their end can be moved.
    renewable: bool,
    /// The suffix that is put behind the path that made them.
    path_suffix: String,
    /// token_explicit_max_ttl, as vaultrs reads it.
    explicit_max_ttl: u64,
    /// token_period, as vaultrs reads it.
    period: u64,
    #[serde(flatten)]
    token: SharedWithTokenRoles,
}

/// The way in which a request names the token that it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// By its value, in `token`.
    Value,
    /// By its accessor, in `accessor`.
    Accessor,
    /// The one that asks.
    Own,
}

/// `POST auth/token/create[-orphan | /:role]`
pub(super) async fn create(
    engine: &Engine,
    role: Option<&str>,
    orphan: bool,
    mut ask: Ask,
) -> Outcome {
    let mut fields = ask.take_fields();
    let mut asked = take_new(&mut fields)?;
    fields.finish()?;
    let permits = Permits { sudo: ask.sudo };
    asked.no_parent |= orphan;
    let document = match role {
        Some(name) => {
            let found = match name.parse() {
                Ok(name) => engine.tokens.role(&name).await?,
                Err(_) => None,
            };
            Some(found.ok_or_else(|| {
                ApiError::bad_request(format!("unknown role {name}: there is no such token role"))
            })?)
        }
        None => None,
    };
    let granted = engine
        .tokens
        .create(
            &ask.identity.token,
            permits,
            &ask.path,
            document.as_ref(),
            asked,
        )
        .await?;
    Ok(Answer::granted(granted))
}

/// The wishes for a new token; their fields are taken out of the request.
///
/// # Errors
/// A field of the wrong kind or beyond its bounds.
pub fn take_new(fields: &mut Fields) -> Result<NewToken, ApiError> {
    // Vault's clients send `lease` for a `ttl` of old, and an alias that only
    // means something with identities, which there are none of here.
    let lease = fields.duration("lease")?;
    fields.empty(
        "entity_alias",
        "is not offered: there are no identities to name",
    )?;
    let kind = match fields.text("type")?.as_deref() {
        None | Some("") => None,
        Some("service") => Some(TokenKind::Service),
        Some("batch") => Some(TokenKind::Batch),
        Some(_) => return Err(ApiError::bad_request("type must be service or batch")),
    };
    Ok(NewToken {
        id: fields.bearer("id")?.map(Secret::new),
        policies: policy::names("policies", &fields.list("policies")?.unwrap_or_default())
            .map_err(ApiError::bad_request)?,
        meta: take_meta(fields, "meta")?,
        no_parent: fields.truth("no_parent")?.unwrap_or(false),
        no_default_policy: fields.truth("no_default_policy")?.unwrap_or(false),
        renewable: fields.truth("renewable")?,
        ttl: fields.duration("ttl")?.or(lease),
        explicit_max_ttl: fields.duration("explicit_max_ttl")?.unwrap_or_default(),
        period: fields.duration("period")?.unwrap_or_default(),
        display_name: fields.text("display_name")?.unwrap_or_default(),
        num_uses: token_parameters::uses(fields, "num_uses")?.unwrap_or(0),
        kind,
    })
}

/// A map of texts.
pub(super) fn take_meta(
    fields: &mut Fields,
    name: &'static str,
) -> Result<Option<BTreeMap<String, String>>, ApiError> {
    const MOST: usize = 64;
    let Some(object) = fields.object(name)? else {
        return Ok(None);
    };
    let Value::Object(entries) = object.rest() else {
        return Ok(None);
    };
    if entries.len() > MOST {
        return Err(ApiError::bad_request(format!(
            "{name} may have at most {MOST} entries"
        )));
    }
    let text = |(key, value): (String, Value)| match weak::text(&value) {
        Some(text) if text.len() <= 512 && key.len() <= 128 => Ok((key, text)),
        _ => Err(ApiError::bad_request(format!(
            "{name} must map names of at most 128 bytes to texts of at most 512 bytes"
        ))),
    };
    entries
        .into_iter()
        .map(text)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// `auth/token/lookup`, `…-self`, `…-accessor`. A token that is not valid is refused as one
/// without rights would be.
pub(super) async fn lookup(engine: &Engine, which: Which, mut ask: Ask) -> Outcome {
    let mut fields = ask.take_fields();
    // A caller that names no token means its own.
    let which = match which {
        Which::Value if !fields.has("token") => Which::Own,
        which => which,
    };
    let named = named(engine, which, &ask, &mut fields).await?;
    fields.finish()?;
    let (token, value) = named.ok_or_else(|| match which {
        Which::Accessor => invalid_accessor(),
        _ => ApiError::new(
            StatusCode::FORBIDDEN,
            "bad token: it is unknown or has ended",
        ),
    })?;
    // An accessor leads to the facts about a token, never to the token.
    let id = value.map_or_else(String::new, |value| value.expose().clone());
    Ok(Answer::data(shown(&token, id, engine.clock.now())))
}

fn shown(token: &Token, id: String, now: Timestamp) -> ShownToken {
    let row = &token.row;
    let facts = &row.facts;
    let ranges = facts.bound_cidrs.iter().map(token_parameters::shown);
    let bound_cidrs: Vec<String> = ranges.collect();
    ShownToken {
        accessor: row.accessor.clone(),
        creation_time: row.created_at.unix_seconds(),
        creation_ttl: facts.creation_ttl,
        display_name: row.display_name.clone(),
        entity_id: "",
        expire_time: row.expires_at.map(Timestamp::rfc3339),
        explicit_max_ttl: facts.explicit_max_ttl,
        id,
        issue_time: row.created_at.rfc3339(),
        meta: facts.meta.clone(),
        num_uses: row.uses_left.unwrap_or(0),
        orphan: token.is_orphan(),
        path: row.path.clone(),
        policies: row.policies.clone(),
        renewable: facts.renewable,
        ttl: token.ttl(now),
        r#type: token.kind.as_str(),
        period: (facts.period > 0).then_some(facts.period),
        role: facts.role.clone(),
        bound_cidrs: (!bound_cidrs.is_empty()).then_some(bound_cidrs),
        last_renewal: facts.renewed_at.map(Timestamp::rfc3339),
        last_renewal_time: facts.renewed_at.map(Timestamp::unix_seconds),
    }
}

/// `auth/token/renew`, `…-self`, `…-accessor`.
pub(super) async fn renew(engine: &Engine, which: Which, mut ask: Ask) -> Outcome {
    let mut fields = ask.take_fields();
    let increment = fields.duration("increment")?;
    let named = named(engine, which, &ask, &mut fields).await?;
    fields.finish()?;
    let (token, value) = named.ok_or_else(|| match which {
        Which::Accessor => invalid_accessor(),
        _ => ApiError::bad_request("token not found: it is unknown or has ended"),
    })?;
    let (token, warnings) = engine.logins.renew(&token, increment).await?;
    let left = token.ttl(engine.clock.now());
    Ok(Answer::granted(Granted {
        // An answer by accessor does not show the token.
        token: value.unwrap_or_else(|| Secret::new(String::new())),
        ttl: Duration::from_secs(left),
        known: token,
        warnings,
    }))
}

/// `auth/token/revoke`, `…-self`, `…-accessor`. A token that does not exist counts as revoked.
pub(super) async fn revoke(engine: &Engine, which: Which, mut ask: Ask) -> Outcome {
    let mut fields = ask.take_fields();
    let named = named(engine, which, &ask, &mut fields).await?;
    fields.finish()?;
    match named {
        Some((token, _)) => engine.tokens.revoke(&token).await?,
        None if which == Which::Accessor => {
            let warning = "no token has this accessor".to_owned();
            return Ok(Answer::done_with(vec![warning]));
        }
        None => {}
    }
    Ok(Answer::done())
}

/// `auth/token/revoke-orphan`: the tokens that this token made live on.
pub(super) async fn revoke_orphan(engine: &Engine, mut ask: Ask) -> Outcome {
    let mut fields = ask.take_fields();
    let named = named(engine, Which::Value, &ask, &mut fields).await?;
    fields.finish()?;
    let (token, _) = named.ok_or_else(|| {
        ApiError::bad_request("token to revoke not found: it is unknown or has ended")
    })?;
    engine.tokens.revoke_alone(&token).await?;
    Ok(Answer::done())
}

/// The token that a request names, with its value where that is known; none where there is no
/// such token.
pub(super) async fn named(
    engine: &Engine,
    which: Which,
    ask: &Ask,
    fields: &mut Fields,
) -> Result<Option<(Token, Option<Secret<String>>)>, ApiError> {
    match which {
        Which::Own => {
            // Some clients name their own token all the same.
            fields.ignore(&["token"]);
            let own = ask.token.as_ref().map(Secret::duplicate);
            Ok(Some((ask.identity.token.clone(), own)))
        }
        Which::Value => {
            let value = Secret::new(fields.required_bearer("token")?);
            let token = engine.tokens.find(&value).await?;
            Ok(token.map(|token| (token, Some(value))))
        }
        Which::Accessor => {
            let accessor = fields.required_bearer("accessor")?;
            let token = engine.tokens.find_by_accessor(&accessor).await?;
            Ok(token.map(|token| (token, None)))
        }
    }
}

pub(super) fn invalid_accessor() -> ApiError {
    ApiError::bad_request("invalid accessor: no token has it")
}

/// `LIST auth/token/accessors`
pub(super) async fn accessors(engine: &Engine) -> Outcome {
    Answer::list(engine.tokens.accessors().await?)
}

/// `POST auth/token/tidy`: does nothing, since ended tokens are removed by themselves.
pub(super) async fn tidy(engine: &Engine, ask: Ask) -> Outcome {
    ask.expect_no_fields()?;
    engine.tokens.end_due(engine.clock.now()).await?;
    let warning = "ended tokens leave by themselves, so there is nothing left to tidy";
    Ok(Answer::accepted(Data::None, vec![warning.to_owned()]))
}

/// `LIST auth/token/roles`
pub(super) async fn roles(engine: &Engine) -> Outcome {
    Answer::list(engine.tokens.role_names().await?)
}

/// `GET auth/token/roles/:name`
pub(super) async fn show_role(engine: &Engine, name: &str) -> Outcome {
    let name: TokenRoleName = name.parse()?;
    let Some(found) = engine.tokens.role(&name).await? else {
        return Err(ApiError::nothing_here());
    };
    let role = found.role;
    let token = SharedWithTokenRoles::of(&role.parameters);
    Ok(Answer::data(ShownRole {
        name: name.to_string(),
        allowed_policies: role.allowed_policies,
        disallowed_policies: role.disallowed_policies,
        allowed_policies_glob: role.allowed_policies_glob,
        disallowed_policies_glob: role.disallowed_policies_glob,
        allowed_entity_aliases: (),
        orphan: role.orphan,
        renewable: role.renewable,
        path_suffix: role.path_suffix,
        explicit_max_ttl: role.parameters.explicit_max_ttl.as_secs(),
        period: role.parameters.period.as_secs(),
        token: token.with_kind(role.parameters.kind),
    }))
}

/// `POST auth/token/roles/:name`
pub(super) async fn write_role(engine: &Engine, name: &str, ask: Ask) -> Outcome {
    let name: TokenRoleName = name.parse()?;
    let former = engine.tokens.role(&name).await?;
    let mut role = former.map(|found| found.role).unwrap_or_default();
    let mut fields = ask.into_fields();
    for (field, slot) in [
        ("allowed_policies", &mut role.allowed_policies),
        ("disallowed_policies", &mut role.disallowed_policies),
        ("allowed_policies_glob", &mut role.allowed_policies_glob),
        (
            "disallowed_policies_glob",
            &mut role.disallowed_policies_glob,
        ),
    ] {
        if let Some(list) = fields.list(field)? {
            *slot = policy::names(field, &list).map_err(ApiError::bad_request)?;
        }
    }
    for (field, slot) in [
        ("orphan", &mut role.orphan),
        ("renewable", &mut role.renewable),
    ] {
        if let Some(truth) = fields.truth(field)? {
            *slot = truth;
        }
    }
    if let Some(suffix) = fields.text("path_suffix")? {
        role.path_suffix = suffix;
    }
    fields.empty(
        "allowed_entity_aliases",
        "is not offered: there are no identities to name",
    )?;
    for (old, slot) in [
        ("explicit_max_ttl", &mut role.parameters.explicit_max_ttl),
        ("period", &mut role.parameters.period),
    ] {
        if let Some(span) = fields.duration(old)? {
            *slot = span;
        }
    }
    if let Some(ranges) = token_parameters::ranges(&mut fields, "bound_cidrs")? {
        role.parameters.bound_cidrs = ranges;
    }
    role.parameters = token_parameters::take(&mut fields, role.parameters)?;
    fields.finish()?;
    engine.tokens.write_role(&name, &role).await?;
    Ok(Answer::done())
}

/// `DELETE auth/token/roles/:name`
pub(super) async fn remove_role(engine: &Engine, name: &str) -> Outcome {
    engine.tokens.remove_role(&name.parse()?).await?;
    Ok(Answer::done())
}
