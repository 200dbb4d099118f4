//! Tools about the air: the environment of each radio, and the map of rooms.

use crate::error::ToolFault;
use crate::house::House;
use crate::physics::air;
use crate::physics::path::Band;
use crate::physics::region::needs_radar_watch;
use serde_json::{Map, Value, json};

impl House {
    /// The radio that `interface` or `band` names; the only one may be left unnamed.
    pub(super) fn radio_of(&self, node: usize, args: &Map<String, Value>) -> Result<usize, ToolFault> {
        let radios = &self.nodes[node].radios;
        let wanted = |radio: &&crate::house::RadioState| {
            let interface = args.get("interface").and_then(Value::as_str).is_none_or(|name| name == radio.interface);
            let band = args.get("band").and_then(Value::as_str).is_none_or(|name| band_matches(name, radio.band));
            interface && band
        };
        let named = args.contains_key("interface") || args.contains_key("band");
        let found: Vec<usize> = (0..radios.len()).filter(|index| wanted(&&radios[*index])).collect();
        match found.as_slice() {
            [only] => Ok(*only),
            [] => Err(ToolFault::args("there is no such radio, see wifi.get_environment for interface and band")),
            _ if !named => {
                let channel = args.get("channel").and_then(Value::as_u64);
                let fits: Vec<usize> =
                    found.into_iter().filter(|index| channel.is_some_and(|channel| (channel <= 14) == (radios[*index].band == Band::Ghz2))).collect();
                match fits.as_slice() {
                    [only] => Ok(*only),
                    _ => Err(ToolFault::args("several radios, say which by interface or band")),
                }
            }
            _ => Err(ToolFault::args("several radios match, say which by interface")),
        }
    }

    pub(super) fn environment(&mut self, node: usize, args: &Map<String, Value>) -> Result<Value, ToolFault> {
        let chosen: Vec<usize> = if args.contains_key("band") || args.contains_key("interface") {
            vec![self.radio_of(node, args)?]
        } else {
            (0..self.nodes[node].radios.len()).collect()
        };
        let radios: Vec<Value> = chosen.into_iter().map(|radio| self.radio_environment(node, radio)).collect();
        Ok(json!({"radios": radios}))
    }

    fn radio_environment(&mut self, node: usize, radio: usize) -> Value {
        let own = self.nodes[node].radios[radio].clone();
        let here = self.air_on(node, radio, own.channel);
        let external = 1.0 - (1.0 - here.external) * (1.0 - here.other);
        let mine = self.loads.air_own[node][radio].min(1.0 - external).max(0.0);
        let external_percent = self.read_busy(external);
        let own_percent = (100.0 * mine).round() as i64;
        let seen = self.scan(node, own.band);
        let same = seen.iter().filter(|row| row.0 == own.channel && row.1 >= air::FRAME_SENSE_DBM as i64).count();
        let adjacent = seen.iter().filter(|row| row.0 != own.channel && self.touches(&own, row.0)).count();
        let channels: Vec<Value> = self
            .file
            .site
            .region
            .candidates(own.band)
            .into_iter()
            .map(|channel| {
                let found = if channel == own.channel { here } else { self.air_on(node, radio, channel) };
                let busy = 1.0 - (1.0 - found.external) * (1.0 - found.other);
                let percent = if channel == own.channel { external_percent } else { self.read_busy(busy) };
                let neighbours = seen.iter().filter(|row| row.0 == channel && row.1 >= air::FRAME_SENSE_DBM as i64).count();
                json!({"channel": channel, "utilization_external_percent": percent, "neighbors": neighbours,
                    "dfs": needs_radar_watch(own.band, channel)})
            })
            .collect();
        let listed: Vec<Value> = seen.iter().take(24).map(|row| json!({"ssid": row.2, "bssid": row.3, "channel": row.0, "rssi_dbm": row.1})).collect();
        json!({
            "interface": own.interface, "band": own.band.name(), "channel": own.channel, "width_mhz": own.width_mhz,
            "utilization_percent": (external_percent + own_percent).min(100), "utilization_external_percent": external_percent,
            "noise_dbm": self.read_dbm(here.noise_dbm), "tx_power_dbm": own.power_dbm.round() as i64,
            "dfs": needs_radar_watch(own.band, own.channel), "non_wifi_percent": (100.0 * here.other).round() as i64,
            "neighbors_same": same, "neighbors_adjacent": adjacent, "neighbors_total": seen.len(),
            "neighbor_max_dbm": seen.first().map(|row| row.1), "channels": channels, "neighbors": listed,
        })
    }

