//! Policies: who may do what at which path. Pure; text and questions in,
//! decisions out.
//!
//! `policies` reads the texts and keeps the resulting rules; `api` asks [`Acl::decide`] before
//! it calls any handler. Nothing here reads storage, the clock or a request, and only a rule
//! allows something.
//!
//! # Specification
//!
//! The rules are those that Vault and OpenBao document for ACL policies.
//!
//! **A policy** is HCL 1 or JSON (a text that begins with `{`): an optional
//! `name`, which means nothing, and any number of `path "…" { … }` blocks, each
//! one rule. A key that is not known is refused, as is one that would restrict a
//! rule in a way that this host cannot keep (`control_group`, `mfa_methods`,
//! `pagination_limit`, `expiration`, `list_scan_response_keys_filter_path`): a
//! rule must never allow more than it says. So are `{{…}}` templates.
//!
//! | key of a block | meaning |
//! |---|---|
//! | `capabilities` | any of `create`, `read`, `update`, `patch`, `delete`, `list`, `scan`, `sudo`, `deny` |
//! | `policy` | the old short form, added to `capabilities`: `deny`; `read` (read, list); `write` (create, read, update, delete, list); `sudo` (the same and sudo) |
//! | `required_parameters` | names of fields that a request must have |
//! | `allowed_parameters`, `denied_parameters` | names of fields, each with a list of values; an empty list stands for any value |
//! | `min_wrapping_ttl`, `max_wrapping_ttl` | seconds or a duration; the answer must be asked for wrapped, for so long; 0 asks nothing |
//! | `comment` | ignored |
//!
//! **A path** has no leading slash (one is dropped). It is matched whole, unless
//! - it ends in `*`: then it is a prefix. A `*` elsewhere is an ordinary letter;
//! - a segment is exactly `+`: that segment may be any one, an empty one too.
//!   `+*` is refused.
//!
//! **Which rule counts.** Exactly one pattern decides about a path:
//! 1. A pattern without wildcards that equals it. A list (or scan) of `a/` is
//!    also met by `a`, where no rule is for `a/` itself.
//! 2. Else the matching pattern of highest priority; of two patterns the lower is
//!    the one
//!    1. whose first `+` or `*` stands earlier,
//!    2. else which ends in `*` while the other does not,
//!    3. else with more `+` segments,
//!    4. else which is shorter,
//!    5. else which comes first in the order of bytes.
//! 3. Else, for a list of `a/`, the same for `a`.
//! 4. Else nothing is allowed.
//!
//! **Rules of the same pattern**, in one policy or in several, count as one: the
//! capabilities of all; `deny` in any of them leaves nothing else; fields that
//! are required in any; allowed and denied fields of all, the values of a field
//! together, and an empty list (any value) wins over values; of the bounds for
//! wrapping, the lesser one each. If one of the rules restricts fields, all of them together
//! are restricted.
//!
//! **What the rule then says.** `deny`, or the lack of the capability, refuses.
//! So does an answer that is to be wrapped for less than the least or more than
//! the most time, or not at all where either is set. Reads, creates, updates and
//! patches are checked by field, without regard to letter case:
//! - each required field must be there, spelled as in the rule or in lower case;
//! - `denied_parameters` with `*` refuses any field; else a field is refused
//!   whose value is listed;
//! - where `allowed_parameters` names anything, a field must be named, or `*`
//!   must be, and its value must be listed where it is named.
//!
//! A listed text of two letters and more may begin or end in `*`, or both; then
//! the rest must end, begin, or stand within the field's text. A lone `*` is the
//! text `*`. Numbers are compared by value; anything else must be the same.
//!
//! `sudo` allows nothing by itself: paths that are protected ask for it beside
//! the capability. [`Acl::root`] allows everything.
//!
//! **Bounds.** A text has at most [`LONGEST`] bytes and nests at most
//! [`DEEPEST`] levels, which is checked as it is read; matching takes time in
//! proportion to the rules and to the path.

mod acl;
mod document;
mod grant;
mod hcl;
mod pattern;
mod tree;

/// The functions of the reader of policies that the fuzz targets call (`tests/fuzz`).
#[cfg(feature = "test-hooks")]
pub mod internals {
    pub use super::{
        hcl::read as read_hcl,
        tree::{Entry, Node},
    };
}

#[cfg(test)]
mod tests;

use std::time::Duration;

use lessor_model::{name::PolicyName, suggest::shown};
use serde_json::{Map, Value};

pub use self::acl::{Acl, Granted};
use self::{grant::Grant, pattern::Pattern};

/// Names of policies as somebody lists them in `field`, in the form in which they are
/// stored; empty ones are none.
///
/// # Errors
/// One sentence, where no policy can have one of the names.
pub fn names(field: &str, written: &[String]) -> Result<Vec<String>, String> {
    let names = written
        .iter()
        .map(|written| PolicyName::from(written.as_str()));
    let names: Vec<PolicyName> = names.filter(|name| !name.as_str().is_empty()).collect();
    match names.iter().find(|name| !name.fits()) {
        None => Ok(names.into_iter().map(String::from).collect()),
        Some(name) => Err(format!(
            "{field} must hold names of policies, and {:?} is none: {}",
            shown(name.as_str()),
            PolicyName::RULE
        )),
    }
}

/// Longest text of a policy, in bytes. Thousands of rules fit; a text that is
/// longer was most likely made by mistake, and every token that has it pays.
pub const LONGEST: usize = 256 << 10;

/// Deepest nesting of a text. A rule needs three levels, a value of a field some
/// more; readers recurse this deep.
pub const DEEPEST: usize = 16;

/// The capabilities that a rule can grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Making what is not there yet.
    Create,
    /// Reading.
    Read,
    /// Changing what is there; most writes.
    Update,
    /// Changing a part of what is there.
    Patch,
    /// Deleting.
    Delete,
    /// Listing names.
    List,
    /// Listing names, those below them too.
    Scan,
    /// Passing at paths that are protected beyond the other capabilities.
    Sudo,
    /// Nothing at all, whatever else is granted.
    Deny,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Read,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::List,
        Self::Scan,
        Self::Sudo,
        Self::Deny,
    ];

    /// Its name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Scan => "scan",
            Self::Sudo => "sudo",
            Self::Deny => "deny",
        }
    }
}

/// A policy as read: rules in the order of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// One `path` block.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    pattern: Pattern,
    grant: Grant,
}

impl Policy {
    /// The paths of its rules as they are written, but for a leading slash.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.rules.iter().map(|rule| rule.pattern.written())
    }

    /// Reads a policy, HCL or JSON.
    ///
    /// # Errors
    /// One sentence about the first mistake, with its line where that is known.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!(
                "the policy is longer than {} KiB: split it into several",
                LONGEST >> 10
            ));
        }
        let entries = if text.trim_start().starts_with('{') {
            tree::of_json(text)?
        } else {
            hcl::read(text)?
        };
        Ok(Self {
            rules: document::rules(entries)?,
        })
    }
}

/// An operation that a caller wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The path below `/v1/`, without a leading slash. That of a list ends in a
    /// slash.
    pub path: &'a str,
    /// The capability that it takes.
    pub capability: Capability,
    /// The fields of the request: the body of a write, the query of a read.
    pub fields: &'a Map<String, Value>,
    /// For how long the answer is to be wrapped, where it is to be.
    pub wrap_ttl: Option<Duration>,
}

/// The policies' answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done, leaving aside whether the path asks for `sudo`.
    pub allowed: bool,
    /// Whether the rule that counts grants `sudo`.
    pub sudo: bool,
}
