//! Uses of a credential: logins to PostgreSQL with psql.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::ledger::Credential;
use crate::scratch::Scratch;

/// The outcome of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// PostgreSQL let it in.
    Accepted,
    /// PostgreSQL did not accept the name with the password.
    Refused,
    /// PostgreSQL did not answer.
    Inconclusive,
}

/// The database that credentials log in to.
pub(super) struct Logins<'a> {
    scratch: &'a Scratch,
}

/// Logins at a time when many are tried: a login is half psql, half PostgreSQL.
const AT_A_TIME: usize = 8;

impl<'a> Logins<'a> {
    /// Of the database that psql finds in these surroundings.
    pub(super) fn new(scratch: &'a Scratch) -> Self {
        Self { scratch }
    }

    /// Logs in and asks who one is.
    pub(super) fn attempt(&self, credential: &Credential) -> Login {
        let done = self
            .scratch
            .command("psql")
            .args(["-XwqAtU", &credential.username, "-c", "SELECT current_user"])
            .env("PGPASSWORD", &credential.password)
            .output();
        let Ok(done) = done else {
            return Login::Inconclusive;
        };
        let printed = String::from_utf8_lossy(&done.stdout);
        verdict(
            done.status.success() && printed.trim() == credential.username,
            &String::from_utf8_lossy(&done.stderr),
        )
    }

    /// The logins among many that are refused, by name, while the database is up; `told` hears of
    /// every login.
    pub(super) fn refused(
        &self,
        credentials: &[Credential],
        told: impl Fn() + Sync,
    ) -> BTreeSet<String> {
        let (next, refused) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
        thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| {
                    while let Some(credential) =
                        credentials.get(next.fetch_add(1, Ordering::Relaxed))
                        && self.scratch.go_on().is_ok()
                    {
                        if self.attempt(credential) != Login::Accepted {
                            refused
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .insert(credential.username.clone());
                        }
                        told();
                    }
                });
            }
        });
        refused.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome that psql's exit means. Only PostgreSQL's own refusal of the name with the
/// password counts against a credential: while the database is restarting or overloaded, nobody
/// gets in.
fn verdict(succeeded: bool, error: &str) -> Login {
    let refusals = [
        "password authentication failed",
        "does not exist",
        "is not permitted to log in",
    ];
    if succeeded {
        Login::Accepted
    } else if refusals.iter().any(|refusal| error.contains(refusal)) {
        Login::Refused
    } else {
        Login::Inconclusive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_the_credential_counts_against_it() {
        for (succeeded, error, login) in [
            (true, "", Login::Accepted),
            (
                false,
                "FATAL:  password authentication failed for user \"x\"",
                Login::Refused,
            ),
            (false, "FATAL:  role \"x\" does not exist", Login::Refused),
            (
                false,
                "FATAL:  role \"x\" is not permitted to log in",
                Login::Refused,
            ),
            (
                false,
                "FATAL:  the database system is starting up",
                Login::Inconclusive,
            ),
            (false, "Connection refused", Login::Inconclusive),
            (
                false,
                "FATAL:  sorry, too many clients already",
                Login::Inconclusive,
            ),
            (
                false,
                "server closed the connection unexpectedly",
                Login::Inconclusive,
            ),
        ] {
            assert_eq!(verdict(succeeded, error), login, "{error}");
        }
    }
}
