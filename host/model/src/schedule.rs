//! The schedule by which a credential is renewed: pure.
//!
//! Every period, by a cron expression in UTC, or only by hand. A cron schedule
//! may have a window: the renewal may begin only that long after a firing, and
//! one that was missed waits for the next firing. Without a window a missed time is made up at
//! once. The user of a [`Schedule`] stores the next time, so that a restart neither skips nor
//! repeats a renewal.

mod cron;

use std::time::Duration;

use serde_json::{Map, Value};

pub use self::cron::Cron;
use self::cron::SYNTAX;
use crate::{clock::Timestamp, duration};

/// The field names of a schedule in a body, Vault's own.
pub const FIELDS: [&str; 3] = ["rotation_period", "rotation_schedule", "rotation_window"];

/// The schedule of renewals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Never.
    ByHand,
    /// This long after the last time.
    Every(Duration),
    /// At the moments of a cron expression.
    Cron {
        /// The expression.
        cron: Cron,
        /// The time after a firing within which the renewal may begin; absent: at any time.
        window: Option<Duration>,
    },
}

/// The action for a renewal whose stored time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Begin it.
    Now,
    /// Its window is over: wait for the next firing.
    Missed {
        /// The firing after the one that was missed.
        next: Option<Timestamp>,
    },
}

impl Schedule {
    /// Takes a schedule's fields out of a body; without any it is by hand.
    /// `shortest` is the shortest period that is taken.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub fn take(
        document: &mut Map<String, Value>,
        shortest: Duration,
        now: Timestamp,
    ) -> Result<Self, String> {
        let mut span = |field: &str| {
            let value = document.remove(field).unwrap_or(Value::Null);
            duration::of_value(field, &value).map(|span| span.filter(|span| !span.is_zero()))
        };
        let (period, window) = (span("rotation_period")?, span("rotation_window")?);
        let cron = match document.remove("rotation_schedule") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.trim().is_empty() => None,
            Some(Value::String(text)) => Some(Cron::parse(&text)?),
            Some(_) => return Err(format!("rotation_schedule must be a string: {SYNTAX}")),
        };
        match (period, cron, window) {
            (Some(_), Some(_), _) => Err(
                "rotation_period and rotation_schedule exclude each other: give one of the two"
                    .into(),
            ),
            (_, None, Some(_)) => Err(
                "rotation_window goes with rotation_schedule, whose firings it begins at: \
                 give that too, or leave the window out"
                    .into(),
            ),
            (None, None, None) => Ok(Self::ByHand),
            (Some(period), None, None) if period < shortest => Err(format!(
                "rotation_period must be 0 (only on request) or at least {} s",
                shortest.as_secs()
            )),
            (Some(period), None, None) => Ok(Self::Every(period)),
            (None, Some(cron), window) => {
                cron.check(window, now)?;
                Ok(Self::Cron { cron, window })
            }
        }
    }

    /// Takes a schedule's fields out of a body that changes `self`: fields that the body does
    /// not name stay. A period of 0 alone switches the schedule off.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub fn patch(
        &self,
        document: &mut Map<String, Value>,
        shortest: Duration,
        now: Timestamp,
    ) -> Result<Self, String> {
        let named = |field: &str| match document.get(field) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(!text.trim().is_empty()),
            Some(_) => Some(true),
        };
        let [period, cron, window] = FIELDS.map(named);
        match (period, cron, window) {
            (None, None, None) => {
                for field in FIELDS {
                    document.remove(field);
                }
                return Ok(self.clone());
            }
            // A window belongs to the expression in force, and stays when the expression
            // changes.
            (None, None, Some(_)) => {
                if let Some(cron) = self.cron() {
                    document.insert("rotation_schedule".into(), cron.into());
                }
            }
            (_, Some(true), None) => {
                if let Some(window) = self.window() {
                    document.insert("rotation_window".into(), window.as_secs().into());
                }
            }
            _ => {}
        }
        Self::take(document, shortest, now)
    }

    /// The schedule of its stored parts: see [`Self::period`], [`Self::cron`]
    /// and [`Self::window`].
    ///
    /// # Errors
    /// Where the expression is none.
    pub fn of_parts(
        period: Duration,
        cron: Option<&str>,
        window: Option<Duration>,
    ) -> Result<Self, String> {
        match cron {
            Some(text) => Ok(Self::Cron {
                cron: Cron::parse(text)?,
                window,
            }),
            None if period.is_zero() => Ok(Self::ByHand),
            None => Ok(Self::Every(period)),
        }
    }

    /// The period; zero where there is none.
    pub fn period(&self) -> Duration {
        match self {
            Self::Every(period) => *period,
            Self::ByHand | Self::Cron { .. } => Duration::ZERO,
        }
    }

    /// The cron expression, where it goes by one.
    pub fn cron(&self) -> Option<&str> {
        match self {
            Self::Cron { cron, .. } => Some(cron.as_str()),
            Self::ByHand | Self::Every(_) => None,
        }
    }

    /// The window, where there is one.
    pub fn window(&self) -> Option<Duration> {
        match self {
            Self::Cron { window, .. } => *window,
            Self::ByHand | Self::Every(_) => None,
        }
    }

    /// The next time, for one that last ran at `last`. It may lie before `now`: a missed run is
    /// made up, except where its window is over. A schedule that never ran counts from `now`.
    pub fn next(&self, last: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let from = last.unwrap_or(now);
        match self {
            Self::ByHand => None,
            Self::Every(period) => Some(from.plus(*period)),
            Self::Cron { cron, window: None } => cron.next_after(from),
            Self::Cron {
                cron,
                window: Some(window),
            } => cron.next_after(from.max(now.minus(*window))),
        }
    }

    /// The action at `now`, when the stored next time has come.
    pub fn due(&self, now: Timestamp) -> Due {
        let Self::Cron {
            cron,
            window: Some(window),
        } = self
        else {
            return Due::Now;
        };
        // No window is longer than the time between two firings, so only the
        // last firing's can be open.
        match cron.next_after(now.minus(*window)) {
            Some(firing) if firing <= now => Due::Now,
            next => Due::Missed { next },
        }
    }

    /// The action after a try that failed at `now` and may be repeated at `again`: no try goes
    /// beyond the window that it began in.
    pub fn due_again(&self, now: Timestamp, again: Timestamp) -> Due {
        match (self, self.due(again)) {
            (
                Self::Cron {
                    cron,
                    window: Some(_),
                },
                Due::Now,
            ) => match cron.next_after(now) {
                Some(firing) if firing <= again => Due::Missed { next: Some(firing) },
                _ => Due::Now,
            },
            (_, due) => due,
        }
    }
}

#[cfg(test)]
mod tests;
