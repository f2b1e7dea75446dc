//! `cargo xtask schemathesis`: the document of the API held against a server.
//!
//! For a minute, Schemathesis (from PyPI) makes requests from the OpenAPI document of a running
//! server, requests that fit it and requests that do not. No answer may be an error of the
//! server, or have a status, type or field that the document does not declare. The file
//! `tests/schemathesis/schemathesis.toml` says what is left out, and why. The server is the one
//! of the tests, which fails a request itself where an answer is not declared.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cluster::{Cluster, keep, password};
use crate::dev_server::DevServer;
use crate::stage::{Claim, Stage, Step};
use crate::workspace::{Workspace, beside};
use crate::{plugins, say, servers, test};

/// Seconds that Schemathesis may take, unless somebody says so.
const SECONDS: u64 = 60;

/// The seed of its requests.
const SEED: u64 = 19;

/// The time that a command may take: Schemathesis ends what it has begun, beside its time.
const PATIENCE: Duration = Duration::from_secs(180);

/// Starts the server; the providers are found where they are built.
const SERVER: &str = "lessor server --dev --dev-root-token-id demo --plugin-dir target/plugins";

/// Makes a server that has something of everything.
const FURNISH: &[Step] = &[
    Step {
        story: "A provider is mounted,",
        command: "lessor mount add db --plugin postgres --allow-host tcp://$PGHOST:$PGPORT",
        claim: Claim::Prints(&["mounted at db"]),
    },
    Step {
        story: "has a config,",
        command: "lessor config write db host=$PGHOST port=$PGPORT database=$PGDATABASE username=lessor password=@root-password sslmode=disable",
        claim: Claim::Prints(&["is proven and kept"]),
    },
    Step {
        story: "a role,",
        command: "lessor role write db reader member_of='[\"readers\"]' default_ttl=1h max_ttl=24h",
        claim: Claim::Prints(&["role reader"]),
    },
    Step {
        story: "an account that it takes over,",
        command: "curl -fsS -H 'X-Vault-Token: demo' -d '{\"username\": \"kept\", \"rotation_period\": \"24h\"}' $LESSOR_ADDR/v1/db/static-roles/kept",
        claim: Claim::Prints(&[]),
    },
    Step {
        story: "and a lease. There are login methods of each kind,",
        command: "lessor creds db reader --save username=username && for kind in userpass approle jwt; do \
                  curl -fsS -H 'X-Vault-Token: demo' -d \"{\\\"type\\\": \\\"$kind\\\"}\" $LESSOR_ADDR/v1/sys/auth/$kind; done",
        claim: Claim::Prints(&["username is in"]),
    },
    Step {
        story: "with a user, roles,",
        command: "curl -fsS -H 'X-Vault-Token: demo' -d '{\"password\": \"not the best\"}' $LESSOR_ADDR/v1/auth/userpass/users/ops && \
                  curl -fsS -H 'X-Vault-Token: demo' -d '{\"token_ttl\": 60}' $LESSOR_ADDR/v1/auth/approle/role/ops && \
                  curl -fsS -H 'X-Vault-Token: demo' -d '{\"role_type\": \"jwt\", \"user_claim\": \"sub\", \"bound_subject\": \"x\"}' $LESSOR_ADDR/v1/auth/jwt/role/ops && \
                  curl -fsS -H 'X-Vault-Token: demo' -d '{\"orphan\": true}' $LESSOR_ADDR/v1/auth/token/roles/ops",
        claim: Claim::Prints(&[]),
    },
    Step {
        story: "and a policy.",
        command: "curl -fsS -H 'X-Vault-Token: demo' -d '{\"policy\": \"path \\\"db/creds/reader\\\" { policy = \\\"read\\\" }\"}' $LESSOR_ADDR/v1/sys/policies/acl/ops",
        claim: Claim::Prints(&[]),
    },
];

/// `cargo xtask schemathesis`.
pub(crate) fn run_command(arguments: &[&str]) -> Result<ExitCode> {
    let (seconds, seed) = match arguments {
        [] => (SECONDS, SEED),
        [seconds] => (seconds.parse()?, SEED),
        [seconds, seed] => (seconds.parse()?, seed.parse()?),
        _ => bail!("cargo xtask schemathesis takes the seconds and the seed"),
    };
    let workspace = Workspace::to_build()?;
    servers::ensure_postgres()?;
    servers::ensure_curl()?;
    let schemathesis = servers::ensure_schemathesis(&workspace)?;
    beside(
        || plugins::build(&workspace),
        || test::build_program(&workspace),
    )?;
    let mut stage = Stage::new(&workspace, "lessor-schemathesis-")?;
    stage
        .scratch
        .be_patient(PATIENCE + Duration::from_secs(seconds));
    stage.scratch.put_on_path(&schemathesis)?;
    stage.scratch.set("SECONDS_LEFT", seconds.to_string());
    stage.scratch.set("SEED", seed.to_string());
    let told = tell(&workspace, &mut stage);
    stage.close(told, "Not so", "")
}

fn tell(workspace: &Workspace, stage: &mut Stage) -> Result<()> {
    say::step("A server that has something of everything");
    let programs = servers::postgres().context("there is no `initdb`")?;
    let _cluster = upstream(&programs, stage)?;
    let plugins = workspace.plugin_dir();
    let plugins = plugins
        .to_str()
        .context("the target directory's path is no text")?;
    let command = SERVER.replace("target/plugins", &format!("'{plugins}'"));
    let _server = DevServer::start(stage, SERVER, &command).context("lessor did not start")?;
    stage.perform(FURNISH)?;

    say::step("Schemathesis asks it");
    let settings = workspace
        .root()
        .join("tests/schemathesis/schemathesis.toml");
    stage.scratch.set("SCHEMATHESIS_SETTINGS", settings);
    stage.perform(&[Step {
        story: "Each answer must be one that the document tells of, and no error of the server.",
        command: "schemathesis --config-file $SCHEMATHESIS_SETTINGS run --max-time $SECONDS_LEFT --seed $SEED --no-color \
                  -H 'X-Vault-Token: demo' $LESSOR_ADDR/v1/sys/internal/specs/openapi",
        claim: Claim::Prints(&["No issues found"]),
    }])?;
    stage.perform(&[Step {
        story: "The server goes on serving, and the token holds.",
        command: "lessor status && lessor role write db reader member_of='[\"readers\"]' && lessor creds db reader --save username=username",
        claim: Claim::Prints(&["ready", "username is in"]),
    }])
}

/// A database that the provider leases from, with an account to take over.
fn upstream(programs: &Path, stage: &mut Stage) -> Result<Cluster> {
    let cluster = Cluster::start(programs, &mut stage.scratch, &[])?;
    let root = password()?;
    keep(
        &stage.scratch.directory().join("root-password"),
        &format!("{root}\n"),
    )?;
    let sql = format!(
        "CREATE ROLE readers;
         CREATE ROLE lessor LOGIN CREATEROLE PASSWORD '{root}';
         GRANT readers TO lessor WITH ADMIN OPTION;
         CREATE ROLE kept LOGIN PASSWORD 'former';
         GRANT kept TO lessor WITH ADMIN OPTION;"
    );
    cluster.sql(&stage.scratch, &sql)?;
    Ok(cluster)
}
