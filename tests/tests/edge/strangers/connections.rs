//! Connections that say little and take long.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use lessor_tests::{fixture::Fixture, server::Server, wait::eventually_true};
use serde_json::json;

/// A connection to the server.
fn connect(server: &Server) -> TcpStream {
    let address = server.http.base().strip_prefix("http://").unwrap();
    TcpStream::connect(address).unwrap()
}

/// All bytes until the other side closes.
fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_request_of_http_1_1_names_one_host() {
    let server = Server::start();
    for (hosts, status) in [
        ("", "400"),
        ("Host: a\r\n", "200"),
        ("Host: a\r\nHost: b\r\n", "400"),
        ("Host: a\r\nHost: a\r\n", "400"),
    ] {
        let mut stream = connect(&server);
        let head = format!("GET /v1/sys/seal-status HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let answer = rest(stream);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{hosts:?}: {answer}"
        );
    }
    let mut stream = connect(&server);
    stream
        .write_all(b"GET /v1/sys/seal-status HTTP/1.0\r\n\r\n")
        .unwrap();
    assert!(rest(stream).starts_with("HTTP/1.0 200 "));
}

/// 500 bodies of almost a mebibyte each, which never ended, kept 557 MB.
#[test]
fn slow_bodies_of_strangers_keep_little_memory_and_no_caller_out() {
    let fixture = Fixture::start();
    let server = &fixture.server;
    fixture.issue("reader");
    let before = server.resident();
    let piece = vec![b' '; 120 << 10];
    let slow: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = connect(server);
            let head = "POST /v1/sys/wrapping/lookup HTTP/1.1\r\nHost: a\r\nContent-Length: 130000\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            stream.set_write_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
            // The server refuses and closes while we write.
            let _ = stream.write_all(&piece);
            stream
        })
        .collect();
    fixture.issue("reader");
    let small = json!({"token": "x"});
    server
        .http
        .without_token()
        .post("sys/wrapping/lookup", &small)
        .refused(400);
    let more = server.resident().saturating_sub(before);
    assert!(more < 96 << 20, "{more} bytes more");
    drop(slow);
}

/// Idle connections took every descriptor.
#[test]
fn idle_connections_give_their_places_to_callers() {
    let fixture = Fixture::start();
    let server = &fixture.server;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    // As many as this process may have itself.
    let own = limit.current.unwrap_or(8_192).min(8_192);
    let idle: Vec<TcpStream> = (0..own.saturating_sub(200).min(4_600))
        .map(|_| connect(server))
        .collect();
    fixture.issue("reader");
    server.http.without_token().get("sys/health").ok();
    eventually_true("no more connections than places", || {
        server.descriptors() < 4_096 + 512
    });
    drop(idle);
}

/// During a flood of strangers, callers with a token get their leases, and the lines about the
/// strangers are bounded.
#[test]
fn a_caller_is_served_while_strangers_flood() {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    let fixture = Fixture::start();
    let http = &fixture.server.http;
    http.post("sys/auth/people", &json!({"type": "userpass"}))
        .ok();
    let stranger = http.without_token();
    let wide = format!("{{\"token\": [{}1]}}", "1,".repeat(60_000));
    let over = AtomicBool::new(false);
    let before = fixture.server.audit().len();
    let leases = thread::scope(|scope| {
        for number in 0..8 {
            let (stranger, over, wide) = (&stranger, &over, &wide);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    super::post(stranger, "sys/wrapping/lookup", wide);
                    let login = format!("auth/people/login/x{number}");
                    stranger.post(&login, &json!({"password": "wrong"}));
                    stranger.get("db/creds/reader");
                }
            });
        }
        let leases: Vec<_> = (0..20).map(|_| fixture.issue("reader")).collect();
        over.store(true, Ordering::Relaxed);
        leases
    });
    assert_eq!(leases.len(), 20);
    let grown = fixture.server.audit().len() - before;
    assert!(grown < 512 << 10, "{grown} bytes of audit");
}
