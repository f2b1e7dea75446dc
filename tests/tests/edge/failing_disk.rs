//! A disk that fails under the server, as the operating system reports it: the
//! calls that change the database return the error, whatever SQLite makes of it.

use std::{fs, path::PathBuf};

use lessor_tests::{
    fixture::{Fixture, GIVEN_UP_SECONDS, Lease},
    postgres::Postgres,
    server::Server,
    shim::shim,
    wait::eventually_true,
};
use serde_json::json;
use tempfile::TempDir;

/// Linux's numbers, the same on every architecture.
const EIO: u32 = 5;
const ENOSPC: u32 = 28;
const EROFS: u32 = 30;

/// A disk below a server that fails by order.
struct Disk {
    home: TempDir,
    library: PathBuf,
}

impl Disk {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let library = shim("failing_disk/shim.c", home.path());
        Self { home, library }
    }

    fn orders(&self) -> PathBuf {
        self.home.path().join("orders")
    }

    /// From now on, calls of this kind end with this errno.
    fn fail(&self, kind: &str, errno: u32) {
        // Written beside and renamed, so that the library never reads half an order.
        let draft = self.home.path().join("draft");
        fs::write(&draft, format!("{kind} {errno}")).expect("the order is written");
        fs::rename(draft, self.orders()).expect("the order is given");
    }

    fn work_again(&self) {
        fs::remove_file(self.orders()).expect("the order is taken back");
    }

    fn server(&self) -> Fixture {
        let setup = Server::setup()
            .environment("LD_PRELOAD", &self.library.display().to_string())
            .environment("FAILING_DISK", &self.orders().display().to_string());
        Fixture::with(setup, Postgres::superuser)
    }
}

/// Every request that writes is refused with one sentence, every one that reads is answered,
/// and nothing is made upstream.
fn refuses_and_reads_on(fixture: &Fixture, lease: &Lease, what: &str) {
    let http = &fixture.server.http;
    let upstream = fixture.postgres.leased_roles();
    for answer in [
        http.get("db/creds/reader"),
        fixture.revoke(lease),
        fixture.renew(lease, 7200),
        http.post("auth/token/create", &json!({"policies": ["x"]})),
        http.put("sys/policy/x", &json!({"policy": "path \"x\" {}"})),
        http.post("db/config/rotate-root", &json!({})),
    ] {
        let sentence = answer.refused(503);
        assert!(
            sentence.contains("storage refuses writes"),
            "{what}: {sentence}"
        );
    }
    fixture.server.lookup(&lease.id).ok();
    http.get("db/config").ok();
    http.get("sys/leases").ok();
    http.get("sys/health").ok();
    assert!(fixture.works(lease), "{what}");
    assert_eq!(fixture.postgres.leased_roles(), upstream, "{what}");
}

#[test]
fn an_error_of_the_disk_is_refused_in_one_sentence_and_passes_with_it() {
    let disk = Disk::new();
    let mut fixture = disk.server();
    let mut kept = vec![fixture.issue("reader")];
    for (what, kind, errno) in [
        ("input/output errors", "write", EIO),
        ("a read-only file system", "write", EROFS),
        ("a full disk", "write", ENOSPC),
        ("a sync that fails", "sync", EIO),
    ] {
        let lease = fixture.issue("reader");
        disk.fail(kind, errno);
        refuses_and_reads_on(&fixture, &lease, what);
        disk.work_again();
        eventually_true("storage takes writes again", || {
            fixture.renew(&lease, 7200).status == 200
        });
        kept.push(fixture.issue("reader"));
        fixture.revoke(&lease).ok();
    }
    // The scheduler asks a failing storage less and less often.
    fixture.server.advance_clock(60);
    fixture.await_exactly(&kept);

    // After the last error the server crashes: everything that was acknowledged is there.
    disk.fail("sync", EIO);
    fixture.server.http.get("db/creds/reader").refused(503);
    fixture.server.kill();
    fixture.server.restart();
    // Data that was written and not synced may be there all the same, such as an intent that
    // nobody was told of. Its lease ends when its call can no longer take effect. The new
    // process begins with the machine's clock, behind the moved one that set that time.
    fixture.server.advance_clock(60 + GIVEN_UP_SECONDS);
    fixture.await_exactly(&kept);
    for lease in &kept {
        assert!(fixture.works(lease));
    }
}
