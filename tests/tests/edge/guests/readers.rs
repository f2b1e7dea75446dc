//! Readers that leave before they have read their answer. The connection breaks while the
//! answer is being written, so nobody has the credential, and the server ends the lease.
//!
//! The operating system takes a short answer at once, and the server cannot know whether
//! somebody read it. These answers are longer than the system's buffer of a connection, so they
//! are being written until somebody reads them.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use lessor_tests::{server::Server, wait::eventually_true};
use serde_json::json;

use super::{guest, stage::Stage};

/// Bytes of an answer: twice what Linux keeps of a connection's output at most
/// (`net.ipv4.tcp_wmem`), beside the few kilobytes that its reader keeps.
const LENGTH: usize = 8 << 20;

/// Readers that leave.
const READERS: usize = 6;

#[test]
fn a_lease_whose_reader_left_before_reading_is_ended() {
    let room = "output = 16777216\ncopies = 67108864\nheld = 134217728\nheld_by_all = 536870912";
    let stage = Stage::start(Server::setup(), room, &[]);
    let http = &stage.server.http;
    http.post("sys/mounts/bad/tune", &json!({"timeout": "60s"}))
        .ok();
    let role = json!({"act": guest::LONG_ANSWER, "number": LENGTH});
    stage.role("bad", "long", &role);

    // A reader that reads to the end keeps its lease, also after others that did not.
    let read = stage.create("bad", "long").ok();
    assert!(read.bytes.len() > LENGTH);
    let kept = read.json()["lease_id"].as_str().unwrap().to_owned();
    let address = http.base().trim_start_matches("http://").to_owned();
    for nth in 0..READERS {
        let mut reader = TcpStream::connect(&address).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&reader, 4096).unwrap();
        let head = format!(
            "GET /v1/bad/creds/long HTTP/1.1\r\nhost: {address}\r\nx-vault-token: {}\r\n\r\n",
            http.token()
        );
        reader.write_all(head.as_bytes()).unwrap();
        // The answer begins once its lease is recorded.
        reader.read_exact(&mut [0]).unwrap();
        assert!(stage.server.leases("bad").len() >= 2, "reader {nth}");
        drop(reader);
    }
    eventually_true("the leases of all who left are ended", || {
        stage.server.leases("bad") == [kept.clone()]
    });
    let log = stage.server.log();
    assert_eq!(log.matches("credential reached nobody").count(), READERS);
    let read = stage.create("bad", "long").ok();
    assert!(read.bytes.len() > LENGTH);
    assert_eq!(stage.server.leases("bad").len(), 2);
}
