//! `cargo xtask chaos`: kills the server under load, again and again, and counts
//! what is lost.
//!
//! The server is the program as it is shipped, the database a real PostgreSQL;
//! both are started here, in a scratch directory, and ended by their ids.
//! Clients issue, use, renew, revoke and rotate as fast as they are answered.
//! Meanwhile the server is killed at random moments, while it starts too, and the
//! database is restarted and paused. In the end, when the server has come to
//! rest, PostgreSQL, the server's own leases and the answers to the clients must agree:
//!
//! 1. *No orphan*: every leased role in PostgreSQL has its lease.
//! 2. *Nothing lost*: every credential that was acknowledged and not revoked has
//!    its lease and its role, and logs in.
//! 3. *One working root*: the server issues, rotates and issues again.
//!
//! A request without an answer may have been done or not, so it counts neither way, as long as
//! lease and role agree.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use self::lessor::Lessor;
use self::openbao::OpenBao;
use self::options::{Options, USAGE};
use self::report::Column;
use crate::cluster::free_port;
use crate::servers::OPENBAO;
use crate::workspace::{Workspace, beside, run};
use crate::{plugins, say, servers};

mod api;
mod clients;
mod gate;
mod ledger;
mod lessor;
mod login;
mod openbao;
mod options;
mod progress;
mod random;
mod report;
mod server;
mod storm;
mod system;
mod trial;
mod verdict;

/// `cargo xtask chaos`.
pub(crate) fn run_command(arguments: &[&str]) -> Result<ExitCode> {
    if arguments.iter().any(|word| ["--help", "-h"].contains(word)) {
        say::data(USAGE);
        return Ok(ExitCode::SUCCESS);
    }
    match Options::parse(arguments) {
        Ok(options) => perform(&options),
        Err(sentence) => {
            say::failure(&sentence);
            Ok(ExitCode::from(2))
        }
    }
}

fn perform(options: &Options) -> Result<ExitCode> {
    let workspace = if options.debug {
        Workspace::to_build()?
    } else {
        Workspace::find()?
    };
    servers::ensure_postgres()?;
    let postgres = servers::postgres().context("PostgreSQL is gone")?;
    let program = built(&workspace, options.debug)?;
    let seed = match options.seed {
        Some(seed) => seed,
        None => any_seed()?,
    };
    say::step(&format!(
        "{} kills, {} clients, {} % rotations, seed {seed}, {}",
        options.kills,
        options.clients,
        options.rotate,
        program.display()
    ));

    let plugins = workspace.plugin_dir();
    let ours = trial::run(options, seed, &postgres, |_| {
        let port = free_port()?;
        Ok(Box::new(Lessor {
            program,
            plugins,
            port,
        }))
    })?;
    let lost_nothing = ours.losses.none();
    let mut columns = vec![Ok(ours)];
    if options.peer {
        columns.push(peer(&workspace, options, seed, &postgres));
    }

    say::data(&report::table(&columns));
    for outcome in columns.iter().flatten() {
        say::data(&report::line(outcome));
    }
    // Losses of the peer do not fail the run.
    Ok(if lost_nothing {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The same for OpenBao. If OpenBao cannot be installed, the run does not fail.
fn peer(workspace: &Workspace, options: &Options, seed: u64, postgres: &std::path::Path) -> Column {
    servers::ensure_openbao(workspace)
        .and_then(|program| {
            trial::run(options, seed, postgres, |scratch| {
                let (port, cluster_port) = (free_port()?, free_port()?);
                let peer = OpenBao::new(program, scratch, port, cluster_port)?;
                Ok(Box::new(peer))
            })
        })
        .map_err(|error| (format!("OpenBao {OPENBAO}"), format!("{error:#}")))
}

/// Builds the providers and the program; gives the program.
fn built(workspace: &Workspace, debug: bool) -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("LESSOR_BIN") {
        plugins::build(workspace)?;
        return std::path::absolute(program).context("LESSOR_BIN is no path");
    }
    let program = || {
        say::step("Building lessor");
        // The debug build is the demo's, so that neither undoes the other's.
        let build: &[&str] = if debug {
            &["build", "--workspace", "--bin", "lessor"]
        } else {
            &["build", "--release", "--package", "lessor"]
        };
        run(&mut workspace.cargo(build))
    };
    beside(|| plugins::build(workspace), program)?;
    Ok(if debug {
        workspace.lessor()
    } else {
        workspace.released("lessor")
    })
}

fn any_seed() -> Result<u64> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    // Short enough to be typed.
    Ok(u64::from_le_bytes(bytes) % 1_000_000)
}
