//! The host as an issuer of tokens, for upstream systems that trust one instead of a stored secret.
//!
//! A provider asks for a token, which says of which mount it is and to whom it is shown;
//! upstream looks the key up that signed it, at the issuer's own address, and gives what
//! it gives to that mount. Nobody else has the private keys: they are made here when the
//! first token is asked for, kept sealed, opened for one signature, and replaced every
//! month (`lessor_model::identity` says when).
//!
//! RS256 (RFC 7518, 3.3), because AWS, Google and Azure all take it, and not all take
//! another.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use lessor_model::{
    clock::{Clock, Timestamp},
    event::Event,
    id::{Digest, MountPath, OperationId},
    identity::{Plan, TOKEN, plan},
    provider::{Identity, IdentityError},
    random,
    refusal::Refusal,
    secret::Secret,
    suggest,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{IdentityKeyRow, Storage};
use serde_json::{Value, json};
use sha2::Digest as _;
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::context::Context;

/// No time to look after keys that there are not.
const NEVER: Timestamp = Timestamp(i64::MAX);

/// Bytes of an audience that is worth a look: URLs and client ids are shorter.
const AUDIENCE: usize = 1024;

/// Signs who the host is.
#[derive(Debug)]
pub struct Issuer {
    storage: Storage,
    keyring: Keyring,
    clock: Clock,
    /// The host's name as an issuer: a URL below which its keys are published.
    name: Option<String>,
    /// Held while a key is made.
    making: Mutex<()>,
    /// The time at which to look after the keys again, in milliseconds since the epoch: the
    /// scheduler asks with every lease.
    look_at: AtomicI64,
}

/// A mount, as the host vouches for it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The mount's, for ever.
    pub uuid: String,
    /// The path of the mount.
    pub path: MountPath,
    /// The name of the connection.
    pub connection: String,
    /// The audiences to which it may be shown.
    pub audiences: Vec<String>,
}

/// The identity of one mount.
#[derive(Debug)]
struct OfMount {
    issuer: Arc<Issuer>,
    subject: Subject,
}

