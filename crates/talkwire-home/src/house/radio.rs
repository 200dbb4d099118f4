//! Radio in the house: what stands between, who hears whom, and which link a client has.

use super::House;
use super::state::{Air, Link, Spot};
use crate::file::people::ClientKind;
use crate::file::{Backhaul, Fault};
use crate::physics::path::{self, Band, Material};
use crate::physics::rate::{self, Generation};
use crate::physics::{air, machine};
use crate::random::{fixed_normal, key};

const FLOOR_HEIGHT_M: f64 = 3.0;
const BANDS: [Band; 3] = [Band::Ghz2, Band::Ghz5, Band::Ghz6];

/// The radio link of a node to its parent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackhaulLink {
    pub parent: usize,
    pub rssi_dbm: f64,
    pub phy_mbps: f64,
    /// What TCP gets over this hop alone with the present air.
    pub tcp_mbps: f64,
    pub shared: bool,
}

/// What a phone or another receiver is, for a link.
pub(crate) struct Receiver {
    pub spot: Spot,
    /// Row in the table of obstacles.
    pub row: usize,
    pub power_dbm: f64,
    pub gain_db: f64,
    pub generation: Generation,
    pub streams: u8,
    pub width_mhz: u16,
}

impl House {
    /// Fills the table of obstacles: for each node the loss to every client, then every node, then every room.
    pub(crate) fn measure_obstacles(&mut self) {
        let targets: Vec<(Spot, String, u64)> = self
            .clients
            .iter()
            .map(|client| (client.spot, client.file.room.clone(), key(&client.file.mac)))
            .chain(self.nodes.iter().map(|node| (node.spot, node.room.clone(), key(&node.id))))
            .chain(self.file.rooms.iter().map(|room| (Spot { x: room.x, y: room.y, floor: room.floor }, room.name.clone(), key(&room.name))))
            .collect();
        self.obstacles = self
            .nodes
            .iter()
            .map(|node| {
                targets
                    .iter()
                    .map(|(spot, room, target)| {
                        let link = [key(&node.id), *target];
                        let shadow = self.file.site.shadow_db * fixed_normal(self.seed, &link);
                        let clutter = 3.0 + 0.5 * self.file.site.shadow_db * fixed_normal(self.seed, &[link[1], link[0]]);
                        let fixed = if self.file.site.shadow_db == 0.0 { 3.0 } else { shadow + clutter };
                        BANDS.map(|band| fixed + self.walls_db(&node.room, node.spot, room, *spot, band) + self.extra_db(&node.room, room, band))
                    })
                    .collect()
            })
            .collect();
    }

    fn walls_db(&self, room_a: &str, a: Spot, room_b: &str, b: Spot, band: Band) -> f64 {
        let loss = |walls: &[Material]| walls.iter().map(|wall| wall.loss_db(band)).sum::<f64>();
        let named = self.file.passages.iter().find(|passage| {
            let [x, y] = &passage.between;
            (x == room_a && y == room_b) || (x == room_b && y == room_a)
        });
        if let Some(passage) = named {
            return loss(&passage.walls);
        }
        let floors = f64::from((a.floor - b.floor).unsigned_abs());
        let crossed: f64 = self
            .file
            .walls
            .iter()
            .filter(|wall| path::crosses([a.x, a.y], [b.x, b.y], wall.from, wall.to))
            .map(|wall| {
                let level = f64::from(u8::from(wall.floor == a.floor)) + f64::from(u8::from(wall.floor == b.floor));
                wall.material.loss_db(band) * level / 2.0
            })
            .sum();
        crossed + floors * Material::Slab.loss_db(band)
    }

    fn extra_db(&self, node_room: &str, target_room: &str, band: Band) -> f64 {
        let factor = if band == Band::Ghz2 { 1.0 } else { 1.5 };
        self.active_faults()
            .map(|fault| match fault {
                Fault::ExtraWall { room, loss_db } if (room == target_room) != (room == node_room) => factor * loss_db,
                _ => 0.0,
            })
            .sum()
    }

