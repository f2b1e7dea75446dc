//! `wasi:http` for guests: one request on one connection that the grants allow.
//!
//! The feature of wasmtime-wasi-http that sends requests by itself is switched
//! off, so nothing goes past this. Redirects are the guest's business: each hop
//! is a request of its own and is checked like the first.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header, uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use lessor_model::{
    grants::{Destination, Host, Scheme},
    proxy::Proxy,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiHttpHooks};

use super::{
    account::{OVERHEAD, Resource},
    answer_head::HeadLeft,
    limits::{Exceeded, Limit},
    proxy,
    reach::Reach,
    tls::TlsError,
};

/// The body type of requests and responses in wasmtime-wasi-http.
type WasiBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Error>;

/// The work that is left on a connection while its response body is read.
type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// Bytes that are read ahead of what the guest has taken, and the longest head of a
/// response.
const BUFFER: usize = 64 << 10;

/// Bytes that may come before the head is there: the interim responses as well, and what
/// was read ahead of the body.
const BEFORE_HEAD: usize = 4 * BUFFER;

/// The number of bytes that a connection takes while it is open: its read-ahead, the part that the
/// guest reads, and the buffers of TLS.
const CONNECTION: usize = 3 * BUFFER;

/// Bytes of a request's body that are handed over at once. Two parts wait to be sent.
const PART: usize = 64 << 10;

/// Where the request options give no limit, the call's timeout is the limit.
const NO_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Sends the requests of one call.
pub(super) struct HttpHooks {
    pub(super) reach: Arc<Reach>,
}

impl WasiHttpHooks for HttpHooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Driver,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Driver), Error>> + Send> {
        let reach = Arc::clone(&self.reach);
        Box::new(async move { send(&reach, request, options).await })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PART
    }
}

async fn send(
    reach: &Reach,
    mut request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<(Response<WasiBody>, Driver), Error> {
    let (connect_limit, answer_limit) = options.map_or((NO_LIMIT, NO_LIMIT), |options| {
        (
            options.connect_timeout.unwrap_or(NO_LIMIT),
            options.first_byte_timeout.unwrap_or(NO_LIMIT),
        )
    });
    let target = Target::of(request.uri())?;
    // A proxy is told the whole URL, upstream its path.
    let by_proxy = proxy_of(reach, &target).filter(|_| target.scheme == Scheme::Http);
    match by_proxy {
        Some(proxy) => {
            request.headers_mut().remove(header::PROXY_AUTHORIZATION);
            if let Some(shown) = proxy::authorization(proxy) {
                let headers = request.headers_mut();
                headers.insert(header::PROXY_AUTHORIZATION, shown);
            }
        }
        None => {
            let path = request.uri().path_and_query().cloned();
            let path = path.unwrap_or_else(|| uri::PathAndQuery::from_static("/"));
            *request.uri_mut() = Uri::from(path);
        }
    }

    let held = reach
        .account
        .hold(Resource::Connections, CONNECTION)
        .map_err(|_| Error::ConnectionLimitReached)?;
    let (sender, driver, head) = timeout(connect_limit, open(reach, &target))
        .await
        .map_err(|_| Error::ConnectionTimeout)??;
    // From here on, upstream may hear of it.
    reach.touch();
    let (response, driver) = timeout(answer_limit, exchange(sender, driver, request))
        .await
        .map_err(|_| Error::ConnectionReadTimeout)?
        .map_err(|error| {
            let is_long = matches!(&error, Error::Hyper(error) if error.is_parse_too_large());
            if is_long || head.is_spent() {
                reach.exceeded.note(Limit::Head);
                return Error::HttpResponseHeaderSectionSize(None);
            }
            error
        })?;
    head.has_come();
    if let Some(proxy) = by_proxy {
        if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(proxy::unauthorised(reach, proxy));
        }
        reach.note_proxy(None);
    }
    let entries = response.headers().iter();
    let size = entries.map(|(name, value)| entry(name.as_str(), value.as_bytes()));
    reach
        .account
        .keep(Resource::Headers, size.sum())
        .map_err(|_| Error::HttpResponseHeaderSectionSize(None))?;
    let limit = reach.outside.limits.response;
    let response = response.map(|body| capped(body, limit, reach.exceeded.clone()));
    let driver = async move {
        let driven = driver.await;
        drop(held);
        driven
    };
    Ok((response, Box::new(driver)))
}

/// The destination of a request.
struct Target {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Target {
    fn of(uri: &Uri) -> Result<Self, Error> {
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(Error::HttpProtocolError),
        };
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(Error::HttpRequestUriInvalid);
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None => scheme.default_port().ok_or(Error::HttpRequestUriInvalid)?,
        };
        Ok(Self {
            scheme,
            host: authority.host().to_owned(),
            port,
        })
    }
}

