//! Who uses the network, what they do, and the neighbours.

use crate::error::HomeError;
use crate::file::check_mac;
use crate::file::place::time_of_day;
use crate::physics::path::Band;
use crate::physics::rate::Generation;
use serde::{Deserialize, Serialize};

/// What a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// A phone.
    Phone,
    /// A tablet.
    Tablet,
    /// A laptop.
    Laptop,
    /// A desktop computer.
    Pc,
    /// A television or streaming box.
    Tv,
    /// A game console.
    Console,
    /// A camera.
    Camera,
    /// A small thing: plug, lamp, speaker.
    Iot,
    /// A disk in the network.
    Nas,
}

impl ClientKind {
    /// The name used on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ClientKind::Phone => "phone",
            ClientKind::Tablet => "tablet",
            ClientKind::Laptop => "laptop",
            ClientKind::Pc => "pc",
            ClientKind::Tv => "tv",
            ClientKind::Console => "console",
            ClientKind::Camera => "camera",
            ClientKind::Iot => "iot",
            ClientKind::Nas => "nas",
        }
    }

    /// Transmit power in dBm and antenna gain in dB.
    pub(crate) fn antenna(self) -> (f64, f64) {
        match self {
            ClientKind::Laptop | ClientKind::Pc => (17.0, -1.0),
            ClientKind::Phone => (14.0, -4.0),
            ClientKind::Tablet | ClientKind::Tv | ClientKind::Console | ClientKind::Nas => (15.0, -3.0),
            ClientKind::Camera | ClientKind::Iot => (12.0, -6.0),
        }
    }

    /// Below which level it looks for something better, and how much better that must be.
    pub(crate) fn roaming(self) -> Option<(f64, f64)> {
        match self {
            ClientKind::Phone | ClientKind::Tablet => Some((-70.0, 10.0)),
            ClientKind::Laptop | ClientKind::Pc => Some((-75.0, 12.0)),
            _ => None,
        }
    }

    pub(crate) fn sleeps(self) -> bool {
        matches!(self, ClientKind::Phone | ClientKind::Tablet | ClientKind::Iot)
    }
}

/// A user of the network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Address: 12 lower-case hex digits.
    pub mac: String,
    /// Host name.
    pub name: String,
    /// What it is.
    pub kind: ClientKind,
    /// Where it is.
    pub room: String,
    /// Exact place, instead of somewhere near the middle of the room.
    #[serde(default)]
    pub at: Option<[f64; 2]>,
    /// Joined by cable.
    #[serde(default)]
    pub wired: bool,
    /// Wi-Fi generation.
    #[serde(default = "generation")]
    pub generation: Generation,
    /// Spatial streams.
    #[serde(default = "streams")]
    pub streams: u8,
    /// Widest channel it can use at 5 GHz.
    #[serde(default = "width")]
    pub width_mhz: u16,
    /// Does it have a 5 GHz radio?
    #[serde(default = "yes")]
    pub supports_5ghz: bool,
    /// Name of the access point that it is joined to at the start.
    #[serde(default)]
    pub ap: Option<String>,
    /// Band that it uses at the start.
    #[serde(default)]
    pub band: Option<Band>,
    /// Stays where it is, however weak.
    #[serde(default)]
    pub sticky: bool,
    /// It is itself a device that answers tools (a client agent).
    #[serde(default)]
    pub agent: bool,
    /// What it is used for.
    #[serde(default, rename = "habit")]
    pub habits: Vec<Habit>,
}

fn generation() -> Generation {
    Generation::Ax
}
fn streams() -> u8 {
    2
}
fn width() -> u16 {
    80
}
fn yes() -> bool {
    true
}

/// What people do with a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Web pages and social media.
    Browse,
    /// HD video.
    Video,
    /// 4K video.
    Video4k,
    /// An online game.
    Game,
    /// A game rendered elsewhere.
    CloudGame,
    /// A video call.
    Call,
    /// A download that takes what it gets.
    Download,
    /// An upload that takes what it gets.
    Upload,
    /// A camera that always sends.
    Camera,
}

