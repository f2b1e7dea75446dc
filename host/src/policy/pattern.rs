//! Paths as rules write them: which paths they match, and which of several
//! counts.

use std::cmp::Reverse;

use lessor_model::suggest::shown;

/// The segment that matches any one segment.
const ANY_SEGMENT: &str = "+";

/// A path of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    /// Without the leading slash and the last `*`.
    text: String,
    /// Whether it ended in `*`.
    is_prefix: bool,
    /// The position of the first `+` segment or of the `*`, in bytes.
    first_wildcard: usize,
    /// The number of segments that are `+`.
    wildcards: usize,
}

impl Pattern {
    /// Reads the path of a rule.
    ///
    /// # Errors
    /// A sentence that goes behind the path.
    pub(super) fn parse(path: &str) -> Result<Self, String> {
        if path.contains("+*") {
            return Err("`+*` is no wildcard: write `+/*` for all below any segment".into());
        }
        if path.contains("{{") {
            return Err("templates ({{…}}) are not available: write the path out".into());
        }
        if path.chars().any(char::is_control) {
            return Err("a path has no control characters".into());
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let (text, is_prefix) = match path.strip_suffix('*') {
            Some(text) => (text, true),
            None => (path, false),
        };
        let mut at = 0;
        let (mut first_wildcard, mut wildcards) = (text.len(), 0);
        for segment in text.split('/') {
            if segment == ANY_SEGMENT {
                first_wildcard = first_wildcard.min(at);
                wildcards += 1;
            }
            at += segment.len() + 1;
        }
        Ok(Self {
            text: text.to_owned(),
            is_prefix,
            first_wildcard,
            wildcards,
        })
    }

    /// The path of the rule, without a leading slash.
    pub(super) fn written(&self) -> String {
        let star = if self.is_prefix { "*" } else { "" };
        format!("{}{star}", self.text)
    }

    /// The one path that it matches, where it has no wildcards.
    pub(super) fn exact(&self) -> Option<&str> {
        (!self.is_prefix && self.wildcards == 0).then_some(&self.text)
    }

    /// As rules write it, without the leading slash and the last `*`.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it matches `path`.
    pub(super) fn matches(&self, path: &str) -> bool {
        if self.wildcards == 0 {
            return if self.is_prefix {
                path.starts_with(&self.text)
            } else {
                path == self.text
            };
        }
        let mut segments = path.split('/');
        let mut wanted = self.text.split('/').peekable();
        while let Some(want) = wanted.next() {
            let Some(segment) = segments.next() else {
                return false;
            };
            let may_go_on = self.is_prefix && wanted.peek().is_none();
            let fits =
                want == ANY_SEGMENT || want == segment || (may_go_on && segment.starts_with(want));
            if !fits {
                return false;
            }
        }
        self.is_prefix || segments.next().is_none()
    }

    /// Whether it matches `mount` or any path below it.
    pub(super) fn reaches(&self, mount: &str) -> bool {
        let mut wanted = self.text.split('/').peekable();
        for segment in mount.split('/') {
            let Some(want) = wanted.next() else {
                return false;
            };
            if self.is_prefix && wanted.peek().is_none() && segment.starts_with(want) {
                return true;
            }
            if want != ANY_SEGMENT && want != segment {
                return false;
            }
        }
        true
    }

    /// Greater where it counts before another that matches too.
    pub(super) fn priority(&self) -> impl Ord + '_ {
        (
            self.first_wildcard,
            !self.is_prefix,
            Reverse(self.wildcards),
            self.text.len(),
            self.text.as_str(),
        )
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let star = if self.is_prefix { "*" } else { "" };
        write!(f, "{}{star}", shown(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_documented() {
        for (pattern, matching, others) in [
            ("a/b", "a/b", "a a/ a/b/ a/bc a/b/c b"),
            ("/a", "a", "/a b"),
            ("a/*", "a/ a/b a/b/c", "a ab b/a"),
            ("a/b*", "a/b a/bc a/b/c", "a/ a/c"),
            ("*", "a a/b /", ""),
            ("a/*/b", "a/*/b", "a/x/b"),
            ("+", "a -", "a/ a/b"),
            ("+/*", "a/ a/b a/b/c", "a"),
            ("a/+", "a/b a/", "a a/b/ a/b/c b/a"),
            ("a/+/", "a/b/ a//", "a/b a/b/c"),
            ("a/+/c", "a/b/c a//c", "a/c a/b/d a/b/c/ a/b/b/c"),
            ("a/+/+/c", "a/b/b/c", "a/b/c"),
            ("+/b", "a/b /b", "b a/b/c"),
            ("a/+/c*", "a/b/c a/b/cd a/b/c/d a/b/cd/e", "a/b/ a/b/d a/c"),
            ("a/+/*", "a/b/ a/b/c a/b/c/d", "a/b a/"),
            ("a/b+", "a/b+", "a/bc a/b"),
            ("a/+b", "a/+b", "a/xb a/+"),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            for path in matching.split_whitespace() {
                assert!(parsed.matches(path), "{pattern} {path}");
            }
            for path in others.split_whitespace() {
                assert!(!parsed.matches(path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for path in ["a/+*", "+*", "a/{{identity.entity.id}}", "a\nb"] {
            assert!(Pattern::parse(path).is_err(), "{path:?}");
        }
    }
}
