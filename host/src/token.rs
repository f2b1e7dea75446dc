//! Tokens: what a caller shows with each request.
//!
//! A *service* token is a row under its keyed hash; the value is answered once
//! and never stored. It hangs on the token that made it and ends with that one,
//! unless it was made an orphan. A *batch* token is no row at all: what there is
//! to know of it stands in it, sealed; it cannot be renewed, revoked or given
//! children. The first token that may do everything is made with the
//! installation; another one comes from such a token alone, as its child.
//!
//! What a token may be, `judge` decides, and how long it lives, `life`: each
//! once, whoever asks.
//!
//! `auth` asks [`Tokens::find`] who presents a token; `api` and the login methods
//! have tokens made; the scheduler has those ended whose time is over.

mod batch;
mod entity;
mod judge;
mod make;
mod role;

use std::{fmt, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use lessor_model::{
    clock::{Clock, Timestamp},
    event::{ACCESSORS, Event},
    life,
    random::{self, RandomError},
    refusal::Refusal,
    secret::Secret,
    token::TokenKind,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{Storage, TokenFacts, TokenRow};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use crate::{config::TokenRules, context::Context};

use self::judge::{Judged, Voucher};
pub use self::{
    entity::{entity_of, entity_of_login},
    make::{Granted, Login, NewToken, Permits, Terms},
    role::{RoleRow, TokenRole},
};

/// The name of the policy, and of the token, that may do everything.
pub const ROOT: &str = "root";

/// The policy of a token that stands for a wrapped answer.
pub const WRAPPING: &str = "response-wrapping";

/// The policy that a token has unless it is made without.
pub const DEFAULT: &str = "default";

/// The prefix of a service token of this program, so that scanners for leaked secrets can find it.
const PREFIX: &str = "lsr.";

/// Longest token that is looked up, in bytes. What a batch token holds is in it.
const LONGEST: usize = 4096;

/// Tokens ended in one transaction, not counting those below them.
const BATCH: usize = 64;

/// Accessors that one list answers.
const LIST_LIMIT: usize = 100_000;

/// A token that holds.
#[derive(Clone, Debug)]
pub struct Token {
    /// The kind of the token.
    pub kind: TokenKind,
    /// The stored row. A batch token has no accessor.
    pub row: TokenRow,
}

impl Token {
    /// Whether it was made to end with nothing but itself.
    pub fn is_orphan(&self) -> bool {
        self.row.parent.is_none()
    }

    /// Whether it may do everything.
    pub fn is_root(&self) -> bool {
        self.row.policies.iter().any(|policy| policy == ROOT)
    }

    /// Refuses one that cannot be renewed, whatever gave it.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn check_renewable(&self) -> Result<(), Refusal> {
        if self.kind == TokenKind::Batch {
            return Err(Refusal::Invalid("batch tokens cannot be renewed".into()));
        }
        if !self.row.facts.renewable || self.row.expires_at.is_none() {
            return Err(fixed());
        }
        Ok(())
    }

    /// The rest of its time at `now`, in seconds, rounded up; 0 for one without end.
    pub fn ttl(&self, now: Timestamp) -> u64 {
        self.row.expires_at.map_or(0, |end| {
            u64::try_from(end.since(now).as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
        })
    }
}

/// The tokens of an installation.
pub struct Tokens {
    storage: Storage,
    keyring: Keyring,
    clock: Clock,
    rules: TokenRules,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// Tokens over a storage.
    pub fn new(context: Context, rules: TokenRules) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            storage,
            keyring,
            clock,
            rules,
        }
    }

    /// Looks `token` up; none where it is unknown, has ended or is used up.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn find(&self, token: &Secret<String>) -> Result<Option<Token>, Refusal> {
        let text = token.expose();
        if text.is_empty() || text.len() > LONGEST {
            return Ok(None);
        }
        let now = self.clock.now();
        let hash = self.keyring.token_hash(text);
        if let Some(batch) = batch::open(&self.keyring, token, hash) {
            return self.holding_batch(batch, now).await;
        }
        let Some(row) = self.storage.token_by_hash(hash).await? else {
            return Ok(None);
        };
        // Looked up by a keyed hash, the row tells no more by time than the hash
        // does; compared again, it tells nothing.
        let same = bool::from(row.hash.ct_eq(&hash));
        Ok((same && holds(&row, now)).then_some(Token {
            kind: TokenKind::Service,
            row,
        }))
    }

    /// A batch token holds until its end, and no longer than its parent.
    async fn holding_batch(&self, row: TokenRow, now: Timestamp) -> Result<Option<Token>, Refusal> {
        if let Some(parent) = row.parent {
            let parent = self.storage.token_by_hash(parent).await?;
            if parent.is_none_or(|parent| !holds(&parent, now)) {
                return Ok(None);
            }
        }
        Ok(holds(&row, now).then_some(Token {
            kind: TokenKind::Batch,
            row,
        }))
    }

    /// The token of an accessor; none where there is none that holds.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn find_by_accessor(&self, accessor: &str) -> Result<Option<Token>, Refusal> {
        if accessor.len() > LONGEST {
            return Ok(None);
        }
        let row = self.storage.token_by_accessor(accessor.to_owned()).await?;
        let now = self.clock.now();
        Ok(row.filter(|row| holds(row, now)).map(|row| Token {
            kind: TokenKind::Service,
            row,
        }))
    }

    /// Accessors of all service tokens.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn accessors(&self) -> Result<Vec<String>, Refusal> {
        let now = self.clock.now();
        Ok(self.storage.token_accessors(now, LIST_LIMIT).await?)
    }

    /// The number of service tokens.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn count(&self) -> Result<u64, Refusal> {
        Ok(self.storage.token_count(self.clock.now()).await?)
    }

    /// Takes one use of a token that has only so many; true where it may be used.
    /// Whoever took the last one calls [`Self::revoke`] when the request is
    /// answered; where a crash comes between, it is used up and ends by time.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn take_use(&self, token: &mut Token) -> Result<bool, Refusal> {
        if token.row.uses_left.is_none() {
            return Ok(true);
        }
        let left = self.storage.use_token(token.row.hash).await?;
        token.row.uses_left = left;
        Ok(left.is_some())
    }

    /// Moves the end of a token: `increment` from now, or as long as it was made
    /// for, as far as what gave it still allows. `terms` are what its login method
    /// gives now, of a token that a login gave. The renewed token, and a warning
    /// where its end is less than was asked for.
    ///
    /// # Errors
    /// `Invalid` for one that cannot be renewed, or not any more.
    pub async fn renew(
        &self,
        token: &Token,
        increment: Option<Duration>,
        terms: Option<Terms<'_>>,
    ) -> Result<(Token, Vec<String>), Refusal> {
        token.check_renewable()?;
        let now = self.clock.now();
        let mut judged = self.judged_again(token, increment, terms, now).await?;
        let Some(end) = judged.end() else {
            return Err(fixed());
        };
        let mut renewed = token.clone();
        renewed.row.expires_at = Some(end);
        let (facts, bounds) = (&mut renewed.row.facts, judged.bounds());
        facts.max_ttl = bounds.max.as_secs();
        facts.period = bounds.period.as_secs();
        facts.renewed_at = Some(now);
        let facts = renewed.row.facts.clone();
        let stored = self
            .storage
            .record_token_renewed(token.row.hash, end, facts, now);
        if !stored.await? {
            return Err(fixed());
        }
        Event::TokenRenewed {
            accessor: token.row.accessor.clone(),
            expires: end,
        }
        .record();
        Ok((renewed, judged.take_warnings()))
    }

    /// The token as what gave it would give it now.
    async fn judged_again(
        &self,
        token: &Token,
        increment: Option<Duration>,
        terms: Option<Terms<'_>>,
        now: Timestamp,
    ) -> Result<Judged, Refusal> {
        let (row, facts) = (&token.row, &token.row.facts);
        let seconds = Duration::from_secs;
        let made_explicit = seconds(facts.explicit_max_ttl);
        let role = match &facts.role {
            Some(name) => Some(self.role_again(name, facts).await?),
            None => None,
        };
        let role = role.as_ref().map(|row| &row.role);
        let is_login = terms.is_some();
        if is_login != facts.login.is_some() {
            return Err(Refusal::internal(NotLookedAt));
        }
        let (voucher, mut draft) = match terms {
            Some(terms) => (Voucher::Login, make::draft_of_login(terms)),
            None => (Voucher::Holder(role), make::draft_of_holder(row, role)),
        };
        draft.kind = token.kind;
        draft.bounds.explicit_max = life::least([made_explicit, draft.bounds.explicit_max]);
        if let Some(increment) = increment.filter(|increment| !increment.is_zero()) {
            draft.bounds.asked = increment;
        }
        let judged = judge::judge_at(voucher, draft, self.rules, row.created_at, now);
        let judged = judged.map_err(Refusal::Invalid)?;
        if is_login && !judged.gives_the_same_as(&row.policies) {
            return Err(Refusal::Invalid(
                "policies have changed, not renewing: log in again".into(),
            ));
        }
        Ok(judged)
    }

    /// The token role that a token was made by, where it is still the same.
    async fn role_again(&self, name: &str, facts: &TokenFacts) -> Result<RoleRow, Refusal> {
        let over = |how: &str| {
            Refusal::Invalid(format!(
                "original token role {name:?} {how}, not renewing: get a new token"
            ))
        };
        let role = match name.parse() {
            Ok(name) => self.role(&name).await?,
            Err(_) => None,
        };
        let role = role.ok_or_else(|| over("could not be found"))?;
        if role.uuid != facts.role_uuid.as_deref().unwrap_or_default() {
            return Err(over("was removed and made again"));
        }
        Ok(role)
    }

    /// Ends a token, all that it made, and the leases that are bound to them.
    ///
    /// # Errors
    /// `Invalid` for a batch token.
    pub async fn revoke(&self, token: &Token) -> Result<(), Refusal> {
        refuse_batch(token)?;
        let now = self.clock.now();
        let ended = self.storage.end_token(token.row.hash, now).await?;
        self.told(&token.row.accessor, ended);
        Ok(())
    }

    /// Ends a token; what it made lives on.
    ///
    /// # Errors
    /// `Invalid` for a batch token.
    pub async fn revoke_alone(&self, token: &Token) -> Result<(), Refusal> {
        refuse_batch(token)?;
        let now = self.clock.now();
        let ended = self.storage.end_token_alone(token.row.hash, now).await?;
        self.told(&token.row.accessor, ended);
        Ok(())
    }

    /// Ends the tokens that paths below `prefix` made: a login method that is
    /// disabled takes its tokens with it.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn revoke_made_below(&self, prefix: &str) -> Result<(), Refusal> {
        loop {
            let now = self.clock.now();
            let ended = self
                .storage
                .end_tokens_made_below(prefix.to_owned(), now, BATCH);
            let (found, marked) = ended.await?;
            if found.is_empty() {
                return Ok(());
            }
            for (accessors, leases) in lines(found, marked) {
                Event::TokensRevoked {
                    prefix: prefix.to_owned(),
                    tokens: accessors.len(),
                    accessors,
                    leases,
                }
                .record();
            }
        }
    }

    /// Ends the tokens whose time is over; the moment of the next.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn end_due(&self, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        loop {
            match self.storage.next_token_end().await? {
                Some(end) if end <= now => {}
                next => return Ok(next),
            }
            let (found, marked) = self.storage.end_due_tokens(now, BATCH).await?;
            for (accessors, leases) in lines(found, marked) {
                Event::TokensExpired {
                    tokens: accessors.len(),
                    accessors,
                    leases,
                }
                .record();
            }
        }
    }

    /// Tells of a token that was revoked, and of those that it made.
    fn told(&self, accessor: &str, (mut ended, marked): (Vec<String>, usize)) {
        if ended.is_empty() {
            // Somebody else ended it a moment ago.
            return;
        }
        ended.retain(|other| other != accessor);
        for (with, leases) in lines(ended, marked) {
            Event::TokenRevoked {
                accessor: accessor.to_owned(),
                with,
                leases,
            }
            .record();
        }
    }
}

