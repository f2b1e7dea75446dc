//! New passwords for existing roles. PostgreSQL holds one password per role, so
//! the new one is derived from the operation: a repeat after a crash arrives at
//! the same, and can log in with it where the former is already gone.

use lessor_sdk::prelude::*;

use crate::Postgres;
use crate::config::Config;
use crate::create::{Credential, password_verifier, stated_password};
use crate::problem::Problem;
use crate::role::Role;
use crate::session::{log_in, with_session};
use crate::sql::identifier;
use crate::template::Values;
use crate::transaction::{End, Mode, Step, run};

/// A new password for the root credential's own role.
pub(crate) fn root(ctx: &Context, config: &Config) -> Result<Rotated<Postgres>> {
    config.check()?;
    let password = ctx.password_for("root", &PasswordPolicy::default())?;
    let sql = set_password(ctx, "CURRENT_USER", &password);
    let change = |former: &str| -> Result<(), Problem> {
        let mut session = log_in(config, &config.database, former)?;
        session
            .query(&sql)
            .map(drop)
            .map_err(|error| Problem::new("Changing the root credential's password", error))
    };
    let mut changed = change(config.password.expose());
    if changed
        .as_ref()
        .is_err_and(|problem| matches!(problem.sqlstate(), Some("28P01" | "28000")))
    {
        // Had an earlier attempt changed it, the new one is already in force.
        // Otherwise the first refusal is the one to tell.
        if log_in(config, &config.database, password.expose()).is_ok() {
            changed = Ok(());
        }
    }
    changed.map_err(|problem| {
        problem.into_failure(config, &[config.password.expose(), password.expose()])
    })?;
    Ok(Rotated::root(Config {
        password,
        ..config.clone()
    })
    .fact("username", config.username.as_str()))
}

/// A new password for the existing role that `role` names.
pub(crate) fn account(ctx: &Context, config: &Config, role: &Role) -> Result<Rotated<Postgres>> {
    config.check()?;
    role.check()?;
    let username = role.account()?;
    if username == config.username {
        return Err(Failure::invalid_config(
            "account_is_root",
            format!(
                "{username:?} is the root credential of this mount: rotate it as such, a role must name another \
                 account in `username`."
            ),
        ));
    }
    let password = ctx.password_for("account", &role.password_policy)?;
    let steps = account_steps(ctx, config, role, username, &password)?;
    let mode = Mode {
        alone: role.rotation_statements.grant_on_objects(),
        end: End::Commit,
        patience: ctx.timeout / 2,
    };
    let changed = with_session(config, &config.database, |session| {
        run(session, mode, &steps)
    });
    changed.map_err(|problem| problem.into_failure(config, &[password.expose()]))?;
    Ok(Rotated::account(Credential::new(config, username, password)).fact("username", username))
}

/// What gives an existing role its new password: the operator's own statements, or
/// the command for it.
pub(crate) fn account_steps(
    ctx: &Context,
    config: &Config,
    role: &Role,
    username: &str,
    password: &Secret,
) -> Result<Vec<Step>> {
    if role.rotation_statements.is_empty() {
        let sql = set_password(ctx, &identifier(username), password);
        let about = format!("Changing the password of {username:?}");
        return Ok(vec![Step::new(about, sql)]);
    }
    let password = stated_password(ctx, config, password);
    let values = Values {
        name: username,
        password: Some(&password),
        expiration: None,
    };
    let rendered = role
        .rotation_statements
        .render("rotation_statements", &values)?;
    let numbered = rendered.into_iter().enumerate();
    Ok(numbered
        .map(|(index, sql)| Step::written(format!("rotation_statements[{index}]"), sql))
        .collect())
}

/// The command that gives a role a new password. `role` is quoted.
fn set_password(ctx: &Context, role: &str, password: &Secret) -> String {
    format!(
        "ALTER ROLE {role} PASSWORD '{}'",
        *password_verifier(ctx, password)
    )
}
