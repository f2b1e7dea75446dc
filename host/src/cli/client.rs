//! The HTTP client of the command line.
//!
//! It sends the token to the one server it was given: redirects are not
//! followed, and a loopback address is never reached through a proxy.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lessor_model::{pem, secret::Secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::{HeaderValue, Method, Request, Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{AsSendBody, Body, Timeout};

use super::console::Console;

/// The status by which the server says that work has begun and is not done yet.
pub(super) const ACCEPTED: u16 = 202;

const DEFAULT_ADDRESS: &str = "http://127.0.0.1:8200";

/// A rotation waits for its upstream system; nothing synchronous takes longer.
const PATIENCE: Duration = Duration::from_secs(600);

/// The largest answer that is read: a long list of leases fits many times.
const ANSWER_BYTES: u64 = 64 << 20;

/// Characters that stand in a path unescaped. A mount's path keeps its slashes.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// The reason why a request brought no answer to show.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("{0} is no address of a server; write one like {DEFAULT_ADDRESS}")]
    Address(String),
    #[error("cannot read the authorities in {file}")]
    Authorities {
        file: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "cannot reach {address}; is the server running there? ($LESSOR_ADDR or --address names another)"
    )]
    Unreachable {
        address: String,
        source: Box<ureq::Error>,
    },
    #[error(
        "the connection to {address} broke before its answer was there; whether it did what it was asked is not known"
    )]
    Unanswered {
        address: String,
        source: Box<ureq::Error>,
    },
    #[error("the token in ${variable} holds a character that no token has")]
    Token { variable: &'static str },
    #[error("the answer of {address} (status {status}) is not JSON; is it a lessor server?")]
    NotJson { address: String, status: u16 },
    #[error("{message}")]
    Refused { status: u16, message: String },
    /// Nothing was done, and asking again later may do it.
    #[error("{message}")]
    NotYet { message: String, wait: Duration },
    #[error("the server has nothing at {path}")]
    Missing { path: String },
}

impl ClientError {
    /// The same error; a missing thing is named in the caller's words.
    pub(super) fn where_missing(self, sentence: String) -> anyhow::Error {
        match self {
            Self::Missing { .. } => anyhow::Error::msg(sentence),
            other => other.into(),
        }
    }
}

/// The server's answer; the body is `null` where there was none.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    /// The time after which the server wants to be asked again.
    retry_after: Option<Duration>,
}

impl Answer {
    /// The `data` of the envelope, or the whole body where there is none.
    pub(super) fn data(&self) -> &Value {
        match self.body.get("data") {
            Some(data) if !data.is_null() => data,
            _ => &self.body,
        }
    }

    /// The names that a list gives.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.data().get("keys").and_then(Value::as_array);
        names
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    }
}

/// A server and the right to ask it.
pub(super) struct Client {
    agent: ureq::Agent,
    address: String,
    token: Option<Secret<String>>,
    patience: Duration,
}

