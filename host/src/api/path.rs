//! The path of a request, taken apart once.
//!
//! Doubled slashes collapse, as Vault's clients need it. Whatever could make two
//! readers see two paths is refused: dot segments, encoded slashes, control
//! characters, blanks around a segment. A name that makes no difference of case is
//! put into the form in which it is stored. All of that happens before anybody
//! judges the path, and what was judged is what is used: so every later stage may
//! compare segments as plain text, and no later one changes them.

use std::ops::Range;

use percent_encoding::percent_decode_str;

use crate::{id, model::login::Kind};

/// Longest path that is looked at, in bytes.
const LONGEST: usize = 2_048;

/// Segments below `/v1/`, decoded; none where the path is not below it.
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
    Ok((segments.next().as_deref() == Some("v1")).then(|| segments.collect()))
}

/// The path as it is judged and used, of segments below `/v1/`. `login` tells which
/// login method a path behind `auth/` belongs to, and how many segments its own
/// path has.
///
/// # Errors
/// A sentence, where a name of those that make no difference of case is not ASCII:
/// other letters have look-alikes, and cases that not every reader knows.
pub fn canonical(
    mut segments: Vec<String>,
    login: impl FnOnce(&str) -> Option<(Kind, usize)>,
) -> Result<Vec<String>, &'static str> {
    let names = names_in(&segments, login);
    for name in segments.get_mut(names).into_iter().flatten() {
        if !name.is_ascii() {
            return Err("names of policies, roles and users are ASCII");
        }
        *name = id::folded(name);
    }
    Ok(segments)
}

/// The same of a path that stands in a body: none where no request could have it.
/// A slash behind it stays, as it asks for a list.
pub fn canonical_text(
    text: &str,
    login: impl FnOnce(&str) -> Option<(Kind, usize)>,
) -> Option<String> {
    let parts = text.split('/').filter(|part| !part.is_empty());
    let segments: Vec<String> = parts.map(str::to_owned).collect();
    let is_ambiguous = |segment: &String| {
        [".", ".."].contains(&segment.as_str())
            || segment.contains('\\')
            || segment.chars().any(char::is_control)
            || segment.trim() != segment
    };
    if segments.iter().any(is_ambiguous) {
        return None;
    }
    let mut path = canonical(segments, login).ok()?.join("/");
    if text.ends_with('/') {
        path.push('/');
    }
    Some(path)
}

/// Which segments hold a name that makes no difference of case.
fn names_in(
    segments: &[String],
    login: impl FnOnce(&str) -> Option<(Kind, usize)>,
) -> Range<usize> {
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let found = match parts.as_slice() {
        // A policy's name may hold slashes.
        ["sys", "policies", "acl", ..] => 3..parts.len(),
        ["sys", "policy", ..] => 2..parts.len(),
        ["auth", "token", "roles" | "create", ..] => 3..4,
        ["auth", below @ ..] => match login(&below.join("/")) {
            Some((kind, length)) => {
                let collection = below.get(length).copied().unwrap_or_default();
                match kind.collections().contains(&collection) {
                    true => length + 2..length + 3,
                    false => 0..0,
                }
            }
            None => 0..0,
        },
        _ => 0..0,
    };
    let end = found.end.min(parts.len());
    found.start.min(end)..end
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
        ] {
            assert_eq!(segments(raw).unwrap().unwrap().join(" "), expected, "{raw}");
        }
        for raw in ["/", "", "/ui/", "/v2/sys/health", "/v10"] {
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

    /// The login methods of the tests: two of one segment, one of two.
    fn login(path: &str) -> Option<(Kind, usize)> {
        [
            ("people", Kind::Userpass),
            ("Team/ci", Kind::AppRole),
            ("id", Kind::Jwt),
        ]
        .into_iter()
        .find_map(|(at, kind)| {
            let rest = path.strip_prefix(at)?;
            let fits = rest.is_empty() || rest.starts_with('/');
            fits.then(|| (kind, at.split('/').count()))
        })
    }

    /// Every name that makes no difference of case, and paths that look like one.
    #[test]
    fn names_are_in_the_form_that_is_used_before_a_path_is_judged() {
        for (path, expected) in [
            ("sys/policies/acl/Ops", "sys/policies/acl/ops"),
            ("sys/policies/acl/Team/OPS", "sys/policies/acl/team/ops"),
            ("sys/policy/OPS", "sys/policy/ops"),
            ("sys/policies/acl", "sys/policies/acl"),
            ("sys/policies/RGP/X", "sys/policies/RGP/X"),
            ("auth/token/roles/CI", "auth/token/roles/ci"),
            ("auth/token/create/CI", "auth/token/create/ci"),
            ("auth/token/create-orphan", "auth/token/create-orphan"),
            ("auth/token/lookup/X", "auth/token/lookup/X"),
            ("auth/people/users/ADMIN", "auth/people/users/admin"),
            (
                "auth/people/users/ADMIN/Password",
                "auth/people/users/admin/Password",
            ),
            ("auth/people/login/ADMIN", "auth/people/login/admin"),
            ("auth/people/role/ADMIN", "auth/people/role/ADMIN"),
            ("auth/people/users", "auth/people/users"),
            ("auth/people", "auth/people"),
            (
                "auth/Team/ci/role/CI/secret-id",
                "auth/Team/ci/role/ci/secret-id",
            ),
            ("auth/Team/ci/ROLE/CI", "auth/Team/ci/ROLE/CI"),
            ("auth/team/ci/role/CI", "auth/team/ci/role/CI"),
            ("auth/id/role/Dev", "auth/id/role/dev"),
            ("auth/id/login/Dev", "auth/id/login/Dev"),
            ("auth/nowhere/users/Bob", "auth/nowhere/users/Bob"),
            ("sys/auth/People", "sys/auth/People"),
            ("sys/mounts/DB", "sys/mounts/DB"),
            ("DB/roles/Reader", "DB/roles/Reader"),
            (
                "sys/leases/revoke/DB/creds/R/0",
                "sys/leases/revoke/DB/creds/R/0",
            ),
        ] {
            let split = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            let once = canonical(split(path), login).unwrap();
            assert_eq!(once.join("/"), expected, "{path}");
            assert_eq!(canonical(once.clone(), login), Ok(once), "{path}");
            assert_eq!(canonical_text(path, login).as_deref(), Some(expected));
            let spelled = format!("//{}/", path.replace('/', "//"));
            let listed = format!("{expected}/");
            assert_eq!(canonical_text(&spelled, login), Some(listed), "{path}");
        }
    }

    /// Letters that look like others, or that only some readers fold into ASCII: the
    /// Kelvin sign, a Cyrillic a, a long s, full-width letters.
    #[test]
    fn names_that_look_like_others_are_refused() {
        for name in [
            "\u{212a}arl",
            "\u{430}dmin",
            "\u{17f}ys",
            "\u{ff52}oot",
            "b\u{f6}b",
            "a\u{200b}",
        ] {
            for path in [
                "sys/policies/acl/",
                "sys/policy/x/",
                "auth/token/roles/",
                "auth/token/create/",
                "auth/people/users/",
                "auth/people/login/",
                "auth/Team/ci/role/",
                "auth/id/role/",
            ] {
                let path = format!("{path}{name}");
                let segments = path.split('/').map(str::to_owned).collect();
                assert!(canonical(segments, login).is_err(), "{path}");
                assert_eq!(canonical_text(&path, login), None, "{path}");
            }
        }
        for path in ["a/../b", "./a", "a\\b", "a/ b", "a\n"] {
            assert_eq!(canonical_text(path, login), None, "{path}");
        }
    }
}
