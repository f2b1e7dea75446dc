//! What is known of an operation that failed, for the call that cleans up behind it. It is
//! kept in memory alone: where it is lost, more is taken for possible than was made, and never
//! less.

use std::time::Duration;

use lessor_sdk::{memo, prelude::*};

/// What a create that failed left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    /// Nothing: the webhook was never reached, refused, or has ended it again.
    Nothing,
    /// A credential of this id, which could not be leased or ended.
    Left(String),
}

/// Writes down that the operation left nothing. Not where an earlier attempt may have: that
/// one's end is not known.
pub(crate) fn nothing(ctx: &Context) {
    if ctx.trigger() != Trigger::Recovery {
        memo::keep_text(&key(ctx), NOTHING, KEPT);
    }
}

/// Writes down what the operation left.
pub(crate) fn left(ctx: &Context, id: &str) {
    memo::keep_text(&key(ctx), &format!("{LEFT}{id}"), KEPT);
}

/// What was written down of the operation.
pub(crate) fn of(ctx: &Context) -> Option<Trace> {
    let known = memo::text(&key(ctx))?;
    match known.strip_prefix(LEFT) {
        Some(id) => Some(Trace::Left(id.to_owned())),
        None => (known == NOTHING).then_some(Trace::Nothing),
    }
}

fn key(ctx: &Context) -> String {
    format!("operation {}", ctx.operation_id)
}

const NOTHING: &str = "nothing";
const LEFT: &str = "left ";

/// As long as the host keeps anything: it cleans up as soon as nothing can land any more.
const KEPT: Duration = Duration::from_secs(24 * 3600);
