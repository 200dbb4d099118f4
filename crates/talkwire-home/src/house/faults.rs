//! Faults begin and end, and change the house while they last.

use super::House;
use crate::file::{Fault, LineKind};
use crate::physics::region::{RADAR_CLOSED_S, needs_radar_watch, radar_watch_s};
use serde_json::json;

impl House {
    /// The faults that are there now.
    pub(crate) fn active_faults(&self) -> impl Iterator<Item = &Fault> {
        let now = self.now();
        self.troubles.iter().filter(move |trouble| trouble.active && now >= trouble.eased_until).map(|trouble| &trouble.fault)
    }

    /// Opens and closes the windows of all events.
    pub(crate) fn turn_faults(&mut self) {
        let (now, day_s) = (self.now(), self.clock.day_s());
        for index in 0..self.troubles.len() {
            let trouble = &mut self.troubles[index];
            let open = trouble.window.open(now, day_s);
            if open == trouble.active {
                continue;
            }
            trouble.active = open;
            trouble.since = now;
            let fault = trouble.fault.clone();
            self.edge(&fault, open);
        }
    }

    fn edge(&mut self, fault: &Fault, begins: bool) {
        match fault {
            Fault::BusyNeighbours { .. } => self.reset_neighbours(),
            Fault::WanLinkDown {} => self.wan_port(!begins),
            Fault::IspOutage { .. } | Fault::WanNoLease {} if !begins => self.new_session(),
            Fault::ExtraWall { .. } => self.measure_obstacles(),
            Fault::LowPower { device, band, power_dbm } if begins => {
                if let Some(node) = self.node_named(device) {
                    for radio in self.nodes[node].radios.iter_mut().filter(|radio| radio.band == *band) {
                        radio.power_dbm = *power_dbm;
                    }
                }
            }
            Fault::AntennaLoss { device, loss_db } => {
                if let Some(node) = self.node_named(device) {
                    self.nodes[node].antenna_loss_db = if begins { *loss_db } else { 0.0 };
                }
            }
            Fault::Usb3Noise { device, noise_db } => {
                if let Some(node) = self.node_named(device) {
                    self.nodes[node].noise_rise_db = if begins { *noise_db } else { 0.0 };
                }
            }
            Fault::RogueDhcp { victims, .. } if begins => {
                for index in 0..self.clients.len() {
                    if victims.contains(&self.clients[index].file.name) {
                        self.take_address(index, true);
                    }
                }
            }
            Fault::Radar { channel, next } if begins => self.radar_heard(*channel, *next),
            _ => {}
        }
    }

    fn reset_neighbours(&mut self) {
        for neighbour in &mut self.neighbours {
            neighbour.load = neighbour.file.load;
        }
        let busy: Vec<_> = self
            .active_faults()
            .filter_map(|fault| match fault {
                Fault::BusyNeighbours { band, channel, count, load } => Some((*band, *channel, *count, *load)),
                _ => None,
            })
            .collect();
        for (band, channel, count, load) in busy {
            let mut there: Vec<usize> =
                (0..self.neighbours.len()).filter(|i| self.neighbours[*i].file.band == band && self.neighbours[*i].file.channel == channel).collect();
            there.sort_by(|a, b| self.neighbours[*b].file.rssi_dbm.total_cmp(&self.neighbours[*a].file.rssi_dbm));
            for index in there.into_iter().take(count) {
                self.neighbours[index].load = load;
            }
        }
    }

    fn wan_port(&mut self, up: bool) {
        if self.session.port_up == up {
            return;
        }
        self.session.port_up = up;
        let now = self.now();
        self.session.flaps.push(now);
        self.port_changed("wan", up);
        if up {
            self.new_session();
        }
    }

    /// The WAN session starts anew: a few seconds without an address, then a new age.
    pub(crate) fn new_session(&mut self) {
        let dial = self.random.between(5.0, 60.0);
        self.session.down_until = self.now() + dial;
        self.session.since = self.session.down_until;
    }

    /// Radar: every radio on the channel leaves it and does not come back for half an hour.
    pub(crate) fn radar_heard(&mut self, channel: u16, next: u16) {
        let now = self.now();
        for node in 0..self.nodes.len() {
            for radio in 0..self.nodes[node].radios.len() {
                let here = &mut self.nodes[node].radios[radio];
                if here.channel != channel || !needs_radar_watch(here.band, channel) {
                    continue;
                }
                here.closed.push((channel, now + RADAR_CLOSED_S));
                here.channel = next;
                let gone =
                    if needs_radar_watch(here.band, next) { radar_watch_s(next) + self.random.between(2.0, 10.0) } else { self.random.between(1.0, 5.0) };
                self.nodes[node].radios[radio].silent_until = now + gone;
                self.log(node, "warning", "hostapd", format!("DFS-RADAR-DETECTED freq={} ht_enabled=1", 5000 + 5 * channel));
                self.log(node, "info", "hostapd", format!("DFS-NEW-CHANNEL freq={} chan={next}", 5000 + 5 * next));
                if needs_radar_watch(self.nodes[node].radios[radio].band, next) {
                    self.log(node, "info", "hostapd", format!("DFS-CAC-START freq={} cac_time=60s", 5000 + 5 * next));
                }
                let data = json!({"interface": self.nodes[node].radios[radio].interface, "reason": "radar", "channel": next});
                self.happen(node, "wifi.channel_changed", "warning", data);
            }
        }
    }

    /// What lasting faults do in a span: falls of the session, messages, chance restarts, lost memory.
    pub(crate) fn suffer(&mut self, dt: f64) {
        let active: Vec<Fault> = self.active_faults().cloned().collect();
        for fault in active {
            match fault {
                Fault::WanNoLease {} => self.nobody_answers(),
                Fault::PppFlap { every_min } if self.random.chance(1.0 - (-dt / (60.0 * every_min)).exp()) => {
                    self.log(0, "error", "pppd", "LCP terminated by peer");
                    self.happen(0, "wan.connection_loss", "error", json!({"reason": "session_ended_by_peer"}));
                    self.new_session();
                }
                Fault::MemoryLeak { device, percent_per_day } => {
                    if let Some(node) = self.node_named(&device) {
                        self.nodes[node].memory_percent += percent_per_day * dt / 86_400.0;
                    }
                }
                Fault::PowerUnstable { device, every_h } if self.random.chance(1.0 - (-dt / (3600.0 * every_h)).exp()) => {
                    if let Some(node) = self.node_named(&device) {
                        self.restart(node, "power_lost");
                    }
                }
                _ => {}
            }
        }
    }

    fn nobody_answers(&mut self) {
        if !self.router_running() {
            return;
        }
        if self.file.plan.kind == LineKind::Pppoe {
            self.log(0, "warning", "pppd", "Timeout waiting for PADO packets");
        } else {
            self.log(0, "warning", "netifd", "udhcpc: sending discover");
        }
    }
}
