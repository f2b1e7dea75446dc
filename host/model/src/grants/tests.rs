//! Tables for the grants: what parses, what connects, what is refused and how.

use super::*;

fn grants(entries: &[&str]) -> Grants {
    Grants::parse(entries).unwrap()
}

/// Both checks, as a connection makes them.
fn connect(entries: &[&str], scheme: Scheme, host: &str, port: u16, resolved: &str) -> bool {
    let grants = grants(entries);
    grants
        .permits(scheme, host, port)
        .and_then(|destination| grants.permits_address(&destination, resolved.parse().unwrap()))
        .is_ok()
}

#[test]
fn entries_that_are_no_grants_are_refused_with_a_reason() {
    for (entry, reason) in [
        ("", "scheme://"),
        ("db.example.com:5432", "scheme://"),
        ("ftp://a.example", "https, http and tcp"),
        ("tcp://db.example.com", "tcp needs a port"),
        ("tcp://db.example.com:0", "1 to 65535"),
        ("tcp://db.example.com:65536", "1 to 65535"),
        ("tcp://db.example.com:+80", "1 to 65535"),
        ("https://a.example:", "1 to 65535"),
        ("https://", "no host name"),
        ("https://a..b", "no host name"),
        ("https://a b", "no host name"),
        ("https://a.example/path", "no path"),
        ("https://a.example/8", "no path"),
        ("https://user@a.example", "credentials"),
        ("https://*", "wildcard"),
        ("https://a.*.example", "wildcard"),
        ("https://*.*.example", "wildcard"),
        ("tcp://fd00::5:5432", "brackets"),
        ("tcp://[fd00::5:5432", "not closed"),
        ("tcp://[fd00::5]5432", "after the bracket"),
        ("tcp://[fe80::1%eth0]:1", "IPv6"),
        ("tcp://10.0.0.1/8:5432", "no bits set"),
        ("tcp://10.0.0.0/33:5432", "range"),
        ("tcp://[::ffff:10.0.0.0/104]:1", "range of IPv4"),
        ("tcp://127.1:5432", "four decimal numbers"),
        ("tcp://0177.0.0.1:5432", "four decimal numbers"),
        ("tcp://0x7f.0.0.0x1:5432", "four decimal numbers"),
        ("tcp://2130706433:5432", "four decimal numbers"),
    ] {
        let error = Grants::parse(&[entry]).unwrap_err();
        assert!(error.reason.contains(reason), "{entry}: {}", error.reason);
    }
}

#[test]
fn a_grant_is_for_its_scheme_host_and_port_only() {
    let public = "93.184.215.14";
    for (entry, scheme, host, port, expected) in [
        (
            "https://api.example.com",
            Scheme::Https,
            "api.example.com",
            443,
            true,
        ),
        (
            "https://api.example.com",
            Scheme::Https,
            "API.Example.COM.",
            443,
            true,
        ),
        (
            "HTTPS://Api.Example.com.",
            Scheme::Https,
            "api.example.com",
            443,
            true,
        ),
        (
            "https://api.example.com",
            Scheme::Https,
            "api.example.com",
            8443,
            false,
        ),
        (
            "https://api.example.com",
            Scheme::Http,
            "api.example.com",
            443,
            false,
        ),
        (
            "https://api.example.com",
            Scheme::Tcp,
            "api.example.com",
            443,
            false,
        ),
        (
            "https://api.example.com",
            Scheme::Https,
            "example.com",
            443,
            false,
        ),
        (
            "https://api.example.com",
            Scheme::Https,
            "x.api.example.com",
            443,
            false,
        ),
        (
            "https://api.example.com",
            Scheme::Https,
            "api.example.com.evil.net",
            443,
            false,
        ),
        (
            "https://api.example.com:8443",
            Scheme::Https,
            "api.example.com",
            8443,
            true,
        ),
        (
            "http://api.example.com",
            Scheme::Http,
            "api.example.com",
            80,
            true,
        ),
        (
            "tcp://db.example.com:5432",
            Scheme::Tcp,
            "db.example.com",
            5432,
            true,
        ),
        (
            "tcp://my_db.example.com:5432",
            Scheme::Tcp,
            "my_db.example.com",
            5432,
            true,
        ),
        (
            "https://*.example.com",
            Scheme::Https,
            "a.example.com",
            443,
            true,
        ),
        (
            "https://*.example.com",
            Scheme::Https,
            "a.b.example.com",
            443,
            true,
        ),
        (
            "https://*.example.com",
            Scheme::Https,
            "example.com",
            443,
            false,
        ),
        (
            "https://*.example.com",
            Scheme::Https,
            ".example.com",
            443,
            false,
        ),
        (
            "https://*.example.com",
            Scheme::Https,
            "evilexample.com",
            443,
            false,
        ),
        (
            "https://b\u{fc}cher.example",
            Scheme::Https,
            "xn--bcher-kva.example",
            443,
            true,
        ),
        (
            "https://xn--bcher-kva.example",
            Scheme::Https,
            "B\u{dc}CHER.example",
            443,
            true,
        ),
        (
            "https://api.example.com",
            Scheme::Https,
            "user@api.example.com",
            443,
            false,
        ),
        (
            "https://api.example.com",
            Scheme::Https,
            "api.example.com/x",
            443,
            false,
        ),
    ] {
        assert_eq!(
            connect(&[entry], scheme, host, port, public),
            expected,
            "{entry} {scheme:?} {host}:{port}"
        );
    }
}

