//! The `lessor` program: reads the command line, runs, and answers with an exit
//! code. All else stands in the library.

use std::process::ExitCode;

use clap::Parser;
use lessor::{
    cli::{self, Cli, Command, Console},
    server,
};
use lessor_sandbox::compile;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, with exit code 0.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let mut console = Console {
        out: &mut std::io::stdout(),
        err: &mut std::io::stderr(),
        input: &mut std::io::stdin().lock(),
        variable: &|name| std::env::var(name).ok(),
    };
    match cli.command {
        Command::Request(request) => cli::run(*request, &mut console),
        Command::Restore(args) => cli::restore(&args, &mut console),
        // The parent process sees how it ended.
        Command::Compile => compile::as_child().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
        Command::Server(args) => match server::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                console.note(&format!("error: {:#}", anyhow::Error::new(error)));
                ExitCode::FAILURE
            }
        },
    }
}