impl Issuer {
    /// An issuer of this name, which may have none.
    pub fn new(context: Context, name: Option<String>) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            storage,
            keyring,
            clock,
            name,
            making: Mutex::default(),
            look_at: AtomicI64::new(0),
        }
    }

    /// The identity of a mount, by which its calls get tokens.
    pub fn identity(self: &Arc<Self>, subject: Subject) -> Arc<dyn Identity> {
        Arc::new(OfMount {
            issuer: Arc::clone(self),
            subject,
        })
    }

    /// The document by which verifiers find the keys (OpenID Connect Discovery 1.0); none where the
    /// host has no name as an issuer.
    pub fn discovery(&self) -> Option<Value> {
        let name = self.name.as_deref()?;
        Some(json!({
            "issuer": name,
            "jwks_uri": format!("{name}/.well-known/jwks.json"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "claims_supported": [
                "iss", "sub", "aud", "iat", "nbf", "exp", "jti", "path", "connection", "plugin"
            ],
        }))
    }

    /// The public keys (RFC 7517); none as long as nobody needed one.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn key_set(&self) -> Result<Vec<Value>, Refusal> {
        let keys = self.storage.identity_keys().await?;
        let keys = keys.iter().map(|key| serde_json::from_str(&key.public_key));
        keys.collect::<Result<_, _>>().map_err(Refusal::internal)
    }

    /// Makes the next key when it is due, and removes those whose last token is over. The
    /// moment to look again.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn look_after(&self, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        let known = Timestamp(self.look_at.load(Ordering::Relaxed));
        if now < known {
            return Ok((known != NEVER).then_some(known));
        }
        // A key that is made meanwhile has it looked at again.
        self.look_at.store(NEVER.0, Ordering::Relaxed);
        let looked = self.look_closely(now).await;
        let again = looked.as_ref().map_or(Some(now), |next| *next);
        if let Some(again) = again {
            self.look_at.fetch_min(again.0, Ordering::Relaxed);
        }
        looked
    }

    async fn look_closely(&self, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        let keys = self.storage.identity_keys().await?;
        let planned = plan_of(&keys, now);
        if planned.over > 0 {
            for key in keys.iter().take(planned.over) {
                if self.storage.remove_identity_key(key.kid.clone()).await? {
                    let kid = key.kid.clone();
                    Event::IdentityKeyRemoved { kid }.record();
                }
            }
        }
        if planned.is_due {
            self.make(keys.len() - planned.over.min(keys.len())).await?;
        }
        let keys = self.storage.identity_keys().await?;
        Ok(plan_of(&keys, now).next)
    }

    /// The key that signs now; the first one is made when it is needed.
    async fn signing(&self, now: Timestamp) -> Result<Option<IdentityKeyRow>, Refusal> {
        let mut keys = self.storage.identity_keys().await?;
        if keys.is_empty() {
            let _turn = self.making.lock().await;
            keys = self.storage.identity_keys().await?;
            if keys.is_empty() {
                self.make(0).await?;
                keys = self.storage.identity_keys().await?;
            }
        }
        let signs = plan_of(&keys, now).signs;
        Ok(signs.and_then(|place| keys.into_iter().nth(place)))
    }

    /// Makes a key beside so many others, unless somebody else has.
    async fn make(&self, others: usize) -> Result<(), Refusal> {
        let made = spawn_blocking(make_key).await.map_err(Refusal::internal)?;
        let NewKey { kid, jwk, private } = made.map_err(Refusal::internal)?;
        let key = IdentityKeyRow {
            private_key: self.keyring.seal(&place_of(&kid), private.expose())?,
            public_key: jwk.to_string(),
            kid: kid.clone(),
            created_at: self.clock.now(),
        };
        if self.storage.record_identity_key(key, others).await? {
            self.look_at.store(0, Ordering::Relaxed);
            Event::IdentityKeyMade { kid }.record();
        }
        Ok(())
    }

    async fn token(
        &self,
        subject: &Subject,
        (plugin, operation): (Digest, OperationId),
        audience: &str,
    ) -> Result<Secret<String>, IdentityError> {
        let mount = &subject.path;
        let Some(issuer) = &self.name else {
            return Err(IdentityError::NotConfigured(format!(
                "mount {mount} wants to show who it is, and this server has no name as an issuer: set `issuer` in its \
                 configuration to the URL under which upstream reaches it"
            )));
        };
        let is_allowed = subject.audiences.iter().any(|allowed| allowed == audience);
        if !is_allowed {
            let shown: String = audience.chars().take(AUDIENCE).collect();
            let shown = suggest::shown(&shown);
            return Err(IdentityError::NotAllowed(format!(
                "mount {mount} may not show who it is to the audience {shown:?}: if it should, add that to \
                 `identity_audiences` of the mount (lessor mount tune {mount} --identity-audience …)"
            )));
        }
        let unavailable = |error: Refusal| {
            tracing::error!(%mount, %error, "could not sign who a mount is");
            IdentityError::Unavailable
        };
        let now = self.clock.now();
        let key = self.signing(now).await.map_err(unavailable)?;
        let key = key.ok_or(IdentityError::Unavailable)?;
        let id = random::uuid().map_err(|error| unavailable(error.into()))?;
        let begins = now.unix_seconds();
        let claims = json!({
            "iss": issuer,
            "sub": format!("mount:{}:{mount}", subject.uuid),
            "aud": audience,
            "iat": begins,
            "nbf": begins,
            "exp": begins.saturating_add(TOKEN.as_secs()),
            "jti": id,
            "path": mount.as_str(),
            "connection": subject.connection,
            "plugin": plugin.to_string(),
        });
        let private = self.keyring.open(&place_of(&key.kid), &key.private_key);
        let private = private.map_err(|error| unavailable(error.into()))?;
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": key.kid});
        let message = format!("{}.{}", part(header.to_string()), part(claims.to_string()));
        let signed = spawn_blocking(move || sign(&private, message)).await;
        let token = signed.map_err(|error| unavailable(Refusal::internal(error)))?;
        let token = token.map_err(|error| unavailable(Refusal::internal(error)))?;
        Event::IdentityTokenIssued {
            mount: mount.clone(),
            audience: audience.to_owned(),
            plugin,
            operation,
            token_id: id,
        }
        .record();
        Ok(token)
    }
}

#[async_trait]
impl Identity for OfMount {
    async fn token(
        &self,
        plugin: Digest,
        operation: OperationId,
        audience: &str,
    ) -> Result<Secret<String>, IdentityError> {
        let of = (plugin, operation);
        self.issuer.token(&self.subject, of, audience).await
    }
}

/// A key that was just made.
struct NewKey {
    kid: String,
    jwk: Value,
    /// PKCS #8.
    private: Secret<Vec<u8>>,
}

/// aws-lc-rs failed where only a lack of memory or randomness, or a damaged key, can
/// make it fail.
#[derive(Debug, thiserror::Error)]
#[error("a key of the issuer could not be made or used")]
struct BadKey;

/// A tenth of a second of one core, or two.
fn make_key() -> Result<NewKey, BadKey> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| BadKey)?;
    let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| BadKey)?;
    let public = pair.public_key();
    let number = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let n = number(public.modulus().big_endian_without_leading_zero());
    let e = number(public.exponent().big_endian_without_leading_zero());
    // RFC 7638: of the members that are required, in the order of the alphabet.
    let thumb = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    let kid = part(sha2::Sha256::digest(thumb));
    Ok(NewKey {
        jwk: json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e}),
        kid,
        private: Secret::new(private.as_ref().to_vec()),
    })
}

