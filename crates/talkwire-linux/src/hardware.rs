//! `system.get_hardware_info`: load, memory, heat, age, and how full the table of connections is.

use crate::machine::Machine;
use crate::root::Root;
use crate::text::tenth;
use crate::tool::{LinuxTool, cheap};
use crate::{cpu, heat, maker, memory};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

const OP: &str = "system.get_hardware_info";
/// How long the processors are watched: fifty ticks of the usual clock.
const PERIOD: Duration = Duration::from_millis(500);

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if cpu::times(&machine.root).is_none() {
        return LinuxTool::lacking(OP, "no_proc_stat");
    }
    let machine = machine.clone();
    LinuxTool::new(OP, cheap(600), move |_call| {
        let machine = machine.clone();
        async move {
            let root = &machine.root;
            let load = cpu::measure(root, PERIOD).await;
            let figures = [
                ("model", maker::own_model(root).map(|model| json!(model.text))),
                ("cpu_percent", load.map(|load| json!(load.cpu_percent))),
                ("core_max_percent", load.and_then(|load| load.core_max_percent).map(|percent| json!(percent))),
                ("memory_percent", memory::percent(root).map(|percent| json!(percent))),
                ("temperature_c", heat::degrees_c(root).map(|degrees| json!(degrees))),
                ("uptime_s", cpu::uptime_s(root).map(|seconds| json!(seconds))),
                ("conntrack_percent", conntrack_percent(root).map(|percent| json!(percent))),
            ];
            let known = figures.into_iter().filter_map(|(name, figure)| Some((name.to_owned(), figure?)));
            Ok(Value::Object(known.collect::<Map<_, _>>()))
        }
    })
}

fn conntrack_percent(root: &Root) -> Option<f64> {
    let count = root.whole("proc/sys/net/netfilter/nf_conntrack_count")?;
    let most = root.whole("proc/sys/net/netfilter/nf_conntrack_max").filter(|most| *most > 0)?;
    Some(tenth((100.0 * count as f64 / most as f64).min(100.0)))
}
