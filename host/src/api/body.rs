//! Bodies and query strings as fields.
//!
//! A body is a JSON object or nothing. Its size and the time that it may take to
//! arrive are bounded. curl sends `application/x-www-form-urlencoded` with JSON
//! in it unless told otherwise, and Vault's documentation lets it; so do we.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{error::ApiError, json};

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Query parameters that are about the request, not in it.
const NOT_FIELDS: [&str; 2] = ["list", "help"];

/// Reads the body of a write.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Incoming,
    limit: usize,
) -> Result<Map<String, Value>, ApiError> {
    if body.is_end_stream() {
        return Ok(Map::new());
    }
    admit_content_type(headers)?;
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, limit).collect())
        .await
        .map_err(|_| {
            let sentence = "the body did not arrive within 30 s";
            ApiError::new(StatusCode::REQUEST_TIMEOUT, sentence)
        })?;
    let bytes = match collected {
        Ok(collected) => Zeroizing::new(collected.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => {
            let sentence =
                format!("the body is larger than {limit} bytes (limits.body_bytes of the server)");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, sentence));
        }
        Err(_) => return Err(ApiError::bad_request("the body broke off")),
    };
    fields(&bytes)
}

/// The fields of a body's bytes.
pub(super) fn fields(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match json::parse(bytes).map_err(ApiError::bad_request)? {
        Value::Object(fields) => Ok(fields),
        // Vault's own client sends null where it has nothing to say.
        Value::Null => Ok(Map::new()),
        _ => Err(ApiError::bad_request("the body must be a JSON object")),
    }
}

fn admit_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let kind = kind.to_str().unwrap_or_default();
    let essence = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "" | "*/*" | "application/json" | "application/x-www-form-urlencoded" => Ok(()),
        _ => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON, with the Content-Type application/json",
        )),
    }
}

/// The fields of a query string: texts, or lists of texts where a name repeats.
pub(super) fn of_query(query: &str) -> Result<Map<String, Value>, ApiError> {
    let mut fields = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        if NOT_FIELDS.contains(&name.as_str()) {
            continue;
        }
        match fields.get_mut(&name) {
            None => {
                fields.insert(name, value.into());
            }
            Some(Value::Array(values)) => values.push(value.into()),
            Some(single) => *single = Value::Array(vec![single.take(), value.into()]),
        }
    }
    Ok(fields)
}

fn decoded(text: &str) -> Result<String, ApiError> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| ApiError::bad_request("the query string is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_an_object_or_nothing() {
        for (bytes, expected) in [
            ("", json!({})),
            ("  \n", json!({})),
            ("null", json!({})),
            ("{\"a\": [1]}", json!({"a": [1]})),
        ] {
            assert_eq!(
                Value::Object(fields(bytes.as_bytes()).unwrap()),
                expected,
                "{bytes}"
            );
        }
        for bytes in ["[]", "\"x\"", "1", "{", "a=b"] {
            assert_eq!(
                fields(bytes.as_bytes()).unwrap_err().status(),
                400,
                "{bytes}"
            );
        }
    }

    #[test]
    fn content_types_that_cannot_be_json_are_refused() {
        let admitted = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            admit_content_type(&headers)
        };
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/x-www-form-urlencoded",
            "*/*",
        ] {
            assert!(admitted(kind).is_ok(), "{kind}");
        }
        for kind in [
            "text/xml",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/jsonx",
        ] {
            assert_eq!(admitted(kind).unwrap_err().status(), 415, "{kind}");
        }
        assert!(admit_content_type(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_query_gives_texts_and_lists() {
        for (query, expected) in [
            ("", json!({})),
            ("list=true&help=1", json!({})),
            ("a=b%20c+d&e", json!({"a": "b c d", "e": ""})),
            ("a=1&a=2&a=3", json!({"a": ["1", "2", "3"]})),
        ] {
            assert_eq!(Value::Object(of_query(query).unwrap()), expected, "{query}");
        }
        assert!(of_query("a=%ff").is_err());
    }
}
