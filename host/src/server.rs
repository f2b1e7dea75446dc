//! `lessor server`: builds the parts, hands them to each other, serves, and ends
//! in good order.
//!
//! The composition root: no decision about leases, callers or files is made
//! here. SIGTERM, SIGINT and SIGQUIT stop the listener; requests under way get their
//! time; then the scheduler stops, and what is left is due at the next start. SIGHUP makes the
//! server look at its audit file and its certificate; no other signal ends it.

mod certificates;
mod hardening;
mod listener;
mod logging;
mod memory;
mod places;
mod signals;

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::net::{TcpListener, lookup_host};

use crate::{
    api::Api,
    audit::{Audit, AuditError},
    config::{Config, ConfigError, ServerArgs},
    installation::{Installation, InstallationError},
    monitor::Monitors,
    pinning,
};
use certificates::{Certificates, TlsError};
use lessor_model::{clock::Clock, secret::Secret};
use listener::Listener;
use places::Places;

/// The time for which requests may go on after the signal to stop.
const GRACE: Duration = Duration::from_secs(10);

/// The time for which the scheduler may go on with work that it has begun. A provider call can take
/// longer; it is cut off then, and repeated at the next start.
const SCHEDULER_GRACE: Duration = Duration::from_secs(10);

/// Runs the server until SIGTERM, SIGINT or SIGQUIT.
///
/// # Errors
/// Where it cannot start: the configuration, the data directory, the address.
pub fn run(args: &ServerArgs) -> Result<(), ServerError> {
    hardening::keep_files_private();
    memory::give_back();
    let temporary = if args.dev {
        let made = tempfile::Builder::new().prefix("lessor-dev-").tempdir();
        Some(made.map_err(ServerError::Temporary)?)
    } else {
        None
    };
    let directory = temporary.as_ref().map(tempfile::TempDir::path);
    let config = Config::load(args, variables(), directory)?;
    if let Some(directory) = directory {
        prepare_dev(&config, directory)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServerError::Runtime)?;
    let outcome = runtime.block_on(serve(config));
    // Tasks that still run must not hold up the end of the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn serve(config: Config) -> Result<(), ServerError> {
    let hangup = signals::take_over().map_err(ServerError::Signal)?;
    // Before anything is opened: a bad address should not leave a directory.
    let sockets = bind(&config).await?;
    let clock = Clock::system();
    if let crate::config::AuditTarget::File(file) = &config.audit
        && file.starts_with(&config.data_dir)
    {
        crate::installation::make_private(&config.data_dir)?;
    }
    let audit = Audit::open(&config.audit, clock.clone())?;
    // A device that takes no lines is found here, not after the first change.
    let version = serde_json::Value::from(env!("CARGO_PKG_VERSION"));
    audit.record(
        "started",
        std::iter::once(("version".to_owned(), version)).collect(),
    )?;
    let monitors = Monitors::new(clock.clone());
    logging::start(&config, &audit, &monitors)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    hardening::forbid_core_dumps();

    let (certificates, tls) = match &config.tls {
        Some(tls) => {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let certificates = Arc::new(Certificates::read(tls, Arc::clone(&provider))?);
            let acceptor = listener::acceptor(tls, Arc::clone(&certificates), provider)?;
            (Some(certificates), Some(acceptor))
        }
        None => (None, None),
    };
    let following = tokio::spawn(signals::follow(hangup, audit.clone(), certificates));
    let limits = config.limits;
    let installation = Arc::new(Installation::open(config, clock).await?);
    let token = start_dev(&installation).await?;
    let watch = pinning::Watch::begin(Arc::clone(&installation)).await;
    let watching = tokio::spawn(watch.run());
    let counting = tokio::spawn(audit.clone().keep_settled());

    let api = Api::new(
        Arc::clone(&installation),
        audit.clone(),
        limits,
        monitors.clone(),
    );
    let places = Places::new(hardening::raise_descriptors());
    let listener = Listener::new(sockets, tls, api, places);
    // Before the announcement: whoever reads it may send a signal at once.
    let signal = signals::stop().map_err(ServerError::Signal)?;
    announce(&listener, &installation, token.as_ref()).map_err(ServerError::Announce)?;
    let stop = async move {
        signal.await;
        // A watcher of the log would hold its connection until the end of the grace.
        monitors.close();
    };
    listener.serve_until(stop, GRACE).await;

    watching.abort();
    counting.abort();
    following.abort();
    if let Some(engine) = installation.engine() {
        let stopped = tokio::time::timeout(SCHEDULER_GRACE, engine.shutdown()).await;
        if stopped.is_err() {
            tracing::warn!("a provider call did not end in time; it is repeated at the next start");
        }
    }
    // Writes the counts of refusals that have no line yet; the last requests are answered by
    // this point.
    if let Err(error) = audit.settle_all() {
        tracing::warn!(%error, "how many refusals had no audit line could not be written down");
    }
    tracing::info!("stopped");
    Ok(())
}

