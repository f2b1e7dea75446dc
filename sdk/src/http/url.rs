//! URLs: built from parts that are encoded, split as wasi:http wants them, and
//! shown in messages without what may be secret.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::failure::{Failure, Result};
use crate::host::HttpUrl;

/// One part of a URL's path, or of a query, with everything encoded that has a
/// meaning there (RFC 3986): a `/` in a user's name stays in its segment.
pub fn encode(part: &str) -> Cow<'_, str> {
    utf8_percent_encode(part, RESERVED).into()
}

/// `base` with path segments added, each encoded.
pub fn url(base: &str, segments: &[&str]) -> String {
    let mut url = base.trim_end_matches('/').to_owned();
    for segment in segments {
        url.push('/');
        url.push_str(&encode(segment));
    }
    url
}

/// Splits an absolute URL as wasi:http wants it, without its fragment.
pub(crate) fn split(url: &str) -> Result<HttpUrl<'_>> {
    let refuse = |why: &str| {
        Failure::invalid_config(
            "bad_url",
            format!(
                "{} is not a URL that can be called: {why}.",
                without_query(url)
            ),
        )
    };
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| refuse("it does not start with https:// or http://"))?;
    let https = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return Err(refuse("it does not start with https:// or http://")),
    };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(end);
    if authority.is_empty() {
        return Err(refuse("it names no host"));
    }
    if authority.contains('@') {
        return Err(refuse("user and password do not belong in a URL"));
    }
    if path_and_query.starts_with('?') {
        return Err(refuse("it needs a / before the ?"));
    }
    let path_and_query = if path_and_query.is_empty() {
        "/"
    } else {
        path_and_query
    };
    Ok(HttpUrl {
        https,
        authority,
        path_and_query,
    })
}

/// A URL fit for messages: a query may hold a token, and so may user-info.
pub(super) fn without_query(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureClass;

    #[test]
    fn a_url_is_split_and_odd_ones_are_refused() {
        for (url, https, authority, path) in [
            ("https://a.example", true, "a.example", "/"),
            (
                "HTTP://a.example:8080/x?y=/z#f",
                false,
                "a.example:8080",
                "/x?y=/z",
            ),
            ("https://[::1]:9/x", true, "[::1]:9", "/x"),
        ] {
            let split = split(url).unwrap();
            assert_eq!(
                (split.https, split.authority, split.path_and_query),
                (https, authority, path)
            );
        }
        for url in [
            "a.example/x",
            "ftp://a.example",
            "https:///x",
            "https://u:hunter2@a.example/x",
            "https://a?b",
        ] {
            let failure = split(url).err().unwrap();
            assert_eq!(failure.class(), FailureClass::InvalidConfig);
            assert!(!failure.message().contains("hunter2"), "{failure}");
        }
    }

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(
            url("https://a.example/v1/", &["keys", "../x?y#z"]),
            "https://a.example/v1/keys/..%2Fx%3Fy%23z"
        );
        assert_eq!(url("https://a.example", &[]), "https://a.example");
    }
}
