//! The memory at rest, soon after a start, and with twenty thousand active leases.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lessor_tests::http::Http;
use serde_json::json;

use super::certificate;
use crate::{
    bench::Bench,
    load::{self, Question},
    ours, peer,
    row::{Outcome, Row},
    sample::{Sample, Unit},
    system,
};

const LEASES: usize = 20_000;

/// The length of the loads that are repeated until there are so many leases.
const PART: Duration = Duration::from_secs(2);

/// Longest that it is asked.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run(bench: &mut Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let sample = || Sample::new(Unit::Megabytes);
    let (mut rest, mut full) = (sample(), sample());
    let mut peers = None;
    let names = json!({"common_name": "web.example.com"});
    for round in bench.rounds() {
        bench.say(&format!("round {round}, lessor"));
        // The process that compiled the providers is gone: as after any but the first start.
        let mut server = ours::idle();
        server.kill();
        server.restart();
        rest.add(system::resident(server.id())?);
        let ask = Question::get(ours::CREDS);
        fill(&server.http, server.id(), &ask)?;
        full.add(system::resident(server.id())?);
        drop(server);

        let Some(mut bao) = peer::start(bench, &mut outcome.notes) else {
            continue;
        };
        bench.say(&format!("round {round}, OpenBao"));
        certificate::their_authority(&bao);
        bao.restart();
        let (their_rest, their_full) = peers.get_or_insert_with(|| (sample(), sample()));
        their_rest.add(system::resident(bao.id())?);
        let ask = Question::post("ca/issue/web", &names);
        fill(&bao.http, bao.id(), &ask)?;
        their_full.add(system::resident(bao.id())?);
    }
    let (their_rest, their_full) = peers.unzip();
    outcome.rows = vec![
        Row::new("at rest", rest)
            .peer(their_rest)
            .at_most(Unit::Megabytes, 40.0),
        Row::new(format!("{LEASES} leases or more"), full)
            .peer(their_full)
            .at_most(Unit::Megabytes, 60.0),
    ];
    outcome.notes.push(
        "the leases are made over 32 connections just before memory is looked at; OpenBao's are of certificates"
            .to_owned(),
    );
    Ok(outcome)
}

/// Asks until there are so many leases.
fn fill(http: &Http, id: u32, ask: &Question) -> Result<()> {
    let begin = Instant::now();
    let mut leases = 0.0;
    while leases < LEASES as f64 {
        ensure!(
            begin.elapsed() < PATIENCE,
            "{leases:.0} leases of {LEASES} were made in {PATIENCE:?}"
        );
        let answers = load::run(http, id, ask, 32, PART)?;
        leases += answers.per_second * PART.as_secs_f64();
    }
    Ok(())
}
