//! An access key as the root credential, rotated by two keys: a user may have two, so the
//! new one is made by the old one, and the old one ended by the new one.
//!
//! The note of [`rotation`] is a tag of the root's user.

use std::time::Duration;

use super::client::Client;
use super::config::RootConfig;
use super::credentials::Credentials;
use super::error::AwsError;
use super::form::Form;
use super::root::Way;
use super::sts;
use super::xml::Element;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::provider::{Provider, Rotated};
use crate::rotation::{self, Note, Pair};
use crate::secret::Secret;

/// The privileges that rotating needs, on the root's own user.
pub const PRIVILEGES: [&str; 6] = [
    "iam:GetUser",
    "iam:TagUser",
    "iam:UntagUser",
    "iam:ListAccessKeys",
    "iam:CreateAccessKey",
    "iam:DeleteAccessKey",
];

/// Makes a new key, for [`Provider::rotate`].
///
/// # Errors
/// Where the root credential is no access key, there is a second one, and what AWS says.
pub fn rotate<P>(ctx: &Context, config: &P::Config) -> Result<Rotated<P>>
where
    P: Provider<Config: RootConfig>,
{
    let keys = Keys::of(ctx, config)?;
    let (made, former) = rotation::make(ctx, &keys)?;
    let access_key = made.access_key.clone();
    Ok(Rotated::root(config.with_key(made))
        .retires(former)
        .fact("access_key", access_key))
}

/// Ends the former key by the new one, for a former root in
/// [`Provider::revoke`].
///
/// # Errors
/// What AWS says.
pub fn retire(ctx: &Context, config: &impl RootConfig, id: &str) -> Result<()> {
    rotation::retire(&Keys::of(ctx, config)?, id)
}

/// Ends what a rotation made that was given up, for an unknown credential in
/// [`Provider::revoke`] that has no role.
///
/// # Errors
/// What AWS says.
pub fn undo(ctx: &Context, config: &impl RootConfig) -> Result<()> {
    match config.has_key() {
        true => rotation::undo(ctx, &Keys::of(ctx, config)?),
        false => Ok(()),
    }
}

/// The keys of the root's user.
struct Keys<'a> {
    ctx: &'a Context,
    /// As the key in use sees it, also where roles are assumed with it.
    iam: Client<'a>,
    sts: Client<'a>,
    /// Its id.
    current: String,
    user: String,
    note: Option<Note>,
}

impl<'a> Keys<'a> {
    fn of(ctx: &'a Context, config: &impl RootConfig) -> Result<Self> {
        let root = config.root()?;
        let key = match &root.way {
            Way::Key(key) if key.session_token.is_none() => key.clone(),
            _ => {
                return Err(Failure::unsupported(
                    "nothing_to_rotate",
                    "The root credential of this mount is no access key of a user: it is of a session that ends by itself, so there is nothing to rotate.",
                ));
            }
        };
        let region = config.root_fields().region;
        let iam = Client::new(ctx, config.iam(), region, Some(key.clone()));
        // Itself: of whom the key in use is.
        let answer = iam.query(form("GetUser"))?;
        let user = answer
            .find("GetUserResult/User")
            .cloned()
            .unwrap_or_default();
        Ok(Self {
            note: user.tag(NOTE).and_then(read),
            user: user.text("UserName").to_owned(),
            sts: root.sts(ctx, Some(key.clone())),
            current: key.access_key,
            ctx,
            iam,
        })
    }

    /// A call about the user.
    fn call(&self, form: Form) -> Result<Element, AwsError> {
        self.iam.query(form.with("UserName", &self.user))
    }
}

impl Pair for Keys<'_> {
    type Made = Credentials;

    fn current(&self) -> &str {
        &self.current
    }

    fn ids(&self) -> Result<Vec<String>> {
        let answer = self.call(form("ListAccessKeys"))?;
        let keys = answer.members("ListAccessKeysResult/AccessKeyMetadata");
        Ok(keys.map(|key| key.text("AccessKeyId").to_owned()).collect())
    }

    fn note(&self) -> Result<Option<Note>> {
        Ok(self.note.clone())
    }

    fn leave(&self, note: &Note) -> Result<()> {
        let written = written(note);
        let form = form("TagUser").with_tags("Tags", [(NOTE, written.as_str())]);
        Ok(self.call(form).map(drop)?)
    }

    fn forget(&self) -> Result<()> {
        let form = form("UntagUser").with_list("TagKeys", [NOTE]);
        Ok(self.call(form).map(drop)?)
    }

    fn create(&self) -> Result<Credentials> {
        let answer = self.call(form("CreateAccessKey").once())?;
        let text = |field: &str| answer.text(&format!("CreateAccessKeyResult/AccessKey/{field}"));
        Ok(Credentials::new(
            text("AccessKeyId"),
            Secret::new(text("SecretAccessKey")),
        ))
    }

    fn id<'a>(&self, made: &'a Credentials) -> &'a str {
        &made.access_key
    }

    fn prove(&self, made: &Credentials) -> Result<bool> {
        let ctx = self.ctx;
        let sts = self.sts.with_key(made.clone());
        let mut pause = Duration::from_millis(500);
        // AWS does not know a new key everywhere at once.
        while sts::caller_identity(&sts).is_err() {
            if ctx.time_left() < ctx.timeout / 3 + pause {
                return Ok(false);
            }
            ctx.wait(pause);
            pause = (pause * 2).min(Duration::from_secs(4));
        }
        Ok(true)
    }

    fn end(&self, id: &str) -> Result<()> {
        match self.call(form("DeleteAccessKey").with("AccessKeyId", id)) {
            Err(error) if error.is("NoSuchEntity") => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }
}

fn form(action: &'static str) -> Form {
    Form::action(action, "2010-05-08")
}

/// A note as the value of a tag, of at most 256 letters: `<operation>/<id>+<id>`.
fn written(note: &Note) -> String {
    format!("{}/{}", note.operation, note.before.join("+"))
}

fn read(text: &str) -> Option<Note> {
    let (operation, before) = text.split_once('/')?;
    Some(Note {
        operation: operation.to_owned(),
        before: before.split('+').map(str::to_owned).collect(),
    })
}

/// The tag that has the note.
const NOTE: &str = "lessor:rotation";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let note = Note {
            operation: "0".repeat(26),
            before: vec!["AKIAONE".to_owned(), "AKIATWO".to_owned()],
        };
        assert_eq!(read(&written(&note)), Some(note));
        assert_eq!(read("somebody else's"), None);
    }
}