    fn loss_to(&self, node: usize, band: Band, channel: u16, spot: Spot, row: usize) -> f64 {
        let own = self.nodes[node].spot;
        let height = f64::from(own.floor - spot.floor) * FLOOR_HEIGHT_M;
        let distance = (own.x - spot.x).hypot(own.y - spot.y).hypot(height);
        let column = BANDS.iter().position(|known| *known == band).unwrap_or(0);
        let obstacles = self.obstacles[node][row][column] + self.nodes[node].antenna_loss_db;
        path::loss_db(band.frequency_mhz(channel), distance, obstacles)
    }

    /// Can this radio send now?
    pub(crate) fn radio_on(&self, node: usize, radio: usize) -> bool {
        let now = self.now();
        self.nodes[node].running(now) && now >= self.nodes[node].radios[radio].silent_until
    }

    /// Measures the air around every radio on its own channel.
    pub(crate) fn refresh_air(&mut self) {
        let airs = (0..self.nodes.len())
            .map(|node| (0..self.nodes[node].radios.len()).map(|radio| self.air_on(node, radio, self.nodes[node].radios[radio].channel)).collect())
            .collect();
        self.airs = airs;
    }

    /// Level of a foreign network at a node.
    pub(crate) fn neighbour_dbm(&self, node: usize, neighbour: usize) -> f64 {
        let spread = if node == 0 { 0.0 } else { 1.5 };
        let neighbour = &self.neighbours[neighbour];
        neighbour.file.rssi_dbm + spread * fixed_normal(self.seed, &[key(&self.nodes[node].id), key(&neighbour.bssid)])
    }

    /// Air that a foreign network takes now.
    pub(crate) fn neighbour_load(&self, neighbour: usize) -> f64 {
        let neighbour = &self.neighbours[neighbour];
        let moment = (self.now() / 600.0).floor() as i64 as u64;
        let mood = (0.15 * fixed_normal(self.seed, &[key(&neighbour.bssid), moment])).exp();
        let activity = crate::physics::line::activity(self.clock.hour(), self.clock.weekend());
        air::beacon_share(neighbour.file.beacon_mbps) + (neighbour.load * activity * mood).min(0.9)
    }

    /// The air that a radio would find on a channel.
    pub(crate) fn air_on(&self, node: usize, radio: usize, channel: u16) -> Air {
        let own = &self.nodes[node].radios[radio];
        let floor = rate::noise_floor_dbm(own.width_mhz, own.band);
        let risen = if own.band == Band::Ghz2 { self.nodes[node].noise_rise_db } else { 0.0 };
        let mut noise = vec![floor + risen];
        let mut busy = Vec::new();
        let mut secondary = Vec::new();
        for index in 0..self.neighbours.len() {
            let neighbour = &self.neighbours[index].file;
            if neighbour.band != own.band {
                continue;
            }
            let level = self.neighbour_dbm(node, index);
            let load = self.neighbour_load(index);
            match overlap(own.band, channel, own.width_mhz, neighbour.channel, neighbour.width_mhz) {
                Overlap::None => {}
                Overlap::Primary if level >= air::FRAME_SENSE_DBM => busy.push(load),
                Overlap::Secondary if level >= air::SECONDARY_SENSE_DBM => secondary.push(load),
                Overlap::Offset(steps) if level + air::offset_db(steps) >= air::ENERGY_SENSE_DBM => busy.push(load),
                Overlap::Offset(steps) => noise.push(level + air::offset_db(steps) + 10.0 * load.log10()),
                _ => noise.push(level + 10.0 * load.log10()),
            }
        }
        for (other, loads) in self.loads.air_own.iter().enumerate().filter(|(other, _)| *other != node) {
            for (index, load) in loads.iter().enumerate() {
                let radio = &self.nodes[other].radios[index];
                let heard = radio.band == own.band && radio.channel == channel && self.radio_on(other, index) && {
                    let row = self.clients.len() + node;
                    radio.power_dbm - self.loss_to(other, radio.band, channel, self.nodes[node].spot, row) >= air::FRAME_SENSE_DBM
                };
                if heard {
                    busy.push(load + air::beacon_share(6.0));
                }
            }
        }
        Air {
            external: air::busy(busy),
            secondary: air::busy(secondary),
            other: self.oven_busy(node, own.band, channel),
            noise_dbm: rate::sum_dbm(noise),
            duty: machine::transmit_duty(self.nodes[node].die_c),
        }
    }

