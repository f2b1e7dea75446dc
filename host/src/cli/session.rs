//! One command under way: the server that it asks, and the console that shows the answer. The
//! commands add their own methods, each in its file.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::client::{Answer, Client, ClientError};
use super::output::{self, Format};
use super::{Connection, Console};

/// The longest time that a write waits while the server prepares something.
const PATIENCE: Duration = Duration::from_secs(600);

/// See the file's header.
pub(super) struct Session<'a, 'c> {
    pub(super) client: Client,
    pub(super) format: Format,
    pub(super) console: &'a mut Console<'c>,
}

impl<'a, 'c> Session<'a, 'c> {
    pub(super) fn open(connection: Connection, console: &'a mut Console<'c>) -> Result<Self> {
        let Connection {
            address,
            ca_cert,
            output,
        } = connection;
        let client = Client::new(address, ca_cert, console)?;
        Ok(Self {
            client,
            format: output,
            console,
        })
    }

    /// Writes, and passes the server's warnings on. Waits while the server still prepares
    /// something, such as the plugin of a new mount.
    pub(super) fn write(&mut self, path: &str, body: &Value) -> Result<()> {
        let mut told = false;
        let given_up = Instant::now() + PATIENCE;
        let answer = loop {
            match self.client.post(path, body) {
                Err(ClientError::NotYet { message, wait }) if Instant::now() < given_up => {
                    if !std::mem::replace(&mut told, true) {
                        self.console.note(&format!("waiting: {message}"));
                    }
                    std::thread::sleep(wait);
                }
                answer => break answer?,
            }
        };
        self.warnings(&answer);
        Ok(())
    }

    /// Removes the thing at a path, and says of `what` whether it was there: else a typing
    /// error would look like a removal. A thing that is already gone is no failure, so that a
    /// script can be run again. `which` is the query that looks, `how` the one that removes.
    pub(super) fn remove(
        &mut self,
        path: &str,
        which: &str,
        how: &str,
        what: &str,
    ) -> Result<(Removed, Answer)> {
        let presence = Presence::of(&self.client.get_with(path, which));
        let answer = self.client.delete(path, how)?;
        self.warnings(&answer);
        Ok((self.removed(presence, what), answer))
    }

    /// Says whether `what` was removed, by what was known of it before.
    pub(super) fn removed(&mut self, presence: Presence, what: &str) -> Removed {
        match presence {
            Presence::There => return Removed::Now,
            Presence::Absent => self
                .console
                .note(&format!("there is no {what}: nothing was done")),
            Presence::Untold => self.console.note(&format!(
                "a {what} is ended if there was one, which this token may not see"
            )),
        }
        Removed::Unsure
    }

    /// Tells the warnings of an answer.
    pub(super) fn warnings(&mut self, answer: &Answer) {
        let warnings = answer.body.get("warnings").and_then(Value::as_array);
        for warning in warnings.into_iter().flatten().filter_map(Value::as_str) {
            self.console.note(&format!("warning: {warning}"));
        }
    }

    /// Shows one thing: these fields in a table, the answer itself as JSON.
    pub(super) fn show_fields(&mut self, answer: &Answer, fields: &Value) -> Result<()> {
        self.warnings(answer);
        let shown = match self.format {
            Format::Json => output::json(&answer.body),
            Format::Table => output::fields(fields),
        };
        self.console.data(&shown)
    }

    /// Shows several things, one a row.
    pub(super) fn show_rows(
        &mut self,
        answer: &Answer,
        columns: &[&str],
        rows: &[Value],
    ) -> Result<()> {
        self.warnings(answer);
        let shown = match self.format {
            Format::Json => output::json(&answer.body),
            Format::Table => output::rows(columns, rows),
        };
        self.console.data(&shown)
    }

    /// Shows the names that a list answered.
    pub(super) fn show_names(&mut self, answer: &Answer) -> Result<()> {
        let shown = match self.format {
            Format::Json => output::json(&answer.body),
            Format::Table => output::lines(&answer.names()),
        };
        self.console.data(&shown)
    }
}

/// The knowledge of a thing from a read before its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    There,
    Absent,
    /// The answer did not say, for instance because the token may not read it.
    Untold,
}

impl Presence {
    /// As the answer to reading it says.
    pub(super) fn of(answer: &Result<Answer, ClientError>) -> Self {
        match answer {
            Ok(_) => Self::There,
            Err(ClientError::Missing { .. } | ClientError::Refused { status: 404, .. }) => {
                Self::Absent
            }
            Err(_) => Self::Untold,
        }
    }
}

/// Whether a removal removed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    /// It was there before.
    Now,
    /// It was not there, or nobody knows; that is told already.
    Unsure,
}
