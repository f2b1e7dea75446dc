//! A walk over every operation of the API. The paths are read from the tables of the server
//! itself, so that a new one is not forgotten.

use std::{collections::BTreeSet, fs, time::SystemTime};

use lessor_tests::{
    fixture::Fixture,
    http::{Answer, Http},
    jwt::Signer,
    server::workspace,
};
use serde_json::{Value, json};

use super::{Reader, Told, send};

/// Operations that change nothing and cannot be asked like others.
const NOT_WALKED: [(&str, &str); 1] =
    // Its answer lasts for as long as somebody reads it.
    [("GET", "sys/monitor")];

/// Operations that only a build for tests has.
const FOR_TESTS: &str = "sys/test/:what";

/// The events that operations have.
pub(super) const EVENTS: &[&str] = &[
    "static_role.rotated",
    "static_role.rotation_begun",
    "config.erased",
    "config.written",
    "installation.first_token_used",
    "installation.initialised",
    "lease.end_ordered",
    "lease.issued",
    "lease.marked",
    "lease.renewed",
    "lease.revoked",
    "login.configured",
    "login.disabled",
    "login.enabled",
    "login.failed",
    "login.locked",
    "login.moved",
    "login.succeeded",
    "login.tuned",
    "login.unlocked",
    "login_entry.removed",
    "login_entry.written",
    "mount.disabled",
    "mount.enabled",
    "mount.moved",
    "mount.removed",
    "mount.tuned",
    "mount.upgraded",
    "orphan.revoked",
    "plugin.pinned",
    "plugin.unpinned",
    "policy.removed",
    "policy.written",
    "role.removed",
    "role.written",
    "rotation.begun",
    "rotation.completed",
    "rotation.staged",
    "secret_id.created",
    "secret_id.destroyed",
    "secret_id.used",
    "static_role.changed",
    "static_role.removed",
    "static_role.written",
    "storage.backed_up",
    "task.collected",
    "task.ended",
    "task.queued",
    "token.created",
    "token.renewed",
    "token.revoked",
    "token.revoked_below",
    "token.root_created",
    "token_role.removed",
    "token_role.written",
    "wrapping.rewrapped",
    "wrapping.unwrapped",
    "wrapping.wrapped",
];

/// The events of leases whose end is ordered, and of the task that waits for it.
const ORDERED: [&str; 3] = ["lease.end_ordered", "task.queued", "task.ended"];

/// The walk: its position, and the operations that it has met.
struct Walk {
    fixture: Fixture,
    reader: Reader,
    /// The operations that were asked: method and path.
    asked: BTreeSet<(String, String)>,
}

impl Walk {
    fn root(&self) -> Http {
        self.fixture.server.http.clone()
    }

    /// One operation by the root token, with the events of it.
    #[track_caller]
    fn step(&mut self, operation: &str, path: &str, body: Value, events: &[&str]) -> Answer {
        let root = self.root();
        self.step_of(&root, operation, path, body, &Told::of(events, &[]))
    }

    /// The same, where something follows in the background.
    #[track_caller]
    fn step_and(
        &mut self,
        operation: &str,
        path: &str,
        body: Value,
        events: &[&str],
        by_time: &[&str],
    ) -> Answer {
        let root = self.root();
        self.step_of(&root, operation, path, body, &Told::of(events, by_time))
    }

    #[track_caller]
    fn step_of(
        &mut self,
        http: &Http,
        operation: &str,
        path: &str,
        body: Value,
        expected: &Told,
    ) -> Answer {
        let (method, pattern) = operation.split_once(' ').expect("a method and a pattern");
        assert!(fits(pattern, path), "{path} is no {pattern}");
        let answer = send(http, method, path, &body);
        self.reader.expect(
            &self.fixture.server,
            &format!(
                "{operation} at {path}: {} {:.300}",
                answer.status,
                answer.text()
            ),
            expected,
        );
        self.note(method, path);
        answer
    }

    fn note(&mut self, method: &str, path: &str) {
        self.asked.insert((method.to_owned(), path.to_owned()));
    }
}

/// Whether a path is one of a pattern.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/').peekable(), path.split('/').peekable());
    while let Some(part) = pattern.next() {
        let Some(segment) = path.next() else {
            return false;
        };
        if part.starts_with(":path") {
            // Any number of segments, up to what follows.
            let next = pattern.peek().copied();
            while path.peek().is_some() && path.peek().copied() != next {
                path.next();
            }
        } else if !part.starts_with(':') && part != segment {
            return false;
        }
    }
    path.next().is_none()
}

/// A path's operations, as `docs/api.md` has them: a unit test compares that page with the
/// table that serves the paths.
#[derive(Debug)]
struct Verb {
    methods: Vec<String>,
    /// Its own pattern first, then those of other names.
    patterns: Vec<String>,
}

fn verbs() -> Vec<Verb> {
    let page = fs::read_to_string(workspace().join("docs/api.md")).unwrap();
    let (mut found, mut place, mut patterns) = (Vec::new(), "", Vec::new());
    let below = |place: &str, pattern: &str| format!("{place}{}", pattern.replace('*', ":path-"));
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            place = match title {
                "The server" => "",
                "A mount" => "db/",
                "A login method of the kind approle" => "auth/machines/",
                "A login method of the kind userpass" => "auth/people/",
                "A login method of the kind jwt" => "auth/id/",
                "Fields of answers" => break,
                other => panic!("where is {other:?}?"),
            };
        } else if let Some(title) = line.strip_prefix("### `") {
            patterns = vec![below(place, title.trim_end_matches('`'))];
        } else if line.contains(" Also `") {
            let others = line
                .split(" Also `")
                .skip(1)
                .filter_map(|it| it.split_once('`'));
            patterns.extend(others.map(|(other, _)| below(place, other)));
        } else if let Some(methods) = line.strip_prefix("- **") {
            let (methods, _) = methods.split_once("**").unwrap();
            found.push(Verb {
                methods: methods.split(", ").map(str::to_owned).collect(),
                patterns: patterns.clone(),
            });
        }
    }
    found
}

