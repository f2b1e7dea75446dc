//! A caller that issues leases, alone and beside strangers that flood: wide JSON,
//! logins, slow bodies, idle connections. What the strangers cost the caller, the
//! audit log and the memory.
//!
//! The strangers run in this process, and so take processor time from the server
//! beyond what they make it spend; their number and their pace are bounded, so that
//! it is the server that is measured.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use lessor_tests::server::Server;
use serde_json::{Value, json};

use crate::{
    bench::Bench,
    load::{self, Question},
    ours,
    row::{Outcome, Row},
    sample::{Sample, Unit},
    system,
};

/// Connections of the caller.
const CALLERS: usize = 4;

/// Threads of each kind of stranger that asks.
const ASKING: usize = 4;

/// Pause of one between two requests: 400 a second of all of a kind, at most.
const PACE: Duration = Duration::from_millis(10);

/// Bodies that begin and do not end.
const SLOW: usize = 200;

/// Connections that say nothing.
const IDLE: usize = 500;

/// The time for which memory may take to come to rest.
const REST: Duration = Duration::from_secs(20);

pub(crate) fn run(bench: &mut Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let ask = Question::get(ours::CREDS);
    let (mut alone, mut beside) = (Sample::new(Unit::Seconds), Sample::new(Unit::Seconds));
    let mut rates = (Sample::new(Unit::PerSecond), Sample::new(Unit::PerSecond));
    let mut audit = Sample::new(Unit::Megabytes);
    let (mut before, mut during) = (Sample::new(Unit::Megabytes), Sample::new(Unit::Megabytes));
    let mut after = Sample::new(Unit::Megabytes);
    let mut refused = Sample::new(Unit::PerSecond);
    for round in bench.rounds() {
        let server = ours::idle();
        let http = &server.http;
        http.post("sys/auth/people", &json!({"type": "userpass"}))
            .ok();
        bench.say(&format!("round {round}, alone"));
        let quiet = load::run(http, server.id(), &ask, CALLERS, bench.length)?;
        alone.add(quiet.within(99));
        rates.0.add(quiet.per_second);
        let rest = system::resident(server.id())?;
        before.add(rest);

        bench.say(&format!("round {round}, beside the flood"));
        let written = server.audit().len();
        let flood = Flood::default();
        let begin = Instant::now();
        let loud = thread::scope(|scope| -> Result<_> {
            for number in 0..ASKING {
                let (server, flood) = (&server, &flood);
                scope.spawn(move || flood.wide_bodies(server));
                scope.spawn(move || flood.logins(server, number));
            }
            scope.spawn(|| flood.slow_bodies(&server));
            scope.spawn(|| flood.idle_connections(&server));
            let loud = load::run(http, server.id(), &ask, CALLERS, bench.length);
            let resident = system::resident(server.id());
            flood.over.store(true, Ordering::Relaxed);
            Ok((loud?, resident?))
        })?;
        let (loud, resident) = loud;
        beside.add(loud.within(99));
        rates.1.add(loud.per_second);
        during.add(resident);
        refused.add(flood.answered.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64());
        audit.add(of_strangers(&server.audit()[written..]) as f64 / 1e6);
        after.add(at_rest(&server, rest)?);
    }
    let ratio = beside.median() / alone.median();
    let left = after.median() / before.median();
    outcome.notes.push(format!(
        "issuing over {CALLERS} connections: {} alone, {} beside {} answered refusals, {SLOW} slow bodies and {IDLE} \
         idle connections; p99 {ratio:.2} × that of the caller alone",
        rates.0, rates.1, refused
    ));
    outcome.rows = vec![
        Row::new("issue p99 alone", alone),
        Row::new("issue p99 beside the flood", beside)
            .goal(format!("≤ 5 × p99 alone (here {ratio:.2} ×)"), ratio <= 5.0),
        Row::new("audit of strangers", audit).at_most(Unit::Megabytes, 4.0),
        Row::new("memory before", before),
        Row::new("memory beside the flood", during),
        Row::new("memory after it", after)
            .goal(format!("≤ 1.5 × before (here {left:.2} ×)"), left <= 1.5),
    ];
    Ok(outcome)
}