    fn oven_busy(&self, node: usize, band: Band, channel: u16) -> f64 {
        if band != Band::Ghz2 {
            return 0.0;
        }
        self.active_faults()
            .map(|fault| match fault {
                Fault::Oven { room } => self.file.rooms.iter().position(|known| &known.name == room).map_or(0.0, |index| {
                    let row = self.clients.len() + self.nodes.len() + index;
                    let known = &self.file.rooms[index];
                    let spot = Spot { x: known.x, y: known.y, floor: known.floor };
                    let level = 20.0 - self.loss_to(node, band, channel, spot, row);
                    1.0 - air::oven_share(level, channel)
                }),
                _ => 0.0,
            })
            .fold(0.0, f64::max)
    }

    pub(crate) fn receiver(&self, client: usize) -> Receiver {
        let file = &self.clients[client].file;
        let (power_dbm, gain_db) = file.kind.antenna();
        let unit = fixed_normal(self.seed, &[key(&file.mac), 7]);
        let unit = if self.file.site.shadow_db == 0.0 { 0.0 } else { unit };
        Receiver {
            spot: self.clients[client].spot,
            row: client,
            power_dbm: power_dbm + unit,
            gain_db,
            generation: file.generation,
            streams: file.streams,
            width_mhz: file.width_mhz,
        }
    }

    /// A phone in the middle of a room.
    pub(crate) fn phone_in(&self, room: usize) -> Receiver {
        let (power_dbm, gain_db) = ClientKind::Phone.antenna();
        let known = &self.file.rooms[room];
        Receiver {
            spot: Spot { x: known.x, y: known.y, floor: known.floor },
            row: self.clients.len() + self.nodes.len() + room,
            power_dbm,
            gain_db,
            generation: Generation::Ax,
            streams: 2,
            width_mhz: 80,
        }
    }

    /// The link that a receiver would have to a radio.
    pub(crate) fn link(&self, receiver: &Receiver, node: usize, radio: usize) -> Link {
        let own = &self.nodes[node].radios[radio];
        let air = &self.airs[node][radio];
        let loss = self.loss_to(node, own.band, own.channel, receiver.spot, receiver.row);
        let rssi_dl = path::rssi_down_dbm(own.power_dbm, receiver.gain_db, loss, 0.0);
        let rssi_ul = path::rssi_up_dbm(receiver.power_dbm, receiver.gain_db, loss, 0.0);
        let mut generation = receiver.generation.min(own.generation);
        if own.band == Band::Ghz2 && generation == Generation::Ac {
            generation = Generation::N;
        }
        let width = if own.band == Band::Ghz2 { own.width_mhz.min(40) } else { own.width_mhz }.min(receiver.width_mhz);
        let streams = receiver.streams.min(own.streams);
        let noise = air.noise_dbm + 10.0 * (f64::from(width) / f64::from(own.width_mhz)).log10();
        let (snr_dl, snr_ul) = (rssi_dl - noise, rssi_ul - noise);
        let down = rate::choose(generation, width, streams, snr_dl, own.chains);
        let up = rate::choose(generation, width, streams, snr_ul, own.chains);
        let tcp = |chosen: Option<rate::Rate>, snr: f64| {
            chosen.map_or(0.0, |chosen| {
                let phy = air::narrowed(chosen.phy_mbps, air.secondary);
                rate::tcp_mbps(generation, phy, rate::retry_fraction(snr))
            })
        };
        let (behind_mbps, shared) = self.behind(node);
        let hop = |own: f64| if shared > 0.0 && own > 0.0 { air::shared_hops(&[own, shared]) } else { own };
        Link {
            rssi_dl,
            rssi_ul,
            down,
            up,
            tcp_down: hop(tcp(down, snr_dl)),
            tcp_up: hop(tcp(up, snr_ul)),
            behind_mbps,
            retry: (rate::retry_fraction(snr_ul) + 0.2 * air.external + 0.35 * air.other).min(0.9),
        }
    }

