//! Mounts: a provider at a path, with what the host grants it, or a login method.
//!
//! What a call needs is collected here: the grants of its mount, and of one of the mount's
//! connections the root credential in use (still sealed) and a call slot. Leases and
//! rotations share the [`Mount`] and [`Connection`] that they get from [`Mounts`].

mod authorities;
mod backend;
mod changes;
mod choice;
mod connection;
mod login;
mod loopback;
mod moves;
mod neighbours;
mod provider;
mod proxy;
mod table;

use std::{sync::Arc, time::Duration};

use lessor_model::{
    clock::Timestamp,
    grants::Grants,
    id::{ConnectionId, MountPath, OperationId},
    mount::Kind,
    proxy::Proxy,
    refusal::Refusal,
    secret::Secret,
};
use lessor_store::{FormerPath, NewMount};
use rustls_pki_types::CertificateDer;

pub use self::{
    backend::{Backend, Parts, Stillness},
    connection::{Connection, Root, RotationTurn},
    login::LoginMount,
    moves::Move,
    neighbours::{Neighbour, account_of},
    table::{MountSpec, MountView, Mounts},
};
pub(crate) use self::{
    choice::{Choice, Chosen, show as show_choice},
    loopback::endpoints,
};

/// A mount in use.
#[derive(Debug)]
pub struct Mount {
    /// Names it in storage.
    pub id: i64,
    /// The number that stands in what it seals.
    pub sealed_as: i64,
    /// False once unmounted: then it only revokes.
    pub live: bool,
    /// Since when what comes by time waits for the operator, in a restored copy.
    pub held: Option<Timestamp>,
    /// What was stored of it.
    pub spec: NewMount,
    /// Where it was before it was moved.
    pub former: Vec<FormerPath>,
    grants: Arc<Grants>,
    extra_roots: Arc<[CertificateDer<'static>]>,
    proxy: Option<Arc<Proxy>>,
    derivation_key: Arc<Secret<[u8; 32]>>,
}

impl Mount {
    /// Whether it is one of a provider, which leases credentials.
    pub fn leases(&self) -> bool {
        match self.spec.kind {
            Kind::Provider => true,
            Kind::Login(_) => false,
        }
    }

    /// The path, without what stands before those of its kind.
    pub fn path(&self) -> &MountPath {
        &self.spec.path
    }

    /// Whether an operation's lease may have been handed out with an id under `path`: one
    /// that was made since the mount was moved away from there never was, and whoever is
    /// granted something under that path alone has no part in it.
    pub fn answers_to(&self, path: &MountPath, operation: OperationId) -> bool {
        let was = |former: &FormerPath| former.path == *path && operation <= former.newest;
        self.path() == path || self.former.iter().any(was)
    }

    /// Refuses what would end or renew something upstream that a restored copy may
    /// know wrongly, until the operator has released the mount.
    ///
    /// # Errors
    /// `Conflict` where it is held.
    pub fn refuse_while_held(&self) -> Result<(), Refusal> {
        match self.held {
            None => Ok(()),
            Some(_) => Err(Refusal::Conflict(format!(
                "mount {path} is held since a backup was restored: nothing is rotated until you release it with \
                 `lessor release {path}` (POST /v1/sys/hold/release); GET /v1/sys/hold tells what is overdue",
                path = self.path()
            ))),
        }
    }
}

/// Where a version of a config is sealed for.
pub(crate) fn config_context(of: ConnectionId, version: u32) -> String {
    format!("configs/{}/{version}/document", of.0)
}

/// When a rotation or lease of this mount, begun now, may be taken for dead:
/// a request sent just before the timeout may still land a little later.
pub(crate) fn give_up_at(mount: &Mount, now: Timestamp) -> Timestamp {
    give_up_after(mount.spec.tune.timeout, now)
}

/// [`give_up_at`] for a call with a limit of its own.
pub(crate) fn give_up_after(timeout: Duration, now: Timestamp) -> Timestamp {
    const MARGIN: Duration = Duration::from_secs(5);
    now.plus(timeout).plus(MARGIN)
}
