//! What is measured, and how the machine is shared out for it.

mod agent;
mod chat;
mod command;
mod device;
mod durable;
mod hour;
mod ingest;
mod memory;
mod p2p;
mod script;
mod start;

use crate::machine::{can_pin, stay_on_core};
use crate::report::Report;
use anyhow::Result;
use std::sync::OnceLock;
use std::time::Duration;

/// How often ours and the peer take turns.
pub const ROUNDS: usize = 3;

/// One figure.
pub struct Figure {
    /// Its name on the command line.
    pub name: &'static str,
    /// Measures; each load lasts as long as is said.
    pub measure: fn(Duration) -> Result<Report>,
}

/// All figures, in the order of `all`.
pub const FIGURES: [Figure; 10] = [
    Figure { name: "durable", measure: durable::measure },
    Figure { name: "ingest", measure: ingest::measure },
    Figure { name: "command", measure: command::measure },
    Figure { name: "p2p", measure: p2p::measure },
    Figure { name: "start", measure: start::measure },
    Figure { name: "memory", measure: memory::measure },
    Figure { name: "agent", measure: agent::measure },
    Figure { name: "chat", measure: chat::measure },
    Figure { name: "device", measure: device::measure },
    Figure { name: "hour", measure: hour::measure },
];

static PINNED: OnceLock<bool> = OnceLock::new();

/// Puts the load on the second core where that is possible, and says what was done.
pub fn pin_load() -> String {
    if *PINNED.get_or_init(|| can_pin() && stay_on_core(1)) {
        "the server ran on core 0 alone, the load on core 1 (taskset)".into()
    } else {
        "server and load shared all cores: taskset is missing or there is one core".into()
    }
}

/// The core of whatever is measured.
pub fn server_core() -> Option<u32> {
    PINNED.get().copied().unwrap_or(false).then_some(0)
}
