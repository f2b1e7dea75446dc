//! A PostgreSQL cluster of the test's own, and an observer who looks into it.
//!
//! The observer is the superuser `postgres`, whom no server under test ever sees. The roles
//! that a test gives to the server as root credentials are made here too and begin with
//! `harness_`, so that any other role is a leased one.

pub mod programs;
pub mod template;

use std::{
    collections::BTreeSet,
    fmt, fs,
    io::Write as _,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tempfile::TempDir;

use self::programs::{command, own};
use crate::{openssl::ServerCertificate, wait::eventually_true};

/// Password of the observer.
pub const OBSERVER_PASSWORD: &str = "observer-password";

/// Settings of a cluster whose data is thrown away, so a crash of the machine may lose it.
/// Committed data survives a crash of PostgreSQL all the same.
const THROWN_AWAY: &str = "fsync = off\nfull_page_writes = off\n";

/// A running cluster. Dropping it ends the process and removes the data.
pub struct Postgres {
    process: Child,
    port: u16,
    home: TempDir,
    /// The observer's connection: made once, since most tests look often.
    observer: Mutex<Option<Client>>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
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
        Self::with(None, THROWN_AWAY)
    }

    /// A fresh cluster that takes connections over TLS only.
    pub fn start_with_tls(certificate: &ServerCertificate) -> Self {
        Self::with(Some(certificate), THROWN_AWAY)
    }

    /// A fresh cluster with PostgreSQL's own settings: committed data survives a crash of the
    /// machine. With a certificate, it takes connections over TLS only.
    pub fn start_durable(certificate: Option<&ServerCertificate>) -> Self {
        Self::with(certificate, "")
    }

    fn with(certificate: Option<&ServerCertificate>, settings: &str) -> Self {
        let home = tempfile::Builder::new()
            .prefix("lessor-pg-")
            .tempdir_in(template::place())
            .expect("a temporary directory");
        own(home.path());
        template::make_data(home.path());
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
            // The observer comes by the socket.
            let rules = "local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
            fs::write(data.join("pg_hba.conf"), rules).expect("pg_hba.conf");
        }
        append(&data.join("postgresql.conf"), settings);
        append(&data.join("postgresql.conf"), "max_connections = 100\n");
        let port = free_port();
        let process = launch(home.path(), port);
        let mut postgres = Self {
            process,
            port,
            home,
            observer: Mutex::default(),
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

    /// Runs SQL as the observer; gives a line a row, with `|` between columns.
    ///
    /// # Errors
    /// The error of the cluster.
    pub fn query(&self, sql: &str) -> Result<String, String> {
        let mut observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = match observer.take() {
            Some(client) if !client.is_closed() => client,
            _ => self.connect("postgres", OBSERVER_PASSWORD)?,
        };
        let rows = rows(&mut client, sql);
        *observer = Some(client);
        rows
    }

    /// Like [`Postgres::query`], where failure is a failure of the test.
    ///
    /// # Panics
    /// Where the cluster refuses it.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.query(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Logs in as somebody and runs SQL.
    ///
    /// # Errors
    /// The error of the cluster.
    pub fn query_as(&self, user: &str, password: &str, sql: &str) -> Result<String, String> {
        rows(&mut self.connect(user, password)?, sql)
    }

    fn connect(&self, user: &str, password: &str) -> Result<Client, String> {
        let mut config = Config::new();
        config
            .host_path(self.home.path())
            .port(self.port)
            .dbname("postgres")
            .user(user)
            .password(password)
            .connect_timeout(Duration::from_secs(20));
        config.connect(NoTls).map_err(|error| said(&error))
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

    /// A session that stays open and waits, until it is cut off.
    ///
    /// # Panics
    /// Where the login is refused.
    pub fn open_session(&self, user: &str, password: &str) -> Session {
        let mut client = self
            .connect(user, password)
            .unwrap_or_else(|error| panic!("{user} logs in: {error}"));
        let waits = thread::spawn(move || {
            let _ = client.simple_query("select pg_sleep(3600)");
        });
        eventually_true("the session is open", || {
            let running = format!(
                "select count(*) from pg_stat_activity where usename = '{user}' and state = 'active'"
            );
            self.sql(&running) != "0"
        });
        Session { waits }
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

    /// A program of PostgreSQL's that is to talk to this cluster, over its socket, as
    /// the observer.
    pub fn program(&self, name: &str) -> Command {
        let mut program = command(name);
        program
            .env("PGHOST", self.home.path())
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres")
            .env("PGPASSWORD", OBSERVER_PASSWORD)
            .env("PGDATABASE", "postgres")
            .stdin(Stdio::null());
        program
    }

    /// The roles that exist beside the cluster's own and the harness's: those that leases have
    /// left upstream.
    pub fn leased_roles(&self) -> BTreeSet<String> {
        self.sql(
            "select rolname from pg_roles where rolname not like 'pg\\_%' \
             and rolname not like 'harness\\_%' and rolname <> 'postgres'",
        )
        .lines()
        .map(str::to_owned)
        .collect()
    }

    /// The time when a role's password ends, in whole Unix seconds.
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

/// An open session. It ends with the cluster at the latest.
#[derive(Debug)]
pub struct Session {
    waits: JoinHandle<()>,
}

impl Session {
    /// Whether it is still connected.
    pub fn is_open(&self) -> bool {
        !self.waits.is_finished()
    }

    /// Waits until the session has ended.
    pub fn await_end(&self) {
        eventually_true("the open session ends", || !self.is_open());
    }
}

/// Runs SQL and writes the rows of all its statements one below the other.
fn rows(client: &mut Client, sql: &str) -> Result<String, String> {
    let messages = client.simple_query(sql).map_err(|error| said(&error))?;
    let lines: Vec<String> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|column| row.get(column).unwrap_or_default())
                    .collect::<Vec<_>>()
                    .join("|"),
            ),
            _ => None,
        })
        .collect();
    Ok(lines.join("\n"))
}

/// The cluster's error, or the reason why psql got none.
fn said(error: &postgres::Error) -> String {
    error.as_db_error().map_or_else(
        || error.to_string(),
        |said| format!("{}: {}", said.severity(), said.message()),
    )
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
        .args(["-c", &format!("unix_socket_directories={}", home.display())])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("log"))
        .stderr(log)
        .spawn()
        .expect("start postgres")
}

/// The version line of the installed server: `postgres (PostgreSQL) 15.18 (…)`.
///
/// # Panics
/// Where none is installed.
pub fn version() -> String {
    let said = command("postgres").arg("--version").output();
    let said = String::from_utf8(said.expect("run postgres").stdout);
    said.expect("a version").trim().to_owned()
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
