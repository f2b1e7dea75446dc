//! `auth/<path>/config` and `auth/<path>/role/…` of a JWT login method.

use std::collections::BTreeMap;

use lessor_model::{id, weak};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    api::{
        Outcome,
        answer::Answer,
        endpoint::{
            Endpoint, Field, Handler, MISSING, at, delete, does, field,
            gives::{Gives, data},
            list, read, verb, write,
        },
        error::ApiError,
        fields::Fields,
        operation::{ALL, Operation},
        token_parameters,
    },
    engine::Engine,
    login::{JwtConfig, JwtRole, KeySource, KeyUrl, Leeway, LoginMount},
};

/// Fields that Vault renamed.
const RENAMED: [(&str, &str); 6] = token_parameters::OLDER;

const CONFIG: &[Field] = &[
    field::texts(
        "jwt_validation_pubkeys",
        "Public keys, as PEM, that tokens are checked with.",
    ),
    field::text("jwks_url", "The URL from which such keys are fetched."),
    field::text(
        "jwks_ca_pem",
        "Certificates by which the server of that URL is trusted.",
    ),
    field::text(
        "oidc_discovery_url",
        "An issuer that tells where its keys are.",
    ),
    field::text(
        "oidc_discovery_ca_pem",
        "Certificates that the issuer is trusted by.",
    ),
    field::text("bound_issuer", "The iss that tokens must have."),
    field::texts(
        "jwt_supported_algs",
        "Algorithms that are taken; left out: RS256 and ES256.",
    ),
    field::text("default_role", "The role of a login that names none."),
    field::truth(
        "skip_jwks_validation",
        "Whether keys are not fetched before it is stored.",
    ),
    field::text("oidc_client_id", "Must be empty."),
    field::text("oidc_client_secret", "Must be empty."),
    field::text("oidc_response_mode", "Must be empty."),
    field::texts("oidc_response_types", "Must be empty."),
    field::object("provider_config", "Must be empty."),
    field::texts("override_allowed_server_names", "Must be empty."),
    field::truth("namespace_in_state", "Accepted, and has no effect."),
];
const ROLE: &[Field] = &[
    field::text("role_type", "jwt.").required(),
    field::text(
        "user_claim",
        "The claim that names who logs in; a new role must have it.",
    ),
    field::truth(
        "user_claim_json_pointer",
        "Whether user_claim is a JSON pointer.",
    ),
    field::texts(
        "bound_audiences",
        "Audiences, of which the aud of a token must have one.",
    ),
    field::text("bound_subject", "The sub that a token must have."),
    field::object(
        "bound_claims",
        "Claims that a token must have, each with its values.",
    ),
    field::text(
        "bound_claims_type",
        "string, or glob where * stands for anything.",
    ),
    field::object(
        "claim_mappings",
        "Claims that are copied into the metadata, each with its name there.",
    ),
    field::text("groups_claim", "Kept, and has no effect."),
    field::texts("allowed_redirect_uris", "Kept, and has no effect."),
    field::span(
        "expiration_leeway",
        "The time for which a token is taken after its exp.",
    ),
    field::span(
        "not_before_leeway",
        "The time for which a token is taken before its nbf.",
    ),
    field::span("clock_skew_leeway", "The time by which clocks may differ."),
    field::span("max_age", "Must be 0."),
    field::truth("verbose_oidc_logging", "Accepted, and has no effect."),
    field::texts("oidc_scopes", "Accepted, and has no effect."),
    field::texts("policies", "token_policies, as it was called first."),
    field::span("ttl", "token_ttl, as it was called first."),
    field::span("max_ttl", "token_max_ttl, as it was called first."),
    field::span("period", "token_period, as it was called first."),
    field::number("num_uses", "token_num_uses, as it was called first."),
    field::texts("bound_cidrs", "token_bound_cidrs, as it was called first."),
];

