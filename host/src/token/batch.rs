//! Batch tokens: all that there is to know of one, sealed in itself. Nothing is
//! stored, so any number of them costs nothing to make and to use.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use lessor_model::{clock::Timestamp, refusal::Refusal, secret::Secret};
use lessor_seal::keyring::Keyring;
use lessor_store::{TokenFacts, TokenRow};
use serde::{Deserialize, Serialize};

use super::LONGEST;

/// The prefix of a batch token.
const PREFIX: &str = "lsb.";

/// The context that it is sealed for.
const CONTEXT: &str = "batch token";

#[derive(Serialize, Deserialize)]
struct Content {
    display_name: String,
    policies: Vec<String>,
    created_at: Timestamp,
    expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<[u8; 32]>,
    path: String,
    facts: TokenFacts,
}

/// The token that says what `row` says, until `expires_at`.
///
/// # Errors
/// `Invalid` where that is too much to be sent with every request.
pub(super) fn seal(
    keyring: &Keyring,
    row: TokenRow,
    expires_at: Timestamp,
) -> Result<Secret<String>, Refusal> {
    let content = Content {
        display_name: row.display_name,
        policies: row.policies,
        created_at: row.created_at,
        expires_at,
        parent: row.parent,
        path: row.path,
        facts: row.facts,
    };
    let content = serde_json::to_vec(&content).map_err(Refusal::internal)?;
    let sealed = keyring.seal(CONTEXT, &content)?;
    let token = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(sealed));
    if token.len() > LONGEST {
        return Err(Refusal::Invalid(format!(
            "policies and meta are too long for a batch token, which holds them and may have {LONGEST} bytes: \
             use a service token"
        )));
    }
    Ok(Secret::new(token))
}

/// The content of a batch token; none where it is not one of this installation.
pub(super) fn open(keyring: &Keyring, token: &Secret<String>, hash: [u8; 32]) -> Option<TokenRow> {
    let text = token.expose().strip_prefix(PREFIX)?;
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let content = keyring.open(CONTEXT, &sealed).ok()?;
    let content: Content = serde_json::from_slice(content.expose()).ok()?;
    Some(TokenRow {
        hash,
        accessor: String::new(),
        display_name: content.display_name,
        policies: content.policies,
        created_at: content.created_at,
        expires_at: Some(content.expires_at),
        parent: content.parent,
        uses_left: None,
        path: content.path,
        facts: content.facts,
    })
}
