//! Requests to a server that may die before it answers.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

/// Longest wait for an answer. Well above what a pause of the database costs.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A client of the HTTP API at one address. Used by all threads at once.
#[derive(Debug)]
pub(super) struct Api {
    agent: Agent,
    base: String,
    token: String,
}

/// The outcome of a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// A status and the body.
    Answered(u16, Value),
    /// No answer, or half of one: whether the request was done is unknown.
    Silent,
}

impl Api {
    /// A client of the server on a port of loopback, without a token.
    pub(super) fn new(port: u16) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .proxy(None)
            .build()
            .new_agent();
        Self {
            agent,
            base: format!("http://127.0.0.1:{port}/v1"),
            token: String::new(),
        }
    }

    /// The same server, asked with a token.
    pub(super) fn with_token(self, token: String) -> Self {
        Self { token, ..self }
    }

    /// Asks once; `path` stands after `/v1/`.
    pub(super) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.try_ask(method, path, body).unwrap_or(Reply::Silent)
    }

    /// A request that must succeed; returns the answer.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn demand(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        match self.ask(method, path, body) {
            Reply::Answered(200..=299, said) => Ok(said),
            Reply::Answered(status, said) => bail!("{method} {path} was answered {status}: {said}"),
            Reply::Silent => bail!("{method} {path} was not answered"),
        }
    }

    fn try_ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, ureq::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.base));
        if !self.token.is_empty() {
            request = request.header("X-Vault-Token", &self.token);
        }
        let mut answer = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string())?)
            }
            None => self.agent.run(request.body(())?),
        }?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string()?;
        let said = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).map_err(ureq::Error::Json)?,
        };
        Ok(Reply::Answered(status, said))
    }
}
