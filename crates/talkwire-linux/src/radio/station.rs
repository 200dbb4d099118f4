//! The clients of an access point, as `iw dev … station dump` prints them.

use crate::text::tenth;
use talkwire_proto::id::mac_digits;

const MOST: usize = 512;

/// One client, as the access point sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Station {
    pub(crate) mac: String,
    /// What the access point hears.
    pub(crate) rssi_dbm: Option<f64>,
    /// The same per antenna.
    pub(crate) chains_dbm: Vec<f64>,
    pub(crate) noise_dbm: Option<f64>,
    /// To the client.
    pub(crate) down: Rate,
    /// From the client.
    pub(crate) up: Rate,
    pub(crate) tx_packets: Option<u64>,
    pub(crate) tx_retries: Option<u64>,
    pub(crate) tx_failed: Option<u64>,
    pub(crate) connected_s: Option<u64>,
    pub(crate) inactive_ms: Option<u64>,
    /// The neighbour of an 802.11s mesh, and how it stands with it: `ESTAB`.
    pub(crate) mesh_link: Option<String>,
}

/// A rate of the air.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Rate {
    pub(crate) mbps: Option<f64>,
    /// `n`, `ac`, `ax`, `be`; none on older ones.
    pub(crate) generation: Option<&'static str>,
    pub(crate) streams: Option<u32>,
    pub(crate) width_mhz: Option<u32>,
}

impl Station {
    /// Transmissions that had to be repeated, in percent of all.
    pub(crate) fn retry_percent(&self) -> Option<f64> {
        let (packets, retries) = (self.tx_packets?, self.tx_retries?);
        let all = packets.checked_add(retries).filter(|all| *all > 0)?;
        Some(tenth(100.0 * retries as f64 / all as f64))
    }

    pub(crate) fn snr_db(&self) -> Option<f64> {
        Some((self.rssi_dbm? - self.noise_dbm?).round())
    }
}

pub(super) fn parse(text: &str) -> Vec<Station> {
    let mut found: Vec<Station> = Vec::new();
    let mut is_known = false;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Station ") {
            let mac = rest.get(..17).and_then(mac_digits).filter(|_| found.len() < MOST);
            is_known = mac.is_some();
            found.extend(mac.map(|mac| Station { mac, ..Station::default() }));
            continue;
        }
        let Some(station) = found.last_mut().filter(|_| is_known) else { continue };
        let Some((name, value)) = line.trim().split_once(':') else { continue };
        let value = value.trim();
        let whole = || value.split(' ').next().and_then(|text| text.parse::<u64>().ok());
        match name {
            "signal" => {
                station.rssi_dbm = level(value.split(' ').next());
                let inside = value.split_once('[').and_then(|(_, rest)| rest.split(']').next());
                station.chains_dbm = inside.unwrap_or_default().split(',').filter_map(|text| level(Some(text.trim()))).take(8).collect();
            }
            "tx bitrate" => station.down = rate(value),
            "rx bitrate" => station.up = rate(value),
            "tx packets" => station.tx_packets = whole(),
            "tx retries" => station.tx_retries = whole(),
            "tx failed" => station.tx_failed = whole(),
            "connected time" => station.connected_s = whole(),
            "inactive time" => station.inactive_ms = whole(),
            "mesh plink" => station.mesh_link = Some(crate::text::clean(value, 16)),
            _ => {}
        }
    }
    found
}

fn level(text: Option<&str>) -> Option<f64> {
    text?.parse::<f64>().ok().filter(|dbm| (-120.0..0.0).contains(dbm))
}

/// `866.7 MBit/s VHT-MCS 9 80MHz short GI VHT-NSS 2`
pub(super) fn rate(text: &str) -> Rate {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let after = |name: &str| words.iter().position(|word| *word == name).and_then(|place| words.get(place + 1)?.parse::<u32>().ok());
    let mbps = words.first().and_then(|text| text.parse::<f64>().ok()).filter(|mbps| (0.1..1e6).contains(mbps));
    let known = [("EHT-MCS", "EHT-NSS", "be"), ("HE-MCS", "HE-NSS", "ax"), ("VHT-MCS", "VHT-NSS", "ac")];
    let newer = known.into_iter().find(|(scheme, ..)| words.contains(scheme));
    let (generation, streams) = match newer {
        Some((_, streams, generation)) => (Some(generation), after(streams)),
        None => after("MCS").filter(|scheme| *scheme < 32).map_or((None, None), |scheme| (Some("n"), Some(scheme / 8 + 1))),
    };
    let width = words.iter().find_map(|word| word.strip_suffix("MHz")?.parse::<u32>().ok());
    Rate { mbps, generation, streams, width_mhz: width.or(generation.map(|_| 20)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DUMP: &str = "Station 02:00:00:00:a0:01 (on wlan1)\n\tinactive time:\t304 ms\n\ttx packets:\t860\n\ttx retries:\t140\n\ttx failed:\t2\n\tsignal:  \t-55 [-56, -57] dBm\n\tsignal avg:\t-54 dBm\n\ttx bitrate:\t866.7 MBit/s VHT-MCS 9 80MHz short GI VHT-NSS 2\n\trx bitrate:\t130.0 MBit/s MCS 15\n\tconnected time:\t600 seconds\nStation nonsense\n\tsignal: -1 dBm\n";

    #[test]
    fn a_client_is_read() {
        let found = parse(DUMP);
        assert_eq!(found.len(), 1);
        let station = Station { noise_dbm: Some(-92.0), ..found[0].clone() };
        assert_eq!(
            (station.rssi_dbm, station.chains_dbm.as_slice(), station.retry_percent(), station.snr_db()),
            (Some(-55.0), &[-56.0, -57.0][..], Some(14.0), Some(37.0))
        );
        assert_eq!(station.down, Rate { mbps: Some(866.7), generation: Some("ac"), streams: Some(2), width_mhz: Some(80) });
        assert_eq!(station.up, Rate { mbps: Some(130.0), generation: Some("n"), streams: Some(2), width_mhz: Some(20) });
        assert_eq!(rate("54.0 MBit/s"), Rate { mbps: Some(54.0), ..Rate::default() });
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(Station [0-9a-f:]{0,17}\n|\tsignal: -?[0-9.]{0,6} \\[[-0-9, ]{0,9}\\]?\n|\ttx (bitrate|retries|packets): [0-9.]{0,21} MBit/s (VHT-)?MCS [0-9]{0,5}\n|\\PC{0,20}\n){0,10}") {
            for station in parse(&text) {
                prop_assert!(station.retry_percent().is_none_or(|percent| (0.0..=100.0).contains(&percent)));
            }
        }
    }
}
