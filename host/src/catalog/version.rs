//! Versions of plugins are semantic versions, written as Vault writes them: `v1.2.3`.
//! Numbers that are left out are zeros, and the `v` may be left out.

use std::cmp::Ordering;

use lessor_model::{refusal::Refusal, suggest};
use semver::Version;

/// Longest version, which stands in URLs, tables and labels.
const LONGEST: usize = 64;

/// A version as it is stored and shown.
///
/// # Errors
/// One sentence, where it is no semantic version.
pub(super) fn canonical(text: &str) -> Result<String, Refusal> {
    let fits = text.len() <= LONGEST;
    parse(text)
        .filter(|_| fits)
        .map(|version| format!("v{version}"))
        .ok_or_else(|| {
            Refusal::Invalid(format!(
                "version {:?} is not a semantic version: write one such as v1.2.3, or leave it out \
                 for the provider's own",
                suggest::shown(text)
            ))
        })
}

/// Whether two texts are the same version. A text that is no semantic version (older databases
/// hold some) equals only itself.
pub fn same(one: &str, other: &str) -> bool {
    one == other || parse(one).is_some_and(|version| parse(other) == Some(version))
}

/// Compares two versions; the newer is the greater. A text that is no semantic version is older
/// than all that are.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    parse(one).cmp(&parse(other))
}

fn parse(text: &str) -> Option<Version> {
    let text = text.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    let numbers = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at_checked(numbers)?;
    let missing = match numbers.matches('.').count() {
        0 => ".0.0",
        1 => ".0",
        _ => "",
    };
    Version::parse(&format!("{numbers}{missing}{rest}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_form() {
        for (text, expected) in [
            ("1.2.3", Some("v1.2.3")),
            ("v1.2.3", Some("v1.2.3")),
            (" v1.2.3\n", Some("v1.2.3")),
            ("1.2", Some("v1.2.0")),
            ("v1", Some("v1.0.0")),
            ("1.2-rc.1+linux", Some("v1.2.0-rc.1+linux")),
            ("latest", None),
            ("", None),
            ("v", None),
            ("vv1.2.3", None),
            ("1.2.3.4", None),
            ("01.2.3", None),
            ("1.2.3 4", None),
            ("1.-2.3", None),
        ] {
            let found = canonical(text);
            assert_eq!(found.as_deref().ok(), expected, "{text:?}");
            if let Err(refusal) = found {
                assert!(refusal.to_string().contains("v1.2.3"), "{refusal}");
            }
        }
        let long = format!("1.2.3-{}", "a".repeat(64));
        assert!(canonical(&long).is_err());
    }

    #[test]
    fn versions_are_compared_as_such() {
        assert!(same("1.2", "v1.2.0"));
        assert!(same("nightly", "nightly"));
        assert!(!same("nightly", "latest"));
        for (older, newer) in [
            ("v1.9.0", "1.10.0"),
            ("1.10.0-rc1", "1.10.0"),
            ("nightly", "0.0.1"),
        ] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
        }
    }
}
