//! The diagnostics of the device itself, with the names of `spec/rtk-integration-guide.md` (monitoring). `uptime` is in seconds,
//! `memory_usage` in bytes, `last_heartbeat` in Unix milliseconds.

use crate::clock::unix_ms;
use crate::outbox::Figures;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What was counted since the start.
#[derive(Debug)]
pub(crate) struct Counters {
    started: Instant,
    pub(crate) messages_sent: AtomicU64,
    pub(crate) messages_received: AtomicU64,
    pub(crate) connection_errors: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) missed: AtomicU64,
    /// Messages given up: refused by the broker, or too large.
    pub(crate) unsent: AtomicU64,
    /// Messages dropped because they came faster than the disk takes them.
    pub(crate) overrun: AtomicU64,
    /// Commands that could not be decrypted.
    pub(crate) sealed_wrong: AtomicU64,
    outbox: Mutex<Figures>,
    pub(crate) commands: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    last_heartbeat: AtomicI64,
    last_command: AtomicI64,
}

impl Counters {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            messages_sent: AtomicU64::new(0),
            messages_received: AtomicU64::new(0),
            connection_errors: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            overrun: AtomicU64::new(0),
            sealed_wrong: AtomicU64::new(0),
            outbox: Mutex::default(),
            commands: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            last_heartbeat: AtomicI64::new(0),
            last_command: AtomicI64::new(0),
        }
    }

    pub(crate) fn heartbeat(&self) {
        self.last_heartbeat.store(unix_ms(), Ordering::Relaxed);
    }

    pub(crate) fn command(&self) {
        self.commands.fetch_add(1, Ordering::Relaxed);
        self.last_command.store(unix_ms(), Ordering::Relaxed);
    }

    pub(crate) fn uptime_s(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    pub(crate) fn outbox(&self, figures: Figures) {
        *self.outbox.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// Unix milliseconds of the last command; `null` before the first.
    pub(crate) fn last_command_ts(&self) -> Value {
        moment(&self.last_command)
    }

    pub(crate) fn diagnostics(&self) -> Value {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let outbox = *self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        json!({
            "messages_sent": count(&self.messages_sent),
            "messages_received": count(&self.messages_received),
            "connection_errors": count(&self.connection_errors),
            "last_heartbeat": moment(&self.last_heartbeat),
            "uptime": self.uptime_s(),
            "memory_usage": memory_bytes(),
            "malformed": count(&self.malformed),
            "missed": count(&self.missed),
            "unsent": count(&self.unsent),
            "commands": count(&self.commands),
            "duplicates": count(&self.duplicates),
            "undecryptable": count(&self.sealed_wrong),
            "outbox_waiting": outbox.waiting,
            "outbox_dropped": outbox.dropped + count(&self.overrun),
            "outbox_errors": outbox.errors,
        })
    }
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Resident memory of this process in bytes; `null` where the system does not tell.
fn memory_bytes() -> Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or(Value::Null, |kib| json!(kib * 1024))
}

fn moment(at: &AtomicI64) -> Value {
    match at.load(Ordering::Relaxed) {
        0 => Value::Null,
        ts_ms => json!(ts_ms),
    }
}
