//! Token roles: named rules for tokens that `auth/token/create/:role` makes.

use lessor_model::{
    event::Event,
    id::OperationId,
    name::{PolicyName, TokenRoleName},
    refusal::Refusal,
    token::{RoleTokenKind, TokenParameters},
};
use serde::{Deserialize, Serialize};

use super::{DEFAULT, ROOT, Tokens, WRAPPING};

/// A token role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenRole {
    /// Policies that may be asked for; with the globs, empty: those of the maker.
    pub allowed_policies: Vec<String>,
    /// Policies that may not.
    pub disallowed_policies: Vec<String>,
    /// As `allowed_policies`, with `*` at an end.
    pub allowed_policies_glob: Vec<String>,
    /// As `disallowed_policies`, with `*` at an end.
    pub disallowed_policies_glob: Vec<String>,
    /// Whether tokens end with nothing but themselves.
    pub orphan: bool,
    /// Whether tokens can be renewed.
    pub renewable: bool,
    /// The suffix of the path of a token.
    pub path_suffix: String,
    /// The standard parameters; `ttl`, `max_ttl` and `policies` are not used.
    pub parameters: TokenParameters,
}

impl Default for TokenRole {
    fn default() -> Self {
        Self {
            allowed_policies: Vec::new(),
            disallowed_policies: Vec::new(),
            allowed_policies_glob: Vec::new(),
            disallowed_policies_glob: Vec::new(),
            orphan: false,
            renewable: true,
            path_suffix: String::new(),
            parameters: TokenParameters::default(),
        }
    }
}

/// A token role that is stored.
#[derive(Clone, Debug)]
pub struct RoleRow {
    /// Its name.
    pub name: TokenRoleName,
    /// Names it for ever; one that is made again with the name has another.
    pub uuid: String,
    /// The role itself.
    pub role: TokenRole,
}

impl TokenRole {
    /// Whether it says anything of which policies may be asked for.
    pub(super) fn names_policies(&self) -> bool {
        self.names_allowed() || self.names_disallowed()
    }

    /// Whether it says which policies may be asked for.
    pub(super) fn names_allowed(&self) -> bool {
        !self.allowed_policies.is_empty() || !self.allowed_policies_glob.is_empty()
    }

    /// Whether it says which policies may not be asked for.
    fn names_disallowed(&self) -> bool {
        !self.disallowed_policies.is_empty() || !self.disallowed_policies_glob.is_empty()
    }

    fn allows(&self, policy: &str) -> bool {
        listed(&self.allowed_policies, &self.allowed_policies_glob, policy)
    }

    pub(super) fn disallows(&self, policy: &str) -> bool {
        listed(
            &self.disallowed_policies,
            &self.disallowed_policies_glob,
            policy,
        )
    }
}

impl TokenRole {
    /// Refuses a policy that it does not give, of names in the stored form.
    pub(super) fn check_policies(&self, policies: &[String]) -> Result<(), String> {
        let allowed =
            |policy: &str| !self.names_allowed() || policy == DEFAULT || self.allows(policy);
        if let Some(policy) = policies.iter().find(|policy| !allowed(policy)) {
            return Err(format!(
                "policies must be among the allowed_policies and allowed_policies_glob of the role, and {policy:?} is not"
            ));
        }
        match policies.iter().find(|policy| self.disallows(policy)) {
            None => Ok(()),
            Some(policy) => Err(format!(
                "token policy {policy:?} is disallowed by this role"
            )),
        }
    }
}

impl Tokens {
    /// Writes a role.
    ///
    /// # Errors
    /// `Invalid` for a rule that no token could follow; where storage fails.
    pub async fn write_role(&self, name: &TokenRoleName, role: &TokenRole) -> Result<(), Refusal> {
        check(role).map_err(Refusal::Invalid)?;
        let document = serde_json::to_string(role).map_err(Refusal::internal)?;
        // For a new one alone: one that is there keeps its own.
        let uuid = OperationId::new(self.clock.now())?.to_string();
        self.storage
            .write_token_role(name.clone(), uuid, document)
            .await?;
        let role = name.to_string();
        Event::TokenRoleWritten { role }.record();
        Ok(())
    }

    /// A role; none where there is none.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn role(&self, name: &TokenRoleName) -> Result<Option<RoleRow>, Refusal> {
        let Some((uuid, document)) = self.storage.token_role(name.clone()).await? else {
            return Ok(None);
        };
        Ok(Some(RoleRow {
            name: name.clone(),
            uuid,
            role: serde_json::from_str(&document).map_err(Refusal::internal)?,
        }))
    }

    /// Names of the roles.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn role_names(&self) -> Result<Vec<String>, Refusal> {
        Ok(self.storage.token_role_names().await?)
    }

    /// Removes a role; the tokens that it made live on, and are not renewed.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn remove_role(&self, name: &TokenRoleName) -> Result<(), Refusal> {
        if self.storage.remove_token_role(name.clone()).await? {
            let role = name.to_string();
            Event::TokenRoleRemoved { role }.record();
        }
        Ok(())
    }
}

/// Refuses what contradicts itself.
fn check(role: &TokenRole) -> Result<(), String> {
    for (field, names) in [
        ("allowed_policies", &role.allowed_policies),
        ("allowed_policies_glob", &role.allowed_policies_glob),
    ] {
        let names = names.iter().map(|name| PolicyName::from(name.as_str()));
        if let Some(name) = names
            .into_iter()
            .find(|name| [ROOT, WRAPPING].contains(&name.as_str()))
        {
            return Err(format!(
                "{field} must not name {name}: no token role makes a token with it"
            ));
        }
    }
    let parameters = &role.parameters;
    if parameters.kind == RoleTokenKind::Batch {
        for (name, is_set) in [
            (
                "token_explicit_max_ttl",
                !parameters.explicit_max_ttl.is_zero(),
            ),
            ("token_period", !parameters.period.is_zero()),
            ("token_num_uses", parameters.num_uses > 0),
        ] {
            if is_set {
                return Err(format!(
                    "{name} cannot be set where token_type is batch: leave it out, or use service"
                ));
            }
        }
        if !role.orphan && role.renewable {
            return Err(
                "renewable must be false where token_type is batch: batch tokens cannot be renewed"
                    .into(),
            );
        }
    }
    let suffix = &role.path_suffix;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !suffix.chars().all(fits) || suffix.contains("..") {
        return Err(
            "path_suffix may hold letters, digits, `-`, `_`, `.` and `/`, and no `..`".into(),
        );
    }
    Ok(())
}

fn listed(names: &[String], globs: &[String], policy: &str) -> bool {
    names.iter().any(|name| name == policy) || globs.iter().any(|glob| matches(glob, policy))
}

/// `*` at the beginning, at the end, or at both stands for anything.
fn matches(glob: &str, text: &str) -> bool {
    match (glob.strip_prefix('*'), glob.strip_suffix('*')) {
        (Some(""), _) => true,
        (Some(rest), Some(_)) => text.contains(rest.strip_suffix('*').unwrap_or(rest)),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => glob == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_at_their_ends() {
        for (glob, text, expected) in [
            ("*", "any", true),
            ("dev-*", "dev-a", true),
            ("dev-*", "prod-a", false),
            ("*-ro", "db-ro", true),
            ("*-ro", "db-rw", false),
            ("*db*", "my-db-ro", true),
            ("*db*", "my-ro", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
    }
}
