//! Names that make no difference of case, brought into their one form when they are
//! read, and trusted afterwards.
//!
//! ASCII alone is folded: other letters have cases that not every reader knows, and are
//! refused where a name is made.

use std::{fmt, str::FromStr};

use serde::Serialize;

use crate::id::{InvalidId, RoleName, folded};

/// The implementation that all names share: a name is text in its form.
macro_rules! name {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The name as it is stored and compared.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(
    PolicyName,
    "The name of a policy. Any text has a form, since a token may name what no policy can \
     be called; whether one can be called so is asked where one is made."
);
name!(EntryName, "The name of a role or user of a login method.");
name!(TokenRoleName, "The name of a role that tokens are made by.");

impl PolicyName {
    /// The rule of [`Self::fits`], for sentences.
    pub const RULE: &str = "one has 1 to 128 visible ASCII characters and no comma";

    /// Longest name of a policy, in bytes.
    pub const LONGEST: usize = 128;

    /// Whether a policy can have this name. ASCII alone, as other letters have
    /// look-alikes.
    pub fn fits(&self) -> bool {
        let fits = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b',';
        (1..=Self::LONGEST).contains(&self.0.len()) && self.0.bytes().all(fits)
    }
}

impl From<&str> for PolicyName {
    /// Upper and lower case are the same, and blanks around it are not part of it.
    fn from(written: &str) -> Self {
        Self(folded(written.trim()))
    }
}

impl From<PolicyName> for String {
    fn from(name: PolicyName) -> Self {
        name.0
    }
}

impl EntryName {
    /// A name that no entry has: who asks for what is not there is answered after the
    /// same work.
    pub fn of_nobody() -> Self {
        Self(String::new())
    }
}

impl FromStr for EntryName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse::<RoleName>()?;
        Ok(Self(folded(text)))
    }
}

impl FromStr for TokenRoleName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse::<RoleName>()?;
        Ok(Self(folded(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_form() {
        for written in ["ops", "OPS", " Ops "] {
            assert_eq!(PolicyName::from(written).as_str(), "ops");
        }
        for written in ["Ci", "ci", "cI"] {
            assert_eq!(written.parse::<EntryName>().unwrap().as_str(), "ci");
            assert_eq!(written.parse::<TokenRoleName>().unwrap().as_str(), "ci");
        }
        assert_eq!(PolicyName::from("\u{212a}ey").as_str(), "\u{212a}ey");
    }

    #[test]
    fn what_nothing_can_be_called_is_told() {
        for text in ["", "a/b", " a", "\u{212a}", "..", &"x".repeat(129)] {
            assert!(text.parse::<EntryName>().is_err(), "{text:?}");
            assert!(text.parse::<TokenRoleName>().is_err(), "{text:?}");
        }
        for text in ["", " ", "a,b", "\u{212a}", "a\tb", &"x".repeat(129)] {
            assert!(!PolicyName::from(text).fits(), "{text:?}");
        }
        assert!(PolicyName::from("team/a b").fits());
    }
}
