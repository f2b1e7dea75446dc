//! Reconciling: what upstream holds of a mount, against the leases.
//!
//! Both change while they are read, so the order of the readings decides what may
//! be believed. Two facts carry it: a lease's row is committed before upstream is
//! asked for anything, and leaves only after upstream has ended the credential.
//!
//! - An *orphan* is listed upstream, then held by no lease, then listed upstream
//!   again. Held by none, it is not being made, because its row would have come
//!   before it; listed again, it is not one whose lease has just ended, because
//!   upstream had ended it before the row went.
//! - A *vanished* credential belongs to a lease that is active, then is not
//!   listed, and its lease is still active afterwards.
//!
//! Upstream may name a credential otherwise than it was asked to. Then a lease
//! that does not know its credential's id yet may stand for any that no lease
//! knows, and those are *undecided* while the same lease is still without an id.
//!
//! An orphan is ended only where the caller names it. The provider knows its own
//! by the mount's path, so another installation with a mount of this path on the
//! same upstream system, or the one that this was restored from, looks like a
//! maker of orphans; nothing here could tell the difference.
//!
//! A provider that lists without end holds nobody up: what is taken in is bounded in
//! bytes and pages, there is one comparison at a time, and whoever drives it bounds its
//! time (`task` does) and may drop it at any moment.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use lessor_model::{
    clock::Timestamp,
    event::Event,
    id::{ConnectionId, ConnectionName, LeaseId, MountPath, OperationId},
    provider::{Failure, FailureClass, Page, Requester, Revocation, Trigger},
    refusal::Refusal,
};
use lessor_store::{Holding, LeaseState};
use serde_json::{Value, json};

use super::Leases;
use crate::{catalog::Plugin, mount::Connection};

/// Most credentials of a kind that one answer names. Their number is told in
/// full; the rest shows once the first are dealt with.
const SHOWN: usize = 1_000;

/// The number of bytes, about, that the ids of one inventory may take in memory. A comparison holds
/// two inventories at a time.
const HELD_BYTES: usize = 128 << 20;

/// The number of bytes, about, that an id takes in a set beside its own.
const ID_BYTES: usize = 64;

/// Most pages of one inventory that are asked for.
const PAGES: usize = 20_000;

/// Most pages in a row that bring nothing new: some 20,000 things of others, where a page
/// looks at 20.
const IDLE_PAGES: usize = 1_000;

/// Bytes of one list of ids in an answer.
const SHOWN_BYTES: usize = 1 << 20;

/// Bytes of the reason why one orphan is not ended.
const REASON_BYTES: usize = 500;

/// The name under which this appears where a principal's is wanted.
const PRINCIPAL: &str = "reconcile";

/// The number of times that upstream is listed again for the sake of leases in the making: each
/// call ends within moments, and one that never does must not be waited for.
const LOOKS: u32 = 5;

/// The reason why an orphan that was ended without a failure is still there.
const STAYS: &str = "the provider reported no failure, and upstream lists it still";

/// The outcome of comparing upstream with the leases.
#[derive(Debug, Default)]
pub struct Reconciliation {
    /// Credentials upstream.
    pub upstream: usize,
    /// Leases that were made by the connection.
    pub leases: usize,
    /// Credentials upstream without a lease; at most 1,000 of them.
    pub orphans: Vec<String>,
    /// The total number of them.
    pub orphan_count: usize,
    /// Credentials that may belong to leases whose outcome is not known yet.
    pub undecided_count: usize,
    /// Active leases without a credential upstream; at most 1,000 of them.
    pub vanished: Vec<Vanished>,
    /// The total number of them.
    pub vanished_count: usize,
    /// Orphans that were ended upstream.
    pub revoked: Vec<String>,
    /// Orphans that were to be ended and are not, and why.
    pub failed: Vec<(String, String)>,
}

/// A lease whose credential is gone.
#[derive(Debug)]
pub struct Vanished {
    /// The lease.
    pub lease: LeaseId,
    /// Its credential.
    pub credential_id: String,
}

