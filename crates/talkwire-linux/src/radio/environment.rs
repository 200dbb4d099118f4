//! `wifi.get_environment`: how full the air around each radio is, and with what.

use super::interface::{Band, Interface, channel_of, is_dfs};
use super::scan::Network;
use super::survey::{self, Channel, Shares};
use super::{Iw, lacks};
use crate::args;
use crate::machine::Machine;
use crate::tool::{LinuxTool, all, cheap, limited};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::{Args, ToolError};

const OP: &str = "wifi.get_environment";
const BASIC: &str = "wifi.basic_scan";
pub(super) const BANDS: [&str; 3] = ["2.4GHz", "5GHz", "6GHz"];
/// A scan of all channels takes some seconds; the catalogue gives the tool 20 s.
const SCAN: Duration = Duration::from_secs(12);
/// Weaker networks do not make a radio wait (`DOMAIN.md`, part 1).
pub(super) const HEARD_DBM: f64 = -82.0;
const LISTED: usize = 24;

pub(super) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    of(machine, OP)
}

pub(super) fn basic_tool(machine: &Arc<Machine>) -> LinuxTool {
    of(machine, BASIC)
}

fn of(machine: &Arc<Machine>, op: &'static str) -> LinuxTool {
    if let Some(reason) = lacks(&machine.root) {
        return LinuxTool::lacking(op, reason);
    }
    let machine = machine.clone();
    LinuxTool::new(op, limited(cheap(4000), 1), move |call| {
        let machine = machine.clone();
        async move {
            let hidden = args::flag(&call.args, "include_hidden")?.unwrap_or(true);
            args::whole(&call.args, "scan_duration", 100..=30_000)?;
            let radios = listen(&machine, &call.args).await?;
            Ok(json!({"radios": radios.iter().map(|radio| radio.row(hidden)).collect::<Vec<_>>()}))
        }
    })
}

/// What one radio hears.
pub(super) struct Radio {
    pub(super) interface: Interface,
    survey: Vec<(Channel, Option<Shares>)>,
    /// Foreign networks of the band, the strongest first.
    pub(super) networks: Vec<Network>,
    scan_failed: Option<String>,
}

/// Listens with all radios, or with those of one band.
pub(super) async fn listen(machine: &Machine, args: &Args) -> Result<Vec<Radio>, ToolError> {
    let band = args::choice(args, "band", &BANDS)?.map(|place| [Band::Ghz2, Band::Ghz5, Band::Ghz6][place]);
    let iw = Iw::find(&machine.root).ok_or_else(|| ToolError::not_available("no_iw", "the program iw is gone"))?;
    let interfaces = iw.interfaces().await?;
    let own: Vec<String> = interfaces.iter().filter_map(|interface| interface.mac.clone()).collect();
    // One interface speaks for its radio: an access point before the others.
    let mut radios: BTreeMap<(u32, Option<Band>), Interface> = BTreeMap::new();
    for interface in interfaces.into_iter().filter(|interface| interface.mhz.is_some() && band.is_none_or(|band| interface.band() == Some(band))) {
        let place = radios.entry((interface.phy, interface.band())).or_insert_with(|| interface.clone());
        if interface.serves() && !place.serves() {
            *place = interface;
        }
    }
    if radios.is_empty() {
        return Err(ToolError::failed("no radio is on a channel now; it may be off or still look for radar"));
    }
    Ok(all(radios.into_values().map(|interface| radio(&iw, interface, &own)).collect()).await)
}

async fn radio(iw: &Iw, interface: Interface, own: &[String]) -> Radio {
    let before = iw.survey(&interface.name).await;
    let scanned = iw.scan(&interface, SCAN).await;
    let after = iw.survey(&interface.name).await;
    let (mut networks, scan_failed) = match scanned {
        Ok(networks) => (networks, None),
        Err(error) => (Vec::new(), Some(error.message)),
    };
    networks.retain(|network| Band::of_mhz(network.mhz) == interface.band() && !own.contains(&network.bssid));
    networks.sort_by(|a, b| b.rssi_dbm.total_cmp(&a.rssi_dbm));
    let survey = after.into_iter().map(|channel| {
        let earlier = before.iter().find(|earlier| earlier.mhz == channel.mhz);
        (channel, survey::shares(earlier, &channel))
    });
    Radio { survey: survey.collect(), interface, networks, scan_failed }
}

