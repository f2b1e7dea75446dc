//! The server as a process among others: signals, and files that others move or
//! replace under it.

use std::{collections::HashSet, fs, path::Path};

use lessor_tests::{
    openssl::{Authority, Desk, ServerCertificate},
    server::Server,
    wait::eventually_true,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn send(server: &Server, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    kill_process(pid, signal).expect("send a signal");
}

#[test]
fn no_ordinary_signal_ends_the_server_and_three_stop_it_gracefully() {
    let mut server = Server::start();
    for signal in [
        Signal::HUP,
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::VTALARM,
        Signal::PROF,
        Signal::IO,
        Signal::PIPE,
        Signal::POWER,
        Signal::STKFLT,
        Signal::WINCH,
        Signal::CHILD,
    ] {
        send(&server, signal);
        server.http.get("sys/mounts").ok();
    }
    for signal in [Signal::QUIT, Signal::INT, Signal::TERM] {
        send(&server, signal);
        assert!(server.await_death().success(), "{signal:?}");
        assert!(server.log().trim_end().ends_with("stopped"), "{signal:?}");
        server.restart();
    }
}

/// The ids of the requests that a file of audit lines holds.
fn requests(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a whole line"))
        .filter(|line| line["type"] == "request")
        .filter_map(|line| Some(line["request_id"].as_str()?.to_owned()))
        .collect()
}

#[test]
fn the_audit_log_follows_its_path_when_it_is_rotated() {
    let server = Server::start();
    let path = server.data().join("../audit.jsonl");
    let moved = |number: usize| server.data().join(format!("../audit.{number}"));
    let asked = server.http.get("sys/mounts").ok().json()["request_id"].clone();
    for (number, signal) in [(0, Some(Signal::HUP)), (1, None)] {
        fs::rename(&path, moved(number)).unwrap();
        // Until the server looks, lines go into the file that was moved.
        server.http.get("sys/mounts").ok();
        if let Some(signal) = signal {
            send(&server, signal);
        }
        eventually_true("the audit file is made anew", || path.exists());
        server.http.get("sys/mounts").ok();
        assert_eq!(requests(&path).len(), 1, "the line of the request after it");
    }
    let all: Vec<String> = [moved(0), moved(1), path]
        .iter()
        .flat_map(|path| requests(path))
        .collect();
    let distinct: HashSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "no line is written twice");
    assert!(distinct.contains(&asked.as_str().unwrap().to_owned()));
}

/// Certificate and key in the place where a server looks for them.
fn install(directory: &Path, tls: &ServerCertificate) {
    for (name, content) in [("server.pem", &tls.certificate), ("server.key", &tls.key)] {
        let fresh = directory.join(format!("{name}.new"));
        fs::write(&fresh, content).unwrap();
        fs::rename(&fresh, directory.join(name)).unwrap();
    }
}

fn tls_server(directory: &Path, more: &str) -> Server {
    let config = format!(
        "[tls]\ncert = {:?}\nkey = {:?}\n{more}",
        directory.join("server.pem"),
        directory.join("server.key"),
    );
    Server::setup().config(&config).start_uninitialised()
}

/// The output of openssl about a handshake with the server, or the reason why it failed.
fn handshake(server: &Server, options: &[&str]) -> Result<String, String> {
    let peer = server.http.base().strip_prefix("https://").unwrap();
    let arguments = [&["s_client", "-connect", peer], options].concat();
    Desk::new().openssl(&arguments)
}

#[test]
fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new("an authority");
    let [first, second, third] = [(); 3].map(|()| authority.server_certificate());
    install(home.path(), &first);
    let mut server = tls_server(home.path(), "");
    let serves = |server: &Server, tls: &ServerCertificate| {
        handshake(server, &[]).is_ok_and(|said| said.contains(tls.certificate.trim()))
    };
    assert!(serves(&server, &first));

    install(home.path(), &second);
    send(&server, Signal::HUP);
    eventually_true("the second certificate is served", || {
        serves(&server, &second)
    });

    // A key of another certificate: the former certificate goes on being served.
    fs::write(home.path().join("server.key"), &third.key).unwrap();
    send(&server, Signal::HUP);
    eventually_true("the log says why the files are not used", || {
        server
            .log()
            .contains("the former certificate goes on being served")
    });
    assert!(serves(&server, &second));

    // No signal is sent: the server looks by itself.
    install(home.path(), &third);
    eventually_true("the third certificate is served", || {
        serves(&server, &third)
    });
    assert!(server.stop().success());
}

#[test]
fn tls_1_2_is_spoken_with_modern_suites_unless_the_configuration_wants_1_3() {
    let home = tempfile::tempdir().unwrap();
    install(
        home.path(),
        &Authority::new("an authority").server_certificate(),
    );
    let server = tls_server(home.path(), "");
    let said = handshake(&server, &["-tls1_2"]).expect("TLS 1.2");
    assert!(said.contains("ECDHE-ECDSA-"), "{said}");
    handshake(&server, &["-tls1_3"]).expect("TLS 1.3");
    for old in [
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"][..],
        &["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
    ] {
        handshake(&server, old).expect_err("an old suite or version");
    }
    drop(server);

    let server = tls_server(home.path(), "min_version = \"1.3\"");
    handshake(&server, &["-tls1_2"]).expect_err("TLS 1.2");
    handshake(&server, &["-tls1_3"]).expect("TLS 1.3");
}
