//! Tests of the line and of what lies behind it.

mod icmp;
mod latency;
mod ping;
mod speed;
mod stream;
mod trace;
mod wan;
pub(crate) mod web;

use crate::machine::Machine;
use crate::tool::LinuxTool;
use std::sync::Arc;

pub(crate) fn tools(machine: &Arc<Machine>) -> Vec<LinuxTool> {
    vec![wan::tool(machine), latency::tool(machine), trace::tool(machine), speed::tool(machine)]
}
