//! Making a role. Everything happens in one transaction that also marks the
//! role, so a repeat that finds the mark knows that all of it happened.

use lessor_sdk::prelude::*;

use crate::config::Config;
use crate::ownership::{self, Owner};
use crate::password::NewPassword;
use crate::problem::{Problem, told};
use crate::role::{Form, Role, create_role};
use crate::session::{Session, with_session};
use crate::sql::{check_principal, valid_until};
use crate::template::Values;
use crate::transaction::{End, Mode, Step, run};

/// What a caller gets.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Credential {
    /// Name of the role.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// Where the server is, as lessor reaches it.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The database in which the role's privileges are.
    pub database: String,
}

impl Credential {
    pub(crate) fn new(config: &Config, username: &str, password: Secret) -> Self {
        Self {
            username: username.to_owned(),
            password,
            host: config.host.clone(),
            port: config.port,
            database: config.database.clone(),
        }
    }
}

/// Makes the role of this operation, or finds it made.
pub(crate) fn create(
    ctx: &Context,
    config: &Config,
    role: &Role,
    expires_at: Option<UnixTime>,
) -> Result<Issued<Credential>> {
    config.check()?;
    role.check()?;
    let name = ctx.principal_name.as_str();
    check_principal(name)?;
    let password = ctx.password(&role.password_policy)?;
    let password = NewPassword::of(ctx, config, name, password, &role.creation_statements);
    let steps = steps(ctx, role, name, &password, expires_at)?;
    let made = with_session(config, &config.database, |session| {
        if ctx.attempt > 1 && is_ours(session, ctx, name)? {
            return Ok(Vec::new());
        }
        match run(session, mode(ctx, role, End::Commit), &steps) {
            // An earlier attempt, whose answer was lost, or somebody else.
            Err(problem)
                if problem
                    .sqlstate()
                    .is_some_and(|code| DUPLICATE.contains(&code)) =>
            {
                if is_ours(session, ctx, name)? {
                    Ok(Vec::new())
                } else {
                    Err(problem)
                }
            }
            outcome => outcome,
        }
    });
    let warnings = made.map_err(|problem| problem.into_failure(config, &password.secrets()))?;
    for warning in told(&warnings, &password.secrets()) {
        lessor_sdk::log::warn(&warning, &[]);
    }
    let credential = Credential::new(config, name, password.into_plain());
    Ok(Issued::new(name, credential).fact("username", name))
}

/// All that makes the role, its mark included.
pub(crate) fn steps(
    ctx: &Context,
    role: &Role,
    name: &str,
    password: &NewPassword,
    expires_at: Option<UnixTime>,
) -> Result<Vec<Step>> {
    let until = valid_until(expires_at);
    let mut steps = match role.form()? {
        Form::Declared => {
            let mut steps = vec![Step::new(
                "Creating the role",
                create_role(role, name, password.sql(), &until),
            )];
            for (index, grant) in role.grants.iter().enumerate() {
                let commands = grant.commands(name).into_iter();
                steps.extend(
                    commands.map(|sql| Step::new(format!("The role's grants[{index}]"), sql)),
                );
            }
            steps
        }
        Form::Statements => {
            let values = Values {
                name,
                password: Some(password.sql()),
                expiration: Some(&until),
            };
            let rendered = role
                .creation_statements
                .render("creation_statements", &values)?
                .into_iter()
                .enumerate();
            rendered
                .map(|(index, sql)| Step::written(format!("creation_statements[{index}]"), sql))
                .collect()
        }
    };
    steps.push(ownership::mark_step(ctx, name));
    Ok(steps)
}

/// How the transaction runs that makes a role, or rehearses it.
pub(crate) fn mode(ctx: &Context, role: &Role, end: End) -> Mode {
    Mode {
        alone: role.grants_on_objects(),
        end,
        patience: ctx.timeout / 2,
    }
}

fn is_ours(session: &mut Session, ctx: &Context, name: &str) -> Result<bool, Problem> {
    let found = ownership::find(session, name)?;
    Ok(found.is_some_and(|found| found.owner(ctx) == Owner::ThisOperation))
}

/// The role exists, and the index on role names that noticed it first.
const DUPLICATE: [&str; 2] = ["42710", "23505"];