impl Reconciliation {
    /// The outcome as JSON, for the caller.
    pub fn report(&self, dry_run: bool) -> Value {
        let vanished: Vec<Value> = self
            .vanished
            .iter()
            .map(|gone| json!({ "lease_id": gone.lease.to_string(), "credential_id": gone.credential_id }))
            .collect();
        let failed: Vec<Value> = self
            .failed
            .iter()
            .map(|(id, error)| json!({ "credential_id": id, "error": error }))
            .collect();
        json!({
            "dry_run": dry_run,
            "upstream_count": self.upstream,
            "lease_count": self.leases,
            "orphan_count": self.orphan_count,
            "orphans": self.orphans,
            "undecided_count": self.undecided_count,
            "vanished_count": self.vanished_count,
            "vanished": vanished,
            "revoked": self.revoked,
            "failed": failed,
        })
    }
}

impl Leases {
    /// Compares what upstream holds of a mount by one of its connections with the leases,
    /// and ends those orphans that `revoke` names.
    ///
    /// # Errors
    /// `unsupported` where the provider has no inventory; `Invalid` where
    /// `revoke` names what is no orphan, and then nothing is ended; the
    /// provider's failure.
    pub async fn reconcile(
        &self,
        path: &MountPath,
        name: &ConnectionName,
        revoke: &[String],
        requester: Requester,
    ) -> Result<Reconciliation, Refusal> {
        let connection = self.mounts.connection(path, name)?;
        let plugin = self.mounts.plugin(&connection).await?;
        if !plugin.provider.descriptor().abilities.inventory {
            return Err(no_inventory(&connection).into());
        }
        // Each holds much, so they take turns, of all mounts.
        let _turn = self.comparing.lock().await;
        let (mut found, orphans) = self.compare(&connection, &plugin).await?;
        if let Some(id) = revoke.iter().find(|id| !orphans.contains(*id)) {
            return Err(Refusal::Invalid(format!(
                "revoke names {:?}, which is no orphan of {path} (any more): leave it out; this revoked nothing",
                lessor_model::suggest::shown(id)
            )));
        }
        let named: HashSet<&String> = revoke.iter().collect();
        for id in named {
            let ended = self.end_orphan(&connection, &plugin, id, &requester).await;
            match ended {
                Ok(()) => found.revoked.push(id.clone()),
                Err(refusal) => {
                    let mut reason = refusal.to_string();
                    reason.truncate(reason.floor_char_boundary(REASON_BYTES));
                    found.failed.push((id.clone(), reason));
                }
            }
        }
        if !found.revoked.is_empty() {
            // A provider that took the call and did nothing is not believed.
            let left = self.listed(&connection, &plugin).await?;
            found.revoked.retain(|id| {
                let stays = left.contains(id);
                if stays {
                    found.failed.push((id.clone(), STAYS.to_owned()));
                }
                !stays
            });
        }
        for id in &found.revoked {
            let (mount, credential) = (connection.path().clone(), id.clone());
            Event::OrphanRevoked { mount, credential }.record();
        }
        found.revoked.sort();
        found.failed.sort();
        Ok(found)
    }

    /// The comparison, and the orphans in full.
    async fn compare(
        &self,
        connection: &Arc<Connection>,
        plugin: &Arc<Plugin>,
    ) -> Result<(Reconciliation, HashSet<String>), Refusal> {
        let settled = Duration::from_secs(plugin.provider.descriptor().propagation_s.into());
        let before = self.survey(connection, HashSet::new(), settled).await?;
        let listed = self.listed(connection, plugin).await?;
        let upstream = listed.len();
        let mut missing = before.active;
        missing.retain(|_, credential| !listed.contains(credential));

        let after = self.survey(connection, listed, settled).await?;
        missing.retain(|operation, _| after.active.contains_key(operation));
        let (leases, mut orphans, mut undecided_count) = (after.leases, HashSet::new(), 0);
        let (mut unheld, mut nameless) = (after.unheld, after.nameless);
        for _ in 0..LOOKS {
            if unheld.is_empty() {
                break;
            }
            let again = self.listed(connection, plugin).await?;
            unheld.retain(|id| again.contains(id));
            let last = self.survey(connection, unheld, settled).await?;
            nameless.retain(|lease| last.nameless.contains(lease));
            unheld = last.unheld;
            if after.names_as_asked || last.names_as_asked || nameless.is_empty() {
                orphans = std::mem::take(&mut unheld);
            }
            undecided_count = unheld.len();
        }
        let mut shown: Vec<String> = orphans.iter().cloned().collect();
        shown.sort();
        shown.truncate(named(shown.iter().map(String::as_str)));
        let found = Reconciliation {
            upstream,
            leases,
            orphans: shown,
            orphan_count: orphans.len(),
            undecided_count,
            vanished_count: missing.len(),
            vanished: self.shown_vanished(connection, missing).await?,
            ..Reconciliation::default()
        };
        Ok((found, orphans))
    }

