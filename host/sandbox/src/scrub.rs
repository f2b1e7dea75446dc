//! Removes the secrets of a call from what leaves it by a side door: log
//! events, standard output, failure messages, metadata.
//!
//! Secrets are the strings that the provider's schemas mark `writeOnly` (or as
//! secret references) in the documents of the call, and what came to be in it (`born`).
//! Each is masked as it stands, as base64 (at any alignment) and hex, and with
//! any of its characters escaped as URLs, forms and JSON do (`escapes`). This is
//! the second line of defence: it knows neither secrets that a schema does not
//! mark nor ones that were cut in two.
//!
//! The provider chooses how many secrets there are and how long its texts, so the
//! search is bounded: what would take longer is masked unread.

use std::{borrow::Cow, cell::Cell};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use lessor_model::{json, schema};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{escapes, private_key};

/// The text that replaces a secret.
pub const MASK: &str = "****";

/// Shorter strings are too common to be masked: `yes`, a port, a region's letter.
const SHORTEST: usize = 4;

/// A shorter piece of base64 would also match innocent text.
const SHORTEST_BASE64: usize = 6;

/// Secrets that are looked for one by one, lines of keys among them. Where there are
/// more, whatever is said is masked.
const MOST: usize = 1_000;

/// Bytes that the texts of a call may be read over, once for each form of each
/// secret: a tenth of a second or two, where the texts are made to be searched slowly.
/// What is said beyond is masked. With one password a provider can say more than its
/// limits allow, with an RSA key of fifty lines 100 kB.
const WORK: usize = 128 << 20;

/// The secrets of one call. The documents that came with it are read only when
/// there is something to scrub: most calls say nothing.
#[derive(Default)]
pub struct Secrets<'d> {
    unread: Vec<(&'d Value, &'d str)>,
    /// Keys whose forms were not written yet.
    keys: Vec<Zeroizing<Vec<u8>>>,
    /// In order, each once.
    values: Vec<Zeroizing<Vec<u8>>>,
    /// Whether there are secrets that nobody can look for: then everything may be one.
    untold: bool,
}

/// Masks a call's secrets in texts.
#[derive(Default)]
pub struct Scrubber {
    /// The secrets that are searched for as they are. Longest first, so that a secret within
    /// another does not spoil it.
    needles: Vec<Zeroizing<String>>,
    /// The secrets that are searched for with escapes undone.
    escaped: Vec<Zeroizing<Vec<u8>>>,
    /// The rest of [`WORK`].
    left: Cell<usize>,
}

/// The lengths of the longest text and of its longest run, in bytes: no longer secret fits there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Of the longest text.
    text: usize,
    /// Of the longest run of characters with which base64 and hex are written.
    run: usize,
}

