//! Paths into JSON in the syntax of gjson, by which operators of the External Secrets
//! Operator name a piece of a secret: `friends.#(last=="Murphy").first`.
//!
//! Source: the path syntax that <https://github.com/tidwall/gjson/blob/master/SYNTAX.md>
//! documents.
//!
//! | syntax | meaning |
//! |---|---|
//! | `name.first` | a key in a key |
//! | `fav\.movie` | a key with a character that means something otherwise |
//! | `child*`, `?ame` | the first key that fits |
//! | `friends.1` | an element of an array, from 0 |
//! | `friends.#` | how many elements there are |
//! | `friends.#.first` | a list of what each element has there |
//! | `#(path op value)` | the first element that fits; `#(…)#` is a list of all that do |
//! | `a\|b` | `b` of the whole of what `a` gave, and not of each element |
//! | `@this`, `@valid`, `@ugly`, `@reverse`, `@keys`, `@values`, `@flatten`, `@tostr`, `@fromstr` | modifiers |
//!
//! The operators are `==`, `=`, `!=`, `<`, `<=`, `>`, `>=`, `%` (like) and `!%`; a value may be
//! `~true`, `~false`, `~null` or `~*`. Multipaths (`{a,b}`, `[a,b]`), literals (`!"x"`),
//! JSON lines (`..`) and the modifiers `@pretty`, `@join`, `@group` and `@dig` are refused.
//!
//! # Layout
//!
//! - `scan`: the members and elements of a text that is known to be JSON.
//! - `query`: what stands in `#(…)`.
//! - `modifier`: what begins with `@`.

mod modifier;
mod query;
mod scan;

use std::fmt;

use zeroize::Zeroizing;

use modifier::Modifier;
use query::Query;
use scan::Kind;

/// What a path leads to.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    raw: Zeroizing<String>,
}

/// Why a path cannot be followed. It quotes nothing of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// The document is no JSON.
    NotJson,
    /// The path has more than 1,024 bytes.
    TooLong,
    /// A query has no end.
    OpenQuery,
    /// Syntax of gjson that is not evaluated here.
    Unsupported(&'static str),
    /// What a modifier makes has more than a mebibyte.
    TooLarge,
}

/// Follows a path; none where it leads nowhere.
///
/// # Errors
/// Where the document is no JSON, or the path is none that is evaluated here.
pub fn get(json: &str, path: &str) -> Result<Option<Found>, PathError> {
    if !scan::is_json(json) {
        return Err(PathError::NotJson);
    }
    if path.len() > LONGEST_PATH {
        return Err(PathError::TooLong);
    }
    if path.starts_with("..") {
        return Err(PathError::Unsupported("JSON lines (..)"));
    }
    let raw = find(json.trim(), path, Begins::Whole)?;
    Ok(raw.map(|raw| Found { raw: raw.into() }))
}

/// The members of an object, in its order; none where the document is another value.
///
/// # Errors
/// Where the document is no JSON.
pub fn members(json: &str) -> Result<Option<Vec<(String, Found)>>, PathError> {
    if !scan::is_json(json) {
        return Err(PathError::NotJson);
    }
    let json = json.trim();
    let member = |(name, value): (&str, &str)| {
        let raw = value.to_owned().into();
        (scan::text(name), Found { raw })
    };
    Ok(match scan::kind(json) {
        Kind::Object => Some(scan::entries(json).into_iter().map(member).collect()),
        _ => None,
    })
}

impl Found {
    /// The value as it stands in the document.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Whether it is a string.
    pub fn is_string(&self) -> bool {
        scan::kind(&self.raw) == Kind::String
    }

    /// The value as a text: a string without its quotes, nothing for `null`, a number
    /// without an exponent, and the JSON of an object or an array as it stands there.
    pub fn text(&self) -> Zeroizing<String> {
        scan::text(&self.raw).into()
    }
}

impl fmt::Debug for Found {
    /// A secret may stand there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Found(****)")
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("there is no JSON to follow it in"),
            Self::TooLong => write!(f, "it has more than {LONGEST_PATH} bytes"),
            Self::OpenQuery => f.write_str("a query #(…) in it has no end"),
            Self::Unsupported(what) => write!(f, "it has {what}, which are not evaluated"),
            Self::TooLarge => f.write_str("what it makes has more than a mebibyte"),
        }
    }
}

impl std::error::Error for PathError {}

/// Where a path begins: literals and multipaths are those of a whole path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    /// At the start, or after a pipe.
    Whole,
    AfterDot,
}