impl Client {
    /// A client for the server that the flags or the environment name.
    pub(super) fn new(
        address: Option<String>,
        ca_cert: Option<PathBuf>,
        console: &Console<'_>,
    ) -> Result<Self, ClientError> {
        let address = address
            .or_else(|| console.first_set(&["LESSOR_ADDR", "VAULT_ADDR"]))
            .unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        let address = address.trim_end_matches('/').to_owned();
        let uri: Uri = address
            .parse()
            .map_err(|_| ClientError::Address(address.clone()))?;
        let (Some("http" | "https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(ClientError::Address(address));
        };
        let ca_cert = ca_cert.or_else(|| {
            console
                .first_set(&["LESSOR_CACERT", "VAULT_CACERT"])
                .map(PathBuf::from)
        });
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(provider));
        if let Some(file) = ca_cert {
            tls = tls.root_certs(authorities(&file)?);
        }
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .user_agent(concat!("lessor/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build());
        if is_loopback(host) {
            config = config.proxy(None);
        }
        let token = token(console)?;
        Ok(Self {
            agent: config.build().new_agent(),
            address,
            token,
            patience: PATIENCE,
        })
    }

    /// Has every request wait for its whole answer for at most this long.
    pub(super) fn wait_at_most(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The address of the server.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Reads the thing at a path, given without `/v1/`.
    pub(super) fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.accepted(Method::GET, path, "", None)
    }

    /// [`Self::get`] with a query, which begins with its question mark.
    pub(super) fn get_with(&self, path: &str, query: &str) -> Result<Answer, ClientError> {
        self.accepted(Method::GET, path, query, None)
    }

    /// The names below a path; nothing there is an empty list.
    pub(super) fn list(&self, path: &str) -> Result<Answer, ClientError> {
        match self.accepted(Method::GET, path, "?list=true", None) {
            Err(ClientError::Missing { .. }) => Ok(Answer {
                status: 200,
                retry_after: None,
                body: serde_json::json!({ "data": { "keys": [] } }),
            }),
            other => other,
        }
    }

    /// Reads the bytes at a path into a file, as they come.
    pub(super) fn download(&self, path: &str, file: &mut File) -> anyhow::Result<()> {
        let mut response = self.ask(Method::GET, path, "", None)?;
        let status = response.status().as_u16();
        if status >= 300 {
            let answer = self.answer(response)?;
            return Err(self.refusal(path, &answer).into());
        }
        let mut body = response.body_mut().as_reader();
        std::io::copy(&mut body, file).context("the backup did not arrive whole")?;
        Ok(())
    }

    /// Writes to a path.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Answer, ClientError> {
        self.accepted(Method::POST, path, "", Some(body))
    }

    /// Removes the thing at a path.
    pub(super) fn delete(&self, path: &str, query: &str) -> Result<Answer, ClientError> {
        self.accepted(Method::DELETE, path, query, None)
    }

    /// Reads a path whose status code is part of what it says.
    pub(super) fn probe(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(Method::GET, path, "", None)
    }

    fn accepted(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ClientError> {
        let answer = self.send(method, path, query, body)?;
        if answer.status < 300 {
            return Ok(answer);
        }
        Err(self.refusal(path, &answer))
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ClientError> {
        let response = self.ask(method, path, query, body)?;
        self.answer(response)
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<&Value>,
    ) -> Result<Response<Body>, ClientError> {
        let path = utf8_percent_encode(path.trim_matches('/'), PATH);
        let uri = format!("{}/v1/{path}{query}", self.address);
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(token) = &self.token {
            request = request.header("X-Vault-Token", token.expose());
        }
        let sent = match body {
            Some(body) => request
                .header("Content-Type", "application/json")
                .body(body.to_string())
                .map_err(ureq::Error::from)
                .and_then(|request| self.run(request)),
            None => request
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|request| self.run(request)),
        };
        sent.map_err(|source| match was_sent(&source) {
            true => self.unanswered(source),
            false => self.unreachable(source),
        })
    }

    fn run<S: AsSendBody>(&self, request: Request<S>) -> Result<Response<Body>, ureq::Error> {
        let request = self.agent.configure_request(request);
        let request = request.timeout_global(Some(self.patience)).build();
        self.agent.run(request)
    }

    fn answer(&self, mut response: Response<Body>) -> Result<Answer, ClientError> {
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("Retry-After")
            .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let text = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES)
            .read_to_string()
            .map_err(|source| self.unanswered(source))?;
        if text.trim().is_empty() {
            return Ok(Answer {
                status,
                body: Value::Null,
                retry_after,
            });
        }
        let body = serde_json::from_str(&text).map_err(|_| ClientError::NotJson {
            address: self.address.clone(),
            status,
        })?;
        Ok(Answer {
            status,
            body,
            retry_after,
        })
    }

    fn unanswered(&self, source: ureq::Error) -> ClientError {
        ClientError::Unanswered {
            address: self.address.clone(),
            source: Box::new(source),
        }
    }

    fn unreachable(&self, source: ureq::Error) -> ClientError {
        ClientError::Unreachable {
            address: self.address.clone(),
            source: Box::new(source),
        }
    }

    /// The server's own sentences, or what the status says where it has none.
    fn refusal(&self, path: &str, answer: &Answer) -> ClientError {
        let errors: Vec<&str> = answer
            .body
            .get("errors")
            .and_then(Value::as_array)
            .map(|errors| errors.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let path = path.trim_matches('/');
        let status = answer.status;
        let message = match status {
            404 if errors.is_empty() => {
                return ClientError::Missing {
                    path: path.to_owned(),
                };
            }
            403 if self.token.is_none() => {
                "the server wants a token; put it into $LESSOR_TOKEN".to_owned()
            }
            _ if errors.is_empty() => format!("the server answered {path} with status {status}"),
            _ => errors.join("; "),
        };
        match answer.retry_after {
            Some(wait) if status == 503 => ClientError::NotYet { message, wait },
            _ => ClientError::Refused { status, message },
        }
    }
}

/// The token that the environment names, without the white space around it.
fn token(console: &Console<'_>) -> Result<Option<Secret<String>>, ClientError> {
    for variable in ["LESSOR_TOKEN", "VAULT_TOKEN"] {
        let Some(token) = console.first_set(&[variable]) else {
            continue;
        };
        // A token that no header can hold would otherwise look like a server that is not there.
        if HeaderValue::from_str(&token).is_err() {
            return Err(ClientError::Token { variable });
        }
        return Ok(Some(Secret::new(token)));
    }
    Ok(None)
}

/// Whether the server may have had the request before it failed.
fn was_sent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Protocol(_) => true,
        ureq::Error::Timeout(phase) => !matches!(phase, Timeout::Resolve | Timeout::Connect),
        ureq::Error::Io(source) => matches!(
            source.kind(),
            ErrorKind::BrokenPipe
                | ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionReset
                | ErrorKind::TimedOut
                | ErrorKind::UnexpectedEof
                | ErrorKind::WouldBlock
        ),
        _ => false,
    }
}

fn authorities(file: &std::path::Path) -> Result<RootCerts, ClientError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| ClientError::Authorities {
        file: file.display().to_string(),
        source,
    };
    let bytes = std::fs::read(file).map_err(|error| failed(error.into()))?;
    let found = pem::authorities(&String::from_utf8_lossy(&bytes))
        .map_err(|reason| failed(format!("it {reason}").into()))?;
    let certificates: Vec<Certificate<'static>> = found
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    Ok(certificates.into())
}

fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || literal
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
