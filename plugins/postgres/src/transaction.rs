//! Several statements as one transaction and one round trip: all queries go
//! out in one write, `BEGIN` first and `COMMIT` last, and after a failure the
//! server itself refuses the rest. Our own commands share one query, because
//! each answer that the server has to send by itself costs time; what the
//! operator wrote has a query per statement, so that a failure names it.
//!
//! Ours run as who logged in, also after statements that left `SET ROLE` behind.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::problem::{Cause, Problem};
use crate::protocol::{Reply, ServerError, Transaction};
use crate::session::Session;

/// One statement of a transaction.
pub(crate) struct Step {
    sql: Zeroizing<String>,
    /// For messages, without any value: `creation_statements[0]`.
    about: String,
    /// Whether the operator wrote it: it may then hold several commands, and
    /// do anything to the session.
    written: bool,
}

impl Step {
    /// One command of our own.
    pub(crate) fn new(about: impl Into<String>, sql: impl Into<String>) -> Self {
        let (sql, about) = (Zeroizing::new(sql.into()), about.into());
        Self {
            sql,
            about,
            written: false,
        }
    }

    /// A statement that the operator wrote.
    pub(crate) fn written(about: impl Into<String>, sql: Zeroizing<String>) -> Self {
        let about = about.into();
        Self {
            sql,
            about,
            written: true,
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
}

/// How a transaction ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Rollback,
}

/// What PostgreSQL warned of in a statement that the operator wrote.
#[derive(Debug)]
pub(crate) struct Warning {
    /// `creation_statements[0]`.
    pub(crate) about: String,
    pub(crate) said: ServerError,
}

/// Runs the steps; nothing of them stays where one fails. A collision with
/// another session is tried again, alone. Gives what the server warned of.
pub(crate) fn run(
    session: &mut Session,
    mode: Mode,
    steps: &[Step],
) -> Result<Vec<Warning>, Problem> {
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

fn attempt(session: &mut Session, mode: Mode, steps: &[Step]) -> Result<Vec<Warning>, Problem> {
    let (first, last) = (first_steps(mode), last_step(mode));
    let all = first.iter().chain(steps).chain([&last]);
    let as_ourselves = AS_OURSELVES.map(|sql| Step::new(WHOLE, sql));
    let mut queries: Vec<Query<'_>> = Vec::new();
    for step in all {
        match queries.last_mut() {
            Some(query) if !query.written && !step.written => query.push(step),
            Some(query) if query.written && !step.written => {
                let [authorization, role] = &as_ourselves;
                let mut own = Query::of(authorization);
                own.push(role);
                own.push(step);
                queries.push(own);
            }
            _ => queries.push(Query::of(step)),
        }
    }
    let sql: Vec<_> = queries.iter().map(|query| query.sql.as_str()).collect();
    let replies = session
        .pipeline(&sql)
        .map_err(|error| Problem::new(WHOLE, error))?;
    if session.transaction() != Transaction::Idle {
        // Where this fails the session is not quiet, and is not used again.
        let _ = session.query("ROLLBACK");
    }
    let mut answered = queries.iter().zip(&replies);
    if answered.any(|(query, reply)| query.written && may_change_session(reply))
        && session.query(CLEANSE).is_err()
    {
        session.unquiet();
    }
    let mut warnings = Vec::new();
    let mut setter = None;
    // The first error is the cause; those after it only say that the
    // transaction has failed.
    for (reply, query) in replies.iter().zip(&queries) {
        for command in reply.completed.iter().filter(|_| query.written) {
            match command.as_str() {
                SET => setter = Some(query.abouts.concat()),
                RESET => setter = None,
                _ => {}
            }
        }
        query.check(reply).map_err(|problem| Problem {
            setter: setter
                .clone()
                .filter(|_| problem.may_be_of_session(query.written)),
            ..problem
        })?;
        warnings.extend(query.warnings(reply));
    }
    Ok(warnings)
}

/// Steps that go out as one query.
struct Query<'a> {
    sql: Zeroizing<String>,
    abouts: Vec<&'a str>,
    written: bool,
}

impl<'a> Query<'a> {
    fn of(step: &'a Step) -> Self {
        Self {
            sql: step.sql.clone(),
            abouts: vec![&step.about],
            written: step.written,
        }
    }

    fn push(&mut self, step: &'a Step) {
        self.sql.push_str("; ");
        self.sql.push_str(&step.sql);
        self.abouts.push(&step.about);
    }