impl Radio {
    fn here(&self) -> Option<&(Channel, Option<Shares>)> {
        self.survey.iter().find(|(channel, _)| Some(channel.mhz) == self.interface.mhz || channel.in_use)
    }

    pub(super) fn noise_dbm(&self) -> Option<f64> {
        self.here().and_then(|(channel, _)| channel.noise_dbm)
    }

    pub(super) fn shares(&self) -> Option<Shares> {
        self.here().and_then(|(_, shares)| *shares)
    }

    fn row(&self, hidden: bool) -> Value {
        let own = &self.interface;
        let mhz = own.mhz.unwrap_or_default();
        let loud = |network: &&Network| network.rssi_dbm >= HEARD_DBM;
        let same = self.networks.iter().filter(loud).filter(|network| network.mhz == mhz).count();
        let adjacent = self.networks.iter().filter(|network| network.mhz != mhz && network.overlaps(own)).count();
        let listed = self.networks.iter().filter(|network| hidden || !network.ssid.is_empty()).take(LISTED);
        let listed =
            listed.map(|network| json!({"ssid": network.ssid, "bssid": network.bssid, "channel": network.channel(), "rssi_dbm": network.rssi_dbm.round()}));
        let shares = self.shares();
        let scanned = self.scan_failed.is_none();
        let known = [
            ("interface", Some(json!(own.name))),
            ("band", own.band().map(|band| json!(band.name()))),
            ("channel", own.channel().map(|channel| json!(channel))),
            ("width_mhz", own.width_mhz.map(|width| json!(width))),
            ("utilization_percent", shares.map(|shares| json!(shares.busy.round()))),
            ("utilization_external_percent", shares.and_then(|shares| shares.external).map(|percent| json!(percent.round()))),
            ("non_wifi_percent", shares.and_then(|shares| shares.other).map(|percent| json!(percent.round()))),
            ("noise_dbm", self.noise_dbm().map(|dbm| json!(dbm))),
            ("tx_power_dbm", own.tx_power_dbm.map(|dbm| json!(dbm))),
            ("dfs", Some(json!(is_dfs(mhz)))),
            ("neighbors_same", scanned.then(|| json!(same))),
            ("neighbors_adjacent", scanned.then(|| json!(adjacent))),
            ("neighbors_total", scanned.then(|| json!(self.networks.len()))),
            ("neighbor_max_dbm", self.networks.first().map(|network| json!(network.rssi_dbm.round()))),
            ("channels", Some(json!(self.channels()))),
            ("neighbors", scanned.then(|| json!(listed.collect::<Vec<_>>()))),
            ("scan_failed", self.scan_failed.as_ref().map(|reason| json!(reason))),
        ];
        Value::Object(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>())
    }

    /// The channels that could be used instead, as far as they were listened to: at 2.4 GHz only those that do not overlap.
    fn channels(&self) -> Vec<Value> {
        let band = self.interface.band();
        let candidates = self
            .survey
            .iter()
            .filter(|(channel, _)| Band::of_mhz(channel.mhz) == band && (band != Some(Band::Ghz2) || matches!(channel.mhz, 2412 | 2437 | 2462)));
        let row = |(channel, shares): &(Channel, Option<Shares>)| {
            let neighbours = self.networks.iter().filter(|network| network.mhz == channel.mhz && network.rssi_dbm >= HEARD_DBM).count();
            // On a channel that is not ours all that is heard is foreign.
            let external = shares.and_then(|shares| if Some(channel.mhz) == self.interface.mhz { shares.external } else { Some(shares.busy) });
            let mut row = json!({"channel": channel_of(channel.mhz), "neighbors": neighbours, "dfs": is_dfs(channel.mhz)});
            if let Some(percent) = external {
                row["utilization_external_percent"] = json!(percent.round());
            }
            row
        };
        candidates.take(64).map(row).collect()
    }
}
