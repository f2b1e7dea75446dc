//! `auth/token/lookup-self`: what the token in use is and may do.

use serde_json::{Value, json};

use super::{Outcome, answer::Answer, dispatch::Ask};
use crate::engine::Engine;

/// The fields that External Secrets Operator and vaultrs insist on are all here.
pub(super) fn lookup_self(engine: &Engine, ask: &Ask) -> Outcome {
    let identity = &ask.identity;
    let seconds = |end: crate::clock::Timestamp, from| end.since(from).as_secs();
    let now = engine.clock.now();
    Ok(Answer::data(json!({
        "accessor": identity.accessor,
        "creation_time": identity.created_at.unix_seconds(),
        "creation_ttl": identity.expires_at.map_or(0, |end| seconds(end, identity.created_at)),
        "display_name": identity.display_name,
        "entity_id": "",
        "expire_time": identity.expires_at.map(|end| end.rfc3339()),
        "explicit_max_ttl": 0,
        // The caller has it already; Vault's clients look for it here.
        "id": ask.token.as_ref().map(|token| token.expose().as_str()),
        "issue_time": identity.created_at.rfc3339(),
        "meta": Value::Null,
        "num_uses": 0,
        "orphan": true,
        "path": "auth/token/root",
        "policies": identity.policies,
        "renewable": false,
        "ttl": identity.expires_at.map_or(0, |end| seconds(end, now)),
        "type": "service",
    })))
}
