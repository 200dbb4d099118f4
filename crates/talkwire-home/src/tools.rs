//! The tools of the devices of a house: what each answers and what each changes.

mod act;
mod clients;
mod device;
mod instrument;
mod mesh;
mod names;
mod section;
mod speed;
mod table;
mod topology;
mod wan;
mod wifi;

use crate::error::ToolFault;
use crate::house::{House, Role};
use serde_json::{Map, Value};
use std::time::Duration;

pub use table::{Class, Tool};

/// Arguments that are numbers in every tool that has them.
const FIGURES: [&str; 10] = ["count", "duration", "limit", "max_hops", "parallel_streams", "scan_duration", "scan_timeout", "since_s", "top_n", "window_s"];

/// A tool that ran from start to end.
#[derive(Debug, Clone)]
pub struct ToolRun {
    /// Simulated time that it took.
    pub duration: Duration,
    /// Its result, as `docs/home.md` part 2 describes.
    pub outcome: Result<Value, ToolFault>,
}

/// A tool that has been started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// To be given to [`House::finish`].
    pub ticket: u64,
    /// Simulated time until it is done.
    pub duration: Duration,
}

/// Which device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Node(usize),
    Agent(usize),
}

/// A running tool.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub at: At,
    pub op: &'static str,
    pub args: Map<String, Value>,
    pub speed: Option<speed::Test>,
    pub done: Option<Value>,
}

impl Run {
    /// Is it a speed test?
    pub fn loads_the_line(&self) -> bool {
        self.speed.is_some()
    }

    /// Whose line it loads now, in which direction, with how many streams.
    pub fn line_load(&self, now: f64) -> Option<(Option<usize>, bool, f64)> {
        let test = self.speed.as_ref()?;
        let down = test.phase(now)?;
        let client = match self.at {
            At::Agent(client) => Some(client),
            At::Node(_) => None,
        };
        Some((client, down, test.streams))
    }
}