    fn check(&self, reply: &Reply) -> Result<(), Problem> {
        if let Some((command, error)) = self.failed(reply) {
            // Steps of our own are a command each.
            let step = if self.written { 0 } else { command };
            let about = self.abouts.get(step).copied().unwrap_or(WHOLE);
            return Err(Problem::new(about, error.clone().into()));
        }
        if self.written && reply.transaction != Transaction::Open {
            return Err(Problem::of(self.abouts.concat(), Cause::TransactionEnded));
        }
        Ok(())
    }

    /// The command that failed, and why. A privilege that was not granted is a mere
    /// warning to PostgreSQL, and an error in what `grants` names one by one. The
    /// operator's own `ON ALL TABLES` may well mean those that can be granted.
    fn failed<'r>(&self, reply: &'r Reply) -> Option<(usize, &'r ServerError)> {
        let warned = reply
            .notices
            .iter()
            .find(|notice| !self.written && notice.said.code == PRIVILEGE_NOT_GRANTED);
        let error = reply
            .error
            .as_ref()
            .map(|error| (reply.completed.len(), error));
        error.or(warned.map(|notice| (notice.command, &notice.said)))
    }

    /// What the server warned of in a statement of the operator's.
    fn warnings(&self, reply: &Reply) -> Vec<Warning> {
        let said = reply.notices.iter().map(|notice| &notice.said);
        said.filter(|said| self.written && said.severity == WARNING)
            .map(|said| Warning {
                about: self.abouts.concat(),
                said: said.clone(),
            })
            .collect()
    }
}

/// Whether a query may have left something in the session: it failed, and nobody
/// knows how far it came, or it was carried out and is none of those that cannot.
fn may_change_session(reply: &Reply) -> bool {
    let harmless = |command: &String| HARMLESS.contains(&command.as_str());
    reply.error.is_some() || !reply.completed.iter().all(harmless)
}

fn first_steps(mode: Mode) -> Vec<Step> {
    let patience = mode.patience.as_millis().clamp(1_000, 600_000);
    let mut steps = vec![
        Step::new(WHOLE, "BEGIN"),
        Step::new(WHOLE, format!("SET LOCAL lock_timeout = {patience}")),
    ];
    if mode.alone {
        let lock = format!("SELECT pg_advisory_xact_lock({LOCK})");
        steps.push(Step::new(
            "Waiting for another lease that changes privileges",
            lock,
        ));
    }
    steps
}

fn last_step(mode: Mode) -> Step {
    // What is deferred to the end of the transaction fails there.
    Step::new(
        "The end of the transaction",
        match mode.end {
            End::Commit => "COMMIT",
            End::Rollback => "ROLLBACK",
        },
    )
}

/// Tries in all of a transaction that collides with others.
const ATTEMPTS: u32 = 3;

/// Serialisation failure, deadlock, "tuple concurrently updated" (an internal
/// error to PostgreSQL), and a unique index that noticed first.
const COLLISIONS: [&str; 3] = ["40001", "40P01", "XX000"];

const PRIVILEGE_NOT_GRANTED: &str = "01007";

/// The severity of a warning, in every language of the server.
const WARNING: &str = "WARNING";

/// What the server names a command that changes the session, and one that undoes it.
const SET: &str = "SET";
const RESET: &str = "RESET";

/// Goes before a step of ours that follows the operator's: who made a role must
/// mark it, whoever a statement has become.
const AS_OURSELVES: [&str; 2] = ["RESET SESSION AUTHORIZATION", "RESET ROLE"];

/// The advisory lock of all lessors in a database: "lessor" in ASCII.
const LOCK: u64 = 0x6c65_7373_6f72;

const WHOLE: &str = "The transaction";

/// Undoes what the operator's statements changed in the session. After every transaction
/// its message and answer took lessor 20 to 80 µs a role.
const CLEANSE: &str = "DISCARD ALL";

/// What roles are made and unmade of, as the server names it when it is done. None of it
/// changes the session that runs it.
const HARMLESS: [&str; 12] = [
    "",
    "CREATE ROLE",
    "ALTER ROLE",
    "DROP ROLE",
    "GRANT",
    "GRANT ROLE",
    "REVOKE",
    "REVOKE ROLE",
    "ALTER DEFAULT PRIVILEGES",
    "REASSIGN OWNED",
    "DROP OWNED",
    "COMMENT",
];
