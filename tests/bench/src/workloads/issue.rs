//! A durable credential over HTTP, of a provider that does nothing upstream and
//! is believed to leave something there: intent and outcome are committed, each
//! before what follows. Held against what OpenBao takes to write a key, which it
//! commits once, and against the two commits alone.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use lessor_tests::{openbao::OpenBao, server::Server};
use rusqlite::Connection;
use serde_json::json;

use crate::{
    bench::Bench,
    load::{self, Answers, Question},
    ours, peer,
    row::{Outcome, Row},
    sample::{Sample, Unit},
};

const CONNECTIONS: [usize; 3] = [1, 8, 64];

pub(crate) fn run(bench: &mut Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let server = ours::idle();
    let bao = peer::start(bench, &mut outcome.notes);
    if let Some(bao) = &bao {
        bao.http.post("sys/mounts/kv", &json!({"type": "kv"})).ok();
    }
    let ask = Question::get(ours::CREDS);
    let write = Question::post("kv/{n}", &json!({"password": "a secret of usual length"}));

    let mut cases = CONNECTIONS.map(|connections| (connections, Case::new(bao.is_some())));
    let mut limit = Sample::new(Unit::PerSecond);
    for round in bench.rounds() {
        for (connections, case) in &mut cases {
            bench.say(&format!("round {round}, {connections} connections"));
            let theirs = bao.as_ref().map(|bao| (bao, &write));
            case.measure(bench, *connections, (&server, &ask), theirs)?;
        }
        bench.say(&format!("round {round}, SQLite alone"));
        limit.add(commits(64, bench.length)?);
    }

    for (connections, case) in cases {
        let busy = connections == 64;
        let note = case.note(connections);
        let rate = Row::new(format!("{connections} connections"), case.rate).peer(case.peer_rate);
        outcome.rows.push(if busy {
            rate.limit("the two commits alone", limit.clone())
                .at_least(8_000.0)
                .times_the_peer(7.0)
        } else {
            rate
        });
        let slowest =
            Row::new(format!("{connections} connections, p99"), case.p99).peer(case.peer_p99);
        outcome.rows.push(if busy {
            slowest.at_most(Unit::Seconds, 0.015)
        } else {
            slowest
        });
        outcome.notes.push(note);
    }
    outcome
        .notes
        .push("OpenBao's side is the writing of a key (KV version 1, raft storage)".to_owned());
    Ok(outcome)
}

/// Rates and slowest answers of both sides over the rounds.
pub(crate) struct Case {
    pub(crate) rate: Sample,
    pub(crate) p50: Sample,
    pub(crate) p99: Sample,
    pub(crate) peer_rate: Option<Sample>,
    pub(crate) peer_p99: Option<Sample>,
    client: Sample,
    server: Sample,
}

impl Case {
    pub(crate) fn new(with_peer: bool) -> Self {
        let peer = |unit| with_peer.then(|| Sample::new(unit));
        Self {
            rate: Sample::new(Unit::PerSecond),
            p50: Sample::new(Unit::Seconds),
            p99: Sample::new(Unit::Seconds),
            peer_rate: peer(Unit::PerSecond),
            peer_p99: peer(Unit::Seconds),
            client: Sample::new(Unit::Seconds),
            server: Sample::new(Unit::Seconds),
        }
    }

    /// A round of both sides, over so many connections each.
    pub(crate) fn measure(
        &mut self,
        bench: &Bench,
        connections: usize,
        (server, ask): (&Server, &Question),
        theirs: Option<(&OpenBao, &Question)>,
    ) -> Result<()> {
        let length = bench.length;
        self.ours(&load::run(
            &server.http,
            server.id(),
            ask,
            connections,
            length,
        )?);
        if let Some((bao, ask)) = theirs {
            self.peer(&load::run(&bao.http, bao.id(), ask, connections, length)?);
        }
        Ok(())
    }

    fn ours(&mut self, answers: &Answers) {
        self.rate.add(answers.per_second);
        self.p50.add(answers.within(50));
        self.p99.add(answers.within(99));
        self.client.add(answers.client);
        self.server.add(answers.server);
    }

    fn peer(&mut self, answers: &Answers) {
        if let Some(rate) = &mut self.peer_rate {
            rate.add(answers.per_second);
        }
        if let Some(p99) = &mut self.peer_p99 {
            p99.add(answers.within(99));
        }
    }

    /// The processor time that one of our answers took, without the client's part.
    pub(crate) fn note(&self, connections: usize) -> String {
        format!(
            "{connections} connections: p50 {}; of the processors an answer took {} in the server and {} in the \
             client that asks",
            self.p50, self.server, self.client
        )
    }
}

/// The number of times in a second that so many clients can have two commits after one another, of
/// the rows that a lease has, by one thread that commits all that wait at once.
fn commits(clients: usize, length: Duration) -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let database = Connection::open(directory.path().join("limit.db"))?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE leases (id BLOB PRIMARY KEY, mount INTEGER, role INTEGER, due INTEGER, facts TEXT) STRICT, WITHOUT ROWID;
         CREATE INDEX due ON leases (mount, due);
         CREATE INDEX by_role ON leases (role, id);",
    )?;
    let facts = "x".repeat(250);
    let (submit, submitted) = mpsc::sync_channel::<(u64, bool, mpsc::SyncSender<()>)>(4096);
    let writer = thread::spawn(move || -> Result<()> {
        while let Ok(first) = submitted.recv() {
            let batch: Vec<_> = std::iter::once(first)
                .chain(submitted.try_iter().take(127))
                .collect();
            database.execute_batch("BEGIN IMMEDIATE")?;
            for (number, first, _) in &batch {
                let id = number.to_be_bytes();
                if *first {
                    database
                        .prepare_cached("INSERT INTO leases VALUES (?1, 1, 1, ?2, ?3)")?
                        .execute((id, *number, &facts))?;
                } else {
                    database
                        .prepare_cached("UPDATE leases SET due = ?2 WHERE id = ?1")?
                        .execute((id, *number + 3_600_000))?;
                }
            }
            database.execute_batch("COMMIT")?;
            for (_, _, done) in batch {
                let _ = done.send(());
            }
        }
        Ok(())
    });
    let begin = Instant::now();
    let done: u64 = thread::scope(|scope| {
        let clients: Vec<_> = (0..clients as u64)
            .map(|client| {
                let submit = submit.clone();
                scope.spawn(move || {
                    let (tell, told) = mpsc::sync_channel(1);
                    let mut done = 0_u64;
                    while begin.elapsed() < length {
                        let number = (done << 8) | client;
                        for first in [true, false] {
                            if submit.send((number, first, tell.clone())).is_err()
                                || told.recv().is_err()
                            {
                                return done;
                            }
                        }
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("a client"))
            .sum()
    });
    let rate = done as f64 / begin.elapsed().as_secs_f64();
    drop(submit);
    writer.join().expect("the writer")?;
    Ok(rate)
}
