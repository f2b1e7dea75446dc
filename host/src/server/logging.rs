//! Log events, to standard error. Standard output belongs to whoever started
//! the server.

use std::io;

use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use super::ServerError;
use crate::{
    audit::{Audit, Changes},
    config::{Config, LogFormat},
};

/// Starts logging, and writing changes of state to `audit`.
pub(super) fn start(config: &Config, audit: &Audit) -> Result<(), ServerError> {
    let level = &config.log_level;
    let refuse = |_| ServerError::LogLevel {
        level: level.clone(),
    };
    let filter = EnvFilter::builder().parse(level).map_err(refuse)?;
    let lines = tracing_subscriber::fmt::layer::<Registry>().with_writer(io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => {
            let colours = io::IsTerminal::is_terminal(&io::stderr());
            lines.with_ansi(colours).with_target(false).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A second start within one process, as tests do it, keeps the first log.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(Changes::new(audit.clone()).filtered())
        .try_init();
    Ok(())
}
