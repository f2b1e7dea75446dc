//! Leases by prefix: listing them, and ordering the end of all of them.
//!
//! A prefix is the beginning of a lease id that ends at a slash: of a mount's
//! path, a mount, its `creds`, a role, or a whole id. The path may be one that the mount
//! had before it was moved: then the prefix is one of the ids that leases had there, and
//! covers those, whoever has the path now. Lists show the present ids.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use lessor_model::{
    event::Event,
    id::{LeaseId, MountPath, OperationId, RoleName},
    refusal::Refusal,
};
use lessor_store::FormerPath;

use super::{Leases, RevokeOutcome};
use crate::{
    fault,
    mount::{Connection, Mount},
};

/// Most ids that one list answers: what a person or a client can use.
const LIST_LIMIT: usize = 10_000;

/// The progress of the end of leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// None is left.
    Ended,
    /// Some are left, which upstream may end any moment.
    UnderWay,
    /// Upstream refused to end those that are left, or does not answer; why one of them
    /// is not ended.
    Failing(Option<String>),
}

/// The leases of one mount that a prefix covers.
#[derive(Debug)]
pub(super) struct Covered {
    pub(super) mount: Arc<Mount>,
    pub(super) cover: Cover,
    /// The last operation whose lease has an id under the prefix.
    pub(super) newest: OperationId,
}

/// A choice of the leases of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    Everything,
    Role(RoleName),
    One(LeaseId),
}

impl Leases {
    /// Orders the end of every lease under a prefix, in one short transaction per
    /// mount, and answers with their number; they are ended in the background.
    ///
    /// # Errors
    /// `Invalid` for an empty prefix; where storage fails.
    pub async fn revoke_prefix(&self, prefix: &str) -> Result<usize, Refusal> {
        self.order_ends(prefix, self.covered(prefix)?).await
    }

    /// Orders the end of every lease that a connection has made, as
    /// [`Self::revoke_prefix`].
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn revoke_all(&self, connection: &Connection) -> Result<usize, Refusal> {
        let ending = self.storage.leases_by_connection(connection.id).await?;
        let now = self.clock.now();
        self.storage.order_revocation_by(connection.id, now).await?;
        fault::point("revoke-prefix.after_order");
        self.ordered(connection.path().as_str(), ending);
        Ok(ending)
    }

    async fn order_ends(&self, prefix: &str, covered: Vec<Covered>) -> Result<usize, Refusal> {
        let now = self.clock.now();
        let mut ending = 0;
        for Covered {
            mount,
            cover,
            newest,
        } in covered
        {
            let role = match cover {
                Cover::Everything => None,
                Cover::Role(role) => Some(role),
                Cover::One(id) => {
                    ending += usize::from(self.revoke(&id).await? != RevokeOutcome::Unknown);
                    continue;
                }
            };
            let total = self.storage.total_leases(mount.id, role.clone(), newest);
            ending += total.await?;
            let order = self.storage.order_revocation(mount.id, role, newest, now);
            order.await?;
            fault::point("revoke-prefix.after_order");
        }
        self.ordered(prefix, ending);
        Ok(ending)
    }

    /// Tells of an order, and has it carried out.
    fn ordered(&self, prefix: &str, ending: usize) {
        // A prefix without a lease changes nothing, and may be a token by mistake.
        if ending > 0 {
            let prefix = prefix.to_owned();
            Event::LeasesOrdered { prefix, ending }.record();
        }
    }

