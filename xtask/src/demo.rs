//! `cargo xtask demo`: leases real credentials before your eyes.
//!
//! Every command is run as it is shown, and every claim is checked against the real system: a
//! claim that does not hold ends the demo with a failure. Servers and files are removed at the
//! end, after a failure and after Ctrl-C too.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::stage::Stage;
use crate::workspace::{Workspace, beside, on_path, run};
use crate::{plugins, say, servers};

mod aws;
mod certificate;
mod database;
mod server;
mod upstream;
mod webhook;

/// `cargo xtask demo`, and with `all` the providers whose upstreams come from PyPI, too.
pub(crate) fn perform(all: bool) -> Result<ExitCode> {
    let workspace = Workspace::to_build()?;
    let program = || {
        say::step("Building lessor (the first time takes a few minutes)");
        run(&mut workspace.cargo(&["build", "--workspace", "--bin", "lessor"]))
    };
    beside(|| plugins::build(&workspace), program)?;
    if all {
        servers::ensure_postgres()?;
        servers::ensure_openssl()?;
    }

    let mut stage = Stage::new(&workspace, "lessor-demo-")?;
    let told = tell(&workspace, &mut stage, all);
    stage.close(
        told,
        "The demo failed",
        " Everything that was started has been removed.",
    )
}

fn tell(workspace: &Workspace, stage: &mut Stage, all: bool) -> Result<()> {
    say::step("A server for trying out");
    let _server = server::start(workspace, stage).context("lessor did not start")?;
    stage.perform(&server::STEPS)?;

    say::step("Certificates of an authority that nobody can copy");
    certificate::tell(stage)?;

    let Some(programs) = servers::postgres() else {
        say::step("PostgreSQL: left out");
        say::line(&format!(
            "There is no PostgreSQL here (no `initdb`). To see its part too, type\n\n  {}\n\n\
             and start the demo again.",
            servers::how_to_install_postgres()
        ));
        return Ok(());
    };
    say::step("Roles of a PostgreSQL server");
    let _cluster = database::server(&programs, stage)?;
    database::tell(stage)?;
    if !all {
        say::line("\n`cargo xtask demo --all` goes on with the providers of clouds and webhooks.");
        return Ok(());
    }
    with_python(workspace, stage)
}

/// The providers whose upstreams are programs of Python.
fn with_python(workspace: &Workspace, stage: &mut Stage) -> Result<()> {
    let programs = servers::ensure_python(workspace)?.join("bin");
    stage.scratch.put_on_path(&programs)?;
    let python = programs.join("python");

    say::step("Users of AWS");
    let _account = aws::account(workspace, stage, &python)?;
    aws::tell(stage)?;

    say::step("Whatever a webhook makes");
    webhook::tell(workspace, stage, &python)
}

/// Whether a program that only a proof needs is there; says so where not.
fn available(program: &str, proof: &str) -> bool {
    if on_path(program).is_some() {
        return true;
    }
    say::line(&format!(
        "\n!! NOT PROVEN: {proof}, for `{program}` is not installed."
    ));
    false
}

#[cfg(test)]
mod tests {
    use super::{certificate, database, server};
    use crate::workspace::Workspace;

    /// The commands of the README's tour are commands of the demo, in its
    /// order, so a run of the demo tries the README.
    #[test]
    fn the_tour_of_the_readme_is_part_of_the_demo() {
        let readme = Workspace::find().unwrap().root().join("README.md");
        let readme = std::fs::read_to_string(readme).unwrap();
        let tour = readme
            .split("\n## ")
            .find(|section| section.starts_with("A tour"))
            .unwrap();
        let commands: Vec<&str> = tour
            .split("```")
            .filter_map(|block| block.strip_prefix("sh\n"))
            .flat_map(str::lines)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        assert!(commands.len() > 10, "the tour has shrunk to {commands:?}");
        let mut performed = std::iter::once(server::COMMAND)
            .chain(
                [&server::STEPS[..], certificate::STEPS, database::STEPS]
                    .concat()
                    .iter()
                    .map(|step| step.command),
            )
            .collect::<Vec<_>>()
            .into_iter();
        for command in commands {
            assert!(
                performed.any(|step| step == command),
                "the demo does not run `{command}`, or not in this order"
            );
        }
    }
}