/// The paths below the login method.
pub(in crate::api) const ENDPOINTS: &[Endpoint] = &[
    at("login", "Logs in.").on(&[verb(
        &[Operation::Write],
        "Gives a token.",
        &[
            field::secret("jwt", "The signed token.").required(),
            field::text("role", "The role; left out: the default_role."),
        ],
        Handler::Login,
    ).gives(&[Gives::Token])]),
    at("config", "The issuer or the keys whose signed tokens are taken.").on(&[
        read("Shows it.", &[], does!(call => show_config(call.engine, call.login()?)))
            .gives(&[data::<ShownConfig>()])
            .refuses(&[MISSING]),
        write(
            "Writes it.",
            CONFIG,
            does!(call => write_config(call.engine, call.login()?, call.ask.into_fields()).await),
        ),
    ]),
    at("role", "The roles.").on(&[list(
        "Lists them.",
        does!(call => Answer::list(call.engine.logins.jwts().names(call.login()?).await?)),
    )]),
    at("role/~:role_name", "A role.").exists(super::has_entry).on(&[
        read(
            "Shows it.",
            &[],
            does!(call => show_role(call.engine, call.login()?, call.at("role_name")?).await),
        ).gives(&[data::<ShownRole>()]).refuses(&[MISSING]),
        write(
            "Writes it; a field that is not named keeps its value.",
            ROLE,
            does!(call => {
                write_role(call.engine, call.login()?, call.at("role_name")?, call.ask.into_fields()).await
            }),
        ).sharing(&[token_parameters::FIELDS]),
        delete(
            "Removes it.",
            &[],
            does!(call => {
                call.engine.logins.jwts().remove(call.login()?, call.at("role_name")?).await?;
                Ok(Answer::done())
            }),
        ),
    ]),
    at("oidc/*path", "Logins by browser, which are not offered.").on(&[verb(
        ALL,
        "Says so.",
        &[],
        Handler::Caller(does!(_call => Err(ApiError::bad_request(
            "logins by browser (OIDC) are not offered: exchange a token at the login path",
        )))),
    )]),
];

/// A config as Vault shows one: every field, also those that cannot be set.
#[derive(Default, Serialize, JsonSchema)]
#[schemars(rename = "JwtConfig")]
struct ShownConfig {
    /// An issuer that tells where its keys are.
    oidc_discovery_url: String,
    /// Certificates that the issuer is trusted by.
    oidc_discovery_ca_pem: String,
    /// Empty.
    oidc_client_id: &'static str,
    /// Empty.
    oidc_response_mode: &'static str,
    /// Empty.
    oidc_response_types: [String; 0],
    /// The role of a login that names none.
    default_role: String,
    /// Public keys, as PEM, that tokens are checked with.
    jwt_validation_pubkeys: Vec<String>,
    /// Algorithms that are taken; empty: RS256 and ES256.
    jwt_supported_algs: Vec<String>,
    /// The URL from which such keys are fetched.
    jwks_url: String,
    /// Certificates by which the server of that URL is trusted.
    jwks_ca_pem: String,
    /// The iss that tokens must have.
    bound_issuer: String,
    /// Empty.
    provider_config: BTreeMap<String, String>,
    /// True.
    namespace_in_state: bool,
}

/// A role.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JwtRole")]
struct ShownRole {
    /// jwt
    role_type: &'static str,
    /// The claim that names who logs in.
    user_claim: String,
    /// Whether user_claim is a JSON pointer.
    user_claim_json_pointer: bool,
    /// Audiences, of which the aud of a token must have one.
    bound_audiences: Vec<String>,
    /// The sub that a token must have.
    bound_subject: String,
    /// Claims that a token must have, each with its values.
    bound_claims: Map<String, Value>,
    /// string, or glob where * stands for anything.
    bound_claims_type: &'static str,
    /// Claims that are copied into the metadata, each with its name there.
    claim_mappings: BTreeMap<String, String>,
    /// Kept, and has no effect.
    groups_claim: String,
    /// The number of seconds by which clocks may differ; below 0: none.
    clock_skew_leeway: i64,
    /// The number of seconds for which a token is taken after its exp; below 0: none.
    expiration_leeway: i64,
    /// The number of seconds for which a token is taken before its nbf; below 0: none.
    not_before_leeway: i64,
    /// Kept, and has no effect.
    allowed_redirect_uris: Vec<String>,
    /// Empty.
    oidc_scopes: [String; 0],
    /// False.
    verbose_oidc_logging: bool,
    /// 0
    max_age: u64,
    #[serde(flatten)]
    token: token_parameters::Shown,
}

fn show_config(engine: &Engine, mount: &LoginMount) -> Outcome {
    let config = engine.logins.jwts().config(mount)?;
    let config = config.ok_or_else(ApiError::nothing_here)?;
    Ok(Answer::data(ShownConfig::of(&config)))
}

