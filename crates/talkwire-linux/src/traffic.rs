//! What goes through the machine: who uses the line, the counters of the ports, and what limits them.

mod conntrack;
mod qos;
mod stats;
mod talkers;

use crate::machine::Machine;
use crate::tool::LinuxTool;
use std::sync::Arc;

pub(crate) fn tools(machine: &Arc<Machine>) -> Vec<LinuxTool> {
    vec![talkers::tool(machine), stats::tool(machine), qos::tool(machine)]
}
