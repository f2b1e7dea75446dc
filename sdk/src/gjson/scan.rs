//! Members, elements and texts of JSON, as they stand there: a value is handed on without
//! being written anew, white space included.
//!
//! All but [`is_json`] takes JSON for granted; on anything else it ends early.

use serde::de::IgnoredAny;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// Whether a text is one value of JSON.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// What a value is, by how it begins.
pub(super) fn kind(json: &str) -> Kind {
    match json.bytes().next() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't') => Kind::True,
        Some(b'f') => Kind::False,
        Some(b'n') | None => Kind::Null,
        Some(_) => Kind::Number,
    }
}

/// The members of an object, or the elements of an array without a name. Names have their
/// quotes.
pub(super) fn entries(json: &str) -> Vec<(&str, &str)> {
    let is_object = kind(json) == Kind::Object;
    // Past the bracket.
    let mut scanner = Scanner { text: json, at: 1 };
    let mut entries = Vec::new();
    loop {
        scanner.pass(b',');
        let first = scanner.value();
        if first.is_empty() {
            return entries;
        }
        entries.push(match is_object {
            true => {
                scanner.pass(b':');
                (first, scanner.value())
            }
            false => ("", first),
        });
    }
}

/// A value as a text.
pub(super) fn text(json: &str) -> String {
    match kind(json) {
        Kind::Null => String::new(),
        Kind::String => serde_json::from_str(json).unwrap_or_default(),
        Kind::Number => {
            let digits = json.strip_prefix('-').unwrap_or(json);
            match number(json) {
                Some(number) if !digits.bytes().all(|c| c.is_ascii_digit()) => number.to_string(),
                _ => json.to_owned(),
            }
        }
        Kind::True | Kind::False | Kind::Object | Kind::Array => json.to_owned(),
    }
}

/// The number that a text is.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The value without white space around its words.
pub(super) fn without_space(json: &str) -> String {
    let mut made = String::with_capacity(json.len());
    let (mut is_text, mut is_escaped) = (false, false);
    for letter in json.chars() {
        if is_text || !letter.is_ascii_whitespace() {
            made.push(letter);
        }
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_text => is_escaped = true,
            '"' => is_text = !is_text,
            _ => {}
        }
    }
    made
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes white space, and then one sign where it is there.
    fn pass(&mut self, sign: u8) {
        self.space();
        if self.peek() == Some(sign) {
            self.at += 1;
        }
        self.space();
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// The value here; empty where none begins.
    fn value(&mut self) -> &'a str {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' if depth == 0 => break,
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                _ if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                b',' | b':' => break,
                _ => {
                    self.word();
                    break;
                }
            }
            if depth == 0 {
                break;
            }
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) {
        let ends = |byte: u8| byte.is_ascii_whitespace() || b",:]}".contains(&byte);
        while self.peek().is_some_and(|byte| !ends(byte)) {
            self.at += 1;
        }
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => return,
                _ => {}
            }
        }
    }
}
