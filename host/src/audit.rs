//! The audit log: one JSON line per request and per change of state.
//!
//! A request that cannot be written down is not answered with success: the
//! caller gets 503, and while the device stays broken nothing is done at all.
//! Secrets appear only as keyed hashes (`Keyring::audit_hash`), so that a known
//! value can be looked for and none can be read. Lines are appended with one
//! `write` each; the file is never truncated or read here, and followed where it
//! is moved away.
//!
//! A request adds a bounded amount, whatever it holds: a document shows some values and one
//! hash of the rest ([`hashed`]), a line has a longest length, and a stranger's refusals have
//! some lines while the rest are counted.

mod changes;
mod file;
mod hashing;
mod strangers;

use std::{
    io::{self, Write},
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use lessor_model::clock::{Clock, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

pub use self::{
    changes::Changes,
    hashing::hashed,
    strangers::{LINES_OF_ALL, LINES_OF_ONE, WINDOW},
};
use self::{
    file::AuditFile,
    strangers::{LeftOut, Strangers, Verdict},
};
use crate::config::AuditTarget;

/// Longest line, in bytes. Every field that a well-meant request has fits several
/// times; a reader of lines may rely on it.
pub const LONGEST_LINE: usize = 64 << 10;

/// The audit device. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit {
    device: Arc<Device>,
    clock: Clock,
}

#[derive(Debug)]
struct Device {
    target: AuditTarget,
    /// None for standard output.
    file: Option<AuditFile>,
    /// Whether the last line could not be written.
    broken: AtomicBool,
    strangers: Mutex<Strangers>,
    /// Peers whose logins fail, to bound the lines about them.
    failed_logins: Mutex<Strangers>,
    /// Whether the path names another file that could not be opened.
    astray: AtomicBool,
}

impl Audit {
    /// Opens the device; a file is made where it is missing, for its owner only.
    ///
    /// # Errors
    /// Where the file cannot be opened for appending.
    pub fn open(target: &AuditTarget, clock: Clock) -> Result<Self, AuditError> {
        let file = match target {
            AuditTarget::Stdout => None,
            AuditTarget::File(path) => {
                let opened = AuditFile::open(path).map_err(|source| AuditError::Open {
                    path: path.clone(),
                    source,
                })?;
                Some(opened)
            }
        };
        let device = Device {
            target: target.clone(),
            file,
            broken: AtomicBool::new(false),
            strangers: Mutex::default(),
            failed_logins: Mutex::default(),
            astray: AtomicBool::new(false),
        };
        Ok(Self {
            device: Arc::new(device),
            clock,
        })
    }

    /// Writes one line of `kind` with the time before it.
    ///
    /// # Errors
    /// Where the device takes no line; from then on [`Self::ready`] fails until
    /// it takes one again.
    pub fn record(&self, kind: &'static str, fields: Map<String, Value>) -> Result<(), AuditError> {
        #[derive(Serialize)]
        struct Line {
            time: String,
            r#type: &'static str,
            #[serde(flatten)]
            fields: Map<String, Value>,
        }
        let line = |fields| Line {
            time: self.clock.now().rfc3339(),
            r#type: kind,
            fields,
        };
        let written = serde_json::to_vec(&line(fields))
            .and_then(|bytes| match bytes.len() < LONGEST_LINE {
                true => Ok(bytes),
                false => serde_json::to_vec(&line(shortened(&bytes)?)),
            })
            .map_err(io::Error::other)
            .and_then(|mut bytes| {
                bytes.push(b'\n');
                if self.device.broken.load(Ordering::Relaxed) {
                    // The last line may be cut off in the file: this line begins a new one, so
                    // that it is not spoilt too.
                    bytes.insert(0, b'\n');
                }
                self.append(&bytes)
            });
        let was_broken = self.device.broken.swap(written.is_err(), Ordering::Relaxed);
        written.map_err(|source| {
            if !was_broken {
                // Not through the events that `Changes` listens to.
                tracing::error!(target: "lessor::audit", error = %source, "the audit device takes no lines");
            }
            AuditError::Write { source }
        })
    }

    /// Writes the line of a refusal to `peer`, whose token was not valid or who had none.
    /// Beyond a peer's number of lines, refusals are only counted. Returns whether this one got
    /// a line of its own.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn record_stranger(
        &self,
        peer: IpAddr,
        status: u16,
        line: impl FnOnce() -> Map<String, Value>,
    ) -> Result<bool, AuditError> {
        self.settle()?;
        let verdict = self.strangers().judge(peer, status, self.clock.now());
        match verdict {
            Verdict::Line => self.record("request", line()).map(|()| true),
            Verdict::FirstLeftOut(peer) => {
                let fields = json!({
                    "remote_address": peer,
                    "window_s": WINDOW.as_secs(),
                    "reason": "refusals of this peer without a token are counted from here on: \
                               a line of type left-out will say how many there were",
                });
                self.record("leaving-out", as_map(fields)).map(|()| false)
            }
            Verdict::LeftOut => Ok(false),
        }
    }

    /// Writes the line of a failed login from `peer`, as long as that peer has lines left.
    /// Further failures have no such line: the request of each is counted by itself.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub(crate) fn record_failed_login(
        &self,
        peer: IpAddr,
        line: Map<String, Value>,
    ) -> Result<(), AuditError> {
        let now = self.clock.now();
        let verdict = {
            let failed = self.device.failed_logins.lock();
            let mut failed = failed.unwrap_or_else(PoisonError::into_inner);
            drop(failed.settled(now));
            failed.judge(peer, 0, now)
        };
        match verdict {
            Verdict::Line => self.record("change", line),
            Verdict::FirstLeftOut(_) | Verdict::LeftOut => Ok(()),
        }
    }

    /// Writes down how many refusals got no line, where their time is over.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn settle(&self) -> Result<(), AuditError> {
        let now = self.clock.now();
        let over = self.strangers().settled(now);
        self.record_left_out(over, now)
    }

    /// The same for all counted refusals, since the server ends.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn settle_all(&self) -> Result<(), AuditError> {
        let all = self.strangers().all();
        self.record_left_out(all, self.clock.now())
    }

    /// Settles regularly, for ever.
    pub async fn keep_settled(self) {
        loop {
            tokio::time::sleep(WINDOW / 4).await;
            // The device remembers a failure, which stops the next request.
            let _ = self.settle();
        }
    }

    fn record_left_out(&self, counts: Vec<LeftOut>, now: Timestamp) -> Result<(), AuditError> {
        for left_out in counts {
            let count: u64 = left_out.by_status.values().sum();
            let fields = json!({
                "remote_address": left_out.peer,
                "since": left_out.since.rfc3339(),
                "until": now.rfc3339(),
                "count": count,
                "by_status": left_out.by_status,
            });
            self.record("left-out", as_map(fields))?;
        }
        Ok(())
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        let strangers = self.device.strangers.lock();
        strangers.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request may be begun. After a failure this writes a line of its
    /// own, so that nothing is done before the device is known to work again.
    ///
    /// # Errors
    /// Where the device still takes no line.
    pub fn ready(&self) -> Result<(), AuditError> {
        if self.device.broken.load(Ordering::Relaxed) {
            self.record("resumed", Map::new())
        } else {
            Ok(())
        }
    }

    /// Goes on in the file that the path names at present, where the former one was moved away
    /// or removed. A failure is logged once.
    pub fn follow(&self) {
        let Some(file) = &self.device.file else {
            return;
        };
        let followed = file.follow();
        let was_astray = self
            .device
            .astray
            .swap(followed.is_err(), Ordering::Relaxed);
        // Not through the events that `Changes` listens to.
        match followed {
            Ok(false) => {}
            Ok(true) => tracing::info!(target: "lessor::audit", "went on in a new audit file"),
            Err(error) if !was_astray => tracing::error!(
                target: "lessor::audit", %error,
                "the audit file was moved away, and a new one cannot be opened"
            ),
            Err(_) => {}
        }
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        match &self.device.file {
            Some(file) => file.append(line),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(line).and_then(|()| out.flush())
            }
        }
    }

    /// The destination of lines, for the log.
    pub fn target(&self) -> &AuditTarget {
        &self.device.target
    }
}

