//! Several statements as one transaction and one round trip: all queries go
//! out in one write, `BEGIN` first and `COMMIT` last, and after a failure the
//! server itself refuses the rest.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::problem::{Cause, Problem};
use crate::protocol::{Reply, Transaction};
use crate::session::Session;

/// One query of a transaction.
pub(crate) struct Step {
    pub(crate) sql: Zeroizing<String>,
    /// For messages, without any value: `creation_statements[0]`.
    pub(crate) about: String,
}

impl Step {
    pub(crate) fn new(about: impl Into<String>, sql: impl Into<String>) -> Self {
        Self {
            sql: Zeroizing::new(sql.into()),
            about: about.into(),
        }
    }
}

/// How a transaction runs.
#[derive(Clone, Copy)]
pub(crate) struct Mode {
    /// Alone among lessor's transactions in this database. Two transactions
    /// that change the privileges on one object at once make PostgreSQL fail
    /// one of them ("tuple concurrently updated").
    pub(crate) alone: bool,
    /// Whether it takes effect.
    pub(crate) end: End,
    /// Longest wait for a lock.
    pub(crate) patience: Duration,
    /// Whether statements of the operator may have changed the session.
    pub(crate) cleanse: bool,
}

/// How a transaction ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Rollback,
}

/// Runs the steps; nothing of them stays where one fails. A collision with
/// another session is tried again, alone.
pub(crate) fn run(session: &mut Session, mode: Mode, steps: &[Step]) -> Result<(), Problem> {
    let mut outcome = attempt(session, mode, steps);
    for _ in 1..ATTEMPTS {
        match &outcome {
            Err(problem)
                if problem
                    .sqlstate()
                    .is_some_and(|code| COLLISIONS.contains(&code)) =>
            {
                outcome = attempt(
                    session,
                    Mode {
                        alone: true,
                        ..mode
                    },
                    steps,
                );
            }
            _ => break,
        }
    }
    outcome
}

fn attempt(session: &mut Session, mode: Mode, steps: &[Step]) -> Result<(), Problem> {
    let begin = begin(mode);
    let mut queries = vec![begin.as_str()];
    queries.extend(steps.iter().map(|step| step.sql.as_str()));
    queries.push(match mode.end {
        End::Commit => "COMMIT",
        End::Rollback => "ROLLBACK",
    });
    if mode.cleanse {
        queries.push("DISCARD ALL");
    }
    let replies = session
        .pipeline(&queries)
        .map_err(|error| Problem::new(WHOLE, error))?;
    let abouts = std::iter::once("BEGIN").chain(steps.iter().map(|step| step.about.as_str()));
    for (reply, about) in replies.iter().zip(abouts) {
        check(reply, about)?;
    }
    // What is deferred to the end of the transaction fails here.
    for reply in replies.into_iter().skip(steps.len() + 1) {
        reply
            .into_rows()
            .map_err(|error| Problem::new("The end of the transaction", error))?;
    }
    Ok(())
}

/// The first error is the cause; those after it only say that the transaction
/// has failed. A privilege that was not granted is a mere warning to
/// PostgreSQL, and an error to whoever waits for that privilege.
fn check(reply: &Reply, about: &str) -> Result<(), Problem> {
    let not_granted = reply
        .notices
        .iter()
        .find(|notice| notice.code == PRIVILEGE_NOT_GRANTED);
    if let Some(error) = reply.error.as_ref().or(not_granted) {
        return Err(Problem::new(about, error.clone().into()));
    }
    if reply.transaction != Transaction::Open {
        return Err(Problem {
            doing: about.to_owned(),
            cause: Cause::TransactionEnded,
        });
    }
    Ok(())
}

fn begin(mode: Mode) -> String {
    let patience = mode.patience.as_millis().clamp(1_000, 600_000);
    let alone = if mode.alone {
        format!("; SELECT pg_advisory_xact_lock({LOCK})")
    } else {
        String::new()
    };
    format!("BEGIN; SET LOCAL lock_timeout = {patience}{alone}")
}

/// Tries in all of a transaction that collides with others.
const ATTEMPTS: u32 = 3;

/// Serialisation failure, deadlock, "tuple concurrently updated" (an internal
/// error to PostgreSQL), and a unique index that noticed first.
const COLLISIONS: [&str; 3] = ["40001", "40P01", "XX000"];

const PRIVILEGE_NOT_GRANTED: &str = "01007";

/// The advisory lock of all lessors in a database: "lessor" in ASCII.
const LOCK: u64 = 0x6c65_7373_6f72;

const WHOLE: &str = "The transaction";
