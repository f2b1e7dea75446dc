//! The policies that are stored, and what sets of them come to.
//!
//! `api` writes and shows them; whoever identifies a caller asks
//! [`Policies::acl`] for what the policies of a token allow. What a set of names
//! comes to is kept in memory until any policy changes. A policy that cannot be
//! read makes every set with it fail, so that a denial in it is never lost.

mod built_in;

use lessor_model::{
    clock::{Clock, Timestamp},
    event::Event,
    name::PolicyName,
    refusal::Refusal,
    suggest::shown,
};
use lessor_store::{PolicyRow, Storage, kept::Kept};

use self::built_in::{BuiltIn, built_in};
use crate::{
    policy::{Acl, Policy},
    token::{DEFAULT, ROOT, WRAPPING},
};

/// The stored policies.
#[derive(Debug)]
pub struct Policies {
    storage: Storage,
    clock: Clock,
    /// By their sorted names.
    acls: Kept<Vec<PolicyName>, Acl>,
}

/// A policy as shown.
#[derive(Clone, Debug)]
pub struct PolicyView {
    /// Its name.
    pub name: PolicyName,
    /// As it was written: HCL or JSON; empty for `root`.
    pub text: String,
    /// The number of times that it was written.
    pub version: i64,
    /// The time when it was written last; absent: never, it is built in.
    pub written_at: Option<Timestamp>,
}

impl Policies {
    /// The policies in `storage`.
    pub fn new(storage: Storage, clock: Clock) -> Self {
        Self {
            acls: Kept::until(storage.policy_changes()),
            storage,
            clock,
        }
    }

    /// The rights that policies grant together. `root` allows everything; a name that is not known
    /// allows nothing.
    ///
    /// # Errors
    /// Where storage fails or holds what is no policy.
    pub async fn acl(&self, names: &[String]) -> Result<Acl, Refusal> {
        let names = names.iter().map(|name| PolicyName::from(name.as_str()));
        let mut names: Vec<PolicyName> = names.collect();
        names.sort_unstable();
        names.dedup();
        if names.iter().any(|name| name.as_str() == ROOT) {
            return Ok(Acl::root());
        }
        let read = self.read_acl(&names);
        self.acls.get(names.clone(), read).await
    }

    /// A policy; none where there is none of that name.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn read(&self, name: &str) -> Result<Option<PolicyView>, Refusal> {
        let name = PolicyName::from(name);
        if name.as_str() == ROOT {
            return Ok(Some(PolicyView {
                name,
                text: String::new(),
                version: 0,
                written_at: None,
            }));
        }
        Ok(self.views(&[name]).await?.pop())
    }

    /// Writes a policy. Where `expected` is given, it must be the version that
    /// stands, or -1 where none may.
    ///
    /// # Errors
    /// Where the name is taken by what cannot be written, the text is no policy,
    /// the version is another, or storage fails.
    pub async fn write(
        &self,
        name: &str,
        text: &str,
        expected: Option<i64>,
    ) -> Result<(), Refusal> {
        let name = PolicyName::from(name);
        if [ROOT, WRAPPING].contains(&name.as_str()) {
            return Err(Refusal::Invalid(format!(
                "the policy {name} is built in and cannot be written: choose another name"
            )));
        }
        if !name.fits() {
            return Err(Refusal::Invalid(format!(
                "{:?} cannot be the name of a policy: {}",
                shown(name.as_str()),
                PolicyName::RULE
            )));
        }
        Policy::parse(text)
            .map_err(|sentence| Refusal::Invalid(format!("policy is not valid: {sentence}")))?;
        let unwritten = built_in(name.as_str()).map_or(0, |built_in| built_in.version);
        let written = self.storage.write_policy(
            name.clone(),
            text.to_owned(),
            expected,
            unwritten,
            self.clock.now(),
        );
        if written.await? {
            let policy = name.to_string();
            Event::PolicyWritten { policy }.record();
            return Ok(());
        }
        Err(Refusal::Invalid(format!(
            "cas is not the version of the policy {name}: read it again"
        )))
    }

    /// Removes a policy; gone already is done.
    ///
    /// # Errors
    /// Where the policy is built in, or storage fails.
    pub async fn delete(&self, name: &str) -> Result<(), Refusal> {
        let name = PolicyName::from(name);
        if [ROOT, DEFAULT, WRAPPING].contains(&name.as_str()) {
            return Err(Refusal::Invalid(format!(
                "the policy {name} is built in and cannot be deleted"
            )));
        }
        if self.storage.remove_policy(name.clone()).await? {
            let policy = name.to_string();
            Event::PolicyRemoved { policy }.record();
        }
        Ok(())
    }

    /// Names of all policies that begin with `prefix`, in order; `root` last. That of
    /// wrapped answers, which no token can be given, is not among them.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, Refusal> {
        let mut names = self.storage.policy_names().await?;
        if let Err(place) = names.binary_search_by(|name| name.as_str().cmp(DEFAULT)) {
            names.insert(place, DEFAULT.to_owned());
        }
        names.retain(|name| name.starts_with(prefix));
        if prefix.is_empty() {
            names.push(ROOT.to_owned());
        }
        Ok(names)
    }

    /// The rights that these policies grant together, as they are stored now.
    async fn read_acl(&self, names: &[PolicyName]) -> Result<Acl, Refusal> {
        let mut policies = Vec::new();
        for view in self.views(names).await? {
            let policy = Policy::parse(&view.text).map_err(|sentence| {
                Refusal::internal(Unreadable {
                    name: view.name,
                    sentence,
                })
            })?;
            policies.push(policy);
        }
        Ok(Acl::of(&policies))
    }

    /// The policies of some names as stored, else as built in.
    async fn views(&self, names: &[PolicyName]) -> Result<Vec<PolicyView>, Refusal> {
        let rows = self.storage.policies(names.to_vec()).await?;
        let is_stored = |name: &PolicyName| rows.iter().any(|row| row.name == *name);
        let standing: Vec<PolicyView> = names
            .iter()
            .filter(|name| !is_stored(name))
            .filter_map(|name| built_in(name.as_str()))
            .map(PolicyView::from)
            .collect();
        let stored = rows.into_iter().map(PolicyView::from);
        Ok(stored.chain(standing).collect())
    }
}

impl From<PolicyRow> for PolicyView {
    fn from(row: PolicyRow) -> Self {
        Self {
            name: row.name,
            text: row.text,
            version: row.version,
            written_at: Some(row.written_at),
        }
    }
}

impl From<BuiltIn> for PolicyView {
    fn from(built_in: BuiltIn) -> Self {
        Self {
            name: built_in.name.into(),
            text: built_in.text.to_owned(),
            version: built_in.version,
            written_at: None,
        }
    }
}

/// A stored text that this program does not read.
#[derive(Debug, thiserror::Error)]
#[error("the stored policy {name} is not valid: {sentence}")]
struct Unreadable {
    name: PolicyName,
    sentence: String,
}

#[cfg(test)]
mod tests;
