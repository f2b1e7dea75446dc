//! Moving a role's own end, `VALID UNTIL`, to the lease's.

use lessor_sdk::prelude::*;

use crate::config::Config;
use crate::ownership;
use crate::problem::Problem;
use crate::role::Role;
use crate::session::with_session;
use crate::sql::{check_principal, identifier, literal, valid_until};
use crate::template::Values;
use crate::transaction::{End, Mode, Step, run};

/// Moves the end of the role `name`.
pub(crate) fn renew(
    ctx: &Context,
    config: &Config,
    role: &Role,
    name: &str,
    expires_at: Option<UnixTime>,
) -> Result<()> {
    config.check()?;
    check_principal(name)?;
    let until = valid_until(expires_at);
    let written = steps(role, name, &until)?;
    let custom = !role.renew_statements.is_empty();
    let mode = Mode {
        alone: false,
        end: End::Commit,
        patience: ctx.timeout / 2,
    };
    let moved = with_session(config, &config.database, |session| {
        match run(session, mode, &written) {
            // Dropped, or renamed: its mark says which.
            Err(problem) if problem.sqlstate() == Some("42704") => {
                let now = ownership::find_marked(session, ctx)?;
                now.filter(|now| now != name).ok_or(problem).map(Some)
            }
            outcome => outcome.map(|_| None),
        }
    });
    let told = |problem: Problem| {
        if !custom && problem.sqlstate() == Some("42704") {
            return Failure::not_found(
                "role_missing",
                format!(
                    "The PostgreSQL role {name:?} is gone: somebody dropped it; revoke the lease."
                ),
            );
        }
        problem.into_failure(config, &[])
    };
    let Some(renamed) = moved.map_err(told)? else {
        return Ok(());
    };
    if custom {
        check_principal(&renamed)?;
    }
    let written = steps(role, &renamed, &until)?;
    let moved = with_session(config, &config.database, |session| {
        run(session, mode, &written)
    });
    moved.map(drop).map_err(told)
}

/// All that moves the end of the role `name`.
pub(crate) fn steps(role: &Role, name: &str, until: &str) -> Result<Vec<Step>> {
    if role.renew_statements.is_empty() {
        let sql = format!(
            "ALTER ROLE {} VALID UNTIL {}",
            identifier(name),
            literal(until)
        );
        return Ok(vec![Step::new("Moving the role's end", sql)]);
    }
    let values = Values {
        name,
        password: None,
        expiration: Some(until),
    };
    let rendered = role
        .renew_statements
        .render("renew_statements", &values)?
        .into_iter()
        .enumerate();
    Ok(rendered
        .map(|(index, sql)| Step::written(format!("renew_statements[{index}]"), sql))
        .collect())
}
