//! `GET sys/metrics`, in Prometheus' text format (exposition format 0.0.4). The gauges of
//! mounts are read from storage at the moment of asking, so they survive a restart and need no
//! history; the outcomes of providers' calls are counted in memory since the start
//! (`providers`).

mod providers;

use std::fmt::Write as _;

use http::StatusCode;
use lessor_store::RotationState;

use super::{
    Outcome,
    answer::{Answer, Body},
    ask::Ask,
    endpoint::{Endpoint, at, does, field, gives::Gives, read},
    error::ApiError,
};
use crate::{engine::Engine, mount::Connection};

/// The path that measuring systems ask.
pub(super) const ENDPOINTS: &[Endpoint] = &[at(
    "sys/metrics",
    "The metrics of the server, in Prometheus' format.",
)
.on(&[read(
    "Shows it.",
    &[field::text("format", "prometheus, or left out.")],
    does!(call => show(call.engine, call.ask).await),
)
.gives(&[Gives::Bytes("text/plain")])])];

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The values behind a mount's metrics.
struct Sample {
    mount: String,
    /// Unless it is the default one.
    connection: Option<String>,
    values: [Option<f64>; FAMILIES.len()],
}

/// Name and meaning, in the order of [`Sample::values`].
const FAMILIES: [(&str, &str); 10] = [
    ("lessor_leases", "Leases in storage."),
    (
        "lessor_leases_revoking",
        "Leases that wait for their end upstream.",
    ),
    (
        "lessor_leases_out_of_sync",
        "Leases that upstream did not end, tried again daily.",
    ),
    (
        "lessor_oldest_overdue_revocation_seconds",
        "The number of seconds since the longest waiting lease should have ended; 0 where none waits.",
    ),
    (
        "lessor_upstream_down",
        "1 while revocations are held back because upstream does not answer.",
    ),
    (
        "lessor_rotation_failed",
        "1 while a rotation of the root credential waits for the operator.",
    ),
    (
        "lessor_rotation_attempts",
        "Attempts at the present step of the open rotation; 0 where none is open.",
    ),
    (
        "lessor_rotation_last_timestamp_seconds",
        "The time when the root credential was last rotated.",
    ),
    (
        "lessor_rotation_next_timestamp_seconds",
        "The time when the root credential is rotated next.",
    ),
    (
        "lessor_held",
        "1 while expiries and rotations wait for the operator, after a restore.",
    ),
];

/// `GET sys/metrics`
pub(super) async fn show(engine: &Engine, ask: Ask) -> Outcome {
    let mut fields = ask.into_fields();
    let format = fields.text("format")?;
    fields.finish()?;
    if format.is_some_and(|format| format != "prometheus") {
        return Err(ApiError::bad_request(
            "format must be prometheus, or left out",
        ));
    }
    let mut samples = Vec::new();
    for mount in engine.mounts.every() {
        for connection in engine.mounts.connections_of(&mount) {
            samples.push(sample(engine, &connection).await?);
        }
    }
    samples.sort_by(|a, b| (&a.mount, &a.connection).cmp(&(&b.mount, &b.connection)));
    Ok(Answer {
        task: None,
        status: StatusCode::OK,
        body: Body::Document {
            content_type: CONTENT_TYPE.into(),
            bytes: [
                render(&samples),
                providers::render(&engine.catalog.tallies()),
                providers::render_holdings(&engine.catalog.holdings()),
            ]
            .concat()
            .into_bytes(),
        },
    })
}

/// A connection; the counts of a whole mount stand with its default connection.
async fn sample(engine: &Engine, connection: &Connection) -> Result<Sample, ApiError> {
    let now = engine.clock.now();
    let is_default = connection.name.is_default();
    let of_mount = |value: f64| is_default.then_some(value);
    let (total, late) = match is_default {
        true => engine.leases.standing(&connection.mount).await?,
        false => Default::default(),
    };
    let (rotation, schedule) = engine.rotations.standing(connection).await?;
    let failed = rotation
        .as_ref()
        .is_some_and(|rotation| rotation.state == RotationState::Failed);
    let (last, next) = schedule.map_or((None, None), |schedule| (schedule.last, schedule.next));
    let seconds = |at: lessor_model::clock::Timestamp| at.0 as f64 / 1000.0;
    Ok(Sample {
        mount: connection.path().to_string(),
        connection: (!is_default).then(|| connection.name.to_string()),
        values: [
            of_mount(total as f64),
            of_mount(late.revoking as f64),
            of_mount(late.out_of_sync as f64),
            of_mount(
                late.oldest
                    .map_or(0.0, |since| now.since(since).as_secs_f64()),
            ),
            Some(f64::from(u8::from(connection.is_upstream_down()))),
            Some(f64::from(u8::from(failed))),
            Some(rotation.map_or(0.0, |rotation| f64::from(rotation.attempts))),
            last.map(seconds),
            next.map(seconds),
            of_mount(f64::from(u8::from(connection.held.is_some()))),
        ],
    })
}

