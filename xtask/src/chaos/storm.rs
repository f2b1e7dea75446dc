//! Kills of the server, and restarts and pauses of its database, while the clients work.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::api::Api;
use super::gate::Gate;
use super::progress::Phase;
use super::random::Random;
use super::server::Server;
use super::system::System;
use crate::cluster::Cluster;
use crate::scratch::Scratch;

/// The counts of what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// The number of times that the server was killed.
    pub(super) kills: u64,
    /// The number of these kills that met it while it was starting.
    pub(super) early: u64,
    /// The number of times that the database was ended and started again.
    pub(super) restarts: u64,
    /// The number of times that the database was suspended for a moment.
    pub(super) pauses: u64,
}

/// A storm over one server.
pub(super) struct Storm<'a> {
    pub(super) system: &'a dyn System,
    pub(super) api: &'a Api,
    pub(super) scratch: &'a Scratch,
    pub(super) gate: &'a Gate,
    pub(super) random: Random,
    pub(super) kills: u64,
}

/// In percent of the kills: how often the database is restarted before one,
/// paused before or around one, and the server is killed again while it starts.
const RESTART: u64 = 10;
const PAUSE: u64 = 10;
const EARLY: u64 = 15;

/// The shortest and longest time between two kills of the server.
const PEACE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1800));

/// The shortest and longest time after its start until the server is killed again.
const START: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(300));

/// The shortest and longest time for which the database is suspended.
const STANDSTILL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(2000));

/// The time after the last kill in which clients still work.
const AFTERMATH: Duration = Duration::from_secs(1);

impl Storm<'_> {
    /// Runs until the last kill; the server serves before and after.
    pub(super) fn rage(mut self, server: &mut Server, cluster: &mut Cluster) -> Result<Damage> {
        let phase = Phase::begin(
            &format!("{}: {} kills", self.system.title(), self.kills),
            self.kills,
        );
        let mut damage = Damage::default();
        self.gate.open();
        while damage.kills < self.kills {
            let peace = self.random.between(PEACE.0, PEACE.1);
            self.scratch.wait(peace)?;
            let event = self.random.below(100);
            // A database that stands still is killed under, or goes on before.
            let mut pause = None;
            if event < RESTART {
                let crash = self.random.chance(50);
                let signal = if crash { Signal::QUIT } else { Signal::INT };
                cluster.restart(self.scratch, signal)?;
                damage.restarts += 1;
            } else if event < RESTART + PAUSE {
                pause = Some(cluster.pause()?);
                damage.pauses += 1;
                let standstill = self.random.between(STANDSTILL.0, STANDSTILL.1);
                self.scratch.wait(standstill)?;
                if self.random.chance(50) {
                    pause = None;
                }
            }

            self.kill(server, &mut damage, &phase);
            drop(pause);
            server.start(self.system)?;
            while damage.kills < self.kills && self.random.chance(EARLY) {
                let moment = self.random.between(START.0, START.1);
                self.scratch.wait(moment)?;
                self.kill(server, &mut damage, &phase);
                damage.early += 1;
                server.start(self.system)?;
            }
            server.await_service(self.system, self.api)?;
            self.gate.open();
        }
        self.scratch.wait(AFTERMATH)?;
        Ok(damage)
    }

    fn kill(&self, server: &mut Server, damage: &mut Damage, phase: &Phase) {
        // The kill comes first, so that it meets requests under way.
        server.kill();
        self.gate.shut();
        damage.kills += 1;
        phase.step();
    }
}
