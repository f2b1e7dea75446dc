//! The `lessor` program: reads the command line, runs, and answers with an exit
//! code. All else stands in the library.

use std::process::ExitCode;

use clap::Parser;
use lessor::cli::{self, Cli, Command, Console};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, with exit code 0.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match cli.command {
        Command::Request(request) => {
            let mut console = Console {
                out: &mut std::io::stdout().lock(),
                err: &mut std::io::stderr().lock(),
                input: &mut std::io::stdin().lock(),
                variable: &|name| std::env::var(name).ok(),
            };
            cli::run(request, &mut console)
        }
    }
}
