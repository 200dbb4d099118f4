//! The clients of an access point by `hostapd_cli`, for machines without `iw`.

use super::interface::Interface;
use super::station::{Rate, Station};
use crate::args::is_interface;
use crate::program;
use crate::root::Root;
use std::time::Duration;
use talkwire_proto::id::mac_digits;

const TIME: Duration = Duration::from_secs(3);
/// Where hostapd has its control sockets, one per interface.
const SOCKETS: [&str; 2] = ["run/hostapd", "var/run/hostapd"];
const MOST: usize = 8;

pub(super) async fn stations(root: &Root) -> Vec<(Interface, Station)> {
    let Some(cli) = root.program("hostapd_cli") else { return Vec::new() };
    let Some(folder) = SOCKETS.into_iter().find(|folder| !root.names(folder).is_empty()) else { return Vec::new() };
    let mut found = Vec::new();
    for name in root.names(folder).into_iter().filter(|name| is_interface(name) && name != "global").take(MOST) {
        let ask = |word: &str| ["-p".to_owned(), format!("/{folder}"), "-i".into(), name.clone(), word.into()];
        let (Ok(status), Ok(all)) = (program::run(&cli, &ask("status"), TIME).await, program::run(&cli, &ask("all_sta"), TIME).await) else { continue };
        let interface = parse_status(&name, &status.text);
        found.extend(parse(&all.text).into_iter().map(|station| (interface.clone(), station)));
    }
    found
}

fn parse_status(name: &str, text: &str) -> Interface {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let mhz = value("freq").and_then(|text| text.trim().parse().ok());
    let ssid = value("ssid[0]").map(super::scan::clean_ssid);
    let mac = value("bssid[0]").and_then(|text| mac_digits(text.trim()));
    Interface { phy: 0, name: name.into(), kind: "AP".into(), mac, ssid, mhz, width_mhz: None, center_mhz: None, tx_power_dbm: None }
}

/// A line with the address, then lines `key=value`.
fn parse(text: &str) -> Vec<Station> {
    let mut found: Vec<Station> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(mac) = mac_digits(line) {
            found.push(Station { mac, ..Station::default() });
            continue;
        }
        let (Some(station), Some((key, value))) = (found.last_mut(), line.split_once('=')) else { continue };
        let whole = || value.parse::<u64>().ok();
        // Rates are in tenths of a Mbit/s, perhaps with words behind.
        let rate = || Rate {
            mbps: value.split(' ').next().and_then(|text| text.parse::<f64>().ok()).map(|tenths| tenths / 10.0).filter(|mbps| *mbps > 0.0),
            ..Rate::default()
        };
        match key {
            "signal" => station.rssi_dbm = value.parse::<f64>().ok().filter(|dbm| (-120.0..0.0).contains(dbm)),
            "tx_packets" => station.tx_packets = whole(),
            "tx_retry_count" => station.tx_retries = whole(),
            "connected_time" => station.connected_s = whole(),
            "inactive_msec" => station.inactive_ms = whole(),
            "tx_rate_info" => station.down = rate(),
            "rx_rate_info" => station.up = rate(),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_hostapd_are_understood() {
        let text = "02:00:00:00:a0:01\nflags=[AUTH][ASSOC][AUTHORIZED]\nsignal=-55\ntx_packets=90\nrx_rate_info=1300 vhtmcs 7\ntx_rate_info=1444\nconnected_time=600\ninactive_msec=20\nnonsense\n02:00:00:00:a0:02\nsignal=3\n";
        let found = parse(text);
        assert_eq!((found[0].rssi_dbm, found[0].down.mbps, found[0].up.mbps, found[0].connected_s), (Some(-55.0), Some(144.4), Some(130.0), Some(600)));
        assert_eq!((found.len(), found[1].rssi_dbm), (2, None));
        let interface = parse_status("wlan0", "state=ENABLED\nfreq=2437\nchannel=6\nbssid[0]=02:00:00:00:01:00\nssid[0]=home\n");
        assert_eq!((interface.channel(), interface.ssid.as_deref(), interface.mac.as_deref()), (Some(6), Some("home"), Some("020000000100")));
    }
}
