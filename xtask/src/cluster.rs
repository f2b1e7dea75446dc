//! A PostgreSQL server of one's own: private data, a free port of loopback, and
//! a user that PostgreSQL accepts (it refuses to run as root).

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::scratch::{Scratch, end};

/// A running cluster; dropping it ends the process.
pub(crate) struct Cluster {
    process: Child,
    programs: PathBuf,
    owner: Owner,
    port: u16,
    settings: Vec<String>,
}

impl Cluster {
    /// Starts one below the scratch directory, where `psql` finds it from now on
    /// by itself; `settings` are of the form `name=value`.
    pub(crate) fn start(programs: &Path, scratch: &mut Scratch, settings: &[&str]) -> Result<Self> {
        let home = scratch.directory().join("postgres");
        fs::create_dir(&home)?;
        let owner = Owner::find()?;
        owner.take(&home)?;

        let superuser = password()?;
        let password_file = home.join("password");
        keep(&password_file, &superuser)?;
        owner.take(&password_file)?;
        let made = owner
            .command(scratch, &programs.join("initdb"))
            .arg("--pgdata")
            .arg(home.join("data"))
            .args([
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
            ])
            .args(["--no-locale", "--no-sync"])
            .arg(format!("--pwfile={}", password_file.display()))
            .output()
            .context("cannot start initdb")?;
        if !made.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        }

        let port = free_port()?;
        let settings: Vec<String> = settings.iter().map(|&it| it.to_owned()).collect();
        let programs = programs.to_owned();
        let cluster = Self {
            process: launch(scratch, &programs, &owner, port, &settings)?,
            programs,
            owner,
            port,
            settings,
        };

        scratch.put_on_path(&cluster.programs)?;
        scratch.set("PGHOST", "127.0.0.1");
        scratch.set("PGPORT", port.to_string());
        scratch.set("PGDATABASE", "postgres");
        scratch.set("PGCONNECT_TIMEOUT", "10");
        // The superuser's password alone is found by itself; lessor never gets it.
        let pass_file = scratch.directory().join("pgpass");
        keep(&pass_file, &format!("*:*:*:postgres:{superuser}\n"))?;
        scratch.set("PGPASSFILE", &pass_file);
        cluster.await_ready(scratch)?;
        Ok(cluster)
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL as the superuser; gives unaligned rows.
    ///
    /// # Errors
    /// What psql printed.
    pub(crate) fn sql(&self, scratch: &Scratch, sql: &str) -> Result<String> {
        let done = scratch
            .command("psql")
            .args(["-XwqAtU", "postgres", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .output()
            .context("cannot start psql")?;
        if !done.status.success() {
            bail!(
                "PostgreSQL refused a statement: {}",
                String::from_utf8_lossy(&done.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    /// Ends the server by `signal` (of PostgreSQL's own shutdowns: `INT` is fast,
    /// `QUIT` immediate, as a crash) and starts it again on the same data.
    pub(crate) fn restart(&mut self, scratch: &Scratch, signal: Signal) -> Result<()> {
        end(&mut self.process, signal);
        self.process = launch(
            scratch,
            &self.programs,
            &self.owner,
            self.port,
            &self.settings,
        )?;
        self.await_ready(scratch)
    }

    /// Pauses every process of the server, until the returned value is dropped.
    pub(crate) fn pause(&self) -> Result<Pause> {
        let postmaster = Pid::from_child(&self.process);
        kill_process(postmaster, Signal::STOP).context("cannot pause PostgreSQL")?;
        let mut pause = Pause {
            stopped: vec![postmaster],
        };
        // A stopped postmaster neither begins children nor waits for those that
        // ended, so these ids stay theirs.
        for child in children(postmaster)? {
            if kill_process(child, Signal::STOP).is_ok() {
                pause.stopped.push(child);
            }
        }
        Ok(pause)
    }

    fn await_ready(&self, scratch: &Scratch) -> Result<()> {
        scratch.wait_for("PostgreSQL takes connections", || {
            Ok(self.sql(scratch, "").is_ok().then_some(()))
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown: open sessions are ended.
        end(&mut self.process, Signal::INT);
    }
}

/// A server that stands still; it goes on when this is dropped.
pub(crate) struct Pause {
    stopped: Vec<Pid>,
}

impl Drop for Pause {
    fn drop(&mut self) {
        for process in self.stopped.iter().rev() {
            let _ = kill_process(*process, Signal::CONT);
        }
    }
}

/// Starts `postgres` in the foreground, so that its process id is the child's.
fn launch(
    scratch: &Scratch,
    programs: &Path,
    owner: &Owner,
    port: u16,
    settings: &[String],
) -> Result<Child> {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(scratch.directory().join("postgres.log"))?;
    owner
        .command(scratch, &programs.join("postgres"))
        .arg("-D")
        .arg(scratch.directory().join("postgres/data"))
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories=", "-c", "fsync=off"])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start postgres")
}

/// The children of a process.
fn children(parent: Pid) -> Result<Vec<Pid>> {
    let id = parent.as_raw_nonzero();
    let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))
        .context("cannot list the processes of PostgreSQL")?;
    Ok(list
        .split_whitespace()
        .filter_map(|id| Pid::from_raw(id.parse().ok()?))
        .collect())
}

/// The user that the server runs as: another one where we are root.
struct Owner(Option<(u32, u32)>);

impl Owner {
    fn find() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let ids = ["postgres", "nobody"].iter().find_map(|name| {
            let user = users
                .lines()
                .find(|line| line.split(':').next() == Some(*name))?;
            let mut numbers = user.split(':').skip(2).map(str::parse::<u32>);
            Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
        });
        let ids = ids.context(
            "PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as; \
             try again as an ordinary user",
        )?;
        Ok(Self(Some(ids)))
    }

    fn take(&self, path: &Path) -> Result<()> {
        if let Self(Some((user, group))) = self {
            chown(path, Some(*user), Some(*group))
                .with_context(|| format!("cannot give {} away", path.display()))?;
        }
        Ok(())
    }

    fn command(&self, scratch: &Scratch, program: &Path) -> Command {
        let mut command = scratch.server(&program.to_string_lossy());
        if let Self(Some((user, group))) = self {
            command.uid(*user).gid(*group).current_dir("/");
        }
        command
    }
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A password that nobody has chosen.
pub(crate) fn password() -> Result<String> {
    let mut random = [0_u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file that only its owner reads.
pub(crate) fn keep(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
