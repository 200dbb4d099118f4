//! A house that lives: its state, its clock, and what moves both.

mod build;
mod faults;
mod journal;
mod line;
mod load;
mod people;
mod radio;
mod state;
mod step;

use crate::clock::Clock;
use crate::file::HomeFile;
use crate::random::Random;
use crate::tools::Run;
use state::{Air, Client, Loads, Neighbour, Node, Pool, Session, Shaper, Trouble};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use radio::{Overlap, overlap};
pub use state::{Happening, LogLine, Role};
pub(crate) use state::{LeaseFrom, Link, Radio as RadioState, Shaper as ShaperState};

/// A simulated home.
#[derive(Debug, Clone)]
pub struct House {
    pub(crate) file: HomeFile,
    pub(crate) seed: u64,
    pub(crate) random: Random,
    pub(crate) clock: Clock,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: Vec<Client>,
    pub(crate) neighbours: Vec<Neighbour>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) pool: Pool,
    pub(crate) dns_servers: Vec<String>,
    pub(crate) shaper: Shaper,
    pub(crate) session: Session,
    pub(crate) delivered: f64,
    pub(crate) loads: Loads,
    pub(crate) airs: Vec<Vec<Air>>,
    /// Obstacles in dB between each node and each client, for each band; then between nodes.
    pub(crate) obstacles: Vec<Vec<[f64; 3]>>,
    pub(crate) runs: BTreeMap<u64, Run>,
    pub(crate) next_ticket: u64,
    pub(crate) happenings: Vec<Happening>,
    pub(crate) trace: Trace,
    pub(crate) noise: bool,
}

/// Averages of the last half minute, as a router counts them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    pub down: Vec<f64>,
    pub up: Vec<f64>,
}

impl House {
    /// Lets time pass. Long spans are walked in steps of at most a minute, of three seconds while a speed test runs.
    pub fn advance(&mut self, span: Duration) {
        let mut left = span.as_secs_f64();
        while left > 1e-9 {
            let step = left.min(if self.runs.values().any(Run::loads_the_line) { 3.0 } else { 60.0 });
            self.step(step);
            left -= step;
        }
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Lets the present moment be this Unix time in milliseconds (only log stamps depend on it).
    pub fn set_unix_ms(&mut self, now_ms: i64) {
        self.clock.set_unix_ms(now_ms);
    }

    /// The file that the house was built from.
    pub fn file(&self) -> &HomeFile {
        &self.file
    }

    /// Switches the error of instruments off or on (on at the start). What is true stays the same.
    pub fn set_noise(&mut self, on: bool) {
        self.noise = on;
    }

    /// What happened since the last call, oldest first.
    pub fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    pub(crate) fn now(&self) -> f64 {
        self.clock.elapsed_s()
    }

    pub(crate) fn node_index(&self, id: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == id)
    }

    pub(crate) fn node_named(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    pub(crate) fn client_index(&self, mac: &str) -> Option<usize> {
        self.clients.iter().position(|client| client.file.mac == mac)
    }

    pub(crate) fn router_running(&self) -> bool {
        self.nodes[0].running(self.now())
    }
}
