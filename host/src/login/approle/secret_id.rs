//! Secret ids: made, looked up, destroyed. Their values are answered once, when
//! they are made, and stored as keyed hashes alone.

use std::{collections::BTreeMap, time::Duration};

use ipnet::IpNet;
use lessor_model::{
    addresses::covers, clock::Timestamp, event::Event, login::SecretIdFacts, name::EntryName,
    random, refusal::Refusal, secret::Secret,
};
use lessor_store::SecretIdRow;

use super::{AppRole, AppRoles, LONGEST};
use crate::login::{LoginMount, entries::parse_name};

/// A secret id that is asked for.
#[derive(Debug, Default)]
pub struct NewSecretId {
    /// The value, where its maker chooses it.
    pub value: Option<Secret<String>>,
    /// The metadata of its tokens.
    pub metadata: BTreeMap<String, String>,
    /// From where it may be used.
    pub cidr_list: Vec<IpNet>,
    /// From where its tokens may be used.
    pub token_bound_cidrs: Vec<IpNet>,
    /// Logins; absent: as the role says.
    pub num_uses: Option<u64>,
    /// Its lifetime; absent: as the role says.
    pub ttl: Option<Duration>,
}

/// A secret id as shown.
#[derive(Clone, Debug)]
pub struct SecretIdView {
    /// Names it.
    pub accessor: String,
    /// Logins that are left; 0: any number.
    pub num_uses: u64,
    /// The time when it ends; absent: never.
    pub expires_at: Option<Timestamp>,
    /// The rest.
    pub facts: SecretIdFacts,
}

impl From<SecretIdRow> for SecretIdView {
    fn from(row: SecretIdRow) -> Self {
        Self {
            accessor: row.accessor,
            num_uses: row.uses_left.unwrap_or(0),
            expires_at: row.expires_at,
            facts: row.facts,
        }
    }
}

impl AppRoles {
    /// Makes a secret id; its value is told here and never again.
    ///
    /// # Errors
    /// `NotFound` for an unknown role; one sentence where the role does not allow
    /// what is asked.
    pub async fn make_secret_id(
        &self,
        mount: &LoginMount,
        role_name: &str,
        asked: NewSecretId,
    ) -> Result<(Secret<String>, SecretIdView), Refusal> {
        let _open = mount.enter().await?;
        let name = parse_name::<AppRole>(role_name)?;
        let role = self.existing(mount, &name).await?;
        let now = self.clock.now();
        let (uses, ttl) = allowed(&role, &asked).map_err(Refusal::Invalid)?;
        let ttl = ttl.min(mount.spec.tune.longest());
        let value = match asked.value {
            Some(value) if value.expose().len() > LONGEST => {
                return Err(Refusal::Invalid(format!(
                    "secret_id must be at most {LONGEST} bytes"
                )));
            }
            Some(value) => value,
            None => Secret::new(random::uuid()?),
        };
        let row = SecretIdRow {
            role: name.clone(),
            hash: self.keyring.secret_id_hash(value.expose().trim()),
            accessor: random::uuid()?,
            uses_left: (uses > 0).then_some(uses),
            expires_at: (!ttl.is_zero()).then(|| now.plus(ttl)),
            facts: SecretIdFacts {
                cidr_list: asked.cidr_list,
                token_bound_cidrs: asked.token_bound_cidrs,
                metadata: asked.metadata,
                ttl,
                created_at: now,
                updated_at: now,
            },
        };
        let recorded = self.storage.record_secret_id(mount.id, row.clone(), now);
        let expired = match recorded.await {
            Err(error) if error.is_duplicate() => {
                // The role may have gone at this moment, too.
                self.existing(mount, &name).await?;
                return Err(Refusal::Conflict(
                    "secret_id: the role has this secret ID already".into(),
                ));
            }
            other => other?,
        };
        swept(mount, expired);
        Event::SecretIdCreated {
            path: mount.path().clone(),
            role: name.to_string(),
            accessor: row.accessor.clone(),
        }
        .record();
        Ok((value, row.into()))
    }

