//! The interfaces of the radios, as `iw dev` prints them.

use crate::args::is_interface;
use talkwire_proto::id::mac_digits;

/// A band of Wi-Fi.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Band {
    Ghz2,
    Ghz5,
    Ghz6,
}

impl Band {
    pub(crate) fn of_mhz(mhz: u32) -> Option<Self> {
        match mhz {
            2400..=2500 => Some(Self::Ghz2),
            5150..=5924 => Some(Self::Ghz5),
            5925..=7125 => Some(Self::Ghz6),
            _ => None,
        }
    }

    /// The word of the tools.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ghz2 => "2.4GHz",
            Self::Ghz5 => "5GHz",
            Self::Ghz6 => "6GHz",
        }
    }
}

/// The number of a channel.
pub(crate) fn channel_of(mhz: u32) -> Option<u32> {
    match (Band::of_mhz(mhz)?, mhz) {
        (Band::Ghz2, 2484) => Some(14),
        (Band::Ghz2, mhz) => mhz.checked_sub(2407).map(|above| above / 5),
        (Band::Ghz5, mhz) => Some((mhz - 5000) / 5),
        (Band::Ghz6, 5935) => Some(2),
        (Band::Ghz6, mhz) => mhz.checked_sub(5950).map(|above| above / 5),
    }
}

/// Whether radar must be listened for on a channel.
pub(crate) fn is_dfs(mhz: u32) -> bool {
    (5250..=5330).contains(&mhz) || (5490..=5730).contains(&mhz)
}

/// One interface of a radio.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Interface {
    pub(crate) phy: u32,
    pub(crate) name: String,
    /// `AP`, `managed`, `mesh point`, `monitor`, …
    pub(crate) kind: String,
    pub(crate) mac: Option<String>,
    pub(crate) ssid: Option<String>,
    /// Of the primary channel.
    pub(crate) mhz: Option<u32>,
    pub(crate) width_mhz: Option<u32>,
    /// The middle of all that is used.
    pub(crate) center_mhz: Option<u32>,
    pub(crate) tx_power_dbm: Option<f64>,
}

impl Interface {
    /// Whether it is an access point.
    pub(crate) fn serves(&self) -> bool {
        self.kind == "AP" || self.kind == "AP/VLAN"
    }

    pub(crate) fn band(&self) -> Option<Band> {
        Band::of_mhz(self.mhz?)
    }

    pub(crate) fn channel(&self) -> Option<u32> {
        channel_of(self.mhz?)
    }
}

pub(super) fn parse(text: &str) -> Vec<Interface> {
    let (mut phy, mut found): (u32, Vec<Interface>) = (0, Vec::new());
    let mut in_unnamed = false;
    for line in text.lines() {
        let line = line.trim();
        if let Some(number) = line.strip_prefix("phy#") {
            phy = number.parse().unwrap_or_default();
        } else if let Some(name) = line.strip_prefix("Interface ") {
            in_unnamed = !is_interface(name);
            if !in_unnamed {
                found.push(Interface {
                    phy,
                    name: name.into(),
                    kind: String::new(),
                    mac: None,
                    ssid: None,
                    mhz: None,
                    width_mhz: None,
                    center_mhz: None,
                    tx_power_dbm: None,
                });
            }
        } else if line.starts_with("Unnamed/non-netdev") {
            in_unnamed = true;
        } else if let Some(last) = found.last_mut().filter(|_| !in_unnamed) {
            read_line(last, line);
        }
    }
    found
}

fn read_line(interface: &mut Interface, line: &str) {
    let Some((name, value)) = line.split_once(' ') else { return };
    match name {
        "addr" => interface.mac = mac_digits(value),
        "ssid" => interface.ssid = Some(super::scan::clean_ssid(value)),
        "type" => interface.kind = value.into(),
        "txpower" => interface.tx_power_dbm = value.split(' ').next().and_then(|dbm| dbm.parse().ok()).filter(|dbm| (-30.0..=50.0).contains(dbm)),
        "channel" => {
            let after = |mark: &str| value.split_once(mark).and_then(|(_, rest)| number(rest.trim_start()));
            interface.mhz = after("(");
            interface.width_mhz = after("width:");
            interface.center_mhz = after("center1:");
        }
        _ => {}
    }
}

/// The whole number that a text begins with.
pub(super) fn number(text: &str) -> Option<u32> {
    let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEV: &str = "phy#1\n\tUnnamed/non-netdev interface\n\t\twdev 0x1\n\t\taddr 02:00:00:00:01:09\n\tInterface wlan1\n\t\tifindex 8\n\t\taddr 02:00:00:00:01:00\n\t\tssid home net\n\t\ttype AP\n\t\tchannel 36 (5180 MHz), width: 80 MHz, center1: 5210 MHz\n\t\ttxpower 23.00 dBm\nphy#0\n\tInterface wlan0\n\t\ttype managed\n\t\tchannel 6 (2437 MHz), width: 20 MHz (no HT), center1: 2437 MHz\n";

    #[test]
    fn interfaces_are_read_with_their_channels() {
        let found = parse(DEV);
        let wanted = Interface {
            phy: 1,
            name: "wlan1".into(),
            kind: "AP".into(),
            mac: Some("020000000100".into()),
            ssid: Some("home net".into()),
            mhz: Some(5180),
            width_mhz: Some(80),
            center_mhz: Some(5210),
            tx_power_dbm: Some(23.0),
        };
        assert_eq!(found[0], wanted);
        assert_eq!((found.len(), found[1].band(), found[1].channel(), found[1].serves()), (2, Some(Band::Ghz2), Some(6), false));
    }

    #[test]
    fn channels_have_numbers() {
        for (mhz, channel) in [(2412, 1), (2472, 13), (2484, 14), (5180, 36), (5825, 165), (5955, 1), (7115, 233)] {
            assert_eq!(channel_of(mhz), Some(channel), "{mhz}");
        }
        assert_eq!((channel_of(900), is_dfs(5260), is_dfs(5180), is_dfs(5720)), (None, true, false, true));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(phy#[0-9]{0,12}\n|\tInterface [a-z./]{0,20}\n|\t\tchannel [0-9]{0,12} \\([0-9]{0,12} MHz\\), width: \\PC{0,9}\n|\\PC{0,30}\n){0,8}") {
            for interface in parse(&text) {
                let _ = (interface.band(), interface.channel());
            }
        }
    }
}
