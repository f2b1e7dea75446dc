//! Passwords: hashed with Argon2id and compared, a few at a time.
//!
//! Each hash takes 19 MiB and tens of milliseconds by design, so that a stolen
//! one is worth little. That is also what a flood of logins would cost, so few
//! run at once, off the async threads, and few wait: `turns` says who is next.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use super::turns::{Full, Rank, Turns, Whom};
use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use lessor_model::{random, refusal::Refusal, secret::Secret};
use tokio::sync::oneshot;

/// Longest password that is taken, in bytes. Hashing longer ones buys nothing.
const LONGEST: usize = 4096;

/// The prefix of a hash by bcrypt; none of ours begins so.
const BCRYPT: &str = "$2";

/// Costs of hashes by bcrypt that are taken: 12 takes a quarter of a second.
const LEAST_COST: u32 = 5;
const GREATEST_COST: u32 = 12;

/// Hashes at a time, at most: 80 MiB. Fewer where there are fewer processors, one
/// of which is left to all else.
const AT_A_TIME: usize = 4;

/// Names and places that logged in, which are remembered: the latest.
const PROVEN: usize = 4_096;

/// Hashes and compares passwords. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    turns: Turns,
    /// The addresses and names that logged in; the latest last.
    proven: Arc<Mutex<VecDeque<(IpAddr, String)>>>,
    /// The hash that the password for an unknown name is compared with.
    nobody: Arc<OnceLock<String>>,
}

impl Default for Passwords {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let turns = processors.saturating_sub(1).clamp(1, AT_A_TIME);
        Self {
            turns: Turns::new(turns),
            proven: Arc::default(),
            nobody: Arc::default(),
        }
    }
}

impl Passwords {
    /// The hash of a new password (PHC string).
    ///
    /// # Errors
    /// `Invalid` where it is too long; `Limit` where too many wait.
    pub(super) async fn hash(&self, password: Secret<String>) -> Result<String, Refusal> {
        if password.expose().len() > LONGEST {
            return Err(Refusal::Invalid(format!(
                "password must be at most {LONGEST} bytes"
            )));
        }
        // Only who has a token writes one.
        let whom = Whom {
            rank: Rank::Proven,
            peer: None,
            name: String::new(),
        };
        self.in_turn(whom, move || hash(password.expose())).await?
    }

    /// Whether a password is the one of `hash`, for a login as `name` from `peer`.
    /// Takes the same time where there is no hash.
    ///
    /// # Errors
    /// `Limit` where too many wait.
    pub(super) async fn verify(
        &self,
        (peer, name): (IpAddr, &str),
        password: Secret<String>,
        hash: Option<String>,
    ) -> Result<bool, Refusal> {
        let nobody = Arc::clone(&self.nobody);
        let place = (peer, name.to_owned());
        let rank = match hash.is_some() {
            true if self.proven().contains(&place) => Rank::Proven,
            true => Rank::Known,
            false => Rank::Unknown,
        };
        let whom = Whom {
            rank,
            peer: Some(peer),
            name: name.to_owned(),
        };
        let verified = self.in_turn(whom, move || {
            let known = hash.is_some();
            let hash = match hash {
                Some(hash) => hash,
                None => hash_of_nobody(&nobody)?,
            };
            Ok::<_, Refusal>(verify(password.expose(), &hash)? && known)
        });
        let fits = verified.await??;
        if fits && rank != Rank::Proven {
            let mut proven = self.proven();
            proven.push_back(place);
            if proven.len() > PROVEN {
                proven.pop_front();
            }
        }
        Ok(fits)
    }

    fn proven(&self) -> MutexGuard<'_, VecDeque<(IpAddr, String)>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        whom: Whom,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = self.turns.take(whom).await.map_err(|Full| Refusal::Limit {
            message: "too many logins with a password at once: try again in a moment".into(),
            retry_after: Duration::from_secs(1),
        })?;
        let (sender, done) = oneshot::channel();
        // A thread of its own, as many as there are turns: each thread of the pool that
        // ever hashed would keep the megabytes of its hash in an arena of the allocator,
        // and those of a thread that ended go to the next one.
        let thread = thread::Builder::new().name(String::from("password"));
        let started = thread.spawn(move || {
            let worked = work();
            // Held to the end of the work, also where the caller went away.
            drop(turn);
            // Nobody listening means that the caller went away.
            let _ = sender.send(worked);
        });
        started.map_err(Refusal::internal)?;
        done.await.map_err(Refusal::internal)
    }
}

