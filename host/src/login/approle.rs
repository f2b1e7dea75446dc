//! AppRole: a role is named by its role id and, unless it says otherwise, proven
//! by a secret id. For programs and machines.
//!
//! The rules are those that Vault documents for its AppRole method. A secret id
//! is stored as a keyed hash; of those with limited uses, each is taken in one
//! transaction with the check that it is there.

mod secret_id;

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use ipnet::IpNet;
use lessor_model::{
    addresses::{admits, covers},
    clock::Clock,
    event::Event,
    login::SecretIdFacts,
    name::EntryName,
    random,
    refusal::Refusal,
    token::TokenParameters,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{SecretIdRow, Storage};
use serde::{Deserialize, Serialize};

use self::secret_id::metadata_of;
pub use self::secret_id::{NewSecretId, SecretIdView};
use super::{
    Attempt, Claims, LoginMount, Method, Rejection, Standing,
    entries::{Entries, Entry},
};
use crate::context::Context;

/// The sentence for a stranger, whichever of the two was wrong.
const WRONG: &str = "invalid role or secret ID";

/// Longest role id or secret id that is taken, in bytes.
const LONGEST: usize = 4096;

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppRole {
    /// The id by which programs name it.
    pub role_id: String,
    /// Whether a secret id is needed.
    pub bind_secret_id: bool,
    /// From where; empty: from anywhere.
    pub secret_id_bound_cidrs: Vec<IpNet>,
    /// Logins with one secret id; 0: any number.
    pub secret_id_num_uses: u64,
    /// The time for which a secret id holds; 0: for ever.
    pub secret_id_ttl: Duration,
    /// Kept for Vault's clients: there is one server.
    pub local_secret_ids: bool,
    /// The settings of its tokens.
    pub token: TokenParameters,
}

impl AppRole {
    /// A role with a role id of its own and Vault's defaults.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn new() -> Result<Self, Refusal> {
        Ok(Self {
            role_id: random::uuid()?,
            bind_secret_id: true,
            secret_id_bound_cidrs: Vec::new(),
            secret_id_num_uses: 0,
            secret_id_ttl: Duration::ZERO,
            local_secret_ids: false,
            token: TokenParameters::default(),
        })
    }

    /// Refuses a role that cannot work, or that anybody could log in to.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.role_id.trim().is_empty() || self.role_id.len() > LONGEST {
            return Err(Refusal::Invalid(
                "role_id must be 1 to 4096 characters".into(),
            ));
        }
        if self.role_id.trim() != self.role_id {
            return Err(Refusal::Invalid(
                "role_id must not begin or end with blanks".into(),
            ));
        }
        if !self.bind_secret_id
            && self.secret_id_bound_cidrs.is_empty()
            && self.token.bound_cidrs.is_empty()
        {
            return Err(Refusal::Invalid(
                "at least one constraint should be enabled on the role: bind_secret_id, secret_id_bound_cidrs or token_bound_cidrs".into(),
            ));
        }
        Ok(())
    }
}

impl Entry for AppRole {
    const NOUN: &'static str = "role";

    fn alias(&self) -> Option<String> {
        Some(self.role_id.clone())
    }

    fn token(&self) -> &TokenParameters {
        &self.token
    }

    /// Another role id, and other rules for secret ids, are for new logins, as in
    /// Vault.
    fn proof(&self) -> String {
        String::new()
    }
}

/// The roles of all AppRole login methods, and their secret ids.
#[derive(Debug)]
pub struct AppRoles {
    entries: Entries,
    storage: Storage,
    keyring: Keyring,
    clock: Clock,
}

