//! The seam natively: one test host per thread, put in place by the harness for
//! the time of a call. Without a harness there is a host that grants nothing.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use hkdf::Hkdf;
use sha2::Sha256;

use super::peer::{Peer, Script};
use super::upstream::{Received, Route};
use crate::host::{HttpAnswer, HttpCall, HttpError};
use crate::identity::IdentityError;
use crate::log::Level;
use crate::network::NetworkCause;
use crate::occasion::{Caller, Trigger};
use crate::time::UnixTime;

pub(crate) use super::crypto::{generate_key, pbkdf2_sha256, sign, verify};

/// A log event of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// How much it matters.
    pub level: Level,
    /// What happened.
    pub message: String,
    /// With what.
    pub fields: Vec<(String, String)>,
}

/// All that the test host knows.
pub(crate) struct TestHost {
    pub(crate) operation_id: String,
    pub(crate) now: UnixTime,
    /// How long the provider has waited, which moves the clock.
    pub(crate) waited: Duration,
    pub(crate) trigger: Trigger,
    pub(crate) caller: Option<Caller>,
    pub(crate) routes: Vec<Route>,
    pub(crate) received: Vec<Received>,
    pub(crate) scripts: HashMap<String, VecDeque<Script>>,
    pub(crate) loopback: bool,
    /// Every peer that was connected to, alive as long as the harness.
    pub(crate) peers: Vec<Rc<RefCell<Peer>>>,
    pub(crate) parked: HashMap<String, Vec<Rc<RefCell<Peer>>>>,
    pub(crate) logged: Vec<Logged>,
    /// Audiences that get a token.
    pub(crate) audiences: Vec<String>,
    /// What `memo` keeps, and until when.
    pub(crate) kept: HashMap<String, (Vec<u8>, UnixTime)>,
}

impl Default for TestHost {
    fn default() -> Self {
        Self {
            operation_id: String::new(),
            now: A_QUIET_DAY,
            waited: Duration::ZERO,
            trigger: Trigger::Request,
            caller: None,
            routes: Vec::new(),
            received: Vec::new(),
            scripts: HashMap::new(),
            loopback: false,
            peers: Vec::new(),
            parked: HashMap::new(),
            logged: Vec::new(),
            audiences: Vec::new(),
            kept: HashMap::new(),
        }
    }
}

thread_local! {
    static HOST: RefCell<TestHost> = RefCell::default();
}

/// Runs `call` with `host` in place, and gives the host back afterwards.
pub(crate) fn with<T>(host: &mut TestHost, call: impl FnOnce() -> T) -> T {
    HOST.with_borrow_mut(|current| std::mem::swap(current, host));
    let result = call();
    HOST.with_borrow_mut(|current| std::mem::swap(current, host));
    result
}

/// The provider's end of a connection to a [`Peer`].
pub(crate) struct Stream(Rc<RefCell<Peer>>);

pub(crate) fn connect(host: &str, port: u16) -> Result<Stream, NetworkCause> {
    let address = format!("{host}:{port}");
    HOST.with_borrow_mut(|test| {
        let peer = match test.scripts.get_mut(&address).and_then(VecDeque::pop_front) {
            Some(script) => Peer::scripted(script),
            None if test.loopback && is_loopback(host) => {
                let stream = TcpStream::connect((host, port));
                Peer::Real(stream.map_err(|error| NetworkCause::Unreachable(error.to_string()))?)
            }
            None => {
                let text = format!(
                    "The test has no script for tcp://{address}: give one by Harness::stream."
                );
                return Err(NetworkCause::Denied(text));
            }
        };
        let peer = Rc::new(RefCell::new(peer));
        test.peers.push(Rc::clone(&peer));
        Ok(Stream(peer))
    })
}

/// The test host masks nothing: the tests see what the provider says.
pub(crate) fn remember(_secret: &str) {}

pub(crate) fn unpark(key: &str) -> Option<Stream> {
    HOST.with_borrow_mut(|test| test.parked.get_mut(key).and_then(Vec::pop).map(Stream))
}

impl Stream {
    pub(crate) fn park(self, key: &str) {
        HOST.with_borrow_mut(|test| test.parked.entry(key.to_owned()).or_default().push(self.0));
    }

    pub(crate) fn start_tls(&mut self, _server_name: Option<&str>) -> Result<(), NetworkCause> {
        self.0.borrow_mut().start_tls()
    }

    pub(crate) fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.0.borrow().certificate()
    }

    pub(crate) fn read(&mut self, limit: u32) -> Result<Vec<u8>, NetworkCause> {
        self.0.borrow_mut().read(limit as usize)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), NetworkCause> {
        self.0.borrow_mut().write(bytes)
    }
}

