//! The other end of a `Connection` in a test: a script, or a real TCP socket
//! on loopback.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::network::NetworkCause;

/// What an upstream that speaks bytes expects and says, step by step. A
/// provider that does something else gets a network error that tells what the
/// script expected.
#[derive(Clone, Debug, Default)]
pub struct Script {
    steps: VecDeque<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Expect(Vec<u8>),
    Answer(Vec<u8>),
    StartTls(Option<Vec<u8>>),
    Fail(NetworkCause),
}

impl Script {
    /// An upstream that closes the connection at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// The provider must write exactly these bytes.
    #[must_use]
    pub fn expect(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Expect(bytes.into()))
    }

    /// Upstream sends these bytes.
    #[must_use]
    pub fn answer(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Answer(bytes.into()))
    }

    /// The provider must start TLS; upstream shows this certificate (DER).
    #[must_use]
    pub fn start_tls(self, certificate: Option<Vec<u8>>) -> Self {
        self.then(Step::StartTls(certificate))
    }

    /// The next thing that the provider does fails with this.
    #[must_use]
    pub fn fail(self, cause: NetworkCause) -> Self {
        self.then(Step::Fail(cause))
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }
}

/// The other end of a connection.
pub(crate) enum Peer {
    Scripted {
        script: Script,
        certificate: Option<Vec<u8>>,
    },
    Real(TcpStream),
}

impl Peer {
    pub(super) fn scripted(script: Script) -> Self {
        Self::Scripted {
            script,
            certificate: None,
        }
    }

    /// True where a script has steps that did not happen.
    pub(crate) fn is_unfinished(&self) -> bool {
        matches!(self, Self::Scripted { script, .. } if !script.steps.is_empty())
    }

    pub(super) fn start_tls(&mut self) -> Result<(), NetworkCause> {
        match self {
            Self::Real(_) => Err(NetworkCause::Tls(
                "a native test does not do TLS".to_owned(),
            )),
            Self::Scripted {
                script,
                certificate,
            } => match script.steps.pop_front() {
                Some(Step::StartTls(shown)) => {
                    *certificate = shown;
                    Ok(())
                }
                Some(Step::Fail(cause)) => Err(cause),
                other => Err(astray("started TLS", other.as_ref())),
            },
        }
    }

    pub(super) fn certificate(&self) -> Option<Vec<u8>> {
        match self {
            Self::Real(_) => None,
            Self::Scripted { certificate, .. } => certificate.clone(),
        }
    }

    pub(super) fn read(&mut self, limit: usize) -> Result<Vec<u8>, NetworkCause> {
        match self {
            Self::Real(stream) => {
                let mut buffer = vec![0; limit];
                let read = stream.read(&mut buffer).map_err(from_io)?;
                buffer.truncate(read);
                Ok(buffer)
            }
            Self::Scripted { script, .. } => match script.steps.pop_front() {
                None => Ok(Vec::new()),
                Some(Step::Answer(mut bytes)) => {
                    if bytes.len() > limit {
                        script
                            .steps
                            .push_front(Step::Answer(bytes.split_off(limit)));
                    }
                    Ok(bytes)
                }
                Some(Step::Fail(cause)) => Err(cause),
                other => Err(astray("waits for bytes", other.as_ref())),
            },
        }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), NetworkCause> {
        let script = match self {
            Self::Real(stream) => return stream.write_all(bytes).map_err(from_io),
            Self::Scripted { script, .. } => script,
        };
        while !bytes.is_empty() {
            match script.steps.pop_front() {
                Some(Step::Expect(expected)) if expected.starts_with(bytes) => {
                    let rest = expected.get(bytes.len()..).unwrap_or_default();
                    if !rest.is_empty() {
                        script.steps.push_front(Step::Expect(rest.to_vec()));
                    }
                    bytes = &[];
                }
                Some(Step::Expect(expected)) if bytes.starts_with(&expected) => {
                    bytes = bytes.get(expected.len()..).unwrap_or_default();
                }
                Some(Step::Fail(cause)) => return Err(cause),
                other => {
                    let wrote = format!("wrote {:?}", String::from_utf8_lossy(bytes));
                    return Err(astray(&wrote, other.as_ref()));
                }
            }
        }
        Ok(())
    }
}

/// The script did not foresee this: a network error, so that it comes out of
/// the provider with its text.
fn astray(did: &str, expected: Option<&Step>) -> NetworkCause {
    let expected = match expected {
        None => "the end".to_owned(),
        Some(Step::Expect(bytes)) => format!(
            "the bytes {:?} from the provider",
            String::from_utf8_lossy(bytes)
        ),
        Some(Step::Answer(_)) => "that the provider reads".to_owned(),
        Some(Step::StartTls(_)) => "that the provider starts TLS".to_owned(),
        Some(Step::Fail(_)) => "a failure".to_owned(),
    };
    NetworkCause::Unreachable(format!(
        "the provider {did}, but the script expects {expected}"
    ))
}

fn from_io(error: std::io::Error) -> NetworkCause {
    match error.kind() {
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => NetworkCause::TimedOut,
        std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => {
            NetworkCause::Closed
        }
        _ => NetworkCause::Unreachable(error.to_string()),
    }
}