async fn write_config(engine: &Engine, mount: &LoginMount, mut fields: Fields) -> Outcome {
    let unproven = fields.truth("skip_jwks_validation")?.unwrap_or(false);
    let config = take_config(fields)?;
    let written = engine.logins.configure_jwt(mount, config, !unproven);
    Ok(Answer::done_with(written.await?))
}

async fn show_role(engine: &Engine, mount: &LoginMount, name: &str) -> Outcome {
    let role = engine.logins.jwts().find(mount, name).await?;
    let role = role.ok_or_else(ApiError::nothing_here)?;
    Ok(Answer::data(ShownRole::of(&role)))
}

async fn write_role(engine: &Engine, mount: &LoginMount, name: &str, fields: Fields) -> Outcome {
    let mut warnings = Vec::new();
    let change = |former: Option<JwtRole>| {
        let role = take_role(fields, former.unwrap_or_default())?;
        warnings = token_parameters::warnings(&role.token, mount);
        Ok::<_, ApiError>(role)
    };
    engine.logins.jwts().write(mount, name, change).await?;
    Ok(Answer::done_with(warnings))
}

fn take_config(mut fields: Fields) -> Result<JwtConfig, ApiError> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let keys = fields.list("jwt_validation_pubkeys")?.unwrap_or_default();
    let jwks_url = given(fields.text("jwks_url")?);
    let jwks_ca = given(fields.text("jwks_ca_pem")?);
    let discovery_url = given(fields.text("oidc_discovery_url")?);
    let discovery_ca = given(fields.text("oidc_discovery_ca_pem")?);
    let bound_issuer = fields.text("bound_issuer")?.unwrap_or_default();
    let supported_algorithms = fields.list("jwt_supported_algs")?.unwrap_or_default();
    let default_role = fields.text("default_role")?.unwrap_or_default();
    let browser = "must be empty: logins by browser (OIDC) are not offered";
    for name in [
        "oidc_client_id",
        "oidc_client_secret",
        "oidc_response_mode",
        "oidc_response_types",
    ] {
        fields.empty(name, browser)?;
    }
    fields.empty(
        "provider_config",
        "must be empty: no provider has rules of its own here",
    )?;
    fields.empty(
        "override_allowed_server_names",
        "must be empty: a certificate must be that of the URL's host",
    )?;
    fields.ignore(&["namespace_in_state"]);
    fields.finish()?;
    for (url, ca, ca_field, url_field) in [
        (&jwks_url, &jwks_ca, "jwks_ca_pem", "jwks_url"),
        (
            &discovery_url,
            &discovery_ca,
            "oidc_discovery_ca_pem",
            "oidc_discovery_url",
        ),
    ] {
        if url.is_none() && ca.is_some() {
            return Err(ApiError::bad_request(format!(
                "{ca_field} is for {url_field}"
            )));
        }
    }
    let fetched = |url: String, discovery, ca_pem: Option<String>| {
        KeySource::Url(KeyUrl {
            url,
            discovery,
            ca_pem: ca_pem.unwrap_or_default(),
        })
    };
    let source = match (keys.is_empty(), jwks_url, discovery_url) {
        (false, None, None) => KeySource::Keys(keys),
        (true, Some(url), None) => fetched(url, false, jwks_ca),
        (true, None, Some(url)) => fetched(url, true, discovery_ca),
        _ => {
            return Err(ApiError::bad_request(
                "exactly one of jwt_validation_pubkeys, jwks_url or oidc_discovery_url must be set",
            ));
        }
    };
    Ok(JwtConfig {
        source,
        bound_issuer,
        supported_algorithms,
        default_role: id::folded(&default_role),
    })
}

impl ShownConfig {
    fn of(config: &JwtConfig) -> Self {
        let mut shown = Self {
            default_role: config.default_role.clone(),
            jwt_supported_algs: config.supported_algorithms.clone(),
            bound_issuer: config.bound_issuer.clone(),
            namespace_in_state: true,
            ..Self::default()
        };
        match &config.source {
            KeySource::Keys(pems) => shown.jwt_validation_pubkeys.clone_from(pems),
            KeySource::Url(from) => {
                let (url, ca) = match from.discovery {
                    true => (
                        &mut shown.oidc_discovery_url,
                        &mut shown.oidc_discovery_ca_pem,
                    ),
                    false => (&mut shown.jwks_url, &mut shown.jwks_ca_pem),
                };
                url.clone_from(&from.url);
                ca.clone_from(&from.ca_pem);
            }
        }
        shown
    }
}