type Sender = http1::SendRequest<WasiBody>;
type Connection = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

async fn open(reach: &Reach, target: &Target) -> Result<(Sender, Connection, HeadLeft), Error> {
    if let Some(proxy) = proxy_of(reach, target) {
        let destination = reach.permit_by_proxy(target.scheme, &target.host, target.port)?;
        return match target.scheme {
            Scheme::Http | Scheme::Tcp => handshake(proxy::connect(reach, proxy).await?).await,
            Scheme::Https => {
                let way = proxy::tunnel(reach, proxy, &destination).await?;
                secured(reach, &destination, way).await
            }
        };
    }
    let dialled = reach.dial(target.scheme, &target.host, target.port).await?;
    match target.scheme {
        Scheme::Http | Scheme::Tcp => handshake(dialled.stream).await,
        Scheme::Https => secured(reach, &dialled.destination, dialled.stream).await,
    }
}

/// The proxy of the mount, if it has one that the target is reached by.
fn proxy_of<'r>(reach: &'r Reach, target: &Target) -> Option<&'r Proxy> {
    let proxy = reach.scope().ok()?.proxy.as_deref()?;
    let host = Host::parse(&target.host);
    let excepted = host.is_ok_and(|host| proxy.except.covers(&host, target.port));
    (!excepted).then_some(proxy)
}

/// A connection in TLS with upstream itself.
async fn secured<S>(
    reach: &Reach,
    to: &Destination,
    stream: S,
) -> Result<(Sender, Connection, HeadLeft), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let scope = reach.scope().map_err(|_| Error::HttpRequestDenied)?;
    let name = to.host.to_string();
    let tls = &reach.outside.tls;
    let secured = tls.connect(&scope.extra_roots, &name, stream).await;
    let secured = secured.map_err(|error| match error {
        TlsError::Refused(reason) => {
            tracing::info!(host = name, reason, "upstream failed the TLS check");
            Error::TlsCertificateError
        }
        TlsError::Broken => Error::ConnectionTerminated,
        TlsError::Name(_) | TlsError::Root(_) | TlsError::Setup(_) => Error::ConfigurationError,
    })?;
    handshake(secured).await
}

async fn handshake<S>(stream: S) -> Result<(Sender, Connection, HeadLeft), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, head) = HeadLeft::before(stream, BEFORE_HEAD);
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(stream))
        .await?;
    Ok((sender, Box::pin(connection), head))
}

/// Sends the request and waits for the head of its response, driving the
/// connection meanwhile; gives back what remains to be driven.
async fn exchange(
    mut sender: Sender,
    mut connection: Connection,
    request: Request<WasiBody>,
) -> Result<
    (
        Response<Incoming>,
        impl Future<Output = Result<(), Error>> + Send + use<>,
    ),
    Error,
> {
    let mut response = std::pin::pin!(sender.send_request(request));
    let mut driven = false;
    let response = loop {
        tokio::select! {
            response = &mut response => break response?,
            ended = &mut connection, if !driven => {
                ended?;
                driven = true;
            }
        }
    };
    Ok((response, async move {
        if driven {
            return Ok(());
        }
        connection.await.map_err(Error::from)
    }))
}

/// A response body that fails once it is longer than `limit` bytes.
fn capped(body: Incoming, limit: usize, exceeded: Exceeded) -> WasiBody {
    let too_long = move || {
        exceeded.note(Limit::Response);
        Error::HttpResponseBodySize(u64::try_from(limit).ok())
    };
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return http_body_util::StreamBody::new(futures_util::stream::iter([Err(too_long())]))
            .boxed_unsync();
    }
    Limited::new(body, limit)
        .map_err(move |error| {
            if error.is::<LengthLimitError>() {
                return too_long();
            }
            match error.downcast::<hyper::Error>() {
                Ok(error) => Error::Hyper(*error),
                Err(_) => Error::HttpProtocolError,
            }
        })
        .boxed_unsync()
}

/// The number of bytes that a header takes.
pub(super) fn entry(name: &str, value: &[u8]) -> usize {
    name.len()
        .saturating_add(value.len())
        .saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_scheme_host_and_port() {
        for (uri, expected) in [
            (
                "https://a.example/x",
                Some((Scheme::Https, "a.example", 443)),
            ),
            ("http://a.example", Some((Scheme::Http, "a.example", 80))),
            ("https://[::1]:8443/", Some((Scheme::Https, "[::1]", 8443))),
            ("https://user@a.example/", None),
            ("https://user:pw@a.example/", None),
            ("ftp://a.example/", None),
            ("/x", None),
        ] {
            let target = Target::of(&uri.parse().unwrap()).ok();
            let found = target.as_ref().map(|t| (t.scheme, t.host.as_str(), t.port));
            assert_eq!(found, expected, "{uri}");
        }
    }
}
