//! Counts what the calls of each provider came to since the start, for metrics.
//! They are not kept over a restart: who reads counters expects that.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lessor_model::{
    id::{Digest, MountPath},
    provider::{Descriptor, Failure},
};

use super::limits::Limit;

/// Upper bounds of the buckets of call times, in seconds; the last is open.
pub const BUCKETS: [f64; 9] = [0.0005, 0.002, 0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0];

/// The calls of one provider for one mount.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// The provider's own name and version.
    pub plugin: (String, String),
    /// The digest of its bytes.
    pub sha256: Digest,
    /// The mount.
    pub mount: MountPath,
    /// The counts.
    pub counts: Counts,
}

/// The counts of one provider for one mount.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Calls by function and by how they ended: `ok`, `trap`, `timeout`, `limit`,
    /// `grant_missing`, or the class of the provider's own failure.
    pub calls: BTreeMap<(&'static str, &'static str), u64>,
    /// The time that the calls took, by function.
    pub times: BTreeMap<&'static str, Times>,
    /// Connections that no grant allows.
    pub denials: u64,
    /// Limits that were hit, also where the call went well all the same.
    pub limits: BTreeMap<&'static str, u64>,
}

/// The time that the calls of one function took, waiting for a slot included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// Calls by the first of [`BUCKETS`] that they fit; the last is for the rest.
    pub buckets: [u64; BUCKETS.len() + 1],
    /// Seconds of all together.
    pub sum: f64,
}

/// One call that ended.
pub(super) struct Ended<'c> {
    pub(super) function: &'static str,
    pub(super) took: Duration,
    pub(super) failure: Option<&'c Failure>,
    /// Connections that no grant allowed.
    pub(super) denials: usize,
    /// The limit that it ran into first, where one was noted.
    pub(super) exceeded: Option<Limit>,
}

/// All tallies of a sandbox.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    all: Mutex<HashMap<(Digest, MountPath), Tally>>,
}

impl Tallies {
    pub(super) fn count(
        &self,
        descriptor: &Descriptor,
        sha256: Digest,
        mount: &MountPath,
        ended: &Ended<'_>,
    ) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = all.entry((sha256, mount.clone())).or_insert_with(|| Tally {
            plugin: (descriptor.name.clone(), descriptor.version.clone()),
            sha256,
            mount: mount.clone(),
            counts: Counts::default(),
        });
        tally.counts.add(ended);
    }

    /// A copy of all, by plugin and mount.
    pub(super) fn all(&self) -> Vec<Tally> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tallies: Vec<Tally> = all.values().cloned().collect();
        drop(all);
        tallies
            .sort_by(|a, b| (&a.plugin, &a.mount, a.sha256).cmp(&(&b.plugin, &b.mount, b.sha256)));
        tallies
    }
}

impl Counts {
    fn add(&mut self, ended: &Ended<'_>) {
        let outcome = ended.failure.map_or("ok", outcome);
        *self.calls.entry((ended.function, outcome)).or_default() += 1;
        self.times
            .entry(ended.function)
            .or_default()
            .add(ended.took);
        self.denials = self
            .denials
            .saturating_add(u64::try_from(ended.denials).unwrap_or(u64::MAX));
        let stopped_by = ended
            .failure
            .and_then(|failure| Limit::of_code(&failure.code));
        if let Some(limit) = stopped_by.or(ended.exceeded) {
            *self.limits.entry(limit.as_str()).or_default() += 1;
        }
    }
}

impl Times {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.sum += seconds;
        let bucket = BUCKETS.iter().take_while(|bound| seconds > **bound).count();
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            *bucket += 1;
        }
    }
}

fn outcome(failure: &Failure) -> &'static str {
    match failure.code.as_str() {
        "trap" => "trap",
        "timeout" => "timeout",
        "grant_missing" => "grant_missing",
        code if Limit::of_code(code).is_some() => "limit",
        _ => failure.class.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use lessor_model::provider::FailureClass;

    use super::*;

    fn failure(code: &str) -> Failure {
        Failure {
            class: FailureClass::Denied,
            code: code.into(),
            message: String::new(),
            retry_after: None,
            reached_upstream: true,
        }
    }

    #[test]
    fn a_call_is_counted_by_how_it_ended() {
        let mut counts = Counts::default();
        let cases: [(Option<Failure>, usize, Option<Limit>, &str); 6] = [
            (None, 0, None, "ok"),
            (Some(failure("bad_login")), 0, None, "denied"),
            (Some(failure("trap")), 0, None, "trap"),
            (Some(failure("timeout")), 0, None, "timeout"),
            (
                Some(failure("limit_memory")),
                0,
                Some(Limit::Memory),
                "limit",
            ),
            (Some(failure("grant_missing")), 2, None, "grant_missing"),
        ];
        for (failure, denials, exceeded, outcome) in &cases {
            counts.add(&Ended {
                function: "create",
                took: Duration::from_millis(10),
                failure: failure.as_ref(),
                denials: *denials,
                exceeded: *exceeded,
            });
            assert_eq!(
                counts.calls.get(&("create", outcome)),
                Some(&1),
                "{outcome}"
            );
        }
        counts.add(&Ended {
            function: "revoke",
            took: Duration::ZERO,
            failure: None,
            denials: 0,
            exceeded: Some(Limit::Response),
        });
        assert_eq!(counts.denials, 2);
        assert_eq!(
            counts.limits,
            BTreeMap::from([("memory", 1), ("response", 1), ("timeout", 1)])
        );
    }

    #[test]
    fn a_time_falls_into_the_first_bucket_that_holds_it() {
        let mut times = Times::default();
        for millis in [0, 2, 3, 60_000, 60_001] {
            times.add(Duration::from_millis(millis));
        }
        assert_eq!(times.buckets, [1, 1, 1, 0, 0, 0, 0, 0, 1, 1]);
        assert!((times.sum - 120.006).abs() < 1e-9, "{}", times.sum);
    }
}
