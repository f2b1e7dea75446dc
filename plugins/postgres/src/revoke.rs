//! Ending a role: no new sessions, its open ones ended, what it owns handed to
//! the root credential's role, its privileges dropped in every database, the
//! role dropped. Each step may run again; a role that is gone is success.

use lessor_sdk::prelude::*;

use crate::config::Config;
use crate::ownership::{self, Found, Owner, no_answer};
use crate::problem::{Cause, Problem};
use crate::role::Role;
use crate::session::{Session, with_session};
use crate::sql::{check_principal, identifier, literal};
use crate::template::{Statements, Values};
use crate::transaction::{End, Mode, Step, run};

/// Ends the role `name`. Where only the operation is known, a role without this
/// operation's mark is somebody else's and stays. Without a role document it is
/// one of the inventory that no lease holds: then it must have this mount's mark,
/// whichever operation made it.
pub(crate) fn revoke(
    ctx: &Context,
    config: &Config,
    role: Option<&Role>,
    what: &Revocation,
) -> Result<()> {
    config.check()?;
    let (name, must_be_marked) = match what {
        Revocation::Credential(id) => (id.as_str(), false),
        Revocation::UnknownCredential => (ctx.principal_name.as_str(), true),
        Revocation::FormerRoot(_) => {
            return Err(Failure::unsupported(
                "no_former_root",
                "A PostgreSQL role has one password: rotating the root credential leaves no former one to end.",
            ));
        }
    };
    check_principal(name)?;
    let found = with_session(config, &config.database, |session| {
        look(session, ctx, name, role.is_some(), must_be_marked)
    });
    let found = found.map_err(|problem| problem.into_failure(config, &[]))?;
    let ended = match found {
        Some((name, found)) => {
            let custom = role
                .map(|role| &role.revocation_statements)
                .filter(|statements| !statements.is_empty());
            let custom = custom
                .map(|statements| {
                    // Their quotes hold names of plain characters only, and somebody
                    // else may have given this one.
                    check_principal(&name)?;
                    rendered("revocation_statements", statements, &name)
                })
                .transpose()?;
            with_session(config, &config.database, |session| {
                match end(ctx, config, session, &name, &found, custom.as_deref()) {
                    // Another attempt was faster.
                    Err(problem)
                        if problem.sqlstate() == Some(MISSING)
                            && ownership::find(session, &name)?.is_none() =>
                    {
                        Ok(())
                    }
                    outcome => outcome,
                }
            })
        }
        None => match (what, role) {
            (Revocation::UnknownCredential, Some(role)) if !role.rollback_statements.is_empty() => {
                let rollback = rendered("rollback_statements", &role.rollback_statements, name)?;
                with_session(config, &config.database, |session| {
                    run(session, mode(ctx, true), &rollback).map(drop)
                })
            }
            _ => Ok(()),
        },
    };
    ended.map_err(|problem| problem.into_failure(config, &[]))
}

/// The role to end, and the name that it has now. One that is not found by its name
/// is looked for by this operation's mark before it counts as gone: whoever renamed
/// it has left its password working.
fn look(
    session: &mut Session,
    ctx: &Context,
    name: &str,
    has_role: bool,
    must_be_marked: bool,
) -> Result<Option<(String, Found)>, Problem> {
    let is_ours = |found: &Found| match found.owner(ctx) {
        Owner::ThisOperation => true,
        Owner::AnotherOperation => !has_role && !must_be_marked && found.is_of_mount(ctx),
        Owner::Unknown => has_role && !must_be_marked,
    };
    if let Some(found) = ownership::find(session, name)?.filter(is_ours) {
        return Ok(Some((name.to_owned(), found)));
    }
    let Some(renamed) = ownership::find_marked(session, ctx)? else {
        return Ok(None);
    };
    let found = ownership::find(session, &renamed)?.filter(is_ours);
    Ok(found.map(|found| (renamed, found)))
}

fn end(
    ctx: &Context,
    config: &Config,
    session: &mut Session,
    name: &str,
    found: &Found,
    custom: Option<&[Step]>,
) -> Result<(), Problem> {
    end_sessions(session, name, found)?;
    if let Some(statements) = custom {
        return run(session, mode(ctx, true), statements).map(drop);
    }
    for database in &found.databases {
        let clear = clear_steps(name);
        with_session(config, database, |session| {
            run(session, mode(ctx, true), &clear).map(drop)
        })?;
    }
    let mut steps = if found.has_objects {
        clear_steps(name)
    } else {
        Vec::new()
    };
    steps.push(drop_step(name));
    run(session, mode(ctx, found.has_objects), &steps).map(drop)
}

