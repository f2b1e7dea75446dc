//! The audit log tells of every change of state, by an operation of the API or by time: each
//! change has its event, once, and no other.

mod by_time;
mod every_operation;

use std::collections::{BTreeMap, BTreeSet};

use lessor_tests::{
    http::{Answer, Http},
    server::{Server, workspace},
    wait::eventually,
};
use serde_json::Value;

/// The names of all events, as docs/audit.md has them; a unit test compares that page with the
/// code.
fn all_events() -> BTreeSet<String> {
    let page = std::fs::read_to_string(workspace().join("docs/audit.md")).unwrap();
    let (_, events) = page.split_once("| `event` | when |").unwrap();
    let (events, _) = events.split_once("\n\n").unwrap();
    let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    events.lines().filter_map(name).collect()
}

fn names(events: &[&str]) -> BTreeSet<String> {
    events.iter().map(|&name| name.to_owned()).collect()
}

/// Events that no test here makes happen, and where they are seen.
const ELSEWHERE: &[(&str, &str)] = &[
    ("static_role.former_due", "host/src/static_role/tests.rs"),
    ("static_role.former_ended", "host/src/static_role/tests.rs"),
    ("grant.refused", "guests/network.rs"),
    ("identity.key_made", "identity.rs"),
    ("identity.key_removed", "identity.rs"),
    ("identity.refused", "identity.rs"),
    ("identity.token_issued", "identity.rs"),
    ("lease.quarantine_forgotten", "storage.rs"),
    ("lease.quarantined", "storage.rs"),
    ("limit.exceeded", "guests/leaks.rs"),
    ("mount.version_kept", "host/src/upgrade.rs"),
    ("plugin.disabled", "plugin_directory.rs"),
    ("plugin.enabled", "plugin_directory.rs"),
    ("rotation.set_aside", "storage.rs"),
    ("static_role.put_off", "host/src/static_role/tests.rs"),
    ("task.cancelled", "host/src/task/tests.rs"),
    ("task.set_aside", "host/src/task/tests.rs"),
];

/// A new event must happen in one of these tests, or the list above says where else.
#[test]
fn every_event_happens_in_a_test() {
    let mut seen = names(every_operation::EVENTS);
    seen.extend(names(by_time::EVENTS));
    for (event, place) in ELSEWHERE {
        assert!(
            seen.insert((*event).to_owned()),
            "{event} is seen here and in {place}"
        );
    }
    let all = all_events();
    assert!(all.len() > 90, "{all:?}");
    assert_eq!(
        seen.difference(&all).collect::<Vec<_>>(),
        [""; 0],
        "are no events"
    );
    assert_eq!(
        all.difference(&seen).collect::<Vec<_>>(),
        [""; 0],
        "nobody sees happen"
    );
}

/// Reads an audit log step by step.
#[derive(Debug)]
struct Reader {
    /// Bytes that were read.
    read: usize,
    /// Every event that was met.
    met: BTreeSet<String>,
}

/// The events of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    /// With the id of the step's request, in order.
    of_request: Vec<String>,
    /// Without a request's id: events that come by time, or follow in the background. Counted,
    /// since the order of concurrent ones varies.
    by_time: BTreeMap<String, usize>,
}

impl Told {
    fn of(of_request: &[&str], by_time: &[&str]) -> Self {
        let mut told = Self {
            of_request: of_request.iter().map(|&name| name.to_owned()).collect(),
            by_time: BTreeMap::new(),
        };
        for name in by_time {
            *told.by_time.entry((*name).to_owned()).or_default() += 1;
        }
        told
    }
}

impl Reader {
    /// Begins behind what stands there.
    fn behind(server: &Server) -> Self {
        Self {
            read: server.audit().len(),
            met: BTreeSet::new(),
        }
    }

    /// The events since the last step. A line that is half written is left for later.
    fn since(&self, server: &Server) -> (Told, usize) {
        let audit = server.audit();
        let new = &audit[self.read..];
        let whole = new.rfind('\n').map_or(0, |end| end + 1);
        let (mut told, mut of_others) = (Told::default(), Vec::new());
        let mut request = None;
        for line in new[..whole].lines() {
            let line: Value = serde_json::from_str(line).expect("a line is JSON");
            match line["type"].as_str() {
                Some("request") if line["path"] != "sys/test/clock" => {
                    request = line["request_id"].as_str().map(str::to_owned);
                }
                Some("change") => {
                    let event = line["event"].as_str().expect("a change has its event");
                    assert!(line["change"].is_string(), "{line}");
                    match line["request_id"].as_str() {
                        Some(id) => of_others.push((id.to_owned(), event.to_owned())),
                        None => *told.by_time.entry(event.to_owned()).or_default() += 1,
                    }
                }
                _ => {}
            }
        }
        for (id, event) in of_others {
            assert_eq!(
                Some(&id),
                request.as_ref(),
                "{event} has another request's id"
            );
            told.of_request.push(event);
        }
        (told, self.read + whole)
    }

    /// Waits until the events since the last step are exactly these.
    #[track_caller]
    fn expect(&mut self, server: &Server, what: &str, expected: &Told) {
        let mut last = None;
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, || {
                let (told, read) = self.since(server);
                let is_it = told == *expected;
                last = Some(told);
                is_it.then_some(read)
            })
        }));
        let Ok(read) = read else {
            panic!("{what}:\n expected {expected:?}\n and told  {last:?}");
        };
        self.read = read;
        let of_request = expected.of_request.iter();
        self.met
            .extend(of_request.chain(expected.by_time.keys()).cloned());
    }
}

impl Reader {
    /// Waits until each of these events was written since the last step, perhaps among others.
    #[track_caller]
    fn meet(&mut self, server: &Server, what: &str, events: &[&str]) {
        self.read = eventually(what, || {
            let new = &server.audit()[self.read..];
            let told = |event: &&str| new.contains(&format!("\"event\":\"{event}\""));
            let whole = new.rfind('\n').map_or(0, |end| end + 1);
            events.iter().all(told).then_some(self.read + whole)
        });
        self.met.extend(names(events));
    }
}

/// Sends a request with a body of JSON, or with none.
fn send(http: &Http, method: &str, path: &str, body: &Value) -> Answer {
    let json = [("Content-Type", "application/json")];
    let text = (!body.is_null()).then(|| body.to_string());
    http.send(method, path, &json, text.as_deref().map(str::as_bytes))
}
