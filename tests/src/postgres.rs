//! A PostgreSQL cluster of the test's own, and `psql`.
//!
//! The observer is the superuser `postgres`, whom no server under test ever
//! sees; the roles that a test gives to the server as root credentials are made
//! here too and begin with `harness_`, so that whatever else exists is a leased
//! role.

mod programs;

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use self::programs::{command, own};
use crate::{
    openssl::ServerCertificate,
    wait::{eventually, eventually_true},
};

/// Password of the observer.
const OBSERVER_PASSWORD: &str = "observer-password";

/// A running cluster. Dropping it ends the process and removes the data.
#[derive(Debug)]
pub struct Postgres {
    process: Child,
    port: u16,
    home: TempDir,
}

/// A role that a server under test is given as its root credential.
#[derive(Clone, Debug)]
pub struct Root {
    /// Name of the role.
    pub username: String,
    /// Its first password.
    pub password: String,
}

impl Postgres {
    /// A fresh cluster without TLS.
    pub fn start() -> Self {
        Self::with_certificate(None)
    }

    /// A fresh cluster that takes connections over TLS only.
    pub fn start_with_tls(certificate: &ServerCertificate) -> Self {
        Self::with_certificate(Some(certificate))
    }

    fn with_certificate(certificate: Option<&ServerCertificate>) -> Self {
        let home = tempfile::Builder::new()
            .prefix("lessor-pg-")
            .tempdir()
            .expect("a temporary directory");
        let password_file = home.path().join("password");
        fs::write(&password_file, OBSERVER_PASSWORD).expect("password file");
        own(home.path());
        own(&password_file);
        let made = command("initdb")
            .arg("-D")
            .arg(home.path().join("data"))
            .args(["--no-sync", "--no-locale", "--encoding=UTF8"])
            .args(["--username=postgres", "--auth=scram-sha-256"])
            .arg(format!("--pwfile={}", password_file.display()))
            .output()
            .expect("run initdb");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let data = home.path().join("data");
        if let Some(certificate) = certificate {
            for (name, pem) in [
                ("server.crt", &certificate.certificate),
                ("server.key", &certificate.key),
            ] {
                let file = data.join(name);
                fs::write(&file, pem).expect("server certificate");
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("chmod");
                own(&file);
            }
            append(&data.join("postgresql.conf"), "ssl = on\n");
            let rules = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
            fs::write(data.join("pg_hba.conf"), rules).expect("pg_hba.conf");
        }
        // Throw-away data: what a crash of the machine would lose is worth nothing.
        // What is committed survives a crash of PostgreSQL all the same.
        append(
            &data.join("postgresql.conf"),
            "fsync = off\nfull_page_writes = off\nmax_connections = 100\n",
        );
        let port = free_port();
        let process = launch(home.path(), port);
        let mut postgres = Self {
            process,
            port,
            home,
        };
        postgres.await_ready();
        postgres
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The grant that a mount needs to reach it.
    pub fn grant(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// Stops the cluster at once, as a failing machine would.
    pub fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        // SIGQUIT: immediate shutdown, and no orphaned backend as after SIGKILL.
        rustix::process::kill_process(pid, rustix::process::Signal::QUIT).expect("SIGQUIT");
        self.process.wait().expect("wait for postgres");
    }

    /// Starts it again on the same data and port.
    pub fn start_again(&mut self) {
        self.process = launch(self.home.path(), self.port);
        self.await_ready();
    }

    fn await_ready(&mut self) {
        eventually_true("PostgreSQL takes connections", || {
            if let Some(ended) = self.process.try_wait().expect("look at postgres") {
                let log = fs::read_to_string(self.home.path().join("log"));
                panic!(
                    "PostgreSQL did not start ({ended}): {}",
                    log.unwrap_or_default()
                );
            }
            self.query("select 1").is_ok()
        });
    }

    /// Runs SQL as the observer; gives unaligned rows.
    ///
    /// # Errors
    /// What psql printed.
    pub fn query(&self, sql: &str) -> Result<String, String> {
        self.query_as("postgres", OBSERVER_PASSWORD, sql)
    }

    /// Like [`Postgres::query`], where failure is a failure of the test.
    ///
    /// # Panics
    /// Where psql fails.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.query(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Logs in as somebody and runs SQL.
    ///
    /// # Errors
    /// What psql printed.
    pub fn query_as(&self, user: &str, password: &str, sql: &str) -> Result<String, String> {
        let done = self
            .psql(user, password)
            .args(["-c", sql])
            .stdin(Stdio::null())
            .output()
            .expect("run psql");
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).trim().to_owned())
        }
    }

    /// Whether somebody can log in.
    ///
    /// # Panics
    /// Where the refusal is about anything but the login.
    #[track_caller]
    pub fn accepts(&self, user: &str, password: &str) -> bool {
        match self.query_as(user, password, "select current_user") {
            Ok(name) => {
                assert_eq!(name, user);
                true
            }
            Err(error) => {
                assert!(
                    error.contains("password authentication failed"),
                    "neither a login nor a refused one: {error}"
                );
                false
            }
        }
    }

    /// A `psql` that stays connected and waits; it ends when its session does.
    pub fn open_session(&self, user: &str, password: &str) -> Session {
        let psql = self
            .psql(user, password)
            .args(["-c", "select pg_sleep(3600)"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start psql");
        let session = Session { psql };
        eventually_true("the session is open", || {
            let running = format!(
                "select count(*) from pg_stat_activity where usename = '{user}' and state = 'active'"
            );
            self.sql(&running) != "0"
        });
        session
    }

    fn psql(&self, user: &str, password: &str) -> Command {
        let mut psql = command("psql");
        psql.args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1"])
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", user, "-d", "postgres"])
            .env("PGPASSWORD", password)
            // A personal service file or client certificate has no say here.
            .env("HOME", self.home.path())
            .env("PGCONNECT_TIMEOUT", "20");
        psql
    }

    /// A superuser to be root with.
    pub fn superuser(&self) -> Root {
        self.root("harness_superuser", "SUPERUSER")
    }

    /// A role with `CREATEROLE` and nothing else.
    pub fn role_creator(&self) -> Root {
        self.root("harness_creator", "CREATEROLE")
    }

    /// A role that may log in and nothing else.
    pub fn powerless(&self) -> Root {
        self.root("harness_powerless", "")
    }

    fn root(&self, name: &str, attributes: &str) -> Root {
        let password = format!("first-password-of-{name}");
        self.sql(&format!(
            "create role {name} login {attributes} password '{password}'"
        ));
        Root {
            username: name.to_owned(),
            password,
        }
    }

    /// The roles that exist beside the cluster's own and the harness's: what
    /// leases have left upstream.
    pub fn leased_roles(&self) -> BTreeSet<String> {
        self.sql(
            "select rolname from pg_roles where rolname not like 'pg\\_%' \
             and rolname not like 'harness\\_%' and rolname <> 'postgres'",
        )
        .lines()
        .map(str::to_owned)
        .collect()
    }

    /// When a role's password ends, in whole Unix seconds.
    ///
    /// # Panics
    /// Where the role is not there or never ends.
    #[track_caller]
    pub fn valid_until(&self, role: &str) -> u64 {
        self.sql(&format!(
            "select extract(epoch from rolvaliduntil)::bigint from pg_roles where rolname = '{role}'"
        ))
        .parse()
        .expect("a role with an end")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let pid = rustix::process::Pid::from_child(&self.process);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
            let _ = self.process.wait();
        }
    }
}

/// A connected `psql`.
#[derive(Debug)]
pub struct Session {
    psql: Child,
}

impl Session {
    /// Whether it is still connected.
    pub fn is_open(&mut self) -> bool {
        self.psql.try_wait().expect("look at psql").is_none()
    }

    /// Waits until the session has ended.
    pub fn await_end(&mut self) {
        let status = eventually("the open session ends", || {
            self.psql.try_wait().expect("look at psql")
        });
        assert!(!status.success(), "the session was to be cut off");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

/// Starts `postgres` in the foreground, so that its process id is the child's.
fn launch(home: &Path, port: u16) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(home.join("log"))
        .expect("the cluster's log");
    command("postgres")
        .arg("-D")
        .arg(home.join("data"))
        .args(["-p", &port.to_string()])
        .args(["-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories="])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("log"))
        .stderr(log)
        .spawn()
        .expect("start postgres")
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

fn append(file: &Path, text: &str) {
    fs::File::options()
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .expect("append to a file");
}
