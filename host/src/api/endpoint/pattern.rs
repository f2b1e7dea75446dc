//! Patterns of paths, read once. Pure.

use std::{cmp::Ordering, ops::Range};

/// A segment of a pattern, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Literal(&'static str),
    One(Name),
    /// One or more.
    Rest(Name),
}

/// A placeholder of a pattern, which stands for a part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) struct Name {
    /// Its name.
    pub(super) text: &'static str,
    /// Whether case makes no difference.
    pub(super) folded: bool,
}

/// A pattern, read.
#[derive(Clone, Debug)]
pub(in crate::api) struct Pattern(Vec<Part>);

/// Positions of a pattern's names in a path.
pub(in crate::api) type Found = Vec<(Name, Range<usize>)>;

impl Pattern {
    /// Reads a pattern.
    pub(in crate::api) fn of(text: &'static str) -> Self {
        let part = |part: &'static str| {
            let (folded, bare) = match part.strip_prefix('~') {
                Some(bare) => (true, bare),
                None => (false, part),
            };
            let name = |text| Name { text, folded };
            match (bare.strip_prefix(':'), bare.strip_prefix('*')) {
                (Some(one), _) => Part::One(name(one)),
                (_, Some(rest)) => Part::Rest(name(rest)),
                (None, None) => Part::Literal(part),
            }
        };
        Self(text.split('/').map(part).collect())
    }

    /// The places of its names in a path; none where the path is another.
    pub(super) fn fit<S: AsRef<str>>(&self, path: &[S]) -> Option<Found> {
        let spare = path.len().checked_sub(self.0.len())?;
        let mut found = Vec::new();
        let mut next = 0;
        for part in &self.0 {
            let from = next;
            next += 1;
            match part {
                Part::Literal(word) if path.get(from)?.as_ref() == *word => {}
                Part::Literal(_) => return None,
                Part::One(name) => found.push((*name, from..next)),
                Part::Rest(name) => {
                    next += spare;
                    found.push((*name, from..next));
                }
            }
        }
        (next == path.len()).then_some(found)
    }

    /// The narrower pattern comes first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let rank = |part: &Part| match part {
            Part::Literal(_) => 0,
            Part::One(_) => 1,
            Part::Rest(_) => 2,
        };
        let pairs = self.0.iter().zip(&other.0);
        let differing = pairs.map(|(one, another)| rank(one).cmp(&rank(another)));
        let first = differing.fold(Ordering::Equal, Ordering::then);
        first.then(other.0.len().cmp(&self.0.len()))
    }

    /// Its names.
    #[cfg(test)]
    pub(in crate::api) fn names(&self) -> Vec<&'static str> {
        let names = self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::One(name) | Part::Rest(name) => Some(name.text),
        });
        names.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_its_paths() {
        for (pattern, path, expected) in [
            ("sys/mounts", "sys/mounts", Some("")),
            ("sys/mounts/*path", "sys/mounts/db", Some("path=db")),
            ("sys/mounts/*path", "sys/mounts/db/x", Some("path=db/x")),
            ("sys/mounts/*path", "sys/mounts", None),
            (
                "sys/mounts/*path/tune",
                "sys/mounts/db/x/tune",
                Some("path=db/x"),
            ),
            ("sys/mounts/*path/tune", "sys/mounts/tune", None),
            ("roles/~:name", "roles/A", Some("name=A")),
            ("roles/:name", "roles/a/b", None),
            ("a/:b/c/*d", "a/1/c/2/3", Some("b=1 d=2/3")),
        ] {
            let segments: Vec<&str> = path.split('/').collect();
            let found = Pattern::of(pattern).fit(&segments);
            let shown = found.map(|found| {
                let names = found
                    .into_iter()
                    .map(|(name, at)| format!("{}={}", name.text, segments[at].join("/")));
                names.collect::<Vec<_>>().join(" ")
            });
            assert_eq!(shown.as_deref(), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_narrower_pattern_comes_first() {
        let mut patterns = [
            "sys/mounts/*path",
            "sys/mounts",
            "sys/mounts/*path/tune",
            "sys/mounts/auth/*path/tune",
            "sys/:name",
        ]
        .map(|text| (Pattern::of(text), text));
        patterns.sort_by(|one, another| one.0.order(&another.0));
        assert_eq!(
            patterns.map(|(_, text)| text),
            [
                "sys/mounts/auth/*path/tune",
                "sys/mounts/*path/tune",
                "sys/mounts/*path",
                "sys/mounts",
                "sys/:name",
            ]
        );
        assert!(Pattern::of("a/~:b").fit(&["a", "b"]).unwrap()[0].0.folded);
        assert_eq!(Pattern::of("a/:b/*c").names(), ["b", "c"]);
    }
}