/// The hash of a password that nobody knows.
fn hash_of_nobody(cell: &OnceLock<String>) -> Result<String, Refusal> {
    if let Some(hash) = cell.get() {
        return Ok(hash.clone());
    }
    let made = hash(&random::uuid()?)?;
    Ok(cell.get_or_init(|| made).clone())
}

/// Argon2id with the crate's defaults, which OWASP recommends: 19 MiB, two passes.
fn hash(password: &str) -> Result<String, Refusal> {
    let salt = random::bytes::<16>()?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(Refusal::internal)
}

/// Admits a hash by bcrypt that was made elsewhere, as it is.
///
/// # Errors
/// `Invalid` where it is none, or one of a cost that is worth too little or takes too
/// long: OpenBao has the same bounds.
pub(super) fn admit(hash: &Secret<String>) -> Result<String, Refusal> {
    let refuse = |sentence: &str| Err(Refusal::Invalid(sentence.into()));
    let hash = hash.expose().trim();
    let Ok(parts) = hash.parse::<bcrypt::HashParts>() else {
        return refuse(
            "password_hash is not a valid bcrypt hash: $2a$, $2b$ or $2y$, cost, salt and hash",
        );
    };
    if !(LEAST_COST..=GREATEST_COST).contains(&parts.get_cost()) {
        return refuse("password_hash must have a bcrypt cost from 5 to 12");
    }
    Ok(hash.to_owned())
}

fn verify(password: &str, hash: &str) -> Result<bool, Refusal> {
    if hash.starts_with(BCRYPT) {
        return bcrypt::verify(password, hash).map_err(Refusal::internal);
    }
    let hash = PasswordHash::new(hash).map_err(Refusal::internal)?;
    Ok(Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let passwords = Passwords::default();
        let secret = |text: &str| Secret::new(text.to_owned());
        let one = passwords.hash(secret("correct horse")).await.unwrap();
        let other = passwords.hash(secret("correct horse")).await.unwrap();
        assert_ne!(one, other, "each has a salt of its own");
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        for (password, hash, expected) in [
            ("correct horse", Some(one.clone()), true),
            ("correct horse", Some(other), true),
            ("Correct horse", Some(one.clone()), false),
            ("", Some(one), false),
            ("correct horse", None, false),
        ] {
            let bob = (IpAddr::from([127, 0, 0, 1]), "bob");
            let fits = passwords.verify(bob, secret(password), hash.clone()).await;
            assert_eq!(fits.unwrap(), expected, "{password} {hash:?}");
        }
        let long = passwords.hash(secret(&"x".repeat(5000))).await;
        assert!(matches!(long, Err(Refusal::Invalid(_))));
    }

    #[tokio::test]
    async fn a_hash_by_bcrypt_is_taken_within_bounds_and_fits_its_password() {
        let hash = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let secret = |text: &str| Secret::new(text.to_owned());
        let kept = admit(&secret(&format!("{hash}\n"))).unwrap();
        let passwords = Passwords::default();
        for (password, expected) in [("U*U", true), ("U*V", false), ("", false)] {
            let bob = (IpAddr::from([127, 0, 0, 1]), "bob");
            let fits = passwords
                .verify(bob, secret(password), Some(kept.clone()))
                .await;
            assert_eq!(fits.unwrap(), expected, "{password}");
        }
        for (bad, named) in [
            ("", "not a valid"),
            ("$2b$05$short", "not a valid"),
            ("$argon2id$v=19$m=19456,t=2,p=1$a$b", "not a valid"),
            (
                "$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
                "cost",
            ),
            (
                "$2b$13$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
                "cost",
            ),
        ] {
            let refused = admit(&secret(bad)).unwrap_err().to_string();
            assert!(refused.contains(named), "{bad}: {refused}");
        }
    }
}