impl<'d> Secrets<'d> {
    /// The secrets of documents, each with its schema.
    pub fn of(documents: impl IntoIterator<Item = (&'d Value, &'d str)>) -> Self {
        Self {
            unread: documents.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Adds the strings of `document` that `schema` marks as secret.
    pub(super) fn collect(&mut self, schema: &Value, document: &Value) {
        schema::secrets(schema, document, &mut |secret| self.add_strings(secret));
    }

    /// Adds a secret that no document holds. Of those that are too many, the rest is not
    /// kept.
    pub fn add(&mut self, secret: &[u8]) {
        if secret.len() < SHORTEST {
            return;
        }
        let place = self
            .values
            .binary_search_by(|known| known.as_slice().cmp(secret));
        if let Err(place) = place {
            if self.values.len() < MOST {
                self.values.insert(place, Zeroizing::new(secret.to_vec()));
            } else {
                self.untold = true;
            }
        }
    }

    /// Adds a private key, to be looked for in each of its forms.
    pub(super) fn add_key(&mut self, key: &[u8]) {
        self.keys.push(Zeroizing::new(key.to_vec()));
    }

    /// Adds the texts of a document that could not be read as what it should be: any of
    /// them may be a secret.
    pub(super) fn add_literals(&mut self, document: &str) {
        for literal in json::literals(document).take(MOST + 2) {
            self.add(Zeroizing::new(literal).as_bytes());
        }
    }

    /// There was an answer that nobody read: whatever is said may hold its secrets.
    pub(super) fn hide_all(&mut self) {
        self.untold = true;
    }

    /// Reads the documents that were not read yet.
    pub(super) fn read(&mut self) {
        for (schema, text) in std::mem::take(&mut self.unread) {
            if schema::marks_secrets(schema)
                && let Ok(mut document) = serde_json::from_str(text)
            {
                self.collect(schema, &document);
                wipe(&mut document);
            }
        }
        for key in std::mem::take(&mut self.keys) {
            for form in private_key::forms(&key) {
                self.add(&form);
            }
        }
    }

    /// Whether `text` holds one of the secrets of at least `length` bytes, in any form; a
    /// text that would take too long to search, as they stand.
    pub(super) fn appear_in(&mut self, text: &str, length: usize) -> bool {
        self.read();
        let long = self.values.iter().filter(|secret| secret.len() >= length);
        let mut long = Secrets {
            values: long.cloned().collect(),
            ..Secrets::default()
        };
        let scrubber = long.scrubber_for(Room::of_text(text));
        if scrubber.can_read(text) {
            return matches!(scrubber.scrub(text), Cow::Owned(_));
        }
        let texts = long.values.iter().map(|secret| std::str::from_utf8(secret));
        texts.flatten().any(|secret| text.contains(secret))
    }

    /// Prepares the masking of what was collected.
    pub fn scrubber(&mut self) -> Scrubber {
        self.scrubber_for(Room::ANY)
    }

    /// The same without what is too long to stand in the texts that are to be
    /// scrubbed: to write and look for each form of a key in PEM takes longer than
    /// what else is done with an answer.
    pub fn scrubber_for(&mut self, room: Room) -> Scrubber {
        self.read();
        let whole = self.values.iter().map(|secret| secret.as_slice());
        // A key in PEM is logged line by line, and may have been indented.
        let texts = self.values.iter().map(|secret| std::str::from_utf8(secret));
        let lines = texts.flatten().flat_map(|secret| {
            let lines = secret.split('\n').map(str::trim).filter(|line| {
                line.len() >= 16 && line.len() < secret.len() && !line.starts_with("-----")
            });
            lines.map(str::as_bytes)
        });
        let mut escaped: Vec<_> = whole
            .chain(lines)
            // No form is shorter than the secret itself.
            .filter(|secret| secret.len() <= room.text)
            .take(MOST + 1)
            .map(|secret| Zeroizing::new(secret.to_vec()))
            .collect();
        let mut left = WORK;
        if self.untold || escaped.len() > MOST {
            // Something stands for all: there is something to hide.
            escaped = vec![Zeroizing::new(MASK.as_bytes().to_vec())];
            left = 0;
        }
        let mut needles = Vec::new();
        for secret in &escaped {
            add_needles(&mut needles, secret, room);
        }
        needles.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
        Scrubber {
            needles,
            escaped,
            left: Cell::new(left),
        }
    }

    fn add_strings(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text.as_bytes()),
            Value::Array(items) => items.iter().for_each(|item| self.add_strings(item)),
            Value::Object(members) => members.values().for_each(|item| self.add_strings(item)),
            _ => {}
        }
    }
}

