//! A hundred thousand leases that end within one second, while issuing goes on.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use lessor_model::clock::{Clock, Timestamp};
use lessor_tests::server::Server;
use rusqlite::{Connection, OpenFlags};

use crate::{
    bench::Bench,
    load::{self, Question},
    loader, ours,
    row::{Outcome, Row},
    sample::{Sample, Unit},
};

const LEASES: usize = 100_000;

/// Connections that issue.
const CONNECTIONS: usize = 8;

/// Time from laying in to the end: for laying in, a start, and issuing in quiet.
const LEAD: Duration = Duration::from_secs(15);

pub(crate) fn run(bench: &mut Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let ask = Question::get(ours::CREDS);
    let mut drained = Sample::new(Unit::PerSecond);
    let (mut quiet, mut storm) = (Sample::new(Unit::Seconds), Sample::new(Unit::Seconds));
    let mut rates = (Sample::new(Unit::PerSecond), Sample::new(Unit::PerSecond));
    let clock = Clock::system();
    for round in bench.rounds() {
        bench.say(&format!("round {round}, before"));
        let mut server = ours::idle();
        server.kill();
        let end = clock.now().plus(LEAD);
        loader::lay_in(&server, LEASES, end)?;
        server.restart();
        let length = bench.length.min(Duration::from_secs(5));
        let before = load::run(&server.http, server.id(), &ask, CONNECTIONS, length)?;
        quiet.add(before.within(99));
        rates.0.add(before.per_second);
        thread::sleep(end.since(clock.now()));

        bench.say(&format!("round {round}, storm"));
        let begin = Instant::now();
        thread::scope(|scope| -> Result<()> {
            let drain = scope.spawn(|| drain(&server, end, begin));
            let during = load::run(&server.http, server.id(), &ask, CONNECTIONS, length)?;
            storm.add(during.within(99));
            rates.1.add(during.per_second);
            drained.add(drain.join().expect("the one who watches")?);
            Ok(())
        })?;
    }
    let ratio = storm.median() / quiet.median();
    outcome.notes.push(format!(
        "issuing over {CONNECTIONS} connections: {} before, {} while the leases end",
        rates.0, rates.1
    ));
    outcome.rows = vec![
        Row::new(format!("ended, of {LEASES} due at once"), drained).at_least(5_000.0),
        Row::new("issue p99 before", quiet),
        Row::new("issue p99 while they end", storm).goal(
            format!("≤ 2 × p99 before (here {ratio:.2} ×)"),
            ratio <= 2.0,
        ),
    ];
    Ok(outcome)
}

/// Leases that end in a second until none is left that was due.
fn drain(server: &Server, due: Timestamp, begin: Instant) -> Result<f64> {
    let file = server.data().join("lessor.db");
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    loop {
        let left: bool = database
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM leases WHERE expires_at = ?1)")?
            .query_row([due.0], |row| row.get(0))?;
        if !left {
            return Ok(LEASES as f64 / begin.elapsed().as_secs_f64());
        }
        // Short against what is told.
        thread::sleep(Duration::from_millis(100));
    }
}
