//! What a house is made of at one moment.

use crate::file::event::ReadWindow;
use crate::file::people::Need;
use crate::file::{self, Fault};
use crate::physics::machine::{MachineClass, Placement};
use crate::physics::path::Band;
use crate::physics::rate::{Generation, Rate};
use serde_json::Value;
use std::collections::VecDeque;

/// What a device of the house is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The gateway.
    Router,
    /// An access point.
    AccessPoint,
    /// A mesh node.
    MeshNode,
    /// A computer that is itself a device.
    Agent,
}

impl Role {
    /// `device_type` on the wire.
    pub fn device_type(self) -> &'static str {
        match self {
            Role::Router => "router",
            Role::AccessPoint => "access_point",
            Role::MeshNode => "mesh_node",
            Role::Agent => "client",
        }
    }
}

/// A place on the plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    pub x: f64,
    pub y: f64,
    pub floor: i8,
}

/// A radio of a node.
#[derive(Debug, Clone)]
pub(crate) struct Radio {
    pub interface: String,
    pub band: Band,
    pub channel: u16,
    pub width_mhz: u16,
    pub power_dbm: f64,
    pub generation: Generation,
    pub streams: u8,
    pub chains: u8,
    pub airtime_fair: bool,
    /// Sends nothing before this moment.
    pub silent_until: f64,
    /// Channels closed by radar, and until when.
    pub closed: Vec<(u16, f64)>,
}

/// A device with radios.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub id: String,
    pub name: String,
    pub model: String,
    pub role: Role,
    pub room: String,
    pub spot: Spot,
    pub radios: Vec<Radio>,
    pub backhaul: file::Backhaul,
    pub machine: MachineClass,
    pub placement: Placement,
    pub thermometer: bool,
    pub die_c: f64,
    pub memory_percent: f64,
    pub core_max_percent: f64,
    pub up_since: f64,
    /// Off before this moment.
    pub down_until: f64,
    pub boots: Vec<f64>,
    pub log: VecDeque<LogLine>,
    pub throttled: bool,
    pub noise_rise_db: f64,
    pub antenna_loss_db: f64,
}

impl Node {
    pub fn running(&self, now: f64) -> bool {
        now >= self.down_until
    }
}

/// A line of a device's log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Seconds after the start of the house.
    pub at_s: f64,
    /// `info`, `warning`, `error` or `critical`.
    pub level: &'static str,
    /// Which program wrote it.
    pub source: &'static str,
    /// The text.
    pub message: String,
}

/// Who gave a client its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseFrom {
    Router,
    Rogue,
    Nobody,
}

/// A session of an activity.
#[derive(Debug, Clone)]
pub(crate) struct Doing {
    pub window: (f64, f64),
    pub part: f64,
    pub minutes: f64,
    pub need: Need,
    pub until: Option<f64>,
}

/// A user of the network.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub file: file::Client,
    pub spot: Spot,
    pub link: Option<(usize, usize)>,
    pub back_at: f64,
    pub last_node: Option<usize>,
    pub refused: Option<(usize, f64)>,
    pub address: String,
    pub lease: LeaseFrom,
    pub doing: Vec<Doing>,
    pub drops: Vec<f64>,
    pub roams: Vec<f64>,
    pub last_reason: &'static str,
}

/// A foreign network.
#[derive(Debug, Clone)]
pub(crate) struct Neighbour {
    pub file: file::Neighbour,
    pub bssid: String,
    /// Air at the busiest hour now, raised while an event lasts.
    pub load: f64,
}

/// An event and whether it is there now.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub window: ReadWindow,
    pub fault: Fault,
    pub active: bool,
    pub since: f64,
    /// A service restart took its effect away until this moment.
    pub eased_until: f64,
}

/// The shaper.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shaper {
    pub enabled: bool,
    pub policy: Option<String>,
    pub cap_down: Option<f64>,
    pub cap_up: Option<f64>,
    pub rules: Vec<Value>,
}

/// The address server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pool {
    pub subnet: String,
    pub first: u8,
    pub last: u8,
    pub lease_s: u32,
    pub extra_used: u32,
    pub ping_check: bool,
    pub block_others: bool,
}

/// The WAN session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub address: String,
    pub since: f64,
    /// Being dialled until this moment.
    pub down_until: f64,
    pub port_up: bool,
    pub flaps: Vec<f64>,
}

/// The air around one radio on one channel.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Air {
    /// Busy part that is not ours and decodes as Wi-Fi.
    pub external: f64,
    /// Busy part of the secondary channels.
    pub secondary: f64,
    /// Busy part that is no Wi-Fi.
    pub other: f64,
    /// Noise and interference, in dBm.
    pub noise_dbm: f64,
    /// Part of the time in which the chip may send.
    pub duty: f64,
}

impl Air {
    pub fn capacity(&self) -> f64 {
        crate::physics::air::share(self.external) * (1.0 - self.other) * self.duty
    }
}

/// A client's link to one radio.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub rssi_dl: f64,
    pub rssi_ul: f64,
    pub down: Option<Rate>,
    pub up: Option<Rate>,
    /// TCP rates with the whole air, over all hops to the router.
    pub tcp_down: f64,
    pub tcp_up: f64,
    /// Upper limit of the cable or radio behind the access point.
    pub behind_mbps: f64,
    pub retry: f64,
}

/// Who has how much at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loads {
    pub client_down: Vec<f64>,
    pub client_up: Vec<f64>,
    /// Own air of each radio of each node.
    pub air_own: Vec<Vec<f64>>,
    pub wan_down: f64,
    pub wan_up: f64,
    pub down_full: bool,
    pub up_full: bool,
    /// Rates of the running speed tests, by ticket.
    pub tests: Vec<(u64, f64)>,
}

/// Something that happened, to be told to the world as an event message.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// Whose event.
    pub device_id: String,
    /// Seconds after the start of the house.
    pub at_s: f64,
    /// Full event name such as `system.error`.
    pub event: &'static str,
    /// `info`, `warning`, `error` or `critical`.
    pub severity: &'static str,
    /// The `data` object.
    pub data: Value,
}
