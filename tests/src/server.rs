//! The server under test: the real binary as a child process, on a data
//! directory that outlives the process, so that it can be killed and started
//! again as on a machine that lost power.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    http::{Answer, Http},
    wait::{eventually, eventually_true},
};

/// The settings with which a server is started; see [`Server::setup`].
#[derive(Debug)]
pub struct Setup {
    config: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Setup {
    /// The process is to kill itself when it first reaches this point.
    #[must_use]
    pub fn fault(self, point: &str) -> Self {
        self.environment("LESSOR_FAULT", point)
    }

    /// An environment variable, for this start and not for a restart.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A command line argument, for this start and every restart.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Further text of the configuration file.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.config.push_str(toml);
        self.config.push('\n');
        self
    }

    /// Starts the server on a fresh data directory, initialises it, and pins
    /// the first-party providers as `postgres` and `certificate`.
    pub fn start(self) -> Server {
        let mut server = self.start_uninitialised();
        server.initialise();
        for name in ["postgres", "certificate"] {
            let file = format!("{name}.wasm");
            server.pin(name, &file, &server.digest(&file)).ok();
        }
        server
    }

    /// Starts `server --dev`, as somebody who tries it out would; the root
    /// token is `root`.
    pub fn start_dev(self) -> Server {
        let home = home();
        let plugins = home.path().join("plugins").display().to_string();
        let own = [
            "--dev",
            "--dev-root-token-id",
            "root",
            "--listen",
            "127.0.0.1:0",
            "--plugin-dir",
            &plugins,
        ];
        let arguments = [own.map(str::to_owned).to_vec(), self.arguments].concat();
        let (process, base) = spawn(home.path(), &arguments, &self.environment);
        Server {
            process,
            http: Http::new(&base).with_token("root"),
            home,
            arguments,
        }
    }

    /// Starts the server on a fresh data directory, without initialising it.
    pub fn start_uninitialised(self) -> Server {
        let home = home();
        let plugins = home.path().join("plugins");
        let config = format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = {:?}\nplugin_dir = {:?}\n{}\n[audit]\nfile = {:?}\n",
            home.path().join("data"),
            plugins,
            self.config,
            home.path().join("audit.jsonl"),
        );
        fs::write(home.path().join("lessor.toml"), config).expect("config file");
        let arguments = [
            vec![
                "--config".to_owned(),
                home.path().join("lessor.toml").display().to_string(),
            ],
            self.arguments,
        ]
        .concat();
        let (process, base) = spawn(home.path(), &arguments, &self.environment);
        Server {
            process,
            http: Http::new(&base),
            home,
            arguments,
        }
    }
}

/// A running server and everything it has on disk. Dropping it kills the
/// process and removes the directory.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// A client with the root token.
    pub http: Http,
    home: TempDir,
    arguments: Vec<String>,
}