fn take_role(mut fields: Fields, mut former: JwtRole) -> Result<JwtRole, ApiError> {
    token_parameters::note_older(&mut former.token, &fields, &RENAMED);
    fields.rename(&RENAMED);
    if fields.text("role_type")?.as_deref() != Some("jwt") {
        return Err(ApiError::bad_request(
            "role_type must be \"jwt\": logins by browser (\"oidc\", Vault's default) are not offered",
        ));
    }
    let globs = match fields.text("bound_claims_type")?.as_deref() {
        None => former.bound_claims_glob,
        Some("" | "string") => false,
        Some("glob") => true,
        Some(_) => {
            return Err(ApiError::bad_request(
                "bound_claims_type must be string or glob",
            ));
        }
    };
    let role = JwtRole {
        user_claim: fields.text("user_claim")?.unwrap_or(former.user_claim),
        user_claim_json_pointer: fields
            .truth("user_claim_json_pointer")?
            .unwrap_or(former.user_claim_json_pointer),
        bound_audiences: fields
            .list("bound_audiences")?
            .unwrap_or(former.bound_audiences),
        bound_subject: fields
            .text("bound_subject")?
            .unwrap_or(former.bound_subject),
        bound_claims: take_object(&mut fields, "bound_claims")?.unwrap_or(former.bound_claims),
        bound_claims_glob: globs,
        claim_mappings: take_mappings(&mut fields)?.unwrap_or(former.claim_mappings),
        groups_claim: fields.text("groups_claim")?.unwrap_or(former.groups_claim),
        clock_skew_leeway: take_leeway(&mut fields, "clock_skew_leeway")?
            .unwrap_or(former.clock_skew_leeway),
        expiration_leeway: take_leeway(&mut fields, "expiration_leeway")?
            .unwrap_or(former.expiration_leeway),
        not_before_leeway: take_leeway(&mut fields, "not_before_leeway")?
            .unwrap_or(former.not_before_leeway),
        allowed_redirect_uris: fields
            .list("allowed_redirect_uris")?
            .unwrap_or(former.allowed_redirect_uris),
        token: token_parameters::take(&mut fields, former.token)?,
    };
    // Of logins by browser; hvac and vaultrs send them with every role.
    fields.ignore(&[
        "oidc_scopes",
        "verbose_oidc_logging",
        "max_age",
        "callback_mode",
        "poll_interval",
    ]);
    fields.finish()?;
    Ok(role)
}

fn take_object(
    fields: &mut Fields,
    name: &'static str,
) -> Result<Option<Map<String, Value>>, ApiError> {
    let object = fields.object(name)?.map(Fields::rest);
    Ok(object.and_then(|object| match object {
        Value::Object(object) => Some(object),
        _ => None,
    }))
}

fn take_mappings(fields: &mut Fields) -> Result<Option<BTreeMap<String, String>>, ApiError> {
    let Some(object) = take_object(fields, "claim_mappings")? else {
        return Ok(None);
    };
    let texts = object
        .into_iter()
        .map(|(claim, target)| Some((claim, weak::text(&target)?)));
    let mappings: Option<_> = texts.collect();
    mappings
        .map(Some)
        .ok_or_else(|| ApiError::bad_request("claim_mappings must be an object of strings"))
}

/// A span, or a negative number for none at all.
fn take_leeway(fields: &mut Fields, name: &'static str) -> Result<Option<Leeway>, ApiError> {
    let Some(value) = fields.value(name) else {
        return Ok(None);
    };
    let text = match &value {
        Value::String(text) => text.trim().to_owned(),
        value => value.to_string(),
    };
    let (sign, span) = match text.strip_prefix('-') {
        Some(span) => (-1, span),
        None => (1, text.as_str()),
    };
    let span =
        lessor_model::duration::of_value(name, &span.into()).map_err(ApiError::bad_request)?;
    let seconds = span.map(|span| i64::try_from(span.as_secs()).unwrap_or(i64::MAX));
    Ok(seconds.map(|seconds| Leeway(seconds.saturating_mul(sign))))
}

