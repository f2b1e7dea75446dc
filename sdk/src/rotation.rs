//! A root credential that upstream can hold two of is rotated without a moment in which
//! none works: the new one is made with the old one, proves itself, and ends the old one.
//!
//! Upstream makes such credentials itself (an access key, a client secret), so a repeat
//! cannot arrive at the same one. What a crash left behind is recognised by a note that is
//! left upstream before anything is made: which credentials there were, and for which
//! operation. Nothing else is ever removed, so the second credential of somebody else stops
//! a rotation with a sentence instead of being lost.
//!
//! | call of the host | with [`Pair`] |
//! |---|---|
//! | `rotate(Root)` | [`make`]: leftovers of this operation removed, noted, made, proven |
//! | `revoke(FormerRoot)` | [`retire`]: ended by the new one, the note removed |
//! | `revoke(UnknownCredential)` of a rotation | [`undo`]: what it made removed, the note too |

use crate::context::Context;
use crate::failure::{Failure, Result};

/// The place of two root credentials upstream, as the one in use sees it.
pub trait Pair {
    /// A new credential, with its secret.
    type Made;

    /// The id of the credential in use.
    fn current(&self) -> &str;

    /// The ids of all credentials that there are.
    fn ids(&self) -> Result<Vec<String>>;

    /// The note, where there is one.
    fn note(&self) -> Result<Option<Note>>;

    /// Leaves a note, instead of the one that there was.
    fn leave(&self, note: &Note) -> Result<()>;

    /// Removes the note. None is success.
    fn forget(&self) -> Result<()>;

    /// Makes a credential.
    fn create(&self) -> Result<Self::Made>;

    /// The id of a new credential.
    fn id<'a>(&self, made: &'a Self::Made) -> &'a str;

    /// Whether upstream honours it, wherever it is asked; waits for that within the time
    /// of the call. The host tries it again before it is used, so false loses nothing.
    fn prove(&self, made: &Self::Made) -> Result<bool>;

    /// Ends a credential. Already gone is success.
    fn end(&self, id: &str) -> Result<()>;
}

/// A note that is left upstream before a credential is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The operation that makes it.
    pub operation: String,
    /// The ids that there were before.
    pub before: Vec<String>,
}

/// Makes the new credential, and gives the id of the former one with it.
///
/// # Errors
/// A second credential that no rotation of ours made, and the refusals of upstream.
pub fn make<P: Pair>(ctx: &Context, pair: &P) -> Result<(P::Made, String)> {
    let ids = leftovers_removed(ctx, pair)?;
    let others: Vec<_> = ids.iter().filter(|id| *id != pair.current()).collect();
    if let Some(other) = others.first() {
        let sentence = format!(
            "The root credential {:?} has a second one beside it, {other:?}, which this mount did not make: end the one that is not needed, then rotate again.",
            pair.current()
        );
        return Err(Failure::conflict("second_root", sentence));
    }
    pair.leave(&Note {
        operation: ctx.operation_id.clone(),
        before: ids,
    })?;
    let made = pair.create()?;
    pair.prove(&made)?;
    Ok((made, pair.current().to_owned()))
}

/// Ends the former credential by the new one, which is the one in use now.
///
/// # Errors
/// The refusals of upstream.
pub fn retire<P: Pair>(pair: &P, former: &str) -> Result<()> {
    if former == pair.current() {
        let sentence =
            format!("The root credential {former:?} is the one in use, so it is not ended.");
        return Err(Failure::conflict("root_in_use", sentence));
    }
    pair.end(former)?;
    pair.forget()
}

/// Ends what the rotation of the context made and nobody got to know.
///
/// # Errors
/// The refusals of upstream.
pub fn undo<P: Pair>(ctx: &Context, pair: &P) -> Result<()> {
    leftovers_removed(ctx, pair)?;
    match pair.note()? {
        Some(note) if note.operation == ctx.operation_id => pair.forget(),
        _ => Ok(()),
    }
}

/// The ids that there are, once those are removed that an earlier attempt at this
/// operation made.
fn leftovers_removed<P: Pair>(ctx: &Context, pair: &P) -> Result<Vec<String>> {
    let mut ids = pair.ids()?;
    if ids.len() < 2 {
        return Ok(ids);
    }
    let Some(note) = pair
        .note()?
        .filter(|note| note.operation == ctx.operation_id)
    else {
        return Ok(ids);
    };
    let is_left = |id: &String| id != pair.current() && !note.before.contains(id);
    for id in ids.iter().filter(|id| is_left(id)) {
        pair.end(id)?;
    }
    ids.retain(|id| !is_left(id));
    Ok(ids)
}

#[cfg(test)]
mod tests;
