//! Checks the claims of a token whose signature is valid: pure.
//!
//! The rules are those of RFC 7519 as Vault documents them for its JWT roles:
//! who issued it, for whom, about whom, when, and whatever else the role binds.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::JwtRole;

/// The claims of a token.
pub(super) type TokenClaims = Map<String, Value>;

/// Tolerance of clocks in seconds, unless the role says otherwise.
const CLOCK_SKEW: u64 = 60;

/// The number of seconds for which a token without all its times is valid, unless the role says
/// otherwise.
const UNSAID: u64 = 150;

/// Longest name, in bytes, that is taken for a user: it stands in the token, in
/// logs and in leases.
const LONGEST_USER: usize = 512;

/// The subject of a token.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    /// The name, for people.
    pub(super) user: String,
    /// The claims that the role maps into metadata, and the groups.
    pub(super) metadata: BTreeMap<String, String>,
}

/// The subject of a token, if the role takes it at `now` (Unix seconds). A sentence otherwise; it
/// repeats nothing of the token.
pub(super) fn judge(
    claims: &TokenClaims,
    bound_issuer: &str,
    role: &JwtRole,
    now: u64,
) -> Result<Judged, String> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if !bound_issuer.is_empty() && text("iss") != Some(bound_issuer) {
        return Err("invalid issuer (iss) claim".into());
    }
    if !role.bound_subject.is_empty() && text("sub") != Some(&role.bound_subject) {
        return Err("invalid subject (sub) claim".into());
    }
    check_audience(claims, &role.bound_audiences)?;
    check_moments(claims, role, now)?;
    let user = user_of(claims, role)?;
    let groups = groups_of(claims, &role.groups_claim)?;
    for (claim, wanted) in &role.bound_claims {
        check_bound(claims, claim, wanted, role.bound_claims_glob)?;
    }
    let mut metadata = BTreeMap::new();
    if let Some(groups) = groups {
        metadata.insert("groups".to_owned(), groups);
    }
    for (claim, target) in &role.claim_mappings {
        match claim_at(claims, claim) {
            None => {}
            Some(Value::String(value)) => {
                metadata.insert(target.clone(), value.clone());
            }
            Some(_) => return Err(format!("claim {claim:?} is mapped and is not a string")),
        }
    }
    Ok(Judged { user, metadata })
}

fn user_of(claims: &TokenClaims, role: &JwtRole) -> Result<String, String> {
    let name = &role.user_claim;
    let found = match role.user_claim_json_pointer {
        true => claim_at(claims, name),
        false => claims.get(name),
    };
    match found {
        Some(Value::String(user)) if (1..=LONGEST_USER).contains(&user.len()) => Ok(user.clone()),
        Some(_) => Err(format!(
            "claim {name:?} must be a string of 1 to {LONGEST_USER} bytes that says who it is"
        )),
        None => Err(format!("claim {name:?} not found in token")),
    }
}

/// Groups as the JSON text of a list: no group's name can run into another's.
/// There are no groups to join here; whoever reads the token's metadata sees
/// what the token said.
fn groups_of(claims: &TokenClaims, claim: &str) -> Result<Option<String>, String> {
    if claim.is_empty() {
        return Ok(None);
    }
    let found =
        claim_at(claims, claim).ok_or_else(|| format!("{claim:?} claim not found in token"))?;
    let groups: Option<Vec<&str>> = match found {
        Value::String(group) => Some(vec![group]),
        Value::Array(groups) => groups.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let groups = groups.ok_or_else(|| format!("{claim:?} claim is not a list of strings"))?;
    Ok(Some(serde_json::json!(groups).to_string()))
}

/// A claim by its name, or by JSON pointer (RFC 6901) where that begins with a
/// slash.
fn claim_at<'c>(claims: &'c TokenClaims, name: &str) -> Option<&'c Value> {
    let Some(path) = name.strip_prefix('/') else {
        return claims.get(name);
    };
    let (first, rest) = match path.split_once('/') {
        Some((first, rest)) => (first, format!("/{rest}")),
        None => (path, String::new()),
    };
    let first = first.replace("~1", "/").replace("~0", "~");
    claims.get(&first)?.pointer(&rest)
}