impl Scrubber {
    /// `text` with every secret masked.
    pub fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.escaped.is_empty() {
            return Cow::Borrowed(text);
        }
        if !self.bears(self.work(text)) {
            return Cow::Borrowed(MASK);
        }
        let mut text = Cow::Borrowed(text);
        for needle in &self.needles {
            if text.contains(needle.as_str()) {
                text = Cow::Owned(text.replace(needle.as_str(), MASK));
            }
        }
        for kind in &escapes::ALL {
            if text.contains(kind.mark) {
                for place in kind.find(&text, &self.escaped).into_iter().rev() {
                    text.to_mut().replace_range(place, MASK);
                }
            }
        }
        text
    }

    /// Like [`Self::scrub`], for a text whose end was cut off: what is left there
    /// of a secret goes too.
    pub(super) fn scrub_cut(&self, text: &str) -> String {
        let mut text = self.scrub(text).into_owned();
        let kept = text.trim_end_matches(char::REPLACEMENT_CHARACTER).len();
        text.truncate(kept);
        let most = |needle: &str| needle.len().min(text.len());
        let work = self.needles.iter().map(|needle| 4 * most(needle)).sum();
        if !self.bears(work) {
            return MASK.to_owned();
        }
        let begun = self.needles.iter().map(|needle| begun(&text, needle)).max();
        text.truncate(text.len() - begun.unwrap_or(0));
        text
    }

    /// Bytes that are read when `text` is searched.
    fn work(&self, text: &str) -> usize {
        let searches = self.needles.len() + escapes::ALL.len() * self.escaped.len();
        text.len().saturating_mul(searches)
    }

    /// Whether `text` is searched rather than masked unread.
    fn can_read(&self, text: &str) -> bool {
        self.work(text) <= self.left.get()
    }

    /// Takes `work` from what is left of it, if there is as much.
    fn bears(&self, work: usize) -> bool {
        let left = self.left.get().checked_sub(work);
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }

    /// One line of at most `limit` bytes: secrets masked, control characters
    /// replaced, the rest cut off.
    pub fn line(&self, text: &str, limit: usize) -> String {
        let mut scrubbed = self.scrub(text);
        if scrubbed.contains(char::is_control) {
            // With a space where a line ended, a secret may stand there.
            let printable: String = scrubbed.chars().map(printable).collect();
            scrubbed = Cow::Owned(self.scrub(&printable).into_owned());
        }
        let mut line = String::with_capacity(scrubbed.len().min(limit));
        for character in scrubbed.chars() {
            if line.len() + character.len_utf8() > limit {
                // Of an escape that was cut in two, the rest may read as a secret. No
                // secret is shorter than the mask.
                line = self.scrub(&line).into_owned();
                line.push('…');
                break;
            }
            line.push(character);
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// `value` with every secret masked, in names too. The scrubber must be one
    /// for as much room as `value` has.
    pub fn scrub_json(&self, value: Value) -> Value {
        if self.escaped.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.scrub(&text).into_owned()),
            Value::Array(items) => Value::Array(
                items
                    .into_iter()
                    .map(|item| self.scrub_json(item))
                    .collect(),
            ),
            Value::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(name, item)| (self.scrub(&name).into_owned(), self.scrub_json(item)))
                    .collect(),
            ),
            Value::Number(number) => {
                let text = number.to_string();
                match self.scrub(&text).into_owned() {
                    same if same == text => Value::Number(number),
                    masked => Value::String(masked),
                }
            }
            other => other,
        }
    }
}

impl Room {
    /// Of texts that are not known yet.
    const ANY: Self = Self {
        text: usize::MAX,
        run: usize::MAX,
    };

    /// Of the strings, names and numbers of a document.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::of_text(text),
            Value::Array(items) => items.iter().map(Self::of).fold(Self::default(), Self::or),
            Value::Object(members) => members
                .iter()
                .map(|(name, item)| Self::of_text(name).or(Self::of(item)))
                .fold(Self::default(), Self::or),
            Value::Number(number) => Self::of_text(&number.to_string()),
            Value::Bool(_) | Value::Null => Self::default(),
        }
    }

    fn of_text(text: &str) -> Self {
        let encodes = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
        let runs = text.as_bytes().split(|byte| !encodes(byte));
        Self {
            text: text.len(),
            run: runs.map(<[u8]>::len).max().unwrap_or(0),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            text: self.text.max(other.text),
            run: self.run.max(other.run),
        }
    }
}

