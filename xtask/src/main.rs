//! `cargo xtask <command>`: the commands of this workspace.
//!
//! Each does its own set-up, so that a machine with Rust and a C compiler needs
//! nothing typed beforehand. Nothing here is part of what is shipped.

use std::process::ExitCode;

mod bench;
mod bindings;
mod chaos;
mod cluster;
mod demo;
mod deny;
mod dev_server;
mod first_build;
mod fuzz;
mod languages;
mod plugins;
mod say;
mod schemathesis;
mod scratch;
mod servers;
mod stage;
mod test;
mod toolchain;
mod workspace;

const USAGE: &str = "\
The commands of this workspace.

  cargo xtask demo              lease real credentials before your eyes
  cargo xtask demo --all        the same of every provider, its upstream from PyPI where need be
  cargo xtask test [ARGS]       set up what the tests need and run them all;
                                ARGS go to the test runner (a filter, for one)
  cargo xtask chaos [OPTIONS]   kill the server under load, again and again, and
                                count what is lost; --help tells the options
  cargo xtask fuzz [TARGET...]  search for inputs that break what is checked of
                                guests and requests; --help tells the options
  cargo xtask bench [NAME...]   measure side by side with OpenBao; --help tells
                                the workloads
  cargo xtask languages         build the examples in Python and JavaScript with
                                packages from PyPI and npm, and lease from them
  cargo xtask schemathesis      hold a server against the OpenAPI document of its
                                own API, for a minute; or [SECONDS [SEED]]
  cargo xtask plugins           build the providers into target/plugins and
                                record their digests in plugins/pins.toml
  cargo xtask plugins --check   build them and compare with plugins/pins.toml
  cargo xtask deny              check the dependencies' licences, duplicates, sources
                                and, where the database can be had, advisories
  cargo xtask bindings          make the SDK's bindings from wit/
  cargo xtask bindings --check  make them and compare with what is checked in
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next();
    let rest: Vec<String> = words.collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let outcome = match (command.as_deref(), rest.as_slice()) {
        (Some("demo"), []) => demo::perform(false),
        (Some("demo"), ["--all"]) => demo::perform(true),
        (Some("test"), arguments) => test::run_command(arguments),
        (Some("chaos"), arguments) => chaos::run_command(arguments),
        (Some("fuzz"), arguments) => fuzz::run_command(arguments),
        (Some("bench"), arguments) => bench::run_command(arguments),
        (Some("languages"), []) => languages::perform(),
        (Some("schemathesis"), arguments) => schemathesis::run_command(arguments),
        (Some("deny"), []) => deny::perform(),
        (Some("plugins"), []) => plugins::record(),
        (Some("plugins"), ["--check"]) => plugins::check(),
        (Some("bindings"), []) => bindings::write(),
        (Some("bindings"), ["--check"]) => bindings::check(),
        (Some("help" | "--help" | "-h"), _) => {
            say::data(USAGE);
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            say::failure(USAGE);
            Ok(ExitCode::from(2))
        }
    };
    outcome.unwrap_or_else(|error| {
        say::failure(&format!("\nfailed: {error:#}"));
        ExitCode::FAILURE
    })
}
