//! One step of time.

use super::House;
use crate::file::Fault;
use crate::physics::machine;
use serde_json::json;
use std::f64::consts::TAU;

impl House {
    /// Lets one short span pass.
    pub(crate) fn step(&mut self, dt: f64) {
        let before = self.now();
        self.clock.pass(dt);
        self.boot_finished(before);
        self.turn_faults();
        self.live(dt);
        self.refresh_air();
        self.settle_clients(dt);
        self.loads = self.divide();
        self.suffer(dt);
        for node in 0..self.nodes.len() {
            self.warm(node, dt);
            self.remember(node);
        }
        self.count(dt);
        self.sample_runs();
    }

    fn boot_finished(&mut self, before: f64) {
        let now = self.now();
        for node in 0..self.nodes.len() {
            let up = self.nodes[node].down_until;
            if up > before && up <= now {
                self.nodes[node].log.clear();
                self.log(node, "info", "system", "system: booted");
                let data = json!({"error_type": "restarted", "description": "the device has started", "severity": "warning"});
                self.happen(node, "system.restart", "warning", data);
            }
        }
    }

    /// Switches a device off and on again.
    pub(crate) fn restart(&mut self, node: usize, reason: &'static str) -> f64 {
        let now = self.now();
        let down = self.random.between(60.0, 150.0);
        let state = &mut self.nodes[node];
        state.down_until = now + down;
        state.up_since = now + down;
        state.boots.push(now);
        state.boots.retain(|at| now - at < 7.0 * 86_400.0);
        state.memory_percent = 45.0;
        state.throttled = false;
        if node == 0 {
            self.session.down_until = now + down + 10.0;
            self.session.since = self.session.down_until;
        }
        tracing::debug!(device = self.nodes[node].name, reason, "restarts");
        down
    }

    fn ambient_c(&self, node: usize) -> f64 {
        let usual = self.file.site.ambient_c + 3.0 * (TAU * (self.clock.hour() - 15.0) / 24.0).cos();
        let name = &self.nodes[node].name;
        self.active_faults()
            .filter_map(|fault| match fault {
                Fault::HotRoom { device, ambient_c } => match device {
                    Some(device) if device != name => None,
                    None if node != 0 => None,
                    _ => Some(*ambient_c),
                },
                _ => None,
            })
            .fold(usual, f64::max)
    }

    fn warm(&mut self, node: usize, dt: f64) {
        self.nodes[node].core_max_percent = self.core_max(node);
        let ambient = self.ambient_c(node);
        let state = &self.nodes[node];
        let running = state.running(self.now());
        let radios = state.radios.len().max(1) as f64;
        let transmitters: f64 = state
            .radios
            .iter()
            .zip(&self.loads.air_own[node])
            .map(|(radio, own)| {
                let limit = self.file.site.region.limit_dbm(radio.band, radio.channel);
                machine::transmitting(*own, radio.power_dbm - limit) / radios
            })
            .sum();
        let watts = if running { machine::watts(state.core_max_percent / 100.0, transmitters) } else { 0.5 };
        let settled = machine::settled_c(ambient, state.placement, watts);
        let die = machine::warmed_c(state.die_c, settled, dt);
        self.nodes[node].die_c = die;
        if running {
            self.throttle(node, die, dt);
        }
    }

    fn throttle(&mut self, node: usize, die: f64, dt: f64) {
        let duty = machine::transmit_duty(die);
        if duty < 1.0 && !self.nodes[node].throttled {
            self.nodes[node].throttled = true;
            let shown = die.round();
            let message = if die >= 100.0 {
                format!("thermal: critical temperature {shown} C, transmit duty {:.0} %", duty * 100.0)
            } else {
                format!("thermal: throttling at {shown} C, transmit duty {:.0} %", duty * 100.0)
            };
            self.log(node, "warning", "thermal", message);
            let data = json!({"error_type": "overheating", "description": format!("the chip has {shown} C and sends less"),
                "severity": "warning", "temperature_c": shown});
            self.happen(node, "system.error", "warning", data);
        }
        if die < 92.0 {
            self.nodes[node].throttled = false;
        }
        let chance = 1.0 - (-machine::reset_hazard_per_h(die) * dt / 3600.0).exp();
        if die >= machine::RESET_C || self.random.chance(chance) {
            let data = json!({"error_type": "overheating", "description": "the chip was too hot and restarts", "severity": "critical"});
            self.happen(node, "system.error", "critical", data);
            self.restart(node, "heat");
        }
    }

    fn remember(&mut self, node: usize) {
        let memory = self.nodes[node].memory_percent;
        if memory >= 95.0 {
            self.log(node, "error", "kernel", "Out of memory: Killed process 1402 (dnsmasq)");
        }
        if memory >= 99.0 {
            self.restart(node, "memory");
        }
    }

    /// Half-minute averages, as a router counts them.
    fn count(&mut self, dt: f64) {
        let part = 1.0 - (-dt.max(0.5) / 15.0).exp();
        self.trace.down.resize(self.clients.len(), 0.0);
        self.trace.up.resize(self.clients.len(), 0.0);
        for client in 0..self.clients.len() {
            self.trace.down[client] += part * (self.loads.client_down[client] - self.trace.down[client]);
            self.trace.up[client] += part * (self.loads.client_up[client] - self.trace.up[client]);
        }
    }
}
