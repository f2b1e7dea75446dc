//! State that the paths for operators show, beside the engines.

use super::in_flight::InFlight;
use crate::{config::Config, monitor::Monitors};

/// The requests under way, who watches the log, and where the server listens.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) in_flight: InFlight,
    pub(super) monitors: Monitors,
    /// The address on which the server was told to listen.
    pub(super) address: String,
}

impl Desk {
    pub(super) fn new(config: &Config, monitors: Monitors) -> Self {
        let scheme = match config.tls {
            Some(_) => "https",
            None => "http",
        };
        Self {
            in_flight: InFlight::default(),
            monitors,
            address: format!("{scheme}://{}", config.listen),
        }
    }
}