/// What an activity asks of the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Need {
    /// Downlink in Mbps.
    pub down_mbps: f64,
    /// Uplink in Mbps.
    pub up_mbps: f64,
    /// Parallel connections, which weigh when links are full.
    pub flows: f64,
    /// Traffic class for shaping rules.
    pub category: &'static str,
}

impl Activity {
    /// The usual need of this activity.
    pub fn need(self) -> Need {
        let need = |down_mbps, up_mbps, flows, category| Need { down_mbps, up_mbps, flows, category };
        match self {
            Activity::Browse => need(1.5, 0.1, 2.0, "web"),
            Activity::Video => need(5.0, 0.1, 1.0, "video"),
            Activity::Video4k => need(18.0, 0.2, 2.0, "video"),
            Activity::Game => need(0.1, 0.1, 1.0, "realtime"),
            Activity::CloudGame => need(30.0, 0.3, 1.0, "realtime"),
            Activity::Call => need(2.5, 2.5, 1.0, "realtime"),
            Activity::Download => need(10_000.0, 0.5, 8.0, "bulk"),
            Activity::Upload => need(0.3, 10_000.0, 4.0, "bulk"),
            Activity::Camera => need(0.05, 2.0, 1.0, "upload"),
        }
    }
}

/// Something that a client does at certain hours.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Habit {
    /// What.
    pub activity: Activity,
    /// Between which times of day, `HH:MM-HH:MM`.
    #[serde(default = "always")]
    pub hours: String,
    /// Part of those hours in which it happens, 0..1.
    #[serde(default = "half")]
    pub part: f64,
    /// Mean length of one session in minutes.
    #[serde(default = "minutes")]
    pub minutes: f64,
    /// Downlink in Mbps, instead of the usual.
    #[serde(default)]
    pub down_mbps: Option<f64>,
    /// Uplink in Mbps, instead of the usual.
    #[serde(default)]
    pub up_mbps: Option<f64>,
}

fn always() -> String {
    "00:00-24:00".into()
}
fn half() -> f64 {
    0.5
}
fn minutes() -> f64 {
    30.0
}

impl Habit {
    /// The hours as seconds after midnight.
    pub(crate) fn window(&self, place: &str) -> Result<(f64, f64), HomeError> {
        let (from, until) =
            self.hours.split_once('-').ok_or_else(|| HomeError::invalid(place, format!("hours {:?} must look like 19:00-23:30", self.hours)))?;
        Ok((time_of_day(place, from)?, time_of_day(place, until)?))
    }

    /// What it asks of the network.
    pub fn need(&self) -> Need {
        let usual = self.activity.need();
        Need { down_mbps: self.down_mbps.unwrap_or(usual.down_mbps), up_mbps: self.up_mbps.unwrap_or(usual.up_mbps), ..usual }
    }
}

impl Client {
    pub(crate) fn check(&self) -> Result<(), HomeError> {
        let place = format!("client {:?}", self.name);
        check_mac(&place, &self.mac)?;
        for habit in &self.habits {
            habit.window(&place)?;
            if !(0.0..=1.0).contains(&habit.part) || habit.minutes <= 0.0 {
                return Err(HomeError::invalid(place, "a habit needs part in 0..1 and minutes above 0"));
            }
        }
        Ok(())
    }
}

/// A foreign network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbour {
    /// Its name in the air.
    pub ssid: String,
    /// Band.
    pub band: Band,
    /// Primary channel.
    pub channel: u16,
    /// Width in MHz.
    #[serde(default = "narrow")]
    pub width_mhz: u16,
    /// Level at the router, in dBm; other devices hear it up to a few dB differently.
    pub rssi_dbm: f64,
    /// Air that it takes at the busiest hour, 0..1; at other hours in proportion to the neighbourhood's activity.
    #[serde(default = "light")]
    pub load: f64,
    /// Rate of its beacons in Mbps.
    #[serde(default = "beacons")]
    pub beacon_mbps: f64,
}

fn narrow() -> u16 {
    20
}
fn light() -> f64 {
    0.05
}
fn beacons() -> f64 {
    6.0
}
