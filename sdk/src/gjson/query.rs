//! Queries of elements: `#(last=="Murphy")`, `#(nets.#(=="fb"))`, `#(>45)#`.

use std::cmp::Ordering;

use super::scan::{self, Kind};
use super::{Begins, PathError, component, find, fits};

/// What stands in the brackets.
pub(super) struct Query<'a> {
    /// Below the element; empty for the element itself.
    path: &'a str,
    operator: Operator,
    value: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Exists,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
}

impl<'a> Query<'a> {
    /// Reads a query from its opening bracket on; gives what follows the closing one.
    pub(super) fn read(text: &'a str) -> Result<(Self, &'a str), PathError> {
        let brackets = Brackets::read(text).ok_or(PathError::OpenQuery)?;
        let piece = |from: usize, to: usize| text.get(from..to).unwrap_or_default().trim();
        let after = text.get(brackets.end + 1..).unwrap_or_default();
        let Some(operator) = brackets.operator else {
            let query = Self {
                path: piece(1, brackets.end),
                operator: Operator::Exists,
                value: String::new(),
            };
            return Ok((query, after));
        };
        let right = piece(operator, brackets.end);
        let (operator_read, length) = OPERATORS
            .iter()
            .find(|(sign, _)| right.starts_with(sign))
            .map_or((Operator::Exists, 1), |(sign, found)| (*found, sign.len()));
        let value = right.get(length..).unwrap_or_default().trim();
        let query = Self {
            path: piece(1, operator),
            operator: operator_read,
            value: match value.len() >= 2 && value.starts_with('"') && value.ends_with('"') {
                true => unquoted(value),
                false => value.to_owned(),
            },
        };
        Ok((query, after))
    }

    /// Whether an element fits.
    pub(super) fn fits(&self, element: &str) -> Result<bool, PathError> {
        let is_scalar = !matches!(scan::kind(element), Kind::Object | Kind::Array);
        let found = match (is_scalar, self.path) {
            (true, "") => Some(element.to_owned()),
            (true, _) => return Ok(false),
            (false, path) => find(element, path, Begins::Whole)?,
        };
        let found = found.as_deref();
        if let Some(asked) = self.value.strip_prefix('~') {
            let is_so = match asked {
                "*" => found.is_some(),
                "null" => kind(found) == Kind::Null,
                "true" => truth(found) == Some(true),
                "false" => truth(found) == Some(false),
                _ => return Ok(false),
            };
            let as_json = if is_so { "true" } else { "false" };
            return Ok(self.operator.holds(as_json, "true"));
        }
        Ok(found.is_some_and(|found| self.operator.holds(found, &self.value)))
    }
}

impl Operator {
    /// Whether it holds between a value of JSON and what the query names.
    fn holds(self, json: &str, asked: &str) -> bool {
        let order = match scan::kind(json) {
            _ if self == Self::Exists => return true,
            Kind::String => {
                let text = scan::text(json);
                match self {
                    Self::Like => return like(asked, &text),
                    Self::NotLike => return !like(asked, &text),
                    _ => text.as_str().cmp(asked),
                }
            }
            Kind::Number => {
                let asked = scan::number(asked).unwrap_or_default();
                let number = scan::number(json).unwrap_or_default();
                match number.partial_cmp(&asked) {
                    Some(order) => order,
                    None => return false,
                }
            }
            // Anything that is no truth is neither smaller nor greater.
            kind @ (Kind::True | Kind::False) => match (kind, asked) {
                (Kind::True, "true") | (Kind::False, "false") => Ordering::Equal,
                (Kind::True, "false") => Ordering::Greater,
                (Kind::False, "true") => Ordering::Less,
                _ => return self == Self::NotEqual,
            },
            Kind::Null | Kind::Object | Kind::Array => return false,
        };
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Exists | Self::Like | Self::NotLike => false,
        }
    }
}

/// A path up to a pipe that is not in a query, and what follows that pipe.
pub(super) fn split_at_pipe(path: &str) -> (&str, Option<&str>) {
    let mut at = 0;
    while let Some(rest) = path.get(at..).filter(|rest| !rest.is_empty()) {
        let begins_query = rest.starts_with("#(") || rest.starts_with("#[");
        let is_component = at == 0 || path.get(..at).is_some_and(|read| read.ends_with('.'));
        if begins_query && is_component {
            let query = rest.get(1..).unwrap_or_default();
            match Brackets::read(query) {
                Some(brackets) => at += brackets.end + 2,
                None => return (path, None),
            }
            continue;
        }
        match rest.chars().next() {
            Some('\\') => at += 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
            Some('|') => {
                let (before, after) = path.split_at(at);
                return (before, after.get(1..));
            }
            letter => at += letter.map_or(1, char::len_utf8),
        }
    }
    (path, None)
}

/// Where the pieces of a query are, in bytes from its opening bracket.
struct Brackets {
    operator: Option<usize>,
    end: usize,
}

impl Brackets {
    fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (mut at, mut depth, mut operator) = (1, 1_usize, None);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'!' | b'=' | b'<' | b'>' | b'%' if depth == 1 && operator.is_none() => {
                    operator = Some(at);
                }
                b'\\' => at += 1,
                b'(' | b'[' => depth += 1,
                b')' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(Self { operator, end: at });
                    }
                }
                b'"' => {
                    at += 1;
                    while bytes.get(at).is_some_and(|byte| *byte != b'"') {
                        at += if bytes.get(at) == Some(&b'\\') { 2 } else { 1 };
                    }
                }
                _ => {}
            }
            at += 1;
        }
        None
    }
}

/// A pattern in its own right: dots and pipes mean nothing in it.
fn like(pattern: &str, text: &str) -> bool {
    let escaped: String = pattern
        .chars()
        .flat_map(|c| match c {
            '.' | '|' => vec!['\\', c],
            c => vec![c],
        })
        .collect();
    fits(&component(&escaped).0, text)
}

/// A string of JSON without its quotes; one that is none stays as it stands between them.
fn unquoted(value: &str) -> String {
    let inner = value.get(1..value.len() - 1).unwrap_or_default();
    serde_json::from_str(value).unwrap_or_else(|_| inner.to_owned())
}

fn kind(found: Option<&str>) -> Kind {
    found.map_or(Kind::Null, scan::kind)
}

/// Whether a value is as good as true or as false; none where it is neither.
fn truth(found: Option<&str>) -> Option<bool> {
    let json = found.unwrap_or("null");
    match scan::kind(json) {
        Kind::True => Some(true),
        Kind::False | Kind::Null => Some(false),
        Kind::Number => Some(scan::number(json) != Some(0.0)),
        Kind::String => match scan::text(json).to_ascii_lowercase().as_str() {
            "1" | "t" | "true" => Some(true),
            "0" | "f" | "false" => Some(false),
            _ => None,
        },
        Kind::Object | Kind::Array => None,
    }
}

/// The longer ones first.
const OPERATORS: [(&str, Operator); 9] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("!%", Operator::NotLike),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("%", Operator::Like),
];
