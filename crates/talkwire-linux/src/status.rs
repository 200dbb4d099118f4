//! `device.status`, and the state that the agent says by itself.

use crate::cpu::{self, Load};
use crate::machine::Machine;
use crate::tool::{LinuxTool, cheap};
use crate::{heat, memory, route};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::{Health, StateReport};

const OP: &str = "device.status";
/// How long the processors are watched.
const PERIOD: Duration = Duration::from_millis(250);
/// From these figures on a machine works, but not as it should.
const BUSY_PERCENT: f64 = 95.0;
const HOT_C: f64 = 90.0;

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if !machine.root.has("proc/uptime") {
        return LinuxTool::lacking(OP, "no_proc_uptime");
    }
    let machine = machine.clone();
    LinuxTool::new(OP, cheap(300), move |_call| {
        let machine = machine.clone();
        async move {
            let load = cpu::measure(&machine.root, PERIOD).await;
            let StateReport { health, figures } = report_with(&machine, load);
            let mut result = Map::new();
            result.insert("health".into(), json!(health));
            result.extend(figures);
            if let Some(uptime) = result.get("uptime_s").cloned() {
                result.insert("uptime".into(), uptime);
            }
            if let Some(way_out) = route::way_out(&machine.root) {
                result.insert("network_status".into(), json!(if way_out.is_some() { "connected" } else { "disconnected" }));
            }
            Ok(Value::Object(result))
        }
    })
}

/// How the machine is, with the load since the last report.
pub(crate) fn report(machine: &Machine) -> StateReport {
    report_with(machine, machine.load_since_last())
}

fn report_with(machine: &Machine, load: Option<Load>) -> StateReport {
    let root = &machine.root;
    let (cpu, memory, degrees) = (load.map(|load| load.cpu_percent), memory::percent(root), heat::degrees_c(root));
    let mut figures = Map::new();
    figures.extend(cpu::uptime_s(root).map(|seconds| ("uptime_s".into(), json!(seconds))));
    let own = load.and_then(|load| load.process_percent);
    for (name, figure) in [("cpu_usage", cpu), ("process_cpu_usage", own), ("memory_usage", memory), ("temperature_c", degrees)] {
        figures.extend(figure.map(|figure| (name.into(), json!(figure))));
    }
    if let Some([one, five, fifteen]) = root.text("proc/loadavg").and_then(|text| cpu::parse_loadavg(&text)) {
        figures.extend([("load_1m", one), ("load_5m", five), ("load_15m", fifteen)].map(|(name, figure)| (name.into(), json!(figure))));
    }
    StateReport { health: health(cpu, memory, degrees), figures }
}

fn health(cpu: Option<f64>, memory: Option<f64>, degrees: Option<f64>) -> Health {
    let over = |figure: Option<f64>, bound: f64| figure.is_some_and(|figure| figure >= bound);
    match over(cpu, BUSY_PERCENT) || over(memory, BUSY_PERCENT) || over(degrees, HOT_C) {
        true => Health::Warning,
        // A machine that shows nothing of itself is not called well.
        false if cpu.is_none() && memory.is_none() => Health::Unknown,
        false => Health::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_follows_the_worst_figure() {
        assert_eq!(health(Some(10.0), Some(20.0), None), Health::Ok);
        assert_eq!(health(Some(10.0), Some(97.0), None), Health::Warning);
        assert_eq!(health(None, Some(20.0), Some(93.0)), Health::Warning);
        assert_eq!(health(Some(100.0), None, None), Health::Warning);
        assert_eq!(health(None, None, Some(40.0)), Health::Unknown);
    }
}
