//! Structured log events. The host adds mount, plugin digest and operation id,
//! removes the root credential's secrets and caps the size; a provider still
//! must not log a secret.
//!
//! ```
//! # use lessor_sdk::log;
//! # let (name, count) = ("orders", 2);
//! log::info("created a role", &[("role", &name), ("members", &count)]);
//! ```

use std::fmt::Display;

use crate::host;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Every step.
    Trace,
    /// What a developer wants to see.
    Debug,
    /// What an operator wants to see.
    Info,
    /// What will hurt later.
    Warn,
    /// What went wrong.
    Error,
}

/// Logs one event with its fields.
pub fn event(level: Level, message: &str, fields: &[(&str, &dyn Display)]) {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_string()))
        .collect();
    host::log(level, message, &fields);
}

/// Logs every step.
pub fn trace(message: &str, fields: &[(&str, &dyn Display)]) {
    event(Level::Trace, message, fields);
}

/// Logs what a developer wants to see.
pub fn debug(message: &str, fields: &[(&str, &dyn Display)]) {
    event(Level::Debug, message, fields);
}

/// Logs what an operator wants to see.
pub fn info(message: &str, fields: &[(&str, &dyn Display)]) {
    event(Level::Info, message, fields);
}

/// Logs what will hurt later.
pub fn warn(message: &str, fields: &[(&str, &dyn Display)]) {
    event(Level::Warn, message, fields);
}

/// Logs what went wrong.
pub fn error(message: &str, fields: &[(&str, &dyn Display)]) {
    event(Level::Error, message, fields);
}
