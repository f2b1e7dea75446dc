//! Everything that the SDK asks of the host, behind one seam: the bindings in a
//! component, the test host natively. Both offer the same names with the same
//! signatures; nothing else in the SDK knows which of them answers.

use crate::network::NetworkCause;

#[cfg(target_arch = "wasm32")]
pub(crate) mod bindings;
#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(target_arch = "wasm32")]
mod guest_http;

#[cfg(target_arch = "wasm32")]
pub(crate) use guest::{
    Stream, caller, connect, derive, elapsed, forget, generate_key, identify, keep, log, now,
    pbkdf2_sha256, recall, remember, sign, trigger, unpark, verify, wait,
};
#[cfg(target_arch = "wasm32")]
pub(crate) use guest_http::exchange;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::host::{
    Stream, caller, connect, derive, elapsed, exchange, forget, generate_key, identify, keep, log,
    now, pbkdf2_sha256, recall, remember, sign, trigger, unpark, verify, wait,
};

/// One HTTP request, as the seam takes it.
pub(crate) struct HttpCall<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: HttpUrl<'a>,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: &'a [u8],
    /// Milliseconds for connecting, and between bytes of the answer; none for
    /// the host's own limit.
    pub(crate) timeout_ms: Option<u64>,
    /// The longest body taken; a longer one is an error.
    pub(crate) limit: usize,
}

/// A URL, as wasi:http wants it.
#[derive(Clone, Copy)]
pub(crate) struct HttpUrl<'a> {
    pub(crate) https: bool,
    /// `host` or `host:port`
    pub(crate) authority: &'a str,
    /// `/path?query`
    pub(crate) path_and_query: &'a str,
}

/// One HTTP answer, as the seam gives it.
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no HTTP answer.
pub(crate) enum HttpError {
    Network(NetworkCause),
    /// The body is longer than the limit.
    TooLong,
    /// The request itself cannot be sent: a forbidden header, a bad method.
    BadRequest(String),
}
