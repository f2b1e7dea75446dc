//! Guests that go where no grant leads: by address, by name, by redirect, and
//! by a name that changes its mind.

use std::net::TcpListener;

use lessor_tests::server::Server;
use serde_json::json;

use super::{
    guest,
    resolver::Resolver,
    row::{Row, row},
    stage::{Stage, note},
    upstream::Upstream,
};

/// An upstream at each of these addresses, at one port.
fn beside_each_other<const N: usize>(hosts: [&str; N]) -> [Upstream; N] {
    loop {
        let first = TcpListener::bind((hosts[0], 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let mut listeners = vec![first];
        listeners.extend(
            hosts[1..]
                .iter()
                .map_while(|host| TcpListener::bind((*host, port)).ok()),
        );
        if let Ok(listeners) = <[TcpListener; N]>::try_from(listeners) {
            return listeners.map(Upstream::lines);
        }
    }
}

/// The guest is refused, by a sentence and an audit line of the same words.
fn refused(row: Row, says: &[&str]) -> Row {
    let change = "refused a connection that no grant allows";
    let audited: Vec<_> = says.iter().copied().chain([change]).collect();
    // In JSON, quotes are escaped.
    let audited: Vec<_> = audited
        .iter()
        .map(|part| part.replace('"', "\\\""))
        .collect();
    let audited: Vec<_> = audited.iter().map(String::as_str).collect();
    row.ends(400, "grant_missing", says).audited(&audited)
}

#[test]
fn nothing_is_dialled_that_no_grant_leads_to() {
    let [granted, inner, rebound] = beside_each_other(["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    let [other] = beside_each_other(["127.0.0.1"]);
    let (port, closed) = (granted.port(), other.port());
    let behind = Upstream::http("200 OK\r\ncontent-length: 0", 0);
    let redirect = format!(
        "302 Found\r\nlocation: {}\r\ncontent-length: 0",
        behind.url()
    );
    let redirect = Upstream::http(&redirect, 0);
    let announced = Upstream::http("200 OK\r\ncontent-length: 100000", 100_000);
    let resolver = Resolver::new(&[
        ("inner.test", &["127.0.0.2"]),
        ("rebinding.test", &["127.0.0.3", "127.0.0.2"]),
    ]);
    let grants = [
        granted.grant("tcp"),
        rebound.grant("tcp"),
        redirect.grant("http"),
        announced.grant("http"),
        format!("tcp://inner.test:{port}"),
        format!("tcp://rebinding.test:{port}"),
        String::from("tcp://0.0.0.0/0:80"),
    ];
    let setup = resolver.below(Server::setup());
    let stage = Stage::start(setup, "response = 65536", &grants);
    let add = |grant: &str| format!("add \"{grant}\" to its allowed_hosts");
    #[rustfmt::skip]
    stage.play(&[
        refused(row(guest::FORBIDDEN_HOST).number(port), &[&add(&inner.grant("tcp"))]),
        refused(row(guest::FORBIDDEN_PORT).number(closed), &[&add(&other.grant("tcp"))]),
        refused(row(guest::FORBIDDEN_SCHEME).target("127.0.0.1").number(port), &[&add(&granted.grant("http"))]),
        refused(row(guest::LINK_LOCAL_ADDRESS).number(80_u64), &[&add("tcp://169.254.169.254:80")]),
        refused(row(guest::LOOPBACK_BY_NAME).target("inner.test").number(port), &["it resolves to 127.0.0.2, a loopback address", &inner.grant("tcp")]),
        refused(row(guest::LOOPBACK_IN_DECIMAL).number(port), &["\"2130706433\": an IPv4 address is written as four decimal numbers"]),
        refused(row(guest::LOOPBACK_MAPPED_INTO_IPV6).number(closed), &[&add(&other.grant("tcp"))]),
        refused(row(guest::REDIRECT_TO_A_FORBIDDEN_HOST).target(redirect.url()), &[&add(&behind.grant("http"))]),
        row(guest::LONG_RESPONSE).target(announced.url()).fails("limit_response", &["65536 bytes", "(setting `sandbox.response`)"]),
        row(guest::DNS_LOOKUP).notes(&["refused"]),
    ]);
    for upstream in [&granted, &inner, &other, &behind] {
        assert_eq!(upstream.accepted(), 0);
    }
    let asked = resolver.asked();
    assert!(asked.iter().all(|name| name == "inner.test"), "{asked:?}");

    // The name is looked up once, and the checked address is the one that is dialled.
    let role = json!({"act": guest::DNS_REBINDING, "target": "rebinding.test", "number": port});
    stage.role("bad", "rebinding", &role);
    assert_eq!(note(&stage.create("bad", "rebinding").ok()), "pong");
    assert_eq!(resolver.asked()[asked.len()..], ["rebinding.test"]);
    assert_eq!((rebound.accepted(), inner.accepted()), (1, 0));
    let sentence = stage.create("bad", "rebinding").refused(400);
    assert!(sentence.contains("resolves to 127.0.0.2"), "{sentence}");
    assert_eq!(resolver.asked().len(), asked.len() + 2);
    assert_eq!((rebound.accepted(), inner.accepted()), (1, 0));
    stage.good_call().unwrap();
}
