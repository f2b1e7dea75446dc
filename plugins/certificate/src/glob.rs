//! Patterns of names, as roles give them: `*` stands for one or more
//! characters up to the next separator, `**` for one or more characters of any
//! kind. Everything else stands for itself.
//!
//! What a separator is depends on the kind of name: a dot in a host name, so
//! that `*.example.com` takes `web.example.com` and not `a.b.example.com`.

/// A pattern, and the separators that its `*` stops at.
#[derive(Debug)]
pub(crate) struct Glob {
    text: String,
    parts: Vec<Part>,
    separators: &'static str,
}

#[derive(Debug)]
enum Part {
    Literal(char),
    /// `*`
    Within,
    /// `**`
    Across,
}

impl Glob {
    /// Reads a pattern. Every text is one.
    pub(crate) fn new(text: &str, separators: &'static str) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        for character in text.chars() {
            match (character, parts.last()) {
                ('*', Some(Part::Within)) => {
                    parts.pop();
                    parts.push(Part::Across);
                }
                ('*', Some(Part::Across)) => {}
                ('*', _) => parts.push(Part::Within),
                _ => parts.push(Part::Literal(character)),
            }
        }
        Self {
            text: text.to_owned(),
            parts,
            separators,
        }
    }

    /// The pattern as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `name` fits. Takes time in proportion to the
    /// product of both lengths, whatever the pattern.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        // reached[i]: the parts so far can account for exactly the first i
        // characters of the name.
        let mut reached = vec![false; name.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        for part in &self.parts {
            let mut next = Vec::with_capacity(reached.len());
            next.push(false);
            for (&character, &before) in name.iter().zip(&reached) {
                let within_run = next.last().copied().unwrap_or(false);
                next.push(match part {
                    Part::Literal(literal) => before && character == *literal,
                    Part::Within => (before || within_run) && !self.separators.contains(character),
                    Part::Across => before || within_run,
                });
            }
            reached = next;
        }
        reached.last().copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_what_it_says_and_nothing_else() {
        for (pattern, separators, name, expected) in [
            ("example.com", ".", "example.com", true),
            ("example.com", ".", "example.org", false),
            ("example.com", ".", "examplexcom", false),
            ("*.example.com", ".", "web.example.com", true),
            ("*.example.com", ".", "example.com", false),
            ("*.example.com", ".", ".example.com", false),
            ("*.example.com", ".", "a.b.example.com", false),
            ("*.example.com", ".", "web.example.com.evil.org", false),
            ("**.example.com", ".", "a.b.example.com", true),
            ("**.example.com", ".", "evilexample.com", false),
            ("web-*.example.com", ".", "web-1.example.com", true),
            ("web-*.example.com", ".", "web-.example.com", false),
            ("*.*.example.com", ".", "a.b.example.com", true),
            (
                "spiffe://prod/ns/*/sa/*",
                "/?#@",
                "spiffe://prod/ns/shop/sa/cart",
                true,
            ),
            (
                "spiffe://prod/ns/*/sa/*",
                "/?#@",
                "spiffe://prod/ns/shop/x/sa/cart",
                false,
            ),
            ("spiffe://prod/**", "/?#@", "spiffe://prod/ns/shop", true),
            ("spiffe://prod/**", "/?#@", "spiffe://prod/", false),
            (
                "https://*.example.com/",
                "/?#@",
                "https://evil.org?.example.com/",
                false,
            ),
            ("*", "", "orders app", true),
            ("*", "", "", false),
            ("***", ".", "a.b", true),
            ("", ".", "", true),
        ] {
            assert_eq!(
                Glob::new(pattern, separators).matches(name),
                expected,
                "{pattern:?} and {name:?}"
            );
        }
    }

    #[test]
    fn a_hostile_name_does_not_make_matching_slow() {
        let glob = Glob::new(&"*a".repeat(100), ".");
        assert!(
            !glob.matches(
                &"a".repeat(5_000)
                    .replace("aaaab", "b")
                    .replacen('a', ".", 1)
            )
        );
    }
}
