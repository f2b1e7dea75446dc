//! The root credential, rotated by two keys: a user may have two, so the new one is made
//! by the old one, and the old one ended by the new one.
//!
//! The note of [`lessor_sdk::rotation`] is a tag of the root's user.

use std::time::Duration;

use lessor_sdk::aws::{Credentials, Way, sts};
use lessor_sdk::prelude::*;
use lessor_sdk::rotation::{self, Note, Pair};

use crate::Aws;
use crate::account::{Account, gone, iam};
use crate::config::Config;
use crate::mark;

/// The privileges that rotating needs, on the root's own user.
pub(crate) const PRIVILEGES: [&str; 6] = [
    "iam:GetUser",
    "iam:TagUser",
    "iam:UntagUser",
    "iam:ListAccessKeys",
    "iam:CreateAccessKey",
    "iam:DeleteAccessKey",
];

/// Makes a new root credential.
pub(crate) fn root(ctx: &Context, config: &Config) -> Result<Rotated<Aws>> {
    let account = Account::open(ctx, config)?;
    let keys = Keys::of(&account)?;
    let (made, former) = rotation::make(ctx, &keys)?;
    let access_key = made.access_key.clone();
    Ok(Rotated::root(Config {
        access_key: Some(made.access_key),
        secret_key: Some(made.secret_key),
        ..config.clone()
    })
    .retires(former)
    .fact("access_key", access_key))
}

/// Ends the former root credential, by the new one.
pub(crate) fn retire(ctx: &Context, config: &Config, id: &str) -> Result<()> {
    let account = Account::open(ctx, config)?;
    rotation::retire(&Keys::of(&account)?, id)
}

/// Ends what a rotation made that was given up.
pub(crate) fn undo(ctx: &Context, config: &Config) -> Result<()> {
    if !config.has_key() {
        return Ok(());
    }
    let account = Account::open(ctx, config)?;
    rotation::undo(ctx, &Keys::of(&account)?)
}

/// The keys of the root's user.
struct Keys<'a> {
    account: &'a Account<'a>,
    /// The key in use, also where roles are assumed with it.
    root: Credentials,
    user: String,
    note: Option<Note>,
}

impl<'a> Keys<'a> {
    fn of(account: &'a Account<'a>) -> Result<Self> {
        let root = match &account.root.way {
            Way::Key(key) if key.session_token.is_none() => key.clone(),
            _ => {
                return Err(Failure::unsupported(
                    "nothing_to_rotate",
                    "The root credential of this mount is no access key of a user: it is of a session that ends by itself, so there is nothing to rotate.",
                ));
            }
        };
        // Itself: of whom the key in use is.
        let answer = account.iam.with_key(root.clone()).query(iam("GetUser"))?;
        let user = answer
            .find("GetUserResult/User")
            .cloned()
            .unwrap_or_default();
        Ok(Self {
            note: mark::tag(&user, NOTE).and_then(read),
            user: user.text("UserName").to_owned(),
            account,
            root,
        })
    }

    fn call(&self, form: lessor_sdk::aws::Form) -> Result<lessor_sdk::aws::Element> {
        let own = self.account.iam.with_key(self.root.clone());
        Ok(own.query(form)?)
    }
}

impl Pair for Keys<'_> {
    type Made = Credentials;

    fn current(&self) -> &str {
        &self.root.access_key
    }

    fn ids(&self) -> Result<Vec<String>> {
        let answer = self.call(iam("ListAccessKeys").with("UserName", &self.user))?;
        let keys = answer.members("ListAccessKeysResult/AccessKeyMetadata");
        Ok(keys.map(|key| key.text("AccessKeyId").to_owned()).collect())
    }

    fn note(&self) -> Result<Option<Note>> {
        Ok(self.note.clone())
    }

    fn leave(&self, note: &Note) -> Result<()> {
        let written = written(note);
        let form = iam("TagUser")
            .with("UserName", &self.user)
            .with_tags("Tags", [(NOTE, written.as_str())]);
        self.call(form).map(drop)
    }

    fn forget(&self) -> Result<()> {
        let form = iam("UntagUser")
            .with("UserName", &self.user)
            .with_list("TagKeys", [NOTE]);
        self.call(form).map(drop)
    }

    fn create(&self) -> Result<Credentials> {
        let answer = self.call(iam("CreateAccessKey").with("UserName", &self.user).once())?;
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
        let ctx = self.account.ctx;
        let sts = self.account.sts.with_key(made.clone());
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
        let form = iam("DeleteAccessKey")
            .with("UserName", &self.user)
            .with("AccessKeyId", id);
        Ok(gone(
            self.account.iam.with_key(self.root.clone()).query(form),
        )?)
    }
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