    fn touches(&self, own: &crate::house::RadioState, channel: u16) -> bool {
        !matches!(crate::house::overlap(own.band, own.channel, own.width_mhz, channel, 20), crate::house::Overlap::None)
            && (own.band != Band::Ghz2 || own.channel.abs_diff(channel) <= 4)
    }

    /// The foreign networks that one scan finds: channel, level, name, address; strongest first.
    fn scan(&mut self, node: usize, band: Band) -> Vec<(u16, i64, String, String)> {
        let mut seen = Vec::new();
        for index in 0..self.neighbours.len() {
            if self.neighbours[index].file.band != band {
                continue;
            }
            let level = self.neighbour_dbm(node, index);
            let heard = 1.0 / (1.0 + (-(level + 88.0) / 3.0).exp());
            if self.noise && !self.random.chance(1.0 - (1.0 - heard).powi(3)) {
                continue;
            }
            let level = self.read_dbm(level);
            let neighbour = &self.neighbours[index];
            seen.push((neighbour.file.channel, level, neighbour.file.ssid.clone(), neighbour.bssid.clone()));
        }
        seen.sort_by_key(|row| -row.1);
        seen
    }

    pub(super) fn signal_map(&mut self) -> Value {
        let mut rooms = Vec::new();
        for room in 0..self.file.rooms.len() {
            let mut best: Option<(f64, usize, usize)> = None;
            let mut level = [None::<f64>; 2];
            for node in 0..self.nodes.len() {
                for radio in 0..self.nodes[node].radios.len() {
                    if !self.radio_on(node, radio) {
                        continue;
                    }
                    let link = self.link(&self.phone_in(room), node, radio);
                    let five = self.nodes[node].radios[radio].band != Band::Ghz2;
                    let slot = &mut level[usize::from(five)];
                    *slot = Some(slot.map_or(link.rssi_dl, |known| known.max(link.rssi_dl)));
                    let score = link.rssi_dl + if five && link.rssi_dl > -67.0 { 15.0 } else { 0.0 };
                    if best.is_none_or(|(known, ..)| score > known) {
                        best = Some((score, node, radio));
                    }
                }
            }
            let (name, floor) = (self.file.rooms[room].name.clone(), self.file.rooms[room].floor);
            let Some((_, node, radio)) = best else {
                rooms.push(json!({"room": name, "floor": floor, "best_ap": Value::Null, "best_ap_name": Value::Null,
                    "rssi_dbm": Value::Null, "band": Value::Null, "snr_db": Value::Null, "rssi_2g_dbm": Value::Null, "rssi_5g_dbm": Value::Null}));
                continue;
            };
            let link = self.link(&self.phone_in(room), node, radio);
            let rssi = self.read_dbm(link.rssi_dl);
            rooms.push(json!({"room": name, "floor": floor, "best_ap": self.nodes[node].id, "best_ap_name": self.nodes[node].name,
                "rssi_dbm": rssi, "band": self.nodes[node].radios[radio].band.name(),
                "snr_db": (rssi as f64 - self.airs[node][radio].noise_dbm).round() as i64,
                "rssi_2g_dbm": level[0].map(|level| level.round() as i64), "rssi_5g_dbm": level[1].map(|level| level.round() as i64)}));
        }
        json!({"rooms": rooms})
    }

    /// Delay and loss of the Wi-Fi hop between a client and its access point, in ms and as a part.
    pub(crate) fn hop(&self, client: usize) -> (f64, f64) {
        if self.clients[client].file.wired {
            return (0.4, 0.0);
        }
        let (Some((node, radio)), Some(link)) = (self.clients[client].link, self.link_of(client)) else {
            return (f64::INFINITY, 1.0);
        };
        let here = &self.airs[node][radio];
        let busy = 1.0 - here.capacity();
        let waiting = 3.0 * busy / (1.0 - busy).max(0.05);
        let own = self.loads.air_own[node][radio];
        let queue = if own >= 0.95 * here.capacity() { 20.0 } else { 0.0 };
        let mesh = if matches!(self.nodes[node].backhaul, crate::file::Backhaul::Radio { .. }) && node != 0 { 2.0 } else { 0.0 };
        let loss = crate::physics::rate::residual_loss(link.retry) + if link.rssi_ul < -84.0 { 0.03 } else { 0.0 };
        (1.5 + waiting.min(40.0) + queue + mesh, loss.min(1.0))
    }
}

fn band_matches(name: &str, band: Band) -> bool {
    let short = name.trim().to_lowercase();
    match band {
        Band::Ghz2 => short.starts_with("2"),
        Band::Ghz5 => short.starts_with('5'),
        Band::Ghz6 => short.starts_with('6'),
    }
}
