//! Pins: which bytes may run, under which name and version.

use lessor_model::{clock::Timestamp, id::Digest};
use rusqlite::Row;

use super::{Storage, StorageError, all, moment, unreadable};

/// The source of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PinSource {
    /// A caller with the right to.
    Api,
    /// The configuration file.
    Config,
    /// `--dev`, on first sight of a file.
    Dev,
}

impl PinSource {
    /// Its name in the database and in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Config => "config",
            Self::Dev => "dev",
        }
    }
}

/// A pin as stored.
#[derive(Clone, Debug)]
pub struct PinRow {
    /// Name that mounts use.
    pub name: String,
    /// Version; several stand side by side.
    pub version: String,
    /// File in the plugin directory.
    pub file: String,
    /// Digest that its bytes must have.
    pub sha256: Digest,
    /// The source of the pin.
    pub source: PinSource,
    /// The time when it was pinned.
    pub pinned_at: Timestamp,
}

impl Storage {
    /// Stores a pin; one of the same name and version is replaced.
    pub async fn record_pin(&self, pin: PinRow) -> Result<(), StorageError> {
        self.execute(
            "INSERT INTO pins (name, version, file, sha256, source, pinned_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (name, version) DO UPDATE
                 SET file = excluded.file, sha256 = excluded.sha256, source = excluded.source,
                     pinned_at = excluded.pinned_at",
            (pin.name, pin.version, pin.file, pin.sha256.to_bytes(), pin.source.as_str(), pin.pinned_at.0),
        )
        .await
    }

    /// All pins, by name, oldest first.
    pub async fn pins(&self) -> Result<Vec<PinRow>, StorageError> {
        self.read(|connection| {
            all(
                connection,
                "SELECT name, version, file, sha256, source, pinned_at FROM pins ORDER BY name, pinned_at, version",
                [],
                pin_row,
            )
        })
        .await
    }

    /// Removes a pin; false where there was none.
    pub async fn remove_pin(&self, name: String, version: String) -> Result<bool, StorageError> {
        self.execute_any(
            "DELETE FROM pins WHERE name = ?1 AND version = ?2",
            (name, version),
        )
        .await
    }
}

fn pin_row(row: &Row<'_>) -> rusqlite::Result<PinRow> {
    let source: String = row.get("source")?;
    Ok(PinRow {
        name: row.get("name")?,
        version: row.get("version")?,
        file: row.get("file")?,
        sha256: Digest::from_bytes(row.get("sha256")?),
        source: match source.as_str() {
            "api" => PinSource::Api,
            "config" => PinSource::Config,
            "dev" => PinSource::Dev,
            _ => return Err(unreadable("source", std::fmt::Error)),
        },
        pinned_at: moment(row, "pinned_at")?,
    })
}
