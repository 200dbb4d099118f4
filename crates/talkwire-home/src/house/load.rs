//! Who gets how much: first the air of each radio is divided, then the line.

use super::House;
use super::state::{Link, Loads};
use crate::file::Fault;
use crate::physics::{air, queue};
use serde_json::Value;

/// One wish to send in one direction.
struct Wish {
    client: Option<usize>,
    ticket: Option<u64>,
    down: bool,
    mbps: f64,
    flows: f64,
    category: &'static str,
}

/// Can a client reach the world through its gateway?
fn usable(house: &House, client: usize) -> bool {
    let state = &house.clients[client];
    (state.file.wired || state.link.is_some()) && state.lease == super::LeaseFrom::Router
}

impl House {
    /// Divides air and line among all that want something now.
    pub(crate) fn divide(&self) -> Loads {
        let line = self.line();
        let mut wishes = self.wishes();
        if !line.reachable {
            wishes.clear();
        }
        let links: Vec<Option<Link>> = (0..self.clients.len()).map(|client| self.link_of(client)).collect();
        let mut loads = Loads {
            client_down: vec![0.0; self.clients.len()],
            client_up: vec![0.0; self.clients.len()],
            air_own: self.nodes.iter().map(|node| vec![0.0; node.radios.len()]).collect(),
            ..Loads::default()
        };
        let limits = self.air_limits(&wishes, &links, line.down_mbps, line.up_mbps);
        for down in [true, false] {
            let rate = if down { line.down_mbps } else { line.up_mbps };
            let capacity = self.cap(down).map_or(rate, |cap| cap.min(rate).min(self.forwarding_mbps()));
            let chosen: Vec<usize> = (0..wishes.len()).filter(|i| wishes[*i].down == down).collect();
            let wants: Vec<f64> = chosen.iter().map(|i| limits[*i]).collect();
            let weights: Vec<f64> = chosen.iter().map(|i| self.weight(&wishes[*i])).collect();
            let given = air::divide_weighted(capacity, &wants, &weights);
            let total: f64 = given.iter().sum();
            let full = total >= 0.97 * capacity;
            if down {
                (loads.wan_down, loads.down_full) = (total, full);
            } else {
                (loads.wan_up, loads.up_full) = (total, full);
            }
            for (index, mbps) in chosen.into_iter().zip(given) {
                let wish = &wishes[index];
                let mbps = self.slowed_by_loss(mbps, wish, line.error_loss);
                if let Some(ticket) = wish.ticket {
                    loads.tests.push((ticket, mbps));
                }
                let Some(client) = wish.client else { continue };
                if down {
                    loads.client_down[client] += mbps;
                } else {
                    loads.client_up[client] += mbps;
                }
                let solo = links[client].map_or(0.0, |link| if down { link.tcp_down } else { link.tcp_up });
                if let (Some((node, radio)), true) = (self.clients[client].link, solo > 0.0) {
                    loads.air_own[node][radio] += mbps / solo;
                }
            }
        }
        for (node, radios) in loads.air_own.iter_mut().enumerate() {
            for (radio, own) in radios.iter_mut().enumerate() {
                let beacons = if self.radio_on(node, radio) { air::beacon_share(6.0) } else { 0.0 };
                *own = (*own + beacons).min(1.0);
            }
        }
        loads
    }

    fn slowed_by_loss(&self, mbps: f64, wish: &Wish, loss: f64) -> f64 {
        if loss <= 0.0 {
            return mbps;
        }
        mbps.min(wish.flows * queue::flow_mbps(self.file.plan.idle_ms.max(5.0), loss))
    }

    /// What each wish can get through the air.
    fn air_limits(&self, wishes: &[Wish], links: &[Option<Link>], down_mbps: f64, up_mbps: f64) -> Vec<f64> {
        let mut limits: Vec<f64> = wishes.iter().map(|wish| wish.mbps.min(if wish.down { down_mbps } else { up_mbps })).collect();
        for node in 0..self.nodes.len() {
            for radio in 0..self.nodes[node].radios.len() {
                let mine: Vec<usize> =
                    (0..wishes.len()).filter(|i| wishes[*i].client.is_some_and(|client| self.clients[client].link == Some((node, radio)))).collect();
                if !mine.is_empty() {
                    self.divide_air(node, radio, &mine, wishes, links, &mut limits);
                }
            }
        }
        limits
    }

    fn divide_air(&self, node: usize, radio: usize, mine: &[usize], wishes: &[Wish], links: &[Option<Link>], limits: &mut [f64]) {
        let on = self.radio_on(node, radio);
        let solo: Vec<f64> = mine
            .iter()
            .map(|i| {
                let link = wishes[*i].client.and_then(|client| links[client]);
                link.map_or(0.0, |link| if wishes[*i].down { link.tcp_down } else { link.tcp_up })
            })
            .collect();
        let capacity = if on { self.airs[node][radio].capacity() } else { 0.0 };
        let wants: Vec<f64> = mine.iter().zip(&solo).map(|(i, solo)| if *solo > 0.0 { limits[*i] / solo } else { 0.0 }).collect();
        let weights: Vec<f64> =
            if self.nodes[node].radios[radio].airtime_fair { vec![1.0; mine.len()] } else { solo.iter().map(|solo| 1.0 / solo.max(0.1)).collect() };
        let given = air::divide_weighted(capacity, &wants, &weights);
        for ((i, share), solo) in mine.iter().zip(given).zip(solo) {
            let behind = wishes[*i].client.and_then(|client| links[client]).map_or(0.0, |link| link.behind_mbps);
            limits[*i] = (share * solo).min(behind);
        }
    }

    fn weight(&self, wish: &Wish) -> f64 {
        if !self.shaper.enabled {
            return wish.flows;
        }
        let rule = |category: &str| self.shaper.rules.iter().find(|rule| rule.get("category").and_then(Value::as_str) == Some(category));
        match rule(wish.category).and_then(|rule| rule.get("priority")).and_then(Value::as_str) {
            Some("high") => 8.0,
            Some("low") => 0.1,
            _ => 1.0,
        }
    }

    fn wishes(&self) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let mut add = |client: Option<usize>, ticket, down, mbps, flows, category| {
            if mbps > 0.0 {
                wishes.push(Wish { client, ticket, down, mbps, flows, category });
            }
        };
        for client in (0..self.clients.len()).filter(|client| usable(self, *client)) {
            for doing in self.clients[client].doing.iter().filter(|doing| doing.until.is_some()) {
                add(Some(client), None, true, doing.need.down_mbps, doing.need.flows, doing.need.category);
                add(Some(client), None, false, doing.need.up_mbps, doing.need.flows, doing.need.category);
            }
        }
        for fault in self.active_faults() {
            let Fault::BandwidthHog { client, down_mbps, up_mbps, flows } = fault else { continue };
            let Some(index) = self.clients.iter().position(|known| &known.file.name == client) else { continue };
            if !usable(self, index) {
                continue;
            }
            let down = down_mbps.unwrap_or(if up_mbps.is_some() { 1.0 } else { 10_000.0 });
            add(Some(index), None, true, down, *flows, "bulk");
            add(Some(index), None, false, up_mbps.unwrap_or(1.0), *flows, "bulk");
        }
        for (ticket, run) in &self.runs {
            let Some((client, down, streams)) = run.line_load(self.now()) else { continue };
            if client.is_some_and(|client| !usable(self, client)) {
                continue;
            }
            add(client, Some(*ticket), down, 10_000.0, streams, "default");
        }
        wishes
    }
}
