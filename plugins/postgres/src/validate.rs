//! Checks of a config and a role before anything is leased by them: a login,
//! a look at the catalogues that names every missing privilege at once, and a
//! rehearsal that makes, renews and ends a role in a transaction and rolls all
//! of it back. So it is known beforehand that leases can also be revoked.

use std::net::IpAddr;
use std::time::Duration;

use lessor_sdk::prelude::*;

use crate::config::{Config, SslMode};
use crate::create;
use crate::ownership::no_answer;
use crate::password::NewPassword;
use crate::problem::{Cause, Problem, told};
use crate::revoke;
use crate::role::{Grant, Role};
use crate::session::{Session, log_in};
use crate::sql::{identifier, literal, valid_until};
use crate::transaction::{End, Mode, Step, run};
use crate::{renew, rotate};

/// Checks that the config works and, where `role` is given, that leases can be
/// made by it.
pub(crate) fn validate(ctx: &Context, config: &Config, role: Option<&Role>) -> Result<Validation> {
    config.check()?;
    role.map_or(Ok(()), Role::check)?;
    let told = |problem: Problem| problem.into_failure(config, &[config.password.expose()]);
    // A new session: a parked one would prove nothing about the password.
    let mut session = log_in(config, &config.database, config.password.expose()).map_err(told)?;
    let root = Root::look(&mut session).map_err(told)?;
    if root.standby {
        return Err(Failure::invalid_config(
            "standby",
            format!(
                "The PostgreSQL server at {} is a standby and read-only: let `host` name the primary.",
                config.host
            ),
        ));
    }
    let mut validation =
        Validation::identity(format!("{} (PostgreSQL {})", root.name, root.version));
    validation.warnings = warnings(config, role, &root);
    if let Some(role) = role {
        let missing = missing(&mut session, role, &root).map_err(told)?;
        if let Some(failure) = missing_failure(&missing, config) {
            return Err(failure);
        }
        let warned = rehearse(ctx, config, role, &root, &mut session)?;
        validation.warnings.extend(warned);
    }
    Ok(validation)
}

/// The root credential's role, as the server knows it.
struct Root {
    name: String,
    version: String,
    superuser: bool,
    may_create_roles: bool,
    inherits: bool,
    valid_until: Option<String>,
    since_16: bool,
    standby: bool,
}

impl Root {
    fn look(session: &mut Session) -> Result<Self, Problem> {
        let doing = "Looking at the root credential's role";
        let rows = session
            .query(LOOK_AT_ROOT)
            .map_err(|error| Problem::new(doing, error))?;
        let row = rows.first().ok_or_else(|| no_answer(doing))?;
        let text = |column| row.text(column).unwrap_or_default().to_owned();
        Ok(Self {
            name: text(0),
            version: text(1),
            superuser: row.is_true(2),
            may_create_roles: row.is_true(3),
            inherits: row.is_true(4),
            valid_until: row.text(5).map(str::to_owned),
            since_16: row.is_true(6),
            standby: row.is_true(7),
        })
    }
}

