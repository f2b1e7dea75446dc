//! Which roles on the server are ours: each carries a comment
//! `lessor:<mount>:<operation id>`, set in the transaction that makes it. So an
//! operation whose answer was lost finds what it made, and never touches a role
//! that somebody else named alike.

use lessor_sdk::prelude::*;

use crate::problem::{Cause, Problem};
use crate::session::Session;
use crate::sql::{identifier, literal};
use crate::transaction::Step;

/// A role as the server knows it, and us towards it.
pub(crate) struct Found {
    comment: Option<String>,
    /// Whether the root credential has the role's own privileges, which ending
    /// its sessions and dropping what it owns need.
    pub(crate) at_our_command: bool,
    /// Whether anything in this database, or shared, belongs to the role or
    /// names it in its privileges.
    pub(crate) has_objects: bool,
    /// The other databases in which something does.
    pub(crate) databases: Vec<String>,
    /// PostgreSQL 16 made membership finer.
    pub(crate) since_16: bool,
}

/// Whose a role is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The operation asked about made it.
    ThisOperation,
    /// Another operation of a lessor made it.
    AnotherOperation,
    /// It has no comment of ours.
    Unknown,
}

impl Found {
    /// Whose it is, seen from the operation of `ctx`.
    pub(crate) fn owner(&self, ctx: &Context) -> Owner {
        match &self.comment {
            Some(comment) if *comment == mark(ctx) => Owner::ThisOperation,
            Some(comment) if comment.starts_with(PREFIX) => Owner::AnotherOperation,
            _ => Owner::Unknown,
        }
    }

    /// Whether any operation of the mount of `ctx` made it, as [`list`] sees it.
    pub(crate) fn is_of_mount(&self, ctx: &Context) -> bool {
        self.comment
            .as_deref()
            .and_then(|comment| comment.strip_prefix(&prefix(ctx)))
            .is_some_and(|operation| operation.chars().count() == OPERATION_ID)
    }
}

/// Looks for the role `name`; none where there is none.
pub(crate) fn find(session: &mut Session, name: &str) -> Result<Option<Found>, Problem> {
    let name = literal(name);
    let sql = format!(
        "SELECT r.oid, shobj_description(r.oid, 'pg_authid'), pg_has_role(r.oid, 'USAGE'), \
           EXISTS (SELECT FROM pg_shdepend s WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid \
             AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))), \
           current_setting('server_version_num')::int >= 160000 \
         FROM pg_roles r WHERE r.rolname = {name}; \
         SELECT NULL, d.datname FROM pg_database d \
         WHERE d.datallowconn AND d.datname <> current_database() AND EXISTS (SELECT FROM pg_shdepend s \
           JOIN pg_roles r ON r.oid = s.refobjid WHERE r.rolname = {name} \
           AND s.refclassid = 'pg_authid'::regclass AND s.dbid = d.oid)"
    );
    let rows = session
        .query(&sql)
        .map_err(|error| Problem::new("Looking for the role", error))?;
    let (roles, databases): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.text(0).is_some());
    Ok(roles.first().map(|role| Found {
        comment: role.text(1).map(str::to_owned),
        at_our_command: role.is_true(2),
        has_objects: role.is_true(3),
        databases: databases
            .iter()
            .filter_map(|row| row.text(1))
            .map(str::to_owned)
            .collect(),
        since_16: role.is_true(4),
    }))
}

/// The name that the role of this operation has now, by its mark: somebody may have
/// renamed it.
pub(crate) fn find_marked(session: &mut Session, ctx: &Context) -> Result<Option<String>, Problem> {
    let sql = format!(
        "SELECT r.rolname FROM pg_shdescription d JOIN pg_roles r ON r.oid = d.objoid \
         WHERE d.classoid = 'pg_authid'::regclass AND d.description = {} ORDER BY r.oid LIMIT 1",
        literal(&mark(ctx)),
    );
    let rows = session
        .query(&sql)
        .map_err(|error| Problem::new("Looking for the role by its mark", error))?;
    Ok(rows.first().and_then(|row| row.text(0)).map(str::to_owned))
}

/// Marks the role as this operation's.
pub(crate) fn mark_step(ctx: &Context, name: &str) -> Step {
    let sql = format!(
        "COMMENT ON ROLE {} IS {}",
        identifier(name),
        literal(&mark(ctx))
    );
    Step::new("Marking the new role, which must be named {{name}},", sql)
}

/// One page of the names of this mount's roles, after `cursor`, at most `limit`.
pub(crate) fn list(
    session: &mut Session,
    ctx: &Context,
    cursor: &str,
    limit: usize,
) -> Result<Vec<String>, Problem> {
    // An operation id has a fixed length, so `left` leaves exactly the prefix
    // and a mount `a` does not see the roles of a mount `a:b`.
    let sql = format!(
        "SELECT r.rolname FROM pg_roles r JOIN pg_shdescription d \
           ON d.objoid = r.oid AND d.classoid = 'pg_authid'::regclass \
         WHERE left(d.description, -{OPERATION_ID}) = {} AND length(d.description) = {} \
           AND r.rolname COLLATE \"C\" > {} ORDER BY r.rolname COLLATE \"C\" LIMIT {limit}",
        literal(&prefix(ctx)),
        prefix(ctx).chars().count() + OPERATION_ID,
        literal(cursor),
    );
    let rows = session
        .query(&sql)
        .map_err(|error| Problem::new("Listing the roles of this mount", error))?;
    let name = |row: &crate::protocol::Row| row.text(0).map(str::to_owned);
    rows.iter()
        .map(|row| name(row).ok_or_else(|| no_answer("the list of roles")))
        .collect()
}

/// For an answer that lacks what it must hold.
pub(crate) fn no_answer(doing: &str) -> Problem {
    Problem::of(doing, Cause::NoAnswer)
}

fn mark(ctx: &Context) -> String {
    format!("{}{}", prefix(ctx), ctx.operation_id)
}

fn prefix(ctx: &Context) -> String {
    format!("{PREFIX}{}:", ctx.mount)
}

const PREFIX: &str = "lessor:";

/// Characters of an operation id, by the contract.
const OPERATION_ID: usize = 26;
