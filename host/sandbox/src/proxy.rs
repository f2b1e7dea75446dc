//! The mount's HTTP proxy: HTTP goes to it in absolute form (RFC 9112, 3.2.2), HTTPS through
//! a tunnel (CONNECT; RFC 9110, 9.3.6), in which TLS is between the host and upstream as
//! without a proxy.
//!
//! The grants apply to the target as the guest names it, before the proxy hears of it. An
//! address is checked as without a proxy. A name is resolved by the proxy, so its addresses
//! cannot be: what a granted name stands for there is the operator's choice, as is the
//! proxy's own address.

use std::{pin::Pin, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use lessor_model::{grants::Destination, proxy::Proxy};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use wasmtime_wasi_http::Error;
use zeroize::Zeroizing;

use super::reach::{DialError, Reach, reason};

/// Bytes of the longest head of a proxy's answer to CONNECT.
const HEAD: usize = 8 << 10;

/// How long a proxy may take to open a tunnel: it connects to upstream meanwhile.
const TUNNEL: Duration = Duration::from_secs(30);

/// A connection, whatever it is made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// The way to upstream.
pub(super) type Way = Pin<Box<dyn Stream>>;

/// Connects to the proxy itself.
pub(super) async fn connect(reach: &Reach, proxy: &Proxy) -> Result<Way, Error> {
    let stream = reach.dial_proxy(&proxy.url).await.map_err(|error| {
        if !matches!(error, DialError::TooMany) {
            let sentence = format!("{} cannot be reached: {error}", named(reach, proxy));
            reach.note_proxy(Some(sentence));
        }
        Error::from(error)
    })?;
    if !proxy.url.tls {
        return Ok(Box::pin(stream));
    }
    let scope = reach.scope().map_err(|_| Error::HttpRequestDenied)?;
    let name = proxy.url.host.to_string();
    let tls = &reach.outside.tls;
    let secured = tls.connect(&scope.extra_roots, &name, stream).await;
    let secured = secured.map_err(|error| {
        reach.note_proxy(Some(format!(
            "{} fails the TLS check: {error}; an authority of its own stands in extra_roots",
            named(reach, proxy)
        )));
        Error::ConnectionTerminated
    })?;
    Ok(Box::pin(secured))
}

/// Has the proxy open a tunnel to a destination.
pub(super) async fn tunnel(reach: &Reach, proxy: &Proxy, to: &Destination) -> Result<Way, Error> {
    let mut way = connect(reach, proxy).await?;
    let authority = format!("{}:{}", to.host, to.port);
    let status = match timeout(TUNNEL, ask(&mut way, proxy, &authority)).await {
        Ok(Ok(status)) => status,
        Ok(Err(why)) => {
            reach.note_proxy(Some(format!(
                "{} did not open a tunnel to {authority}: {why}",
                named(reach, proxy)
            )));
            return Err(Error::ConnectionTerminated);
        }
        Err(_) => {
            reach.note_proxy(Some(format!(
                "{} did not open a tunnel to {authority} within {} s",
                named(reach, proxy),
                TUNNEL.as_secs()
            )));
            return Err(Error::ConnectionTimeout);
        }
    };
    match status {
        200..300 => {
            reach.note_proxy(None);
            Ok(way)
        }
        407 => Err(unauthorised(reach, proxy)),
        _ => {
            reach.note_proxy(Some(format!(
                "{} refused a tunnel to {authority} with status {status}",
                named(reach, proxy)
            )));
            Err(Error::ConnectionRefused)
        }
    }
}

/// The proxy wants other credentials, or some.
pub(super) fn unauthorised(reach: &Reach, proxy: &Proxy) -> Error {
    let mount = reach.scope().map_or("", |scope| scope.mount.as_str());
    let what = match proxy.credentials {
        Some(_) => "did not take the credentials of the mount: correct",
        None => "asks for credentials: set",
    };
    reach.note_proxy(Some(format!(
        "{} {what} http_proxy_credentials (`lessor mount tune {mount} --http-proxy-credentials FILE`)",
        named(reach, proxy)
    )));
    Error::ConnectionRefused
}

/// The header by which the mount shows itself to the proxy (RFC 7617).
pub(super) fn authorization(proxy: &Proxy) -> Option<HeaderValue> {
    let credentials = proxy.credentials.as_ref()?;
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(credentials.expose())));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The proxy, in a sentence.
fn named(reach: &Reach, proxy: &Proxy) -> String {
    let mount = reach.scope().map_or("", |scope| scope.mount.as_str());
    format!("the proxy {} of mount `{mount}`", proxy.url)
}

/// Asks for a tunnel; the status of the answer. What stands behind the answer's head is
/// upstream's, so that not a byte more is read.
async fn ask(way: &mut Way, proxy: &Proxy, authority: &str) -> Result<u16, String> {
    let shown = authorization(proxy);
    let shown = shown.as_ref().and_then(|value| value.to_str().ok());
    let shown = shown.map_or_else(String::new, |value| {
        format!("Proxy-Authorization: {value}\r\n")
    });
    let request = Zeroizing::new(format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{shown}\r\n"
    ));
    let broken = |error: std::io::Error| reason(&error);
    way.write_all(request.as_bytes()).await.map_err(broken)?;
    way.flush().await.map_err(broken)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD {
            return Err(format!("its answer has a head of more than {HEAD} bytes"));
        }
        head.push(way.read_u8().await.map_err(broken)?);
    }
    status_of(&head).ok_or_else(|| "its answer is not HTTP".to_owned())
}

/// The status in the head of an answer.
fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let version = words.next()?;
    let status = words.next()?;
    let fits = version.starts_with("HTTP/1.") && status.len() == 3;
    status.parse().ok().filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_an_answer_is_read() {
        for (head, expected) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Some(200)),
            (
                "HTTP/1.0 407 \r\nProxy-Authenticate: Basic\r\n\r\n",
                Some(407),
            ),
            ("HTTP/1.1 200\r\n\r\n", Some(200)),
            ("HTTP/2 200\r\n\r\n", None),
            ("HTTP/1.1 20\r\n\r\n", None),
            ("SSH-2.0-x\r\n\r\n", None),
            ("\r\n\r\n", None),
        ] {
            assert_eq!(status_of(head.as_bytes()), expected, "{head}");
        }
    }
}