/// What follows a component.
#[derive(Clone, Copy)]
enum Rest<'a> {
    End,
    Dot(&'a str),
    Pipe(&'a str),
}

/// The value at a path below a value. The depth of the calls is bounded by the path's
/// length.
fn find(json: &str, path: &str, begins: Begins) -> Result<Option<String>, PathError> {
    if path.is_empty() && begins == Begins::Whole {
        return Ok(None);
    }
    match path.bytes().next() {
        Some(b'@') => {
            if let Some((modifier, rest)) = Modifier::read(path)? {
                return match modifier.of(json)? {
                    Some(made) => onward(&made, rest),
                    None => Ok(None),
                };
            }
        }
        Some(b'{' | b'[') => return Err(PathError::Unsupported("multipaths ({…}, […])")),
        Some(b'!') if begins == Begins::Whole => {
            return Err(PathError::Unsupported("literals (!…)"));
        }
        _ => {}
    }
    match scan::kind(json) {
        Kind::Object => {
            let (key, rest) = component(path);
            let mut members = scan::entries(json).into_iter();
            let found = members.find(|(name, _)| fits(&key, &scan::text(name)));
            found.map_or(Ok(None), |(_, value)| onward(value, rest))
        }
        Kind::Array => in_array(json, path),
        _ => Ok(None),
    }
}

fn onward(json: &str, rest: Rest<'_>) -> Result<Option<String>, PathError> {
    match rest {
        Rest::End => Ok(Some(json.to_owned())),
        Rest::Dot(path) => find(json, path, Begins::AfterDot),
        Rest::Pipe(path) => find(json, path, Begins::Whole),
    }
}

fn in_array(json: &str, path: &str) -> Result<Option<String>, PathError> {
    let elements = || scan::entries(json).into_iter().map(|(_, value)| value);
    if let Some(after) = path.strip_prefix('#') {
        if after.starts_with(['(', '[']) {
            let (query, rest) = Query::read(after)?;
            return queried(elements(), &query, rest);
        }
        let count = || elements().count().to_string();
        return match rest(after) {
            Some(Rest::Dot(path)) => of_each(elements(), path),
            Some(rest) => onward(&count(), rest),
            None => Ok(None),
        };
    }
    let (key, rest) = component(path);
    let digits: Option<String> = key
        .iter()
        .map(|token| match token {
            Token::Exact(c) if c.is_ascii_digit() => Some(*c),
            _ => None,
        })
        .collect();
    let place = digits.and_then(|digits| digits.parse().ok());
    match place.and_then(|place| elements().nth(place)) {
        Some(element) => onward(element, rest),
        None => Ok(None),
    }
}

fn queried<'a>(
    elements: impl Iterator<Item = &'a str>,
    query: &Query<'_>,
    after: &str,
) -> Result<Option<String>, PathError> {
    let mut fitting = elements.filter_map(|element| match query.fits(element) {
        Ok(true) => Some(Ok(element)),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    });
    let (is_all, after) = match after.strip_prefix('#') {
        Some(after) => (true, after),
        None => (false, after),
    };
    match rest(after) {
        None => Ok(None),
        Some(rest) if !is_all => match fitting.next().transpose()? {
            Some(element) => onward(element, rest),
            None => Ok(None),
        },
        Some(rest) => {
            let fitting = fitting.collect::<Result<Vec<_>, _>>()?;
            match rest {
                Rest::Dot(path) => of_each(fitting.into_iter(), path),
                rest => onward(&list(&fitting), rest),
            }
        }
    }
}

/// A list of what each element has at a path, up to a pipe in it.
fn of_each<'a>(
    elements: impl Iterator<Item = &'a str>,
    path: &str,
) -> Result<Option<String>, PathError> {
    let (each, rest) = query::split_at_pipe(path);
    let mut found = Vec::new();
    for element in elements {
        found.extend(find(element, each, Begins::Whole)?);
    }
    onward(&list(&found), rest.map_or(Rest::End, Rest::Pipe))
}

fn list<S: AsRef<str>>(values: &[S]) -> String {
    let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
    format!("[{}]", values.join(","))
}

/// What follows a component that has been read; none where that is neither a dot nor a
/// pipe.
fn rest(after: &str) -> Option<Rest<'_>> {
    let mut letters = after.chars();
    match letters.next() {
        None => Some(Rest::End),
        Some('.') => Some(Rest::Dot(letters.as_str())),
        Some('|') => Some(Rest::Pipe(letters.as_str())),
        Some(_) => None,
    }
}

/// A piece of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Exact(char),
    /// `?`
    One,
    /// `*`
    Any,
}

/// The key that a path begins with, and what follows it.
fn component(path: &str) -> (Vec<Token>, Rest<'_>) {
    let mut key = Vec::new();
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        key.push(match letter {
            '\\' => match letters.next() {
                Some(escaped) => Token::Exact(escaped),
                None => break,
            },
            '.' => return (key, Rest::Dot(letters.as_str())),
            '|' => return (key, Rest::Pipe(letters.as_str())),
            '*' => Token::Any,
            '?' => Token::One,
            letter => Token::Exact(letter),
        });
    }
    (key, Rest::End)
}

/// Whether a pattern fits a text. After a mismatch the last `*` takes one letter more, so
/// the time is at most the product of both lengths.
fn fits(pattern: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut read) = (0, 0);
    let mut last: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(read) {
        match pattern.get(at) {
            Some(Token::Any) => {
                last = Some((at, read));
                at += 1;
            }
            Some(Token::One) => (at, read) = (at + 1, read + 1),
            Some(Token::Exact(c)) if c == letter => (at, read) = (at + 1, read + 1),
            _ => match &mut last {
                Some((star, taken)) => {
                    *taken += 1;
                    (at, read) = (*star + 1, *taken);
                }
                None => return false,
            },
        }
    }
    let left = pattern.get(at..).unwrap_or_default();
    left.iter().all(|token| *token == Token::Any)
}

/// Bounds how deep paths are followed. The longest path that its users write has some
/// hundred bytes.
const LONGEST_PATH: usize = 1_024;

#[cfg(test)]
mod tests;