/// The environment, as far as it is text.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Makes the directories that `--dev` was not given.
fn prepare_dev(config: &Config, directory: &Path) -> Result<(), ServerError> {
    for needed in [&config.data_dir, &config.plugin_dir] {
        if needed.starts_with(directory) {
            std::fs::create_dir_all(needed).map_err(ServerError::Temporary)?;
        }
    }
    Ok(())
}

/// Initialises a `--dev` server; gives its root token.
async fn start_dev(installation: &Installation) -> Result<Option<Secret<String>>, ServerError> {
    let Some(dev) = &installation.config().dev else {
        return Ok(None);
    };
    // Trimmed as every token is: it may come from a file that ends in white space.
    let chosen = dev.root_token_id.as_ref();
    let chosen = chosen.map(|token| Secret::new(token.trim().to_owned()));
    Ok(installation.initialise_dev(chosen).await?)
}

/// Binds every address that `listen` names.
async fn bind(config: &Config) -> Result<Vec<TcpListener>, ServerError> {
    let listen = &config.listen;
    let addresses: Vec<SocketAddr> = lookup_host(listen)
        .await
        .map_err(|source| ServerError::Address {
            listen: listen.clone(),
            source,
        })?
        .collect();
    for address in &addresses {
        config.admit(address.ip())?;
    }
    let mut sockets = Vec::new();
    let mut failure = None;
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(socket) => sockets.push(socket),
            Err(source) => failure = Some(ServerError::Bind { address, source }),
        }
        // Port 0 would pick another one for each address of a name.
        if listen.ends_with(":0") && !sockets.is_empty() {
            break;
        }
    }
    match failure {
        Some(failure) if sockets.is_empty() => Err(failure),
        _ if sockets.is_empty() => Err(ServerError::NoAddress {
            listen: listen.clone(),
        }),
        _ => Ok(sockets),
    }
}

/// Prints what the person who started the server needs; standard output belongs to that person.
fn announce(
    listener: &Listener,
    installation: &Installation,
    token: Option<&Secret<String>>,
) -> io::Result<()> {
    let config = installation.config();
    let mut out = io::stdout().lock();
    if config.dev.is_some() {
        writeln!(
            out,
            "development server: nothing is kept, plugins run on first sight"
        )?;
        writeln!(out, "plugin directory: {}", config.plugin_dir.display())?;
    }
    match token {
        Some(token) => writeln!(out, "root token: {}", token.expose())?,
        None if config.dev.is_some() => {
            writeln!(
                out,
                "the data directory was initialised before: its root token still holds"
            )?;
        }
        None => {}
    }
    for address in listener.addresses()? {
        writeln!(out, "listening on {}://{address}", listener.scheme())?;
    }
    if installation.engine().is_none() {
        writeln!(
            out,
            "not initialised yet: `lessor init` does it and prints the root token"
        )?;
    }
    out.flush()
}

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The operator's settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory of `--dev` cannot be made.
    #[error("no temporary directory can be made")]
    Temporary(#[source] io::Error),
    /// No threads.
    #[error("the runtime could not be started")]
    Runtime(#[source] io::Error),
    /// The log's filter is no filter.
    #[error(
        "log.level {level:?} is not a level or filter: write error, warn, info, debug or trace"
    )]
    LogLevel {
        /// The given text.
        level: String,
    },
    /// The audit device cannot be opened.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// Certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address is none.
    #[error("listen {listen:?} is not an address such as 127.0.0.1:8200")]
    Address {
        /// The given text.
        listen: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The name has no address.
    #[error("listen {listen:?} names no address")]
    NoAddress {
        /// The given text.
        listen: String,
    },
    /// The address is taken, or belongs to another machine.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Nobody can be told where it listens.
    #[error("standard output cannot be written")]
    Announce(#[source] io::Error),
    /// No signals.
    #[error("signals cannot be awaited")]
    Signal(#[source] io::Error),
}
