//! Leases laid in by the million: through the program's storage module, into the
//! data directory of a server that has ended.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lessor_model::{
    clock::{Clock, Timestamp},
    id::OperationId,
    provider::Requester,
};
use lessor_store::{Activation, NewLease, Storage};
use lessor_tests::server::Server;
use serde_json::json;

use crate::system;

/// Leases of one commit.
const BATCH: usize = 10_000;

/// Bytes that a lease takes on disk, with its share of the indexes and of the log;
/// measured, and rounded up.
const BYTES: u64 = 700;

/// Lays in leases of the role `app` of the mount `idle`, which end at `end`.
///
/// # Errors
/// Where the disk has no room for them, before anything is written.
pub(crate) fn lay_in(server: &Server, number: usize, end: Timestamp) -> Result<()> {
    let data = server.data();
    let (free, needed) = (system::free(&data)?, number as u64 * BYTES);
    ensure!(
        free >= needed,
        "{number} leases take {} MB of {}, where {} MB are free: make room, or set TMPDIR",
        needed / 1_000_000,
        data.display(),
        free / 1_000_000
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(write(&data, number, end))
}

async fn write(data: &Path, number: usize, end: Timestamp) -> Result<()> {
    let storage = Storage::open(&data.join("lessor.db"))?;
    let mounts = storage.mounts().await?;
    let mount = mounts
        .iter()
        .find(|mount| mount.mount.path.as_str() == "idle")
        .context("no mount idle")?;
    let role = storage
        .current_role(mount.id, "app".parse()?)
        .await?
        .context("no role app")?;
    let pins = storage.pins().await?;
    let pin = pins
        .iter()
        .find(|pin| pin.name == "idle")
        .context("no pin idle")?;
    let now = Clock::system().now();
    let requester = Requester {
        display_name: "token-of-a-caller".to_owned(),
        accessor: "accessor.of.a.caller.0123456789".to_owned(),
        metadata: Vec::new(),
        entity: "0123456789abcdef0123456789abcdef".to_owned(),
    };
    // One a millisecond, the last one just now: as in use, each goes behind the former.
    let lease = |left: usize| -> Result<(NewLease, Activation)> {
        let issued_at = now.minus(Duration::from_millis(left as u64));
        let operation = OperationId::new(issued_at)?;
        let principal = format!("v-idle-app-{operation}");
        let activation = Activation {
            credential_id: principal.clone(),
            metadata: json!({}),
            expires_at: Some(end),
            upstream_expires_at: None,
        };
        let lease = NewLease {
            operation,
            mount_id: mount.id,
            connection: role.connection,
            role_id: role.id,
            principal,
            requester: requester.clone(),
            plugin_sha256: pin.sha256,
            config_version: 1,
            issued_at,
            expires_at: Some(end),
            max_expires_at: Some(end.plus(Duration::from_hours(100))),
            give_up_at: issued_at,
            role_cap: 0,
            mount_cap: 0,
            bound: false,
        };
        Ok((lease, activation))
    };
    let mut left = number;
    while left > 0 {
        let some = left.min(BATCH);
        let batch: Result<Vec<_>> = (0..some).map(|done| lease(left - done)).collect();
        storage.record_existing(batch?).await?;
        left -= some;
    }
    Ok(())
}
