//! Passwords: their policy, their repetition, their evenness.

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
