//! From the start of the process to its first answer, with ten providers whose
//! compiled code is in the cache.

use std::{fs, time::Instant};

use anyhow::Result;
use lessor_tests::server::{Server, built_plugins};
use serde_json::json;

use crate::{
    bench::Bench,
    ours, peer,
    row::{Outcome, Row},
    sample::{Sample, Unit},
};

const PROVIDERS: u8 = 10;

pub(crate) fn run(bench: &mut Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut server = ours::quiet(Server::setup());
    let guest = fs::read(built_plugins().join("test/idle.wasm"))?;
    for number in 0..PROVIDERS {
        let (name, file) = (format!("idle{number}"), format!("idle{number}.wasm"));
        // A custom section: its size, the length of its name, its name, its content.
        let mut copy = guest.clone();
        copy.extend_from_slice(&[0, 6, 4, b'c', b'o', b'p', b'y', number]);
        fs::write(server.plugins().join(&file), copy)?;
        server.pin(&name, &file, &server.digest(&file)).ok();
        let mount = json!({"type": name});
        server.http.post(&format!("sys/mounts/{name}"), &mount).ok();
        let config = json!({"root": "the root credential"});
        server.http.post(&format!("{name}/config"), &config).ok();
    }
    let mut bao = peer::start(bench, &mut outcome.notes);

    let mut time = Sample::new(Unit::Seconds);
    let mut peer_time = Sample::new(Unit::Seconds);
    for round in bench.rounds() {
        bench.say(&format!("round {round}"));
        server.kill();
        time.add(ours::restart(&mut server));
        if let Some(bao) = &mut bao {
            let begin = Instant::now();
            bao.restart();
            peer_time.add(begin.elapsed().as_secs_f64());
        }
    }
    outcome.rows.push(
        Row::new("first answer after kill -9, ten providers", time)
            .peer(bao.is_some().then_some(peer_time))
            .at_most(Unit::Seconds, 0.1),
    );
    outcome.notes.push(
        "ours also has the two first-party providers pinned; OpenBao has no mounts but its own and is unsealed by the \
         one who measures, within its time"
            .to_owned(),
    );
    Ok(outcome)
}
