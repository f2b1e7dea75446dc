//! Paths and sentences as the log and the audit log may hold them: without the
//! tokens that a caller has put into a path.
//!
//! Vault had paths that end in a token (`auth/token/lookup/:token`), and some
//! clients still try them. Such paths name nothing here, but every path stands in clear in the
//! log. Pure; `record` calls it for every path and sentence that it writes down.

/// The text that replaces a token.
const MASK: &str = "<token>";

/// A path, its segments below `v1` or with it.
pub(super) fn path(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        let hidden = names_a_token(&out) || looks_like_token(segment);
        out.push(match hidden && !segment.is_empty() {
            true => MASK,
            false => segment,
        });
    }
    out.join("/")
}

/// A sentence, which may repeat a path.
pub(super) fn sentence(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !is_of_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        // The punctuation at the end of a sentence is no part of a token.
        let bare = word.trim_end_matches('.');
        match looks_like_token(bare) {
            true => {
                out.push_str(MASK);
                out.push_str(word.get(bare.len()..).unwrap_or_default());
            }
            false => out.push_str(word),
        }
        let next = after.chars().next().map_or(0, char::len_utf8);
        let (between, after) = after.split_at(next);
        out.push_str(between);
        rest = after;
    }
    out
}

/// Whether Vault's old clients put a token where the path goes on. Its place tells that, since
/// an operator may have chosen an id that does not look like a token.
fn names_a_token(before: &[&str]) -> bool {
    let mut segments = before
        .iter()
        .copied()
        .filter(|segment| !segment.is_empty())
        .skip_while(|segment| *segment == "v1");
    match (segments.next(), segments.next(), segments.next()) {
        // A role's name follows.
        (Some("auth"), Some("token"), Some("create" | "roles")) => false,
        (Some("auth"), Some("token"), Some(_)) => true,
        (Some("sys"), Some("wrapping"), Some(_)) => true,
        _ => false,
    }
}

/// Whether a text has the form of a token of this server, of Vault, or of a JSON
/// Web Token.
fn looks_like_token(text: &str) -> bool {
    let rest_of = |prefixes: &[&str]| prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    // Older versions of Vault; the prefix alone is too short to tell.
    let plain = |rest: &str| rest.len() >= 24 && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    if rest_of(&["s.", "b.", "r."]).is_some_and(plain) {
        return true;
    }
    let long = |rest: &str| rest.len() >= 16 && rest.chars().all(is_of_token);
    if rest_of(&["lsr.", "lsb.", "hvs.", "hvb.", "hvr."]).is_some_and(long) {
        return true;
    }
    text.starts_with("eyJ") && text.len() >= 40 && text.matches('.').count() == 2
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=')
}

#[cfg(test)]
mod tests {
    use super::{path, sentence};

    #[test]
    fn no_token_stands_in_a_path_that_is_written_down() {
        let ours = "lsr.AAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let old = "s.0123456789abcdefABCDEF01";
        let jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl";
        for (written, shown) in [
            ("sys/mounts/db".to_owned(), "sys/mounts/db".to_owned()),
            (
                "auth/token/lookup-self".into(),
                "auth/token/lookup-self".into(),
            ),
            (
                "auth/token/create/orders".into(),
                "auth/token/create/orders".into(),
            ),
            (
                "auth/token/roles/orders".into(),
                "auth/token/roles/orders".into(),
            ),
            (
                "auth/token/lookup/chosen".into(),
                "auth/token/lookup/<token>".into(),
            ),
            (
                "/v1//auth/token/revoke/chosen/x".into(),
                "/v1//auth/token/revoke/<token>/<token>".into(),
            ),
            (
                "sys/wrapping/unwrap/chosen".into(),
                "sys/wrapping/unwrap/<token>".into(),
            ),
            (format!("db/creds/{ours}"), "db/creds/<token>".into()),
            (format!("{old}/x"), "<token>/x".into()),
            (format!("a/{jwt}"), "a/<token>".into()),
            ("db/creds/s.short".into(), "db/creds/s.short".into()),
            (
                "db/creds/s.a-long-name-of-a-role-of-s".into(),
                "db/creds/s.a-long-name-of-a-role-of-s".into(),
            ),
        ] {
            assert_eq!(path(&written), shown);
        }
        assert_eq!(
            sentence(&format!(
                "nothing is mounted at \"x/{ours}\"; or {old}. über {jwt}"
            )),
            "nothing is mounted at \"x/<token>\"; or <token>. über <token>"
        );
        assert_eq!(sentence("all. is well…"), "all. is well…");
    }
}