    /// A secret id by its value; none where the role has none such.
    ///
    /// # Errors
    /// `NotFound` for an unknown role.
    pub async fn look_up(
        &self,
        mount: &LoginMount,
        role: &str,
        value: &Secret<String>,
    ) -> Result<Option<SecretIdView>, Refusal> {
        let name = parse_name::<AppRole>(role)?;
        self.existing(mount, &name).await?;
        let found = self.presented(mount, &name, value.expose().trim()).await?;
        Ok(found.map(SecretIdView::from))
    }

    /// A secret id by its accessor.
    ///
    /// # Errors
    /// `NotFound` for an unknown role or accessor.
    pub async fn look_up_accessor(
        &self,
        mount: &LoginMount,
        role: &str,
        accessor: &str,
    ) -> Result<SecretIdView, Refusal> {
        Ok(self.by_accessor(mount, role, accessor).await?.into())
    }

    /// Destroys a secret id by its value; gone already is done.
    ///
    /// # Errors
    /// `NotFound` for an unknown role.
    pub async fn destroy(
        &self,
        mount: &LoginMount,
        role: &str,
        value: &Secret<String>,
    ) -> Result<(), Refusal> {
        let name = parse_name::<AppRole>(role)?;
        self.existing(mount, &name).await?;
        let hash = self.keyring.secret_id_hash(value.expose().trim());
        let role = name.to_string();
        if self.storage.remove_secret_id(mount.id, name, hash).await? {
            let (path, accessor) = (mount.path().clone(), None);
            Event::SecretIdDestroyed {
                path,
                role,
                accessor,
            }
            .record();
        }
        Ok(())
    }

    /// Destroys a secret id by its accessor.
    ///
    /// # Errors
    /// `NotFound` for an unknown role or accessor.
    pub async fn destroy_accessor(
        &self,
        mount: &LoginMount,
        role: &str,
        accessor: &str,
    ) -> Result<(), Refusal> {
        let row = self.by_accessor(mount, role, accessor).await?;
        let removed = self.storage.remove_secret_id(mount.id, row.role, row.hash);
        if removed.await? {
            Event::SecretIdDestroyed {
                path: mount.path().clone(),
                role: role.to_owned(),
                accessor: Some(row.accessor),
            }
            .record();
        }
        Ok(())
    }

    /// Accessors of a role's secret ids.
    ///
    /// # Errors
    /// `NotFound` for an unknown role.
    pub async fn accessors(&self, mount: &LoginMount, role: &str) -> Result<Vec<String>, Refusal> {
        let name = parse_name::<AppRole>(role)?;
        self.existing(mount, &name).await?;
        let now = self.clock.now();
        Ok(self
            .storage
            .secret_id_accessors(mount.id, name, now)
            .await?)
    }

    /// Removes the secret ids that have ended.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn tidy(&self, mount: &LoginMount) -> Result<(), Refusal> {
        let now = self.clock.now();
        let removed = self.storage.sweep_secret_ids(mount.id, now).await?;
        swept(mount, removed);
        Ok(())
    }

    async fn by_accessor(
        &self,
        mount: &LoginMount,
        role: &str,
        accessor: &str,
    ) -> Result<SecretIdRow, Refusal> {
        let name = parse_name::<AppRole>(role)?;
        self.existing(mount, &name).await?;
        let now = self.clock.now();
        let found = self
            .storage
            .secret_id_by_accessor(mount.id, name, accessor.to_owned(), now);
        found.await?.ok_or_else(|| {
            Refusal::NotFound(
                "secret_id_accessor: the role has no secret ID of this accessor".into(),
            )
        })
    }

    async fn existing(&self, mount: &LoginMount, name: &EntryName) -> Result<AppRole, Refusal> {
        let found = self.entries.named(mount, name).await?;
        let found = found.map(|found| found.entry);
        found.ok_or_else(|| Refusal::NotFound(format!("role {name:?} does not exist")))
    }
}

/// Tells of secret ids that were swept out.
fn swept(mount: &LoginMount, count: usize) {
    if count > 0 {
        let path = mount.path().clone();
        Event::SecretIdsExpired { path, count }.record();
    }
}

