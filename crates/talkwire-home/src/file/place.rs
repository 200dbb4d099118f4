//! The place: site, rooms and walls.

use crate::error::HomeError;
use crate::physics::path::Material;
use crate::physics::region::Region;
use serde::{Deserialize, Serialize};

/// Where the home is and when its clock starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Tenant in topics.
    #[serde(default = "tenant")]
    pub tenant: String,
    /// Site in topics.
    pub site: String,
    /// Name for people.
    pub name: String,
    /// Whose radio law holds.
    pub region: Region,
    /// Time of day at the start, `HH:MM`.
    #[serde(default = "start")]
    pub start: String,
    /// Day at the start, 0 = Monday.
    #[serde(default)]
    pub weekday: u8,
    /// How long the house has lived with its faults before the start, such as `2h`: logs, heat and leases have a past.
    #[serde(default = "history")]
    pub history: String,
    /// Mean temperature of the rooms in °C; it swings by ±3 with its top at 15 h.
    #[serde(default = "ambient")]
    pub ambient_c: f64,
    /// Spread of the fixed shadowing of each radio link in dB.
    #[serde(default = "shadow")]
    pub shadow_db: f64,
}

fn tenant() -> String {
    "home".into()
}
fn start() -> String {
    "12:00".into()
}
fn history() -> String {
    "2h".into()
}
fn ambient() -> f64 {
    25.0
}
fn shadow() -> f64 {
    2.0
}

impl Site {
    pub(crate) fn check(&self) -> Result<(), HomeError> {
        time_of_day("site.start", &self.start).map(|_| ())?;
        if span("site.history", &self.history)? > 14.0 * 86_400.0 {
            return Err(HomeError::invalid("site.history", "at most 14d"));
        }
        if self.weekday > 6 {
            return Err(HomeError::invalid("site.weekday", "write 0 (Monday) to 6 (Sunday)"));
        }
        Ok(())
    }
}

/// Reads `HH:MM` as seconds after midnight.
pub fn time_of_day(place: &str, text: &str) -> Result<f64, HomeError> {
    let parsed = text.split_once(':').and_then(|(hours, minutes)| {
        let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours <= 24 && minutes < 60).then_some(f64::from(hours * 3600 + minutes * 60))
    });
    parsed.ok_or_else(|| HomeError::invalid(place, format!("{text:?} is not a time of day, write HH:MM")))
}

/// Reads a span such as `90s`, `10m`, `2h` or `1d` as seconds.
pub fn span(place: &str, text: &str) -> Result<f64, HomeError> {
    let units = [('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', 86_400.0)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(*unit)?.parse().ok()?;
        (number >= 0.0).then_some(number * seconds)
    });
    parsed.ok_or_else(|| HomeError::invalid(place, format!("{text:?} is not a span, write 90s, 10m, 2h or 1d")))
}

/// A room: a point on the plan around which things stand.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// Metres to the east.
    pub x: f64,
    /// Metres to the north.
    pub y: f64,
    /// Floor, 0 = ground.
    #[serde(default)]
    pub floor: i8,
}

/// A wall on the plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wall {
    /// One end `[x, y]`.
    pub from: [f64; 2],
    /// The other end `[x, y]`.
    pub to: [f64; 2],
    /// The floor it stands on.
    #[serde(default)]
    pub floor: i8,
    /// What it is made of.
    pub material: Material,
}

/// What a signal between two rooms crosses, instead of the walls of the plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passage {
    /// The two rooms, in any order.
    pub between: [String; 2],
    /// Everything that is crossed.
    pub walls: Vec<Material>,
}