/// Strangers, until they are told that it is over.
#[derive(Default)]
struct Flood {
    over: AtomicBool,
    answered: AtomicU64,
}

impl Flood {
    /// As wide as a stranger's body may be.
    fn wide_bodies(&self, server: &Server) {
        let stranger = server.http.without_token();
        let body = format!("{{\"token\": [{}1]}}", "1,".repeat(60_000));
        while self.goes_on() {
            let asked =
                stranger.try_send("POST", "sys/wrapping/lookup", &[], Some(body.as_bytes()));
            self.count(asked.is_ok());
        }
    }

    fn logins(&self, server: &Server, number: usize) {
        let stranger = server.http.without_token();
        let body = json!({"password": "wrong"}).to_string();
        for round in 0_u64.. {
            if !self.goes_on() {
                return;
            }
            let path = format!("auth/people/login/nobody-{number}-{round}");
            let asked = stranger.try_send("POST", &path, &[], Some(body.as_bytes()));
            self.count(asked.is_ok());
        }
    }

    /// Each sends most of its body and waits; what is closed begins again.
    fn slow_bodies(&self, server: &Server) {
        let head =
            "POST /v1/sys/wrapping/lookup HTTP/1.1\r\nHost: a\r\nContent-Length: 130000\r\n\r\n";
        let body = vec![b' '; 120 << 10];
        let mut slow: Vec<TcpStream> = Vec::new();
        while self.goes_on() {
            slow.retain_mut(|stream| !is_closed(stream));
            if slow.len() < SLOW
                && let Ok(mut stream) = connect(server)
            {
                let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
                let _ = stream
                    .write_all(head.as_bytes())
                    .and_then(|()| stream.write_all(&body));
                slow.push(stream);
            }
        }
    }

    fn idle_connections(&self, server: &Server) {
        let idle: Vec<_> = (0..IDLE).map_while(|_| connect(server).ok()).collect();
        while self.goes_on() {}
        drop(idle);
    }

    fn goes_on(&self) -> bool {
        thread::sleep(PACE);
        !self.over.load(Ordering::Relaxed)
    }

    fn count(&self, answered: bool) {
        self.answered
            .fetch_add(u64::from(answered), Ordering::Relaxed);
    }
}

fn connect(server: &Server) -> std::io::Result<TcpStream> {
    TcpStream::connect(server.http.base().trim_start_matches("http://"))
}

/// Whether the server has closed, or answered and will.
fn is_closed(stream: &mut TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    let closed = match stream.read(&mut [0; 1024]) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    let _ = stream.set_nonblocking(false);
    closed
}

/// Bytes of the lines that strangers made.
fn of_strangers(lines: &str) -> usize {
    let is_theirs = |line: &&str| {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            return true;
        };
        line["type"] != "change" && line["auth"]["accessor"].is_null()
    };
    lines
        .lines()
        .filter(is_theirs)
        .map(|line| line.len() + 1)
        .sum()
}

/// Memory once it has come to rest, or has had its time to.
fn at_rest(server: &Server, before: f64) -> Result<f64> {
    let begin = Instant::now();
    loop {
        let now = system::resident(server.id())?;
        if now <= before * 1.2 || begin.elapsed() > REST {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(500));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_callers_and_of_the_scheduler_are_no_strangers() {
        let lines = [
            r#"{"type":"request","auth":{"accessor":"a"}}"#,
            r#"{"type":"change","change":"issued a lease"}"#,
            r#"{"type":"request","auth":{"token":null}}"#,
            r#"{"type":"left-out","count":7}"#,
        ];
        let expected = lines[2].len() + lines[3].len() + 2;
        assert_eq!(of_strangers(&lines.join("\n")), expected);
    }
}
