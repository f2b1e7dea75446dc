//! OAuth 2.0 access tokens (RFC 6749), for upstream systems that want one with every
//! request: the client credentials grant (4.4), and the JWT bearer grant (RFC 7523, 2.1),
//! with which service accounts are asked for. A token is kept by [`memo`] and
//! asked for anew five minutes before it ends; it is never logged.
//!
//! ```
//! use lessor_sdk::{Context, Result, Secret, http, oauth};
//!
//! fn users(ctx: &Context, secret: &Secret) -> Result<http::Response> {
//!     let client = oauth::Client::new("https://login.example.com/token")
//!         .authentication(oauth::Authentication::Basic {
//!             id: "lessor".to_owned(),
//!             secret: secret.clone(),
//!         })
//!         .scope("users.read");
//!     client.call(ctx, |token| http::get("https://api.example.com/users").bearer(token))
//! }
//! ```

mod assertion;
mod key;

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::failure::{Failure, FailureClass, Result};
use crate::http::{self, Request, Response};
use crate::memo;
use crate::secret::Secret;

pub use key::{Algorithm, SigningKey};

/// How a client shows the token endpoint who it is.
#[derive(Clone)]
#[non_exhaustive]
pub enum Authentication {
    /// `client_secret_basic`: id and secret in the header `Authorization` (RFC 6749, 2.3.1).
    Basic {
        /// The client's id.
        id: String,
        /// Its secret.
        secret: Secret,
    },
    /// `client_secret_post`: id and secret in the body (RFC 6749, 2.3.1).
    Post {
        /// The client's id.
        id: String,
        /// Its secret.
        secret: Secret,
    },
    /// `private_key_jwt`: a JWT that the client signs (RFC 7523, 2.2).
    PrivateKey {
        /// The client's id.
        id: String,
        /// The key that it signs with.
        key: SigningKey,
    },
    /// Nothing, as where an assertion is proof enough.
    None,
}

/// What stands for the right to a token.
#[derive(Clone)]
enum Grant {
    ClientCredentials,
    JwtBearer {
        key: SigningKey,
        claims: Map<String, Value>,
    },
}

/// A client of one token endpoint. Nothing is sent before [`Client::token`].
#[derive(Clone)]
pub struct Client {
    token_url: String,
    authentication: Authentication,
    grant: Grant,
    parameters: Vec<(String, String)>,
}

impl Client {
    /// A client of the token endpoint at this URL, by the client credentials grant.
    pub fn new(token_url: impl Into<String>) -> Self {
        Self {
            token_url: token_url.into(),
            authentication: Authentication::None,
            grant: Grant::ClientCredentials,
            parameters: Vec::new(),
        }
    }

    /// Says how the client shows who it is.
    #[must_use]
    pub fn authentication(mut self, authentication: Authentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// Asks by the JWT bearer grant (RFC 7523, 2.1), with a JWT that `key` signs. `claims`
    /// has what upstream wants in it: `iss` and `sub`, and `scope` where upstream reads it
    /// there. Added are `iat`, `exp` after five minutes, `jti`, and `aud`, the token
    /// endpoint, where `claims` has none.
    #[must_use]
    pub fn jwt_bearer(mut self, key: SigningKey, claims: Map<String, Value>) -> Self {
        self.grant = Grant::JwtBearer { key, claims };
        self
    }

    /// Adds the scope, whose words are separated by blanks (RFC 6749, 3.3).
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        self.parameter("scope", scope)
    }

    /// Adds a parameter that upstream wants besides: `audience`, `resource`.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The access token that is kept, or a new one.
    ///
    /// # Errors
    /// Why upstream gives none, with its own code: `oauth_invalid_client`.
    pub fn token(&self, ctx: &Context) -> Result<Secret> {
        memo::token(&self.name(), || self.ask(ctx))
    }

    /// Sends the request that `request` makes with the token. Where upstream refuses a
    /// token that was kept (401), as it does once it has forgotten it, the request is made
    /// once more with a new one.
    ///
    /// # Errors
    /// What [`Client::token`] and [`Request::send`] fail with; an answer of any status is
    /// none.
    pub fn call(&self, ctx: &Context, request: impl Fn(&Secret) -> Request) -> Result<Response> {
        let name = self.name();
        let kept = memo::secret(&name);
        let was_kept = kept.is_some();
        let token = match kept {
            Some(token) => token,
            None => self.token(ctx)?,
        };
        let answer = request(&token).send()?;
        if answer.status() != 401 || !was_kept {
            return Ok(answer);
        }
        memo::forget(&name);
        request(&self.token(ctx)?).send()
    }

    /// Under which name the token is kept: one mount may have several clients.
    fn name(&self) -> String {
        let client = match &self.authentication {
            Authentication::Basic { id, .. }
            | Authentication::Post { id, .. }
            | Authentication::PrivateKey { id, .. } => id,
            Authentication::None => "",
        };
        let (grant, claims) = match &self.grant {
            Grant::ClientCredentials => ("client", None),
            Grant::JwtBearer { claims, .. } => ("jwt", serde_json::to_string(claims).ok()),
        };
        let parameters = &self.parameters;
        let claims = claims.unwrap_or_default();
        let url = &self.token_url;
        format!("oauth {grant} {url} {client:?} {parameters:?} {claims}")
    }

