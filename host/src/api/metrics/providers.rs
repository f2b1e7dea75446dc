//! Counters of providers' calls, per plugin and mount.

use std::fmt::Write as _;

use lessor_sandbox::{BUCKETS, Counts, Holdings, Tally, Times};

use super::label;

/// The counters of all tallies, each family once.
pub(super) fn render(tallies: &[Tally]) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, write: &dyn Fn(&mut String, &Tally)| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for tally in tallies {
            write(&mut text, tally);
        }
    };
    family(
        "lessor_provider_calls_total",
        "counter",
        "Calls of providers, by function and by outcome.",
        &calls,
    );
    family(
        "lessor_provider_call_seconds",
        "histogram",
        "The time that calls of providers took, waiting for a slot included.",
        &times,
    );
    family(
        "lessor_provider_denials_total",
        "counter",
        "Connections that no grant of the mount allows.",
        &denials,
    );
    family(
        "lessor_provider_limits_total",
        "counter",
        "Limits of the sandbox that calls ran into.",
        &limits,
    );
    text
}

/// The memory that the host holds for calls, and the most that it held.
pub(super) fn render_holdings(holdings: &Holdings) -> String {
    let Holdings {
        held,
        peak,
        limit,
        slots: (all, taken, waiting),
    } = holdings;
    let mut text = String::from(
        "# HELP lessor_provider_held_bytes Bytes that the host holds for calls of providers now.\n\
         # TYPE lessor_provider_held_bytes gauge\n",
    );
    for (resource, bytes) in held {
        let _ = writeln!(
            text,
            "lessor_provider_held_bytes{{resource=\"{resource}\"}} {bytes}"
        );
    }
    for (name, help, number) in [
        (
            "lessor_provider_held_peak_bytes",
            "The largest number of bytes that was held at once since the start, of all resources.",
            *peak,
        ),
        (
            "lessor_provider_held_limit_bytes",
            "The largest number of bytes that may be held at once, of all resources.",
            *limit,
        ),
        (
            "lessor_provider_slots",
            "Slots for calls that run at once.",
            usize::try_from(*all).unwrap_or(usize::MAX),
        ),
        (
            "lessor_provider_slots_taken",
            "Slots that calls have taken.",
            usize::try_from(*taken).unwrap_or(usize::MAX),
        ),
        (
            "lessor_provider_calls_waiting",
            "Calls that wait for a slot among all calls.",
            *waiting,
        ),
    ] {
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {number}"
        );
    }
    text
}

fn calls(text: &mut String, tally: &Tally) {
    let whose = whose(tally);
    for ((function, outcome), count) in &tally.counts.calls {
        let _ = writeln!(
            text,
            "lessor_provider_calls_total{{{whose},function=\"{function}\",outcome=\"{outcome}\"}} {count}"
        );
    }
}

fn times(text: &mut String, tally: &Tally) {
    let whose = whose(tally);
    for (function, Times { buckets, sum }) in &tally.counts.times {
        let whose = format!("{whose},function=\"{function}\"");
        let mut below = 0;
        let bounds = BUCKETS.iter().map(ToString::to_string);
        for (bound, count) in bounds.chain([String::from("+Inf")]).zip(buckets) {
            below += count;
            let _ = writeln!(
                text,
                "lessor_provider_call_seconds_bucket{{{whose},le=\"{bound}\"}} {below}"
            );
        }
        let _ = writeln!(text, "lessor_provider_call_seconds_sum{{{whose}}} {sum}");
        let _ = writeln!(
            text,
            "lessor_provider_call_seconds_count{{{whose}}} {below}"
        );
    }
}

fn denials(text: &mut String, tally: &Tally) {
    let Counts { denials, .. } = tally.counts;
    let _ = writeln!(
        text,
        "lessor_provider_denials_total{{{}}} {denials}",
        whose(tally)
    );
}

fn limits(text: &mut String, tally: &Tally) {
    let whose = whose(tally);
    for (limit, count) in &tally.counts.limits {
        let _ = writeln!(
            text,
            "lessor_provider_limits_total{{{whose},limit=\"{limit}\"}} {count}"
        );
    }
}

/// The labels of every counter; a digest by its first twelve digits.
fn whose(tally: &Tally) -> String {
    let (name, version) = &tally.plugin;
    let sha256: String = tally.sha256.to_string().chars().take(12).collect();
    format!(
        "plugin=\"{}\",version=\"{}\",sha256=\"{sha256}\",mount=\"{}\"",
        label(name),
        label(version),
        label(tally.mount.as_str())
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lessor_model::id::Digest;

    use super::*;

    #[test]
    fn each_family_stands_once_and_buckets_add_up() {
        let tally = |mount: &str| Tally {
            plugin: ("pg".into(), "1.0.0".into()),
            sha256: Digest::from_bytes([0xab; 32]),
            mount: mount.parse().unwrap(),
            counts: Counts {
                calls: BTreeMap::from([(("create", "ok"), 3), (("create", "limit"), 1)]),
                times: BTreeMap::from([(
                    "create",
                    Times {
                        buckets: [0, 2, 0, 1, 0, 0, 0, 0, 0, 1],
                        sum: 70.5,
                    },
                )]),
                denials: 2,
                limits: BTreeMap::from([("memory", 1)]),
            },
        };
        let text = render(&[tally("a"), tally("b")]);
        assert_eq!(text.matches("# TYPE").count(), 4);
        let labels = "plugin=\"pg\",version=\"1.0.0\",sha256=\"abababababab\",mount=\"a\"";
        for line in [
            "lessor_provider_calls_total{LABELS,function=\"create\",outcome=\"limit\"} 1",
            "lessor_provider_call_seconds_bucket{LABELS,function=\"create\",le=\"0.0005\"} 0",
            "lessor_provider_call_seconds_bucket{LABELS,function=\"create\",le=\"0.05\"} 3",
            "lessor_provider_call_seconds_bucket{LABELS,function=\"create\",le=\"+Inf\"} 4",
            "lessor_provider_call_seconds_sum{LABELS,function=\"create\"} 70.5",
            "lessor_provider_call_seconds_count{LABELS,function=\"create\"} 4",
            "lessor_provider_denials_total{LABELS} 2",
            "lessor_provider_limits_total{LABELS,limit=\"memory\"} 1",
        ] {
            let line = line.replace("LABELS", labels);
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
