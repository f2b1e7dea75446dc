//! A server with a mount whose provider misbehaves and one whose provider behaves, and the
//! checks after every misdeed.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use lessor_tests::{
    http::Answer,
    server::{Server, Setup},
    wait::eventually_true,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::row::{End, Row};

/// The root credential of every mount, which must be seen nowhere. It has
/// characters that base64, URLs and JSON write differently.
pub(super) const ROOT: &str = "canary/root+credential \"\u{e4}\"?=1";

/// The password of every credential, which only its caller may see.
pub(super) const PASSWORD: &str = "canary-password";

/// Rounds until the server's lasting memory has settled: warm slots, caches, threads.
pub(super) const WARM_UP: usize = 4;

/// Rounds in which a family must leave nothing behind.
pub(super) const ROUNDS: usize = 8;

/// Calls that a server runs at once, so that few slots keep something warm.
const SLOTS: u64 = 4;

/// The growth that a server at rest may still show: 2 MiB for each slot, in case none held a
/// large guest before.
const MEMORY: u64 = SLOTS * (2 << 20);

/// Descriptors that may come and go: connections of the client, the database's readers.
const DESCRIPTORS: usize = 8;

/// The number of seconds after which a call that timed out can no longer take effect.
pub(super) const GIVEN_UP_SECONDS: u64 = 60;

/// The time that a loaded machine adds to any call.
const LOADED: Duration = Duration::from_secs(1);

/// A server in the middle of a play.
pub(super) struct Stage {
    pub(super) server: Server,
    /// The time of the slowest of the first calls of the mount that behaves.
    normal: Duration,
}

impl Stage {
    /// A server with these settings in `[sandbox]`, the mount `bad` with these
    /// grants, a call of which may take a second, and the mount `good`.
    pub(super) fn start(setup: Setup, settings: &str, grants: &[String]) -> Self {
        Self::start_with(setup, &format!("calls = {SLOTS}\n{settings}"), grants)
    }

    /// The same with as many slots as the settings say.
    pub(super) fn start_with(setup: Setup, settings: &str, grants: &[String]) -> Self {
        let settings = format!("[sandbox]\n{settings}");
        let mut server = setup.config(&settings).start_uninitialised();
        server.initialise();
        server.bring_and_pin("misbehaving", "test/misbehaving.wasm");
        let mut stage = Self {
            server,
            normal: Duration::ZERO,
        };
        stage.mount("bad", "misbehaving", grants);
        stage.mount("good", "misbehaving", &[]);
        stage.role("good", "well", &json!({"act": "behave"}));
        for _ in 0..10 {
            stage.normal = stage
                .normal
                .max(stage.good_call().expect("the first calls"));
        }
        stage
    }

    /// Mounts a pinned plugin and gives it its root credential.
    pub(super) fn mount(&self, path: &str, plugin: &str, grants: &[String]) {
        let config = json!({"allowed_hosts": grants, "timeout": "1s"});
        self.server
            .http
            .post(
                &format!("sys/mounts/{path}"),
                &json!({"type": plugin, "config": config}),
            )
            .ok();
        self.server
            .http
            .post(&format!("{path}/config"), &json!({"root": ROOT}))
            .ok();
    }

    /// Pins the guest that is no part of the others, and mounts it at `table`.
    pub(super) fn mount_table_bomb(&self) {
        let text = include_str!("../../../guests/table_bomb.wat");
        let component = wat::parse_str(text).expect("the guest is a component");
        let file = "table_bomb.wasm";
        fs::write(self.server.plugins().join(file), component).expect("a plugin file");
        let digest = self.server.digest(file);
        self.server.pin("table-bomb", file, &digest).ok();
        self.mount("table", "table-bomb", &[]);
    }

    /// Writes a role.
    pub(super) fn role(&self, mount: &str, name: &str, role: &Value) {
        self.server
            .http
            .post(&format!("{mount}/roles/{name}"), role)
            .ok();
    }

    /// Issues a credential of a role.
    pub(super) fn create(&self, mount: &str, role: &str) -> Answer {
        self.server.http.get(&format!("{mount}/creds/{role}"))
    }

