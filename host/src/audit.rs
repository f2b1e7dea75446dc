//! The audit log: one JSON line per request and per change of state.
//!
//! A request that cannot be written down is not answered with success: the
//! caller gets 503, and while the device stays broken nothing is done at all.
//! Secrets appear only as keyed hashes (`Keyring::audit_hash`), so that a known
//! value can be looked for and none can be read. Lines are appended with one
//! `write` each; the file is never truncated or read here.

mod changes;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;
use serde_json::{Map, Value};

pub use self::changes::Changes;
use crate::{clock::Clock, config::AuditTarget, keyring::Keyring};

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
    file: Option<Mutex<File>>,
    /// Whether the last line could not be written.
    broken: AtomicBool,
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
                let opened = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(path);
                Some(Mutex::new(opened.map_err(|source| AuditError::Open {
                    path: path.clone(),
                    source,
                })?))
            }
        };
        let device = Device {
            target: target.clone(),
            file,
            broken: AtomicBool::new(false),
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
        let line = Line {
            time: self.clock.now().rfc3339(),
            r#type: kind,
            fields,
        };
        let written = serde_json::to_vec(&line)
            .map_err(io::Error::other)
            .and_then(|mut bytes| {
                bytes.push(b'\n');
                if self.device.broken.load(Ordering::Relaxed) {
                    // The last line may stand there in part: it takes no other
                    // with it.
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

    fn append(&self, line: &[u8]) -> io::Result<()> {
        match &self.device.file {
            Some(file) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(line),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(line).and_then(|()| out.flush())
            }
        }
    }

    /// Where lines go, for the log.
    pub fn target(&self) -> &AuditTarget {
        &self.device.target
    }
}

/// A copy of `document` in which every text and number is a keyed hash. Names
/// of fields, truths and nulls stay: they make a line readable.
pub fn hashed(keyring: &Keyring, document: &Value) -> Value {
    match document {
        Value::String(text) => Value::String(keyring.audit_hash(text)),
        Value::Number(number) => Value::String(keyring.audit_hash(&number.to_string())),
        Value::Array(items) => items.iter().map(|item| hashed(keyring, item)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), hashed(keyring, value)))
            .collect::<Map<_, _>>()
            .into(),
        plain => plain.clone(),
    }
}

/// The audit device failed.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be opened.
    #[error("the audit file {} cannot be opened for appending", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line cannot be written.
    #[error("the audit device takes no lines")]
    Write {
        /// Why.
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
