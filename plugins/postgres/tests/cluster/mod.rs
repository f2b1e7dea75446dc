//! A real PostgreSQL server for one test: its own data directory, its own port
//! on 127.0.0.1, gone when the test ends. Where PostgreSQL is not installed the
//! test fails and says what to install.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use lessor_postgres::protocol::{Channel, Client, Error, Login, Row};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Password of the superuser `admin`.
pub(crate) const ADMIN_PASSWORD: &str = "admin-password";
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
    /// A server with the roles `admin` (superuser), `lessor` (CREATEROLE) and
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
            .tempdir()
            .unwrap();
        give(directory.path());
        let password = directory.path().join("password");
        fs::write(&password, ADMIN_PASSWORD).unwrap();
        give(&password);
        let data = directory.path().join("data");
        let made = command("initdb")
            .arg("--pgdata")
            .arg(&data)
            .arg("--pwfile")
            .arg(&password)
            .args([
                "--username=admin",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
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
        self.log_in("admin", ADMIN_PASSWORD, "postgres").unwrap()
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

/// A program of PostgreSQL, as the user that may run it.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(find(program));
    if let Some((uid, gid)) = postgres_user() {
        command.uid(uid).gid(gid);
    }
    command
        .current_dir("/")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// Lets the server own a file.
pub(crate) fn give(path: &Path) {
    if let Some((uid, gid)) = postgres_user() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// PostgreSQL refuses to run as root: then it runs as the user that its package
/// makes.
fn postgres_user() -> Option<(u32, u32)> {
    let number = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .ok()
    };
    (number(&["-u"]) == Some(0)).then(|| {
        let ids = number(&["-u", "postgres"]).zip(number(&["-g", "postgres"]));
        ids.unwrap_or_else(|| panic!("the user `postgres` is missing; {INSTALL}"))
    })
}

/// On PATH, or where Debian puts it.
fn find(program: &str) -> PathBuf {
    let on_path: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut all = on_path
        .into_iter()
        .chain(debian.map(|version| version.path().join("bin")));
    let found =
        all.find_map(|directory| Some(directory.join(program)).filter(|path| path.is_file()));
    found.unwrap_or_else(|| panic!("{program} is not installed; {INSTALL}"))
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
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

const INSTALL: &str = "install PostgreSQL: apt-get install postgresql";

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
