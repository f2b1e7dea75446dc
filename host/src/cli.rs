//! The command line: nouns, then verbs, each one HTTP request or few.
//!
//! It speaks to a server over HTTP and never opens its database, but for `backup` and
//! `restore` of a data directory that no server uses; `plugin check` and `plugin inspect`
//! need no server at all. The answer goes to standard output, everything else to standard
//! error. A refusal of the server becomes one sentence and exit code 1, a mistake in the
//! words typed exit code 2. A command whose reader of standard output has gone ends
//! quietly, unless the answer is one that the server gives only once. `main` calls [`run`].

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use lessor_sandbox::compile;

pub use self::backup::{Restore, restore};
pub use self::console::Console;
use self::console::Unprinted;
use self::output::Format;
use self::session::Session;
use crate::config::ServerArgs;

mod backup;
mod client;
mod config;
mod console;
mod creds;
mod hold;
mod import;
mod lease;
mod mount;
mod output;
mod plugin;
mod reconcile;
mod role;
mod session;
mod system;
mod task;
mod values;

#[cfg(test)]
mod stub;
#[cfg(test)]
mod tests;

/// Leases credentials through sandboxed providers.
#[derive(Debug, Parser)]
#[command(name = "lessor", version, arg_required_else_help = true)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands, by noun.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Server(ServerArgs),
    /// Put a backup into a new data directory
    Restore(Restore),
    /// The command by which the program starts itself: it reads a component and writes its code.
    #[command(name = compile::SUBCOMMAND, hide = true)]
    Compile,
    /// A request to a running server.
    #[command(flatten)]
    Request(Box<Request>),
}

/// The requests to a running server.
#[derive(Debug, Subcommand)]
pub enum Request {
    /// Show whether the server serves
    Status(Plain),
    /// Make a fresh server usable; prints its root token, once
    Init(Plain),
    /// Providers: the files that may run, by their digest
    Plugin(Verbs<plugin::Verb>),
    /// Mounts: a provider at a path, with the hosts that it may reach
    Mount(Verbs<mount::Verb>),
    /// The config of a mount: how its provider reaches the upstream system, and as whom
    Config(Verbs<config::Verb>),
    /// Roles of a mount: what a leased credential may do
    Role(Verbs<role::Verb>),
    /// Lease a credential
    Creds(With<creds::Creds>),
    /// Leases: look up, renew, revoke; those that cannot be read
    Lease(Verbs<lease::Verb>),
    /// Tasks: work that goes on in the background
    Task(Verbs<task::Verb>),
    /// Take definitions along from other systems
    Import(Verbs<import::Verb>),
    /// Replace the root credential of a mount
    Rotate(With<system::Rotate>),
    /// Compare what an upstream system holds with the leases, and revoke orphans
    Reconcile(With<reconcile::Reconcile>),
    /// Copy a server's database into a file, while it runs
    Backup(With<backup::Backup>),
    /// After a restore: show the overdue work that is held back
    Hold(With<hold::Hold>),
    /// After a restore: let expiries and rotations go on, in one mount or in all
    Release(With<hold::Release>),
    /// The token in use
    Token(Verbs<system::TokenVerb>),
}

/// A noun whose verbs follow.
#[derive(Debug, Args)]
pub struct Verbs<V: Subcommand> {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    verb: V,
}

/// A command with arguments and no verbs.
#[derive(Debug, Args)]
pub struct With<A: Args> {
    #[command(flatten)]
    arguments: A,
    // Last, since its heading would stand over the arguments that follow.
    #[command(flatten)]
    connection: Connection,
}

/// A command without arguments.
#[derive(Debug, Args)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

/// The server, and the form of its answer.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server and output")]
struct Connection {
    /// The server [default: $LESSOR_ADDR, else $VAULT_ADDR, else http://127.0.0.1:8200].
    /// The token is taken from $LESSOR_TOKEN, else $VAULT_TOKEN
    #[arg(long, global = true, value_name = "URL")]
    address: Option<String>,
    /// PEM file of the authorities that may vouch for the server
    /// [default: $LESSOR_CACERT, else $VAULT_CACERT, else the public ones]
    #[arg(long, global = true, value_name = "FILE")]
    ca_cert: Option<std::path::PathBuf>,
    /// Form of the output: a table to read, or the server's answer as JSON
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: Format,
}

/// The exit code of a program that a closed pipe ended: 128 and SIGPIPE's number.
const READER_HAS_GONE: u8 = 141;

/// Performs a request and prints its outcome.
pub fn run(request: Request, console: &mut Console<'_>) -> ExitCode {
    match perform(request, console) {
        Ok(code) => code,
        Err(error) if is_quiet(&error) => ExitCode::from(READER_HAS_GONE),
        Err(error) => {
            console.note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether the reader of standard output has gone. Where an answer is lost by that, the command
/// has put a sentence before the error, and it is printed.
fn is_quiet(error: &anyhow::Error) -> bool {
    error
        .chain()
        .next()
        .and_then(|outermost| outermost.downcast_ref::<Unprinted>())
        .is_some_and(Unprinted::reader_has_gone)
}

fn perform(request: Request, console: &mut Console<'_>) -> Result<ExitCode> {
    match request {
        Request::Status(Plain { connection }) => {
            return Session::open(connection, console)?.status();
        }
        Request::Init(Plain { connection }) => Session::open(connection, console)?.init(),
        Request::Plugin(Verbs {
            connection,
            verb: plugin::Verb::Check(check),
        }) => return plugin::check(check, connection.output, console),
        Request::Plugin(Verbs {
            connection,
            verb:
                plugin::Verb::Inspect {
                    file,
                    on_server: false,
                },
        }) => plugin::inspect(&file, connection.output, console),
        Request::Plugin(Verbs { connection, verb }) => {
            Session::open(connection, console)?.plugin(verb)
        }
        Request::Mount(Verbs { connection, verb }) => {
            Session::open(connection, console)?.mount(verb)
        }
        Request::Config(Verbs { connection, verb }) => {
            Session::open(connection, console)?.config(verb)
        }
        Request::Role(Verbs { connection, verb }) => Session::open(connection, console)?.role(verb),
        Request::Creds(With {
            connection,
            arguments,
        }) => Session::open(connection, console)?.creds(arguments),
        Request::Lease(Verbs { connection, verb }) => {
            Session::open(connection, console)?.lease(verb)
        }
        Request::Task(Verbs { connection, verb }) => {
            Session::open(connection, console)?.task(&verb)
        }
        Request::Import(Verbs { connection, verb }) => {
            Session::open(connection, console)?.import(verb)
        }
        Request::Rotate(With {
            connection,
            arguments,
        }) => Session::open(connection, console)?.rotate(&arguments),
        Request::Reconcile(With {
            connection,
            arguments,
        }) => Session::open(connection, console)?.reconcile(&arguments),
        Request::Backup(With {
            connection,
            arguments,
        }) => backup::back_up(&arguments, connection, console),
        Request::Hold(With {
            connection,
            arguments,
        }) => Session::open(connection, console)?.hold(&arguments),
        Request::Release(With {
            connection,
            arguments,
        }) => Session::open(connection, console)?.release(&arguments),
        Request::Token(Verbs { connection, verb }) => {
            Session::open(connection, console)?.token(&verb)
        }
    }?;
    Ok(ExitCode::SUCCESS)
}
