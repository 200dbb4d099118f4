//! Names and addresses: resolvers, leases, the address server of the machine and those that should not be there.

pub(crate) mod dnsmasq;
pub(crate) mod given;

mod config;
mod dhcp;
mod dns;
mod isc;
mod resolve;
mod resolvers;
mod rogue;
mod server;

use crate::machine::Machine;
use crate::tool::LinuxTool;
pub(crate) use config::leases_tool;
pub(crate) use dns::{Answered, ask};
pub(crate) use resolvers::configured;
use std::sync::Arc;

pub(crate) fn tools(machine: &Arc<Machine>) -> Vec<LinuxTool> {
    vec![config::tool(machine), config::leases_tool(machine, "dhcpdns.get_leases"), resolve::tool(machine), rogue::tool(machine)]
}
