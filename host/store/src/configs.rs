//! Root credentials of connections, by version, and when they are due to rotate.

use std::time::Duration;

use lessor_model::{clock::Timestamp, id::ConnectionId, schedule::Schedule};
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::{
    Storage, StorageError, change, giving_up, json, maybe_moment, moment, one, to_json, unreadable,
};

/// The state of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigState {
    /// Made by a rotation, not proven yet.
    Staged,
    /// In use.
    Current,
    /// Replaced; still valid upstream until the grace period has passed.
    Retiring,
    /// Replaced and ended; its secret is erased.
    Retired,
}

impl ConfigState {
    /// The name in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Current => "current",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }

    fn parse(text: &str) -> rusqlite::Result<Self> {
        [Self::Staged, Self::Current, Self::Retiring, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| unreadable("state", std::fmt::Error))
    }
}

/// A version of a connection's config as stored.
#[derive(Clone, Debug)]
pub struct ConfigRow {
    /// Counts up within the connection.
    pub version: u32,
    /// The state.
    pub state: ConfigState,
    /// Sealed JSON; absent once retired.
    pub document: Option<Vec<u8>>,
    /// The principal upstream that the root credential belongs to.
    pub identity: Option<String>,
    /// The warnings that the provider gave when the config was proven.
    pub warnings: Vec<String>,
    /// Facts that the rotation which made it told.
    pub metadata: Value,
    /// Names its predecessor upstream, where that must be ended.
    pub retires: Option<String>,
    /// The time when it was made.
    pub created_at: Timestamp,
}

/// A version to be stored.
#[derive(Clone, Debug)]
pub struct NewConfig {
    /// The connection.
    pub of: ConnectionId,
    /// One more than the newest.
    pub version: u32,
    /// Sealed JSON.
    pub document: Vec<u8>,
    /// The principal upstream that the root credential belongs to.
    pub identity: Option<String>,
    /// The warnings of the provider.
    pub warnings: Vec<String>,
    /// Facts that the rotation told.
    pub metadata: Value,
    /// Names the predecessor upstream.
    pub retires: Option<String>,
    /// The time when it was made.
    pub created_at: Timestamp,
}

/// The schedule by which a connection's root credential is renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSchedule {
    /// The schedule.
    pub schedule: Schedule,
    /// The time for which a former root credential stays valid.
    pub grace: Duration,
    /// Whether a new config is rotated at once.
    pub on_config: bool,
    /// The time when it was last renewed.
    pub last: Option<Timestamp>,
    /// The time when it is renewed next.
    pub next: Option<Timestamp>,
    /// The reason why the last scheduled rotation failed, until one succeeds.
    pub last_error: Option<String>,
}

/// A scheduled rotation whose time has come.
#[derive(Clone, Debug)]
pub struct DueRotation {
    /// The connection.
    pub of: ConnectionId,
    /// Its schedule; absent where it cannot be read.
    pub schedule: Option<Schedule>,
    /// The time when it was last renewed.
    pub last: Option<Timestamp>,
}

/// The outcome of erasing a root credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// It is erased.
    Done,
    /// There was none.
    Absent,
    /// Leases need it.
    Leased,
}

const COLUMNS: &str = "version, state, document, identity, warnings, metadata, retires, created_at";

