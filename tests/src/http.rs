//! A client of the HTTP API that hides nothing: every method, raw bodies, and
//! answers with their status, headers and exact text.

use std::time::Duration;

use serde_json::Value;
use ureq::{Agent, http::Request};

/// Longest that a test waits for one answer. Above the server's own limit on a
/// provider call, so that the server's answer is seen and not the client's.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A client with a base address and, usually, a token. Cloning is cheap and
/// shares connections.
#[derive(Clone, Debug)]
pub struct Http {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl Http {
    /// A client of the server at `base` (`http://127.0.0.1:8200`), without a token.
    pub fn new(base: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .build()
            .new_agent();
        Self {
            agent,
            base: base.to_owned(),
            token: None,
        }
    }

    /// The same server, asked with `token`.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same server, asked without a token.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self {
            token: None,
            ..self.clone()
        }
    }

    /// The server's address, `http://127.0.0.1:8200`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The token sent along.
    ///
    /// # Panics
    /// Where there is none.
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("this client has a token")
    }

    /// `GET /v1/<path>`.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    /// `LIST /v1/<path>`.
    pub fn list(&self, path: &str) -> Answer {
        self.send("LIST", path, &[], None)
    }

    /// `DELETE /v1/<path>`.
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    /// `POST /v1/<path>` with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.write("POST", path, body)
    }

    /// `PUT /v1/<path>` with a JSON body.
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.write("PUT", path, body)
    }

    fn write(&self, method: &str, path: &str, body: &Value) -> Answer {
        let json = [("Content-Type", "application/json")];
        self.send(method, path, &json, Some(body.to_string().as_bytes()))
    }

    /// Any request; `path` stands after `/v1/`.
    ///
    /// # Panics
    /// Where no answer comes: a server that drops a connection fails the test.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} /v1/{path}: no answer: {error}"))
    }

    /// Any request, where the server may die under it.
    ///
    /// # Errors
    /// Where no answer comes.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("X-Vault-Token", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => self.agent.run(request.body(body)?),
            None => self.agent.run(request.body(())?),
        }?;
        let (head, mut body) = answer.into_parts();
        let header = |name: &str| {
            let value = head.headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Ok(Answer {
            request: format!("{method} /v1/{path}"),
            status: head.status.as_u16(),
            content_type: header("content-type"),
            retry_after: header("retry-after"),
            task: header("lessor-task"),
            allow: header("allow"),
            bytes: body.read_to_vec()?,
        })
    }

    /// A write under which the server is expected to die.
    ///
    /// # Panics
    /// Where it answers after all.
    pub fn post_to_the_death(&self, path: &str, body: &Value) {
        let json = [("Content-Type", "application/json")];
        let body = body.to_string();
        if let Ok(answer) = self.try_send("POST", path, &json, Some(body.as_bytes())) {
            panic!("the server was to die under this request, but answered {answer:?}");
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Method and path, for failure messages.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, where sent.
    pub content_type: Option<String>,
    /// `Retry-After`, where sent.
    pub retry_after: Option<String>,
    /// `Lessor-Task`, where sent.
    pub task: Option<String>,
    /// `Allow`, where sent.
    pub allow: Option<String>,
    /// The body.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{}: {error} in {:?}", self.request, self.text()))
    }

    /// The answer itself, which must be a success.
    ///
    /// # Panics
    /// Where it is none.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(
            (200..300).contains(&self.status),
            "{} answered {}: {}",
            self.request,
            self.status,
            self.text()
        );
        self
    }

    /// `data` of a success.
    #[track_caller]
    pub fn data(self) -> Value {
        self.ok().json()["data"].take()
    }

    /// The one sentence of a refusal with the given status.
    ///
    /// # Panics
    /// Where the answer is another, or holds other than one sentence.
    #[track_caller]
    pub fn refused(self, status: u16) -> String {
        assert_eq!(
            self.status,
            status,
            "{} answered {}",
            self.request,
            self.text()
        );
        assert_eq!(self.content_type.as_deref(), Some("application/json"));
        let body = self.json();
        let errors = body["errors"].as_array().expect("errors is a list");
        assert_eq!(errors.len(), 1, "one sentence: {body}");
        let sentence = errors[0].as_str().expect("an error is text").to_owned();
        assert!(!sentence.trim().is_empty(), "the sentence is empty");
        sentence
    }

    /// Whether it is Vault's "nothing here": 404 with an empty list of errors.
    #[track_caller]
    pub fn nothing_here(self) {
        assert_eq!(
            self.status,
            404,
            "{} answered {}",
            self.request,
            self.text()
        );
        assert_eq!(self.json()["errors"], Value::Array(Vec::new()));
    }

    /// `data.keys` of a list; an empty list is Vault's 404.
    #[track_caller]
    pub fn keys(self) -> Vec<String> {
        if self.status == 404 {
            self.nothing_here();
            return Vec::new();
        }
        self.data()["keys"]
            .as_array()
            .expect("a list has data.keys")
            .iter()
            .map(|key| key.as_str().expect("a key is text").to_owned())
            .collect()
    }
}
