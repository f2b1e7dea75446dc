//! What is done with a mount, by its kind.
//!
//! The table makes, finds, tunes, moves and removes mounts of every kind alike. What only
//! one kind knows (what it runs, who must not come between, what ends with it, how it is
//! told of) stands behind this door. One more kind of mounts is one more
//! [`Kind`](lessor_model::mount::Kind), one [`Backend`], the line that offers it to the
//! table, and what each exhaustive match over the kinds asks for: its endpoints
//! (`api/table.rs`), the page of the reference, and where its paths lie.

use std::{any::Any, fmt, sync::Arc};

use async_trait::async_trait;
use lessor_model::{event::Event, id::MountPath, refusal::Refusal};

use super::{Connection, LoginMount, Mount};

/// A mount, with what the table has of its kind.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The connections of a provider's, in the order in which they were made.
    pub connections: Vec<Arc<Connection>>,
    /// As a login method, where it is one.
    pub login: Option<Arc<LoginMount>>,
}

/// What keeps others from a mount for as long as it is held.
pub type Stillness = Box<dyn Any + Send>;

/// A kind of mounts.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// What stands before the name of the plugin in the handle of such a mount.
    fn handle(&self) -> &'static str;

    /// Looks at what is to run at a path. The version of its plugin, as it is stored.
    ///
    /// # Errors
    /// A sentence where it cannot run.
    async fn admit(&self, plugin: &str, version: Option<&str>) -> Result<Option<String>, Refusal>;

    /// Takes new settings into use, once they are stored.
    ///
    /// # Errors
    /// Where storage fails.
    async fn tuned(&self, of: &Parts) -> Result<(), Refusal>;

    /// Waits for whoever has the mount by its path, and keeps others from it.
    ///
    /// # Errors
    /// `NotFound` where it was removed meanwhile.
    async fn hold_still(&self, of: &Parts) -> Result<Stillness, Refusal>;

    /// Brings a move to its end, once the table has the new path. The table is read again
    /// behind it.
    ///
    /// # Errors
    /// Where storage fails.
    async fn moved(&self, from: &MountPath, to: &MountPath) -> Result<(), Refusal>;

    /// Takes a mount from its path, and ends what there is by it. How many leases are
    /// ended in the background.
    ///
    /// # Errors
    /// Where storage fails.
    async fn end(&self, of: &Parts) -> Result<usize, Refusal>;

    /// That one was made.
    fn told_made(&self, mount: &Mount) -> Event;

    /// That one has other settings.
    fn told_tuned(&self, mount: &Mount) -> Event;

    /// That one was moved.
    fn told_moved(&self, from: MountPath, to: MountPath) -> Event;

    /// That one was removed, with so many leases to end.
    fn told_ended(&self, path: MountPath, revoking: usize) -> Event;

    /// What is said of a path that such a mount has already.
    fn taken(&self, path: &MountPath) -> Refusal {
        Refusal::Conflict(format!("path is already in use at {path}/"))
    }

    /// What is said of a path at which there is no such mount.
    fn unknown(&self, path: &MountPath) -> Refusal;
}