impl AppRoles {
    pub(super) fn new(context: Context, entries: Entries) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            entries,
            storage,
            keyring,
            clock,
        }
    }

    /// A role; none where there is none.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn find(&self, mount: &LoginMount, name: &str) -> Result<Option<AppRole>, Refusal> {
        let found = self.entries.find(mount, name).await?;
        Ok(found.map(|found| found.entry))
    }

    /// Names of roles.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn names(&self, mount: &LoginMount) -> Result<Vec<String>, Refusal> {
        self.entries.names(mount).await
    }

    /// Writes what `change` makes of the former role.
    ///
    /// # Errors
    /// What `change` says; one sentence that names the field.
    pub async fn write<E: From<Refusal>>(
        &self,
        mount: &LoginMount,
        name: &str,
        change: impl FnOnce(Option<AppRole>) -> Result<AppRole, E> + Send,
    ) -> Result<(), E> {
        let checked = |former| {
            let role = change(former)?;
            role.check()?;
            Ok(role)
        };
        self.entries.write(mount, name, checked).await
    }

    /// Removes a role and its secret ids.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn remove(&self, mount: &LoginMount, name: &str) -> Result<(), Refusal> {
        self.entries.remove::<AppRole>(mount, name).await
    }

    /// The secret id that somebody presents, where it is one of the role's.
    async fn presented(
        &self,
        mount: &LoginMount,
        role: &EntryName,
        secret_id: &str,
    ) -> Result<Option<SecretIdRow>, Refusal> {
        if secret_id.len() > LONGEST {
            return Ok(None);
        }
        let hash = self.keyring.secret_id_hash(secret_id);
        let now = self.clock.now();
        let found = self
            .storage
            .secret_id(mount.id, role.clone(), hash, now)
            .await?;
        Ok(found)
    }

    /// Takes a use of a secret id; whether there was one.
    async fn take_use(&self, mount: &LoginMount, row: &SecretIdRow) -> Result<bool, Refusal> {
        if row.uses_left.is_none() {
            return Ok(true);
        }
        let now = self.clock.now();
        let taken = self
            .storage
            .take_secret_id_use(mount.id, row.role.clone(), row.hash, now);
        let taken = taken.await?;
        if taken {
            Event::SecretIdUsed {
                path: mount.path().clone(),
                role: row.role.to_string(),
                accessor: row.accessor.clone(),
            }
            .record();
        }
        Ok(taken)
    }
}

#[async_trait]
impl Method for AppRoles {
    /// The role id, as in Vault.
    fn counted_name(&self, attempt: &Attempt<'_>) -> Option<String> {
        let role_id = attempt.form.peek("role_id");
        role_id.filter(|role_id| role_id.len() <= LONGEST)
    }

    async fn log_in(&self, mut attempt: Attempt<'_>) -> Result<Claims, Rejection> {
        let mount = attempt.mount;
        let role_id = attempt.form.required_bearer("role_id")?;
        let secret_id = attempt.form.bearer("secret_id")?;
        let role_id = role_id.expose().as_str();
        if role_id.len() > LONGEST {
            return Err(Rejection::invalid(WRONG));
        }
        let found = self
            .entries
            .find_by_alias::<AppRole>(mount, role_id)
            .await?;
        let Some(found) = found else {
            // As a role would that wants one, which is looked for, too.
            return Err(match secret_id {
                Some(secret_id) => {
                    let nobody = EntryName::of_nobody();
                    self.presented(mount, &nobody, secret_id.expose()).await?;
                    Rejection::Unknown(WRONG)
                }
                None => Rejection::invalid("missing secret_id"),
            });
        };
        let mut standing = found.standing();
        let (name, role) = (found.name, found.entry);
        let row = match (role.bind_secret_id, &secret_id) {
            (false, _) => None,
            (true, None) => return Err(Rejection::invalid("missing secret_id")),
            (true, Some(secret_id)) => {
                let presented = self.presented(mount, &name, secret_id.expose());
                Some(presented.await?.ok_or(Rejection::Wrong(WRONG))?)
            }
        };
        let facts = row.as_ref().map(|row| &row.facts);
        refuse_stranger(&role, facts, attempt.peer)?;
        let parameters = &mut standing.parameters;
        if let Some(facts) = facts.filter(|facts| !facts.token_bound_cidrs.is_empty()) {
            parameters.bound_cidrs.clone_from(&facts.token_bound_cidrs);
        }
        // Before a use is taken for nothing.
        if !parameters.admits(attempt.peer) {
            return Err(Refusal::Denied.into());
        }
        if let Some(row) = &row
            && !self.take_use(mount, row).await?
        {
            return Err(Rejection::Wrong(WRONG));
        }
        Ok(Claims {
            standing,
            display_name: String::new(),
            metadata: metadata_of(facts, &name),
        })
    }

