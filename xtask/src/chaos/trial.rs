//! One system's run: set-up, load and storm, rest, and a comparison of what is left.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::api::{Api, Reply};
use super::clients::Client;
use super::gate::Gate;
use super::ledger::{Books, Counts, Credential, Ledger};
use super::login::{Login, Logins};
use super::options::Options;
use super::progress::Phase;
use super::random::Random;
use super::server::Server;
use super::storm::{Damage, Storm};
use super::system::{Rest, System};
use super::verdict::{Losses, Remains};
use crate::cluster::{Cluster, password};
use crate::say;
use crate::scratch::Scratch;

/// The outcome of a run.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// The system under test.
    pub(super) title: String,
    /// The kills, restarts and pauses.
    pub(super) damage: Damage,
    /// The answers that the clients got.
    pub(super) counts: Counts,
    /// Its leases at the end.
    pub(super) leases: usize,
    /// The leased roles in PostgreSQL at the end.
    pub(super) roles: usize,
    /// The losses.
    pub(super) losses: Losses,
    /// Reasons for the losses, where they are known.
    pub(super) notes: Vec<String>,
    /// The time that it took.
    pub(super) took: Duration,
}

/// The time that a system may take to come to rest. lessor's sixth attempt to revoke comes within
/// three minutes of the fifth.
const REST: Duration = Duration::from_secs(8 * 60);

/// The time for which the roles and leases must stay the same, for a system that does not say
/// whether it has come to rest.
const QUIET: Duration = Duration::from_secs(30);

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Puts a system through it. The files stay where something was lost.
///
/// # Errors
/// Where it could not be done, or was interrupted.
pub(super) fn run(
    options: &Options,
    seed: u64,
    postgres: &Path,
    make: impl FnOnce(&Scratch) -> Result<Box<dyn System>>,
) -> Result<Outcome> {
    let mut scratch = Scratch::new("lessor-chaos-")?;
    let outcome = play(options, seed, postgres, &mut scratch, make);
    let well = outcome.as_ref().is_ok_and(|it| it.losses.none());
    // A person who interrupts the run does not want its files.
    if well || scratch.go_on().is_err() {
        scratch.clear_away()?;
    } else {
        let path: PathBuf = scratch.keep();
        say::line(&format!(
            "Logs, database and storage are kept in {}",
            path.display()
        ));
    }
    outcome
}

fn play(
    options: &Options,
    seed: u64,
    postgres: &Path,
    scratch: &mut Scratch,
    make: impl FnOnce(&Scratch) -> Result<Box<dyn System>>,
) -> Result<Outcome> {
    let started = Instant::now();
    let mut system = make(scratch)?;
    let phase = Phase::begin(&format!("{}: starting", system.title()), 1);
    let mut cluster = Cluster::start(postgres, scratch, &["max_connections=300"])?;
    let scratch: &Scratch = scratch;
    let first_root = Credential {
        lease: String::new(),
        username: "lessor".to_owned(),
        password: password()?,
    };
    cluster.sql(
        scratch,
        &format!(
            "CREATE ROLE readers;
             CREATE ROLE lessor LOGIN CREATEROLE PASSWORD '{}';
             GRANT readers TO lessor WITH ADMIN OPTION",
            first_root.password
        ),
    )?;
    let mut server = Server::new(scratch);
    server.start(system.as_ref())?;
    let api = Api::new(system.port());
    server.await_answer(&api)?;
    let api = system.initialise(api)?;
    let system = system.as_ref();
    server.await_service(system, &api)?;
    system
        .furnish(&api, cluster.port(), &first_root.password)
        .with_context(|| format!("{} was not to be set up", system.title()))?;
    drop(phase);

    let (ledger, gate, logins) = (Ledger::default(), Gate::new(), Logins::new(scratch));
    let damage = thread::scope(|scope| {
        for number in 1..=options.clients {
            let client = Client {
                system,
                api: &api,
                logins: &logins,
                ledger: &ledger,
                gate: &gate,
                random: Random::stream(seed, number),
                rotate: options.rotate,
            };
            scope.spawn(|| client.work());
        }
        let storm = Storm {
            system,
            api: &api,
            scratch,
            gate: &gate,
            random: Random::stream(seed, 0),
            kills: options.kills,
        };
        let damage = storm.rage(&mut server, &mut cluster);
        gate.end();
        damage
    })?;

    let mut end = End {
        system,
        api: &api,
        scratch,
        cluster: &cluster,
        logins: &logins,
        books: ledger.close(),
    };
    let remains = end.look(&first_root)?;
    let losses = Losses::of(&end.books, &remains);
    Ok(Outcome {
        title: system.title(),
        damage,
        counts: end.books.counts,
        leases: remains.leases.len(),
        roles: remains.roles.len(),
        losses,
        notes: remains.root.into_iter().chain(remains.unrest).collect(),
        took: started.elapsed(),
    })
}