fn as_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The fields of a line that is too long: the longest are replaced by their length and digest,
/// until the line fits.
fn shortened(line: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut fields: Map<String, Value> = serde_json::from_slice(line)?;
    // `record` puts these before the others by itself.
    for own in ["time", "type"] {
        fields.shift_remove(own);
    }
    let mut texts: Vec<(String, String)> = fields
        .iter()
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect();
    texts.sort_by_key(|(_, text)| text.len());
    let mut length = line.len();
    while length >= LONGEST_LINE
        && let Some((name, text)) = texts.pop()
    {
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        let instead = json!({ "too_long": text.len(), "sha256": digest });
        length = length.saturating_sub(text.len()) + instead.to_string().len();
        fields.insert(name, instead);
    }
    Ok(fields)
}

/// The audit device failed.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be opened.
    #[error("the audit file {} cannot be opened for appending", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A line cannot be written.
    #[error("the audit device takes no lines")]
    Write {
        /// The cause.
        #[source]
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn lines_are_appended_to_a_private_file() {
        use std::os::unix::fs::MetadataExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let target = AuditTarget::File(path.clone());
        for _ in 0..2 {
            let audit = Audit::open(&target, Clock::system()).unwrap();
            audit
                .record("request", fields(json!({"path": "sys/mounts"})))
                .unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["type"], "request");
        assert_eq!(lines[1]["path"], "sys/mounts");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn no_line_is_longer_than_the_longest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let audit = Audit::open(&AuditTarget::File(path.clone()), Clock::system()).unwrap();
        let long = "x".repeat(LONGEST_LINE);
        let policies: Vec<String> = (0..5_000)
            .map(|number| format!("policy-{number}"))
            .collect();
        audit
            .record(
                "request",
                fields(json!({"path": "a", "request": long, "auth": {"policies": policies}})),
            )
            .unwrap();
        audit
            .record("request", fields(json!({"path": "b", "request": "y"})))
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.len() < LONGEST_LINE));
        let first: Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(
            (&first["type"], &first["path"]),
            (&json!("request"), &json!("a"))
        );
        assert_eq!(first["request"]["too_long"], LONGEST_LINE + 2);
        let digest = hex::encode(Sha256::digest(json!("x".repeat(LONGEST_LINE)).to_string()));
        assert_eq!(first["request"]["sha256"], digest);
        let second: Value = serde_json::from_str(lines[1]).unwrap();
        assert_eq!(second["request"], "y");
    }

    #[test]
    fn a_device_that_takes_no_line_stops_requests_until_it_does() {
        // Every write to this device fails with "no space left".
        let full = AuditTarget::File(PathBuf::from("/dev/full"));
        let audit = Audit::open(&full, Clock::system()).unwrap();
        assert!(audit.ready().is_ok());
        assert!(audit.record("request", Map::new()).is_err());
        assert!(audit.ready().is_err());

        let null = AuditTarget::File(PathBuf::from("/dev/null"));
        let audit = Audit::open(&null, Clock::system()).unwrap();
        audit.device.broken.store(true, Ordering::Relaxed);
        assert!(audit.ready().is_ok());
        assert!(!audit.device.broken.load(Ordering::Relaxed));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let missing = AuditTarget::File(PathBuf::from("/nonexistent/audit.jsonl"));
        let error = Audit::open(&missing, Clock::system())
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nonexistent/audit.jsonl"), "{error}");
    }
}
