//! The surroundings of a command: its output, its input, and the environment with its settings.
//!
//! Passed in, so that a test can look at all of it. Output may hold text of others (names, a
//! provider's data, failures), so hidden characters in it are made visible and cannot act on
//! the terminal.

use std::io::{self, Read, Write};

use anyhow::{Context, Result};

use crate::visible::visible;

/// The surroundings of one command.
pub struct Console<'a> {
    /// The destination of the data that was asked for.
    pub out: &'a mut dyn Write,
    /// The destination of everything else.
    pub err: &'a mut dyn Write,
    /// The source of values named `-`.
    pub input: &'a mut dyn Read,
    /// Looks up an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Console<'_> {
    /// Prints the data that was asked for; the text brings its own line ends.
    pub(super) fn data(&mut self, text: &str) -> Result<()> {
        self.out
            .write_all(visible(text).as_bytes())
            .and_then(|()| self.out.flush())
            .map_err(|source| Unprinted { source }.into())
    }

    /// Tells the person at the terminal something. A command does not fail when nobody reads it.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.err, "{}", visible(text));
    }

    /// The first of these environment variables that is set to something. White
    /// space around it is no part of it: a file's line end comes along easily.
    pub(super) fn first_set(&self, names: &[&str]) -> Option<String> {
        names
            .iter()
            .filter_map(|name| (self.variable)(name))
            .map(|value| value.trim().to_owned())
            .find(|value| !value.is_empty())
    }

    /// All of standard input, as text.
    pub(super) fn read_input(&mut self) -> Result<String> {
        let mut text = String::new();
        self.input
            .read_to_string(&mut text)
            .context("cannot read standard input as text")?;
        Ok(text)
    }
}

/// The answer could not be printed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(super) struct Unprinted {
    source: io::Error,
}

impl Unprinted {
    /// Whether the reader of a pipe has gone, as `head` does once it has enough.
    pub(super) fn reader_has_gone(&self) -> bool {
        self.source.kind() == io::ErrorKind::BrokenPipe
    }
}