/// Uses and length of a secret id, where its role allows them.
fn allowed(role: &AppRole, asked: &NewSecretId) -> Result<(u64, Duration), String> {
    if !role.bind_secret_id {
        return Err(
            "bind_secret_id is not set on the role, so that a secret ID is of no use".into(),
        );
    }
    for (field, inner, outer, outer_field) in [
        (
            "cidr_list",
            &asked.cidr_list,
            &role.secret_id_bound_cidrs,
            "secret_id_bound_cidrs",
        ),
        (
            "token_bound_cidrs",
            &asked.token_bound_cidrs,
            &role.token.bound_cidrs,
            "token_bound_cidrs",
        ),
    ] {
        if !covers(outer, inner) {
            return Err(format!("{field} must lie within {outer_field} of the role"));
        }
    }
    let uses = asked.num_uses.unwrap_or(role.secret_id_num_uses);
    if role.secret_id_num_uses > 0 && (uses == 0 || uses > role.secret_id_num_uses) {
        return Err("num_uses cannot be higher than the role's secret_id_num_uses".into());
    }
    let ttl = asked.ttl.unwrap_or(role.secret_id_ttl);
    if !role.secret_id_ttl.is_zero() && (ttl.is_zero() || ttl > role.secret_id_ttl) {
        return Err("ttl cannot be longer than the role's secret_id_ttl".into());
    }
    Ok((uses, ttl))
}

/// The metadata of a token: that of the secret id, and the name of the role.
pub(super) fn metadata_of(
    facts: Option<&SecretIdFacts>,
    role: &EntryName,
) -> BTreeMap<String, String> {
    let mut metadata = facts
        .map(|facts| facts.metadata.clone())
        .unwrap_or_default();
    metadata.insert("role_name".into(), role.to_string());
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_id_stays_within_its_role() {
        let seconds = Duration::from_secs;
        let role = |uses, ttl, cidrs: &[&str]| {
            let mut role = AppRole::new().unwrap();
            role.secret_id_num_uses = uses;
            role.secret_id_ttl = seconds(ttl);
            role.secret_id_bound_cidrs = cidrs.iter().map(|range| range.parse().unwrap()).collect();
            role
        };
        let asked = |num_uses, ttl: Option<u64>, cidrs: &[&str]| NewSecretId {
            num_uses,
            ttl: ttl.map(seconds),
            cidr_list: cidrs.iter().map(|range| range.parse().unwrap()).collect(),
            ..NewSecretId::default()
        };
        for (role, asked, expected) in [
            (role(0, 0, &[]), asked(None, None, &[]), Ok((0, 0))),
            (role(3, 60, &[]), asked(None, None, &[]), Ok((3, 60))),
            (role(3, 60, &[]), asked(Some(2), Some(30), &[]), Ok((2, 30))),
            (role(0, 0, &[]), asked(Some(2), Some(30), &[]), Ok((2, 30))),
            (role(3, 0, &[]), asked(Some(4), None, &[]), Err("num_uses")),
            (role(3, 0, &[]), asked(Some(0), None, &[]), Err("num_uses")),
            (role(0, 60, &[]), asked(None, Some(61), &[]), Err("ttl")),
            (role(0, 60, &[]), asked(None, Some(0), &[]), Err("ttl")),
            (
                role(0, 0, &["10.0.0.0/8"]),
                asked(None, None, &["10.1.0.0/16"]),
                Ok((0, 0)),
            ),
            (
                role(0, 0, &["10.0.0.0/8"]),
                asked(None, None, &["0.0.0.0/0"]),
                Err("cidr_list"),
            ),
        ] {
            match (allowed(&role, &asked), expected) {
                (Ok((uses, ttl)), Ok((wanted, length))) => {
                    assert_eq!((uses, ttl), (wanted, seconds(length)));
                }
                (Err(sentence), Err(field)) => {
                    assert!(sentence.starts_with(field), "{sentence}");
                }
                (got, expected) => panic!("{got:?} instead of {expected:?}"),
            }
        }
        let mut unbound = role(0, 0, &["10.0.0.0/8"]);
        unbound.bind_secret_id = false;
        assert!(allowed(&unbound, &NewSecretId::default()).is_err());
    }
}