    /// Asks the token endpoint (RFC 6749, 4.4.2; RFC 7523, 2.1).
    fn ask(&self, ctx: &Context) -> Result<(Secret, Duration)> {
        let mut form: Vec<(&str, &str)> = Vec::new();
        let assertion = match &self.grant {
            Grant::ClientCredentials => {
                form.push(("grant_type", "client_credentials"));
                None
            }
            Grant::JwtBearer { key, claims } => {
                form.push(("grant_type", JWT_BEARER));
                let claims = assertion::claims(ctx, claims.clone(), &self.token_url);
                Some(key.sign(&claims)?)
            }
        };
        if let Some(assertion) = &assertion {
            form.push(("assertion", assertion.expose()));
        }
        for (name, value) in &self.parameters {
            form.push((name, value));
        }
        let mut request = http::post(self.token_url.as_str()).header("accept", "application/json");
        let shown;
        match &self.authentication {
            Authentication::Basic { id, secret } => {
                request = request.header("authorization", basic(id, secret));
            }
            Authentication::Post { id, secret } => {
                form.extend([
                    ("client_id", id.as_str()),
                    ("client_secret", secret.expose()),
                ]);
            }
            Authentication::PrivateKey { id, key } => {
                let claims = Map::from_iter([
                    ("iss".to_owned(), Value::from(id.as_str())),
                    ("sub".to_owned(), Value::from(id.as_str())),
                ]);
                shown = key.sign(&assertion::claims(ctx, claims, &self.token_url))?;
                form.extend([
                    ("client_id", id.as_str()),
                    ("client_assertion_type", JWT_BEARER_ASSERTION),
                    ("client_assertion", shown.expose()),
                ]);
            }
            Authentication::None => {}
        }
        let answer = request.form(&form).send()?;
        if !answer.is_success() {
            return Err(refused(&answer));
        }
        let granted: Granted = answer.json()?;
        if !granted.token_type.eq_ignore_ascii_case("bearer") {
            return Err(Failure::unavailable(
                "oauth_token_type",
                format!(
                    "{} gave a token of another type than Bearer, which is the only one that is sent.",
                    answer.request()
                ),
            ));
        }
        let lasts = granted.expires_in.map_or(Duration::ZERO, Seconds::time);
        Ok((granted.access_token, lasts))
    }
}

/// RFC 6749, 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    #[serde(default = "bearer")]
    token_type: String,
    /// Without it nobody knows how long the token lasts, and it is not kept.
    expires_in: Option<Seconds>,
}

fn bearer() -> String {
    "Bearer".to_owned()
}

/// A number, which some systems write as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

impl Seconds {
    fn time(self) -> Duration {
        let seconds = match self {
            Self::Number(number) => number,
            Self::Text(text) => text.trim().parse().unwrap_or_default(),
        };
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
    }
}

/// RFC 6749, 5.2.
#[derive(Deserialize)]
struct Refused {
    error: String,
    error_description: Option<String>,
}

/// The failure that a refusal of the token endpoint stands for.
fn refused(answer: &Response) -> Failure {
    let request = answer.request();
    let Some(refused) = serde_json::from_slice::<Refused>(answer.body())
        .ok()
        .filter(|refused| is_code(&refused.error))
    else {
        return answer.failure(format!("{request} answered {}.", answer.status()));
    };
    let class = match refused.error.as_str() {
        "invalid_client" | "unauthorized_client" | "invalid_grant" | "access_denied" => {
            FailureClass::Denied
        }
        "invalid_scope" | "invalid_request" | "unsupported_grant_type" | "invalid_target" => {
            FailureClass::InvalidConfig
        }
        _ => return answer.failure(told(request, &refused)),
    };
    Failure::new(
        class,
        format!("oauth_{}", refused.error),
        told(request, &refused),
    )
}

fn told(request: &str, refused: &Refused) -> String {
    let description = refused.error_description.as_deref().unwrap_or_default();
    let description: String = description
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .take(DESCRIPTION)
        .collect();
    let description = description.trim().trim_end_matches('.');
    match description {
        "" => format!("{request} gives no token: {}.", refused.error),
        description => format!(
            "{request} gives no token: {} ({description}).",
            refused.error
        ),
    }
}

/// Whether this is an error code by RFC 6749, 5.2, and one of a length that can be told.
fn is_code(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=50).contains(&text.len()) && text.bytes().all(known)
}

/// Id and secret, each encoded as in a form, and then both as Basic has them (RFC 6749,
/// 2.3.1).
fn basic(id: &str, secret: &Secret) -> String {
    let both = Secret::new(format!(
        "{}:{}",
        http::encode(id),
        http::encode(secret.expose())
    ));
    format!("Basic {}", BASE64_STANDARD.encode(both.expose()))
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const JWT_BEARER_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Characters of upstream's own sentence that a failure repeats: one sentence, not a page.
const DESCRIPTION: usize = 200;
