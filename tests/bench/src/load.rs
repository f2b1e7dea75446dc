//! Connections that ask as fast as they are answered.
//!
//! One thread drives all of them, so that little is taken from the server, which
//! shares the processors; what it takes all the same is measured.

use std::{
    cell::RefCell,
    net::SocketAddr,
    process,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use lessor_tests::http::Http;
use tokio::{net::TcpStream, task::LocalSet};

use crate::system::processor_time;

/// Part of a load's length that is run before anything is counted: connections are
/// made, caches and pools fill.
const WARM_UP: u32 = 5;

/// The request that is sent again and again.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    /// Behind `/v1/`. `{n}` stands for a number that no other request has.
    pub(crate) path: String,
    pub(crate) body: String,
}

impl Question {
    pub(crate) fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            body: String::new(),
        }
    }

    pub(crate) fn post(path: &str, body: &serde_json::Value) -> Self {
        Self {
            method: Method::POST,
            path: path.to_owned(),
            body: body.to_string(),
        }
    }
}

/// The answers to it.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) per_second: f64,
    /// Sorted.
    times: Vec<Duration>,
    /// Processor time of an answer, in seconds: the client's, the server's.
    pub(crate) client: f64,
    pub(crate) server: f64,
}

impl Answers {
    /// The time in seconds within which a share of the answers came.
    pub(crate) fn within(&self, percent: usize) -> f64 {
        let index = (self.times.len() * percent / 100).min(self.times.len().saturating_sub(1));
        self.times
            .get(index)
            .map_or(f64::NAN, Duration::as_secs_f64)
    }
}

/// Asks the server of process `id` over so many connections, for so long.
///
/// # Errors
/// Where an answer is no success: no figure is made of refusals.
pub(crate) fn run(
    http: &Http,
    id: u32,
    question: &Question,
    connections: usize,
    length: Duration,
) -> Result<Answers> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let address: SocketAddr = http
        .base()
        .strip_prefix("http://")
        .context("an address without TLS")?
        .parse()?;
    let shared = Rc::new(Shared {
        address,
        token: http.token().to_owned(),
        question: question.clone(),
        begin: Instant::now() + length / WARM_UP,
        length,
        numbers: RefCell::new(0),
    });
    LocalSet::new().block_on(&runtime, async {
        let clients: Vec<_> = (0..connections)
            .map(|_| tokio::task::spawn_local(client(Rc::clone(&shared))))
            .collect();
        tokio::time::sleep_until(shared.begin.into()).await;
        let before = (processor_time(process::id())?, processor_time(id)?);
        tokio::time::sleep_until((shared.begin + length).into()).await;
        let after = (processor_time(process::id())?, processor_time(id)?);
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.await??);
        }
        if times.is_empty() {
            bail!("{} was never answered in {length:?}", question.path);
        }
        times.sort();
        let number = times.len() as f64;
        Ok(Answers {
            per_second: number / length.as_secs_f64(),
            times,
            client: (after.0 - before.0).as_secs_f64() / number,
            server: (after.1 - before.1).as_secs_f64() / number,
        })
    })
}

struct Shared {
    address: SocketAddr,
    token: String,
    question: Question,
    /// From when on answers count.
    begin: Instant,
    length: Duration,
    numbers: RefCell<u64>,
}

/// One connection; the times of the answers that count.
async fn client(shared: Rc<Shared>) -> Result<Vec<Duration>> {
    let stream = TcpStream::connect(shared.address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    let end = shared.begin + shared.length;
    let mut times = Vec::new();
    loop {
        let began = Instant::now();
        if began >= end {
            return Ok(times);
        }
        let answer = sender.send_request(shared.request()?).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            let said = String::from_utf8_lossy(&body);
            bail!("{} answered {status}: {said}", shared.question.path);
        }
        let ended = Instant::now();
        if ended >= shared.begin && ended < end {
            times.push(ended - began);
        }
    }
}

impl Shared {
    fn request(&self) -> Result<Request<Full<Bytes>>> {
        let Question { method, path, body } = &self.question;
        let number = {
            let mut numbers = self.numbers.borrow_mut();
            *numbers += 1;
            numbers.to_string()
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/v1/{}", path.replace("{n}", &number)))
            .header("Host", self.address.to_string())
            .header("X-Vault-Token", &self.token);
        if !body.is_empty() {
            request = request.header("Content-Type", "application/json");
        }
        Ok(request.body(Full::from(body.clone()))?)
    }
}