/// No new session, then none at all. Waits for each to be gone: a credential
/// whose session still runs a statement is not revoked.
fn end_sessions(session: &mut Session, name: &str, found: &Found) -> Result<(), Problem> {
    let (mut close_doing, mut close_sql) = (Vec::new(), Vec::new());
    if !found.at_our_command {
        close_doing.push(GRANT);
        close_sql.push(join_statement(name, found.since_16));
    }
    close_doing.push(CLOSE);
    close_sql.push(close(name));
    let terminate = format!(
        "SELECT count(*) FILTER (WHERE NOT pg_terminate_backend(pid, {SESSION_END_MS})) \
         FROM pg_stat_activity WHERE usename = {} AND pid <> pg_backend_pid()",
        literal(name)
    );
    // Two queries, so that the role is closed when its sessions are counted.
    let replies = session
        .pipeline(&[close_sql.join("; "), terminate])
        .map_err(|error| Problem::new(TERMINATE, error))?;
    let mut left = None;
    for (reply, doing) in replies
        .into_iter()
        .zip([close_doing.as_slice(), &[TERMINATE]])
    {
        let doing = doing
            .get(reply.completed.len())
            .copied()
            .unwrap_or(TERMINATE);
        let rows = reply
            .into_rows()
            .map_err(|error| Problem::new(doing, error))?;
        left = rows.first().and_then(|row| row.text(0)).map(str::to_owned);
    }
    match left.as_deref() {
        Some("0") => Ok(()),
        Some(_) => Err(Problem::of(name, Cause::SessionsLeft)),
        None => Err(no_answer(TERMINATE)),
    }
}

fn close(name: &str) -> String {
    format!("ALTER ROLE {} NOLOGIN", identifier(name))
}

/// Lets nobody log in as the role any more.
pub(crate) fn close_step(name: &str) -> Step {
    Step::new(CLOSE, close(name))
}

/// Makes the role's privileges our own, without which only a superuser may end
/// its sessions and drop what it owns.
pub(crate) fn join_statement(name: &str, since_16: bool) -> String {
    let options = if since_16 {
        " WITH INHERIT TRUE, SET TRUE"
    } else {
        ""
    };
    format!("GRANT {} TO CURRENT_USER{options}", identifier(name))
}

/// Hands over what the role owns and drops its privileges, in one database.
pub(crate) fn clear_steps(name: &str) -> Vec<Step> {
    let name = identifier(name);
    vec![
        Step::new(
            "Reassigning what the role owns",
            format!("REASSIGN OWNED BY {name} TO CURRENT_USER"),
        ),
        Step::new(
            "Dropping the role's privileges",
            format!("DROP OWNED BY {name}"),
        ),
    ]
}

pub(crate) fn drop_step(name: &str) -> Step {
    Step::new(
        "Dropping the role",
        format!("DROP ROLE IF EXISTS {}", identifier(name)),
    )
}

/// The operator's statements, as steps.
pub(crate) fn rendered(field: &str, statements: &Statements, name: &str) -> Result<Vec<Step>> {
    let values = Values {
        name,
        password: None,
        expiration: None,
    };
    let rendered = statements.render(field, &values)?.into_iter().enumerate();
    Ok(rendered
        .map(|(index, sql)| Step::written(format!("{field}[{index}]"), sql))
        .collect())
}

fn mode(ctx: &Context, alone: bool) -> Mode {
    Mode {
        alone,
        end: End::Commit,
        patience: ctx.timeout / 2,
    }
}

/// The SQLSTATE for a role that does not exist.
const MISSING: &str = "42704";

const GRANT: &str = "Taking over the role's privileges";
const CLOSE: &str = "Closing the role to logins";
const TERMINATE: &str = "Ending the role's sessions";

/// Milliseconds to wait for one session to end. A session ends within
/// milliseconds unless it is stuck in the kernel.
const SESSION_END_MS: u32 = 5_000;
