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
mod tests {
    use super::*;
    use crate::failure::FailureClass;

    /// A stream of bytes that differs by `seed` and repeats for the same.
    /// SplitMix64 (Steele, Lea, Flood 2014): statistically good, not secret.
    fn stream(mut seed: u64) -> impl FnMut(u32, u32) -> Zeroizing<Vec<u8>> {
        move |_, length| {
            let byte = |_| {
                seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (mixed >> 40) as u8
            };
            Zeroizing::new((0..length).map(byte).collect())
        }
    }

    fn password(policy: &PasswordPolicy, seed: u64) -> String {
        policy.generate(stream(seed)).unwrap().expose().to_owned()
    }

    #[test]
    fn every_password_meets_its_policy() {
        let strict = PasswordPolicy {
            length: 9,
            lower: Some(1),
            upper: Some(2),
            digits: Some(3),
            symbols: Some(2),
            symbol_set: "!!#%".to_owned(),
            starts_with_letter: true,
        };
        let pin = PasswordPolicy {
            length: 6,
            lower: None,
            upper: None,
            symbols: None,
            starts_with_letter: false,
            ..PasswordPolicy::default()
        };
        let forced_letter = PasswordPolicy {
            length: 4,
            lower: Some(0),
            upper: None,
            digits: Some(3),
            symbols: None,
            ..PasswordPolicy::default()
        };
        let longest = PasswordPolicy::with_length(512);
        for policy in [
            PasswordPolicy::default(),
            strict,
            pin,
            forced_letter,
            longest,
        ] {
            for seed in 0..300 {
                let password = password(&policy, seed);
                let count = |of: fn(&char) -> bool| password.chars().filter(of).count() as u32;
                let is_symbol = |c: &char| !c.is_ascii_alphanumeric();
                assert_eq!(password.len(), policy.length as usize);
                for (found, wanted) in [
                    (count(char::is_ascii_lowercase), policy.lower),
                    (count(char::is_ascii_uppercase), policy.upper),
                    (count(char::is_ascii_digit), policy.digits),
                    (count(is_symbol), policy.symbols),
                ] {
                    match wanted {
                        Some(least) => assert!(found >= least, "{password}"),
                        None => assert_eq!(found, 0, "{password}"),
                    }
                }
                assert!(
                    password
                        .chars()
                        .filter(is_symbol)
                        .all(|c| policy.symbol_set.contains(c))
                );
                if policy.starts_with_letter {
                    assert!(
                        password.starts_with(|c: char| c.is_ascii_alphabetic()),
                        "{password}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_same_bytes_give_the_same_password_and_others_another() {
        let policy = PasswordPolicy::default();
        assert_eq!(password(&policy, 1), password(&policy, 1));
        assert_ne!(password(&policy, 1), password(&policy, 2));
    }

    #[test]
    fn no_character_and_no_position_is_favoured() {
        let policy = PasswordPolicy {
            length: 8,
            lower: Some(0),
            upper: None,
            digits: Some(1),
            symbols: None,
            starts_with_letter: false,
            ..PasswordPolicy::default()
        };
        let rounds = 20_000;
        let (mut letters, mut digits_at) = ([0_u32; 26], [0_u32; 8]);
        for seed in 0..rounds {
            for (at, byte) in password(&policy, seed * 1_000_003).bytes().enumerate() {
                match byte {
                    b'a'..=b'z' => letters[usize::from(byte - b'a')] += 1,
                    _ => digits_at[at] += 1,
                }
            }
        }
        // Chi-squared with 25 and 7 degrees of freedom: 60 and 30 are passed by
        // chance less than once in 10,000; the seeds are fixed.
        for (counts, limit) in [(&letters[..], 60.0), (&digits_at[..], 30.0)] {
            let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
            let chi_squared: f64 = counts
                .iter()
                .map(|count| (f64::from(*count) - mean).powi(2) / mean)
                .sum();
            assert!(chi_squared < limit, "{chi_squared} {counts:?}");
        }
    }

    #[test]
    fn a_policy_that_no_password_can_meet_is_refused_with_its_field() {
        let policy = PasswordPolicy::default;
        for (policy, word) in [
            (
                PasswordPolicy {
                    length: 0,
                    ..policy()
                },
                "length",
            ),
            (
                PasswordPolicy {
                    length: 513,
                    ..policy()
                },
                "length",
            ),
            (
                PasswordPolicy {
                    length: 3,
                    ..policy()
                },
                "requires 4 characters",
            ),
            (
                PasswordPolicy {
                    digits: Some(u32::MAX),
                    ..policy()
                },
                "requires",
            ),
            (
                PasswordPolicy {
                    symbol_set: String::new(),
                    ..policy()
                },
                "symbol_set",
            ),
            (
                PasswordPolicy {
                    symbol_set: "é".to_owned(),
                    ..policy()
                },
                "symbol_set",
            ),
            (
                PasswordPolicy {
                    symbol_set: "a".to_owned(),
                    ..policy()
                },
                "symbol_set",
            ),
            (
                PasswordPolicy {
                    lower: None,
                    upper: None,
                    ..policy()
                },
                "start with a letter",
            ),
            (
                PasswordPolicy {
                    lower: None,
                    upper: None,
                    digits: None,
                    symbols: None,
                    starts_with_letter: false,
                    ..policy()
                },
                "no character",
            ),
        ] {
            let failure = policy.generate(stream(1)).unwrap_err();
            assert_eq!(failure.class(), FailureClass::InvalidConfig);
            assert!(failure.message().contains(word), "{failure}");
        }
    }
}
