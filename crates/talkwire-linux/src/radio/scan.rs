//! The networks around, as `iw dev … scan` prints them.

use super::interface::{Interface, channel_of, number};
use crate::text::clean;
use talkwire_proto::id::mac_digits;

const SSID_CHARS: usize = 32;
const MOST: usize = 512;

/// A network that was heard.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Network {
    pub(super) bssid: String,
    /// Empty when the network hides its name.
    pub(super) ssid: String,
    /// Of the primary channel.
    pub(super) mhz: u32,
    pub(super) rssi_dbm: f64,
    pub(super) width_mhz: u32,
    /// The middle of all that is used.
    pub(super) center_mhz: u32,
}

impl Network {
    pub(super) fn channel(&self) -> Option<u32> {
        channel_of(self.mhz)
    }

    /// Whether it uses air that our interface uses as well.
    pub(super) fn overlaps(&self, own: &Interface) -> bool {
        let (Some(mhz), width) = (own.mhz, own.width_mhz.unwrap_or(20)) else { return false };
        let center = own.center_mhz.unwrap_or(mhz);
        // At 2.4 GHz a signal of 20 MHz is wider than its name.
        let spread = |width: u32, mhz: u32| if mhz < 2500 && width == 20 { 22 } else { width };
        2 * center.abs_diff(self.center_mhz) < spread(width, mhz) + spread(self.width_mhz, self.mhz)
    }
}

/// A name that others chose, made harmless.
pub(super) fn clean_ssid(text: &str) -> String {
    // `\x00` is how iw prints bytes that are no letters; a name of nothing else is hidden.
    let hidden = text.replace("\\x00", "");
    clean(&hidden, SSID_CHARS)
}

pub(super) fn parse(text: &str) -> Vec<Network> {
    let mut found: Vec<Network> = Vec::new();
    let mut part = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("BSS ") {
            part = "";
            let bssid = rest.get(..17).and_then(mac_digits).unwrap_or_default();
            if found.len() < MOST {
                found.push(Network { bssid, ssid: String::new(), mhz: 0, rssi_dbm: f64::NAN, width_mhz: 20, center_mhz: 0 });
            }
            continue;
        }
        let Some(network) = found.last_mut() else { continue };
        let line = line.trim();
        if let Some(bullet) = line.strip_prefix("* ") {
            operation(network, part, bullet);
        } else if let Some((name, value)) = line.split_once(':') {
            part = name;
            let value = value.trim();
            match name {
                "freq" => network.mhz = number(value).unwrap_or_default(),
                "signal" => network.rssi_dbm = value.split(' ').next().and_then(|dbm| dbm.parse().ok()).unwrap_or(f64::NAN),
                "SSID" => network.ssid = clean_ssid(value),
                _ => {}
            }
        }
    }
    for network in &mut found {
        if network.center_mhz == 0 {
            network.center_mhz = network.mhz;
        }
    }
    found.retain(|network| !network.bssid.is_empty() && channel_of(network.mhz).is_some() && (-120.0..=0.0).contains(&network.rssi_dbm));
    found
}

/// What the network says of the width that it uses.
fn operation(network: &mut Network, part: &str, bullet: &str) {
    let Some((name, value)) = bullet.split_once(':') else { return };
    let value = value.trim();
    match (part, name.trim()) {
        ("HT operation", "secondary channel offset") => {
            let shift: i32 = match value {
                "above" => 10,
                "below" => -10,
                _ => return,
            };
            network.width_mhz = 40;
            network.center_mhz = network.mhz.saturating_add_signed(shift);
        }
        ("VHT operation", "channel width") => match number(value) {
            Some(1) => network.width_mhz = 80,
            Some(2 | 3) => network.width_mhz = 160,
            _ => {}
        },
        ("VHT operation", "center freq segment 1") if network.width_mhz >= 80 => {
            if let Some(channel) = number(value).filter(|channel| (1..=200).contains(channel)) {
                network.center_mhz = 5000 + 5 * channel;
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::interface;
    use super::*;
    use proptest::prelude::*;

    const SCAN: &str = "BSS 02:00:00:0f:00:01(on wlan0)\n\tlast seen: 12 ms ago\n\tfreq: 2437.0\n\tsignal: -58.00 dBm\n\tSSID: Sunny-4F\n\tHT operation:\n\t\t * primary channel: 6\n\t\t * secondary channel offset: above\nBSS 02:00:00:0f:00:02(on wlan0)\n\tfreq: 5180\n\tsignal: -70.00 dBm\n\tSSID: \\x00\\x00\n\tVHT operation:\n\t\t * channel width: 1 (80 MHz)\n\t\t * center freq segment 1: 42\nBSS nonsense\n\tfreq: 99\n";

    #[test]
    fn networks_are_read_with_the_air_that_they_use() {
        let found = parse(SCAN);
        let first = Network { bssid: "0200000f0001".into(), ssid: "Sunny-4F".into(), mhz: 2437, rssi_dbm: -58.0, width_mhz: 40, center_mhz: 2447 };
        let second = Network { bssid: "0200000f0002".into(), ssid: String::new(), mhz: 5180, rssi_dbm: -70.0, width_mhz: 80, center_mhz: 5210 };
        assert_eq!(found, [first, second], "a network whose address cannot be read is left out");
    }

    #[test]
    fn what_overlaps_is_a_matter_of_width() {
        let own = interface::parse("phy#0\n\tInterface w\n\t\tchannel 6 (2437 MHz), width: 20 MHz, center1: 2437 MHz\n").remove(0);
        let network = |mhz: u32| Network { bssid: String::new(), ssid: String::new(), mhz, rssi_dbm: -60.0, width_mhz: 20, center_mhz: mhz };
        for (mhz, overlaps) in [(2437, true), (2457, true), (2462, false), (2412, false), (2417, true), (5180, false)] {
            assert_eq!(network(mhz).overlaps(&own), overlaps, "{mhz}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(BSS [0-9a-f:]{0,17}\n|\tfreq: [0-9.]{0,12}\n|\tsignal: -?[0-9.]{0,8} dBm\n|\tVHT operation:\n|\t\t \\* [a-z ]{0,24}: \\PC{0,9}\n|\\PC{0,20}\n){0,12}") {
            for network in parse(&text) {
                prop_assert!(network.ssid.chars().count() <= SSID_CHARS && network.rssi_dbm.is_finite());
            }
        }
    }
}
