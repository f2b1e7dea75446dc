//! AWS Signature Version 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
//!
//! Pure: a request and a time in, a header or a URL out. Where it does not know better,
//! it does as the other services do, and not as S3 does: see [`Request::path_as_it_is`].

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::credentials::Credentials;
use crate::http::encode;
use crate::time::UnixTime;

/// The scope of a signature.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// `iam`, `sts`, `secretsmanager`
    pub service: &'a str,
    /// `eu-central-1`
    pub region: &'a str,
    /// The time of the signature. AWS takes it for five minutes, before and after.
    pub time: UnixTime,
}

/// A request that is to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In upper case.
    pub method: &'a str,
    /// `host` or `host:port`, as it is sent.
    pub host: &'a str,
    /// As it is sent: already percent-encoded.
    pub path: &'a str,
    /// Decoded pairs. They are sent as [`query`] encodes them.
    pub query: &'a [(String, String)],
    /// All headers to be signed but `host`, `x-amz-date` and `x-amz-security-token`.
    pub headers: &'a [(String, String)],
    /// The part of the body that is signed.
    pub payload: Payload<'a>,
    /// Signs the path as it is sent, neither normalised nor encoded once more, as S3
    /// wants it.
    pub path_as_it_is: bool,
}

/// The part of a body that is signed.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// The body itself.
    Signed(&'a [u8]),
    /// Nothing of it, as in the presigned URLs of S3.
    Unsigned,
}

/// The headers that make a request a signed one: `x-amz-date`, `authorization`, and
/// `x-amz-security-token` where the key is a session's. Names in lower case.
pub fn headers(
    request: &Request<'_>,
    scope: Scope<'_>,
    key: &Credentials,
) -> Vec<(String, String)> {
    let mut added = vec![("x-amz-date".to_owned(), amz_time(scope.time))];
    if let Some(token) = &key.session_token {
        added.push(("x-amz-security-token".to_owned(), token.expose().to_owned()));
    }
    let signed = [request.headers, &added].concat();
    let (canonical, names) = canonical(request, request.query, &signed);
    let signature = signature(&canonical, scope, key);
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={names}, Signature={signature}",
        key.access_key,
        credential_scope(scope)
    );
    added.push(("authorization".to_owned(), authorization));
    added
}

/// The query of a presigned URL, signature included: whoever has the URL may make this
/// one request for `lifetime` seconds, of at most seven days.
pub fn presigned_query(
    request: &Request<'_>,
    scope: Scope<'_>,
    key: &Credentials,
    lifetime: u32,
) -> String {
    let (_, names) = canonical_headers(request.host, request.headers);
    let credential = format!("{}/{}", key.access_key, credential_scope(scope));
    let mut pairs = request.query.to_vec();
    let mut add = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
    add("X-Amz-Algorithm", ALGORITHM);
    add("X-Amz-Credential", &credential);
    add("X-Amz-Date", &amz_time(scope.time));
    add("X-Amz-Expires", &lifetime.to_string());
    add("X-Amz-SignedHeaders", &names);
    if let Some(token) = &key.session_token {
        add("X-Amz-Security-Token", token.expose());
    }
    let (canonical, _) = canonical(request, &pairs, request.headers);
    let signature = signature(&canonical, scope, key);
    format!("{}&X-Amz-Signature={signature}", query(&pairs))
}

/// Decoded pairs as they are signed, and sent: encoded, then sorted by name and value.
pub fn query(pairs: &[(String, String)]) -> String {
    let mut encoded: Vec<_> = pairs
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    encoded.sort();
    let encoded: Vec<_> = encoded
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    encoded.join("&")
}

/// The canonical request, and the names of the headers that it signs.
fn canonical(
    request: &Request<'_>,
    pairs: &[(String, String)],
    signed: &[(String, String)],
) -> (String, String) {
    let (lines, names) = canonical_headers(request.host, signed);
    let path = match request.path_as_it_is {
        true => request.path.to_owned(),
        false => canonical_path(request.path),
    };
    let payload = match request.payload {
        Payload::Signed(body) => hex(&Sha256::digest(body)),
        Payload::Unsigned => UNSIGNED.to_owned(),
    };
    let (method, query) = (request.method, query(pairs));
    let text = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}");
    (text, names)
}

/// The headers as they are signed, a line each, and their names: in lower case, sorted,
/// without outer and repeated inner spaces, those of one name joined.
fn canonical_headers(host: &str, signed: &[(String, String)]) -> (String, String) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let host = [("host".to_owned(), host.to_owned())];
    for (name, value) in host.iter().chain(signed) {
        let name = name.to_ascii_lowercase();
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        match headers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => *values = format!("{values},{value}"),
            None => headers.push((name, value)),
        }
    }
    headers.sort();
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let names: Vec<_> = headers.into_iter().map(|(name, _)| name).collect();
    (lines, names.join(";"))
}

/// A path without its `.`, `..` and empty segments (RFC 3986, 5.2.4), encoded once more
/// than it is sent.
fn canonical_path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let mut text: String = kept
        .iter()
        .map(|segment| format!("/{}", encode(segment)))
        .collect();
    if text.is_empty() || path.ends_with('/') {
        text.push('/');
    }
    text
}

fn signature(canonical: &str, scope: Scope<'_>, key: &Credentials) -> String {
    let to_sign = format!(
        "{ALGORITHM}\n{}\n{}\n{}",
        amz_time(scope.time),
        credential_scope(scope),
        hex(&Sha256::digest(canonical))
    );
    let start = Zeroizing::new(format!("AWS4{}", key.secret_key.expose()));
    let mut signing_key = Zeroizing::new(start.as_bytes().to_vec());
    let date = day(scope.time);
    for part in [&date, scope.region, scope.service, TERMINATION] {
        signing_key = hmac(&signing_key, part.as_bytes());
    }
    hex(&hmac(&signing_key, to_sign.as_bytes()))
}

fn hmac(key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

fn credential_scope(scope: Scope<'_>) -> String {
    let date = day(scope.time);
    format!("{date}/{}/{}/{TERMINATION}", scope.region, scope.service)
}

/// `20150830T123600Z`
fn amz_time(time: UnixTime) -> String {
    time.to_string().replace(['-', ':'], "")
}

/// `20150830`
fn day(time: UnixTime) -> String {
    amz_time(time).chars().take_while(|c| *c != 'T').collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATION: &str = "aws4_request";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

#[cfg(test)]
mod tests;
