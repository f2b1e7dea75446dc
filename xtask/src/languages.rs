//! `cargo xtask languages`: providers in other languages, built and leased from.
//!
//! Each example is copied below `target/languages`, built there by the commands of
//! its README with packages from PyPI and npm alone, checked, pinned, and leased
//! from; each claim is checked at the upstream system. It stands apart from `cargo xtask test`,
//! whose time on a fresh clone such toolchains would double.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use self::life::{BOTH, FROZEN, Language};
use self::toy::Toy;
use crate::dev_server::DevServer;
use crate::stage::Stage;
use crate::workspace::{Workspace, beside};
use crate::{say, servers, test};

mod build;
mod life;
mod toy;

/// The time that a command may take: an interpreter is compiled in half a minute, on a machine that
/// does nothing else.
const PATIENCE: Duration = Duration::from_secs(300);

/// `cargo xtask languages`.
pub(crate) fn perform() -> Result<ExitCode> {
    let workspace = Workspace::to_build()?;
    servers::ensure_venv()?;
    servers::ensure_curl()?;
    let node = servers::ensure_node(&workspace)?;

    let directory = workspace.target().join("languages");
    let [python, javascript] = &BOTH;
    let built = Instant::now();
    let components = || {
        copy(&workspace, &directory)?;
        say::step("Building the providers in Python and JavaScript");
        beside(
            || build::build(&directory, python, node.as_deref()),
            || build::build(&directory, javascript, node.as_deref()),
        )
    };
    beside(components, || test::build_program(&workspace))?;
    say::line(&format!("\nBuilt in {} s.", built.elapsed().as_secs()));

    let mut stage = Stage::new(&workspace, "lessor-languages-")?;
    stage.scratch.be_patient(PATIENCE);
    // The check compiles, and the server takes what it compiled.
    let code = workspace.lessor().with_file_name("test-code-cache");
    stage.scratch.set("LESSOR_TEST_CODE_CACHE", code);
    let told = BOTH
        .iter()
        .try_for_each(|language| tell(&directory, language, &mut stage))
        .and_then(|()| freeze(&directory, &mut stage));
    stage.close(told, "Not so", "")
}

/// The whole life of a provider, from the check to the last revocation.
fn tell(directory: &Path, language: &Language, stage: &mut Stage) -> Result<()> {
    say::step(&format!("A provider in {}", language.name));
    stage.enter(&language.directory(directory));
    let toy = Toy::start(stage)?;
    stage.scratch.set("UPSTREAM", toy.origin());
    stage.perform(language.check)?;
    let _server =
        DevServer::start(stage, life::SERVER, life::SERVER).context("lessor did not start")?;
    stage.perform(language.life)
}

/// The check finds a generator that was frozen at the build.
fn freeze(directory: &Path, stage: &mut Stage) -> Result<()> {
    say::step("A provider whose generator is part of its component");
    let [_, javascript] = &BOTH;
    stage.enter(&javascript.directory(directory));
    stage.perform(&FROZEN)
}

/// Copies what the examples are built from, as it stands in the workspace: the
/// contract, the upstream, the sources. Packages that earlier runs installed stay.
fn copy(workspace: &Workspace, directory: &Path) -> Result<()> {
    let examples = workspace.root().join("examples");
    copy_into(&workspace.root().join("wit"), &directory.join("wit"))?;
    for language in &BOTH {
        copy_into(
            &examples.join(language.folder),
            &language.directory(directory),
        )?;
        // The output of an earlier run may be of an earlier source.
        let plugins = language.directory(directory).join("plugins");
        if plugins.is_dir() {
            fs::remove_dir_all(&plugins)
                .with_context(|| format!("cannot remove {}", plugins.display()))?;
        }
    }
    let [_, javascript] = &BOTH;
    for (from, to) in [
        (
            examples.join("upstream.py"),
            directory.join("examples/upstream.py"),
        ),
        (
            workspace.root().join("tests/guests/frozen/provider.js"),
            javascript.directory(directory).join("frozen.js"),
        ),
    ] {
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}

fn copy_into(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("cannot copy {}", from.display());
    fs::create_dir_all(to).with_context(failed)?;
    for entry in from.read_dir().with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let name = entry.file_name();
        if MADE.iter().any(|made| name == *made) {
            continue;
        }
        let to: PathBuf = to.join(&name);
        if entry.path().is_dir() {
            copy_into(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to).with_context(failed)?;
        }
    }
    Ok(())
}

/// Files that a person who follows a README in the workspace itself makes there.
const MADE: [&str; 4] = [".venv", "node_modules", "plugins", "__pycache__"];

#[cfg(test)]
mod tests {
    use super::life::{BOTH, SERVER};
    use crate::workspace::Workspace;

    /// The commands of the READMEs are the ones that are performed, in that order.
    #[test]
    fn the_readmes_of_the_examples_are_what_is_performed() {
        let examples = Workspace::find().unwrap().root().join("examples");
        for language in &BOTH {
            let readme = examples.join(language.folder).join("README.md");
            let readme = std::fs::read_to_string(readme).unwrap();
            let commands: Vec<&str> = readme
                .split("```")
                .filter_map(|block| block.strip_prefix("sh\n"))
                .flat_map(str::lines)
                .filter(|line| !line.is_empty() && !line.starts_with("export "))
                .map(|line| line.trim_end_matches(" &"))
                .collect();
            let steps = |steps: &'static [crate::stage::Step]| steps.iter().map(|it| it.command);
            let performed: Vec<&str> = language
                .build
                .iter()
                .copied()
                .chain(["python3 ../upstream.py 9000"])
                .chain(steps(language.check))
                .chain([SERVER])
                .chain(steps(language.life))
                .collect();
            let mut rest = performed.iter();
            for command in &commands {
                assert!(
                    rest.any(|it| it == command),
                    "{}: `{command}` is not performed, or not in this order",
                    language.folder
                );
            }
            assert!(commands.len() > 12, "{commands:?}");
        }
    }
}
