//! The documents for anybody who verifies the host's tokens: OpenID Connect's discovery
//! document and the keys.
//!
//! Vault serves these below `identity/oidc`, verifiers look below the issuer's own URL:
//! the same paths without `/v1/identity/oidc` before them (`path`) lead here as well.

use lessor_model::identity::LEAD;
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{
    Outcome,
    answer::Answer,
    endpoint::{Endpoint, Handler, MISSING, at, gives::bare, verb},
    error::ApiError,
    operation::Operation,
    system,
};
use crate::installation::Installation;

/// The paths that need no token.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at(
        "identity/oidc/.well-known/openid-configuration",
        "The server's description of itself, as an issuer of tokens that say which mount somebody is.",
    )
    .on(&[verb(
        &[Operation::Read],
        "Shows it, where the server has a name as an issuer.",
        &[],
        Handler::Anybody(|installation, _| Box::pin(async move { discovery(installation) })),
    )
    .gives(&[bare::<Discovery>()])
    .refuses(&[MISSING])]),
    at(
        "identity/oidc/.well-known/jwks.json",
        "The keys that sign those tokens.",
    )
    .also(&["identity/oidc/.well-known/keys"])
    .on(&[verb(
        &[Operation::Read],
        "Shows them; none as long as nobody needed one.",
        &[],
        Handler::Anybody(|installation, _| Box::pin(keys(installation))),
    )
    .gives(&[bare::<KeySet>()])]),
];

/// The server's description of itself as an issuer (OpenID Connect Discovery 1.0).
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of what the issuer writes")]
struct Discovery {
    /// Its name: a URL.
    issuer: String,
    /// The URL of its keys.
    jwks_uri: String,
    /// The response types that it supports.
    response_types_supported: Vec<String>,
    /// The kinds of subject identifiers that it supports.
    subject_types_supported: Vec<String>,
    /// The algorithms that it signs with.
    id_token_signing_alg_values_supported: Vec<String>,
    /// The claims of its tokens.
    claims_supported: Vec<String>,
}

/// Public keys (RFC 7517).
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape of what the issuer writes")]
struct KeySet {
    /// The keys.
    keys: Vec<Value>,
}

fn discovery(installation: &Installation) -> Outcome {
    let engine = installation.engine().ok_or_else(system::not_initialised)?;
    let document = engine
        .issuer
        .discovery()
        .ok_or_else(ApiError::nothing_here)?;
    Ok(Answer::public(document, LEAD))
}

async fn keys(installation: &Installation) -> Outcome {
    let engine = installation.engine().ok_or_else(system::not_initialised)?;
    let keys = engine.issuer.key_set().await?;
    // Caches must not keep an empty list: the first key signs as soon as it is made.
    let kept = if keys.is_empty() {
        std::time::Duration::ZERO
    } else {
        LEAD
    };
    Ok(Answer::public(json!({ "keys": keys }), kept))
}
