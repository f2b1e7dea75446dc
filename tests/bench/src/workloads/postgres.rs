//! A login role of a real PostgreSQL, whose commits reach the disk, plain and over
//! TLS. The limit is `pgbench`, which sends it the same statement.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lessor_tests::{
    openbao::OpenBao,
    openssl,
    postgres::{Postgres, Root},
    server::Server,
};
use serde_json::json;

use super::issue::Case;
use crate::{
    bench::Bench,
    load::Question,
    ours, peer,
    row::{Outcome, Row},
    sample::{Sample, Unit},
};

const CONNECTIONS: [usize; 3] = [1, 8, 32];

/// As both sides run it, with their own names in it.
const STATEMENT: &str =
    "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";

pub(crate) fn run(bench: &mut Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for way in ["plain", "TLS"] {
        one_way(bench, way, &mut outcome)?;
    }
    outcome.notes.push(
        "pgbench sends the statement with a password of the same length over connections of its own that stay open"
            .to_owned(),
    );
    Ok(outcome)
}

fn one_way(bench: &Bench, way: &str, outcome: &mut Outcome) -> Result<()> {
    let authority = (way == "TLS").then(|| openssl::Authority::new("An authority"));
    let certificate = authority
        .as_ref()
        .map(|authority| authority.server_certificate());
    let upstream = Postgres::start_durable(certificate.as_ref());
    let root = upstream.superuser();
    let roots = authority
        .as_ref()
        .map(|authority| authority.certificate.clone());
    let server = lender(&upstream, &root, roots.as_deref());
    let bao = peer::start(bench, &mut outcome.notes);
    if let Some(bao) = &bao {
        their_lender(bao, &upstream, &root, authority.is_some());
    }
    let ask = Question::get("db/creds/app");

    let mut cases = CONNECTIONS.map(|connections| {
        (
            connections,
            Case::new(bao.is_some()),
            Sample::new(Unit::PerSecond),
        )
    });
    for round in bench.rounds() {
        for (connections, case, limit) in &mut cases {
            bench.say(&format!("{way}, round {round}, {connections} connections"));
            let theirs = bao.as_ref().map(|bao| (bao, &ask));
            case.measure(bench, *connections, (&server, &ask), theirs)?;
            limit.add(pgbench(&upstream, *connections, bench.length)?);
            // Each begins with as few roles as the others.
            upstream.sql(&dropping(upstream.leased_roles()));
        }
    }
    for (connections, case, limit) in cases {
        outcome
            .notes
            .push(format!("{way}, {}", case.note(connections)));
        outcome.rows.push(
            Row::new(format!("{way}, {connections} connections"), case.rate)
                .peer(case.peer_rate)
                .limit("pgbench", limit)
                .share_of_limit(0.85),
        );
        outcome.rows.push(
            Row::new(format!("{way}, {connections} connections, p99"), case.p99)
                .peer(case.peer_p99),
        );
    }
    Ok(())
}

fn dropping(roles: impl IntoIterator<Item = String>) -> String {
    roles
        .into_iter()
        .map(|role| format!("DROP ROLE \"{role}\";"))
        .collect()
}

/// Ours, with a role whose statements are the peer's too.
fn lender(upstream: &Postgres, root: &Root, roots: Option<&str>) -> Server {
    let server = ours::quiet(Server::setup());
    let http = &server.http;
    let mount = json!({"type": "postgres", "config": {
        "allowed_hosts": [upstream.grant()], "extra_roots": roots.unwrap_or_default(),
    }});
    http.post("sys/mounts/db", &mount).ok();
    let config = json!({
        "host": "127.0.0.1", "port": upstream.port(),
        "username": root.username, "password": root.password,
        "sslmode": if roots.is_some() { "verify-full" } else { "disable" },
    });
    http.post("db/config", &config).ok();
    let role = json!({
        "creation_statements": [STATEMENT], "default_ttl": "20h",
    });
    http.post("db/roles/app", &role).ok();
    server
}

/// OpenBao's database engine, with as many connections as are asked over.
fn their_lender(bao: &OpenBao, upstream: &Postgres, root: &Root, tls: bool) {
    let http = &bao.http;
    http.post("sys/mounts/db", &json!({"type": "database"}))
        .ok();
    let config = json!({
        "plugin_name": "postgresql-database-plugin",
        "connection_url": format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode={}",
            upstream.port(),
            if tls { "require" } else { "disable" },
        ),
        "username": root.username, "password": root.password,
        "max_open_connections": 32, "max_idle_connections": 32,
        "allowed_roles": ["app"],
    });
    http.post("db/config/pg", &config).ok();
    let role = json!({"db_name": "pg", "creation_statements": [STATEMENT], "default_ttl": "20h"});
    http.post("db/roles/app", &role).ok();
}

/// Transactions that `pgbench` has in a second.
fn pgbench(upstream: &Postgres, connections: usize, length: Duration) -> Result<f64> {
    let script = tempfile::Builder::new().suffix(".sql").tempfile()?;
    fs::write(
        script.path(),
        "\\set id random(1, 9000000000000000000)\n\
         CREATE ROLE pgbench_:id LOGIN PASSWORD 'aZ3-0123456789abcdefgh' VALID UNTIL '2100-01-01';\n",
    )?;
    // Read by whoever runs PostgreSQL's programs.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(script.path(), mode)?;
    let connections = connections.to_string();
    let output = upstream
        .program("pgbench")
        .args(["--no-vacuum", "--file"])
        .arg(script.path())
        .args(["--client", &connections, "--jobs", "1"])
        .args(["--time", &length.as_secs().max(1).to_string()])
        .output()
        .context("cannot start pgbench; it comes with PostgreSQL's server")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let rate = said
        .lines()
        .find_map(|line| line.strip_prefix("tps = "))
        .and_then(|line| line.split_whitespace().next()?.parse().ok());
    ensure!(
        output.status.success(),
        "pgbench: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    rate.with_context(|| format!("pgbench told no rate: {said}"))
}
