//! A P-256 certificate with its key and its lease.

use anyhow::Result;
use lessor_tests::{openbao::OpenBao, server::Server};
use serde_json::json;

use super::issue::Case;
use crate::{
    bench::Bench,
    load::Question,
    ours, peer,
    row::{Outcome, Row},
};

const CONNECTIONS: [usize; 3] = [1, 8, 32];

pub(crate) fn run(bench: &mut Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let server = authority();
    let bao = peer::start(bench, &mut outcome.notes);
    if let Some(bao) = &bao {
        their_authority(bao);
    }
    let names = json!({"common_name": "web.example.com"});
    let ask = Question::post("ca/creds/web", &names);
    let ask_them = Question::post("ca/issue/web", &names);

    let mut cases = CONNECTIONS.map(|connections| (connections, Case::new(bao.is_some())));
    for round in bench.rounds() {
        for (connections, case) in &mut cases {
            bench.say(&format!("round {round}, {connections} connections"));
            let theirs = bao.as_ref().map(|bao| (bao, &ask_them));
            case.measure(bench, *connections, (&server, &ask), theirs)?;
        }
    }
    for (connections, case) in cases {
        outcome.notes.push(case.note(connections));
        let rate = Row::new(format!("{connections} connections"), case.rate).peer(case.peer_rate);
        outcome.rows.push(match connections {
            1 => rate.times_the_peer(3.0),
            32 => rate.times_the_peer(5.0),
            _ => rate,
        });
        let slowest =
            Row::new(format!("{connections} connections, p99"), case.p99).peer(case.peer_p99);
        outcome.rows.push(slowest.times_the_peer(5.0));
    }
    Ok(outcome)
}

/// Ours, with a P-256 authority and a role for P-256 keys.
pub(crate) fn authority() -> Server {
    let server = ours::quiet(Server::setup());
    let http = &server.http;
    http.post("sys/mounts/ca", &json!({"type": "certificate"}))
        .ok();
    let config = json!({"common_name": "An authority", "key_type": "ecdsa-p256"});
    http.post("ca/config", &config).ok();
    http.post("ca/config/rotate-root", &json!({})).ok();
    let role =
        json!({"allowed_dns": ["*.example.com"], "key_type": "ecdsa-p256", "default_ttl": "20h"});
    http.post("ca/roles/web", &role).ok();
    server
}

/// Theirs, alike, with a lease for each certificate.
pub(crate) fn their_authority(bao: &OpenBao) {
    let http = &bao.http;
    http.post("sys/mounts/ca", &json!({"type": "pki"})).ok();
    let root = json!({"common_name": "An authority", "key_type": "ec", "key_bits": 256});
    http.post("ca/root/generate/internal", &root).ok();
    let role = json!({
        "allowed_domains": ["example.com"], "allow_subdomains": true,
        "key_type": "ec", "key_bits": 256, "generate_lease": true, "ttl": "20h",
    });
    http.post("ca/roles/web", &role).ok();
}
