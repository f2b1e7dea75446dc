//! New passwords for existing roles. PostgreSQL holds one password per role, so
//! the new one is derived from the operation: a repeat after a crash arrives at
//! the same, and can log in with it where the former is already gone.

use lessor_sdk::prelude::*;
use zeroize::Zeroizing;

use crate::Postgres;
use crate::config::Config;
use crate::create::Credential;
use crate::password::NewPassword;
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
    let password = NewPassword::hidden(ctx, password);
    let sql = set_password("CURRENT_USER", &password);
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
        let [new, _] = password.secrets();
        if log_in(config, &config.database, new).is_ok() {
            changed = Ok(());
        }
    }
    changed.map_err(|problem| {
        let [new, kept] = password.secrets();
        problem.into_failure(config, &[config.password.expose(), new, kept])
    })?;
    Ok(Rotated::root(Config {
        password: password.into_plain(),
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
    let password = NewPassword::of(ctx, config, username, password, &role.rotation_statements);
    let steps = account_steps(role, username, &password)?;
    let mode = Mode {
        alone: role.rotation_statements.grant_on_objects(),
        end: End::Commit,
        patience: ctx.timeout / 2,
    };
    let changed = with_session(config, &config.database, |session| {
        run(session, mode, &steps)
    });
    changed.map_err(|problem| problem.into_failure(config, &password.secrets()))?;
    let credential = Credential::new(config, username, password.into_plain());
    Ok(Rotated::account(credential).fact("username", username))
}

/// What gives an existing role its new password: the operator's own statements, or
/// the command for it.
pub(crate) fn account_steps(
    role: &Role,
    username: &str,
    password: &NewPassword,
) -> Result<Vec<Step>> {
    if role.rotation_statements.is_empty() {
        let sql = set_password(&identifier(username), password);
        let about = format!("Changing the password of {username:?}");
        return Ok(vec![Step::new(about, sql.as_str())]);
    }
    let values = Values {
        name: username,
        password: Some(password.sql()),
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
fn set_password(role: &str, password: &NewPassword) -> Zeroizing<String> {
    Zeroizing::new(format!("ALTER ROLE {role} PASSWORD '{}'", password.sql()))
}