/// The end of a run, after the clients have stopped.
struct End<'a> {
    system: &'a dyn System,
    api: &'a Api,
    scratch: &'a Scratch,
    cluster: &'a Cluster,
    logins: &'a Logins<'a>,
    books: Books,
}

impl End<'_> {
    fn look(&mut self, first_root: &Credential) -> Result<Remains> {
        let title = self.system.title();
        let phase = Phase::begin(&format!("{title}: coming to rest"), 1);
        let unrest = self.await_rest(&phase)?;
        drop(phase);

        let root = self.try_root(first_root);
        let held = &self.books.held;
        let phase = Phase::begin(
            &format!("{title}: logging in with {} credentials", held.len()),
            u64::try_from(held.len()).unwrap_or(u64::MAX),
        );
        let rejected = self.logins.refused(held, || phase.step());
        self.scratch.go_on()?;
        drop(phase);
        let mut remains = Remains {
            roles: self.roles()?,
            leases: self.system.leases(self.api)?,
            rejected,
            root: root.err().map(|error| format!("{error:#}")),
            unrest,
            left: 0,
        };

        let phase = Phase::begin(&format!("{title}: revoking all there is"), 1);
        remains.left = self.revoke_all(&phase)?;
        Ok(remains)
    }

    /// Waits until no work is left; returns the work that is left after the longest wait.
    fn await_rest(&self, phase: &Phase) -> Result<Option<String>> {
        let deadline = Instant::now() + REST;
        let mut last = (0, 0);
        let mut since = Instant::now();
        loop {
            let ahead = match self.system.rest(self.api)? {
                Rest::Reached => return Ok(None),
                Rest::Ahead(ahead) => ahead,
                Rest::Untold => {
                    let now = (self.roles()?.len(), self.system.leases(self.api)?.len());
                    if now != last {
                        (last, since) = (now, Instant::now());
                    }
                    if since.elapsed() > QUIET {
                        return Ok(None);
                    }
                    format!("{} roles, {} leases", now.0, now.1)
                }
            };
            if Instant::now() > deadline {
                return Ok(Some(format!(
                    "not at rest after {} s: {ahead}",
                    REST.as_secs()
                )));
            }
            phase.now(ahead);
            self.scratch.wait(LOOK)?;
        }
    }

    /// Whether there is a working root credential, and no other than the one in
    /// use: something can be issued, the root be rotated, and issued again. PostgreSQL holds
    /// one password of a role, so only one can work. If it was rotated, the first one is tried,
    /// and must be refused.
    fn try_root(&mut self, first_root: &Credential) -> Result<()> {
        self.issue().context("nothing can be issued any more")?;
        self.api
            .demand("POST", self.system.rotate(), None)
            .context("the root credential cannot be rotated any more")?;
        self.issue()
            .context("nothing can be issued after another rotation")?;
        if self.logins.attempt(first_root) != Login::Refused {
            bail!("the first password of the root still works after a rotation");
        }
        Ok(())
    }

    fn issue(&mut self) -> Result<()> {
        let said = self.api.demand("GET", self.system.creds(), None)?;
        let credential = Credential::read(&said).context("a credential without a part")?;
        self.books.held.push(credential);
        Ok(())
    }

    /// Revokes every lease; how many roles are left when nothing moves any more.
    fn revoke_all(&self, phase: &Phase) -> Result<u64> {
        let path = format!("sys/leases/revoke-prefix/{}", self.system.prefix());
        // In the background, so that the revocations go on if the client leaves.
        let body = json!({ "sync": false });
        if let Reply::Answered(status @ 400.., said) = self.api.ask("PUT", &path, Some(&body)) {
            say::line(&format!("{path} was answered {status}: {said}"));
        }
        let (mut last, mut since) = (usize::MAX, Instant::now());
        loop {
            let left = self.roles()?.len();
            if left != last {
                (last, since) = (left, Instant::now());
            }
            if left == 0 || since.elapsed() > QUIET {
                return Ok(u64::try_from(left).unwrap_or(u64::MAX));
            }
            phase.now(format!("{left} roles"));
            self.scratch.wait(LOOK)?;
        }
    }

    /// The leased roles in PostgreSQL.
    fn roles(&self) -> Result<BTreeSet<String>> {
        let sql = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' \
                   AND rolname NOT IN ('postgres', 'readers', 'lessor')";
        let rows = self.cluster.sql(self.scratch, sql)?;
        Ok(rows.lines().map(str::to_owned).collect())
    }
}
