//! The answers that the clients got, which no crash of the server can change.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// A credential whose issue was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credential {
    /// Id of its lease.
    pub(super) lease: String,
    /// The role in PostgreSQL.
    pub(super) username: String,
    /// Its password.
    pub(super) password: String,
}

impl Credential {
    /// Reads an answer to an issue; none where a part is missing.
    pub(super) fn read(said: &Value) -> Option<Self> {
        let text = |pointer: &str| Some(said.pointer(pointer)?.as_str()?.to_owned());
        Some(Self {
            lease: text("/lease_id")?,
            username: text("/data/username")?,
            password: text("/data/password")?,
        })
    }
}

/// The numbers of times that something was acknowledged, and was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Credentials handed over.
    pub(super) issued: u64,
    /// Leases renewed.
    pub(super) renewed: u64,
    /// Logins to PostgreSQL that succeeded while all went on.
    pub(super) logins: u64,
    /// Revocations that were said to be done.
    pub(super) revoked: u64,
    /// Rotations of the root credential that were said to be done.
    pub(super) rotated: u64,
    /// Requests that were refused or failed, by what was said.
    pub(super) refused: BTreeMap<String, u64>,
    /// Requests without an answer.
    pub(super) unanswered: u64,
}

/// Every acknowledged credential, in one of three lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    /// Credentials that must work.
    pub(super) held: Vec<Credential>,
    /// Credentials whose revocation was asked for and not confirmed: lease and role may both
    /// exist or both be gone.
    pub(super) unsure: Vec<Credential>,
    /// Credentials whose revocation was confirmed: they must be gone.
    pub(super) revoked: Vec<Credential>,
    /// Names of credentials that PostgreSQL refused while they had to work.
    pub(super) rejected: Vec<String>,
    /// The rest of the story in numbers.
    pub(super) counts: Counts,
}

/// Most characters of a refusal that are kept.
const LONGEST: usize = 240;

/// Most different refusals that are told apart.
const KINDS: usize = 20;

impl Books {
    /// Counts a request that was answered with something else than success.
    pub(super) fn refuse(&mut self, status: u16, said: &str) {
        let words: Vec<&str> = said.split_whitespace().collect();
        let said: String = words.join(" ").chars().take(LONGEST).collect();
        let kind = format!("{status} {said}");
        let refused = &mut self.counts.refused;
        let kind = if refused.len() < KINDS || refused.contains_key(&kind) {
            kind
        } else {
            "others".to_owned()
        };
        *refused.entry(kind).or_default() += 1;
    }
}

/// The books, kept by all clients together.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Books>);

impl Ledger {
    /// The books, for a moment.
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        // A client that panicked has left no half-written line: each is one push.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The books when all is over.
    pub(super) fn close(self) -> Books {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_what_was_said_and_are_few() {
        let mut books = Books::default();
        for number in 0..50 {
            books.refuse(500, &format!("problem {number}"));
            books.refuse(500, "problem\n\t0");
        }
        let refused = &books.counts.refused;
        assert_eq!(refused.get("500 problem 0"), Some(&51));
        assert_eq!(refused.len(), KINDS + 1);
        assert_eq!(refused.values().sum::<u64>(), 100);
    }
}
