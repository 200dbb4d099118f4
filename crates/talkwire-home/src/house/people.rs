//! People and their things: joining, roaming, addresses, and what they do.

use super::House;
use super::state::{Doing, LeaseFrom};
use crate::file::Fault;
use crate::file::event::within;
use crate::physics::address;
use crate::physics::path::Band;
use serde_json::json;

/// From this level a client prefers 5 GHz.
const PREFERS_5GHZ_DBM: f64 = -67.0;

/// A client waits this long for a silent access point before it looks for another.
const LONG_SILENCE_S: f64 = 8.0;

impl House {
    /// Joins every client to the access point of its file, or to the best.
    pub(crate) fn join_everybody(&mut self) {
        for client in 0..self.clients.len() {
            if self.clients[client].file.wired {
                continue;
            }
            let file = &self.clients[client].file;
            let wanted_node = file.ap.as_deref().and_then(|name| self.node_named(name));
            let wanted_band = file.band;
            let pinned = (wanted_node.is_some() || wanted_band.is_some()).then_some((wanted_node, wanted_band));
            let link = pinned.and_then(|pin| self.best_radio(client, Some(pin), None)).or_else(|| self.best_radio(client, None, None));
            self.clients[client].link = link.map(|(node, radio, _)| (node, radio));
            self.clients[client].last_node = link.map(|(node, ..)| node);
            self.clients[client].back_at = 60.0;
        }
    }

    /// The best usable radio for a client and its level, within the asked node and band, without a refusing node.
    pub(crate) fn best_radio(&self, client: usize, only: Option<(Option<usize>, Option<Band>)>, without: Option<usize>) -> Option<(usize, usize, f64)> {
        let receiver = self.receiver(client);
        let five = self.clients[client].file.supports_5ghz;
        let mut best: Option<(f64, (usize, usize, f64))> = None;
        for node in (0..self.nodes.len()).filter(|node| Some(*node) != without) {
            for radio in 0..self.nodes[node].radios.len() {
                let band = self.nodes[node].radios[radio].band;
                let asked = only.is_none_or(|(n, b)| n.is_none_or(|n| n == node) && b.is_none_or(|b| b == band));
                if !asked || !self.radio_on(node, radio) || (band != Band::Ghz2 && !five) {
                    continue;
                }
                let link = self.link(&receiver, node, radio);
                if link.down.is_none() || link.up.is_none() {
                    continue;
                }
                let bonus = if band != Band::Ghz2 && link.rssi_dl > PREFERS_5GHZ_DBM { 15.0 } else { 0.0 };
                let score = link.rssi_dl + bonus;
                if best.is_none_or(|(known, _)| score > known) {
                    best = Some((score, (node, radio, link.rssi_dl)));
                }
            }
        }
        best.map(|(_, found)| found)
    }

    /// Takes a client off the air and lets it come back later.
    pub(crate) fn drop_client(&mut self, client: usize, reason: &'static str, away_s: f64) {
        let now = self.now();
        let state = &mut self.clients[client];
        if let Some((node, _)) = state.link.take() {
            state.last_node = Some(node);
        }
        state.drops.push(now);
        state.last_reason = reason;
        state.back_at = now + away_s;
    }

    /// Lets the clients come back whose time has come, and those leave whose link is gone.
    pub(crate) fn settle_clients(&mut self, dt: f64) {
        let now = self.now();
        for client in 0..self.clients.len() {
            self.clients[client].drops.retain(|at| now - at < 86_400.0);
            self.clients[client].roams.retain(|at| now - at < 86_400.0);
            if self.clients[client].file.wired {
                continue;
            }
            match self.clients[client].link {
                None if now >= self.clients[client].back_at => self.rejoin(client),
                None => {}
                Some((node, _)) if !self.nodes[node].running(now) => {
                    let away = self.random.between(3.0, 30.0);
                    self.drop_client(client, "ap_restart", away);
                }
                Some((node, radio)) => self.follow(client, node, radio, dt),
            }
        }
    }

    fn rejoin(&mut self, client: usize) {
        let now = self.now();
        let state = &self.clients[client];
        let refused = state.refused.filter(|(_, until)| *until > now).map(|(node, _)| node);
        let same = state.last_node.filter(|node| Some(*node) != refused);
        let best = self.best_radio(client, None, refused);
        let back_to_same = same.and_then(|node| self.best_radio(client, Some((Some(node), None)), refused));
        let chosen = match (best, back_to_same) {
            (Some(best), Some(same)) if same.2 + 8.0 >= best.2 || self.random.chance(0.5) => Some(same),
            (best, same) => best.or(same),
        };
        match chosen {
            Some((node, radio, _)) => {
                self.clients[client].link = Some((node, radio));
                self.clients[client].last_node = Some(node);
                self.take_address(client, false);
            }
            None => self.clients[client].back_at = now + 30.0,
        }
    }

