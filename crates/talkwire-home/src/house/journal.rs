//! What a device writes into its log, and what it tells the world.

use super::House;
use super::state::{Happening, LogLine};
use serde_json::{Value, json};

const LOG_LINES: usize = 400;
/// Repeats of a line within this time are suppressed.
const QUIET_S: f64 = 300.0;

impl House {
    /// Adds a line to a log, unless the same stands there already since a short while.
    pub(crate) fn log(&mut self, node: usize, level: &'static str, source: &'static str, message: impl Into<String>) {
        let at_s = self.now();
        let message = message.into();
        let log = &mut self.nodes[node].log;
        let repeated = log.iter().rev().take_while(|line| at_s - line.at_s < QUIET_S).any(|line| line.message == message);
        if repeated {
            return;
        }
        if log.len() == LOG_LINES {
            log.pop_front();
        }
        log.push_back(LogLine { at_s, level, source, message });
    }

    /// Remembers something for the world.
    pub(crate) fn happen(&mut self, node: usize, event: &'static str, severity: &'static str, data: Value) {
        let device_id = self.nodes[node].id.clone();
        let at_s = self.now();
        self.happenings.push(Happening { device_id, at_s, event, severity, data });
    }

    /// A port of the router went up or down.
    pub(crate) fn port_changed(&mut self, port: &str, up: bool) {
        let word = if up { "up" } else { "down" };
        self.log(0, if up { "info" } else { "error" }, "netifd", format!("{port}: link is {word}"));
        let severity = if up { "info" } else { "critical" };
        self.happen(0, "network.link_change", severity, json!({"interface": port, "status": word}));
    }
}
