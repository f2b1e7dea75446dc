//! A role of a JWT login method: it says whose tokens may log in.

use std::collections::{BTreeMap, BTreeSet};

use lessor_model::token::TokenParameters;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::login::entries::Entry;

/// Tolerance in seconds: 0 is a default, a negative one none at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Leeway(pub i64);

impl Leeway {
    /// Seconds, as they count.
    pub fn or(self, default: u64) -> u64 {
        match self.0 {
            0 => default,
            seconds => u64::try_from(seconds).unwrap_or(0),
        }
    }
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JwtRole {
    /// The claim that says who it is.
    pub user_claim: String,
    /// Whether `user_claim` is a JSON pointer.
    pub user_claim_json_pointer: bool,
    /// Audiences, one of which the token must name.
    pub bound_audiences: Vec<String>,
    /// The required `sub`; empty: any.
    pub bound_subject: String,
    /// The required values of other claims: one of the values of each.
    pub bound_claims: Map<String, Value>,
    /// Whether `*` in those values stands for any text.
    pub bound_claims_glob: bool,
    /// Claims that go into the token's metadata, and under which name.
    pub claim_mappings: BTreeMap<String, String>,
    /// The claim with a list of groups; empty: none.
    pub groups_claim: String,
    /// Tolerance of all moments.
    pub clock_skew_leeway: Leeway,
    /// The time for which a token without `exp` holds.
    pub expiration_leeway: Leeway,
    /// The time before `exp` at which a token without `nbf` and `iat` becomes valid.
    pub not_before_leeway: Leeway,
    /// Kept for Vault's clients, which insist on it; of no use without a browser.
    pub allowed_redirect_uris: Vec<String>,
    /// The settings of its tokens.
    pub token: TokenParameters,
}

/// Names in the metadata that the login itself gives.
const RESERVED: [&str; 1] = ["role"];

impl JwtRole {
    /// Refuses a role that cannot work, or that any token would fit.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.user_claim.is_empty() {
            return Err("user_claim is required: the claim that says who logs in".into());
        }
        if self.bound_audiences.is_empty()
            && self.token.bound_cidrs.is_empty()
            && self.bound_subject.is_empty()
            && self.bound_claims.is_empty()
        {
            return Err("must have at least one bound constraint: bound_audiences, bound_subject, bound_claims or token_bound_cidrs".into());
        }
        let mut targets = BTreeSet::new();
        for target in self.claim_mappings.values() {
            if RESERVED.contains(&target.as_str()) {
                return Err(format!(
                    "claim_mappings: {target:?} is given by the login itself; choose another name"
                ));
            }
            if !targets.insert(target) {
                return Err(format!(
                    "claim_mappings: two claims go into {target:?}; choose another name for one"
                ));
            }
        }
        for (claim, wanted) in &self.bound_claims {
            check_bound(claim, wanted, self.bound_claims_glob)?;
        }
        Ok(())
    }
}

fn check_bound(claim: &str, wanted: &Value, glob: bool) -> Result<(), String> {
    let single = |value: &Value| match value {
        Value::String(_) => true,
        Value::Bool(_) | Value::Number(_) => !glob,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    let fits = match wanted {
        Value::Array(values) => !values.is_empty() && values.iter().all(single),
        value => single(value),
    };
    match (fits, glob) {
        (true, _) => Ok(()),
        (false, true) => Err(format!(
            "bound_claims.{claim} must be a string or a list of strings, as bound_claims_type is glob"
        )),
        (false, false) => Err(format!(
            "bound_claims.{claim} must be a string, number or truth value, or a list of them"
        )),
    }
}

impl Entry for JwtRole {
    const NOUN: &'static str = "role";

    fn alias(&self) -> Option<String> {
        None
    }

    fn token(&self) -> &TokenParameters {
        &self.token
    }

    /// All that a token of somebody else must say. It was shown once, so a role that
    /// asks for more meanwhile is one that nobody has proven to fit.
    fn proof(&self) -> String {
        let asked = (
            &self.user_claim,
            self.user_claim_json_pointer,
            &self.bound_audiences,
            &self.bound_subject,
            &self.bound_claims,
            self.bound_claims_glob,
        );
        serde_json::json!(asked).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role(document: Value) -> JwtRole {
        let mut whole = serde_json::to_value(JwtRole {
            user_claim: "sub".into(),
            bound_subject: "x".into(),
            ..JwtRole::default()
        })
        .unwrap();
        for (name, value) in document.as_object().unwrap() {
            whole[name] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn a_role_that_cannot_work_is_refused_by_field() {
        for (document, expected) in [
            (json!({}), None),
            (json!({"user_claim": ""}), Some("user_claim")),
            (json!({"bound_subject": ""}), Some("bound constraint")),
            (json!({"bound_subject": "", "bound_audiences": ["a"]}), None),
            (
                json!({"bound_subject": "", "bound_claims": {"a": "b"}}),
                None,
            ),
            (json!({"bound_claims": {"a": [1, true, "x"]}}), None),
            (json!({"bound_claims": {"a": []}}), Some("bound_claims.a")),
            (
                json!({"bound_claims": {"a": {"b": 1}}}),
                Some("bound_claims.a"),
            ),
            (
                json!({"bound_claims": {"a": 1}, "bound_claims_glob": true}),
                Some("bound_claims.a"),
            ),
            (
                json!({"bound_claims": {"a": ["x*"]}, "bound_claims_glob": true}),
                None,
            ),
            (
                json!({"claim_mappings": {"a": "role"}}),
                Some("claim_mappings"),
            ),
            (
                json!({"claim_mappings": {"a": "x", "b": "x"}}),
                Some("claim_mappings"),
            ),
            (json!({"claim_mappings": {"a": "x", "b": "y"}}), None),
        ] {
            let outcome = role(document.clone()).check();
            match expected {
                None => assert_eq!(outcome, Ok(()), "{document}"),
                Some(part) => assert!(outcome.unwrap_err().contains(part), "{document}"),
            }
        }
    }

    #[test]
    fn leeways_have_a_default_and_can_be_none() {
        for (leeway, seconds) in [(0, 60), (-1, 0), (-60, 0), (5, 5)] {
            assert_eq!(Leeway(leeway).or(60), seconds);
        }
    }
}
