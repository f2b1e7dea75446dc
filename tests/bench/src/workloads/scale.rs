//! Ten million active leases: how soon a server that ended without a word serves
//! again, what it keeps in memory, and whether issuing is slower than with a
//! thousand.

use std::time::Duration;

use anyhow::Result;
use lessor_model::clock::Clock;

use super::issue::Case;
use crate::{
    bench::Bench,
    load::Question,
    loader, ours,
    row::{Outcome, Row},
    sample::{Sample, Unit},
    system,
};

const FEW: usize = 1_000;
const MANY: usize = 10_000_000;

pub(crate) fn run(bench: &mut Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let end = Clock::system().now().plus(Duration::from_hours(100));
    let (mut few, mut many) = (ours::idle(), ours::idle());
    few.kill();
    many.kill();
    bench.say("laying in a thousand leases");
    loader::lay_in(&few, FEW, end)?;
    few.restart();
    bench.say("laying in ten million leases");
    let begin = std::time::Instant::now();
    loader::lay_in(&many, MANY, end)?;
    outcome.notes.push(format!(
        "ten million leases were laid in through the storage module in {:.0} s; the data directory has {:.2} GB",
        begin.elapsed().as_secs_f64(),
        size(&many.data())? as f64 / 1e9
    ));
    many.restart();

    let ask = Question::get(ours::CREDS);
    let mut first_answer = Sample::new(Unit::Seconds);
    let mut resident = Sample::new(Unit::Megabytes);
    let (mut with_few, mut with_many) = (Case::new(false), Case::new(false));
    for round in bench.rounds() {
        bench.say(&format!("round {round}, starting"));
        many.kill();
        first_answer.add(ours::restart(&mut many));
        for (server, case) in [(&few, &mut with_few), (&many, &mut with_many)] {
            bench.say(&format!("round {round}, issuing"));
            case.measure(bench, 1, (server, &ask), None)?;
        }
        resident.add(system::resident(many.id())?);
    }
    let ratio = with_many.p50.median() / with_few.p50.median();
    outcome
        .notes
        .push(format!("a thousand leases, {}", with_few.note(1)));
    outcome
        .notes
        .push(format!("ten million leases, {}", with_many.note(1)));
    outcome.rows = vec![
        Row::new("first answer after kill -9, 10 M leases", first_answer)
            .at_most(Unit::Seconds, 0.3),
        Row::new("resident, 10 M leases, after issuing", resident).at_most(Unit::Megabytes, 120.0),
        Row::new("issue p50, 1,000 leases", with_few.p50),
        Row::new("issue p50, 10 M leases", with_many.p50).goal(
            format!("≤ 1.2 × p50 at 1,000 (here {ratio:.2} ×)"),
            ratio <= 1.2,
        ),
    ];
    Ok(outcome)
}

/// Bytes of the files in a directory.
fn size(directory: &std::path::Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in directory.read_dir()? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
