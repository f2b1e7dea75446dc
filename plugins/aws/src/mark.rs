//! The mark of a user: the tags that say which mount and which operation made it, and the
//! path below which it is found again.

use lessor_sdk::aws::Element;
use lessor_sdk::prelude::*;

use crate::role::Role;

/// The path of the mount that made a user.
pub(crate) const MOUNT: &str = "lessor:mount";
/// The operation that made it.
pub(crate) const OPERATION: &str = "lessor:operation";

/// The tags of a new user. The operator's own come after, and may not be these.
pub(crate) fn tags(ctx: &Context, role: &Role) -> Result<Vec<(String, String)>> {
    let own = role.tags()?;
    if let Some((key, _)) = own
        .iter()
        .find(|(key, _)| key.to_ascii_lowercase().starts_with("lessor:"))
    {
        let sentence = format!(
            "role.iam_tags has the tag {key:?}: those that begin with lessor: are lessor's own."
        );
        return Err(Failure::invalid_config("tag_reserved", sentence));
    }
    let mark = [
        (MOUNT, ctx.mount.as_str()),
        (OPERATION, ctx.operation_id.as_str()),
    ];
    let mark = mark.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Ok(mark.into_iter().chain(own).collect())
}

/// The path of the users of a mount whose roles have none of their own.
pub(crate) fn path(mount: &str) -> String {
    format!("/lessor/{mount}/")
}

/// A tag of the user (or of the list of tags) that IAM answered.
pub(crate) fn tag<'a>(user: &'a Element, key: &str) -> Option<&'a str> {
    let mut tags = user.members("Tags");
    let found = tags.find(|tag| tag.text("Key") == key)?;
    found.child("Value").map(|value| value.text.as_str())
}

/// Whether this mount made the user.
pub(crate) fn is_ours(ctx: &Context, user: &Element) -> bool {
    tag(user, MOUNT) == Some(&ctx.mount)
}

/// Whether this operation made it.
pub(crate) fn is_of_operation(ctx: &Context, user: &Element) -> bool {
    is_ours(ctx, user) && tag(user, OPERATION) == Some(&ctx.operation_id)
}
