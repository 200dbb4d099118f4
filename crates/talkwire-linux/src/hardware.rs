//! `system.get_hardware_info`: load, memory, heat, age, and how full the table of connections is.

use crate::machine::Machine;
use crate::root::Root;
use crate::text::{clean, tenth};
use crate::tool::{LinuxTool, cheap};
use crate::{cpu, heat, memory};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

const OP: &str = "system.get_hardware_info";
/// How long the processors are watched: fifty ticks of the usual clock.
const PERIOD: Duration = Duration::from_millis(500);
const NAME_CHARS: usize = 64;
/// What makers leave in the fields that they never filled.
const UNFILLED: [&str; 6] = ["to be filled", "default string", "system product name", "system manufacturer", "not specified", "o.e.m."];

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
                ("model", model(root).map(|model| json!(model))),
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

/// What the machine calls itself, by its device tree or DMI.
pub(crate) fn model(root: &Root) -> Option<String> {
    let files = ["sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name"];
    files.into_iter().find_map(|file| filled(&root.word(file)?))
}

/// Who made it, by DMI.
pub(crate) fn manufacturer(root: &Root) -> Option<String> {
    filled(&root.word("sys/class/dmi/id/sys_vendor")?)
}

fn filled(text: &str) -> Option<String> {
    let text = clean(text, NAME_CHARS);
    let lower = text.to_lowercase();
    (!text.is_empty() && !UNFILLED.iter().any(|phrase| lower.contains(phrase))).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_maker_never_filled_in_is_none() {
        assert_eq!(filled("Acme Router 9\u{0}").as_deref(), Some("Acme Router 9"));
        for text in ["To Be Filled By O.E.M.", "Default string", "\u{7}"] {
            assert_eq!(filled(text), None, "{text:?}");
        }
    }
}