    /// Everything that upstream holds of a mount, as one of its connections sees it.
    async fn listed(
        &self,
        connection: &Arc<Connection>,
        plugin: &Arc<Plugin>,
    ) -> Result<HashSet<String>, Refusal> {
        let mut root = self.rotations.root_for(connection, plugin).await?;
        let operation = OperationId::new(self.clock.now())?;
        let (mut listed, mut cursor, mut attempt) = (Listed::new(HELD_BYTES), None::<String>, 1);
        let mut idle = 0;
        for _ in 0..PAGES {
            let asked = root.ask(attempt, |root, attempt| {
                let after = cursor.clone();
                Box::pin(async move {
                    let _slot = connection.slot().await?;
                    let mut call = connection.call(operation, attempt, PRINCIPAL, &root.root);
                    call.trigger = Trigger::Operator;
                    let provider = &plugin.provider;
                    Ok(provider
                        .list_credentials(&call, &root.config, after.as_deref())
                        .await)
                })
            });
            let (last, page) = asked.await?;
            attempt = last;
            let Page { ids: more, next } = page?;
            let known = listed.ids.len();
            if !listed.take(more) {
                return Err(too_large(connection, listed.ids.len()).into());
            }
            idle = match listed.ids.len() == known {
                true => idle + 1,
                false => 0,
            };
            match next {
                None => return Ok(listed.ids),
                // A page that brings nothing new and leads to itself would be followed for
                // ever. One that leads on is of an upstream that lists others' things, too.
                Some(_) if idle > 0 && (next == cursor || idle > IDLE_PAGES) => {
                    return Err(endless(connection, known).into());
                }
                next => cursor = next,
            }
        }
        Err(endless(connection, listed.ids.len()).into())
    }

    /// Reads the leases; `unheld` are the credentials that are looked for.
    async fn survey(
        &self,
        connection: &Connection,
        unheld: HashSet<String>,
        settled: Duration,
    ) -> Result<Survey, Refusal> {
        // An unmounted mount of this path may still be ending its leases; the
        // provider cannot tell its credentials from this one's.
        let here = self
            .mounts
            .every()
            .iter()
            .filter(|other| other.path() == connection.path())
            .map(|other| other.id)
            .collect();
        let survey = Survey::new(connection.id, here, self.clock.now(), settled, unheld);
        let survey = self.storage.each_holding(survey, Survey::see).await?;
        Ok(survey.finished())
    }

    async fn shown_vanished(
        &self,
        connection: &Connection,
        missing: HashMap<Vec<u8>, String>,
    ) -> Result<Vec<Vanished>, Refusal> {
        let mut missing: Vec<_> = missing.into_iter().collect();
        missing.sort();
        let mut shown = Vec::new();
        missing.truncate(named(missing.iter().map(|(_, id)| id.as_str())));
        for (operation, credential_id) in missing {
            let Ok(operation) = operation.try_into().map(OperationId::from_bytes) else {
                continue;
            };
            let row = self.storage.lease(operation).await?;
            if let Some(row) = row.filter(|row| row.state == LeaseState::Active) {
                let lease = LeaseId {
                    mount: connection.path().clone(),
                    role: row.role_name,
                    operation,
                };
                shown.push(Vanished {
                    lease,
                    credential_id,
                });
            }
        }
        Ok(shown)
    }

    /// Ends a credential that no lease holds. A repeat finds nothing, which is
    /// success.
    async fn end_orphan(
        &self,
        connection: &Arc<Connection>,
        plugin: &Arc<Plugin>,
        id: &str,
        requester: &Requester,
    ) -> Result<(), Refusal> {
        let operation = OperationId::new(self.clock.now())?;
        let what = &Revocation::Credential(id.to_owned());
        let revoked = self
            .rotations
            .with_root(connection, plugin, 1, |root, attempt| {
                Box::pin(async move {
                    let mut call = connection.call(operation, attempt, id, &root.root);
                    call.trigger = Trigger::Operator;
                    call.requester = Some(requester.clone());
                    let provider = &plugin.provider;
                    Ok(provider.revoke(&call, &root.config, None, what).await)
                })
            });
        match revoked.await? {
            Err(failure) if failure.class == FailureClass::NotFound => {}
            Err(failure) => {
                Event::OrphanNotRevoked {
                    mount: connection.path().clone(),
                    credential: id.to_owned(),
                    reason: failure.to_string(),
                }
                .record();
                return Err(failure.into());
            }
            Ok(()) => {}
        }
        Ok(())
    }
}

