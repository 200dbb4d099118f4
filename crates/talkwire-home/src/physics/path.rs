//! How much of a signal arrives: bands, walls and distance.

use serde::{Deserialize, Serialize};

/// A Wi-Fi frequency band.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Band {
    /// 2400–2483 MHz.
    #[serde(rename = "2.4GHz")]
    Ghz2,
    /// 5150–5850 MHz.
    #[serde(rename = "5GHz")]
    Ghz5,
    /// 5925 MHz and above.
    #[serde(rename = "6GHz")]
    Ghz6,
}

impl Band {
    /// The name used on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Band::Ghz2 => "2.4GHz",
            Band::Ghz5 => "5GHz",
            Band::Ghz6 => "6GHz",
        }
    }

    /// The frequency used for the loss of a link on this channel.
    pub fn frequency_mhz(self, channel: u16) -> f64 {
        match self {
            Band::Ghz2 => 2437.0,
            Band::Ghz5 if channel >= 149 => 5775.0,
            Band::Ghz5 if channel >= 100 => 5600.0,
            Band::Ghz5 => 5250.0,
            Band::Ghz6 => 6200.0,
        }
    }

    fn column(self) -> usize {
        match self {
            Band::Ghz2 => 0,
            Band::Ghz5 => 1,
            Band::Ghz6 => 2,
        }
    }
}

/// What a wall or a floor is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Material {
    /// A plasterboard partition.
    Plasterboard,
    /// A wooden door or clear glass.
    Door,
    /// Brick, 12 cm.
    #[serde(rename = "brick-12")]
    Brick12,
    /// Brick, 24 cm.
    #[serde(rename = "brick-24")]
    Brick24,
    /// Reinforced concrete, 10 cm.
    #[serde(rename = "concrete-10")]
    Concrete10,
    /// Reinforced concrete, 15 cm.
    #[serde(rename = "concrete-15")]
    Concrete15,
    /// Reinforced concrete, 20 cm.
    #[serde(rename = "concrete-20")]
    Concrete20,
    /// Reinforced concrete, 25 cm.
    #[serde(rename = "concrete-25")]
    Concrete25,
    /// A tiled bathroom wall with a mirror.
    Bathroom,
    /// Coated insulating glass.
    LowEGlass,
    /// A metal door, a fridge, a lift.
    Metal,
    /// A wooden floor.
    WoodFloor,
    /// A concrete slab between floors.
    Slab,
}

impl Material {
    /// Loss in dB when the path crosses it once.
    pub fn loss_db(self, band: Band) -> f64 {
        let row = match self {
            Material::Plasterboard => [3.0, 4.0, 4.5],
            Material::Door => [2.5, 3.5, 4.0],
            Material::Brick12 => [7.0, 9.0, 10.0],
            Material::Brick24 => [12.0, 15.0, 17.0],
            Material::Concrete10 => [9.0, 15.0, 17.0],
            Material::Concrete15 => [13.0, 21.0, 24.0],
            Material::Concrete20 => [17.0, 28.0, 31.0],
            Material::Concrete25 => [20.0, 34.0, 38.0],
            Material::Bathroom => [8.0, 12.0, 13.0],
            Material::LowEGlass => [12.0, 20.0, 22.0],
            Material::Metal => [20.0, 25.0, 26.0],
            Material::WoodFloor => [8.0, 11.0, 12.0],
            Material::Slab => [15.0, 22.0, 25.0],
        };
        row[band.column()]
    }
}

/// Loss of a path in dB: free space at one metre, indoor slope 2.06, and what stands in the way.
pub fn loss_db(frequency_mhz: f64, distance_m: f64, obstacles_db: f64) -> f64 {
    20.0 * frequency_mhz.log10() - 27.55 + 20.6 * distance_m.max(1.0).log10() + obstacles_db
}

/// What the client receives.
pub fn rssi_down_dbm(eirp_dbm: f64, client_gain_db: f64, loss_db: f64, clutter_db: f64) -> f64 {
    eirp_dbm + client_gain_db - loss_db - clutter_db
}

/// What the access point receives.
pub fn rssi_up_dbm(client_dbm: f64, client_gain_db: f64, loss_db: f64, clutter_db: f64) -> f64 {
    client_dbm + client_gain_db + 3.0 - loss_db - clutter_db
}

/// Do two segments on a floor plan cross?
pub fn crosses(a: [f64; 2], b: [f64; 2], c: [f64; 2], d: [f64; 2]) -> bool {
    let side = |p: [f64; 2], q: [f64; 2], r: [f64; 2]| (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]);
    side(a, b, c) * side(a, b, d) < 0.0 && side(c, d, a) * side(c, d, b) < 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_between_two_points_is_crossed_and_one_beside_them_is_not() {
        assert!(crosses([0.0, 0.0], [4.0, 0.0], [2.0, -1.0], [2.0, 1.0]));
        assert!(!crosses([0.0, 0.0], [4.0, 0.0], [5.0, -1.0], [5.0, 1.0]));
    }

    #[test]
    fn the_first_metre_costs_what_the_band_says() {
        assert!((loss_db(2437.0, 1.0, 0.0) - 40.2).abs() < 0.1);
        assert!((loss_db(5775.0, 0.3, 0.0) - 47.7).abs() < 0.1);
    }
}