    fn follow(&mut self, client: usize, node: usize, radio: usize, dt: f64) {
        if self.nodes[node].radios[radio].silent_until - self.now() > LONG_SILENCE_S {
            let away = self.random.between(3.0, 30.0);
            return self.drop_client(client, "channel_change", away);
        }
        let link = self.link(&self.receiver(client), node, radio);
        if link.down.is_none() || link.up.is_none() {
            let away = self.random.between(10.0, 60.0);
            return self.drop_client(client, "signal_weak", away);
        }
        let weak = link.rssi_ul < -86.0 && self.random.chance(1.0 - (-dt / 3600.0).exp());
        if weak {
            let away = self.random.between(5.0, 30.0);
            return self.drop_client(client, "signal_weak", away);
        }
        let file = &self.clients[client].file;
        let Some((trigger, better)) = file.kind.roaming().filter(|_| !file.sticky) else {
            return;
        };
        if link.rssi_dl < trigger && self.random.chance(1.0 - (-dt / 60.0).exp()) {
            self.try_to_roam(client, node, link.rssi_dl + better);
        }
    }

    fn try_to_roam(&mut self, client: usize, from: usize, above_dbm: f64) {
        let Some((node, radio, level)) = self.best_radio(client, None, Some(from)).filter(|best| best.2 >= above_dbm) else {
            return;
        };
        let now = self.now();
        let state = &mut self.clients[client];
        state.link = Some((node, radio));
        state.last_node = Some(node);
        state.roams.push(now);
        let data = json!({"client_mac": state.file.mac, "from_ap": self.nodes[from].id, "to_ap": self.nodes[node].id,
            "reason": "better_signal", "new_signal": level.round()});
        self.happen(node, "wifi.roam_triggered", "info", data);
    }

    /// The foreign address server that can be heard, if one is there and not blocked.
    pub(crate) fn rogue(&self) -> Option<&Fault> {
        self.active_faults().find(|fault| match fault {
            Fault::RogueDhcp { blockable, .. } => !(self.pool.block_others && *blockable),
            _ => false,
        })
    }

    /// A client asks for an address; `fresh` means that it has forgotten the one it had.
    pub(crate) fn take_address(&mut self, client: usize, fresh: bool) {
        let rogue_net = self.rogue().and_then(|fault| match fault {
            Fault::RogueDhcp { ip_address, .. } => ip_address.rsplit_once('.').map(|(net, _)| net.to_string()),
            _ => None,
        });
        let own_ms = if self.pool.ping_check { address::PING_CHECK_MS } else { self.random.between(2.0, 10.0) };
        let rogue_ms = self.random.between(5.0, 50.0);
        let lease = self.clients[client].lease;
        let keeps = !fresh && self.random.chance(0.7);
        let from = match &rogue_net {
            Some(_) if lease == LeaseFrom::Rogue && keeps => LeaseFrom::Rogue,
            Some(_) if (fresh || lease == LeaseFrom::Rogue) && address::rogue_wins(false, own_ms, rogue_ms) => LeaseFrom::Rogue,
            _ if self.router_running() && (lease == LeaseFrom::Router || self.pool_used() < self.pool_size()) => LeaseFrom::Router,
            _ => LeaseFrom::Nobody,
        };
        let host = usize::from(self.pool.first) + (1 + client) % self.pool_size().max(1);
        let state = &mut self.clients[client];
        state.lease = from;
        state.address = match (from, rogue_net) {
            (LeaseFrom::Rogue, Some(net)) => format!("{net}.{}", 20 + client),
            (LeaseFrom::Nobody, _) => format!("169.254.{}.{}", 10 + client, 77),
            _ => format!("{}.{host}", self.pool.subnet),
        };
        if from == LeaseFrom::Nobody && self.router_running() {
            self.log(0, "warning", "dnsmasq", "dnsmasq-dhcp: no address range available for DHCP request");
        }
    }

    /// Number of addresses in the pool.
    pub(crate) fn pool_size(&self) -> usize {
        usize::from(self.pool.last - self.pool.first) + 1
    }

    /// Number of addresses given.
    pub(crate) fn pool_used(&self) -> usize {
        let own = self.clients.iter().filter(|client| client.lease == LeaseFrom::Router).count();
        (own + self.pool.extra_used as usize).min(self.pool_size())
    }

    /// Draws who is doing what at the start.
    pub(crate) fn begin_sessions(&mut self) {
        let day_s = self.clock.day_s();
        for client in 0..self.clients.len() {
            for index in 0..self.clients[client].doing.len() {
                let doing = &self.clients[client].doing[index];
                let begins = within(day_s, doing.window.0, doing.window.1) && self.random.chance(doing.part);
                let length = self.random.exponential(self.clients[client].doing[index].minutes * 60.0);
                self.clients[client].doing[index].until = begins.then_some(length.max(60.0));
            }
        }
    }

    /// Begins and ends sessions over a span.
    pub(crate) fn live(&mut self, dt: f64) {
        let (now, day_s) = (self.now(), self.clock.day_s());
        for client in 0..self.clients.len() {
            for index in 0..self.clients[client].doing.len() {
                let Doing { window, part, minutes, until, .. } = self.clients[client].doing[index];
                let open = within(day_s, window.0, window.1);
                let next = match until {
                    _ if !open => None,
                    _ if part >= 1.0 => Some(f64::INFINITY),
                    Some(end) if now < end => Some(end),
                    Some(_) => None,
                    None => {
                        let rate = part / ((1.0 - part) * minutes * 60.0);
                        let begins = self.random.chance(1.0 - (-rate * dt).exp());
                        begins.then(|| now + self.random.exponential(minutes * 60.0).max(60.0))
                    }
                };
                self.clients[client].doing[index].until = next;
            }
        }
    }
}
