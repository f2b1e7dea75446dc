//! HTTP inside a component: one exchange over wasi:http, body included, with
//! the length of the answer capped while it is read.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, HeaderError, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::{HttpAnswer, HttpCall, HttpError, HttpUrl};
use crate::network::NetworkCause;

/// Sends the request and reads the whole answer.
pub(crate) fn exchange(call: &HttpCall<'_>) -> Result<HttpAnswer, HttpError> {
    let request = request(call)?;
    let body = request
        .body()
        .map_err(|()| HttpError::BadRequest("it has no body to write".to_owned()))?;
    let pending =
        outgoing_handler::handle(request, options(call)).map_err(|code| refused(call.url, code))?;
    send_body(call, body)?;
    pending.subscribe().block();
    match pending.get() {
        Some(Ok(Ok(response))) => read(call, response),
        Some(Ok(Err(code))) => Err(refused(call.url, code)),
        _ => Err(HttpError::Network(NetworkCause::Closed)),
    }
}

fn request(call: &HttpCall<'_>) -> Result<OutgoingRequest, HttpError> {
    let bad = |what: &str| HttpError::BadRequest(format!("{what} is not valid"));
    let mut headers: Vec<(String, Vec<u8>)> = call
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
        .collect();
    // Without a length the host would announce chunks, which some servers
    // refuse where a body means nothing.
    if !call.body.is_empty() || !matches!(call.method, "GET" | "HEAD") {
        headers.push((
            "content-length".to_owned(),
            call.body.len().to_string().into_bytes(),
        ));
    }
    let headers = Fields::from_list(&headers).map_err(|error| {
        HttpError::BadRequest(match error {
            HeaderError::Forbidden => "one of its headers is set by the host alone".to_owned(),
            _ => "one of its headers is not valid".to_owned(),
        })
    })?;
    let request = OutgoingRequest::new(headers);
    let scheme = if call.url.https {
        Scheme::Https
    } else {
        Scheme::Http
    };
    request
        .set_method(&method(call.method))
        .map_err(|()| bad("its method"))?;
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| bad("its scheme"))?;
    request
        .set_authority(Some(call.url.authority))
        .map_err(|()| bad("its host"))?;
    request
        .set_path_with_query(Some(call.url.path_and_query))
        .map_err(|()| bad("its path"))?;
    Ok(request)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn options(call: &HttpCall<'_>) -> Option<RequestOptions> {
    let nanoseconds = call.timeout_ms?.saturating_mul(1_000_000);
    let options = RequestOptions::new();
    // A host that does not know one of these limits keeps its own.
    let _ = options.set_connect_timeout(Some(nanoseconds));
    let _ = options.set_first_byte_timeout(Some(nanoseconds));
    let _ = options.set_between_bytes_timeout(Some(nanoseconds));
    Some(options)
}

fn send_body(call: &HttpCall<'_>, body: OutgoingBody) -> Result<(), HttpError> {
    if !call.body.is_empty() {
        let stream = body
            .write()
            .map_err(|()| HttpError::Network(NetworkCause::Closed))?;
        // An upstream that answers before it has read everything closes its
        // side; its answer tells more than the broken write.
        let _ = write_all(&stream, call.body);
    }
    let _ = OutgoingBody::finish(body, None);
    Ok(())
}

fn write_all(stream: &OutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    bytes
        .chunks(WRITE_AT_ONCE)
        .try_for_each(|chunk| stream.blocking_write_and_flush(chunk))
}

fn read(call: &HttpCall<'_>, response: IncomingResponse) -> Result<HttpAnswer, HttpError> {
    let headers = response.headers().entries();
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let closed = |()| HttpError::Network(NetworkCause::Closed);
    let status = response.status();
    let incoming = response.consume().map_err(closed)?;
    let body = read_body(&incoming, call.limit)?;
    Ok(HttpAnswer {
        status,
        headers,
        body,
    })
}

fn read_body(incoming: &IncomingBody, limit: usize) -> Result<Vec<u8>, HttpError> {
    let stream: InputStream = incoming
        .stream()
        .map_err(|()| HttpError::Network(NetworkCause::Closed))?;
    let mut body = Vec::new();
    loop {
        match stream.blocking_read(READ_AT_ONCE) {
            Ok(chunk) if body.len() + chunk.len() > limit => return Err(HttpError::TooLong),
            Ok(chunk) => body.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok(body),
            Err(StreamError::LastOperationFailed(error)) => {
                let text = error.to_debug_string();
                return Err(HttpError::Network(NetworkCause::Broken(text)));
            }
        }
    }
}

/// wasi:http has no place for the host's own sentence about a refusal; the host
/// adds it to the failure of the call.
fn refused(url: HttpUrl<'_>, code: ErrorCode) -> HttpError {
    let scheme = if url.https { "https" } else { "http" };
    let authority = url.authority;
    HttpError::Network(match code {
        ErrorCode::HttpRequestDenied => NetworkCause::Denied(format!(
            "the mount's allowed_hosts do not cover {scheme}://{authority}"
        )),
        ErrorCode::DestinationIpProhibited => NetworkCause::Denied(format!(
            "the mount's allowed_hosts do not cover the address of {scheme}://{authority}"
        )),
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => {
            NetworkCause::Unresolved
        }
        ErrorCode::TlsProtocolError
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsAlertReceived(_)
        | ErrorCode::ConfigurationError => NetworkCause::Tls(name(&code)),
        ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionLimitReached => NetworkCause::Unreachable(name(&code)),
        ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => NetworkCause::TimedOut,
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete => NetworkCause::Closed,
        ErrorCode::HttpResponseBodySize(_) => return HttpError::TooLong,
        ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestHeaderSectionSize(_) => return HttpError::BadRequest(name(&code)),
        ErrorCode::InternalError(Some(text)) => NetworkCause::Broken(text),
        other => NetworkCause::Broken(name(&other)),
    })
}

/// The code as wasi:http spells it, in Rust's case: `TlsCertificateError`.
fn name(code: &ErrorCode) -> String {
    let text = format!("{code:?}");
    text.strip_prefix("ErrorCode::").unwrap_or(&text).to_owned()
}

/// wasi:io takes at most this many bytes in one `blocking-write-and-flush`.
const WRITE_AT_ONCE: usize = 4096;
/// A usual answer in one call of the host.
const READ_AT_ONCE: u64 = 64 * 1024;