/// The entry that a request asks for: of the patterns that fit, the narrowest counts.
fn asked<'v>(verbs: &'v [Verb], method: &str, path: &str) -> Option<(usize, &'v Verb)> {
    let literal = |pattern: &str| pattern.split('/').filter(|it| !it.starts_with(':')).count();
    let patterns = verbs.iter().flat_map(|verb| &verb.patterns);
    let fitting = patterns.filter(|pattern| fits(pattern, path));
    let narrowest =
        fitting.max_by_key(|pattern| (literal(pattern), !pattern.contains(":path-")))?;
    let method = if method == "PUT" { "POST" } else { method };
    let mut same = verbs.iter().enumerate();
    same.find(|(_, verb)| {
        verb.patterns.contains(narrowest) && verb.methods.iter().any(|it| it == method)
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "an identity provider has a clock of its own"
)]
fn in_an_hour() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.unwrap().as_secs() + 3600
}

fn text_at(answer: &Answer, pointer: &str) -> String {
    let answer = answer.clone().ok().json();
    let found = answer.pointer(pointer).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("{pointer} in {answer}"))
        .to_owned()
}

#[test]
fn every_operation_tells_of_what_it_changed_and_of_nothing_else() {
    let fixture = Fixture::start();
    let started = fixture.server.audit();
    let mut walk = Walk {
        reader: Reader::behind(&fixture.server),
        fixture,
        asked: BTreeSet::new(),
    };
    begin(&mut walk, &started);
    walk_plugins_and_mounts(&mut walk);
    walk_the_mount(&mut walk);
    walk_leases(&mut walk);
    walk_policies_and_tokens(&mut walk);
    walk_wrapping(&mut walk);
    walk_approle(&mut walk);
    walk_userpass(&mut walk);
    walk_jwt(&mut walk);
    walk_logins(&mut walk);
    look_around(&mut walk);
    finish(&mut walk);

    assert_eq!(
        walk.reader.met,
        super::names(EVENTS),
        "the events of all operations"
    );
    let verbs = verbs();
    assert!(verbs.len() > 130, "{verbs:?}");
    let mut walked = BTreeSet::new();
    for (method, path) in &walk.asked {
        if let Some((index, _)) = asked(&verbs, method, path) {
            walked.insert(index);
        } else {
            assert!(fits(FOR_TESTS, path), "{method} {path} stands on no page");
        }
    }
    let is_skipped = |verb: &Verb| {
        NOT_WALKED.iter().any(|(method, pattern)| {
            verb.patterns.iter().any(|it| it == pattern)
                && verb.methods.iter().any(|it| it == method)
        })
    };
    let left: Vec<&Verb> = verbs
        .iter()
        .enumerate()
        .filter(|(index, verb)| !walked.contains(index) && !is_skipped(verb))
        .map(|(_, verb)| verb)
        .collect();
    assert!(
        left.is_empty(),
        "nobody walked {left:?}: say which events they have"
    );
}