    /// The present link of a client.
    pub(crate) fn link_of(&self, client: usize) -> Option<Link> {
        let (node, radio) = self.clients[client].link?;
        Some(self.link(&self.receiver(client), node, radio))
    }

    /// What lies between an access point and the router: the limit of its own cable or radio, and the rate of a
    /// backhaul that shares the air with the clients (0 if there is none).
    fn behind(&self, node: usize) -> (f64, f64) {
        match &self.nodes[node].backhaul {
            _ if node == 0 => (f64::INFINITY, 0.0),
            Backhaul::Eth { mbps } => (mbps * 0.941, 0.0),
            Backhaul::Radio { .. } => match self.backhaul(node, 0) {
                Some(link) if link.shared => (f64::INFINITY, link.tcp_mbps.max(0.1)),
                Some(link) => (link.tcp_mbps, 0.0),
                None => (0.0, 0.0),
            },
        }
    }

    /// The radio link of a mesh node, with the hops before it.
    pub(crate) fn backhaul(&self, node: usize, depth: usize) -> Option<BackhaulLink> {
        let Backhaul::Radio { parent, band, shared } = &self.nodes[node].backhaul else {
            return None;
        };
        let parent = self.node_named(parent).filter(|parent| *parent != node)?;
        let radio = self.nodes[parent].radios.iter().position(|radio| radio.band == *band)?;
        let own = &self.nodes[parent].radios[radio];
        let row = self.clients.len() + node;
        let rssi_dbm = own.power_dbm - self.loss_to(parent, *band, own.channel, self.nodes[node].spot, row);
        let air = &self.airs[parent][radio];
        let snr = rssi_dbm - air.noise_dbm;
        let chosen = rate::choose(own.generation, own.width_mhz, own.streams, snr, own.chains);
        let phy_mbps = chosen.map_or(0.0, |rate| rate.phy_mbps);
        let solo = rate::tcp_mbps(own.generation, phy_mbps.max(1e-3), rate::retry_fraction(snr));
        let mut tcp_mbps = if phy_mbps > 0.0 { solo * air.capacity() } else { 0.0 };
        if depth < 4
            && let Some(before) = self.backhaul(parent, depth + 1)
        {
            tcp_mbps = if *shared { air::shared_hops(&[tcp_mbps, before.tcp_mbps]) } else { tcp_mbps.min(before.tcp_mbps) };
        }
        Some(BackhaulLink { parent, rssi_dbm, phy_mbps, tcp_mbps, shared: *shared })
    }
}

/// How two channels meet.
pub(crate) enum Overlap {
    /// They do not.
    None,
    /// On the same primary channel: they take turns.
    Primary,
    /// The other one lies in our wide channel.
    Secondary,
    /// 2.4 GHz channels that overlap so many steps apart.
    Offset(u16),
}

/// Do two channels meet?
pub(crate) fn overlap(band: Band, own: u16, own_width: u16, other: u16, other_width: u16) -> Overlap {
    if own == other {
        return Overlap::Primary;
    }
    if band == Band::Ghz2 {
        let steps = own.abs_diff(other);
        return if steps <= 6 { Overlap::Offset(steps) } else { Overlap::None };
    }
    let base = match (band, own) {
        (Band::Ghz6, _) => 1,
        (_, 149..) => 149,
        (_, 100..) => 100,
        _ => 36,
    };
    let block = |channel: u16, width: u16| channel.checked_sub(base).map(|from| from / (width / 5).max(4));
    let width = own_width.max(other_width);
    if block(own, width).is_some() && block(own, width) == block(other, width) { Overlap::Secondary } else { Overlap::None }
}
