//! Foreign text as a terminal or a log line may show it.
//!
//! Names, provider data, metadata and failures are written by others. A control
//! character in them moves the cursor or changes the terminal's title, a bidi
//! control shows a text in another order than it has, and a character without
//! width hides text or makes two names look alike. Here each such character
//! becomes its number (`\u{202e}`), which everybody sees. Pure; the writers
//! (the command line's console, the log's lines) call it, so that no caller has
//! to remember it.

use std::{borrow::Cow, fmt::Write as _};

/// Ranges of characters that show nothing, or something other than the text:
/// Unicode's controls, its line and paragraph separators, the characters of
/// `Default_Ignorable_Code_Point` (bidi controls, zero-width characters, variation
/// selectors, tags; DerivedCoreProperties.txt) and the interlinear marks.
const HIDDEN: [(char, char); 19] = [
    ('\u{0}', '\u{1f}'),
    ('\u{7f}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// The text with every hidden character written as its number. Line feeds and
/// tabs stay, for certificates and keys stand on several lines; a carriage
/// return before a line feed is dropped, any other would overwrite its line.
pub fn visible(text: &str) -> Cow<'_, str> {
    rewritten(text, |c| c == '\n' || c == '\t')
}

/// As [`visible`], on one line: for what must not look like two records, such as
/// a log event or a name of a list.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    rewritten(text, |_| false)
}

/// JSON text whose strings hold hidden characters as escapes only. A reader that parses it gets
/// exactly the same values, and a terminal that shows it is not affected.
pub fn visible_json(text: &str) -> Cow<'_, str> {
    // Outside of strings JSON has no hidden characters but its white space.
    if !text.chars().any(|c| is_hidden(c) && !is_json_space(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) && !is_json_space(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn rewritten(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|c| is_hidden(c) && !kept(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            c if !is_hidden(c) || kept(c) => out.push(c),
            '\r' if kept('\n') && rest.peek() == Some(&'\n') => {}
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

fn is_hidden(c: char) -> bool {
    HIDDEN
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&c))
}

fn is_json_space(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t')
}

#[cfg(test)]
mod tests {
    use super::{HIDDEN, visible, visible_json, visible_line};

    #[test]
    fn hidden_characters_are_shown_by_their_number() {
        for (text, shown, on_one_line) in [
            ("plain", "plain", "plain"),
            (
                "Grüße, 東京 ✓ \\u{1b}",
                "Grüße, 東京 ✓ \\u{1b}",
                "Grüße, 東京 ✓ \\u{1b}",
            ),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\u{9b}2J", "a\\u{9b}2J", "a\\u{9b}2J"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("ad\u{200b}min", "ad\\u{200b}min", "ad\\u{200b}min"),
            ("x\u{e0041}", "x\\u{e0041}", "x\\u{e0041}"),
            (
                "one\r\ntwo\tthree\n",
                "one\ntwo\tthree\n",
                "one\\r\\ntwo\\tthree\\n",
            ),
            (
                "a\rb\u{8}\u{7f}",
                "a\\rb\\u{8}\\u{7f}",
                "a\\rb\\u{8}\\u{7f}",
            ),
            ("one\u{2028}two", "one\\u{2028}two", "one\\u{2028}two"),
        ] {
            assert_eq!(visible(text), shown, "{text:?}");
            assert_eq!(visible_line(text), on_one_line, "{text:?}");
            // Visible characters stay as they are.
            assert_eq!(visible(shown), shown, "{text:?}");
        }
    }

    #[test]
    fn json_keeps_its_values_and_shows_nothing_hidden() {
        let hidden = HIDDEN.iter().flat_map(|(first, last)| [*first, *last]);
        let text: String = hidden.chain("aé✓😀\"\\".chars()).collect();
        let value = serde_json::json!({ "name": text, "list": [text] });
        let written = format!("{value:#}\n");
        let shown = visible_json(&written);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
        assert_eq!(visible(&shown), shown);
        assert!(shown.contains("é✓😀"), "{shown}");
    }
}
