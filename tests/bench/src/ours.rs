//! Our server with the provider that does nothing upstream.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use lessor_tests::{
    postgres::free_port,
    server::{Server, Setup, built_plugins},
};
use serde_json::json;

/// The path at which credentials are asked for.
pub(crate) const CREDS: &str = "idle/creds/app";

/// A server with the idle provider mounted at `idle`, with a role `app`.
pub(crate) fn idle() -> Server {
    idle_with(Server::setup())
}

/// The same, started as told.
pub(crate) fn idle_with(setup: Setup) -> Server {
    let server = quiet(setup);
    let file = "idle.wasm";
    fs::copy(
        built_plugins().join("test").join(file),
        server.plugins().join(file),
    )
    .expect("the idle provider; `cargo xtask bench` builds it");
    server.pin("idle", file, &server.digest(file)).ok();
    let http = &server.http;
    let ttls = json!({"max_lease_ttl": "1000h"});
    http.post("sys/mounts/idle", &json!({"type": "idle", "config": ttls}))
        .ok();
    http.post("idle/config", &json!({"root": "the root credential"}))
        .ok();
    let role = json!({"default_ttl": "100h", "max_ttl": "1000h"});
    http.post("idle/roles/app", &role).ok();
    server
}

/// A server that logs as an operator's does, at the default level, on a port that
/// stays its own over restarts.
pub(crate) fn quiet(setup: Setup) -> Server {
    setup
        .argument("--listen")
        .argument(&format!("127.0.0.1:{}", free_port()))
        .start()
}

/// Starts a server that has ended; the time to its first answer as one that is
/// ready, in seconds.
pub(crate) fn restart(server: &mut Server) -> f64 {
    let address = server.http.base().trim_start_matches("http://").to_owned();
    let begin = Instant::now();
    let watch = thread::spawn(move || {
        while !is_ready(&address) {
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "no answer from {address} within a minute"
            );
            // Finer than what is told of the time.
            thread::sleep(Duration::from_micros(500));
        }
        begin.elapsed()
    });
    server.restart();
    watch.join().expect("an answer").as_secs_f64()
}

/// Whether `sys/health` says so, asked with as little as it takes.
fn is_ready(address: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "GET /v1/sys/health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
