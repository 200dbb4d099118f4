//! The speed test: it loads the line while it runs and samples what it gets.

use super::instrument::tenth;
use super::{At, Run};
use crate::error::ToolFault;
use crate::file::LineKind;
use crate::house::House;
use serde_json::{Value, json};

/// A speed test that runs.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub seconds: f64,
    pub streams: f64,
    begun: f64,
    down: bool,
    up: bool,
    idle_ms: f64,
    rates: [Vec<f64>; 2],
    delays: [Vec<f64>; 2],
    server: String,
}

impl Test {
    /// Does it load the downlink now (or the uplink)? Nothing once it is over.
    pub fn phase(&self, now: f64) -> Option<bool> {
        let passed = now - self.begun;
        match (self.down, self.up) {
            _ if passed > self.seconds + 1e-6 => None,
            (true, true) => Some(passed <= self.seconds / 2.0),
            (down, _) => Some(down),
        }
    }
}

impl House {
    pub(super) fn begin_speed_test(&mut self, run: &Run) -> Result<Test, ToolFault> {
        if self.runs.values().any(|other| other.at == run.at && other.speed.is_some()) {
            return Err(ToolFault::new("E_BUSY", "a speed test is running on this device, wait until it ends"));
        }
        let number = |name: &str| run.args.get(name).and_then(Value::as_f64);
        let seconds = number("duration").or_else(|| number("duration_sec")).unwrap_or(30.0);
        if !(5.0..=60.0).contains(&seconds) {
            return Err(ToolFault::args("duration must be 5 to 60 seconds"));
        }
        let direction = run.args.get("direction").and_then(Value::as_str).unwrap_or("both");
        let (down, up) = match direction {
            "both" => (true, true),
            "download" | "down" => (true, false),
            "upload" | "up" => (false, true),
            _ => return Err(ToolFault::args("direction must be both, download or upload")),
        };
        let streams = number("parallel_streams").unwrap_or(4.0).clamp(1.0, 16.0);
        let server = run.args.get("server").and_then(Value::as_str).unwrap_or("auto");
        let idle_ms = self.world_ms() + self.first_hop_ms(run.at);
        let server = if server == "auto" { "auto-1".to_string() } else { server.chars().take(80).collect() };
        Ok(Test { seconds, streams, begun: self.now(), down, up, idle_ms, rates: Default::default(), delays: Default::default(), server })
    }

    fn first_hop_ms(&self, at: At) -> f64 {
        match at {
            At::Agent(client) => self.hop(client).0,
            At::Node(_) => 0.0,
        }
    }

    /// Takes one sample of every running test.
    pub(crate) fn sample_runs(&mut self) {
        let now = self.now();
        let world = self.world_ms();
        let tickets: Vec<u64> = self.runs.iter().filter(|(_, run)| run.speed.is_some()).map(|(ticket, _)| *ticket).collect();
        for ticket in tickets {
            let at = self.runs[&ticket].at;
            let delay = world + self.first_hop_ms(at);
            let rate = self.loads.tests.iter().find(|(known, _)| *known == ticket).map_or(0.0, |(_, rate)| *rate);
            let Some(test) = self.runs.get_mut(&ticket).and_then(|run| run.speed.as_mut()) else { continue };
            if let Some(down) = test.phase(now) {
                test.rates[usize::from(!down)].push(rate);
                test.delays[usize::from(!down)].push(delay);
            }
        }
    }

    pub(super) fn end_speed_test(&mut self, ticket: u64) -> Value {
        let missing = |run: &Run| run.speed.as_ref().is_some_and(|test| (test.down && test.rates[0].is_empty()) || (test.up && test.rates[1].is_empty()));
        if self.runs.get(&ticket).is_some_and(missing) {
            self.sample_late(ticket);
        }
        let Some((at, test)) = self.runs.get(&ticket).and_then(|run| Some((run.at, run.speed.clone()?))) else {
            return Value::Null;
        };
        let line = self.line();
        let plan = &self.file.plan;
        let (expected, expected_up, jitter) = (plan.down_mbps, plan.up_mbps, plan.jitter_ms);
        let sigma = match (at, self.file.plan.kind) {
            (At::Agent(client), _) if !self.clients[client].file.wired => 0.08,
            (_, LineKind::Fibre | LineKind::Pppoe) => 0.03,
            (_, LineKind::Cable) => 0.05,
            (_, LineKind::Radio) => 0.2,
        };
        let mut result = json!({"side": if matches!(at, At::Agent(_)) { "client" } else { "wan" }, "server": test.server});
        if let At::Agent(client) = at
            && let Some((node, radio)) = self.clients[client].link
        {
            result["ap"] = json!(self.nodes[node].id);
            result["ap_name"] = json!(self.nodes[node].name);
            result["band"] = json!(self.nodes[node].radios[radio].band.name());
        }
        let usable = line.reachable
            && match at {
                At::Agent(client) => self.clients[client].lease == crate::house::LeaseFrom::Router,
                At::Node(_) => true,
            };
        if !usable {
            for name in ["download_mbps", "upload_mbps"] {
                result[name] = json!(0.0);
            }
            for name in ["latency_ms", "loaded_latency_down_ms", "loaded_latency_up_ms", "jitter_ms"] {
                result[name] = Value::Null;
            }
            result["packet_loss_percent"] = json!(100.0);
            result["error"] = json!("no test server can be reached");
        } else {
            let luck = self.server_luck();
            for (index, name) in ["download_mbps", "upload_mbps"].into_iter().enumerate() {
                result[name] = json!(self.read_mbps(luck * mean(&test.rates[index]), sigma));
            }
            result["latency_ms"] = json!(tenth(test.idle_ms + self.error(jitter).abs()));
            for (index, name) in ["loaded_latency_down_ms", "loaded_latency_up_ms"].into_iter().enumerate() {
                let loaded = mean(&test.delays[index]);
                result[name] = if test.delays[index].is_empty() { Value::Null } else { json!(tenth(loaded + self.error(jitter).abs())) };
            }
            result["jitter_ms"] = json!(tenth(jitter + self.error(0.3).abs()));
            let loss = match at {
                At::Agent(client) => line.loss + self.hop(client).1,
                At::Node(_) => line.loss,
            };
            result["packet_loss_percent"] = json!(tenth(100.0 * loss.min(1.0)));
        }
        result["expected_speed"] = json!(expected);
        result["expected_upload_mbps"] = json!(expected_up);
        result["test_duration_s"] = json!(test.seconds);
        result
    }

    /// A driver that let no time pass between start and end still gets one sample of each direction.
    fn sample_late(&mut self, ticket: u64) {
        let now = self.now();
        for down in [true, false] {
            if let Some(test) = self.runs.get_mut(&ticket).and_then(|run| run.speed.as_mut()) {
                test.begun = if down { now } else { now - test.seconds };
            }
            self.loads = self.divide();
            self.sample_runs();
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