    /// Plays a whole family, then repeats it often enough for a leak to show.
    pub(super) fn play(&self, family: &[Row]) {
        for row in family {
            let mut role = row.told.clone();
            role["act"] = json!(row.guest);
            self.role(row.mount, row.guest, &role);
        }
        let wrong: Vec<_> = family
            .iter()
            .filter_map(|row| self.complaint(row))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));

        let cheap = || family.iter().filter(|row| !row.costly);
        for _ in 0..WARM_UP {
            self.play_again(cheap());
        }
        // Revocations run beside each other, each in a slot of its own.
        self.end_leases(family);
        let before = self.rest();
        self.play_again(family.iter().filter(|row| row.costly));
        for _ in 0..ROUNDS {
            self.play_again(cheap());
        }
        self.end_leases(family);
        self.is_at_rest(before);
    }

    /// Plays some guests for what they leave behind.
    fn play_again<'r>(&self, rows: impl Iterator<Item = &'r Row>) {
        for row in rows {
            let answer = self.create(row.mount, row.guest);
            is_expected(row, &answer).unwrap_or_else(|why| panic!("{} again: {why}", row.guest));
        }
        self.good_call().unwrap();
    }

    /// Plays one guest; returns every fault.
    fn complaint(&self, row: &Row) -> Option<String> {
        let (audit, log) = (self.server.audit().len(), self.server.log().len());
        let answer = self.create(row.mount, row.guest);
        let told = Told {
            audit: self.server.audit()[audit..].to_owned(),
            log: self.server.log()[log..].to_owned(),
        };
        let wrong = is_expected(row, &answer)
            .and_then(|()| told.is_expected(row, &answer))
            .and_then(|()| self.good_call().map(drop));
        wrong.err().map(|why| {
            let said = answer.text();
            format!(
                "{}: {why}\n  answer {}: {:.2000}\n  log: {:.3000}\n  audit: {:.3000}",
                row.guest, answer.status, said, told.log, told.audit
            )
        })
    }

    /// The mount that behaves is served, as fast as before anybody misbehaved.
    pub(super) fn good_call(&self) -> Result<Duration, String> {
        let begun = Instant::now();
        let answer = self.create("good", "well");
        let took = begun.elapsed();
        if answer.status != 200 || note(&answer) != "behaved" {
            return Err(format!("the next call was answered {answer:?}"));
        }
        let normal = self.normal * 10 + LOADED;
        if !self.normal.is_zero() && took > normal {
            return Err(format!("the next call took {took:?}, more than {normal:?}"));
        }
        Ok(took)
    }

    /// Memory and descriptors that the server has in use.
    pub(super) fn rest(&self) -> (u64, usize) {
        (self.server.resident(), self.server.descriptors())
    }

    /// The server's metrics.
    pub(super) fn metrics(&self) -> String {
        self.server.http.get("sys/metrics").ok().text()
    }

    /// The server is back at what it had, and holds nothing for any call.
    #[track_caller]
    pub(super) fn is_at_rest(&self, (memory, descriptors): (u64, usize)) {
        eventually_true("nothing is held for a call", || {
            let metrics = self.metrics();
            // These two resources belong to no call.
            let between_calls = ["\"parked\"", "\"memo\""];
            let held = metrics.lines().filter(|line| {
                line.starts_with("lessor_provider_held_bytes{")
                    && !between_calls.iter().any(|kind| line.contains(kind))
            });
            let taken = metric(&metrics, "lessor_provider_slots_taken");
            held.clone().count() > 0 && held.map(value).sum::<u64>() + taken == 0
        });
        eventually_true("what was opened is closed", || {
            self.server.descriptors() <= descriptors + DESCRIPTORS
        });
        let now = self.server.resident();
        eprintln!("resident: {memory} before, {now} after");
        assert!(
            now <= memory + MEMORY,
            "the server had {memory} bytes in use and has {now}"
        );
    }

    /// Ends every lease that a play has left.
    fn end_leases(&self, family: &[Row]) {
        let mounts: BTreeSet<_> = family.iter().map(|row| row.mount).chain(["good"]).collect();
        for mount in mounts {
            self.server
                .http
                .put(&format!("sys/leases/revoke-prefix/{mount}"), &json!({}))
                .ok();
            // A call that timed out may still take effect; its lease is ended when it no longer
            // can.
            self.server.advance_clock(GIVEN_UP_SECONDS);
            self.server.await_no_leases(&format!("{mount}/creds"));
        }
    }
}

