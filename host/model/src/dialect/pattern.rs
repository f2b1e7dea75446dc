//! The pattern of an alias' path: `sts/{role}`.

use std::{cmp::Ordering, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Segments of the longest pattern.
const SEGMENTS: usize = 8;

/// Bytes of the longest pattern, and of a segment.
const LENGTH: usize = 128;
const SEGMENT_LENGTH: usize = 64;

/// A segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// The name of a thing: `{role}`.
    Placeholder(String),
}

/// A path below a mount, in which one segment may stand for the name of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Segment>);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The end of a sentence that begins with the pattern.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > LENGTH {
            return Err("is longer than 128 bytes");
        }
        let segments: Vec<&str> = text.split('/').collect();
        if segments.len() > SEGMENTS {
            return Err("has more than 8 segments");
        }
        let segments = segments.into_iter().map(|text| {
            let braced = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
            let fits = |text: &str| {
                (1..=SEGMENT_LENGTH).contains(&text.len())
                    && ![".", ".."].contains(&text)
                    && text.bytes().all(is_plain)
            };
            match braced {
                Some(name) if fits(name) => Ok(Segment::Placeholder(name.to_owned())),
                None if fits(text) => Ok(Segment::Literal(text.to_owned())),
                _ => Err(
                    "is no path below a mount: that has segments of letters, digits, `.`, `-` and `_` with slashes \
                     between, or a name in braces such as {role}",
                ),
            }
        });
        let pattern = Self(segments.collect::<Result<_, _>>()?);
        let is_placeholder = |segment: &&Segment| matches!(segment, Segment::Placeholder(_));
        match pattern.0.iter().filter(is_placeholder).count() {
            0 | 1 => Ok(pattern),
            _ => Err("has more than one name in braces"),
        }
    }

    /// Whether it stands for a path.
    pub(super) fn fits(&self, path: &[String]) -> bool {
        let mut pairs = self.0.iter().zip(path);
        self.0.len() == path.len()
            && pairs.all(|(segment, text)| match segment {
                Segment::Literal(word) => word == text,
                Segment::Placeholder(_) => true,
            })
    }

    /// The segment of a path that stands for its placeholder.
    pub fn named<'p>(&self, path: &'p [String]) -> Option<&'p str> {
        let is_placeholder = |segment: &Segment| matches!(segment, Segment::Placeholder(_));
        let at = self.0.iter().position(is_placeholder)?;
        path.get(at).map(String::as_str)
    }

    /// Its placeholder, without braces.
    pub fn placeholder(&self) -> Option<&str> {
        self.0.iter().find_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Placeholder(name) => Some(name.as_str()),
        })
    }

    /// Whether it stands for the same paths as another.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len()
            && pairs.all(|pair| match pair {
                (Segment::Literal(mine), Segment::Literal(theirs)) => mine == theirs,
                (Segment::Placeholder(_), Segment::Placeholder(_)) => true,
                _ => false,
            })
    }

    /// The narrower pattern comes first: a literal before a placeholder, in the first segment
    /// in which they differ so.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let kinds = |pattern: &Self| {
            let kind = |segment: &Segment| matches!(segment, Segment::Placeholder(_));
            pattern.0.iter().map(kind).collect::<Vec<_>>()
        };
        kinds(self).cmp(&kinds(other))
    }

    /// Whether a path may fit both it and a pattern of the host, whose names begin with a colon.
    pub(super) fn meets(&self, own: &str) -> bool {
        self.is_beside(own, |mine, theirs| match mine {
            Segment::Literal(word) => theirs.starts_with(':') || theirs == word,
            Segment::Placeholder(_) => true,
        })
    }

    /// Whether it stands for just the paths that a pattern of the host stands for.
    pub(super) fn is_same_as_own(&self, own: &str) -> bool {
        self.is_beside(own, |mine, theirs| match mine {
            Segment::Literal(word) => theirs == word,
            Segment::Placeholder(_) => theirs.starts_with(':'),
        })
    }

    fn is_beside(&self, own: &str, fits: impl Fn(&Segment, &str) -> bool) -> bool {
        let theirs: Vec<&str> = own.split('/').collect();
        let mut pairs = self.0.iter().zip(&theirs);
        self.0.len() == theirs.len() && pairs.all(|(mine, theirs)| fits(mine, theirs))
    }

    /// Whether a path that fits it may name this public document; a name that ends in a slash
    /// stands for every name that begins with it.
    pub(super) fn meets_document(&self, name: &str) -> bool {
        let (name, stands_for_more) = match name.strip_suffix('/') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let theirs: Vec<&str> = name.split('/').collect();
        let has_length = match stands_for_more {
            true => self.0.len() > theirs.len(),
            false => self.0.len() == theirs.len(),
        };
        let mut pairs = self.0.iter().zip(theirs);
        has_length
            && pairs.all(|(mine, theirs)| match mine {
                Segment::Literal(word) => word == theirs,
                Segment::Placeholder(_) => true,
            })
    }

    /// Whether it is one word below `config`, where the host takes the word for the name of a
    /// connection.
    pub(super) fn is_word_below_config(&self) -> bool {
        let [Segment::Literal(first), Segment::Literal(_)] = self.0.as_slice() else {
            return false;
        };
        first == "config"
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            match segment {
                Segment::Literal(word) => f.write_str(word)?,
                Segment::Placeholder(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_".contains(&byte)
}
