//! `revoke-prefix` over many leases: how soon the order is durable, and how fast
//! they end.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use lessor_model::clock::Clock;
use lessor_tests::{openbao::OpenBao, server::Server};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::{
    bench::Bench,
    load::{self, Question},
    loader, ours, peer,
    row::{Outcome, Row},
    sample::{Sample, Unit},
};

/// Numbers of leases, and the longest time in seconds to the answer.
const SIZES: [(usize, f64); 2] = [(20_000, 0.1), (1_000_000, 5.0)];

/// Longest that the end of a million leases is watched: the rate is told by then.
const WATCH: Duration = Duration::from_secs(20);

/// The time for which the peer makes leases that it then ends: it ends some sixty a second.
const PEER_LOAD: Duration = Duration::from_secs(2);

pub(crate) fn run(bench: &mut Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let end = Clock::system().now().plus(Duration::from_hours(100));
    for (number, patience) in SIZES {
        let mut accepted = Sample::new(Unit::Seconds);
        let mut drained = Sample::new(Unit::PerSecond);
        let mut peer_drained = Sample::new(Unit::PerSecond);
        let with_peer = number == SIZES[0].0;
        let bao = match with_peer {
            true => peer::start(bench, &mut outcome.notes),
            false => None,
        };
        for round in bench.rounds() {
            bench.say(&format!("{number} leases, round {round}"));
            let mut server = ours::idle();
            server.kill();
            loader::lay_in(&server, number, end)?;
            server.restart();
            let begin = Instant::now();
            let answer = server.http.put("sys/leases/revoke-prefix/idle", &json!({}));
            accepted.add(begin.elapsed().as_secs_f64());
            ensure!(answer.status == 204, "revoke-prefix: {answer:?}");
            drained.add(drain(&server, number, begin)?);
            if let Some(bao) = &bao {
                bench.say(&format!("round {round}, OpenBao"));
                peer_drained.add(their_drain(bao)?);
            }
        }
        outcome.rows.push(
            Row::new(format!("accepted, {number} leases"), accepted)
                .at_most(Unit::Seconds, patience),
        );
        outcome.rows.push(
            Row::new(format!("ended, of {number} leases"), drained)
                .peer(bao.is_some().then_some(peer_drained))
                .at_least(10_000.0),
        );
    }
    outcome.notes.push(
        "OpenBao's side ends the leases of some hundred tokens, in one call that answers when all have ended; its leases \
         of certificates end more slowly still"
            .to_owned(),
    );
    Ok(outcome)
}

/// Leases that end in a second, seen in the database until none is left, or for as
/// long as is watched.
fn drain(server: &Server, number: usize, begin: Instant) -> Result<f64> {
    let file = server.data().join("lessor.db");
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    loop {
        // Short against what is told.
        thread::sleep(Duration::from_millis(50));
        let done = begin.elapsed() >= WATCH || next(&database)?.is_none();
        if done {
            let left: usize =
                database.query_row("SELECT count(*) FROM leases", [], |row| row.get(0))?;
            return Ok((number - left) as f64 / begin.elapsed().as_secs_f64());
        }
    }
}

/// Any lease.
fn next(database: &Connection) -> Result<Option<Vec<u8>>> {
    use rusqlite::OptionalExtension as _;
    let mut statement = database.prepare_cached("SELECT operation FROM leases LIMIT 1")?;
    Ok(statement.query_row([], |row| row.get(0)).optional()?)
}

/// The same for OpenBao, for leases that it makes before.
fn their_drain(bao: &OpenBao) -> Result<f64> {
    let ask = Question::post("auth/token/create", &json!({"ttl": "20h"}));
    load::run(&bao.http, bao.id(), &ask, 16, PEER_LOAD)?;
    let leases = bao.http.list("sys/leases/lookup/auth/token/create");
    let number = leases.keys().len();
    let begin = Instant::now();
    let sync = json!({"sync": true});
    bao.http
        .put("sys/leases/revoke-prefix/auth/token/create", &sync)
        .ok();
    Ok(number as f64 / begin.elapsed().as_secs_f64())
}
