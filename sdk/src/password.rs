//! Passwords from a policy and a stream of secret bytes: every choice is
//! uniform, because a byte that would favour one character is thrown away
//! (rejection sampling), and the same bytes give the same password.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};
use crate::secret::Secret;

/// What a password must look like. It can stand in a provider's config or role
/// as it is.
///
/// A password is made in three steps: the required characters of each class,
/// then characters of all allowed classes up to the length, then a shuffle of
/// the whole. Where it must start with a letter, one of its letters is swapped
/// to the front. With the defaults it has about 180 bits of entropy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct PasswordPolicy {
    /// Characters in all, 1 to 512.
    pub length: u32,
    /// At least this many of a-z; `None` (null) for none at all.
    pub lower: Option<u32>,
    /// At least this many of A-Z; `None` (null) for none at all.
    pub upper: Option<u32>,
    /// At least this many of 0-9; `None` (null) for none at all.
    pub digits: Option<u32>,
    /// At least this many of `symbol_set`; `None` (null) for none at all.
    pub symbols: Option<u32>,
    /// The symbols that upstream takes.
    pub symbol_set: String,
    /// Whether the first character is a letter.
    pub starts_with_letter: bool,
}

impl Default for PasswordPolicy {
    /// 32 characters: lower and upper case letters, digits, and `-`, which
    /// needs no quoting in a URL, a shell or SQL; at least one of each.
    fn default() -> Self {
        Self {
            length: 32,
            lower: Some(1),
            upper: Some(1),
            digits: Some(1),
            symbols: Some(1),
            symbol_set: "-".to_owned(),
            starts_with_letter: true,
        }
    }
}

impl PasswordPolicy {
    /// The default policy with another length.
    pub fn with_length(length: u32) -> Self {
        Self {
            length,
            ..Self::default()
        }
    }

    /// Refuses a policy that no password can meet, naming the field.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Failure::invalid_config("password_policy", message));
        let required = self
            .classes()
            .iter()
            .fold(0_u32, |sum, class| sum.saturating_add(class.at_least));
        let symbols_are_odd = self
            .symbol_set
            .chars()
            .any(|symbol| !symbol.is_ascii_graphic() || symbol.is_ascii_alphanumeric());
        if self.length == 0 || self.length > LONGEST {
            refuse(format!(
                "The password's length must be 1 to {LONGEST}, not {}.",
                self.length
            ))
        } else if required > self.length {
            refuse(format!(
                "The password requires {required} characters but its length is {}.",
                self.length
            ))
        } else if symbols_are_odd {
            refuse("The password's symbol_set may hold ASCII punctuation only.".to_owned())
        } else if self.symbols.is_some_and(|count| count > 0) && self.symbol_set.is_empty() {
            refuse("The password requires symbols but its symbol_set is empty.".to_owned())
        } else if self.classes().iter().all(|class| class.alphabet.is_empty()) {
            refuse(
                "The password allows no character: set lower, upper, digits or symbols.".to_owned(),
            )
        } else if self.starts_with_letter && self.lower.is_none() && self.upper.is_none() {
            refuse(
                "The password must start with a letter but allows none: set lower or upper."
                    .to_owned(),
            )
        } else {
            Ok(())
        }
    }

    /// The password that the byte stream `bytes(block, length)` gives.
    pub(crate) fn generate(
        &self,
        bytes: impl FnMut(u32, u32) -> Zeroizing<Vec<u8>>,
    ) -> Result<Secret> {
        self.check()?;
        let mut choices = Choices {
            bytes,
            block: 0,
            left: Zeroizing::default(),
        };
        let length = self.length as usize;
        // Never grows, so that no copy of the password stays behind.
        let mut password = Zeroizing::new(Vec::with_capacity(length));
        for class in self.classes() {
            for _ in 0..class.at_least {
                password.push(choices.one_of(&class.alphabet)?);
            }
        }
        let all: Vec<u8> = self
            .classes()
            .into_iter()
            .flat_map(|class| class.alphabet)
            .collect();
        let letters: Vec<u8> = all
            .iter()
            .copied()
            .filter(u8::is_ascii_alphabetic)
            .collect();
        if self.starts_with_letter
            && password.len() < length
            && !password.iter().any(u8::is_ascii_alphabetic)
        {
            password.push(choices.one_of(&letters)?);
        }
        while password.len() < length {
            password.push(choices.one_of(&all)?);
        }
        for last in (1..length).rev() {
            let other = choices.below(last + 1)?;
            password.swap(last, other);
        }
        if self.starts_with_letter {
            let positions: Vec<usize> = password
                .iter()
                .enumerate()
                .filter(|(_, byte)| byte.is_ascii_alphabetic())
                .map(|(at, _)| at)
                .collect();
            if positions.first().is_some_and(|first| *first != 0) {
                let chosen = choices.below(positions.len())?;
                password.swap(0, positions.get(chosen).copied().unwrap_or(0));
            }
        }
        Ok(Secret::new(
            password.iter().copied().map(char::from).collect::<String>(),
        ))
    }

    fn classes(&self) -> [Class; 4] {
        let class = |at_least: Option<u32>, alphabet: Vec<u8>| match at_least {
            Some(at_least) => Class { at_least, alphabet },
            None => Class {
                at_least: 0,
                alphabet: Vec::new(),
            },
        };
        let mut symbols = self.symbol_set.clone().into_bytes();
        symbols.sort_unstable();
        symbols.dedup();
        [
            class(self.lower, (b'a'..=b'z').collect()),
            class(self.upper, (b'A'..=b'Z').collect()),
            class(self.digits, (b'0'..=b'9').collect()),
            class(self.symbols, symbols),
        ]
    }
}

struct Class {
    at_least: u32,
    alphabet: Vec<u8>,
}

/// Uniform choices from a stream of bytes.
struct Choices<B> {
    bytes: B,
    block: u32,
    left: Zeroizing<Vec<u8>>,
}

impl<B: FnMut(u32, u32) -> Zeroizing<Vec<u8>>> Choices<B> {
    fn one_of(&mut self, alphabet: &[u8]) -> Result<u8> {
        let chosen = self.below(alphabet.len())?;
        alphabet.get(chosen).copied().ok_or_else(no_bytes)
    }

    /// A number below `bound`, each with the same probability. Two bytes are
    /// taken at a time and thrown away where they lie in the incomplete last
    /// run of `bound` numbers. `bound` is at most [`LONGEST`].
    fn below(&mut self, bound: usize) -> Result<usize> {
        let runs = (DRAWS / bound.max(1)) * bound;
        loop {
            let draw = usize::from(self.byte()?) * 256 + usize::from(self.byte()?);
            if draw < runs {
                return Ok(draw % bound);
            }
        }
    }

    fn byte(&mut self) -> Result<u8> {
        if self.left.is_empty() {
            self.left = (self.bytes)(self.block, BLOCK);
            self.block += 1;
        }
        self.left.pop().ok_or_else(no_bytes)
    }
}

fn no_bytes() -> Failure {
    Failure::internal("derive", "The host derived no bytes for a password.")
}

/// Longest password: no upstream known takes more than a few hundred bytes.
const LONGEST: u32 = 512;
/// Numbers that two bytes can show.
const DRAWS: usize = 65_536;
/// Bytes asked of the host at a time: enough for a password of 32 characters
/// in one call, and below the host's limit of 1,024.
const BLOCK: u32 = 192;

#[cfg(test)]
mod tests;
