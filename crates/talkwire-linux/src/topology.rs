//! The map as this machine sees it, and the tables behind it.

mod full;
mod tables;

use crate::machine::Machine;
use crate::tool::LinuxTool;
use std::sync::Arc;

pub(crate) fn tools(machine: &Arc<Machine>) -> Vec<LinuxTool> {
    vec![full::tool(machine), tables::interfaces_tool(machine), tables::bridges_tool(machine), crate::names::leases_tool(machine, "topology.query_dhcp_leases")]
}
