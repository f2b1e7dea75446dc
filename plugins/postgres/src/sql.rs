//! Putting values into SQL text. The provider sends text because one simple
//! query can carry a whole transaction, and because `CREATE ROLE` takes no
//! parameters.

use lessor_sdk::prelude::*;
use postgres_protocol::escape;

/// A quoted identifier: `"a""b"`.
pub(crate) fn identifier(name: &str) -> String {
    escape::escape_identifier(name)
}

/// A quoted string: `'a''b'`.
pub(crate) fn literal(value: &str) -> String {
    escape::escape_literal(value)
}

/// Quoted identifiers with commas between.
pub(crate) fn identifiers<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| identifier(name)).collect();
    quoted.join(", ")
}

/// Refuses a name that could break out of the quotes in a role's own
/// statements: there it stands inside `"…"` or `'…'` that the operator wrote.
pub(crate) fn check_principal(name: &str) -> Result<()> {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if plain && (1..=NAME_LIMIT).contains(&name.len()) {
        return Ok(());
    }
    Err(Failure::invalid_config(
        "principal_name",
        format!(
            "The name {name:?} cannot be used for a PostgreSQL role: it must have 1 to {NAME_LIMIT} characters, \
             all of them letters, digits, `_`, `-` or `.`. Change the role's name template."
        ),
    ))
}

/// `VALID UNTIL`'s value, without quotes. PostgreSQL's own end is the lease's,
/// to the second: never before it, and a backstop should the host be down.
pub(crate) fn valid_until(expires_at: Option<UnixTime>) -> String {
    expires_at.map_or_else(|| "infinity".to_owned(), |end| end.to_string())
}

/// Longest identifier in bytes (`NAMEDATALEN - 1`); PostgreSQL cuts longer
/// ones off without a word.
pub(crate) const NAME_LIMIT: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(identifier(r#"a"b"#), r#""a""b""#);
        assert_eq!(literal("a'b"), "'a''b'");
        assert_eq!(literal(r"a\b").trim(), r"E'a\\b'");
        assert_eq!(
            identifiers(&["a".to_owned(), "b c".to_owned()]),
            r#""a", "b c""#
        );
    }

    #[test]
    fn only_names_that_are_safe_in_any_quotes_are_taken() {
        for name in ["db-app-x7", "v_token.1", &"a".repeat(63)] {
            assert!(check_principal(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "a\"b",
            "a'b",
            "a b",
            "a;b",
            "a\\b",
            "ä",
            "a$b",
            &"a".repeat(64),
        ] {
            assert!(check_principal(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_end_is_the_lease_s_or_infinity() {
        assert_eq!(valid_until(None), "infinity");
        assert_eq!(
            valid_until(Some(UnixTime::from_seconds(1_795_291_200))),
            "2026-11-21T20:00:00Z"
        );
    }
}
