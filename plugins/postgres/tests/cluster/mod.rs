//! A real PostgreSQL server for one test: its own data directory, its own port
//! on 127.0.0.1, gone when the test ends. Where PostgreSQL is not installed the
//! test fails and says what to do.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use lessor_postgres::protocol::{Channel, Client, Error, Login, Row};
use lessor_tests::postgres::{
    OBSERVER_PASSWORD, free_port,
    programs::{command, own},
    template,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The superuser.
pub(crate) const ADMIN: &str = "postgres";
/// Password of `lessor`, the least privileged root credential.
pub(crate) const ROOT_PASSWORD: &str = "root-password";

/// A running server.
pub(crate) struct Cluster {
    directory: TempDir,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    postmaster: Child,
    log: Arc<Mutex<String>>,
}

/// A session of the test itself.
pub(crate) type Session = Client<TcpStream>;

impl Cluster {
    /// A server with the roles `postgres` (superuser), `lessor` (CREATEROLE) and
    /// `readers`, and in the database `postgres` the schema `app`, owned by
    /// `lessor`, with the tables `orders` and `notes`.
    pub(crate) fn start() -> Self {
        let cluster = Self::start_with(&[], "");
        cluster.admin().query(SETUP).unwrap();
        cluster.admin().query("CREATE DATABASE other").unwrap();
        cluster
    }

    /// An empty server with further settings and lines at the head of
    /// pg_hba.conf.
    pub(crate) fn start_with(settings: &[&str], hba: &str) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("lessor-postgres-")
            .tempdir_in(template::place())
            .unwrap();
        own(directory.path());
        template::make_data(directory.path());
        let data = directory.path().join("data");
        let hba_path = data.join("pg_hba.conf");
        let rest = fs::read_to_string(&hba_path).unwrap();
        fs::write(&hba_path, format!("{hba}\n{rest}")).unwrap();
        Self::run(directory, settings)
    }

    fn run(directory: TempDir, settings: &[&str]) -> Self {
        let log = Arc::new(Mutex::new(String::new()));
        for _ in 0..5 {
            let port = free_port();
            let mut postmaster = command("postgres")
                .arg("-D")
                .arg(directory.path().join("data"))
                .args([
                    "-p",
                    &port.to_string(),
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    "unix_socket_directories=",
                ])
                .args([
                    "-c",
                    "fsync=off",
                    "-c",
                    "log_statement=all",
                    "-c",
                    "max_connections=60",
                ])
                .args(settings.iter().flat_map(|setting| ["-c", setting]))
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            if is_ready(&mut postmaster, &log) {
                return Self {
                    directory,
                    port,
                    postmaster,
                    log,
                };
            }
            let _ = postmaster.wait();
        }
        panic!("PostgreSQL does not start: {}", log.lock().unwrap());
    }

    /// A config of the provider that logs in as `lessor`.
    pub(crate) fn config(&self) -> Value {
        json!({
            "host": "127.0.0.1", "port": self.port, "sslmode": "disable",
            "username": "lessor", "password": ROOT_PASSWORD,
        })
    }

    /// A session as the superuser.
    pub(crate) fn admin(&self) -> Session {
        self.log_in(ADMIN, OBSERVER_PASSWORD, "postgres").unwrap()
    }

    /// A session as anyone.
    pub(crate) fn log_in(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<Session, Error> {
        let mut session = Client::new(TcpStream::connect(("127.0.0.1", self.port))?);
        session.log_in(login(user, password, database), &Channel::Plain)?;
        Ok(session)
    }

    /// A session with a credential as `create` returned it.
    pub(crate) fn log_in_with(&self, credential: &Value) -> Result<Session, Error> {
        let text = |field: &str| credential[field].as_str().unwrap();
        self.log_in(text("username"), text("password"), text("database"))
    }

    /// The first value that a query of the superuser gives.
    pub(crate) fn value(&self, sql: &str) -> Option<String> {
        self.admin()
            .query(sql)
            .unwrap()
            .first()
            .and_then(|row| row.text(0))
            .map(str::to_owned)
    }

    /// Whether a role exists.
    pub(crate) fn has_role(&self, name: &str) -> bool {
        self.value(&format!("SELECT 1 FROM pg_roles WHERE rolname = '{name}'"))
            .is_some()
    }

    /// What the server has logged, every statement included.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// A path in the server's directory, which the server can read.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped = command("pg_ctl")
            .args(["stop", "--mode=immediate", "--silent", "-D"])
            .arg(self.directory.path().join("data"))
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.postmaster.kill();
        }
        let _ = self.postmaster.wait();
    }
}

/// The login of a test's own session.
pub(crate) fn login<'a>(user: &'a str, password: &'a str, database: &'a str) -> Login<'a> {
    let nonce = format!("test-{}", std::process::id());
    let pbkdf2 = lessor_sdk::crypto::pbkdf2_sha256;
    Login {
        user,
        password,
        database,
        parameters: Vec::new(),
        nonce,
        pbkdf2,
    }
}

/// The values of a column, counted from 0.
pub(crate) fn column(rows: &[Row], column: usize) -> Vec<&str> {
    rows.iter().filter_map(|row| row.text(column)).collect()
}

/// Waits for the line that says so; false where the server ends instead, as it
/// does when somebody else has taken the port.
fn is_ready(postmaster: &mut Child, log: &Arc<Mutex<String>>) -> bool {
    let (ready, waiting) = mpsc::channel();
    let (lines, log) = (
        BufReader::new(postmaster.stderr.take().unwrap()),
        log.clone(),
    );
    std::thread::spawn(move || {
        for line in lines.split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            log.lock().unwrap().push_str(&format!("{line}\n"));
            if line.contains("ready to accept connections") {
                let _ = ready.send(());
            }
        }
    });
    waiting.recv_timeout(Duration::from_secs(60)).is_ok()
}

const SETUP: &str = "
    CREATE ROLE lessor LOGIN CREATEROLE PASSWORD 'root-password';
    CREATE ROLE readers;
    GRANT readers TO lessor WITH ADMIN OPTION;
    CREATE SCHEMA app AUTHORIZATION lessor;
    SET ROLE lessor;
    CREATE TABLE app.orders (id serial PRIMARY KEY, item text);
    CREATE TABLE app.notes (text text);
    INSERT INTO app.orders (item) VALUES ('one');
    RESET ROLE;
    GRANT USAGE ON SCHEMA app TO readers;
    GRANT SELECT ON ALL TABLES IN SCHEMA app TO readers;
";