fn warnings(config: &Config, role: Option<&Role>, root: &Root) -> Vec<String> {
    let name = &root.name;
    let mut warnings = Vec::new();
    if !root.superuser && !root.may_create_roles {
        warnings.push(format!(
            "{name:?} may not create roles; as a superuser, run: ALTER ROLE {} CREATEROLE",
            identifier(name)
        ));
    }
    if !root.superuser && !root.inherits {
        warnings.push(format!(
            "{name:?} does not inherit privileges, which ending leased roles needs; run: ALTER ROLE {} INHERIT",
            identifier(name)
        ));
    }
    if let Some(end) = &root.valid_until {
        warnings.push(format!(
            "The password of {name:?} is valid until {end} only (VALID UNTIL)."
        ));
    }
    if config.sslmode == SslMode::Disable && !is_loopback(&config.host) {
        warnings.push(format!(
            "`sslmode` is `disable`: whoever sits on the network between lessor and {} reads what is sent.",
            config.host
        ));
    }
    let statements = role
        .map(|role| &role.creation_statements)
        .filter(|statements| !statements.is_empty());
    if statements.is_some_and(|statements| !statements.mention("password")) {
        warnings.push(
            "The role's `creation_statements` do not set {{password}}: its password will not work."
                .to_owned(),
        );
    }
    warnings
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// One thing that stands in the way of a role.
struct Missing {
    /// It does not exist, as opposed to: it may not be given.
    absent: bool,
    text: String,
}

/// All that the catalogues show to stand in the way.
fn missing(session: &mut Session, role: &Role, root: &Root) -> Result<Vec<Missing>, Problem> {
    let mut queries = Vec::new();
    if !role.member_of.is_empty() {
        queries.push(missing_memberships(role, root));
    }
    queries.extend(role.grants.iter().map(missing_grants));
    let mut missing = Vec::new();
    if role.username.is_none()
        && role.creation_statements.is_empty()
        && !root.superuser
        && !root.may_create_roles
    {
        missing.push(Missing {
            absent: false,
            text: "the attribute CREATEROLE".to_owned(),
        });
    }
    for reply in session
        .pipeline(&queries)
        .map_err(|error| Problem::new(LOOKING, error))?
    {
        let rows = reply
            .into_rows()
            .map_err(|error| Problem::new(LOOKING, error))?;
        missing.extend(rows.iter().filter_map(|row| {
            Some(Missing {
                absent: row.is_true(0),
                text: row.text(1)?.to_owned(),
            })
        }));
    }
    Ok(missing)
}

/// Until PostgreSQL 15, CREATEROLE may give any role that is no superuser; from
/// 16 on it needs ADMIN OPTION.
fn missing_memberships(role: &Role, root: &Root) -> String {
    let by_attribute = if root.since_16 {
        "false"
    } else {
        "me.rolcreaterole AND NOT r.rolsuper"
    };
    format!(
        "SELECT r.oid IS NULL, CASE WHEN r.oid IS NULL THEN format('role %I', g.name) \
           ELSE format('ADMIN OPTION on role %I', g.name) END \
         FROM unnest({}) WITH ORDINALITY g(name, position) JOIN pg_roles me ON me.rolname = current_user \
         LEFT JOIN pg_roles r ON r.rolname = g.name \
         WHERE r.oid IS NULL OR NOT (me.rolsuper OR ({by_attribute}) \
           OR pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')) ORDER BY g.position",
        array(role.member_of.iter().map(String::as_str)),
    )
}

/// A privilege may be given by whoever owns the object or has the privilege
/// WITH GRANT OPTION. `USAGE` of a schema need not be given where PUBLIC has it.
fn missing_grants(grant: &Grant) -> String {
    let schema = literal(&grant.schema);
    let of_schema = format!("(SELECT oid FROM pg_namespace WHERE nspname = {schema})");
    let tables = array(grant.tables.iter().map(String::as_str));
    let only = if grant.tables.is_empty() {
        String::new()
    } else {
        format!("AND c.relname = ANY ({tables})")
    };
    let privileges = array(grant.privileges.iter().map(|privilege| privilege.sql()));
    let sequences = array(grant.sequences.iter().map(|privilege| privilege.sql()));
    format!(
        "SELECT true, format('schema %I', {schema}) WHERE {of_schema} IS NULL \
         UNION ALL SELECT false, format('USAGE on schema %I WITH GRANT OPTION', n.nspname) FROM pg_namespace n \
           WHERE n.nspname = {schema} AND NOT has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION') \
           AND NOT has_schema_privilege('public', n.oid, 'USAGE') \
         UNION ALL SELECT true, format('table %I.%I', {schema}, t.name) FROM unnest({tables}) t(name) \
           WHERE {of_schema} IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class c \
             WHERE c.relnamespace = {of_schema} AND c.relname = t.name AND c.relkind IN {TABLES}) \
         UNION ALL (SELECT false, format('%s on %I.%I WITH GRANT OPTION', p.name, {schema}, c.relname) \
           FROM pg_class c CROSS JOIN unnest({privileges}) p(name) \
           WHERE c.relnamespace = {of_schema} AND c.relkind IN {TABLES} {only} \
             AND NOT has_table_privilege(c.oid, p.name || ' WITH GRANT OPTION') ORDER BY c.relname, p.name LIMIT 20) \
         UNION ALL (SELECT false, format('%s on sequence %I.%I WITH GRANT OPTION', p.name, {schema}, c.relname) \
           FROM pg_class c CROSS JOIN unnest({sequences}) p(name) \
           WHERE c.relnamespace = {of_schema} AND c.relkind = 'S' \
             AND NOT has_sequence_privilege(c.oid, p.name || ' WITH GRANT OPTION') ORDER BY c.relname, p.name LIMIT 20)"
    )
}

/// One failure that names everything. What does not exist comes first: it is
/// the operator's to correct, the rest the database administrator's.
fn missing_failure(missing: &[Missing], config: &Config) -> Option<Failure> {
    let named = |absent| {
        let texts: Vec<_> = missing
            .iter()
            .filter(|one| one.absent == absent)
            .map(|one| one.text.as_str())
            .collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    };
    let absent = named(true).map(|names| format!("Database {:?} has no {names}.", config.database));
    let denied = named(false).map(|names| {
        format!("{:?} lacks {names}: let the database's administrator grant it or transfer the ownership.", config.username)
    });
    match (absent, denied) {
        (None, None) => None,
        (None, Some(denied)) => Some(Failure::denied("privileges_missing", denied)),
        (Some(absent), denied) => {
            let message = [Some(absent), denied]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" ");
            Some(Failure::invalid_config("object_missing", message))
        }
    }
}