    /// Waits until no lease under a prefix, or of its mount `of`, that was made before
    /// `newest` is left, or all that are left have failed to end, or `limit` has passed.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn await_end(
        &self,
        prefix: &str,
        of: Option<i64>,
        newest: OperationId,
        limit: Duration,
    ) -> Result<Ending, Refusal> {
        self.await_settled(limit, || self.ending_before(prefix, of, newest))
            .await
    }

    /// The same of all leases that a connection has made.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn await_end_of(
        &self,
        connection: &Connection,
        newest: OperationId,
        limit: Duration,
    ) -> Result<Ending, Refusal> {
        self.await_settled(limit, || self.ending_by(connection, None, newest, false))
            .await
    }

    /// Asks how far leases have ended, and again whenever one has, until there is no more
    /// to wait for or `limit` has passed.
    async fn await_settled<F: Future<Output = Result<Ending, Refusal>>>(
        &self,
        limit: Duration,
        ask: impl Fn() -> F,
    ) -> Result<Ending, Refusal> {
        let settled = async {
            loop {
                let ended = self.ended.notified();
                match ask().await? {
                    Ending::UnderWay => ended.await,
                    settled => return Ok(settled),
                }
            }
        };
        match tokio::time::timeout(limit, settled).await {
            Ok(settled) => settled,
            Err(_) => Ok(Ending::UnderWay),
        }
    }

    /// The progress of the end of one connection's leases, or of those of a role, or of one.
    async fn ending_by(
        &self,
        connection: &Connection,
        role: Option<RoleName>,
        newest: OperationId,
        alone: bool,
    ) -> Result<Ending, Refusal> {
        let now = self.clock.now();
        let left = self
            .storage
            .ending_before(connection.id, role, newest, alone, now);
        Ok(match left.await? {
            None => Ending::Ended,
            Some(left) if left.untried && !connection.is_upstream_down() => Ending::UnderWay,
            Some(left) => Ending::Failing(left.last_error),
        })
    }

    async fn ending_before(
        &self,
        prefix: &str,
        of: Option<i64>,
        newest: OperationId,
    ) -> Result<Ending, Refusal> {
        let mut standing = Ending::Ended;
        for covered in self.covered_of(prefix, of)? {
            let (mount, newest) = (covered.mount, newest.min(covered.newest));
            let (role, one) = match covered.cover {
                Cover::Everything => (None, None),
                Cover::Role(role) => (Some(role), None),
                Cover::One(id) => (Some(id.role), Some(id.operation)),
            };
            let (newest, alone) = (one.unwrap_or(newest), one.is_some());
            for connection in self.mounts.connections_of(&mount) {
                let left = self.ending_by(&connection, role.clone(), newest, alone);
                match left.await? {
                    Ending::Ended => {}
                    Ending::UnderWay => return Ok(Ending::UnderWay),
                    failing @ Ending::Failing(_) => standing = failing,
                }
            }
        }
        Ok(standing)
    }

    /// Waits until no lease under a prefix, or of its mount `of`, is left that was made
    /// before `newest`.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn drained_before(
        &self,
        prefix: &str,
        of: Option<i64>,
        newest: OperationId,
    ) -> Result<(), Refusal> {
        loop {
            let ended = self.ended.notified();
            if !self.any_before(prefix, of, newest).await? {
                return Ok(());
            }
            ended.await;
        }
    }

    /// The mounts of which a prefix covers something, and what.
    pub(super) fn covered(&self, prefix: &str) -> Result<Vec<Covered>, Refusal> {
        if prefix.trim_matches('/').is_empty() {
            return Err(Refusal::Invalid(
                "prefix must not be empty; name a mount such as db, or a role such as db/creds/reader".into(),
            ));
        }
        let mounts = self.mounts.every().into_iter();
        let covered = mounts.flat_map(|mount| {
            let covers = covers(mount.path(), &mount.former, prefix);
            covers.into_iter().map(move |(cover, newest)| Covered {
                mount: Arc::clone(&mount),
                cover,
                newest,
            })
        });
        Ok(covered.collect())
    }

    /// The same of one mount alone, where one is named.
    fn covered_of(&self, prefix: &str, of: Option<i64>) -> Result<Vec<Covered>, Refusal> {
        let mut covered = self.covered(prefix)?;
        covered.retain(|covered| of.is_none_or(|id| covered.mount.id == id));
        Ok(covered)
    }

    async fn any_before(
        &self,
        prefix: &str,
        of: Option<i64>,
        newest: OperationId,
    ) -> Result<bool, Refusal> {
        for covered in self.covered_of(prefix, of)? {
            let (mount, newest) = (covered.mount.id, newest.min(covered.newest));
            let role = match covered.cover {
                Cover::Everything => None,
                Cover::Role(role) => Some(role),
                Cover::One(id) if self.storage.lease(id.operation).await?.is_some() => {
                    return Ok(true);
                }
                Cover::One(_) => continue,
            };
            if self.storage.has_leases_before(mount, role, newest).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The entries right under a prefix: names that end in a slash, or the last segments of lease
    /// ids.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, Refusal> {
        let prefix = prefix.trim_matches('/');
        let mut keys = BTreeSet::new();
        for mount in self.mounts.every() {
            let path = mount.path().as_str();
            if prefix.is_empty()
                || path
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with('/'))
            {
                let rest = path
                    .strip_prefix(prefix)
                    .unwrap_or(path)
                    .trim_start_matches('/');
                if !self.storage.leased_role_names(mount.id).await?.is_empty()
                    && let Some(first) = rest.split('/').next()
                {
                    keys.insert(format!("{first}/"));
                }
            } else if let Some(rest) = below(path, prefix) {
                self.list_within(&mount, rest, &mut keys).await?;
            }
        }
        Ok(keys.into_iter().collect())
    }

    async fn list_within(
        &self,
        mount: &Mount,
        rest: &str,
        keys: &mut BTreeSet<String>,
    ) -> Result<(), Refusal> {
        if rest.is_empty() {
            if !self.storage.leased_role_names(mount.id).await?.is_empty() {
                keys.insert("creds/".into());
            }
        } else if rest == "creds" {
            let roles = self.storage.leased_role_names(mount.id).await?;
            keys.extend(roles.into_iter().map(|role| format!("{role}/")));
        } else if let Some(role) = rest
            .strip_prefix("creds/")
            .and_then(|role| role.parse::<RoleName>().ok())
        {
            let ids = self.storage.lease_ids(mount.id, role, LIST_LIMIT).await?;
            keys.extend(ids.into_iter().map(|id| id.to_string()));
        }
        Ok(())
    }

    /// Number of leases by mount and state.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn count(&self) -> Result<Vec<(String, String, u64)>, Refusal> {
        let mut counts = Vec::new();
        for mount in self.mounts.every() {
            for (state, number) in self.storage.count_leases(mount.id).await? {
                counts.push((mount.path().to_string(), state, number));
            }
        }
        counts.sort();
        Ok(counts)
    }
}