impl Server {
    /// Settings for a start, with nothing set yet.
    pub fn setup() -> Setup {
        Setup {
            config: String::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// A fresh, initialised server with the first-party providers pinned.
    pub fn start() -> Self {
        Self::setup().start()
    }

    /// Makes its keys, and keeps the root token that it answers.
    pub fn initialise(&mut self) {
        let answer = self.http.put("sys/init", &json!({})).ok().json();
        let token = answer["root_token"].as_str().expect("init gives a token");
        self.http = self.http.with_token(token);
    }

    /// `kill -9`, and nothing of it left.
    pub fn kill(&mut self) {
        self.process.kill().expect("kill the server");
        self.process.wait().expect("wait for the server");
    }

    /// Waits until the process has ended of itself.
    pub fn await_death(&mut self) -> ExitStatus {
        eventually("the server ends of itself", || {
            self.process.try_wait().expect("look at the server")
        })
    }

    /// Asks the process to end as an operator would, with SIGTERM.
    pub fn stop(&mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("SIGTERM");
        self.await_death()
    }

    /// Starts again on the same data, without the environment of the first
    /// start. The process must have ended.
    pub fn restart(&mut self) {
        let ended = self.process.try_wait().expect("look at the server");
        assert!(ended.is_some(), "the former server still runs");
        let (process, base) = spawn(self.home.path(), &self.arguments, &[]);
        self.process = process;
        self.http = Http::new(&base).with_token(self.http.token());
    }

    /// [`Server::restart`] into a process that kills itself when it first reaches
    /// a fault point, perhaps before it listens.
    pub fn restart_with_fault(&mut self, point: &str) {
        let ended = self.process.try_wait().expect("look at the server");
        assert!(ended.is_some(), "the former server still runs");
        let fault = [("LESSOR_FAULT".to_owned(), point.to_owned())];
        let (process, base) = launch(self.home.path(), &self.arguments, &fault);
        self.process = process;
        if let Some(base) = base {
            self.http = Http::new(&base).with_token(self.http.token());
        }
    }

    /// Registers a file of the plugin directory under `name`.
    pub fn pin(&self, name: &str, file: &str, sha256: &str) -> Answer {
        self.http.put(
            &format!("sys/plugins/catalog/secret/{name}"),
            &json!({"command": file, "sha256": sha256}),
        )
    }

    /// Puts a component that `cargo xtask test` built (`aws.wasm`, `test/keys.wasm`) into
    /// the plugin directory, and gives its name there.
    ///
    /// # Panics
    /// Where it is not built.
    pub fn bring<'b>(&self, built: &'b str) -> &'b str {
        let file = built.rsplit('/').next().unwrap_or(built);
        let built = built_plugins().join(built);
        fs::copy(&built, self.plugins().join(file))
            .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask test`", built.display()));
        file
    }

    /// [`Self::bring`]s a component, and pins it as `name`.
    pub fn bring_and_pin(&self, name: &str, built: &str) {
        let file = self.bring(built);
        self.pin(name, file, &self.digest(file)).ok();
    }

    /// The SHA-256 of a file in the plugin directory, in lower-case hex.
    pub fn digest(&self, file: &str) -> String {
        let bytes = fs::read(self.plugins().join(file)).expect("a plugin file");
        crate::sha256(&bytes)
    }

    /// The plugin directory.
    pub fn plugins(&self) -> PathBuf {
        self.home.path().join("plugins")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// The audit log.
    pub fn audit(&self) -> String {
        fs::read_to_string(self.home.path().join("audit.jsonl")).expect("the audit log")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Bytes of memory that the process has in use.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(self.process_file("status")).expect("its status");
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|text| text.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse::<u64>().ok());
        kilobytes.expect("VmRSS in kB") * 1024
    }

    /// The number of files and sockets that the process has open.
    pub fn descriptors(&self) -> usize {
        let open = fs::read_dir(self.process_file("fd")).expect("its descriptors");
        open.count()
    }

    fn process_file(&self, name: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.process.id().to_string())
            .join(name)
    }

    /// All that the process has printed, over every start.
    pub fn log(&self) -> String {
        fs::read_to_string(log_file(self.home.path())).expect("the server's log")
    }

    /// Moves the server's clock forward (test builds only).
    pub fn advance_clock(&self, seconds: u64) {
        let answer = self
            .http
            .put("sys/test/clock", &json!({"advance": format!("{seconds}s")}));
        assert!(
            answer.status < 300,
            "the server has no test clock; build it with `--features test-hooks`: {answer:?}"
        );
    }

    /// The same of a server that may die of it, and then does not answer.
    pub fn advance_clock_to_the_death(&self, seconds: u64) {
        let body = json!({"advance": format!("{seconds}s")}).to_string();
        let headers = [("Content-Type", "application/json")];
        let _ = self
            .http
            .try_send("PUT", "sys/test/clock", &headers, Some(body.as_bytes()));
    }

    /// Every lease id under `prefix` (`db/creds`), however deep.
    pub fn leases(&self, prefix: &str) -> Vec<String> {
        let prefix = prefix.trim_matches('/');
        let mut found = Vec::new();
        for key in self
            .http
            .list(&format!("sys/leases/lookup/{prefix}"))
            .keys()
        {
            let path = format!("{prefix}/{key}");
            if path.ends_with('/') {
                found.extend(self.leases(&path));
            } else {
                found.push(path);
            }
        }
        found
    }

    /// The answer of `sys/leases/lookup` about a lease.
    pub fn lookup(&self, lease: &str) -> Answer {
        self.http
            .put("sys/leases/lookup", &json!({"lease_id": lease}))
    }

    /// Waits until no lease is left under `prefix`.
    pub fn await_no_leases(&self, prefix: &str) {
        eventually_true(&format!("no lease is left under {prefix}"), || {
            self.leases(prefix).is_empty()
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have died already; either way it is gone afterwards.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(log_file(self.home.path())).unwrap_or_default();
            eprintln!("--- the server's output ---\n{}", tail(&log, 200));
        }
    }
}

/// The server binary.
///
/// # Panics
/// Where there is none.
pub fn binary() -> PathBuf {
    let path = env::var_os("LESSOR_BIN")
        .map_or_else(|| workspace().join("target/debug/lessor"), PathBuf::from);
    assert!(
        path.is_file(),
        "there is no server at {}; run `cargo xtask test`, or set LESSOR_BIN",
        path.display()
    );
    path
}

/// Compiled providers, shared by the servers of all tests: compiling them for
/// each would be most of what the tests do.
fn code_cache() -> PathBuf {
    binary().with_file_name("test-code-cache")
}

/// The root of this workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests stand in the workspace")
}

/// The directory in which `cargo xtask test` puts the providers that it builds.
pub fn built_plugins() -> PathBuf {
    env::var_os("LESSOR_TEST_PLUGINS")
        .map_or_else(|| workspace().join("target/plugins"), PathBuf::from)
}

/// A place for one server, with the built providers in its plugin directory.
fn home() -> TempDir {
    let home = tempfile::Builder::new()
        .prefix("lessor-")
        .tempdir()
        .expect("a temporary directory");
    let plugins = home.path().join("plugins");
    fs::create_dir(&plugins).expect("plugin directory");
    for name in ["postgres.wasm", "certificate.wasm"] {
        let built = built_plugins().join(name);
        fs::copy(&built, plugins.join(name))
            .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask test`", built.display()));
    }
    home
}

