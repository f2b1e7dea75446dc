//! Modifiers: components that make another value of the one before them.

use super::scan::{self, Kind};
use super::{PathError, Rest, list, rest};

#[derive(Clone, Copy)]
pub(super) enum Modifier {
    /// The value itself. `@valid` is the same: the document is known to be JSON.
    This,
    Ugly,
    Reverse,
    Keys,
    Values,
    Flatten {
        is_deep: bool,
    },
    ToString,
    FromString,
}

impl Modifier {
    /// Reads a modifier at the start of a path, and what follows it; none where what stands
    /// there is a key that begins with `@`.
    pub(super) fn read(path: &str) -> Result<Option<(Self, Rest<'_>)>, PathError> {
        let name = path.split(['.', '|', ':']).next().unwrap_or_default();
        let after = path.get(name.len()..).unwrap_or_default();
        let (argument, after) = match after.strip_prefix(':') {
            Some(after) => split_argument(after),
            None => ("", after),
        };
        let modifier = match name {
            "@this" | "@valid" => Self::This,
            "@ugly" => Self::Ugly,
            "@reverse" => Self::Reverse,
            "@keys" => Self::Keys,
            "@values" => Self::Values,
            "@flatten" => Self::Flatten {
                is_deep: scan::without_space(argument).contains("\"deep\":true"),
            },
            "@tostr" => Self::ToString,
            "@fromstr" => Self::FromString,
            "@pretty" | "@join" | "@group" | "@dig" => {
                return Err(PathError::Unsupported(
                    "the modifiers @pretty, @join, @group or @dig",
                ));
            }
            _ => return Ok(None),
        };
        Ok(rest(after).map(|rest| (modifier, rest)))
    }

    /// What it makes of a value; none where it makes nothing.
    pub(super) fn of(self, json: &str) -> Result<Option<String>, PathError> {
        let kind = scan::kind(json);
        let is_scalar = !matches!(kind, Kind::Object | Kind::Array);
        let entries = || match is_scalar {
            true => vec![("", json)],
            false => scan::entries(json),
        };
        let made = match self {
            Self::This => json.to_owned(),
            Self::Ugly => scan::without_space(json),
            Self::Reverse if is_scalar => json.to_owned(),
            Self::Reverse => {
                let written = |(name, value): (&str, &str)| match kind {
                    Kind::Object => format!("{name}:{value}"),
                    _ => value.to_owned(),
                };
                let reversed: Vec<String> = entries().into_iter().rev().map(written).collect();
                match kind {
                    Kind::Object => format!("{{{}}}", reversed.join(",")),
                    _ => list(&reversed),
                }
            }
            Self::Keys => {
                let names = entries().into_iter().map(|(name, _)| match name {
                    "" => "null",
                    name => name,
                });
                list(&names.collect::<Vec<_>>())
            }
            Self::Values => {
                let values = entries().into_iter().map(|(_, value)| value);
                list(&values.collect::<Vec<_>>())
            }
            Self::Flatten { is_deep } if kind == Kind::Array => list(&flat(json, is_deep)),
            Self::Flatten { .. } => json.to_owned(),
            Self::ToString => serde_json::to_string(json).unwrap_or_default(),
            Self::FromString => {
                let text = scan::text(json);
                return Ok(scan::is_json(&text).then(|| text.trim().to_owned()));
            }
        };
        // Each `@tostr` may double what was there.
        match made.len() > LARGEST {
            true => Err(PathError::TooLarge),
            false => Ok(Some(made)),
        }
    }
}

/// The elements of an array, with those of the arrays in it. Each level is read once more,
/// so how many there are is bounded: the document says how deep it is.
fn flat(json: &str, is_deep: bool) -> Vec<&str> {
    let mut flat = Vec::new();
    let mut left: Vec<(usize, &str)> = vec![(0, json)];
    let most = if is_deep { MOST_LEVELS } else { 2 };
    while let Some((depth, value)) = left.pop() {
        if scan::kind(value) == Kind::Array && depth < most {
            let elements = scan::entries(value).into_iter().rev();
            left.extend(elements.map(|(_, element)| (depth + 1, element)));
        } else {
            flat.push(value);
        }
    }
    flat
}

/// An argument, which is JSON or goes up to a pipe, and what follows it.
fn split_argument(text: &str) -> (&str, &str) {
    let is_json = text.starts_with(['{', '[', '"']);
    let mut ends = text.char_indices().filter(|(_, c)| ".|".contains(*c));
    let end = match is_json {
        true => ends
            .map(|(at, _)| at)
            .chain([text.len()])
            .find(|at| scan::is_json(text.get(..*at).unwrap_or_default())),
        false => ends.find(|(_, c)| *c == '|').map(|(at, _)| at),
    };
    text.split_at(end.unwrap_or(text.len()))
}

/// As deep as readers of JSON usually go.
const MOST_LEVELS: usize = 128;

/// Far above any secret of any system.
const LARGEST: usize = 1 << 20;