impl House {
    /// Starts a tool. An Act takes effect at once; a speed test loads the line until its end.
    pub fn start(&mut self, device_id: &str, op: &str, args: &Value) -> Result<Started, ToolFault> {
        let (at, tool) = self.resolve(device_id, op)?;
        let args = match args {
            Value::Null => Map::new(),
            Value::Object(args) => args.clone(),
            _ => return Err(ToolFault::args("args must be an object")),
        };
        let mut run = Run { at, op: tool.op, args, speed: None, done: None };
        let mut duration_s = f64::from(tool.response_ms) / 1e3 * self.random.between(0.9, 1.1);
        if tool.op == "network.speedtest_full" {
            let test = self.begin_speed_test(&run)?;
            duration_s = test.seconds;
            run.speed = Some(test);
        } else if tool.class == Class::Act {
            run.done = Some(self.act(at, tool.op, &run.args)?);
        } else {
            self.check(at, tool.op, &run.args)?;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.runs.insert(ticket, run);
        Ok(Started { ticket, duration: Duration::from_secs_f64(duration_s) })
    }

    /// Takes the result of a started tool; call it when [`Started::duration`] of simulated time has passed.
    pub fn finish(&mut self, ticket: u64) -> Result<Value, ToolFault> {
        let Some(run) = self.runs.get(&ticket).cloned() else {
            return Err(ToolFault::new("E_INVALID_ARGS", format!("there is no running tool {ticket}")));
        };
        let outcome = match run.done {
            Some(done) => Ok(done),
            None if !self.at_running(run.at) => Err(offline()),
            None if run.speed.is_some() => Ok(self.end_speed_test(ticket)),
            None => self.answer(run.at, run.op, &run.args),
        };
        self.runs.remove(&ticket);
        if run.speed.is_some() {
            self.loads = self.divide();
        }
        outcome
    }

    /// Forgets a started tool.
    pub fn cancel(&mut self, ticket: u64) {
        self.runs.remove(&ticket);
    }

    /// Runs a tool from start to end and lets the simulated time pass that it takes.
    pub fn call(&mut self, device_id: &str, op: &str, args: &Value) -> ToolRun {
        match self.start(device_id, op, args) {
            Ok(started) => {
                self.advance(started.duration);
                ToolRun { duration: started.duration, outcome: self.finish(started.ticket) }
            }
            Err(fault) => ToolRun { duration: Duration::from_millis(20), outcome: Err(fault) },
        }
    }

    /// The tools of a device, in the order of the table.
    pub fn tools(&self, device_id: &str) -> Vec<Tool> {
        self.find(device_id).map_or_else(Vec::new, |at| table::of(self.role(at)))
    }

    pub(crate) fn find(&self, device_id: &str) -> Option<At> {
        self.node_index(device_id).map(At::Node).or_else(|| self.client_index(device_id).filter(|client| self.clients[*client].file.agent).map(At::Agent))
    }

    pub(crate) fn role(&self, at: At) -> Role {
        match at {
            At::Node(node) => self.nodes[node].role,
            At::Agent(_) => Role::Agent,
        }
    }

    pub(crate) fn at_running(&self, at: At) -> bool {
        match at {
            At::Node(node) => self.nodes[node].running(self.now()),
            At::Agent(client) => {
                let state = &self.clients[client];
                state.file.wired || state.link.is_some_and(|(node, radio)| self.radio_on(node, radio))
            }
        }
    }

    fn resolve(&self, device_id: &str, op: &str) -> Result<(At, Tool), ToolFault> {
        let at = self.find(device_id).ok_or_else(|| ToolFault::new("E_DEVICE_OFFLINE", format!("there is no device {device_id} in this home")))?;
        let tool = table::of(self.role(at))
            .into_iter()
            .find(|tool| tool.op == op || tool.aliases.contains(&op))
            .ok_or_else(|| ToolFault::new("E_UNKNOWN_OP", format!("this device has no tool {op}")))?;
        if !self.at_running(at) {
            return Err(offline());
        }
        Ok((at, tool))
    }

    fn check(&self, at: At, op: &str, args: &Map<String, Value>) -> Result<(), ToolFault> {
        if let Some((name, _)) = args.iter().find(|(name, value)| FIGURES.contains(&name.as_str()) && !value.is_number() && !value.is_null()) {
            return Err(ToolFault::new("E_INVALID_ARGS", format!("args.{name} must be a number")));
        }
        if let Some(mac) = args.get("client_mac").filter(|_| op.starts_with("clients.") || op == "wifi.roaming_test") {
            self.client_of(at, mac)?;
        }
        Ok(())
    }

    fn answer(&mut self, at: At, op: &str, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let answer = match (op, at) {
            ("device.status", _) => self.device_status(at),
            ("device.get_capabilities", _) => self.capabilities(at),
            ("system.get_hardware_info", _) => self.hardware_info(at),
            ("system.get_logs", _) => self.logs(at, args),
            ("network.interface_status", _) => self.interface_status(at),
            ("topology.get_full", _) => self.topology(),
            ("clients.list", At::Node(node)) => self.clients_list(node, args)?,
            ("clients.health", At::Node(node)) => self.clients_health(node, args)?,
            ("wifi.get_environment", At::Node(node)) => self.environment(node, args)?,
            ("wifi.signal_map", _) => self.signal_map(),
            ("wifi.roaming_test", At::Node(node)) => self.roaming_test(node, args)?,
            ("mesh.get_topology", _) => self.mesh_topology(),
            ("mesh.backhaul_test", _) => self.backhaul_test(args)?,
            ("traffic.get_top_talkers", _) => self.top_talkers(args)?,
            ("qos.get_status", _) => self.qos_status(),
            ("dhcpdns.get_config", _) => self.dhcp_config(args),
            ("dhcpdns.scan_rogue", _) => self.scan_rogue(),
            ("name.resolve_test", _) => self.resolve_test(at, args)?,
            ("diagnostics.wan_connectivity", _) => self.wan_connectivity(),
            ("diagnostics.latency_matrix", _) => self.latency_matrix(at, args)?,
            ("network.trace_route", _) => self.trace_route(at, args)?,
            _ => return Err(ToolFault::new("E_UNKNOWN_OP", format!("this device has no tool {op}"))),
        };
        Ok(answer)
    }
}

fn offline() -> ToolFault {
    ToolFault::new("E_DEVICE_OFFLINE", "the device is restarting or out of reach, try again in two minutes")
}