impl Storage {
    /// The version in use.
    pub async fn current_config(
        &self,
        of: ConnectionId,
    ) -> Result<Option<ConfigRow>, StorageError> {
        self.find(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM configs WHERE connection_id = ?1 AND state = 'current'"
            );
            one(connection, &sql, [of.0], config_row)
        })
        .await
    }

    /// One version.
    pub async fn config(
        &self,
        of: ConnectionId,
        version: u32,
    ) -> Result<Option<ConfigRow>, StorageError> {
        self.read(move |connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM configs WHERE connection_id = ?1 AND version = ?2");
            one(connection, &sql, params![of.0, version], config_row)
        })
        .await
    }

    /// The number that the next version takes.
    pub async fn next_config_version(&self, of: ConnectionId) -> Result<u32, StorageError> {
        self.read(move |connection| next_version(connection, of))
            .await
    }

    /// Puts an operator's config in use: the former is retired and erased, an
    /// open rotation is given up, the schedule begins anew. With `end_former` the
    /// former one is ended upstream before it is erased, where a rotation made it
    /// beside another. False where another version was stored meanwhile.
    pub async fn replace_config(
        &self,
        config: NewConfig,
        schedule: RootSchedule,
        end_former: bool,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let of = config.of;
            if next_version(connection, of)? != config.version {
                return Ok(false);
            }
            giving_up::give_up_open(connection, of, config.created_at)?;
            retire_current(connection, of, end_former)?;
            giving_up::begin_undoing(connection, of, config.created_at)?;
            insert(connection, &config, ConfigState::Current)?;
            change(
                connection,
                "INSERT INTO rotation_schedules
                   (connection_id, period_ms, cron, window_ms, grace_ms, on_config, last_rotation_at, next_rotation_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7)
                 ON CONFLICT (connection_id) DO UPDATE
                 SET period_ms = excluded.period_ms, cron = excluded.cron, window_ms = excluded.window_ms,
                     grace_ms = excluded.grace_ms, on_config = excluded.on_config,
                     next_rotation_at = excluded.next_rotation_at, last_error = NULL",
                params![
                    of.0,
                    milliseconds(schedule.schedule.period()),
                    schedule.schedule.cron(),
                    schedule.schedule.window().map(milliseconds),
                    milliseconds(schedule.grace),
                    schedule.on_config,
                    schedule.next.map(|next| next.0)
                ],
            )?;
            Ok(true)
        })
        .await
    }

    /// Erases a connection's root credential and gives its open rotation up. What waits for its
    /// end upstream goes on once there is a config again. With `unless_leased` nothing is
    /// changed where leases were made by it, which need it to be ended; from the commit on
    /// none is recorded.
    pub async fn erase_config(
        &self,
        of: ConnectionId,
        unless_leased: bool,
        now: Timestamp,
    ) -> Result<Erasure, StorageError> {
        self.write(move |connection| {
            let leased = one(
                connection,
                "SELECT 1 FROM roles r JOIN leases l ON l.role_id = r.id WHERE r.connection_id = ?1 LIMIT 1",
                [of.0],
                |_| Ok(()),
            )?;
            if unless_leased && leased.is_some() {
                return Ok(Erasure::Leased);
            }
            giving_up::give_up_open(connection, of, now)?;
            change(
                connection,
                "DELETE FROM rotation_schedules WHERE connection_id = ?1",
                [of.0],
            )?;
            Ok(match retire_current(connection, of, false)? {
                0 => Erasure::Absent,
                _ => Erasure::Done,
            })
        })
        .await
    }

    /// A connection's schedule.
    pub async fn schedule(&self, of: ConnectionId) -> Result<Option<RootSchedule>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                "SELECT period_ms, cron, window_ms, grace_ms, on_config, last_rotation_at, next_rotation_at, last_error
                 FROM rotation_schedules WHERE connection_id = ?1",
                [of.0],
                |row| {
                    Ok(RootSchedule {
                        schedule: schedule(row)?,
                        grace: span(row.get("grace_ms")?),
                        on_config: row.get("on_config")?,
                        last: maybe_moment(row, "last_rotation_at")?,
                        next: maybe_moment(row, "next_rotation_at")?,
                        last_error: row.get("last_error")?,
                    })
                },
            )
        })
        .await
    }

    /// Connections whose scheduled rotation is due, and the moment of the next one
    /// that is not.
    pub async fn scheduled_rotations(
        &self,
        now: Timestamp,
    ) -> Result<(Vec<DueRotation>, Option<Timestamp>), StorageError> {
        self.read(move |connection| {
            let due = super::all(
                connection,
                "SELECT connection_id, period_ms, cron, window_ms, last_rotation_at FROM rotation_schedules
                 WHERE next_rotation_at <= ?1 ORDER BY next_rotation_at",
                [now.0],
                |row| {
                    Ok(DueRotation {
                        of: ConnectionId(row.get("connection_id")?),
                        schedule: schedule(row).ok(),
                        last: maybe_moment(row, "last_rotation_at")?,
                    })
                },
            )?;
            let next = one(
                connection,
                "SELECT next_rotation_at FROM rotation_schedules WHERE next_rotation_at > ?1
                 ORDER BY next_rotation_at LIMIT 1",
                [now.0],
                |row| row.get(0).map(Timestamp),
            )?;
            Ok((due, next))
        })
        .await
    }

    /// Moves a connection's next scheduled rotation.
    pub async fn postpone_rotation(
        &self,
        of: ConnectionId,
        until: Option<Timestamp>,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE rotation_schedules SET next_rotation_at = ?2 WHERE connection_id = ?1",
            (of.0, until.map(|until| until.0)),
        )
        .await
    }

    /// Records why a connection's scheduled rotation failed.
    pub async fn record_schedule_failure(
        &self,
        of: ConnectionId,
        error: String,
    ) -> Result<(), StorageError> {
        self.execute(
            "UPDATE rotation_schedules SET last_error = ?2 WHERE connection_id = ?1",
            (of.0, error),
        )
        .await
    }
}

