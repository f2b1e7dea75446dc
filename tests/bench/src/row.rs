//! A line of the table.

use crate::sample::{Sample, Unit, shown};

/// The results of a workload.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Row>,
    /// Notes for a reader of the rows, a sentence each.
    pub(crate) notes: Vec<String>,
}

/// One figure of ours and what it is held against.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) ours: Sample,
    /// OpenBao's figure; none where it has no such thing.
    pub(crate) peer: Option<Sample>,
    /// The measure of the part below us by itself, and its name.
    pub(crate) limit: Option<(&'static str, Sample)>,
    pub(crate) goals: Vec<Goal>,
}

/// A goal, and whether this run reaches it.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) text: String,
    pub(crate) met: bool,
}

impl Row {
    pub(crate) fn new(case: impl Into<String>, ours: Sample) -> Self {
        Self {
            case: case.into(),
            ours,
            peer: None,
            limit: None,
            goals: Vec::new(),
        }
    }

    pub(crate) fn peer(mut self, peer: Option<Sample>) -> Self {
        self.peer = peer;
        self
    }

    pub(crate) fn limit(mut self, name: &'static str, limit: Sample) -> Self {
        self.limit = Some((name, limit));
        self
    }

    /// A rate that is to be reached.
    pub(crate) fn at_least(self, figure: f64) -> Self {
        let met = self.ours.median() >= figure;
        let text = format!("≥ {}", shown(Unit::PerSecond, figure));
        self.goal(text, met)
    }

    /// A time or a size that is not to be passed.
    pub(crate) fn at_most(self, unit: Unit, figure: f64) -> Self {
        let met = self.ours.median() <= figure;
        let text = format!("≤ {}", shown(unit, figure));
        self.goal(text, met)
    }

    /// The goal to be so many times better than the peer; no goal without a peer.
    pub(crate) fn times_the_peer(self, times: f64) -> Self {
        match &self.peer {
            Some(peer) => {
                let met = self.ours.times_better(peer) >= times;
                self.goal(format!("≥ {times} × OpenBao"), met)
            }
            None => self,
        }
    }

    /// The share of the limit that is to be reached.
    pub(crate) fn share_of_limit(self, share: f64) -> Self {
        match &self.limit {
            Some((name, limit)) => {
                let met = self.ours.times_better(limit) >= share;
                let text = format!("≥ {:.0} % of {name}", share * 100.0);
                self.goal(text, met)
            }
            None => self,
        }
    }

    pub(crate) fn goal(mut self, text: String, met: bool) -> Self {
        self.goals.push(Goal { text, met });
        self
    }
}
