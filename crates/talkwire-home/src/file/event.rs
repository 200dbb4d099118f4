//! What goes wrong, and when: the faults of a home, apart from anybody's opinion about them.

use crate::error::HomeError;
use crate::file::place::{span, time_of_day};
use crate::physics::line::LineClass;
use crate::physics::path::Band;
use serde::{Deserialize, Serialize};

/// A fault and its time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// When it is there; always, if absent.
    #[serde(default)]
    pub when: Window,
    /// What it is.
    #[serde(flatten)]
    pub fault: Fault,
}

/// A time window: daily by time of day, or once by the time since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Window {
    /// Daily from this time of day, `HH:MM`.
    pub from: Option<String>,
    /// Daily until this time of day, `HH:MM`.
    pub until: Option<String>,
    /// Once, this long after the start, such as `10m`.
    pub after: Option<String>,
    /// Once, for this long; for ever if absent.
    pub lasting: Option<String>,
}

impl Window {
    pub(crate) fn check(&self, place: &str) -> Result<(), HomeError> {
        if self.from.is_some() != self.until.is_some() {
            return Err(HomeError::invalid(place, "write both from and until"));
        }
        self.read(place).map(|_| ())
    }

    pub(crate) fn read(&self, place: &str) -> Result<ReadWindow, HomeError> {
        let daily = match (&self.from, &self.until) {
            (Some(from), Some(until)) => Some((time_of_day(place, from)?, time_of_day(place, until)?)),
            _ => None,
        };
        let after = self.after.as_deref().map(|text| span(place, text)).transpose()?;
        let lasting = self.lasting.as_deref().map(|text| span(place, text)).transpose()?;
        let begins = after.unwrap_or(f64::NEG_INFINITY);
        let ends = lasting.map_or(f64::INFINITY, |lasting| after.unwrap_or(0.0) + lasting);
        Ok(ReadWindow { daily, begins, ends })
    }
}

/// A window in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadWindow {
    daily: Option<(f64, f64)>,
    begins: f64,
    ends: f64,
}

impl ReadWindow {
    /// Is the window open `elapsed` seconds after the start, at `day_s` seconds after midnight?
    pub fn open(&self, elapsed: f64, day_s: f64) -> bool {
        elapsed >= self.begins && elapsed < self.ends && self.daily.is_none_or(|(from, until)| within(day_s, from, until))
    }
}

/// Is a time of day inside a window that may pass midnight?
pub(crate) fn within(day_s: f64, from: f64, until: f64) -> bool {
    if from <= until { day_s >= from && day_s < until } else { day_s >= from || day_s < until }
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Neighbours on a channel use much more air than usual.
    BusyNeighbours {
        /// Band.
        band: Band,
        /// Channel.
        channel: u16,
        /// How many of them, the strongest first.
        #[serde(default = "three")]
        count: usize,
        /// Air that each takes at the busiest hour, 0..1.
        load: f64,
    },
    /// One client fills the line.
    BandwidthHog {
        /// Name of the client.
        client: String,
        /// Wanted downlink in Mbps; without limit if absent.
        #[serde(default)]
        down_mbps: Option<f64>,
        /// Wanted uplink in Mbps; small if absent.
        #[serde(default)]
        up_mbps: Option<f64>,
        /// Parallel connections.
        #[serde(default = "many_flows")]
        flows: f64,
    },
    /// No carrier on the WAN port.
    WanLinkDown {},
    /// Carrier, but nobody gives an address.
    WanNoLease {},
    /// The provider's network does not pass packets.
    IspOutage {
        /// The last hop that still answers.
        #[serde(default = "two")]
        last_hop: usize,
    },
    /// The line behaves like another class.
    IspCongestion {
        /// Which.
        class: LineClass,
    },
    /// Packets are lost on the line.
    LineErrors {
        /// Lost packets in percent.
        loss_percent: f64,
    },
    /// The provider shapes the line.
    Quota {
        /// To this rate.
        mbps: f64,
    },
    /// A damaged cable: the WAN port runs at 100 Mbps.
    SlowPort {},
    /// The PPP session falls every so often.
    PppFlap {
        /// Mean minutes between falls.
        every_min: f64,
    },
    /// Resolvers do not answer.
    DnsDown {
        /// Their addresses; all that the router has at the start, if empty.
        #[serde(default)]
        servers: Vec<String>,
    },
    /// Resolvers answer slowly.
    DnsSlow {
        /// How many times slower.
        factor: f64,
    },
    /// A second address server in the house.
    RogueDhcp {
        /// Its address.
        #[serde(default = "rogue_ip")]
        ip_address: String,
        /// Its hardware address.
        #[serde(default = "rogue_mac")]
        mac_address: String,
        /// The port of the router it is behind.
        #[serde(default = "rogue_port")]
        port: String,
        /// Can the router block it?
        #[serde(default = "yes")]
        blockable: bool,
        /// Clients that join anew while it is there.
        #[serde(default)]
        victims: Vec<String>,
    },
    /// The room around a device is hot.
    HotRoom {
        /// Name of the device; the router if absent.
        #[serde(default)]
        device: Option<String>,
        /// Temperature in °C.
        ambient_c: f64,
    },
    /// The device loses memory.
    MemoryLeak {
        /// Name of the device.
        device: String,
        /// Points per day.
        percent_per_day: f64,
    },
    /// The power supply fails at times.
    PowerUnstable {
        /// Name of the device.
        device: String,
        /// Mean hours between restarts.
        every_h: f64,
    },
    /// Something new stands in front of a room.
    ExtraWall {
        /// Name of the room.
        room: String,
        /// Loss at 2.4 GHz in dB; half as much again at 5 GHz.
        loss_db: f64,
    },
    /// A device sends with little power.
    LowPower {
        /// Name of the device.
        device: String,
        /// Band.
        band: Band,
        /// Power in dBm.
        power_dbm: f64,
    },
    /// A device lost an antenna or stands in a metal box.
    AntennaLoss {
        /// Name of the device.
        device: String,
        /// Loss in dB.
        loss_db: f64,
    },
    /// A USB 3 device raises the noise at 2.4 GHz.
    Usb3Noise {
        /// Name of the device beside it.
        device: String,
        /// By how much, in dB.
        noise_db: f64,
    },
    /// A microwave oven runs.
    Oven {
        /// In this room.
        room: String,
    },
    /// Radar is heard on a channel.
    Radar {
        /// Which.
        channel: u16,
        /// Where the radios go.
        #[serde(default = "first_five")]
        next: u16,
    },
}

fn three() -> usize {
    3
}
fn two() -> usize {
    2
}
fn many_flows() -> f64 {
    24.0
}
fn rogue_ip() -> String {
    "192.168.0.1".into()
}
fn rogue_mac() -> String {
    "02000000ee01".into()
}
fn rogue_port() -> String {
    "lan3".into()
}
fn first_five() -> u16 {
    36
}
fn yes() -> bool {
    true
}

impl Fault {
    /// The devices and clients that the fault speaks of.
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Fault::BandwidthHog { client, .. } => vec![client],
            Fault::RogueDhcp { victims, .. } => victims.iter().map(String::as_str).collect(),
            Fault::HotRoom { device, .. } => device.iter().map(String::as_str).collect(),
            Fault::MemoryLeak { device, .. }
            | Fault::PowerUnstable { device, .. }
            | Fault::LowPower { device, .. }
            | Fault::AntennaLoss { device, .. }
            | Fault::Usb3Noise { device, .. } => vec![device],
            _ => Vec::new(),
        }
    }
}
