//! The program that `cargo xtask fuzz` runs: corpora as directories and back, the words of a
//! target, and the target itself, driven by libFuzzer.

use std::{fs, io::Write as _, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use lessor_fuzz::{corpus, target};

const USAGE: &str = "\
lessor-fuzz unpack CORPUS DIRECTORY     makes a directory of a corpus
lessor-fuzz pack DIRECTORY CORPUS       makes a corpus of a directory
lessor-fuzz line FILE                   shows an input as it stands in a corpus
lessor-fuzz words TARGET FILE           writes the target's words for libFuzzer
lessor-fuzz run TARGET [ARGUMENT...]    drives the target by libFuzzer";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["unpack", file, directory] => corpus::unpack(Path::new(file), Path::new(directory))?,
        ["pack", directory, file] => corpus::pack(Path::new(directory), Path::new(file))?,
        ["line", file] => {
            let input = fs::read(file).with_context(|| format!("cannot read {file}"))?;
            writeln!(std::io::stdout(), "{}", corpus::escaped(&input))?;
        }
        ["words", name, file] => {
            let words = known(name)?.dictionary();
            fs::write(file, words).with_context(|| format!("cannot write {file}"))?;
        }
        ["run", name, arguments @ ..] => return run(known(name)?, arguments),
        _ => bail!("it was called in no way that it knows:\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn known(name: &str) -> Result<&'static lessor_fuzz::Target> {
    target(name).with_context(|| format!("there is no target {name}"))
}

#[cfg(feature = "libfuzzer")]
fn run(target: &lessor_fuzz::Target, arguments: &[&str]) -> Result<ExitCode> {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let code = lessor_fuzz::libfuzzer::drive(target, &arguments)?;
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(not(feature = "libfuzzer"))]
fn run(target: &lessor_fuzz::Target, _arguments: &[&str]) -> Result<ExitCode> {
    bail!(
        "the target {} was built without libFuzzer: run `cargo xtask fuzz {0}`",
        target.name
    )
}
