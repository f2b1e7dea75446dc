//! Guests that reach for a program's surroundings: files, environment, sockets of their own,
//! the process.

use std::net::{TcpListener, UdpSocket};

use lessor_tests::server::Server;

use super::{guest, row::row, stage::Stage, upstream::Upstream};

#[test]
fn a_guest_has_nothing_around_it() {
    let upstream = Upstream::lines(TcpListener::bind("127.0.0.1:0").unwrap());
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let udp_port = datagrams.local_addr().unwrap().port();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("written");
    // A socket of the guest's own does not even reach a granted host.
    let grants = [upstream.grant("tcp"), format!("tcp://127.0.0.1:{udp_port}")];
    let stage = Stage::start(Server::setup(), "", &grants);
    #[rustfmt::skip]
    stage.play(&[
        row(guest::FILE_READ).notes(&["file: refused", "folder: refused"]),
        row(guest::FILE_WRITE).target(file.display().to_string()).notes(&["refused"]),
        row(guest::ENVIRONMENT_READ).notes(&["0 variables, 0 arguments"]),
        row(guest::EXIT).fails("trap", &["ended itself"]),
        row(guest::RAW_SOCKET).target("127.0.0.1").number(upstream.port()).notes(&["refused"]),
        row(guest::UDP).target("127.0.0.1").number(udp_port).notes(&["refused"]),
        row(guest::LISTEN).notes(&["refused"]),
    ]);
    assert!(!file.exists());
    assert_eq!(upstream.accepted(), 0);
    assert!(datagrams.recv(&mut [0]).is_err());
}