fn render(samples: &[Sample]) -> String {
    let mut text = String::new();
    for (index, (name, help)) in FAMILIES.iter().enumerate() {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for sample in samples {
            if let Some(Some(value)) = sample.values.get(index) {
                let mount = label(&sample.mount);
                let _ = write!(text, "{name}{{mount=\"{mount}\"");
                if let Some(connection) = &sample.connection {
                    let _ = write!(text, ",connection=\"{}\"", label(connection));
                }
                let _ = writeln!(text, "}} {value}");
            }
        }
    }
    text
}

/// A label's value: backslash, quote and line feed are escaped.
fn label(text: &str) -> String {
    text.replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fmt::Write as _};

    use lessor_model::id::Digest;
    use lessor_sandbox::{Counts, Holdings, Tally, Times};

    use super::*;
    use crate::testing::page::assert_page;

    #[test]
    fn each_family_is_written_once_with_a_line_for_each_mount() {
        let sample = |mount: &str, first: Option<f64>| Sample {
            mount: mount.into(),
            connection: None,
            values: [
                first,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                Some(1.5),
                None,
            ],
        };
        let text = render(&[sample("a", Some(3.0)), sample("b\"\\", None)]);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "lessor_leases{mount=\"a\"} 3",
                "lessor_rotation_next_timestamp_seconds{mount=\"a\"} 1.5",
                "lessor_rotation_next_timestamp_seconds{mount=\"b\\\"\\\\\"} 1.5",
            ]
        );
        assert_eq!(text.matches("# TYPE").count(), FAMILIES.len());
    }

    /// Everything that there can be, of one mount and one plugin.
    fn everything() -> String {
        let sample = Sample {
            mount: "db".into(),
            connection: None,
            values: [Some(1.0); FAMILIES.len()],
        };
        let tally = Tally {
            plugin: ("pg".into(), "1.0.0".into()),
            sha256: Digest::from_bytes([0; 32]),
            mount: "db".parse().unwrap(),
            counts: Counts {
                calls: BTreeMap::from([(("create", "ok"), 1)]),
                times: BTreeMap::from([("create", Times::default())]),
                denials: 1,
                limits: BTreeMap::from([("memory", 1)]),
            },
        };
        let holdings = Holdings {
            held: vec![("log", 1)],
            peak: 1,
            limit: 1,
            slots: (1, 1, 1),
        };
        [
            render(&[sample]),
            providers::render(&[tally]),
            providers::render_holdings(&holdings),
        ]
        .concat()
    }

    /// The names of the labels of a line.
    fn labels(line: &str) -> Vec<&str> {
        let (_, rest) = line.split_once('{').unwrap_or_default();
        let (inside, _) = rest.split_once('}').unwrap_or_default();
        let pairs = inside.split(',').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, _)| name)
            .filter(|name| *name != "le")
            .collect()
    }

    #[test]
    fn the_page_of_metrics_is_that_of_the_code() {
        let mut page = String::from(
            "# Metrics\n\n\
             This page is for those who watch a server. It lists the metrics of `GET /v1/sys/metrics`,\n\
             which answers in Prometheus' text format. Metrics whose only label is `mount` are read from\n\
             storage and survive a restart; counters begin at 0 with each start. A test writes this page\n\
             from the code.\n\n\
             | metric | kind | labels | meaning |\n|---|---|---|---|\n",
        );
        let text = everything();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some((name, help)) = line
                .strip_prefix("# HELP ")
                .and_then(|help| help.split_once(' '))
            else {
                continue;
            };
            let kind = lines.next().unwrap().rsplit(' ').next().unwrap();
            let first = lines.next().unwrap();
            assert!(first.starts_with(name), "{name} has no line: {first}");
            let labels: Vec<String> = labels(first)
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            let labels = labels.join(", ");
            let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
        }
        assert_page("metrics.md", &page);
    }
}