fn next_version(connection: &Connection, of: ConnectionId) -> Result<u32, StorageError> {
    let newest: Option<u32> = one(
        connection,
        "SELECT max(version) FROM configs WHERE connection_id = ?1",
        [of.0],
        |row| row.get(0),
    )?
    .flatten();
    Ok(newest.unwrap_or(0).saturating_add(1))
}

/// Stores a version within a transaction.
pub(super) fn insert(
    connection: &Connection,
    config: &NewConfig,
    state: ConfigState,
) -> Result<(), StorageError> {
    change(
        connection,
        "INSERT INTO configs
           (connection_id, version, state, document, identity, warnings, metadata, retires, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            config.of.0,
            config.version,
            state.as_str(),
            config.document,
            config.identity,
            to_json(&config.warnings)?,
            to_json(&config.metadata)?,
            config.retires,
            config.created_at.0
        ],
    )?;
    Ok(())
}

/// Takes the version in use out of use. With `end` one that a rotation made beside
/// another stays until it is ended upstream; all else is erased.
fn retire_current(
    connection: &Connection,
    of: ConnectionId,
    end: bool,
) -> Result<usize, StorageError> {
    change(
        connection,
        "UPDATE configs SET state = CASE WHEN ?2 AND retires IS NOT NULL THEN 'retiring' ELSE 'retired' END,
             document = CASE WHEN ?2 AND retires IS NOT NULL THEN document ELSE NULL END
         WHERE connection_id = ?1 AND state = 'current'",
        params![of.0, end],
    )
}

/// Moves one version within a transaction; `retired` erases its secret.
pub(super) fn set_state(
    connection: &Connection,
    of: ConnectionId,
    version: u32,
    state: ConfigState,
) -> Result<(), StorageError> {
    change(
        connection,
        "UPDATE configs SET state = ?3, document = CASE ?3 WHEN 'retired' THEN NULL ELSE document END
         WHERE connection_id = ?1 AND version = ?2",
        params![of.0, version, state.as_str()],
    )?;
    Ok(())
}

/// The schedule in a row's `period_ms`, `cron` and `window_ms`.
pub(super) fn schedule(row: &Row<'_>) -> rusqlite::Result<Schedule> {
    let cron: Option<String> = row.get("cron")?;
    let window: Option<i64> = row.get("window_ms")?;
    let period = span(row.get("period_ms")?);
    Schedule::of_parts(period, cron.as_deref(), window.map(span))
        .map_err(|_| unreadable("cron", std::fmt::Error))
}

pub(super) fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn span(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn config_row(row: &Row<'_>) -> rusqlite::Result<ConfigRow> {
    let state: String = row.get("state")?;
    Ok(ConfigRow {
        version: row.get("version")?,
        state: ConfigState::parse(&state)?,
        document: row.get("document")?,
        identity: row.get("identity")?,
        warnings: json(row, "warnings")?,
        metadata: json(row, "metadata")?,
        retires: row.get("retires")?,
        created_at: moment(row, "created_at")?,
    })
}
