//! Wrapped answers: an answer kept under a token that opens it once.
//!
//! Whoever carries the token from the caller to the receiver never sees the answer. If the
//! carrier opens it on the way, the token opens nothing for the receiver, who so learns of it.
//! The answer is sealed and goes with its token, at its first use or at its end.

use std::{sync::Arc, time::Duration};

use lessor_model::{
    clock::{Clock, Timestamp},
    event::Event,
    life::SYSTEM_TTL,
    refusal::Refusal,
    secret::Secret,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{Storage, TokenRow};

use crate::{
    context::Context,
    token::{Tokens, WRAPPING},
};

/// An answer to be wrapped.
#[derive(Debug)]
pub struct Parcel {
    /// The answer as JSON text.
    pub answer: Secret<String>,
    /// Path of the request that it answers.
    pub path: String,
    /// The time for which it is kept.
    pub ttl: Duration,
    /// Accessor of a token in it.
    pub wrapped_accessor: Option<String>,
    /// Id of a lease whose credential is in it.
    pub lease: Option<String>,
}

/// A wrapped answer, as its caller is told of it.
#[derive(Debug)]
pub struct Wrapped {
    /// Opens it, once.
    pub token: Secret<String>,
    /// Accessor of that token.
    pub accessor: String,
    /// The time for which it is kept.
    pub ttl: Duration,
    /// The time when it was wrapped.
    pub created_at: Timestamp,
    /// Path of the request that it answers.
    pub path: String,
    /// Accessor of a token in it.
    pub wrapped_accessor: Option<String>,
    /// Id of a lease whose credential is in it.
    pub lease: Option<String>,
}

/// The facts about a wrapped answer that the holder of its token may read without opening it.
#[derive(Debug)]
pub struct Label {
    /// Path of the request that it answers.
    pub path: String,
    /// The time when it was wrapped.
    pub created_at: Timestamp,
    /// The time for which it is kept.
    pub ttl: Duration,
}

/// The wrapped answers of an installation.
#[derive(Debug)]
pub struct Wrappings {
    storage: Storage,
    keyring: Keyring,
    tokens: Arc<Tokens>,
    clock: Clock,
}

impl Wrappings {
    /// Wrapped answers over a storage.
    pub fn new(context: Context, tokens: Arc<Tokens>) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            storage,
            keyring,
            tokens,
            clock,
        }
    }

    /// Wraps an answer, for a length that [`check`] took.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn wrap(&self, parcel: Parcel) -> Result<Wrapped, Refusal> {
        let (token, row) = self.tokens.for_answer(&parcel.path, parcel.ttl)?;
        let sealed = self.seal(&row, &parcel.answer)?;
        self.storage.record_wrapping(row.clone(), sealed).await?;
        Event::AnswerWrapped {
            accessor: row.accessor.clone(),
            path: row.path.clone(),
            ttl_s: parcel.ttl.as_secs(),
            wrapped_accessor: parcel.wrapped_accessor.clone(),
            lease: parcel.lease.clone(),
        }
        .record();
        Ok(told(token, row, parcel))
    }

    /// Opens a wrapped answer and removes it.
    ///
    /// # Errors
    /// `Invalid` where the token stands for none.
    pub async fn unwrap(&self, token: &Secret<String>) -> Result<Secret<String>, Refusal> {
        let row = self.row_of(token).await?;
        let now = self.clock.now();
        let sealed = self.storage.take_wrapping(row.hash, now).await?;
        let sealed = sealed.ok_or_else(invalid)?;
        Event::AnswerUnwrapped {
            accessor: row.accessor.clone(),
            path: row.path.clone(),
        }
        .record();
        Ok(self.keyring.open_text(&context(&row), &sealed)?)
    }

    /// The facts about a wrapped answer, which stays.
    ///
    /// # Errors
    /// `Invalid` where the token stands for none.
    pub async fn lookup(&self, token: &Secret<String>) -> Result<Label, Refusal> {
        let row = self.row_of(token).await?;
        Ok(Label {
            path: row.path,
            created_at: row.created_at,
            ttl: Duration::from_secs(row.facts.creation_ttl),
        })
    }

    /// Puts a wrapped answer under a new token, for as long as at first. The
    /// former token opens nothing any more.
    ///
    /// # Errors
    /// `Invalid` where the token stands for none.
    pub async fn rewrap(&self, token: &Secret<String>) -> Result<Wrapped, Refusal> {
        let former = self.row_of(token).await?;
        let sealed = self.storage.wrapping(former.hash).await?;
        let sealed = sealed.ok_or_else(invalid)?;
        let parcel = Parcel {
            answer: self.keyring.open_text(&context(&former), &sealed)?,
            path: former.path.clone(),
            ttl: Duration::from_secs(former.facts.creation_ttl),
            wrapped_accessor: None,
            lease: None,
        };
        let (token, row) = self.tokens.for_answer(&parcel.path, parcel.ttl)?;
        let sealed = self.seal(&row, &parcel.answer)?;
        let (now, new) = (self.clock.now(), row.clone());
        let replaced = self
            .storage
            .replace_wrapping(former.hash, new, sealed, now)
            .await?;
        if !replaced {
            return Err(invalid());
        }
        Event::AnswerRewrapped {
            accessor: row.accessor.clone(),
            former: former.accessor,
            path: row.path.clone(),
            ttl_s: parcel.ttl.as_secs(),
        }
        .record();
        Ok(told(token, row, parcel))
    }

    /// The row of a token that stands for an answer.
    async fn row_of(&self, token: &Secret<String>) -> Result<TokenRow, Refusal> {
        let hash = self.keyring.token_hash(token.expose());
        let row = self.storage.token_by_hash(hash).await?;
        let now = self.clock.now();
        let holds = |row: &TokenRow| {
            row.policies == [WRAPPING]
                && row.expires_at.is_some_and(|end| now < end)
                // 0 where a caller from an address that may not use the token has used it up,
                // and the row is not removed yet.
                && row.uses_left != Some(0)
        };
        row.filter(holds).ok_or_else(invalid)
    }

    fn seal(&self, row: &TokenRow, answer: &Secret<String>) -> Result<Vec<u8>, Refusal> {
        Ok(self
            .keyring
            .seal(&context(row), answer.expose().as_bytes())?)
    }
}

fn told(token: Secret<String>, row: TokenRow, parcel: Parcel) -> Wrapped {
    Wrapped {
        token,
        accessor: row.accessor,
        ttl: parcel.ttl,
        created_at: row.created_at,
        path: parcel.path,
        wrapped_accessor: parcel.wrapped_accessor,
        lease: parcel.lease,
    }
}

/// Refuses a length beyond the longest, before there is an answer to lose.
///
/// # Errors
/// `Invalid`.
pub fn check(ttl: Duration) -> Result<(), Refusal> {
    if ttl > SYSTEM_TTL {
        return Err(Refusal::Invalid(format!(
            "X-Vault-Wrap-TTL must be at most {} s: no wrapped answer is kept longer",
            SYSTEM_TTL.as_secs()
        )));
    }
    Ok(())
}

/// The context that the answer of a token is sealed for.
fn context(row: &TokenRow) -> String {
    format!("wrappings/{}", row.accessor)
}

fn invalid() -> Refusal {
    Refusal::Invalid(
        "wrapping token is not valid or does not exist: it was opened before, has ended, or stands for no answer"
            .into(),
    )
}
