//! What the operator writes once per mount: where the webhook is, its payload, and how it
//! knows who asks.

use lessor_sdk::oauth::{Authentication, Client, SigningKey};
use lessor_sdk::prelude::*;

/// Where the webhook is, and the payload that it gets with every call.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the webhook, to which the paths of its endpoints are added:
    /// `https://hooks.example.com`.
    pub url: String,
    /// What the webhook needs to know, root credential included, as one text: JSON mostly. It
    /// is opaque to lessor, sent with every call, and replaced by a rotation.
    #[serde(default = "nothing")]
    pub payload: Secret,
    /// Path of the endpoint that makes a credential.
    #[serde(default = "create_path")]
    pub create_path: String,
    /// Path of the endpoint that ends credentials.
    #[serde(default = "revoke_path")]
    pub revoke_path: String,
    /// Path of the endpoint that replaces the payload; empty where the webhook has none.
    #[serde(default = "rotate_path")]
    pub rotate_path: String,
    /// Whether the webhook is tried out when the config or a role is written, and when a new
    /// payload is proven: by a call of create whose caller is `p-custom`, at which a webhook
    /// makes nothing.
    #[serde(default = "yes")]
    pub dry_run: bool,
    /// For whom the tokens are that show the webhook which mount calls: JWTs that lessor signs,
    /// and whose keys it publishes. Without it none is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The header that has the token.
    #[serde(default = "caller_header")]
    pub caller_header: String,
    /// The whole value of the header `Authorization`, such as `Bearer …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Secret>,
    /// Where access tokens are given (OAuth 2.0), for a webhook that wants one: they are sent in
    /// the header `Authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// With `token_url`: the id of lessor as a client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// With `token_url`: the secret of that client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// With `token_url`: the private key of that client instead of a secret, PEM: RSA or P-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<Secret>,
    /// With `client_key`: the name under which the authorisation server knows the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key_id: Option<String>,
    /// With `client_secret`: where the secret stands.
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
    /// With `token_url`: the scope to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The header by which the webhook knows a call that it has had before, such as
    /// `Idempotency-Key`; its value is the id of the operation. Only for a webhook that makes
    /// nothing twice under one value, and that ends what it made under one when revoke comes
    /// with it and without ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_header: Option<String>,
}

/// Where a client's secret stands in a request for an access token (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(missing_docs, reason = "the standard's own words")]
pub enum ClientAuthentication {
    #[default]
    ClientSecretBasic,
    ClientSecretPost,
}

impl Config {
    /// Refuses what can be seen to be wrong without asking the webhook.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.url.starts_with("https://") && !self.url.starts_with("http://")
            || self.url.contains(['?', '#', ' '])
        {
            return Err(refuse(
                "`url` must be the address of the webhook without a query, such as https://hooks.example.com",
            ));
        }
        for (name, path) in [
            ("create_path", &self.create_path),
            ("revoke_path", &self.revoke_path),
            ("rotate_path", &self.rotate_path),
        ] {
            let none = path.is_empty() && name == "rotate_path";
            if !none && !path.starts_with('/') || path.contains(['#', ' ']) {
                return Err(refuse(format!(
                    "`{name}` must be a path that begins with a slash, such as /sync/create"
                )));
            }
        }
        let headers = [
            ("caller_header", Some(&self.caller_header)),
            ("idempotency_header", self.idempotency_header.as_ref()),
        ];
        for (name, header) in headers {
            if header.is_some_and(|header| !is_free_header(header)) {
                return Err(refuse(format!(
                    "`{name}` must be the name of a header that nothing else sets, such as X-Lessor"
                )));
            }
        }
        if let Some(idempotency) = &self.idempotency_header
            && self.audience.is_some()
            && idempotency.eq_ignore_ascii_case(&self.caller_header)
        {
            return Err(refuse(
                "`idempotency_header` and `caller_header` must be two headers",
            ));
        }
        self.client().map(drop)
    }

    /// The client that asks for access tokens, where the webhook wants them.
    pub(crate) fn client(&self) -> Result<Option<Client>> {
        let Some(token_url) = &self.token_url else {
            let alone = [
                ("client_id", self.client_id.is_some()),
                ("client_secret", self.client_secret.is_some()),
                ("client_key", self.client_key.is_some()),
                ("scope", self.scope.is_some()),
            ];
            return match alone.iter().find(|(_, given)| *given) {
                Some((name, _)) => Err(refuse(format!(
                    "`{name}` goes with `token_url`, the address where access tokens are given"
                ))),
                None => Ok(None),
            };
        };
        if self.authorization.is_some() {
            return Err(refuse(
                "`authorization` and `token_url` both fill the header Authorization: keep one of the two",
            ));
        }
        let id = self.client_id.clone().ok_or_else(|| {
            refuse("`token_url` needs `client_id`, the id of lessor where access tokens are given")
        })?;
        let authentication = match (&self.client_secret, &self.client_key) {
            (Some(secret), None) => {
                let secret = Secret::new(trimmed(secret));
                match self.client_authentication {
                    ClientAuthentication::ClientSecretBasic => Authentication::Basic { id, secret },
                    ClientAuthentication::ClientSecretPost => Authentication::Post { id, secret },
                }
            }
            (None, Some(key)) => {
                let key = SigningKey::from_pem(key)
                    .map_err(|failure| failure.while_doing("`client_key`"))?;
                let key = match &self.client_key_id {
                    Some(id) => key.id(id),
                    None => key,
                };
                Authentication::PrivateKey { id, key }
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(refuse(
                    "`token_url` needs either `client_secret` or `client_key`, by which lessor shows who it is there",
                ));
            }
        };
        let client = Client::new(token_url).authentication(authentication);
        Ok(Some(match &self.scope {
            Some(scope) => client.scope(scope),
            None => client,
        }))
    }

    /// Whether anything tells the webhook who calls.
    pub(crate) fn shows_who_calls(&self) -> bool {
        self.audience.is_some() || self.authorization.is_some() || self.token_url.is_some()
    }

    /// Whether secrets cross a network in the clear.
    pub(crate) fn is_in_the_clear(&self) -> bool {
        let Some(rest) = self.url.strip_prefix("http://") else {
            return false;
        };
        let authority = rest.split('/').next().unwrap_or(rest);
        let local = ["127.", "[::1]", "localhost"];
        !local.iter().any(|host| authority.starts_with(host))
    }
}

/// A secret without the line end that comes along where it is read from a file: no header has
/// one.
pub(crate) fn trimmed(secret: &Secret) -> &str {
    secret.expose().trim()
}

pub(crate) fn refuse(message: impl Into<String>) -> Failure {
    Failure::invalid_config("config_invalid", format!("{}.", message.into()))
}

/// Whether this names a header (RFC 9110, 5.1), and none that the request has anyway.
fn is_free_header(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let taken = [
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
    ];
    (1..=128).contains(&name.len())
        && name.bytes().all(token)
        && !taken.iter().any(|taken| name.eq_ignore_ascii_case(taken))
}

fn nothing() -> Secret {
    Secret::new("")
}

fn create_path() -> String {
    "/sync/create".to_owned()
}

fn revoke_path() -> String {
    "/sync/revoke".to_owned()
}

fn rotate_path() -> String {
    "/sync/rotate".to_owned()
}

fn caller_header() -> String {
    "AkeylessCreds".to_owned()
}

fn yes() -> bool {
    true
}
