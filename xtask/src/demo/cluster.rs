//! A PostgreSQL server of the demo's own: private data, a free port of
//! loopback, and a user that PostgreSQL accepts (it refuses to run as root).

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::server::end;
use super::stage::Stage;
use crate::say;

/// A running cluster; dropping it ends the process.
pub(super) struct Cluster {
    process: Child,
}

impl Cluster {
    pub(super) fn start(programs: &Path, stage: &mut Stage) -> Result<Self> {
        say::line("A PostgreSQL server of its own is started, with a table of orders to read.");
        let home = stage.directory().join("postgres");
        fs::create_dir(&home)?;
        let owner = Owner::find()?;
        owner.take(&home)?;

        let superuser = password()?;
        let password_file = home.join("password");
        keep(&password_file, &superuser)?;
        owner.take(&password_file)?;
        let made = owner
            .command(stage, &programs.join("initdb"))
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

        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = fs::File::create(stage.directory().join("postgres.log"))?;
        let process = owner
            .command(stage, &programs.join("postgres"))
            .arg("-D")
            .arg(home.join("data"))
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "fsync=off"])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start postgres")?;
        let cluster = Self { process };

        stage.put_on_path(programs)?;
        stage.set("PGHOST", "127.0.0.1");
        stage.set("PGPORT", port.to_string());
        stage.set("PGDATABASE", "postgres");
        stage.set("PGCONNECT_TIMEOUT", "10");
        // The superuser's password alone is found by itself; lessor never gets it.
        let pass_file = stage.directory().join("pgpass");
        keep(&pass_file, &format!("*:*:*:postgres:{superuser}\n"))?;
        stage.set("PGPASSFILE", &pass_file);
        stage.wait_for("PostgreSQL takes connections", || {
            let ready = stage
                .command("psql")
                .args(["-XwqU", "postgres", "-c", ""])
                .output()?;
            Ok(ready.status.success().then_some(()))
        })?;
        cluster.furnish(stage)?;
        Ok(cluster)
    }

    /// What somebody who runs a database would have: a table, a group that may
    /// read it, and a role for lessor that may create roles and nothing else.
    fn furnish(&self, stage: &mut Stage) -> Result<()> {
        let root = password()?;
        keep(
            &stage.directory().join("root-password"),
            &format!("{root}\n"),
        )?;
        let sql = format!(
            "CREATE TABLE orders (id int PRIMARY KEY, item text);
             INSERT INTO orders VALUES (1, 'bread'), (2, 'butter'), (3, 'salt');
             CREATE ROLE readers;
             GRANT SELECT ON orders TO readers;
             CREATE ROLE lessor LOGIN CREATEROLE PASSWORD '{root}';
             GRANT readers TO lessor WITH ADMIN OPTION;"
        );
        let done = stage
            .command("psql")
            .args(["-XwqU", "postgres", "-v", "ON_ERROR_STOP=1", "-c", &sql])
            .output()?;
        if !done.status.success() {
            bail!(
                "cannot furnish the database: {}",
                String::from_utf8_lossy(&done.stderr)
            );
        }
        say::line(
            "The role `lessor` may create roles and hand out membership in `readers`; its password\n\
             is in the file root-password. psql finds the server by PGHOST, PGPORT and PGDATABASE.",
        );
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown: open sessions are ended.
        end(&mut self.process, Signal::INT);
    }
}

/// Who the server runs as: somebody else where we are root.
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
             run the demo as an ordinary user",
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

    fn command(&self, stage: &Stage, program: &Path) -> Command {
        let mut command = stage.server(&program.to_string_lossy());
        if let Self(Some((user, group))) = self {
            command.uid(*user).gid(*group).current_dir("/");
        }
        command
    }
}

/// A password that nobody has chosen.
fn password() -> Result<String> {
    let mut random = [0_u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file that only its owner reads.
fn keep(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