impl ShownRole {
    fn of(role: &JwtRole) -> Self {
        Self {
            role_type: "jwt",
            user_claim: role.user_claim.clone(),
            user_claim_json_pointer: role.user_claim_json_pointer,
            bound_audiences: role.bound_audiences.clone(),
            bound_subject: role.bound_subject.clone(),
            bound_claims: role.bound_claims.clone(),
            bound_claims_type: match role.bound_claims_glob {
                true => "glob",
                false => "string",
            },
            claim_mappings: role.claim_mappings.clone(),
            groups_claim: role.groups_claim.clone(),
            clock_skew_leeway: role.clock_skew_leeway.0,
            expiration_leeway: role.expiration_leeway.0,
            not_before_leeway: role.not_before_leeway.0,
            allowed_redirect_uris: role.allowed_redirect_uris.clone(),
            oidc_scopes: [],
            verbose_oidc_logging: false,
            max_age: 0,
            token: token_parameters::Shown::of(&role.token),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::fields::Notices;

    fn fields(body: Value) -> Fields {
        match body {
            Value::Object(map) => Fields::new(map, &Notices::default()),
            _ => panic!(),
        }
    }

    #[test]
    fn exactly_one_source_of_keys_is_taken() {
        for (body, fits) in [
            (json!({}), false),
            (json!({"jwt_validation_pubkeys": "x"}), true),
            (json!({"jwt_validation_pubkeys": ["x", "y"]}), true),
            (json!({"jwks_url": "u"}), true),
            (json!({"oidc_discovery_url": "u", "jwks_url": ""}), true),
            (json!({"jwks_url": "u", "oidc_discovery_url": "u"}), false),
            (
                json!({"jwks_url": "u", "jwt_validation_pubkeys": ["x"]}),
                false,
            ),
            (json!({"jwks_url": "u", "jwks_ca_pem": "c"}), true),
            (
                json!({"jwks_url": "u", "oidc_discovery_ca_pem": "c"}),
                false,
            ),
            (json!({"jwks_url": "u", "oidc_client_id": ""}), true),
            (json!({"jwks_url": "u", "oidc_client_id": "x"}), false),
            (json!({"jwks_url": "u", "provider_config": {}}), true),
            (json!({"jwks_url": "u", "namespace_in_state": true}), true),
            (json!({"jwks_url": "u", "jwks_uri": "u"}), true),
        ] {
            assert_eq!(take_config(fields(body.clone())).is_ok(), fits, "{body}");
        }
    }

    #[test]
    fn a_leeway_may_be_negative() {
        for (value, expected) in [
            (json!(null), Some(None)),
            (json!(0), Some(Some(0))),
            (json!(-1), Some(Some(-1))),
            (json!("-1"), Some(Some(-1))),
            (json!("2m"), Some(Some(120))),
            (json!(30), Some(Some(30))),
            (json!("soon"), None),
            (json!([]), None),
        ] {
            let taken = take_leeway(&mut fields(json!({"l": value})), "l").ok();
            let taken = taken.map(|leeway| leeway.map(|leeway| leeway.0));
            assert_eq!(taken, expected, "{value}");
        }
    }

    #[test]
    fn a_role_is_for_tokens_and_keeps_what_is_not_named() {
        let first = json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "x", "policies": "p", "ttl": 60});
        let role = take_role(fields(first), JwtRole::default()).unwrap();
        assert_eq!(role.token.policies, ["p"]);
        let second =
            json!({"role_type": "jwt", "bound_claims": {"a": "b*"}, "bound_claims_type": "glob"});
        let role = take_role(fields(second), role).unwrap();
        assert_eq!(
            (role.user_claim.as_str(), role.bound_claims_glob),
            ("sub", true)
        );
        for refused in [
            json!({"user_claim": "sub"}),
            json!({"role_type": "oidc", "user_claim": "sub"}),
            json!({"role_type": "jwt", "bound_claims": [1]}),
            json!({"role_type": "jwt", "bound_claims_type": "regex"}),
            json!({"role_type": "jwt", "claim_mappings": {"a": []}}),
            json!({"role_type": "jwt", "bound_subjct": "sub"}),
        ] {
            assert!(
                take_role(fields(refused.clone()), JwtRole::default()).is_err(),
                "{refused}"
            );
        }
    }
}
