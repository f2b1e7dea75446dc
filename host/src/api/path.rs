//! The path of a request, taken apart once.
//!
//! Doubled slashes collapse, as Vault's clients need it. A path that two readers could read
//! differently is refused: dot segments, encoded slashes, control characters, blanks around a
//! segment. A name in which upper and lower case are the same is put into the form in which it
//! is stored. All of that happens before the path is judged, and the judged path is the one
//! that is used: so every later stage may compare segments as plain text, and no later one
//! changes them.

use percent_encoding::percent_decode_str;

/// Longest path that is looked at, in bytes.
const LONGEST: usize = 2_048;

/// The prefix of the documents that verifiers look for below the root.
const WELL_KNOWN: [&str; 3] = ["identity", "oidc", ".well-known"];

/// The documents below that prefix.
const DOCUMENTS: [&str; 2] = ["openid-configuration", "jwks.json"];

/// Segments below `/v1/`, decoded; none where the path is not below it. The documents that
/// verifiers look for below `/.well-known/` (RFC 8615) are the ones below
/// `/v1/identity/oidc/.well-known/`.
///
/// # Errors
/// A sentence, where the path could be read in two ways.
pub fn segments(raw: &str) -> Result<Option<Vec<String>>, &'static str> {
    if raw.len() > LONGEST {
        return Err("the path is longer than 2,048 bytes");
    }
    let mut segments = Vec::new();
    for part in raw.split('/').filter(|part| !part.is_empty()) {
        if !well_escaped(part) {
            return Err("the path has a % that no two hexadecimal digits follow");
        }
        let segment = percent_decode_str(part)
            .decode_utf8()
            .map_err(|_| "the path is not UTF-8")?;
        if segment == "." || segment == ".." {
            return Err("the path has a `.` or `..` segment");
        }
        if segment.contains(['/', '\\']) {
            return Err(
                "the path has an encoded slash or a backslash: no mount path, role name or lease id \
                 holds one within a segment",
            );
        }
        if segment.chars().any(char::is_control) {
            return Err("the path has a control character");
        }
        if segment.trim() != segment {
            return Err("the path has a segment that begins or ends with a blank");
        }
        segments.push(segment.into_owned());
    }
    let mut segments = segments.into_iter();
    Ok(match segments.next().as_deref() {
        Some("v1") => Some(segments.collect()),
        Some(".well-known") => match (segments.next(), segments.next()) {
            (Some(document), None) if DOCUMENTS.contains(&document.as_str()) => {
                let before = WELL_KNOWN.map(str::to_owned);
                Some(before.into_iter().chain([document]).collect())
            }
            _ => None,
        },
        _ => None,
    })
}

fn well_escaped(part: &str) -> bool {
    part.split('%').skip(1).all(|after| {
        after
            .as_bytes()
            .get(..2)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_collapse_and_escapes_are_undone() {
        for (raw, expected) in [
            ("/v1/sys/health", "sys health"),
            ("/v1//sys///mounts/", "sys mounts"),
            ("//v1/sys/mounts/db%2Done/", "sys mounts db-one"),
            ("/v1/db/creds/read%20only", "db creds read only"),
            ("/v1/..a/b..", "..a b.."),
            ("/v1", ""),
            (
                "/.well-known/jwks.json",
                "identity oidc .well-known jwks.json",
            ),
        ] {
            assert_eq!(segments(raw).unwrap().unwrap().join(" "), expected, "{raw}");
        }
        for raw in [
            "/",
            "",
            "/ui/",
            "/v2/sys/health",
            "/v10",
            "/.well-known/",
            "/.well-known/security.txt",
            "/.well-known/jwks.json/x",
        ] {
            assert_eq!(segments(raw), Ok(None), "{raw}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for raw in [
            "/v1/sys/../sys/mounts",
            "/v1/./sys",
            "/v1/sys/%2e%2e/mounts",
            "/v1/a/%2E",
            "/v1/a%2fb",
            "/v1/a%2Fb",
            "/v1/a%5cb",
            "/v1/a%00",
            "/v1/a%0ab",
            "/v1/%ff",
            "/v1/a%",
            "/v1/a%2",
            "/v1/a%zz",
            "/v1/a\\b",
            "/../v1/sys",
            "/v1/sys/policies/acl/ops%20",
            "/v1/sys/policies/acl/%20",
            "/v1/sys/policies/acl/%c2%a0ops",
        ] {
            assert!(segments(raw).is_err(), "{raw}");
        }
        assert!(segments(&format!("/v1/{}", "a".repeat(3_000))).is_err());
    }
}
