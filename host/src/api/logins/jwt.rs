//! `auth/<path>/config` and `auth/<path>/role/…` of a JWT login method.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    api::{
        Outcome,
        answer::Answer,
        ask::Ask,
        error::ApiError,
        fields::Fields,
        route::Operation::{Delete, List, Read, Write},
        token_parameters,
    },
    engine::Engine,
    id,
    login::{JwtConfig, JwtRole, KeySource, KeyUrl, Leeway, LoginMount},
    weak,
};

/// Fields that Vault renamed.
const RENAMED: [(&str, &str); 6] = token_parameters::OLDER;

/// Answers a path within the login method.
pub(super) async fn answer(engine: &Engine, mount: &LoginMount, rest: &str, ask: Ask) -> Outcome {
    let jwts = engine.logins.jwts();
    let segments: Vec<&str> = rest.split('/').collect();
    match (segments.as_slice(), ask.operation) {
        (["config"], Read) => {
            let config = jwts.config(mount)?.ok_or_else(ApiError::nothing_here)?;
            Ok(Answer::data(shown_config(&config)))
        }
        (["config"], Write) => {
            let mut fields = ask.into_fields();
            let unproven = fields.truth("skip_jwks_validation")?.unwrap_or(false);
            let config = take_config(fields)?;
            let written = engine.logins.configure_jwt(mount, config, !unproven);
            Ok(Answer::done_with(written.await?))
        }
        (["role"], List) => Answer::list(jwts.names(mount).await?),
        (["role", name], Read) => {
            let role = jwts.find(mount, name).await?;
            let role = role.ok_or_else(ApiError::nothing_here)?;
            Ok(Answer::data(shown_role(&role).into()))
        }
        (["role", name], Write) => {
            let fields = ask.into_fields();
            let mut warnings = Vec::new();
            let change = |former: Option<JwtRole>| {
                let role = take_role(fields, former.unwrap_or_default())?;
                warnings = token_parameters::warnings(&role.token, mount);
                Ok::<_, ApiError>(role)
            };
            jwts.write(mount, name, change).await?;
            Ok(Answer::done_with(warnings))
        }
        (["role", name], Delete) => {
            ask.expect_no_fields()?;
            jwts.remove(mount, name).await?;
            Ok(Answer::done())
        }
        (["config"] | ["role"] | ["role", _], _) => Err(ApiError::wrong_method()),
        (["oidc", ..], _) => Err(ApiError::bad_request(
            "logins by browser (OIDC) are not offered: exchange a token at the login path",
        )),
        _ => Err(ApiError::nothing_here()),
    }
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

/// A config as Vault shows one: every field, also those that cannot be set.
fn shown_config(config: &JwtConfig) -> Value {
    let mut shown = json!({
        "oidc_discovery_url": "",
        "oidc_discovery_ca_pem": "",
        "oidc_client_id": "",
        "oidc_response_mode": "",
        "oidc_response_types": [],
        "default_role": config.default_role,
        "jwt_validation_pubkeys": [],
        "jwt_supported_algs": config.supported_algorithms,
        "jwks_url": "",
        "jwks_ca_pem": "",
        "bound_issuer": config.bound_issuer,
        "provider_config": {},
        "namespace_in_state": true,
    });
    let known = match &config.source {
        KeySource::Keys(pems) => vec![("jwt_validation_pubkeys", json!(pems))],
        KeySource::Url(url) => vec![
            (url.field(), json!(url.url)),
            (url.ca_field(), json!(url.ca_pem)),
        ],
    };
    if let Value::Object(fields) = &mut shown {
        fields.extend(
            known
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
    }
    shown
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
    let span = crate::duration::of_value(name, &span.into()).map_err(ApiError::bad_request)?;
    let seconds = span.map(|span| i64::try_from(span.as_secs()).unwrap_or(i64::MAX));
    Ok(seconds.map(|seconds| Leeway(seconds.saturating_mul(sign))))
}

fn shown_role(role: &JwtRole) -> Map<String, Value> {
    let kind = match role.bound_claims_glob {
        true => "glob",
        false => "string",
    };
    let mut shown = Map::new();
    for (name, value) in [
        ("role_type", json!("jwt")),
        ("user_claim", json!(role.user_claim)),
        (
            "user_claim_json_pointer",
            json!(role.user_claim_json_pointer),
        ),
        ("bound_audiences", json!(role.bound_audiences)),
        ("bound_subject", json!(role.bound_subject)),
        ("bound_claims", json!(role.bound_claims)),
        ("bound_claims_type", json!(kind)),
        ("claim_mappings", json!(role.claim_mappings)),
        ("groups_claim", json!(role.groups_claim)),
        ("clock_skew_leeway", json!(role.clock_skew_leeway.0)),
        ("expiration_leeway", json!(role.expiration_leeway.0)),
        ("not_before_leeway", json!(role.not_before_leeway.0)),
        ("allowed_redirect_uris", json!(role.allowed_redirect_uris)),
        ("oidc_scopes", json!([])),
        ("verbose_oidc_logging", json!(false)),
        ("max_age", json!(0)),
    ] {
        shown.insert(name.to_owned(), value);
    }
    token_parameters::show(&role.token, &mut shown);
    shown
}

#[cfg(test)]
mod tests {
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