/// The ids of an inventory, as many as there is room for.
#[derive(Debug)]
struct Listed {
    ids: HashSet<String>,
    /// Bytes.
    room: usize,
}

impl Listed {
    fn new(room: usize) -> Self {
        let ids = HashSet::new();
        Self { ids, room }
    }

    /// Takes a page in; false where there is no room for it.
    fn take(&mut self, page: Vec<String>) -> bool {
        for id in page {
            if self.ids.contains(&id) {
                continue;
            }
            let Some(room) = self.room.checked_sub(id.len() + ID_BYTES) else {
                return false;
            };
            self.room = room;
            self.ids.insert(id);
        }
        true
    }
}

/// One reading of the leases.
#[derive(Debug)]
struct Survey {
    /// The connection whose upstream is looked at.
    of: ConnectionId,
    /// Its mount, and those that were unmounted from its path.
    here: HashSet<i64>,
    now: Timestamp,
    /// The time that upstream may take to list a new credential.
    settled: Duration,
    /// Credentials that were looked for and belong to no lease.
    unheld: HashSet<String>,
    /// Credentials of this connection's active leases, by operation.
    active: HashMap<Vec<u8>, String>,
    /// Leases here that do not know their credential's id.
    nameless: HashSet<Vec<u8>>,
    /// Leases of this connection.
    leases: usize,
    /// Whether upstream names credentials as it is asked to: it does so at least
    /// once here, and never otherwise.
    names_as_asked: bool,
    as_asked: usize,
    otherwise: usize,
}

impl Survey {
    fn new(
        of: ConnectionId,
        here: HashSet<i64>,
        now: Timestamp,
        settled: Duration,
        unheld: HashSet<String>,
    ) -> Self {
        Self {
            of,
            here,
            now,
            settled,
            unheld,
            active: HashMap::new(),
            nameless: HashSet::new(),
            leases: 0,
            names_as_asked: false,
            as_asked: 0,
            otherwise: 0,
        }
    }

    /// Takes one lease in. Those of other connections and mounts count, too: a credential
    /// is no orphan while any lease holds it.
    fn see(&mut self, lease: Holding) {
        let asked_for = self.unheld.remove(&lease.principal);
        if let Some(id) = &lease.credential_id {
            self.unheld.remove(id);
        }
        if !self.here.contains(&lease.mount_id) {
            return;
        }
        let own = lease.connection == self.of;
        self.leases += usize::from(own);
        let Some(id) = lease.credential_id else {
            if asked_for {
                self.as_asked += 1;
            } else {
                self.nameless.insert(lease.operation);
            }
            return;
        };
        if id == lease.principal {
            self.as_asked += 1;
        } else {
            self.otherwise += 1;
        }
        let lasts = lease.expires_at.is_none_or(|end| end > self.now);
        let is_settled = self.now.since(lease.issued_at) >= self.settled;
        if own && lease.active && lasts && is_settled {
            self.active.insert(lease.operation, id);
        }
    }

    fn finished(mut self) -> Self {
        self.names_as_asked = self.as_asked > 0 && self.otherwise == 0;
        self
    }
}

fn no_inventory(connection: &Connection) -> Failure {
    Failure {
        class: FailureClass::Unsupported,
        code: "no_inventory".into(),
        message: format!(
            "The provider of {} does not list what it made, so there is nothing to compare the leases with.",
            connection.path()
        ),
        retry_after: None,
        reached_upstream: false,
    }
}

/// The number of these ids that one answer names: as many as there is room for.
fn named<'i>(ids: impl Iterator<Item = &'i str>) -> usize {
    let mut room = SHOWN_BYTES;
    ids.take(SHOWN)
        .take_while(|id| {
            let left = room.checked_sub(id.len());
            room = left.unwrap_or(0);
            left.is_some()
        })
        .count()
}

fn too_large(connection: &Connection, known: usize) -> Failure {
    Failure {
        class: FailureClass::Internal,
        code: "large_inventory".into(),
        message: format!(
            "The provider of {} lists more than fits: {known} credentials came to {} MiB, and there was no end of it.",
            connection.path(),
            HELD_BYTES >> 20
        ),
        retry_after: None,
        reached_upstream: true,
    }
}

