//! Texts read with their escapes undone.
//!
//! Which characters of a secret are escaped, and how, differs from program to
//! program. So a text is not searched for every spelling of a secret: it is
//! read as the program that takes it would, and what is found there is masked
//! where it came from. Pure.

use std::ops::Range;

use memchr::memmem;

/// A kind of escapes.
pub(super) struct Escapes {
    /// Without this character a text has none of them.
    pub(super) mark: char,
    /// Takes what the rest of a text begins with: appends what that means, and
    /// gives its length.
    take: fn(&[u8], &mut Vec<u8>) -> Option<usize>,
}

/// All kinds: URLs; forms, in which a plus is a space; JSON, with what Rust,
/// Python and JavaScript write beside it.
pub(super) const ALL: [Escapes; 3] = [
    Escapes {
        mark: '%',
        take: take_url,
    },
    Escapes {
        mark: '+',
        take: take_form,
    },
    Escapes {
        mark: '\\',
        take: take_backslash,
    },
];

impl Escapes {
    /// Where one of `secrets` stands in `text` with this kind undone, from the
    /// beginning of the text to its end and without overlaps.
    pub(super) fn find<S: AsRef<[u8]>>(&self, text: &str, secrets: &[S]) -> Vec<Range<usize>> {
        let (mut meant, mut places) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(rest) = text.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
            let length = (self.take)(rest, &mut meant).unwrap_or_else(|| {
                meant.extend(rest.first());
                1
            });
            places.resize(meant.len(), at..at + length);
            at += length;
        }
        let mut found: Vec<Range<usize>> = secrets
            .iter()
            .map(AsRef::as_ref)
            .filter(|secret| !secret.is_empty())
            .flat_map(|secret| {
                let found = memmem::find_iter(&meant, secret);
                found.map(|first| (first, first + secret.len() - 1))
            })
            .filter_map(|(first, last)| Some(places.get(first)?.start..places.get(last)?.end))
            .collect();
        found.sort_unstable_by_key(|range| range.start);
        found.dedup_by(|later, earlier| {
            let overlaps = later.start < earlier.end;
            if overlaps {
                earlier.end = earlier.end.max(later.end);
            }
            overlaps
        });
        found
    }
}

/// `%2F`
fn take_url(rest: &[u8], meant: &mut Vec<u8>) -> Option<usize> {
    let [b'%', digits @ ..] = rest else {
        return None;
    };
    let mut byte = [0];
    hex::decode_to_slice(digits.get(..2)?, &mut byte).ok()?;
    meant.extend(byte);
    Some(3)
}

fn take_form(rest: &[u8], meant: &mut Vec<u8>) -> Option<usize> {
    if rest.first() == Some(&b'+') {
        meant.push(b' ');
        return Some(1);
    }
    take_url(rest, meant)
}

/// `\"`, `\n`, `\u00e4`, `\ud83d\udd11`, `\u{1f511}`
fn take_backslash(rest: &[u8], meant: &mut Vec<u8>) -> Option<usize> {
    let plain = match rest {
        [b'\\', b'u', ..] => {
            let (character, length) = code_point(rest)?;
            meant.extend(character.encode_utf8(&mut [0; 4]).bytes());
            return Some(length);
        }
        [b'\\', plain @ (b'"' | b'\\' | b'/' | b'\''), ..] => *plain,
        [b'\\', b'b', ..] => 8,
        [b'\\', b't', ..] => b'\t',
        [b'\\', b'n', ..] => b'\n',
        [b'\\', b'f', ..] => 12,
        [b'\\', b'r', ..] => b'\r',
        _ => return None,
    };
    meant.push(plain);
    Some(2)
}

fn code_point(rest: &[u8]) -> Option<(char, usize)> {
    let rest = rest.strip_prefix(b"\\u")?;
    if let Some(braced) = rest.strip_prefix(b"{") {
        let length = braced.iter().take(7).position(|byte| *byte == b'}')?;
        let character = char::from_u32(number(braced.get(..length)?)?)?;
        return Some((character, length + 4));
    }
    let first = number(rest.get(..4)?)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 6));
    }
    // Half of a character: the other half follows.
    let second = number(rest.get(4..)?.strip_prefix(b"\\u")?.get(..4)?)?;
    let halves = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
    let character = char::decode_utf16(halves).next()?.ok()?;
    Some((character, 12))
}

fn number(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_where_its_escapes_stand() {
        for (kind, text, secret, expected) in [
            (0, "x p%41ss y", "pAss", "p%41ss"),
            (0, "p%c3%A4 p\u{e4}", "p\u{e4}", "p%c3%A4|p\u{e4}"),
            (0, "100%25 %", "100%", "100%25"),
            (1, "q=a+b%2Bc", "a b+c", "a+b%2Bc"),
            (2, r#"{"p":"a\"b\\c\/"}"#, r#"a"b\c/"#, r#"a\"b\\c\/"#),
            (2, r"\u0061\u{62}c", "abc", r"\u0061\u{62}c"),
            (2, r"\ud83d\udd11\ud83d", "\u{1f511}", r"\ud83d\udd11"),
            (2, r"\u12 \u{zz} \x", "zz", "zz"),
            (2, r"a\n\tb", "\n\t", r"\n\t"),
            (0, "%61%61%61", "aa", "%61%61"),
        ] {
            let found: Vec<&str> = ALL[kind]
                .find(text, &[secret])
                .into_iter()
                .map(|range| &text[range])
                .collect();
            assert_eq!(found.join("|"), expected, "{text}");
        }
    }
}