/// The number of bytes at the end of `text` that are the beginning of `needle`, which is not there
/// whole: by the search of Knuth, Morris and Pratt (1977), because a provider may have chosen both.
fn begun(text: &str, needle: &str) -> usize {
    let longest = text.len().min(needle.len().saturating_sub(1));
    let beginning = needle.as_bytes().get(..longest).unwrap_or_default();
    // Of each beginning of the needle, how much of its end is a shorter one.
    let mut borders: Vec<usize> = Vec::with_capacity(longest);
    let extended = |borders: &[usize], mut matched: usize, byte: u8| {
        while beginning.get(matched) != Some(&byte) {
            let Some(shorter) = matched.checked_sub(1) else {
                return 0;
            };
            matched = borders.get(shorter).copied().unwrap_or(0);
        }
        matched + 1
    };
    for (index, byte) in beginning.iter().enumerate() {
        let border = match index.checked_sub(1).and_then(|last| borders.get(last)) {
            Some(before) => extended(&borders, *before, *byte),
            None => 0,
        };
        borders.push(border);
    }
    let end = text
        .as_bytes()
        .get(text.len() - longest..)
        .unwrap_or_default();
    end.iter()
        .fold(0, |matched, byte| extended(&borders, matched, *byte))
}

fn printable(character: char) -> char {
    match character {
        '\n' | '\r' | '\t' => ' ',
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

/// Overwrites the strings of a document that held secrets.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => zeroize::Zeroize::zeroize(text),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

/// The ways in which a secret may be written as a whole where there is `room`.
fn add_needles(needles: &mut Vec<Zeroizing<String>>, secret: &[u8], room: Room) {
    let mut add = |needle: String| needles.push(Zeroizing::new(needle));
    if secret.len() <= room.run / 2 {
        add(hex::encode(secret));
        add(hex::encode_upper(secret));
    }
    if secret.len() <= room.run {
        for shift in 0..3 {
            for needle in base64_core(secret, shift) {
                if needle.len() >= SHORTEST_BASE64 {
                    add(needle);
                }
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        add(text.to_owned());
    }
}

/// The characters of base64 that depend on `secret` alone where it starts
/// `shift` bytes into a group of three.
fn base64_core(secret: &[u8], shift: usize) -> [String; 2] {
    let mut shifted = Zeroizing::new(vec![0; shift]);
    shifted.extend_from_slice(secret);
    let skip = [0, 2, 3].get(shift).copied().unwrap_or(0);
    let partial = usize::from(!shifted.len().is_multiple_of(3));
    let cut = |encoded: String| {
        encoded
            .get(skip..encoded.len().saturating_sub(partial))
            .unwrap_or_default()
            .to_owned()
    };
    [
        cut(STANDARD_NO_PAD.encode(&*shifted)),
        cut(URL_SAFE_NO_PAD.encode(&*shifted)),
    ]
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use serde_json::json;

    use super::*;

    fn scrubber(secrets: &[&str]) -> Scrubber {
        let mut all = Secrets::default();
        for secret in secrets {
            all.add(secret.as_bytes());
        }
        all.scrubber()
    }

    #[test]
    fn a_secret_is_masked_in_every_form() {
        let secret = "p\u{e4}ss/w\"rd+ 1";
        let scrubber = scrubber(&[secret]);
        for form in [
            secret.to_owned(),
            hex::encode(secret),
            hex::encode_upper(secret),
            serde_json::to_string(secret).unwrap(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC)
                .to_string()
                .replace("%C3%A4", "%c3%a4")
                .replace("%2F", "%2f")
                .replace("%2B", "%2b"),
            utf8_percent_encode(secret, NON_ALPHANUMERIC)
                .to_string()
                .replace("%20", "+"),
            // A browser leaves the slash, Python the quotation mark, Go neither.
            String::from("p%C3%A4ss/w%22rd%2B%201"),
            String::from(r#"p\u00e4ss\/w"rd\u002b 1"#),
        ] {
            let scrubbed = scrubber.scrub(&form).into_owned();
            assert!(scrubbed.trim_matches('"') == MASK, "{form} -> {scrubbed}");
        }
    }

    #[test]
    fn a_secret_is_masked_within_longer_base64() {
        let secret = "correct-horse-battery";
        let scrubber = scrubber(&[secret]);
        for prefix in ["", "u", "us", "user:", "admin:"] {
            let text = STANDARD.encode(format!("{prefix}{secret}\u{1}"));
            let scrubbed = scrubber.scrub(&text);
            assert!(scrubbed.contains(MASK), "{prefix}");
            assert!(
                scrubbed.len() < MASK.len() + prefix.len() * 2 + 8,
                "{scrubbed}"
            );
        }
    }

    /// A provider said what it had generated: as PEM, as a JSON Web Key, as bytes.
    #[test]
    fn a_key_is_masked_in_every_form() {
        use aws_lc_rs::{
            encoding::{AsDer, Pkcs8V1Der},
            rsa::{KeyPair, KeySize},
        };
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let key: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let mut secrets = Secrets::default();
        secrets.add_key(key.as_ref());
        let scrubber = secrets.scrubber();
        let old = &key.as_ref()[26..];
        for form in [key.as_ref(), old] {
            for columns in [64, 76, 10_000] {
                let text = STANDARD.encode(form);
                let lines: Vec<_> = text.as_bytes().chunks(columns).collect();
                let pem = String::from_utf8(lines.join(&b'\n')).unwrap();
                let said = scrubber.scrub(&pem);
                let left = said.split(['\n', '*']).map(str::len).max();
                // A last line that is short stays.
                assert!(left < Some(16), "{columns}: {said}");
            }
            assert_eq!(scrubber.scrub(&hex::encode(form)), MASK);
        }
        // The primes, as a JSON Web Key has them: base64 leaves what stands beside.
        for form in private_key::forms(key.as_ref())
            .iter()
            .filter(|form| form.len() == 128)
        {
            assert_eq!(
                scrubber
                    .scrub(&URL_SAFE_NO_PAD.encode(form.as_slice()))
                    .len(),
                5
            );
        }
    }

    #[test]
    fn a_secret_that_was_told_twice_is_one() {
        let mut secrets = Secrets::default();
        for round in 0..3 {
            (0..MOST).for_each(|number| secrets.add(format!("s-{number:06}").as_bytes()));
            assert_eq!(
                secrets.scrubber().scrub("plain s-000007"),
                "plain ****",
                "{round}"
            );
        }
        secrets.add(b"one more");
        secrets.add(b"and one more");
        assert_eq!(secrets.scrubber().scrub("plain"), MASK);
    }

    #[test]
    fn what_nobody_read_hides_all() {
        let mut secrets = Secrets::default();
        secrets.add_literals(r#"{"password": "canary-pass", "oops"#);
        assert_eq!(secrets.scrubber().scrub("got canary-pass"), "got ****");
        secrets.hide_all();
        assert_eq!(secrets.scrubber().scrub("got nothing"), MASK);
    }

    #[test]
    fn what_a_cut_left_of_a_secret_goes_too() {
        let scrubber = scrubber(&["p\u{e4}ssword-1", "word-2"]);
        for (text, expected) in [
            ("got p\u{e4}ssword-", "got "),
            ("got p\u{e4}ssword-1", "got ****"),
            ("got p\u{fffd}", "got "),
            ("got wor", "got "),
            ("got nothing", "got nothing"),
            ("", ""),
        ] {
            assert_eq!(scrubber.scrub_cut(text), expected);
        }
    }

    #[test]
    fn the_longest_beginning_at_the_end_is_found() {
        for (text, needle, expected) in [
            ("xaab", "aabaac", 3),
            ("aabaabaa", "aabaac", 5),
            ("aabaab", "aabaac", 3),
            ("aaaa", "aaaaaa", 4),
            ("aaaab", "aaaaaa", 0),
            ("b", "a", 0),
            ("a", "a", 0),
            ("", "ab", 0),
        ] {
            assert_eq!(begun(text, needle), expected, "{text} {needle}");
        }
    }

    /// A provider whose credential was a list of eighty thousand secrets had the host
    /// look for each, in all its forms, in all that it said: twenty seconds of a thread
    /// that serves others, for each call.
    #[test]
    fn what_cannot_be_searched_in_time_is_masked_unread() {
        let secrets: Vec<String> = (0..=MOST).map(|number| format!("s-{number:06}")).collect();
        let most: Vec<&str> = secrets.iter().skip(1).map(String::as_str).collect();
        assert_eq!(scrubber(&most).scrub("plain s-000001"), "plain ****");

        let all: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let many = scrubber(&all);
        assert_eq!(many.scrub("plain"), MASK);
        assert_eq!(many.scrub_cut("plain"), MASK);
        assert_eq!(many.line("plain", 100), MASK);
        assert_eq!(many.scrub_json(json!({"a": 1})), json!({MASK: MASK}));
        assert_eq!(many.scrub(""), "");

        // So it is where the first of them is no text and has no form that would fit.
        let mut odd = Secrets::default();
        odd.add(&[0xff; 8]);
        all.iter().for_each(|secret| odd.add(secret.as_bytes()));
        let odd = odd.scrubber_for(Room::of(&json!("plain")));
        assert_eq!(odd.scrub_json(json!("plain")), json!(MASK));

        // So is a key of very many lines.
        let key = "0123456789abcdef\n".repeat(MOST + 1);
        assert_eq!(scrubber(&[&key]).scrub("plain"), MASK);

        // Or much that is searched for few.
        let few = scrubber(&["hunter22"]);
        let long = "x".repeat(WORK / 64);
        let read = std::iter::repeat_with(|| few.scrub(&long) == long).take(64);
        let read = read.take_while(|whole| *whole).count();
        assert!((1..16).contains(&read), "{read}");
        assert_eq!(few.scrub("plain"), MASK);
    }

    #[test]
    fn lines_of_a_key_are_masked_one_by_one() {
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7";
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n");
        assert_eq!(
            scrubber(&[&pem]).scrub(&format!("bad line {line}")),
            "bad line ****"
        );
    }

    /// PEM of a file that was written on Windows, or is part of a document in YAML: the
    /// log shows its lines without what stood around them.
    #[test]
    fn lines_that_begin_or_end_otherwise_are_masked_too() {
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQ";
        for (before, after) in [("", "\r"), ("  ", ""), ("\t", " \r"), ("", "\u{85}")] {
            let pem = format!("-----BEGIN KEY-----\n{before}{line}{after}\n-----END KEY-----\n");
            let scrubbed = scrubber(&[&pem]).scrub(&format!("bad {line}")).into_owned();
            assert_eq!(scrubbed, "bad ****", "{before:?} {after:?}");
        }
    }

    /// The rest of the last escape stood for itself, and with it the secret was there.
    #[test]
    fn a_cut_within_an_escape_leaves_no_secret() {
        let scrubber = scrubber(&["abc%"]);
        assert_eq!(scrubber.line("is ab%63%25d", 100), "is ****d");
        assert_eq!(scrubber.line("is ab%63%41", 10), "is ****4…");
    }

    /// A space is put where a line ended, and then the secret stood there.
    #[test]
    fn a_secret_that_was_broken_into_lines_is_masked_in_one() {
        let scrubber = scrubber(&["correct horse"]);
        assert_eq!(scrubber.line("with correct\nhorse", 100), "with ****");
    }

    /// A PIN, which a provider reported as a number.
    #[test]
    fn a_number_that_is_a_secret_is_masked() {
        let scrubbed = scrubber(&["12345678"]).scrub_json(json!({"pin": 12345678, "port": 5432}));
        assert_eq!(scrubbed, json!({"pin": MASK, "port": 5432}));
    }

    #[test]
    fn secrets_are_found_wherever_a_schema_marks_them() {
        let schema = json!({
            "$defs": {"token": {"type": "string", "writeOnly": true}},
            "properties": {
                "plain": {"type": "string"},
                "password": {"type": "string", "writeOnly": true},
                "reference": {"type": "string", "format": "secret-ref"},
                "token": {"$ref": "#/$defs/token"},
                "tree": {"$ref": "#"},
                "list": {"items": {"$ref": "#/$defs/token"}},
                "pair": {"prefixItems": [{}, {"writeOnly": true}]},
                "any": {"anyOf": [{"type": "null"}, {"writeOnly": true}]},
                "map": {"additionalProperties": {"writeOnly": true}},
                "whole": {"writeOnly": true}
            },
            "dependentSchemas": {"plain": {"properties": {"with": {"writeOnly": true}}}}
        });
        let document = json!({
            "plain": "visible",
            "password": "secret-1", "reference": "secret-2", "token": "secret-3",
            "tree": {"tree": {"password": "secret-4"}},
            "list": ["secret-5", "secret-6"],
            "pair": ["shown", "secret-7"],
            "any": "secret-8",
            "map": {"x": "secret-9"},
            "whole": {"deep": ["secret-10"]},
            "with": "secret-11"
        });
        let mut secrets = Secrets::default();
        secrets.collect(&schema, &document);
        let scrubber = secrets.scrubber();
        let scrubbed = scrubber.scrub_json(document.clone()).to_string();
        assert!(!scrubbed.contains("secret-"), "{scrubbed}");
        assert!(
            scrubbed.contains("visible") && scrubbed.contains("shown"),
            "{scrubbed}"
        );
    }

    /// A document is read only where its schema marks something, wherever that stands.
    #[test]
    fn documents_are_read_where_their_schema_marks_a_secret() {
        let marked = json!({"$defs": {"t": {"format": "password"}}, "properties": {"a": {"$ref": "#/$defs/t"}}});
        let plain = json!({"properties": {"a": {"type": "string"}}});
        for (schema, expected) in [(&marked, MASK), (&plain, "canary")] {
            let mut secrets = Secrets::of([(schema, r#"{"a": "canary"}"#)]);
            assert_eq!(secrets.scrubber().scrub("canary"), expected);
        }
    }

    /// A secret that a scrubber leaves out because there is no room for it must not show.
    #[test]
    fn a_scrubber_for_little_room_masks_all_that_fits_it() {
        let key = format!("-----BEGIN KEY-----\n{}\n", "MIIEvQIBADANBgkq".repeat(4));
        for secret in ["word", "words", "correct horse", &key] {
            let mut all = Secrets::default();
            all.add(secret.as_bytes());
            let whole = all.scrubber();
            let mut forms = vec![
                secret.to_owned(),
                hex::encode(secret),
                hex::encode_upper(secret),
                utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
                secret.lines().last().unwrap().to_owned(),
            ];
            forms
                .extend(["", "u", "us"].map(|before| STANDARD.encode(format!("{before}{secret}"))));
            for form in forms {
                let document = json!({"n": 1, "list": [{"text": form}]});
                let room = Room::of(&document);
                assert_eq!(room.text, form.len());
                let scrubbed = all.scrubber_for(room).scrub_json(document.clone());
                assert_eq!(scrubbed, whole.scrub_json(document), "{form}");
            }
        }
    }

    #[test]
    fn the_longer_of_two_nested_secrets_leaves_nothing() {
        assert_eq!(
            scrubber(&["abcd", "abcdefgh"]).scrub("x abcdefgh y"),
            "x **** y"
        );
    }

    #[test]
    fn a_line_holds_no_control_characters_and_ends_at_its_limit() {
        let scrubber = scrubber(&["hunter22"]);
        assert_eq!(
            scrubber.line("a\nb\x1b[31m hunter22\n", 100),
            "a b\u{fffd}[31m ****"
        );
        assert_eq!(scrubber.line("abcdef", 4), "abcd…");
        assert_eq!(scrubber.line("äöü", 3), "ä…");
    }
}
