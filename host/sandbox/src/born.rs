//! Secrets that came to be in a call: known from their birth, so that they are masked in
//! whatever the call says, also where it fails before it returns them.
//!
//! They come from the functions that the host lends: what `derive` gave, keys that were
//! generated or signed with, passwords that went into a key derivation and what came out.
//! A provider makes others itself, a password of derived bytes for one: the SDK tells
//! those by `derive`, as the label of no bytes. A host that does not know this derives
//! nothing for it, so it may always be told.

use zeroize::Zeroizing;

use super::scrub::Secrets;

/// With what the label of a `derive` of no bytes begins where the rest is a secret.
pub(super) const TOLD: &str = "lessor-secret:";

/// More different ones than this are not looked for one by one anyway.
const MOST: usize = 2_000;

/// The secrets that came to be in a call.
#[derive(Default)]
pub(super) struct Born {
    /// The secrets that `derive` gave, which are the same at every attempt.
    pub(super) derived: Vec<Zeroizing<Vec<u8>>>,
    others: Vec<Zeroizing<Vec<u8>>>,
    keys: Vec<Zeroizing<Vec<u8>>>,
}

impl Born {
    /// Remembers a secret; the bytes that this takes.
    pub(super) fn remember(&mut self, secret: &[u8]) -> usize {
        keep(&mut self.others, secret)
    }

    /// Remembers a private key, in PKCS #8; the bytes that this takes.
    pub(super) fn remember_key(&mut self, key: &[u8]) -> usize {
        keep(&mut self.keys, key)
    }

    /// Tells all of them.
    pub(super) fn tell(&self, secrets: &mut Secrets<'_>) {
        for secret in self.derived.iter().chain(&self.others) {
            secrets.add(secret);
        }
        for key in &self.keys {
            secrets.add_key(key);
        }
    }
}

/// Keeps a secret once, of those that came last in a row of equal ones.
fn keep(kept: &mut Vec<Zeroizing<Vec<u8>>>, secret: &[u8]) -> usize {
    if kept.len() >= MOST || kept.last().is_some_and(|last| **last == secret) {
        return 0;
    }
    kept.push(Zeroizing::new(secret.to_vec()));
    secret.len()
}