#[test]
fn addresses_are_reached_only_where_they_are_named() {
    for (entry, host, expected) in [
        ("tcp://127.0.0.1:1", "127.0.0.1", true),
        ("tcp://127.0.0.1:1", "::ffff:127.0.0.1", true),
        ("tcp://127.0.0.1:1", "[::ffff:7f00:1]", true),
        ("tcp://[::ffff:127.0.0.1]:1", "127.0.0.1", true),
        ("tcp://127.0.0.1:1", "127.0.0.2", false),
        ("tcp://127.0.0.1:1", "127.1", false),
        ("tcp://127.0.0.1:1", "0x7f000001", false),
        ("tcp://127.0.0.1:1", "0177.0.0.1", false),
        ("tcp://127.0.0.1:1", "2130706433", false),
        ("tcp://127.0.0.1:1", "[::1]", false),
        ("tcp://[::1]:1", "::1", true),
        ("tcp://[fd00::/8]:1", "fd12::1", true),
        ("tcp://10.0.0.0/8:1", "10.9.8.7", true),
        ("tcp://10.0.0.0/8:1", "11.0.0.1", false),
        ("tcp://169.254.169.254:1", "169.254.169.254", true),
        ("tcp://169.254.0.0/16:1", "169.254.169.254", true),
        // A range that happens to contain a special address does not name it.
        ("tcp://0.0.0.0/0:1", "127.0.0.1", false),
        ("tcp://0.0.0.0/0:1", "169.254.169.254", false),
        ("tcp://0.0.0.0/0:1", "10.0.0.1", false),
        ("tcp://0.0.0.0/0:1", "8.8.8.8", true),
        ("tcp://[::/0]:1", "::1", false),
        ("tcp://[::/0]:1", "fe80::1", false),
        ("tcp://[::/0]:1", "2606:4700::1111", true),
    ] {
        let resolved = match Host::parse(host) {
            Ok(Host::Address(address)) => address.to_string(),
            _ => String::from("127.0.0.1"),
        };
        assert_eq!(
            connect(&[entry], Scheme::Tcp, host, 1, &resolved),
            expected,
            "{entry} {host}"
        );
    }
}

