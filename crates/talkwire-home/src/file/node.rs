//! Devices with radios: the router, access points and mesh nodes.

use crate::error::HomeError;
use crate::file::check_mac;
use crate::physics::machine::{MachineClass, Placement};
use crate::physics::path::Band;
use crate::physics::rate::Generation;
use crate::physics::region::Region;
use serde::{Deserialize, Serialize};

/// A device with radios.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Device id: 12 lower-case hex digits.
    pub id: String,
    /// Name in the home.
    pub name: String,
    /// Model for people.
    #[serde(default = "model")]
    pub model: String,
    /// The room it stands in.
    pub room: String,
    /// Exact place, instead of the middle of the room.
    #[serde(default)]
    pub at: Option<[f64; 2]>,
    /// Hardware class.
    #[serde(default = "machine")]
    pub machine: MachineClass,
    /// How well the heat gets away.
    #[serde(default)]
    pub placement: Placement,
    /// Does it have a thermometer?
    #[serde(default = "yes")]
    pub thermometer: bool,
    /// Days since the last start.
    #[serde(default = "uptime")]
    pub uptime_days: f64,
    /// How it is joined to the rest (ignored for the router).
    #[serde(default)]
    pub backhaul: Backhaul,
    /// Its radios.
    #[serde(default, rename = "radio")]
    pub radios: Vec<RadioFile>,
}

fn model() -> String {
    "TW-2000".into()
}
fn machine() -> MachineClass {
    MachineClass::A53
}
fn yes() -> bool {
    true
}
fn uptime() -> f64 {
    12.0
}

/// How a node is joined to its parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Backhaul {
    /// By a cable to the router.
    Eth {
        /// Speed of the port.
        #[serde(default = "gigabit")]
        mbps: f64,
    },
    /// By radio to a parent.
    Radio {
        /// Name of the parent.
        parent: String,
        /// Band of the link.
        band: Band,
        /// Does it use the radio that also serves clients?
        #[serde(default)]
        shared: bool,
    },
}

fn gigabit() -> f64 {
    1000.0
}

impl Default for Backhaul {
    fn default() -> Self {
        Backhaul::Eth { mbps: gigabit() }
    }
}

/// One radio.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadioFile {
    /// Interface name.
    pub interface: String,
    /// Band.
    pub band: Band,
    /// Primary channel.
    pub channel: u16,
    /// Width in MHz.
    #[serde(default = "width")]
    pub width_mhz: u16,
    /// Radiated power in dBm.
    #[serde(default = "power")]
    pub power_dbm: f64,
    /// Generation.
    #[serde(default = "generation")]
    pub generation: Generation,
    /// Spatial streams.
    #[serde(default = "streams")]
    pub streams: u8,
    /// Antenna chains; 4 gain 3 dB.
    #[serde(default = "streams")]
    pub chains: u8,
    /// Divides time fairly among its clients.
    #[serde(default = "yes")]
    pub airtime_fairness: bool,
}

fn width() -> u16 {
    20
}
fn power() -> f64 {
    20.0
}
fn generation() -> Generation {
    Generation::Ax
}
fn streams() -> u8 {
    2
}

impl Node {
    pub(crate) fn check(&self, region: Region) -> Result<(), HomeError> {
        let place = format!("device {:?}", self.name);
        check_mac(&place, &self.id)?;
        for radio in &self.radios {
            if !region.allows(radio.band, radio.channel) {
                let problem = format!("channel {} is not allowed at {} in this region", radio.channel, radio.band.name());
                return Err(HomeError::invalid(place, problem));
            }
            if ![20, 40, 80, 160].contains(&radio.width_mhz) {
                return Err(HomeError::invalid(place, "width_mhz must be 20, 40, 80 or 160"));
            }
        }
        Ok(())
    }
}