/// The rest of `prefix` below a mount's path.
fn below<'p>(path: &str, prefix: &'p str) -> Option<&'p str> {
    let rest = prefix.strip_prefix(path)?;
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix('/')
    }
}

/// The leases of a mount that a prefix covers under its path and its former paths, each path with
/// the last operation whose lease has an id there.
fn covers(path: &MountPath, former: &[FormerPath], prefix: &str) -> Vec<(Cover, OperationId)> {
    let present = cover(path.as_str(), prefix).map(|cover| (cover, OperationId::GREATEST));
    let mut covers: Vec<_> = present.into_iter().collect();
    for former in former {
        let Some(more) = cover(former.path.as_str(), prefix) else {
            continue;
        };
        match covers.iter_mut().find(|(known, _)| *known == more) {
            Some((_, newest)) => *newest = former.newest.max(*newest),
            None => covers.push((more, former.newest)),
        }
    }
    covers
}

/// The leases that a prefix covers of the mount at `path`; none where it covers nothing.
fn cover(path: &str, prefix: &str) -> Option<Cover> {
    let prefix = prefix.trim_matches('/');
    let above = path.strip_prefix(prefix);
    if above.is_some_and(|rest| rest.starts_with('/')) {
        return Some(Cover::Everything);
    }
    let rest = below(path, prefix)?;
    if rest.is_empty() || rest == "creds" {
        return Some(Cover::Everything);
    }
    match rest.strip_prefix("creds/")?.parse() {
        Ok(role) => Some(Cover::Role(role)),
        Err(_) => prefix.parse().ok().map(Cover::One),
    }
}

#[cfg(test)]
mod tests;