#[test]
fn a_name_that_resolves_to_an_inner_address_needs_a_grant_of_that_address_too() {
    let name = "tcp://db.example.com:1";
    for (entries, host, resolved, expected) in [
        (&[name] as &[&str], "db.example.com", "93.184.215.14", true),
        (&[name], "db.example.com", "127.0.0.1", false),
        (&[name], "db.example.com", "::ffff:10.0.0.5", false),
        (&[name], "db.example.com", "169.254.169.254", false),
        (&[name], "db.example.com", "224.0.0.1", false),
        (&[name], "db.example.com", "0.0.0.0", false),
        (&[name], "db.example.com", "fe80::1", false),
        (
            &[name, "tcp://10.0.0.5:1"],
            "db.example.com",
            "10.0.0.5",
            true,
        ),
        (
            &[name, "tcp://10.0.0.0/8:1"],
            "db.example.com",
            "10.0.0.5",
            true,
        ),
        (
            &[name, "tcp://10.0.0.0/8:2"],
            "db.example.com",
            "10.0.0.5",
            false,
        ),
        (
            &[name, "https://10.0.0.0/8:1"],
            "db.example.com",
            "10.0.0.5",
            false,
        ),
        (
            &[name, "tcp://0.0.0.0/0:1"],
            "db.example.com",
            "10.0.0.5",
            false,
        ),
        // A range alone grants no names: looking one up already tells the world.
        (&["tcp://10.0.0.0/8:1"], "db.example.com", "10.0.0.5", false),
        (&["tcp://localhost:1"], "localhost", "127.0.0.1", true),
        (&["tcp://localhost:1"], "LOCALHOST.", "::1", true),
        (&["tcp://localhost:1"], "localhost", "10.0.0.5", false),
        (&["tcp://*.localhost:1"], "a.localhost", "127.0.0.1", false),
    ] {
        assert_eq!(
            connect(entries, Scheme::Tcp, host, 1, resolved),
            expected,
            "{entries:?} {host} {resolved}"
        );
    }
}

#[test]
fn a_refusal_says_what_to_add() {
    let none = Grants::default();
    for (scheme, host, port, sentence) in [
        (
            Scheme::Tcp,
            "10.0.0.5",
            5432,
            "mount `db` may not connect to tcp://10.0.0.5:5432; \
             add \"tcp://10.0.0.5:5432\" to its allowed_hosts (`lessor mount tune --allow-host`)",
        ),
        (
            Scheme::Https,
            "IAM.example.com",
            443,
            "mount `db` may not connect to https://iam.example.com; \
             add \"https://iam.example.com\" to its allowed_hosts (`lessor mount tune --allow-host`)",
        ),
        (
            Scheme::Http,
            "::1",
            8080,
            "mount `db` may not connect to http://[::1]:8080; \
             add \"http://[::1]:8080\" to its allowed_hosts (`lessor mount tune --allow-host`)",
        ),
        (
            Scheme::Http,
            "a.example",
            0,
            "mount `db` may not connect to \"a.example\": the port is a number from 1 to 65535",
        ),
        (
            Scheme::Tcp,
            "0177.0.0.1",
            1,
            "mount `db` may not connect to \"0177.0.0.1\": \
             an IPv4 address is written as four decimal numbers",
        ),
    ] {
        let refusal = none.permits(scheme, host, port).unwrap_err();
        assert_eq!(refusal.sentence("db"), sentence);
    }

    let named = grants(&["tcp://db.internal:5432"]);
    let destination = named.permits(Scheme::Tcp, "db.internal", 5432).unwrap();
    let refusal = named
        .permits_address(&destination, "10.0.0.5".parse().unwrap())
        .unwrap_err();
    assert_eq!(
        refusal.sentence("db"),
        "mount `db` may not connect to tcp://db.internal:5432, because it resolves to 10.0.0.5, \
         a private address; add \"tcp://10.0.0.5:5432\" to its allowed_hosts as well \
         (`lessor mount tune --allow-host`)"
    );
}

#[test]
fn what_a_refusal_says_to_add_is_enough() {
    for (scheme, host, port) in [
        (Scheme::Tcp, "10.0.0.5", 5432),
        (Scheme::Https, "api.example.com", 443),
        (Scheme::Http, "[fe80::1]", 8080),
        (Scheme::Https, "::ffff:1.2.3.4", 8443),
    ] {
        let refusal = Grants::default().permits(scheme, host, port).unwrap_err();
        let Refusal::NotGranted(destination) = refusal else {
            unreachable!("{refusal:?}");
        };
        assert!(
            grants(&[&destination.to_string()])
                .permits(scheme, host, port)
                .is_ok(),
            "{destination}"
        );
    }
}
