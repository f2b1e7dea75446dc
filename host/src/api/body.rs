//! Bodies and query strings as fields.
//!
//! A body is a JSON object or nothing, whatever its `Content-Type` says: scripts
//! send JSON as text, curl as a form. A body that is called a form and does not begin with `{`
//! is one. This lets no web page in: a token is a header, and no browser adds one by itself.
//!
//! A body takes memory as it arrives and not before, and its size and time are
//! bounded. Callers without a token have less of each, and share [`POOL`] bytes, so that
//! callers with a token find room however many strangers there are.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use lessor_model::{
    json::{self, Bounds, Flaw},
    suggest,
};
use lessor_seal::keyring::Keyring;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::{
    error::ApiError,
    heavy::{For, Heavy},
};
use crate::audit;

/// Largest body of a stranger, in bytes: a login's signed token is half of it.
pub(super) const OF_A_STRANGER: usize = 128 << 10;

/// The time within which a stranger's body must arrive. A login is one packet.
pub(super) const PATIENCE_WITH_STRANGERS: Duration = Duration::from_secs(10);

/// The time within which the body of somebody with a token must arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of strangers' bodies that are kept at once, beyond [`FREE`] of each.
pub(super) const POOL: usize = 16 << 20;

/// Bytes of each body for which the pool is not asked: logins with a password or a
/// secret id are served also where slow bodies have emptied it.
const FREE: usize = 4 << 10;

/// Bytes of a body that is too large which are read and dropped: a client hears no answer while
/// it still sends.
const PASSED_BY: u64 = 2 << 20;

/// Query parameters about the request itself, which are no fields.
const NOT_FIELDS: [&str; 2] = ["list", "help"];

/// Reads bodies.
#[derive(Debug)]
pub(super) struct Bodies {
    limit: usize,
    pool: Arc<Pool>,
    heavy: Arc<Heavy>,
}

/// A body that was read.
#[derive(Debug)]
pub(super) struct Received {
    /// Its fields.
    pub(super) fields: Map<String, Value>,
    /// The same as the audit line shows them; null where nothing hashes yet.
    pub(super) hashed: Value,
}

impl Bodies {
    /// Of at most so many bytes each.
    pub(super) fn new(limit: usize, heavy: Arc<Heavy>) -> Self {
        Self {
            limit,
            pool: Arc::new(Pool(Mutex::new(POOL))),
            heavy,
        }
    }

    /// Reads a body; `query` has the fields that count beside its own.
    pub(super) async fn read(
        &self,
        whose: For,
        headers: &HeaderMap,
        body: Incoming,
        query: Map<String, Value>,
        keyring: Option<&Keyring>,
    ) -> Result<Received, ApiError> {
        let (limit, patience, bounds) = match whose {
            For::Caller => (self.limit, PATIENCE, json::CALLER),
            For::Stranger => (
                self.limit.min(OF_A_STRANGER),
                PATIENCE_WITH_STRANGERS,
                json::STRANGER,
            ),
        };
        let pool = (whose == For::Stranger).then(|| Arc::clone(&self.pool));
        let mut collected = Collected::new(limit, pool);
        let deadline = Instant::now() + patience;
        match timeout_at(deadline, collected.fill(body)).await {
            Ok(filled) => filled?,
            Err(_) => {
                let sentence = format!("the body did not arrive within {} s", patience.as_secs());
                return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, sentence));
            }
        }
        let is_form = is_form(headers, &collected.bytes);
        let length = collected.bytes.len();
        let keyring = keyring.cloned();
        let work = move || {
            let fields = match is_form {
                true => of_form(&collected.bytes, &bounds),
                false => fields(&collected.bytes, &bounds),
            }?;
            let document = Value::Object(beside(query, fields)?);
            let hashed = keyring.map(|keyring| audit::hashed(&keyring, &document));
            let fields = match document {
                Value::Object(fields) => fields,
                _ => Map::new(),
            };
            Ok(Received {
                fields,
                hashed: hashed.unwrap_or_default(),
            })
        };
        self.heavy.done(whose, length, work).await?
    }
}

/// The bytes of a body as far as they arrived.
struct Collected {
    bytes: Zeroizing<Vec<u8>>,
    limit: usize,
    /// Absent for a caller that takes no room of the pool.
    pool: Option<Arc<Pool>>,
    taken: usize,
}

impl Collected {
    fn new(limit: usize, pool: Option<Arc<Pool>>) -> Self {
        Self {
            bytes: Zeroizing::default(),
            limit,
            pool,
            taken: 0,
        }
    }