fn check_audience(claims: &TokenClaims, bound: &[String]) -> Result<(), String> {
    let named: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if bound.is_empty() {
        return match named.is_empty() {
            true => Ok(()),
            false => Err("audience claim found in JWT but no audiences bound to the role".into()),
        };
    }
    if bound.iter().any(|bound| named.contains(&bound.as_str())) {
        Ok(())
    } else {
        Err("aud claim does not match any bound audience".into())
    }
}

/// Checks `exp`, `nbf` and `iat`. One of them must be there; the others are made
/// up from it.
fn check_moments(claims: &TokenClaims, role: &JwtRole, now: u64) -> Result<(), String> {
    let (issued, begins, ends) = (
        moment(claims, "iat")?,
        moment(claims, "nbf")?,
        moment(claims, "exp")?,
    );
    let begun = match (issued, begins) {
        (None, None) if ends.is_none() => {
            return Err(
                "no issued at (iat), not before (nbf), or expiration time (exp) claims in token"
                    .into(),
            );
        }
        (issued, begins) => issued.max(begins),
    };
    let ends = ends.unwrap_or_else(|| {
        begun
            .unwrap_or(0)
            .saturating_add(role.expiration_leeway.or(UNSAID))
    });
    let begins = begins
        .or(issued)
        .unwrap_or_else(|| ends.saturating_sub(role.not_before_leeway.or(UNSAID)));
    let skew = role.clock_skew_leeway.or(CLOCK_SKEW);
    let latest = now.saturating_add(skew);
    if begins > latest {
        return Err("invalid not before (nbf) claim: token not yet valid".into());
    }
    if now.saturating_sub(skew) > ends {
        return Err("invalid expiration time (exp) claim: token is expired".into());
    }
    if issued.is_some_and(|issued| issued > latest) {
        return Err("invalid issued at (iat) claim: token issued in the future".into());
    }
    Ok(())
}

/// A moment in whole seconds; none where it is missing or 0.
fn moment(claims: &TokenClaims, name: &str) -> Result<Option<u64>, String> {
    let seconds = match claims.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Some(_) => None,
    };
    match seconds {
        Some(0) => Ok(None),
        Some(seconds) => Ok(Some(seconds)),
        None => Err(format!("claim {name:?} is not a moment in seconds")),
    }
}

/// The whole seconds of a fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the checked range nothing is lost but the fraction"
)]
fn whole(seconds: f64) -> Option<u64> {
    (0.0..=9e15).contains(&seconds).then_some(seconds as u64)
}

fn check_bound(
    claims: &TokenClaims,
    claim: &str,
    wanted: &Value,
    globs: bool,
) -> Result<(), String> {
    let found = claim_at(claims, claim)
        .filter(|found| !found.is_null())
        .ok_or_else(|| format!("claim {claim:?} is missing"))?;
    let fits = values(wanted)
        .iter()
        .any(|wanted| values(found).iter().any(|found| same(wanted, found, globs)));
    match fits {
        true => Ok(()),
        false => Err(format!(
            "claim {claim:?} does not match any associated bound claim values"
        )),
    }
}

/// A list, or a single value as a list.
fn values(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        single => std::slice::from_ref(single),
    }
}

fn same(wanted: &Value, found: &Value, globs: bool) -> bool {
    match (wanted, found) {
        (Value::String(wanted), Value::String(found)) if globs => glob(wanted, found),
        (Value::String(wanted), Value::String(found)) => wanted == found,
        (Value::Bool(wanted), Value::Bool(found)) => wanted == found,
        // 1 and 1.0 are one number.
        (Value::Number(wanted), Value::Number(found)) => {
            wanted == found || wanted.as_f64() == found.as_f64()
        }
        _ => false,
    }
}

/// Whether `text` fits a pattern in which `*` stands for any text, also none.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(end) = text.len().checked_sub(last.len()) else {
        return false;
    };
    if !text.ends_with(last) {
        return false;
    }
    text = text.get(..end).unwrap_or_default();
    // Each piece at its first place leaves the most room for those behind it.
    for piece in middle.split('*') {
        match text.split_once(piece) {
            Some((_, behind)) => text = behind,
            None if piece.is_empty() => {}
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests;