    async fn standing(&self, mount: &LoginMount, name: &str) -> Result<Option<Standing>, Refusal> {
        let found = self.entries.find::<AppRole>(mount, name).await?;
        Ok(found.map(|role| role.standing()))
    }

    async fn is_known(&self, mount: &LoginMount, role_id: &str) -> Result<bool, Refusal> {
        let found = self.entries.find_by_alias::<AppRole>(mount, role_id);
        Ok(found.await?.is_some())
    }
}

/// Refuses an address that the secret id or the role does not name. What a secret
/// id names must still lie within what the role does.
fn refuse_stranger(
    role: &AppRole,
    facts: Option<&SecretIdFacts>,
    peer: IpAddr,
) -> Result<(), Refusal> {
    let of_secret_id = facts.map_or(&[][..], |facts| &facts.cidr_list);
    if !covers(&role.secret_id_bound_cidrs, of_secret_id) {
        return Err(Refusal::Invalid(
            "the addresses of this secret ID are no longer within secret_id_bound_cidrs of its role: make a new one".into(),
        ));
    }
    for (ranges, whose) in [
        (of_secret_id, "the secret ID"),
        (&role.secret_id_bound_cidrs, "the role"),
    ] {
        if !admits(ranges, peer) {
            return Err(Refusal::Invalid(format!(
                "source address {peer} unauthorized by CIDR restrictions on {whose}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|range| range.parse().unwrap()).collect()
    }

    #[test]
    fn a_role_that_anybody_could_use_is_refused() {
        for (bind, cidrs, token_cidrs, fits) in [
            (true, &[][..], &[][..], true),
            (false, &[], &[], false),
            (false, &["10.0.0.0/8"], &[], true),
            (false, &[], &["10.0.0.0/8"], true),
        ] {
            let mut role = AppRole::new().unwrap();
            role.bind_secret_id = bind;
            role.secret_id_bound_cidrs = ranges(cidrs);
            role.token.bound_cidrs = ranges(token_cidrs);
            assert_eq!(
                role.check().is_ok(),
                fits,
                "{bind} {cidrs:?} {token_cidrs:?}"
            );
        }
        for id in ["", " ", " x", &"x".repeat(5000)] {
            let role = AppRole {
                role_id: id.into(),
                ..AppRole::new().unwrap()
            };
            assert!(role.check().is_err(), "{id:?}");
        }
    }

    #[test]
    fn an_address_must_be_in_the_ranges_of_both() {
        for (of_role, of_secret_id, peer, fits) in [
            (&[][..], &[][..], "10.1.1.1", true),
            (&["10.0.0.0/8"], &[], "10.1.1.1", true),
            (&["10.0.0.0/8"], &[], "11.1.1.1", false),
            (&[], &["10.1.0.0/16"], "10.1.1.1", true),
            (&[], &["10.1.0.0/16"], "10.2.1.1", false),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.1.1", true),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "10.2.1.1", false),
            // The role was narrowed after the secret id was made.
            (&["10.2.0.0/16"], &["10.1.0.0/16"], "10.1.1.1", false),
        ] {
            let role = AppRole {
                secret_id_bound_cidrs: ranges(of_role),
                ..AppRole::new().unwrap()
            };
            let facts = SecretIdFacts {
                cidr_list: ranges(of_secret_id),
                ..SecretIdFacts::default()
            };
            let outcome = refuse_stranger(&role, Some(&facts), peer.parse().unwrap());
            assert_eq!(outcome.is_ok(), fits, "{of_role:?} {of_secret_id:?} {peer}");
        }
    }
}