    /// Takes all of a body.
    async fn fill(&mut self, mut body: Incoming) -> Result<(), ApiError> {
        let mut refused = None;
        let mut passed = 0;
        while passed <= PASSED_BY
            && let Some(frame) = body.frame().await
        {
            let frame = frame.map_err(|_| ApiError::bad_request("the body broke off"))?;
            let Some(piece) = frame.data_ref() else {
                continue;
            };
            if refused.is_some() {
                passed += piece.len() as u64;
            } else if let Err(refusal) = self.take(piece) {
                self.give_back();
                refused = Some(refusal);
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Keeps nothing any more.
    fn give_back(&mut self) {
        self.bytes = Zeroizing::default();
        if let Some(pool) = &self.pool {
            pool.give_back(std::mem::take(&mut self.taken));
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        let length = self.bytes.len() + piece.len();
        if length > self.limit {
            return Err(self.too_large());
        }
        if let Some(pool) = &self.pool {
            let more = length.saturating_sub(FREE).saturating_sub(self.taken);
            if !pool.take(more) {
                return Err(ApiError::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "the server has no room for another large body without a token: try again in a moment",
                )
                .retry_after(PATIENCE_WITH_STRANGERS));
            }
            self.taken += more;
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn too_large(&self) -> ApiError {
        let sentence = match self.pool.is_some() && self.limit == OF_A_STRANGER {
            true => format!(
                "the body is larger than {OF_A_STRANGER} bytes, the most that is taken without a token"
            ),
            false => format!(
                "the body is larger than {} bytes (limits.body_bytes of the server)",
                self.limit
            ),
        };
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, sentence)
    }
}

impl Drop for Collected {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Bytes that strangers' bodies may still take.
#[derive(Debug)]
struct Pool(Mutex<usize>);

impl Pool {
    fn take(&self, bytes: usize) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = left.checked_sub(bytes);
        *left = rest.unwrap_or(*left);
        rest.is_some()
    }

    fn give_back(&self, bytes: usize) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left += bytes;
    }
}

/// Whether a body is a form: it is called one, and does not begin as JSON does.
/// curl calls everything a form unless it is told otherwise.
fn is_form(headers: &HeaderMap, bytes: &[u8]) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let text = bytes.trim_ascii();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && text != b"null"
        && !text.starts_with(b"{")
        && !text.starts_with(b"[")
}

/// The fields of a JSON body's bytes.
pub fn fields(bytes: &[u8], bounds: &Bounds) -> Result<Map<String, Value>, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match json::parse(bytes, bounds).map_err(refused)? {
        Value::Object(fields) => Ok(fields),
        // Vault's own client sends null where it has no fields.
        Value::Null => Ok(Map::new()),
        _ => Err(ApiError::bad_request("the body must be a JSON object")),
    }
}

/// The fields of a form's bytes.
fn of_form(bytes: &[u8], bounds: &Bounds) -> Result<Map<String, Value>, ApiError> {
    let not_text = |_| ApiError::bad_request("the body is a form that is not UTF-8");
    let text = std::str::from_utf8(bytes.trim_ascii()).map_err(not_text)?;
    of_pairs("the body", text, bounds)
}

/// The fields of a query string: texts, or lists of texts where a name repeats.
pub fn of_query(query: &str) -> Result<Map<String, Value>, ApiError> {
    let mut fields = of_pairs("the query string", query, &json::CALLER)?;
    for name in NOT_FIELDS {
        fields.shift_remove(name);
    }
    Ok(fields)
}

/// The fields of a query and of a body together. A field that has one value in the query and
/// another in the body is refused: its author relies on one of the two.
fn beside(
    mut query: Map<String, Value>,
    body: Map<String, Value>,
) -> Result<Map<String, Value>, ApiError> {
    let said = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for (name, value) in body {
        let other = query.get(&name);
        // Clients write null for a field that their callers left out.
        if other.is_some() && value.is_null() {
            continue;
        }
        if other.is_some_and(|other| said(other) != said(&value)) {
            return Err(ApiError::bad_request(format!(
                "{} has one value in the query string and another in the body: leave one of them out",
                suggest::shown(&name)
            )));
        }
        query.insert(name, value);
    }
    Ok(query)
}

fn of_pairs(what: &str, text: &str, bounds: &Bounds) -> Result<Map<String, Value>, ApiError> {
    let refuse = |flaw: Flaw| ApiError::bad_request(format!("{what} {flaw}"));
    let mut fields = Map::new();
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    for (index, pair) in pairs.enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if index >= bounds.values {
            return Err(refuse(Flaw::too_many(bounds)));
        }
        let (name, value) = (decoded(what, name)?, decoded(what, value)?);
        if name.len() > bounds.name {
            return Err(refuse(Flaw::name_too_long(bounds)));
        }
        if value.len() > bounds.text {
            return Err(refuse(Flaw::too_long(bounds)));
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

fn refused(flaw: Flaw) -> ApiError {
    ApiError::bad_request(format!("the body {flaw}"))
}

fn decoded(what: &str, text: &str) -> Result<String, ApiError> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| ApiError::bad_request(format!("{what} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_an_object_or_nothing() {
        let read = |bytes: &str| fields(bytes.as_bytes(), &json::CALLER);
        for (bytes, expected) in [
            ("", json!({})),
            ("  \n", json!({})),
            ("null", json!({})),
            ("{\"a\": [1]}", json!({"a": [1]})),
        ] {
            assert_eq!(Value::Object(read(bytes).unwrap()), expected, "{bytes}");
        }
        for bytes in ["[]", "\"x\"", "1", "{", "a=b"] {
            assert_eq!(read(bytes).unwrap_err().status(), 400, "{bytes}");
        }
    }

    #[test]
    fn a_form_is_what_is_called_one_and_does_not_begin_as_json() {
        let is_form = |kind: &str, bytes: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            super::is_form(&headers, bytes.as_bytes())
        };
        let form = "application/x-www-form-urlencoded";
        for (kind, bytes, expected) in [
            (form, "a=b", true),
            (
                "Application/X-WWW-Form-Urlencoded; charset=utf-8",
                "a=b",
                true,
            ),
            (form, "", true),
            (form, " \n{\"a\": 1}", false),
            (form, "[1]", false),
            (form, "null", false),
            ("text/plain", "a=b", false),
            ("application/json", "a=b", false),
            ("multipart/form-data; boundary=x", "--x", false),
        ] {
            assert_eq!(is_form(kind, bytes), expected, "{kind} {bytes}");
        }
        assert!(!super::is_form(&HeaderMap::new(), b"a=b"));
    }

    #[test]
    fn pairs_give_texts_and_lists() {
        for (query, expected) in [
            ("", json!({})),
            ("list=true&help=1", json!({})),
            ("a=b%20c+d&e", json!({"a": "b c d", "e": ""})),
            ("a=1&a=2&a=3", json!({"a": ["1", "2", "3"]})),
        ] {
            assert_eq!(Value::Object(of_query(query).unwrap()), expected, "{query}");
        }
        assert!(of_query("a=%ff").is_err());
        let form = of_form(b" list=a&list=b\n", &json::STRANGER).unwrap();
        assert_eq!(Value::Object(form), json!({"list": ["a", "b"]}));
    }

    #[test]
    fn what_query_and_body_say_counts_once() {
        for (query, body, expected) in [
            ("", "{}", Some(json!({}))),
            ("a=1", "", Some(json!({"a": "1"}))),
            ("", r#"{"a": [1]}"#, Some(json!({"a": [1]}))),
            ("a=1", r#"{"b": 2}"#, Some(json!({"a": "1", "b": 2}))),
            (
                "a=true&b=2",
                r#"{"b": 2, "a": true}"#,
                Some(json!({"a": true, "b": 2})),
            ),
            ("a=true", r#"{"a": false}"#, None),
            ("a=1", r#"{"a": null}"#, Some(json!({"a": "1"}))),
            ("", r#"{"a": null}"#, Some(json!({"a": null}))),
            ("a=1&a=2", r#"{"a": "1"}"#, None),
        ] {
            let body = fields(body.as_bytes(), &json::CALLER).unwrap();
            let both = beside(of_query(query).unwrap(), body);
            assert_eq!(both.ok().map(Value::Object), expected, "{query}");
        }
    }

    #[test]
    fn a_form_is_held_to_the_bounds_of_json() {
        let bounds = Bounds {
            depth: 1,
            values: 3,
            name: 3,
            text: 4,
        };
        for (form, expected) in [
            ("a=1&b=2&c=3", None),
            ("a=1&b=2&c=3&d=4", Some("more than 3 values")),
            ("a&a&a&a", Some("more than 3 values")),
            ("abcd=1", Some("longer than 3 bytes")),
            ("a=%41%41%41%41", None),
            ("a=12345", Some("longer than 4 bytes")),
        ] {
            let read = of_form(form.as_bytes(), &bounds);
            match expected {
                None => assert!(read.is_ok(), "{form}"),
                Some(words) => {
                    let sentence = read.unwrap_err().errors().join("");
                    assert!(sentence.contains(words), "{form}: {sentence}");
                }
            }
        }
    }

    #[test]
    fn the_pool_is_asked_beyond_what_is_free_and_given_back() {
        let pool = Arc::new(Pool(Mutex::new(10)));
        let left = || *pool.0.lock().unwrap();
        let mut small = Collected::new(1 << 20, Some(Arc::clone(&pool)));
        small.take(&[0; FREE]).unwrap();
        assert_eq!(left(), 10);
        let mut large = Collected::new(1 << 20, Some(Arc::clone(&pool)));
        large.take(&[0; FREE - 1]).unwrap();
        large.take(&[0; 9]).unwrap();
        assert_eq!(left(), 2);
        assert_eq!(large.take(&[0; 3]).unwrap_err().status(), 429);
        small.take(&[0; 2]).unwrap();
        drop(large);
        assert_eq!(left(), 8);
        drop(small);
        assert_eq!(left(), 10);
        // A caller with a token takes no room of the pool.
        let mut caller = Collected::new(1 << 20, None);
        caller.take(&[0; 1 << 20]).unwrap();
        assert_eq!(caller.take(&[0]).unwrap_err().status(), 413);
    }
}
