//! Which channels and powers the law of a region allows.

use super::path::Band;
use serde::{Deserialize, Serialize};

/// A regulatory region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Region {
    /// Taiwan.
    #[serde(rename = "TW")]
    Taiwan,
    /// United States.
    #[serde(rename = "US")]
    UnitedStates,
    /// Mainland China.
    #[serde(rename = "CN")]
    China,
    /// European Union.
    #[serde(rename = "EU")]
    Europe,
}

const LOW: [u16; 4] = [36, 40, 44, 48];
const LOW_DFS: [u16; 4] = [52, 56, 60, 64];
const MIDDLE_DFS: [u16; 12] = [100, 104, 108, 112, 116, 120, 124, 128, 132, 136, 140, 144];
const HIGH: [u16; 5] = [149, 153, 157, 161, 165];

impl Region {
    /// Every channel that may be used, in order.
    pub fn channels(self, band: Band) -> Vec<u16> {
        match band {
            Band::Ghz2 if self == Region::UnitedStates => (1..=11).collect(),
            Band::Ghz2 => (1..=13).collect(),
            Band::Ghz5 => {
                let mut all: Vec<u16> = LOW.iter().chain(&LOW_DFS).copied().collect();
                if self != Region::China {
                    all.extend(MIDDLE_DFS);
                }
                if self != Region::Europe {
                    all.extend(HIGH);
                }
                all
            }
            Band::Ghz6 => match self {
                Region::China => Vec::new(),
                Region::UnitedStates => (0..59).map(|i| 1 + 4 * i).collect(),
                Region::Taiwan | Region::Europe => (0..24).map(|i| 1 + 4 * i).collect(),
            },
        }
    }

    /// May this channel be used here?
    pub fn allows(self, band: Band, channel: u16) -> bool {
        self.channels(band).contains(&channel)
    }

    /// The channels worth proposing: those that do not overlap each other, radar channels last.
    pub fn candidates(self, band: Band) -> Vec<u16> {
        match band {
            Band::Ghz2 => vec![1, 6, 11],
            _ => {
                let mut all = self.channels(band);
                all.sort_by_key(|channel| (needs_radar_watch(band, *channel), *channel));
                all
            }
        }
    }

    /// The highest radiated power in dBm.
    pub fn limit_dbm(self, band: Band, channel: u16) -> f64 {
        match band {
            Band::Ghz2 => 20.0,
            Band::Ghz5 if channel >= 149 => 30.0,
            Band::Ghz5 => 23.0,
            Band::Ghz6 => 24.0,
        }
    }
}

/// Must the radio listen for radar before it sends on this channel?
pub fn needs_radar_watch(band: Band, channel: u16) -> bool {
    band == Band::Ghz5 && (52..=144).contains(&channel)
}

/// How long it listens before the first frame, in seconds.
pub fn radar_watch_s(channel: u16) -> f64 {
    if (120..=128).contains(&channel) { 600.0 } else { 60.0 }
}

/// How long a channel stays closed after radar was heard, in seconds.
pub const RADAR_CLOSED_S: f64 = 1800.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_differ_where_the_law_does() {
        assert!(!Region::UnitedStates.allows(Band::Ghz2, 13));
        assert!(Region::Taiwan.allows(Band::Ghz2, 13));
        assert!(!Region::China.allows(Band::Ghz5, 100));
        assert!(!Region::Europe.allows(Band::Ghz5, 149));
        assert!(Region::China.channels(Band::Ghz6).is_empty());
    }
}