/// A token of a login is renewed by what its login method gives, and no other is.
#[derive(Debug, thiserror::Error)]
#[error("a token was to be renewed without a look at what gave it")]
struct NotLookedAt;

/// Accessors in as many parts as there are lines to be written, one at least; the
/// leases that were marked are counted in the first.
fn lines(accessors: Vec<String>, marked: usize) -> impl Iterator<Item = (Vec<String>, usize)> {
    let parts: Vec<Vec<String>> = match accessors.is_empty() {
        true => vec![accessors],
        false => accessors
            .chunks(ACCESSORS)
            .map(<[String]>::to_vec)
            .collect(),
    };
    let marked = std::iter::once(marked).chain(std::iter::repeat(0));
    parts.into_iter().zip(marked)
}

fn fixed() -> Refusal {
    Refusal::Invalid("lease is not renewable".into())
}

/// Whether a token may be used at `now`.
fn holds(row: &TokenRow, now: Timestamp) -> bool {
    row.expires_at.is_none_or(|end| now < end) && row.uses_left != Some(0)
}

fn refuse_batch(token: &Token) -> Result<(), Refusal> {
    match token.kind {
        TokenKind::Service => Ok(()),
        TokenKind::Batch => Err(Refusal::Invalid(
            "batch tokens cannot be revoked: they end by their time, or with the token that made them".into(),
        )),
    }
}

/// A new random token.
///
/// # Errors
/// Where the operating system gives no randomness.
pub fn new_token() -> Result<Secret<String>, RandomError> {
    let mut bytes = random::bytes::<32>()?;
    let token = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
    bytes.zeroize();
    Ok(Secret::new(token))
}

/// A new random accessor. Letters and digits alone: one that began with a hyphen
/// would be an option to every command line that it is typed into.
///
/// # Errors
/// Where the operating system gives no randomness.
pub fn new_accessor() -> Result<String, RandomError> {
    Ok(hex::encode(random::bytes::<18>()?))
}

/// The row of a root token, which never ends.
///
/// # Errors
/// Where the operating system gives no randomness for its accessor.
pub fn root_row(
    keyring: &Keyring,
    token: &Secret<String>,
    now: Timestamp,
) -> Result<TokenRow, RandomError> {
    Ok(TokenRow {
        hash: keyring.token_hash(token.expose()),
        accessor: new_accessor()?,
        display_name: ROOT.to_owned(),
        policies: vec![ROOT.to_owned()],
        created_at: now,
        expires_at: None,
        parent: None,
        uses_left: None,
        path: "auth/token/root".to_owned(),
        facts: TokenFacts::default(),
    })
}

#[cfg(test)]
mod tests;