/// Makes, renews and ends a role, or sets the account's password, and rolls all
/// of it back. Gives what the server warned of.
fn rehearse(
    ctx: &Context,
    config: &Config,
    role: &Role,
    root: &Root,
    session: &mut Session,
) -> Result<Vec<String>> {
    let name = format!("lessor-check-{}", ctx.operation_id);
    let password = ctx.password_for("rehearsal", &role.password_policy)?;
    let (steps, mode, password) = if role.username.is_some() {
        let account = role.account()?;
        let password = NewPassword::of(ctx, config, account, password, &role.rotation_statements);
        let steps = rotate::account_steps(role, account, &password)?;
        let mode = Mode {
            alone: role.rotation_statements.grant_on_objects(),
            end: End::Rollback,
            patience: ctx.timeout / 4,
        };
        (steps, mode, password)
    } else {
        let password = NewPassword::of(ctx, config, &name, password, &role.creation_statements);
        let mode = Mode {
            patience: ctx.timeout / 4,
            ..create::mode(ctx, role, End::Rollback)
        };
        (life(ctx, role, root, &name, &password)?, mode, password)
    };
    let warnings = run(session, mode, &steps).map_err(|problem| {
        if matches!(problem.cause, Cause::TransactionEnded) {
            // There is something to take back after all. Where that fails, the
            // role can do no harm: nobody has its password.
            let mode = Mode {
                alone: true,
                end: End::Commit,
                ..mode
            };
            let _ = run(session, mode, &end(root, &name));
        }
        problem
            .into_failure(config, &password.secrets())
            .while_doing(REHEARSAL)
    })?;
    // The rehearsal's own name would only puzzle.
    let [plain, kept] = password.secrets();
    Ok(told(&warnings, &[plain, kept, &name]))
}

/// A role's whole life, but for its sessions.
fn life(
    ctx: &Context,
    role: &Role,
    root: &Root,
    name: &str,
    password: &NewPassword,
) -> Result<Vec<Step>> {
    let until = ctx.now().plus(Duration::from_secs(3_600));
    let mut steps = create::steps(ctx, role, name, password, Some(until))?;
    steps.extend(renew::steps(role, name, &valid_until(Some(until)))?);
    if role.revocation_statements.is_empty() {
        steps.extend(end(root, name));
    } else {
        steps.push(revoke::close_step(name));
        steps.extend(revoke::rendered(
            "revocation_statements",
            &role.revocation_statements,
            name,
        )?);
    }
    // Rendered only: there is nothing to roll back here.
    revoke::rendered("rollback_statements", &role.rollback_statements, name)?;
    Ok(steps)
}

/// The end of a role that has no sessions.
fn end(root: &Root, name: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    if !root.superuser {
        let join = revoke::join_statement(name, root.since_16);
        steps.push(Step::new("Taking over the role's privileges", join));
    }
    steps.push(revoke::close_step(name));
    steps.extend(revoke::clear_steps(name));
    steps.push(revoke::drop_step(name));
    steps
}

fn array<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let values: Vec<_> = values.map(literal).collect();
    format!("ARRAY[{}]::text[]", values.join(", "))
}

const LOOK_AT_ROOT: &str = "SELECT r.rolname, split_part(current_setting('server_version'), ' ', 1), r.rolsuper, \
     r.rolcreaterole, r.rolinherit, nullif(r.rolvaliduntil, 'infinity'), \
     current_setting('server_version_num')::int >= 160000, pg_is_in_recovery() \
     FROM pg_roles r WHERE r.rolname = current_user";

/// Tables, partitioned tables, views, materialised views, foreign tables: what
/// `GRANT … ON TABLE` takes.
const TABLES: &str = "('r', 'p', 'v', 'm', 'f')";

const LOOKING: &str = "Looking for what the role needs";
const REHEARSAL: &str = "A rehearsal of the role, rolled back, failed";
