//! The access line at this moment.

use super::House;
use crate::file::{Fault, LineKind};
use crate::physics::machine::{self, Forwarding};
use crate::physics::{line, queue};

/// What the line can do now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// Carrier on the port.
    pub link: bool,
    /// An address from the provider.
    pub address: bool,
    /// Packets reach the world.
    pub reachable: bool,
    pub down_mbps: f64,
    pub up_mbps: f64,
    pub port_mbps: f64,
    /// Added delay of the provider's network.
    pub delay_ms: f64,
    /// Lost part of all packets.
    pub loss: f64,
    /// Loss by errors, which slows TCP down.
    pub error_loss: f64,
    /// Last hop that answers during an outage.
    pub last_hop: Option<usize>,
}

impl House {
    /// The line now.
    pub(crate) fn line(&self) -> Line {
        let plan = &self.file.plan;
        let mut class = plan.class;
        let mut quota = f64::INFINITY;
        let mut port_mbps: f64 = 1000.0;
        let mut error_loss = 0.0;
        let mut last_hop = None;
        let mut lease = self.now() >= self.session.down_until;
        for fault in self.active_faults() {
            match fault {
                Fault::IspCongestion { class: worse } => class = *worse,
                Fault::Quota { mbps } => quota = *mbps,
                Fault::SlowPort {} => port_mbps = 100.0,
                Fault::LineErrors { loss_percent } => error_loss = loss_percent / 100.0,
                Fault::IspOutage { last_hop: hop } => last_hop = Some(*hop),
                Fault::WanNoLease {} => lease = false,
                _ => {}
            }
        }
        let activity = line::activity(self.clock.hour(), self.clock.weekend());
        let state = class.at(activity);
        let port = line::port_goodput_mbps(port_mbps, plan.kind == LineKind::Pppoe);
        let cpu = self.forwarding_mbps();
        let rate = |plan: f64| (plan * self.delivered * state.part).min(port).min(cpu).min(quota);
        let link = self.session.port_up && self.router_running();
        Line {
            link,
            address: link && lease,
            reachable: link && lease && last_hop.is_none(),
            down_mbps: rate(plan.down_mbps),
            up_mbps: rate(plan.up_mbps),
            port_mbps,
            delay_ms: state.delay_ms,
            loss: 1.0 - (1.0 - state.loss) * (1.0 - error_loss),
            error_loss,
            last_hop,
        }
    }

    /// What the router can forward in its present mode.
    pub(crate) fn forwarding_mbps(&self) -> f64 {
        let mode = match (self.shaper.enabled, self.file.plan.kind) {
            (true, _) => Forwarding::Shaped,
            (false, LineKind::Pppoe) => Forwarding::Pppoe,
            (false, _) => Forwarding::Offload,
        };
        self.nodes[0].machine.capacity_mbps(mode)
    }

    /// The cap of the shaper in a direction, if it is on.
    pub(crate) fn cap(&self, down: bool) -> Option<f64> {
        let cap = if down { self.shaper.cap_down } else { self.shaper.cap_up };
        cap.filter(|_| self.shaper.enabled)
    }

    /// Delay that waiting packets add on the line now, in ms.
    pub(crate) fn queue_ms(&self, down: bool, full: bool) -> f64 {
        let line = self.line();
        let (rate, buffer, load) = if down {
            (line.down_mbps, self.file.plan.buffer_down_kb * 1e3, self.loads.wan_down)
        } else {
            (line.up_mbps, self.file.plan.buffer_up_kb * 1e3, self.loads.wan_up)
        };
        if full {
            return queue::filled(rate, buffer, self.cap(down), self.forwarding_mbps()).added_ms;
        }
        queue::light_ms(rate, load / rate.max(0.1))
    }

    /// Round trip to the test server with the present load, in ms.
    pub(crate) fn world_ms(&self) -> f64 {
        let busy = self.queue_ms(true, self.loads.down_full) + self.queue_ms(false, self.loads.up_full);
        self.file.plan.idle_ms + self.line().delay_ms + busy + self.cpu_delay_ms(0)
    }

    /// Delay that a full processor adds.
    pub(crate) fn cpu_delay_ms(&self, node: usize) -> f64 {
        if self.nodes[node].core_max_percent >= 95.0 { 30.0 } else { 0.0 }
    }

    /// Load of the busiest core of a node in percent.
    pub(crate) fn core_max(&self, node: usize) -> f64 {
        if node == 0 {
            return machine::core_max_percent(self.loads.wan_down + self.loads.wan_up, self.forwarding_mbps());
        }
        let passed: f64 = (0..self.clients.len())
            .filter(|client| self.clients[*client].link.is_some_and(|(at, _)| at == node))
            .map(|client| self.loads.client_down[client] + self.loads.client_up[client])
            .sum();
        machine::core_max_percent(passed, self.nodes[node].machine.capacity_mbps(Forwarding::Offload))
    }
}