/// The lines that the server wrote during one call.
struct Told {
    audit: String,
    log: String,
}

impl Told {
    /// The request is audited with its end, the row's parts are there, and no
    /// secret is.
    fn is_expected(&self, row: &Row, answer: &Answer) -> Result<(), String> {
        let path = format!("{}/creds/{}", row.mount, row.guest);
        let request = audited(&self.audit, &path)?;
        let body = answer.json();
        if request["status"] != answer.status {
            return Err(String::from("the audit log has another status"));
        }
        if request["response"]["errors"] != body["errors"] {
            return Err(String::from("the audit log has other errors"));
        }
        for parts in &row.audited {
            let is_there = |line: &str| parts.iter().all(|part| line.contains(part));
            if !self.audit.lines().any(is_there) {
                return Err(format!("the audit log has no line with {parts:?}"));
            }
        }
        for part in &row.logged {
            if !self.log.contains(part) {
                return Err(format!("the log does not have {part:?}"));
            }
        }
        without_secrets("audit log", &self.audit)?;
        without_secrets("log", &self.log)
    }
}

/// The call ended as it must.
fn is_expected(row: &Row, answer: &Answer) -> Result<(), String> {
    let (text, says) = match &row.end {
        End::Note(says) if answer.status == 200 => (note(answer), says),
        End::Failure(status, code, says) if answer.status == *status => {
            without_secrets("answer", &answer.text())?;
            let sentence = answer.clone().refused(*status);
            if !sentence.ends_with(&format!("({code})")) {
                return Err(format!("the code is not {code}"));
            }
            (sentence, says)
        }
        _ => return Err(String::from("another status was expected")),
    };
    match says.iter().find(|part| !text.contains(*part)) {
        Some(part) => Err(format!("it does not say {part:?}")),
        None => Ok(()),
    }
}

/// The audit line of the request for `path`.
pub(super) fn audited(audit: &str, path: &str) -> Result<Value, String> {
    audit
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["path"] == path)
        .ok_or_else(|| format!("the audit log has no line of a request for {path}"))
}

/// The number of a metric without labels.
pub(super) fn metric(metrics: &str, name: &str) -> u64 {
    let line = metrics
        .lines()
        .find(|line| line.split(' ').next() == Some(name));
    value(line.unwrap_or_else(|| panic!("no {name} in {metrics}")))
}

/// The number at the end of a line.
fn value(line: &str) -> u64 {
    let number = line
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no number in {line}"))
}

/// The guest's note in its credential.
pub(super) fn note(answer: &Answer) -> String {
    let body = answer.json();
    body["data"]["note"].as_str().unwrap_or_default().to_owned()
}

/// Whether no form of a secret is in `text`.
pub(super) fn without_secrets(what: &str, text: &str) -> Result<(), String> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let core = |text: &str| {
        // The base64 digits that depend on the secret alone, for each offset in a group of
        // three bytes.
        let encoded = STANDARD.encode(text);
        encoded[4..encoded.len() - 4].to_owned()
    };
    let mut forms = vec![PASSWORD.to_owned(), hex::encode(PASSWORD)];
    // Neither whole nor either half of it.
    let middle = ROOT.len() / 2;
    forms.extend([ROOT, &ROOT[..middle], &ROOT[middle..]].map(str::to_owned));
    for secret in [ROOT, PASSWORD] {
        forms.push(hex::encode(secret));
        forms.push(hex::encode_upper(secret));
        forms.push(utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string());
        for before in ["", "x", "xx"] {
            let base64 = core(&format!("{before}{secret}"));
            forms.push(base64.replace('+', "-").replace('/', "_"));
            forms.push(base64);
        }
    }
    match forms.iter().find(|form| text.contains(form.as_str())) {
        Some(form) => Err(format!("the {what} holds a secret: {form:?}")),
        None => Ok(()),
    }
}