/// The events of the installation and of the fixture.
fn begin(walk: &mut Walk, started: &str) {
    let events: Vec<String> = started
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["type"] == "change")
        .map(|line| {
            assert!(line["request_id"].is_string(), "{line}");
            line["event"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected = [
        "installation.initialised",
        "installation.first_token_used",
        "plugin.pinned",
        "plugin.pinned",
        "mount.enabled",
        "config.written",
        "role.written",
    ];
    assert_eq!(events, expected);
    walk.reader.met.extend(events);
    walk.step("GET sys/init", "sys/init", Value::Null, &[]).ok();
    walk.step("PUT sys/init", "sys/init", json!({}), &[])
        .refused(400);
    for path in ["sys/health", "sys/seal-status", "sys/leader"] {
        walk.step(&format!("GET {path}"), path, Value::Null, &[])
            .ok();
    }
    // This server has no name as an issuer, and no key yet.
    let at = "identity/oidc/.well-known/openid-configuration";
    walk.step(&format!("GET {at}"), at, Value::Null, &[])
        .nothing_here();
    let at = "identity/oidc/.well-known/jwks.json";
    walk.step(&format!("GET {at}"), at, Value::Null, &[]).ok();
}

fn walk_plugins_and_mounts(walk: &mut Walk) {
    let digest = walk.fixture.server.digest("postgres.wasm");
    let entry = "sys/plugins/catalog/:type/:name";
    // The provider says another version of itself.
    let pin = |version: &str| {
        json!({
            "command": "postgres.wasm",
            "sha256": digest,
            "version": version,
            "replace": true,
        })
    };
    let path = "sys/plugins/catalog/secret/spare";
    walk.step(
        &format!("PUT {entry}"),
        path,
        pin("1.0.0"),
        &["plugin.pinned"],
    )
    .ok();
    walk.step(
        &format!("PUT {entry}"),
        path,
        pin("1.1.0"),
        &["plugin.pinned"],
    )
    .ok();
    walk.step(&format!("GET {entry}"), path, Value::Null, &[])
        .ok();
    walk.step(
        "LIST sys/plugins/catalog/:type",
        "sys/plugins/catalog/secret",
        Value::Null,
        &[],
    )
    .ok();
    walk.step(
        "GET sys/plugins/inspect/:file",
        "sys/plugins/inspect/postgres.wasm",
        Value::Null,
        &[],
    )
    .ok();
    for path in [
        "sys/internal/specs/openapi",
        "sys/plugins/catalog",
        "sys/plugins/pins",
        "sys/plugins/unpinned",
    ] {
        walk.step(&format!("GET {path}"), path, Value::Null, &[])
            .ok();
    }
    let reload = json!({"plugin": "spare"});
    walk.step(
        "PUT sys/plugins/reload/backend",
        "sys/plugins/reload/backend",
        reload,
        &[],
    )
    .ok();

    let mount = "sys/mounts/:path";
    let body = json!({"type": "spare", "plugin_version": "1.0.0"});
    walk.step(
        &format!("POST {mount}"),
        "sys/mounts/spare",
        body.clone(),
        &["mount.enabled"],
    )
    .ok();
    walk.step(&format!("POST {mount}"), "sys/mounts/spare", body, &[])
        .refused(409);
    walk.step(
        &format!("GET {mount}"),
        "sys/mounts/spare",
        Value::Null,
        &[],
    )
    .ok();
    walk.step("GET sys/mounts", "sys/mounts", Value::Null, &[])
        .ok();
    let tune = "sys/mounts/:path/tune";
    let body = json!({"audit_non_hmac_request_keys": ["host"]});
    walk.step(
        &format!("POST {tune}"),
        "sys/mounts/spare/tune",
        body,
        &["mount.tuned"],
    )
    .ok();
    let audit = walk.fixture.server.audit();
    let tuned = audit
        .lines()
        .rfind(|line| line.contains("mount.tuned"))
        .unwrap();
    let tuned: Value = serde_json::from_str(tuned).unwrap();
    assert_eq!(tuned["plain_request_keys"], json!(["host"]), "{tuned}");
    assert_eq!(tuned["plain_response_keys"], json!([]), "{tuned}");
    walk.step(
        &format!("GET {tune}"),
        "sys/mounts/spare/tune",
        Value::Null,
        &[],
    )
    .ok();
    let upgrade = json!({"plugin": "spare"});
    walk.step(
        "PUT sys/plugins/upgrade",
        "sys/plugins/upgrade",
        upgrade,
        &["mount.upgraded"],
    )
    .ok();
    let body = json!({"from": "spare", "to": "moved"});
    let moved = walk.step("POST sys/remount", "sys/remount", body, &["mount.moved"]);
    let id = text_at(&moved, "/data/migration_id");
    walk.step(
        "GET sys/remount/status/:id",
        &format!("sys/remount/status/{id}"),
        Value::Null,
        &[],
    )
    .ok();
    walk.step_and(
        &format!("DELETE {mount}"),
        "sys/mounts/moved",
        Value::Null,
        &["mount.disabled"],
        &["mount.removed"],
    )
    .ok();
    walk.step(
        &format!("DELETE {entry}"),
        &format!("{path}?version=1.0.0"),
        Value::Null,
        &["plugin.unpinned"],
    )
    .ok();
    walk.step(
        &format!("DELETE {entry}"),
        path,
        Value::Null,
        &["plugin.unpinned"],
    )
    .ok();
    walk.step("GET sys/hold", "sys/hold", Value::Null, &[]).ok();
    walk.step("POST sys/hold/release", "sys/hold/release", json!({}), &[])
        .ok();
}

/// A second connection of the mount, made and removed.
fn walk_another_connection(walk: &mut Walk) {
    let mut config = walk.fixture.config();
    walk.fixture
        .postgres
        .sql("create role harness_second superuser login password 'second'");
    config["username"] = "harness_second".into();
    config["password"] = "second".into();
    let path = "db/config/second";
    walk.step("POST db/config/:name", path, config, &["config.written"])
        .ok();
    walk.step("GET db/config/:name", path, Value::Null, &[])
        .ok();
    walk.step("LIST db/config", "db/config", Value::Null, &[])
        .ok();
    let rotated = ["rotation.begun", "rotation.staged", "rotation.completed"];
    let rotate = "POST db/rotate-root/:name";
    walk.step(rotate, "db/rotate-root/second", json!({}), &rotated)
        .ok();
    for way in ["retry", "abort"] {
        let (operation, path) = (
            format!("{rotate}/{way}"),
            format!("db/rotate-root/second/{way}"),
        );
        walk.step(&operation, &path, json!({}), &[]).refused(409);
    }
    walk.step("POST db/reset", "db/reset", json!({}), &[]).ok();
    walk.step("POST db/reset/:name", "db/reset/second", json!({}), &[])
        .ok();
    walk.step(
        "DELETE db/config/:name",
        path,
        Value::Null,
        &["config.erased"],
    )
    .ok();
}

fn walk_the_mount(walk: &mut Walk) {
    let config = walk.fixture.config();
    walk.step("POST db/config", "db/config", config, &["config.written"])
        .ok();
    walk.step("GET db/config", "db/config", Value::Null, &[])
        .ok();
    let rotated = ["rotation.begun", "rotation.staged", "rotation.completed"];
    for path in ["db/rotate-root", "db/config/rotate-root"] {
        // The former password ends with the rotation itself.
        let operation = if path == "db/rotate-root" {
            "POST db/rotate-root"
        } else {
            "POST db/:path/rotate-root"
        };
        let answer = send(&walk.root(), "POST", path, &json!({}));
        let told = Told::of(&rotated, &[]);
        walk.reader.expect(
            &walk.fixture.server,
            &format!("{operation}: {}", answer.text()),
            &told,
        );
        walk.note("POST", path);
        answer.ok();
    }
    for way in ["retry", "abort"] {
        for place in ["db/rotate-root", "db/config/rotate-root"] {
            let path = format!("{place}/{way}");
            let answer = send(&walk.root(), "POST", &path, &json!({}));
            walk.reader
                .expect(&walk.fixture.server, &path, &Told::default());
            walk.note("POST", &path);
            answer.refused(409);
        }
    }
    walk_another_connection(walk);
    let role = json!({"member_of": ["harness_readers"], "default_ttl": "1h"});
    walk.step(
        "POST db/roles/:name",
        "db/roles/spare",
        role,
        &["role.written"],
    )
    .ok();
    walk.step("GET db/roles/:name", "db/roles/spare", Value::Null, &[])
        .ok();
    walk.step("LIST db/roles", "db/roles", Value::Null, &[])
        .ok();
    walk.step(
        "GET db/creds/:name",
        "db/creds/spare",
        Value::Null,
        &["lease.issued"],
    )
    .ok();
    walk.step(
        "POST db/creds/:name",
        "db/creds/spare",
        json!({"ttl": "10m"}),
        &["lease.issued"],
    )
    .ok();
    walk.step("GET db/creds/:name", "db/creds/nosuch", Value::Null, &[])
        .refused(404);
    walk.step_and(
        "DELETE db/roles/:name",
        "db/roles/spare?revoke=true",
        Value::Null,
        &["role.removed", "task.queued", "task.ended"],
        &["lease.revoked", "lease.revoked"],
    )
    .ok();

    walk.fixture
        .postgres
        .sql("create role harness_app login password 'former'");
    let role = json!({"username": "harness_app", "manual": true});
    walk.step(
        "POST db/static-roles/:name",
        "db/static-roles/app",
        role.clone(),
        &["static_role.written", "static_role.rotated"],
    )
    .ok();
    walk.step(
        "POST db/static-roles/:name",
        "db/static-roles/app",
        role,
        &["static_role.changed"],
    )
    .ok();
    walk.step(
        "GET db/static-roles/:name",
        "db/static-roles/app",
        Value::Null,
        &[],
    )
    .ok();
    walk.step("LIST db/static-roles", "db/static-roles", Value::Null, &[])
        .ok();
    walk.step(
        "GET db/static-creds/:name",
        "db/static-creds/app",
        Value::Null,
        &[],
    )
    .ok();
    walk.step(
        "POST db/rotate-role/:name",
        "db/rotate-role/app",
        json!({}),
        &["static_role.rotation_begun", "static_role.rotated"],
    )
    .ok();
    walk.step(
        "DELETE db/static-roles/:name",
        "db/static-roles/app",
        Value::Null,
        &["static_role.removed"],
    )
    .ok();

    walk.fixture.postgres.sql(
        "create role orphan_one; comment on role orphan_one is 'lessor:db:00000000000000000000000001'",
    );
    let compared = ["task.queued", "task.ended"];
    walk.step("POST db/reconcile", "db/reconcile", json!({}), &compared)
        .ok();
    let body = json!({"dry_run": false, "revoke": ["orphan_one"]});
    let ended = ["task.queued", "orphan.revoked", "task.ended"];
    walk.step("POST db/reconcile", "db/reconcile", body, &ended)
        .ok();
}

fn walk_leases(walk: &mut Walk) {
    let issued = |walk: &mut Walk| {
        let answer = walk.step(
            "GET db/creds/:name",
            "db/creds/reader",
            Value::Null,
            &["lease.issued"],
        );
        text_at(&answer, "/lease_id")
    };
    let named = |lease: &str| json!({"lease_id": lease});
    let lease = issued(walk);
    walk.step(
        "PUT sys/leases/lookup",
        "sys/leases/lookup",
        named(&lease),
        &[],
    )
    .ok();
    walk.step(
        "LIST sys/leases/lookup",
        "sys/leases/lookup",
        Value::Null,
        &[],
    )
    .ok();
    walk.step(
        "LIST sys/leases/lookup/:path",
        "sys/leases/lookup/db/creds",
        Value::Null,
        &[],
    )
    .ok();
    for path in ["sys/leases", "sys/leases/count", "sys/leases/quarantine"] {
        walk.step(&format!("GET {path}"), path, Value::Null, &[])
            .ok();
    }
    walk.step("POST sys/leases/tidy", "sys/leases/tidy", json!({}), &[])
        .ok();
    walk.step(
        "DELETE sys/leases/quarantine/:number",
        "sys/leases/quarantine/1",
        Value::Null,
        &[],
    )
    .refused(404);
    walk.step(
        "PUT sys/leases/renew",
        "sys/leases/renew",
        named(&lease),
        &["lease.renewed"],
    )
    .ok();
    for (operation, path) in [
        ("PUT sys/leases/renew/:path", "sys/leases/renew"),
        ("PUT sys/renew/:id", "sys/renew"),
    ] {
        let path = format!("{path}/{lease}");
        let answer = send(&walk.root(), "PUT", &path, &json!({}));
        walk.reader.expect(
            &walk.fixture.server,
            operation,
            &Told::of(&["lease.renewed"], &[]),
        );
        let (method, _) = operation.split_once(' ').unwrap();
        walk.note(method, &path);
        answer.ok();
    }
    walk.step(
        "PUT sys/leases/revoke",
        "sys/leases/revoke",
        named(&lease),
        &["lease.revoked"],
    )
    .ok();
    let lease = issued(walk);
    let path = format!("sys/leases/revoke/{lease}");
    walk.step(
        "PUT sys/leases/revoke/:path",
        &path,
        json!({}),
        &["lease.revoked"],
    )
    .ok();
    let lease = issued(walk);
    let path = format!("sys/revoke/{lease}");
    let answer = send(&walk.root(), "PUT", &path, &json!({}));
    walk.reader.expect(
        &walk.fixture.server,
        &path,
        &Told::of(&["lease.revoked"], &[]),
    );
    walk.note("PUT", &path);
    answer.ok();

    let lease = issued(walk);
    walk.step_and(
        "PUT sys/leases/revoke",
        "sys/leases/revoke",
        json!({"lease_id": lease, "async": true}),
        &["lease.marked", "task.queued", "task.ended"],
        &["lease.revoked"],
    )
    .ok();

    for (operation, path) in [
        (
            "PUT sys/leases/revoke-prefix/:path",
            "sys/leases/revoke-prefix/db/creds",
        ),
        (
            "PUT sys/leases/revoke-force/:path",
            "sys/leases/revoke-force/db/creds",
        ),
    ] {
        issued(walk);
        walk.step_and(operation, path, json!({}), &ORDERED, &["lease.revoked"])
            .ok();
        walk.step(operation, path, json!({}), &[]).ok();
    }
    for path in ["sys/revoke-prefix/db/creds", "sys/revoke-force/db/creds"] {
        let answer = send(&walk.root(), "PUT", path, &json!({}));
        walk.reader
            .expect(&walk.fixture.server, path, &Told::default());
        walk.note("PUT", path);
        answer.ok();
    }

    // A task does it, and its changes have the id of the request that asked for it.
    let asked = walk.step(
        "POST db/creds/:name",
        "db/creds/reader",
        json!({"async": true}),
        &["task.queued", "lease.issued", "task.ended"],
    );
    let task = format!("sys/tasks/{}", text_at(&asked, "/data/task_id"));
    walk.step("GET sys/tasks", "sys/tasks", Value::Null, &[])
        .ok();
    walk.step("GET sys/tasks/:id", &task, Value::Null, &["task.collected"])
        .ok();
    walk.step("GET sys/tasks/:id", &task, Value::Null, &[]).ok();
    walk.step("DELETE sys/tasks/:id", &task, Value::Null, &[])
        .refused(409);
}

fn walk_policies_and_tokens(walk: &mut Walk) {
    let rules = json!({"policy": "path \"db/*\" { capabilities = [\"read\"] }"});
    for (place, list) in [("sys/policies/acl", "LIST"), ("sys/policy", "GET")] {
        let below = format!("{place}/nosuch");
        walk.step(&format!("LIST {place}/:name"), &below, Value::Null, &[]);
        let (pattern, path) = (format!("{place}/:path"), format!("{place}/ops"));
        walk.step(
            &format!("PUT {pattern}"),
            &path,
            rules.clone(),
            &["policy.written"],
        )
        .ok();
        walk.step(&format!("GET {pattern}"), &path, Value::Null, &[])
            .ok();
        walk.step(&format!("{list} {place}"), place, Value::Null, &[])
            .ok();
        walk.step(
            &format!("DELETE {pattern}"),
            &path,
            Value::Null,
            &["policy.removed"],
        )
        .ok();
        walk.step(&format!("DELETE {pattern}"), &path, Value::Null, &[])
            .ok();
    }

    let role = "auth/token/roles/:name";
    walk.step(
        &format!("POST {role}"),
        "auth/token/roles/ci",
        json!({}),
        &["token_role.written"],
    )
    .ok();
    walk.step(
        &format!("GET {role}"),
        "auth/token/roles/ci",
        Value::Null,
        &[],
    )
    .ok();
    walk.step(
        "LIST auth/token/roles",
        "auth/token/roles",
        Value::Null,
        &[],
    )
    .ok();
    let plain = json!({"policies": ["default"]});
    let made = ["token.created"];
    let by_root = walk.step(
        "POST auth/token/create",
        "auth/token/create",
        json!({}),
        &["token.created", "token.root_created"],
    );
    let other_root = walk
        .root()
        .with_token(&text_at(&by_root, "/auth/client_token"));
    walk.step_of(
        &other_root,
        "POST auth/token/revoke-self",
        "auth/token/revoke-self",
        json!({}),
        &Told::of(&["token.revoked"], &[]),
    )
    .ok();
    let mut tokens = Vec::new();
    for (operation, path) in [
        ("POST auth/token/create", "auth/token/create"),
        ("POST auth/token/create/:role", "auth/token/create/ci"),
        ("POST auth/token/create-orphan", "auth/token/create-orphan"),
        ("POST auth/token/create", "auth/token/create"),
    ] {
        let answer = walk.step(operation, path, plain.clone(), &made);
        tokens.push((
            text_at(&answer, "/auth/client_token"),
            text_at(&answer, "/auth/accessor"),
        ));
    }
    walk.step(
        &format!("DELETE {role}"),
        "auth/token/roles/ci",
        Value::Null,
        &["token_role.removed"],
    )
    .ok();
    walk.step(
        &format!("DELETE {role}"),
        "auth/token/roles/ci",
        Value::Null,
        &[],
    )
    .ok();
    let (token, accessor) = tokens.remove(0);
    let by_value = json!({"token": token});
    let by_accessor = json!({"accessor": accessor});
    let own = walk.root().with_token(&token);
    walk.step(
        "POST auth/token/lookup",
        "auth/token/lookup",
        by_value.clone(),
        &[],
    )
    .ok();
    walk.step(
        "POST auth/token/lookup-accessor",
        "auth/token/lookup-accessor",
        by_accessor.clone(),
        &[],
    )
    .ok();
    walk.step(
        "GET auth/token/lookup-self",
        "auth/token/lookup-self",
        Value::Null,
        &[],
    )
    .ok();
    walk.step(
        "LIST auth/token/accessors",
        "auth/token/accessors",
        Value::Null,
        &[],
    )
    .ok();
    walk.step("POST auth/token/tidy", "auth/token/tidy", json!({}), &[])
        .ok();
    let renewed = Told::of(&["token.renewed"], &[]);
    walk.step(
        "POST auth/token/renew",
        "auth/token/renew",
        by_value.clone(),
        &["token.renewed"],
    )
    .ok();
    walk.step(
        "POST auth/token/renew-accessor",
        "auth/token/renew-accessor",
        by_accessor,
        &["token.renewed"],
    )
    .ok();
    walk.step_of(
        &own,
        "POST auth/token/renew-self",
        "auth/token/renew-self",
        json!({}),
        &renewed,
    )
    .ok();
    for (path, body) in [
        ("sys/capabilities", json!({"token": token, "paths": ["db"]})),
        ("sys/capabilities-self", json!({"paths": ["db"]})),
        (
            "sys/capabilities-accessor",
            json!({"accessor": accessor, "paths": ["db"]}),
        ),
    ] {
        walk.step(&format!("POST {path}"), path, body, &[]).ok();
    }
    walk.step(
        "POST auth/token/revoke",
        "auth/token/revoke",
        by_value,
        &["token.revoked"],
    )
    .ok();
    let (_, accessor) = tokens.remove(0);
    let body = json!({"accessor": accessor});
    walk.step(
        "POST auth/token/revoke-accessor",
        "auth/token/revoke-accessor",
        body,
        &["token.revoked"],
    )
    .ok();
    let (token, _) = tokens.remove(0);
    let body = json!({"token": token});
    walk.step(
        "POST auth/token/revoke-orphan",
        "auth/token/revoke-orphan",
        body,
        &["token.revoked"],
    )
    .ok();
    // The last use of a token revokes the token, whichever operation it was.
    let body = json!({"policies": ["default"], "num_uses": 1});
    let answer = walk.step("POST auth/token/create", "auth/token/create", body, &made);
    let once = walk
        .root()
        .with_token(&text_at(&answer, "/auth/client_token"));
    walk.step_of(
        &once,
        "GET auth/token/lookup-self",
        "auth/token/lookup-self",
        Value::Null,
        &Told::of(&["token.revoked"], &[]),
    )
    .ok();
}

fn walk_wrapping(walk: &mut Walk) {
    let wrapped = |walk: &mut Walk| {
        let headers = [
            ("X-Vault-Wrap-TTL", "5m"),
            ("Content-Type", "application/json"),
        ];
        let path = "sys/wrapping/wrap";
        let answer = walk
            .root()
            .send("POST", path, &headers, Some(b"{\"a\": 1}"));
        walk.reader.expect(
            &walk.fixture.server,
            path,
            &Told::of(&["wrapping.wrapped"], &[]),
        );
        walk.note("POST", path);
        text_at(&answer, "/wrap_info/token")
    };
    let token = wrapped(walk);
    let body = json!({"token": token});
    walk.step(
        "POST sys/wrapping/lookup",
        "sys/wrapping/lookup",
        body.clone(),
        &[],
    )
    .ok();
    let holder = walk.root().with_token(&token);
    walk.step_of(
        &holder,
        "GET sys/wrapping/lookup",
        "sys/wrapping/lookup",
        Value::Null,
        &Told::default(),
    )
    .ok();
    let again = walk.step(
        "POST sys/wrapping/rewrap",
        "sys/wrapping/rewrap",
        body,
        &["wrapping.rewrapped"],
    );
    let body = json!({"token": text_at(&again, "/wrap_info/token")});
    walk.step(
        "POST sys/wrapping/unwrap",
        "sys/wrapping/unwrap",
        body.clone(),
        &["wrapping.unwrapped"],
    )
    .ok();
    walk.step("POST sys/wrapping/unwrap", "sys/wrapping/unwrap", body, &[])
        .refused(400);
}

fn walk_approle(walk: &mut Walk) {
    let enable = json!({"type": "approle"});
    walk.step(
        "POST sys/auth/:path",
        "sys/auth/machines",
        enable,
        &["login.enabled"],
    )
    .ok();
    let (place, role) = ("auth/machines/role/:name", "auth/machines/role/app");
    let written = ["login_entry.written"];
    walk.step(&format!("POST {place}"), role, json!({}), &written)
        .ok();
    walk.step(&format!("GET {place}"), role, Value::Null, &[])
        .ok();
    walk.step(
        "LIST auth/machines/role",
        "auth/machines/role",
        Value::Null,
        &[],
    )
    .ok();
    let at = |rest: &str| (format!("{place}/{rest}"), format!("{role}/{rest}"));
    let (pattern, path) = at("role-id");
    walk.step(&format!("GET {pattern}"), &path, Value::Null, &[])
        .ok();
    walk.step(
        &format!("POST {pattern}"),
        &path,
        json!({"role_id": "the-app"}),
        &written,
    )
    .ok();
    let pattern = format!("{place}/:field");
    let path = format!("{role}/token-ttl");
    walk.step(&format!("GET {pattern}"), &path, Value::Null, &[])
        .ok();
    walk.step(
        &format!("POST {pattern}"),
        &path,
        json!({"token_ttl": "10m"}),
        &written,
    )
    .ok();
    walk.step(&format!("DELETE {pattern}"), &path, Value::Null, &written)
        .ok();

    let (pattern, path) = at("secret-id");
    let made = walk.step(
        &format!("POST {pattern}"),
        &path,
        json!({"num_uses": 2}),
        &["secret_id.created"],
    );
    let secret = text_at(&made, "/data/secret_id");
    let made = walk.step(
        &format!("POST {pattern}"),
        &path,
        json!({"ttl": "1m"}),
        &["secret_id.created"],
    );
    let accessor = text_at(&made, "/data/secret_id_accessor");
    walk.step(&format!("LIST {pattern}"), &path, Value::Null, &[])
        .ok();
    let (pattern, path) = at("custom-secret-id");
    let own = json!({"secret_id": "chosen-by-somebody"});
    walk.step(
        &format!("POST {pattern}"),
        &path,
        own.clone(),
        &["secret_id.created"],
    )
    .ok();
    let (pattern, path) = at("secret-id/lookup");
    walk.step(&format!("POST {pattern}"), &path, own.clone(), &[])
        .ok();
    let by_accessor = json!({"secret_id_accessor": accessor});
    let (pattern, path) = at("secret-id-accessor/lookup");
    walk.step(&format!("POST {pattern}"), &path, by_accessor.clone(), &[])
        .ok();

    let stranger = walk.root().without_token();
    let (operation, login) = ("POST auth/machines/login", "auth/machines/login");
    let body = json!({"role_id": "the-app", "secret_id": secret});
    let got_in = ["secret_id.used", "token.created", "login.succeeded"];
    walk.step_of(&stranger, operation, login, body, &Told::of(&got_in, &[]))
        .ok();
    let wrong = json!({"role_id": "the-app", "secret_id": "wrong"});
    walk.step_of(
        &stranger,
        operation,
        login,
        wrong,
        &Told::of(&["login.failed"], &[]),
    )
    .refused(400);
    let nobody = json!({"role_id": "nobody", "secret_id": "wrong"});
    walk.step_of(
        &stranger,
        operation,
        login,
        nobody,
        &Told::of(&["login.failed"], &[]),
    )
    .refused(400);

    let (pattern, path) = at("secret-id/destroy");
    walk.step(
        &format!("POST {pattern}"),
        &path,
        own.clone(),
        &["secret_id.destroyed"],
    )
    .ok();
    walk.step(&format!("POST {pattern}"), &path, own, &[]).ok();
    let (pattern, path) = at("secret-id-accessor/destroy");
    walk.step(
        &format!("POST {pattern}"),
        &path,
        by_accessor,
        &["secret_id.destroyed"],
    )
    .ok();
    let tidy = "auth/machines/tidy/secret-id";
    walk.step(&format!("POST {tidy}"), tidy, json!({}), &[])
        .ok();
    walk.step(
        &format!("DELETE {place}"),
        role,
        Value::Null,
        &["login_entry.removed"],
    )
    .ok();
    walk.step(&format!("DELETE {place}"), role, Value::Null, &[])
        .ok();
}

fn walk_userpass(walk: &mut Walk) {
    let enable =
        json!({"type": "userpass", "config": {"user_lockout_config": {"lockout_threshold": 2}}});
    walk.step(
        "POST sys/auth/:path",
        "sys/auth/people",
        enable,
        &["login.enabled"],
    )
    .ok();
    let (place, bob) = ("auth/people/users/:name", "auth/people/users/bob");
    let written = ["login_entry.written"];
    walk.step(
        &format!("POST {place}"),
        bob,
        json!({"password": "right"}),
        &written,
    )
    .ok();
    walk.step(&format!("GET {place}"), bob, Value::Null, &[])
        .ok();
    walk.step(
        "LIST auth/people/users",
        "auth/people/users",
        Value::Null,
        &[],
    )
    .ok();
    let body = json!({"password": "right"});
    walk.step(
        &format!("POST {place}/password"),
        &format!("{bob}/password"),
        body.clone(),
        &written,
    )
    .ok();
    let policies = json!({"token_policies": "default"});
    walk.step(
        &format!("POST {place}/policies"),
        &format!("{bob}/policies"),
        policies,
        &written,
    )
    .ok();
    let stranger = walk.root().without_token();
    let (operation, login) = ("POST auth/people/login/:name", "auth/people/login/bob");
    let got_in = Told::of(&["token.created", "login.succeeded"], &[]);
    walk.step_of(&stranger, operation, login, body.clone(), &got_in)
        .ok();
    let wrong = json!({"password": "wrong"});
    walk.step_of(
        &stranger,
        operation,
        login,
        wrong.clone(),
        &Told::of(&["login.failed"], &[]),
    )
    .refused(400);
    let locked = Told::of(&["login.locked", "login.failed"], &[]);
    walk.step_of(&stranger, operation, login, wrong, &locked)
        .refused(400);
    walk.step_of(
        &stranger,
        operation,
        login,
        body.clone(),
        &Told::of(&["login.failed"], &[]),
    )
    .refused(403);
    walk.step("GET sys/locked-users", "sys/locked-users", Value::Null, &[])
        .ok();
    let accessor = text_at(&walk.root().get("sys/auth/people"), "/data/accessor");
    walk.reader
        .expect(&walk.fixture.server, "its accessor", &Told::default());
    let path = format!("sys/locked-users/{accessor}/unlock/bob");
    walk.step(
        "POST sys/locked-users/:accessor/unlock/:path",
        &path,
        json!({}),
        &["login.unlocked"],
    )
    .ok();
    walk.step_of(&stranger, operation, login, body, &got_in)
        .ok();
    walk.step(
        &format!("DELETE {place}"),
        bob,
        Value::Null,
        &["login_entry.removed"],
    )
    .ok();
}

fn walk_jwt(walk: &mut Walk) {
    let signer = Signer::new("k");
    let enable = json!({"type": "jwt"});
    walk.step(
        "POST sys/auth/:path",
        "sys/auth/id",
        enable,
        &["login.enabled"],
    )
    .ok();
    let config = json!({"jwt_validation_pubkeys": [signer.pem()]});
    walk.step(
        "POST auth/id/config",
        "auth/id/config",
        config,
        &["login.configured"],
    )
    .ok();
    walk.step("GET auth/id/config", "auth/id/config", Value::Null, &[])
        .ok();
    let browser = "auth/id/oidc/auth_url";
    walk.step("POST auth/id/oidc/:path", browser, json!({}), &[])
        .refused(400);
    let (place, role) = ("auth/id/role/:name", "auth/id/role/dev");
    let body = json!({"role_type": "jwt", "user_claim": "sub", "bound_subject": "bob"});
    walk.step(
        &format!("POST {place}"),
        role,
        body,
        &["login_entry.written"],
    )
    .ok();
    walk.step(&format!("GET {place}"), role, Value::Null, &[])
        .ok();
    walk.step("LIST auth/id/role", "auth/id/role", Value::Null, &[])
        .ok();
    let stranger = walk.root().without_token();
    let (operation, login) = ("POST auth/id/login", "auth/id/login");
    let signed = |who: &str| {
        let jwt =
            signer.sign(&json!({"sub": who, "iat": in_an_hour() - 3600, "exp": in_an_hour()}));
        json!({"role": "dev", "jwt": jwt})
    };
    let got_in = Told::of(&["token.created", "login.succeeded"], &[]);
    walk.step_of(&stranger, operation, login, signed("bob"), &got_in)
        .ok();
    walk.step_of(
        &stranger,
        operation,
        login,
        signed("eve"),
        &Told::of(&["login.failed"], &[]),
    );
    walk.step(
        &format!("DELETE {place}"),
        role,
        Value::Null,
        &["login_entry.removed"],
    )
    .ok();
}

fn walk_logins(walk: &mut Walk) {
    walk.step("GET sys/auth", "sys/auth", Value::Null, &[]).ok();
    walk.step("GET sys/auth/:path", "sys/auth/people", Value::Null, &[])
        .ok();
    let body = json!({"audit_non_hmac_response_keys": ["username"]});
    let tune = "sys/auth/:path/tune";
    walk.step(
        &format!("POST {tune}"),
        "sys/auth/people/tune",
        body,
        &["login.tuned"],
    )
    .ok();
    walk.step(
        &format!("GET {tune}"),
        "sys/auth/people/tune",
        Value::Null,
        &[],
    )
    .ok();
    let answer = send(
        &walk.root(),
        "POST",
        "sys/mounts/auth/people/tune",
        &json!({"description": "people"}),
    );
    walk.reader.expect(
        &walk.fixture.server,
        "tune as a mount",
        &Told::of(&["login.tuned"], &[]),
    );
    walk.note("POST", "sys/mounts/auth/people/tune");
    answer.ok();
    walk.step(
        "GET sys/mounts/auth/:path/tune",
        "sys/mounts/auth/people/tune",
        Value::Null,
        &[],
    )
    .ok();
    let body = json!({"from": "auth/people", "to": "auth/folk"});
    walk.step("POST sys/remount", "sys/remount", body, &["login.moved"])
        .ok();
    // Both tokens that logins at it gave end with it.
    walk.step(
        "DELETE sys/auth/:path",
        "sys/auth/folk",
        Value::Null,
        &["token.revoked_below", "login.disabled"],
    )
    .ok();
}

/// Operations that only look.
fn look_around(walk: &mut Walk) {
    for path in [
        "sys/ha-status",
        "sys/host-info",
        "sys/in-flight-req",
        "sys/metrics",
        "sys/internal/ui/mounts",
        "sys/internal/ui/resultant-acl",
        "sys/internal/counters/tokens",
        "sys/internal/counters/entities",
    ] {
        walk.step(&format!("GET {path}"), path, Value::Null, &[])
            .ok();
    }
    walk.step(
        "LIST sys/version-history",
        "sys/version-history",
        Value::Null,
        &[],
    )
    .ok();
    walk.step(
        "GET sys/internal/ui/mounts/:path",
        "sys/internal/ui/mounts/db",
        Value::Null,
        &[],
    )
    .ok();
    walk.step(
        "GET sys/storage/backup",
        "sys/storage/backup",
        Value::Null,
        &["storage.backed_up"],
    )
    .ok();
    walk.step(
        "PUT sys/test/:what",
        "sys/test/clock",
        json!({"advance": "0s"}),
        &[],
    )
    .ok();
    walk.step("PUT sys/test/:what", "sys/test/storage", json!({}), &[])
        .ok();
}

/// Operations that remove the rest.
fn finish(walk: &mut Walk) {
    // One lease is left, of the task.
    let path = "sys/leases/revoke-prefix/db";
    walk.step_and(
        "PUT sys/leases/revoke-prefix/:path",
        path,
        json!({}),
        &ORDERED,
        &["lease.revoked"],
    )
    .ok();
    walk.step(
        "DELETE db/config",
        "db/config",
        Value::Null,
        &["config.erased"],
    )
    .ok();
    walk.step_and(
        "DELETE sys/mounts/:path",
        "sys/mounts/db",
        Value::Null,
        &["mount.disabled"],
        &["mount.removed"],
    )
    .ok();
}
