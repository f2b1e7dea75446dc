//! The pins, as storage has them, in memory: every call of every mount asks which
//! bytes it is to run. Only this process writes them.

use std::{
    cmp::Ordering,
    sync::{Arc, PoisonError, RwLock},
};

use lessor_model::suggest;
use lessor_store::{PinRow, Storage, StorageError};

use super::version;

/// All pins, by name, oldest first.
#[derive(Debug)]
pub(super) struct Pins {
    storage: Storage,
    known: RwLock<Arc<[PinRow]>>,
    /// Held over a change and the reading after it, so that the memory ends with
    /// the last change.
    changing: tokio::sync::Mutex<()>,
}

impl Pins {
    /// Reads what is stored.
    pub(super) async fn open(storage: Storage) -> Result<Self, StorageError> {
        let known = storage.pins().await?.into();
        Ok(Self {
            storage,
            known: RwLock::new(known),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// All of them now.
    pub(super) fn all(&self) -> Arc<[PinRow]> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stores a pin; one of the same name and version is replaced.
    pub(super) async fn record(&self, pin: PinRow) -> Result<(), StorageError> {
        let _turn = self.changing.lock().await;
        self.storage.record_pin(pin).await?;
        self.reread().await
    }

    /// Removes a pin; gone already is done.
    pub(super) async fn remove(&self, name: &str, version: &str) -> Result<(), StorageError> {
        let _turn = self.changing.lock().await;
        self.storage
            .remove_pin(name.to_owned(), version.to_owned())
            .await?;
        self.reread().await
    }

    async fn reread(&self) -> Result<(), StorageError> {
        let pins = self.storage.pins().await?.into();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = pins;
        Ok(())
    }
}

/// The pin that a mount of `name` and `version` runs: the newest by version, then by
/// time, where none is given.
pub(super) fn resolve<'a>(
    pins: &'a [PinRow],
    name: &str,
    version: Option<&str>,
) -> Result<&'a PinRow, String> {
    let mut named = pins.iter().filter(|pin| pin.name == name).peekable();
    if named.peek().is_none() {
        let hint = suggest::hint(name, pins.iter().map(|pin| pin.name.as_str()));
        return Err(format!("plugin not found in the catalog: {name}{hint}"));
    }
    match version {
        Some(version) => named
            .find(|pin| version::same(&pin.version, version))
            .ok_or_else(|| format!("plugin {name:?} has no pinned version {version:?}")),
        None => named
            .max_by(|one, other| by_age(one, other))
            .ok_or_else(|| format!("plugin not found in the catalog: {name}")),
    }
}

/// The older of two pins of a name first.
pub(super) fn by_age(one: &PinRow, other: &PinRow) -> Ordering {
    version::compare(&one.version, &other.version).then(one.pinned_at.cmp(&other.pinned_at))
}

#[cfg(test)]
mod tests {
    use lessor_model::{clock::Timestamp, id::Digest};
    use lessor_store::PinSource;

    use super::*;

    fn pin(name: &str, version: &str, at: i64) -> PinRow {
        PinRow {
            name: name.into(),
            version: version.into(),
            file: "x.wasm".into(),
            sha256: Digest::of(version.as_bytes()),
            source: PinSource::Api,
            pinned_at: Timestamp(at),
        }
    }

    #[test]
    fn a_mount_without_a_version_follows_the_newest() {
        let pins = [
            pin("db", "1.9.0", 3),
            pin("db", "1.10.0", 1),
            pin("db", "1.10.0-rc1", 2),
            pin("ca", "9", 9),
        ];
        let resolved = |version| resolve(&pins, "db", version).map(|pin| pin.version.as_str());
        assert_eq!(
            resolved(None),
            Ok("1.10.0"),
            "a release is newer than its candidates"
        );
        assert_eq!(resolved(Some("1.9.0")), Ok("1.9.0"));
        assert_eq!(resolved(Some("v1.9")), Ok("1.9.0"));
        assert!(resolved(Some("2")).is_err());
        assert!(resolve(&pins, "bd", None).is_err());
    }
}
