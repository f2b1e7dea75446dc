//! Values typed on the command line: `key=value …`, or a whole body at once.
//!
//! A value that reads as a JSON number, boolean, null, list, object or quoted
//! string is that; everything else is text. `key=@file` and `key=-` are always
//! text, so a secret made of digits stays a string. Secrets belong there: every process of the
//! machine can read a command line.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use serde_json::{Map, Value};

use super::console::Console;

/// The body of a write.
#[derive(Clone, Debug, Args)]
pub struct Body {
    /// key=value, where value may be JSON, @FILE to take a file's text, or - for
    /// standard input; or one @FILE.json or - that holds the whole body
    #[arg(value_name = "KEY=VALUE", value_parser = WordParser)]
    words: Vec<Word>,
}

/// One word of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// `@file.json` or `-`: the whole body.
    Whole(Source),
    /// `key=…`: one field.
    Field(String, Given),
}

/// The part behind `key=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// The value itself.
    Value(Value),
    /// The source of its text.
    From(Source),
}

/// A source of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Input,
}

impl Source {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('@') {
            Some(file) if !file.is_empty() => Some(Self::File(file.into())),
            _ => (text == "-").then_some(Self::Input),
        }
    }

    pub(super) fn read(&self, console: &mut Console<'_>) -> Result<String> {
        match self {
            Self::File(file) => std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display())),
            Self::Input => console.read_input(),
        }
    }
}

impl FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(source) = Source::parse(text) {
            return Ok(Self::Whole(source));
        }
        // The word itself may hold a secret and is not repeated.
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or("write key=value, @FILE.json or -")?;
        let given = match Source::parse(value) {
            Some(source) => Given::From(source),
            None => Given::Value(detected(value)),
        };
        Ok(Self::Field(key.to_owned(), given))
    }
}

/// Reads a [`Word`]. Unlike clap's own message for a word it cannot read, this
/// one does not repeat it: it may be a secret whose key was forgotten.
#[derive(Clone)]
pub(super) struct WordParser;

impl TypedValueParser for WordParser {
    type Value = Word;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Word, clap::Error> {
        let refused = |message: &str| {
            let message = format!("a value cannot be read: {message}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        };
        let text = value.to_str().ok_or_else(|| refused("it is no text"))?;
        text.parse().map_err(|message: String| refused(&message))
    }
}

/// An id without the white space around it, which comes along where it is copied
/// or read from a file.
pub(super) fn trimmed(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(text.trim().to_owned())
}

/// JSON where it reads as JSON, else text.
fn detected(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

impl Body {
    pub(super) fn of(words: Vec<Word>) -> Self {
        Self { words }
    }

    /// The JSON object that was meant; reads the files it names.
    pub(super) fn read(&self, console: &mut Console<'_>) -> Result<Map<String, Value>> {
        let inputs = self.words.iter().filter(|word| {
            matches!(
                word,
                Word::Whole(Source::Input) | Word::Field(_, Given::From(Source::Input))
            )
        });
        if inputs.count() > 1 {
            bail!("standard input can be taken for one value only");
        }
        let mut body = Map::new();
        for word in &self.words {
            match word {
                Word::Whole(source) if self.words.len() == 1 => {
                    return whole(&source.read(console)?);
                }
                Word::Whole(_) => {
                    bail!("a whole body (@FILE.json or -) stands alone, without key=value")
                }
                Word::Field(key, given) => {
                    let value = match given {
                        Given::Value(value) => value.clone(),
                        Given::From(source) => {
                            let text = source.read(console).with_context(|| key.clone())?;
                            Value::String(without_line_end(text))
                        }
                    };
                    if body.insert(key.clone(), value).is_some() {
                        bail!("{key} is given twice");
                    }
                }
            }
        }
        Ok(body)
    }
}

fn whole(text: &str) -> Result<Map<String, Value>> {
    // serde_json names line and column, and does not quote the text, which may be a secret.
    match serde_json::from_str(text).context("the body is not JSON")? {
        Value::Object(body) => Ok(body),
        _ => bail!("the body is JSON, but no object"),
    }
}

/// Editors end a one-line file with a line end that is no part of a password;
/// text of several lines (PEM) is kept as it is.
fn without_line_end(mut text: String) -> String {
    let line = text.strip_suffix('\n').unwrap_or(&text);
    if !line.contains('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        text.truncate(line.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Body, without_line_end};
    use crate::cli::console::Console;

    fn read(words: &[&str], input: &str) -> Result<Value, String> {
        let words = words
            .iter()
            .map(|word| word.parse())
            .collect::<Result<_, String>>()?;
        let mut console = Console {
            out: &mut Vec::new(),
            err: &mut Vec::new(),
            input: &mut input.as_bytes(),
            variable: &|_| None,
        };
        Body { words }
            .read(&mut console)
            .map(Value::Object)
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn values_are_json_where_they_read_as_json() {
        for (word, value) in [
            ("port=5432", json!(5432)),
            ("verify=true", json!(true)),
            ("options=[\"a\",\"b\"]", json!(["a", "b"])),
            (
                "grants=[{\"schema\":\"public\"}]",
                json!([{ "schema": "public" }]),
            ),
            ("zip=\"01234\"", json!("01234")),
            ("zip=01234", json!("01234")),
            ("ttl=1h30m", json!("1h30m")),
            ("name=app", json!("app")),
            ("statement=SELECT 1 = 1", json!("SELECT 1 = 1")),
            ("empty=", json!("")),
            ("nothing=null", Value::Null),
        ] {
            let (key, _) = word.split_once('=').unwrap();
            let mut expected = json!({});
            expected[key] = value;
            assert_eq!(read(&[word], ""), Ok(expected), "{word}");
        }
    }

    #[test]
    fn text_from_a_file_or_standard_input_is_never_taken_for_json() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        std::fs::write(&file, "123456\n").unwrap();
        let word = format!("password=@{}", file.display());
        assert_eq!(read(&[&word], ""), Ok(json!({ "password": "123456" })));
        assert_eq!(
            read(&["password=-"], "true\r\n"),
            Ok(json!({ "password": "true" }))
        );
    }

    #[test]
    fn a_whole_body_comes_from_standard_input_or_a_file() {
        assert_eq!(read(&["-"], "{\"a\": 1}"), Ok(json!({ "a": 1 })));
        for (words, input, told) in [
            (&["-"][..], "[1]", "the body is JSON, but no object"),
            (
                &["-"],
                "canary",
                "the body is not JSON: expected value at line 1 column 1",
            ),
            (
                &["-", "a=1"],
                "{}",
                "a whole body (@FILE.json or -) stands alone, without key=value",
            ),
            (
                &["a=-", "b=-"],
                "x",
                "standard input can be taken for one value only",
            ),
            (&["a=1", "a=2"], "", "a is given twice"),
            (&["canary"], "", "write key=value, @FILE.json or -"),
        ] {
            assert_eq!(read(words, input), Err(told.to_owned()), "{words:?}");
        }
    }

    #[test]
    fn only_the_line_end_of_a_single_line_is_dropped() {
        for (text, kept) in [
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret", "secret"),
            ("", ""),
            ("one\ntwo\n", "one\ntwo\n"),
        ] {
            assert_eq!(without_line_end(text.to_owned()), kept);
        }
    }
}