pub(crate) fn exchange(call: &HttpCall<'_>) -> Result<HttpAnswer, HttpError> {
    let forbidden = |value: &str| {
        value
            .bytes()
            .any(|byte| byte.is_ascii_control() && byte != b'\t')
    };
    if let Some((name, _)) = call
        .headers
        .iter()
        .find(|(name, value)| forbidden(name) || forbidden(value))
    {
        return Err(HttpError::BadRequest(format!(
            "its header {name:?} is not valid"
        )));
    }
    let received = Received::from(call);
    // The routes are taken out while one answers, because an answer is the
    // test's own code and may ask for anything.
    let mut routes = HOST.with_borrow_mut(|test| {
        test.received.push(received.clone());
        std::mem::take(&mut test.routes)
    });
    let answer = routes
        .iter_mut()
        .find(|route| route.matches(&received))
        .and_then(|route| route.respond(&received));
    HOST.with_borrow_mut(|test| test.routes = routes);
    match answer {
        Some(answer) if answer.body.len() > call.limit => Err(HttpError::TooLong),
        Some(answer) => Ok(answer),
        None => {
            let (method, url) = (&received.method, &received.url);
            let text = format!(
                "The test has no answer for {method} {url}: give one by Harness::upstream."
            );
            Err(HttpError::Network(NetworkCause::Denied(text)))
        }
    }
}

pub(crate) fn log(level: Level, message: &str, fields: &[(String, String)]) {
    let logged = Logged {
        level,
        message: message.to_owned(),
        fields: fields.to_vec(),
    };
    HOST.with_borrow_mut(|test| test.logged.push(logged));
}

/// As the contract says: HKDF-SHA256 over a key, the operation id and the
/// label. Only the key differs from the real host's.
pub(crate) fn derive(label: &str, length: u32) -> Vec<u8> {
    assert!(
        length <= 1024,
        "the host derives at most 1,024 bytes, and stops the call above"
    );
    let mut bytes = vec![0; length as usize];
    let operation_id = HOST.with_borrow(|test| test.operation_id.clone());
    let expanded = Hkdf::<Sha256>::new(Some(operation_id.as_bytes()), b"test key")
        .expand(label.as_bytes(), &mut bytes);
    assert!(
        expanded.is_ok(),
        "1,024 bytes are well below HKDF-SHA256's limit"
    );
    bytes
}

pub(crate) fn recall(key: &str) -> Option<Vec<u8>> {
    HOST.with_borrow(|test| {
        let (value, until) = test.kept.get(key)?;
        (test.now.plus(test.waited) < *until).then(|| value.clone())
    })
}

/// Within the limits of the contract, as the real host keeps.
pub(crate) fn keep(key: &str, value: &[u8], _is_secret: bool, ttl_s: u32) {
    HOST.with_borrow_mut(|test| {
        test.kept.remove(key);
        if value.len() <= 16 << 10 && key.len() <= 1024 {
            let until = test
                .now
                .plus(test.waited + Duration::from_secs(ttl_s.into()));
            test.kept.insert(key.to_owned(), (value.to_vec(), until));
        }
    });
}

pub(crate) fn forget(key: &str) {
    HOST.with_borrow_mut(|test| test.kept.remove(key));
}

/// A token that nobody signed: the test sees what is done with it.
pub(crate) fn identify(audience: &str) -> Result<String, IdentityError> {
    HOST.with_borrow(|test| {
        if test.audiences.iter().any(|allowed| allowed == audience) {
            return Ok(format!("test-token-for-{audience}"));
        }
        Err(IdentityError::NotAllowed(format!(
            "The test allows no audience {audience:?}: do so by Harness::audience."
        )))
    })
}

pub(crate) fn trigger() -> Trigger {
    HOST.with_borrow(|test| test.trigger)
}

pub(crate) fn caller() -> Option<Caller> {
    HOST.with_borrow(|test| test.caller.clone())
}

pub(crate) fn now() -> UnixTime {
    HOST.with_borrow(|test| test.now.plus(test.waited))
}

pub(crate) fn elapsed() -> Duration {
    HOST.with_borrow(|test| test.waited)
}

/// Nobody waits in a test: its clock moves on.
pub(crate) fn wait(time: Duration) {
    HOST.with_borrow_mut(|test| test.waited += time);
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// 2026-01-01T00:00:00Z.
const A_QUIET_DAY: UnixTime = UnixTime::from_seconds(1_767_225_600);