/// A message and its signature.
fn sign(private: &Secret<Vec<u8>>, message: String) -> Result<Secret<String>, BadKey> {
    let pair = RsaKeyPair::from_pkcs8(private.expose()).map_err(|_| BadKey)?;
    let mut signature = vec![0; pair.public_modulus_len()];
    let random = SystemRandom::new();
    pair.sign(
        &RSA_PKCS1_SHA256,
        &random,
        message.as_bytes(),
        &mut signature,
    )
    .map_err(|_| BadKey)?;
    Ok(Secret::new(format!("{message}.{}", part(signature))))
}

/// A part of a token (RFC 7515).
fn part(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The context that a private key is sealed for.
fn place_of(kid: &str) -> String {
    format!("identity_keys/{kid}/private_key")
}

fn plan_of(keys: &[IdentityKeyRow], now: Timestamp) -> Plan {
    let made: Vec<Timestamp> = keys.iter().map(|key| key.created_at).collect();
    plan(&made, now)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lessor_model::identity::LEAD;
    use lessor_seal::keyring::RootKey;

    use super::*;

    struct House {
        _home: tempfile::TempDir,
        clock: Clock,
        issuer: Arc<Issuer>,
    }

    impl House {
        fn new(name: Option<&str>) -> Self {
            let home = tempfile::tempdir().unwrap();
            let storage = Storage::open(&home.path().join("lessor.db")).unwrap();
            let root = RootKey::generate_in(&home.path().join("root.key")).unwrap();
            let (keyring, _) = Keyring::create(&root).unwrap();
            let clock = Clock::system();
            let name = name.map(str::to_owned);
            let context = Context {
                storage,
                keyring,
                clock: clock.clone(),
            };
            let issuer = Issuer::new(context, name);
            Self {
                _home: home,
                clock,
                issuer: Arc::new(issuer),
            }
        }

        async fn token(&self, audience: &str) -> Result<Secret<String>, IdentityError> {
            let identity = self.issuer.identity(Subject {
                uuid: "u1".into(),
                path: "cloud".parse().unwrap(),
                connection: "default".into(),
                audiences: vec!["sts.amazonaws.com".into()],
            });
            let operation = OperationId::from_bytes([1; 16]);
            identity
                .token(Digest::of(b"plugin"), operation, audience)
                .await
        }

        /// The key that a new token is signed with.
        async fn signer(&self) -> String {
            let token = self.token("sts.amazonaws.com").await.unwrap();
            jsonwebtoken::decode_header(token.expose().as_bytes())
                .unwrap()
                .kid
                .unwrap()
        }

        async fn published(&self) -> Vec<String> {
            let keys = self.issuer.key_set().await.unwrap();
            let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
            keys.iter().map(kid).collect()
        }

        async fn look_after(&self) -> Option<Timestamp> {
            self.issuer.look_after(self.clock.now()).await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_refusal_says_how_to_allow_what_was_asked() {
        let unnamed = House::new(None);
        let refused = unnamed.token("sts.amazonaws.com").await.unwrap_err();
        assert!(
            matches!(&refused, IdentityError::NotConfigured(says) if says.contains("`issuer`"))
        );
        assert_eq!(unnamed.issuer.discovery(), None);

        let house = House::new(Some("https://lessor.example"));
        let refused = house.token("sts.amazonaws.com\u{7f}").await.unwrap_err();
        let IdentityError::NotAllowed(says) = refused else {
            panic!("{refused:?}");
        };
        assert!(
            says.contains("mount tune cloud --identity-audience"),
            "{says}"
        );
        assert!(!says.contains('\u{7f}'));
        assert!(house.published().await.is_empty(), "nobody needs a key yet");
        assert_eq!(house.look_after().await, None);
    }

    #[tokio::test]
    async fn a_new_key_is_published_before_it_signs_and_the_former_one_after() {
        let house = House::new(Some("https://lessor.example"));
        let first = house.signer().await;
        assert_eq!(house.published().await, [first.as_str()]);
        let due = house.look_after().await.unwrap();
        house
            .clock
            .advance(due.since(house.clock.now()) + Duration::from_secs(1));
        house.look_after().await;
        let [_, second] = <[String; 2]>::try_from(house.published().await).unwrap();
        assert_eq!(house.signer().await, first);
        house.clock.advance(LEAD);
        assert_eq!(house.signer().await, second);
        assert_eq!(house.published().await.len(), 2);
        let over = house.look_after().await.unwrap();
        house.clock.advance(over.since(house.clock.now()));
        house.look_after().await;
        assert_eq!(house.published().await, [second.as_str()]);
        assert_eq!(house.signer().await, second);
    }
}