fn endless(connection: &Connection, known: usize) -> Failure {
    Failure {
        class: FailureClass::Internal,
        code: "endless_inventory".into(),
        message: format!(
            "The provider of {} still names a next page after {known} credentials and none that is new, or after {PAGES} pages.",
            connection.path()
        ),
        retry_after: None,
        reached_upstream: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn lease(operation: u8, mount_id: i64, principal: &str, id: Option<&str>) -> Holding {
        Holding {
            operation: vec![operation],
            mount_id,
            connection: ConnectionId(mount_id),
            active: id.is_some(),
            principal: principal.into(),
            credential_id: id.map(str::to_owned),
            issued_at: Timestamp(0),
            expires_at: None,
        }
    }

    /// A survey of mount 1, where mount 2 was unmounted from the same path.
    fn survey(unheld: &[&str], leases: Vec<Holding>) -> Survey {
        let unheld = unheld.iter().map(|id| (*id).to_owned()).collect();
        let here = HashSet::from([1, 2]);
        let mut survey = Survey::new(ConnectionId(1), here, NOW, Duration::from_secs(10), unheld);
        for lease in leases {
            survey.see(lease);
        }
        survey.finished()
    }

    #[test]
    fn an_inventory_is_taken_in_as_far_as_its_bytes_fit() {
        let mut listed = Listed::new(3 * ID_BYTES + 30);
        let ids = |text: &str| text.split(' ').map(str::to_owned).collect();
        assert!(listed.take(ids("aaaaaaaaaa bbbbbbbbbb")));
        assert!(listed.take(ids("aaaaaaaaaa cccccccccc")));
        assert!(!listed.take(ids("d")));
        assert_eq!(listed.ids.len(), 3);
    }

    #[test]
    fn an_answer_names_as_many_as_it_has_room_for() {
        let long = "x".repeat(SHOWN_BYTES / 2);
        assert_eq!(named([long.as_str(); 5].into_iter()), 2);
        assert_eq!(named(["x"; 2 * SHOWN].into_iter()), SHOWN);
        assert_eq!(named(std::iter::empty()), 0);
    }

    #[test]
    fn whatever_a_lease_of_any_mount_may_hold_is_held() {
        let survey = survey(
            &["a", "b", "c", "d", "x"],
            vec![
                lease(1, 1, "a", None),
                lease(2, 1, "p", Some("b")),
                lease(3, 2, "c", Some("c")),
                lease(4, 9, "d", None),
            ],
        );
        assert_eq!(survey.unheld, HashSet::from(["x".to_owned()]));
        assert_eq!(survey.leases, 2);
        assert!(!survey.names_as_asked, "one is named otherwise");
        assert!(survey.nameless.is_empty(), "a and d were asked for by name");
    }

    #[test]
    fn a_lease_without_its_credentials_name_leaves_strangers_undecided() {
        let nameless = survey(&["x"], vec![lease(1, 1, "p", None)]);
        assert!(!nameless.names_as_asked, "nothing shows how upstream names");
        assert_eq!(nameless.nameless, HashSet::from([vec![1]]));
        let shown = survey(
            &["x"],
            vec![lease(1, 1, "p", None), lease(2, 1, "q", Some("q"))],
        );
        assert!(shown.names_as_asked);
        let elsewhere = survey(&["x"], vec![lease(1, 9, "p", None)]);
        assert!(elsewhere.nameless.is_empty(), "another mount's");
    }

    #[test]
    fn only_a_settled_active_lease_of_the_mount_itself_can_have_lost_its_credential() {
        let mut ended = lease(1, 1, "a", Some("a"));
        ended.expires_at = Some(NOW);
        let mut young = lease(2, 1, "b", Some("b"));
        young.issued_at = Timestamp(NOW.0 - 9_999);
        let mut revoking = lease(3, 1, "c", Some("c"));
        revoking.active = false;
        let survey = survey(
            &[],
            vec![
                ended,
                young,
                revoking,
                lease(4, 2, "d", Some("d")),
                lease(5, 1, "e", Some("e")),
            ],
        );
        assert_eq!(
            survey.active,
            HashMap::from([(vec![5], "e".to_owned())]),
            "{survey:?}"
        );
    }
}