fn log_file(home: &Path) -> PathBuf {
    home.join("server.log")
}

/// Starts the process and waits until it serves; gives its address.
fn spawn(home: &Path, arguments: &[String], environment: &[(String, String)]) -> (Child, String) {
    match launch(home, arguments, environment) {
        (process, Some(base)) => (process, base),
        (_, None) => {
            let log = fs::read_to_string(log_file(home)).expect("the server's log");
            panic!("the server did not start:\n{log}");
        }
    }
}

/// Starts a process; its address, unless it ended before it listened.
fn launch(
    home: &Path,
    arguments: &[String],
    environment: &[(String, String)],
) -> (Child, Option<String>) {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_file(home))
        .expect("the server's log");
    let before = usize::try_from(log.metadata().expect("log").len()).expect("a small log");
    let mut process = Command::new(binary())
        .arg("server")
        .args(arguments)
        // A killed development server leaves its directory, which is removed with the others.
        .env("TMPDIR", home)
        .env_remove("LESSOR_FAULT")
        .env("LESSOR_TEST_CODE_CACHE", code_cache())
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("log"))
        .stderr(log)
        .spawn()
        .expect("start the server");
    let base = eventually("the server prints where it listens", || {
        let log = fs::read_to_string(log_file(home)).expect("the server's log");
        let new = log.get(before..).unwrap_or_default();
        if process.try_wait().expect("look at the server").is_some() {
            return Some(None);
        }
        let (_, after) = new.split_once("listening on http")?;
        let (address, _) = after.split_once(char::is_whitespace)?;
        Some(Some(format!("http{address}")))
    });
    (process, base)
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
