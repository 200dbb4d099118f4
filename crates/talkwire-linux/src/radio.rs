//! The radios: what `iw` says of nl80211 (interfaces, survey, scan, stations), and hostapd where there is no `iw`.

pub(crate) mod station;

mod environment;
mod hostapd;
mod interface;
mod interference;
mod scan;
mod survey;

use crate::machine::Machine;
use crate::program;
use crate::root::Root;
use crate::tool::{LinuxTool, all};
pub(crate) use interface::Interface;
use station::Station;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::ToolError;

const TIME: Duration = Duration::from_secs(4);
/// Interfaces that are looked at; a machine has two or three radios with a few names each.
const MOST: usize = 16;

pub(crate) fn tools(machine: &Arc<Machine>) -> Vec<LinuxTool> {
    // Rooms are known to who planned the home, and the moves of a client between access points to their controller.
    let never = [("wifi.signal_map", "needs_a_floor_plan"), ("wifi.roaming_test", "needs_a_wifi_controller")];
    let never = never.map(|(op, reason)| LinuxTool::lacking(op, if lacks(&machine.root) == Some("no_radio") { "no_radio" } else { reason }));
    [environment::tool(machine), environment::basic_tool(machine), interference::tool(machine)].into_iter().chain(never).collect()
}

/// The program that speaks nl80211.
#[derive(Debug, Clone)]
pub(crate) struct Iw(PathBuf);

impl Iw {
    pub(crate) fn find(root: &Root) -> Option<Self> {
        root.program("iw").map(Self)
    }

    async fn run(&self, words: &[&str], time: Duration) -> Result<String, ToolError> {
        let args: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        program::run(&self.0, &args, time).await.map(|output| output.text)
    }

    /// The interfaces of all radios.
    pub(crate) async fn interfaces(&self) -> Result<Vec<Interface>, ToolError> {
        let mut found = interface::parse(&self.run(&["dev"], TIME).await?);
        found.truncate(MOST);
        Ok(found)
    }

    async fn survey(&self, name: &str) -> Vec<survey::Channel> {
        self.run(&["dev", name, "survey", "dump"], TIME).await.map(|text| survey::parse(&text)).unwrap_or_default()
    }

    pub(crate) async fn stations(&self, name: &str) -> Vec<Station> {
        self.run(&["dev", name, "station", "dump"], TIME).await.map(|text| station::parse(&text)).unwrap_or_default()
    }

    /// The paths of an 802.11s mesh, as printed.
    pub(crate) async fn mesh_paths(&self, name: &str) -> Result<String, ToolError> {
        self.run(&["dev", name, "mpath", "dump"], TIME).await
    }

    /// The networks around. An access point has to be told that it may leave its channel for a moment.
    async fn scan(&self, interface: &Interface, time: Duration) -> Result<Vec<scan::Network>, ToolError> {
        let name = interface.name.as_str();
        let fresh = match interface.serves() {
            true => self.run(&["dev", name, "scan", "ap-force"], time).await,
            false => self.run(&["dev", name, "scan"], time).await,
        };
        let text = match fresh {
            Ok(text) => text,
            // Busy or not permitted: what the kernel still knows is better than nothing.
            Err(error) => self.run(&["dev", name, "scan", "dump"], TIME).await.ok().filter(|text| !text.trim().is_empty()).ok_or(error)?,
        };
        Ok(scan::parse(&text))
    }
}

/// The wireless clients of this machine's own access points, by MAC address.
pub(crate) async fn clients(root: &Root) -> BTreeMap<String, (Interface, Station)> {
    let mut found = BTreeMap::new();
    if let Some(iw) = Iw::find(root)
        && let Ok(interfaces) = iw.interfaces().await
    {
        let serving: Vec<Interface> = interfaces.into_iter().filter(Interface::serves).collect();
        let stations = all(serving.iter().map(|interface| iw.stations(&interface.name)).collect()).await;
        let noise = all(serving.iter().map(|interface| iw.survey(&interface.name)).collect()).await;
        for ((interface, stations), survey) in serving.into_iter().zip(stations).zip(noise) {
            let noise_dbm = survey.iter().find(|channel| channel.in_use).and_then(|channel| channel.noise_dbm);
            for station in stations {
                let station = Station { noise_dbm, ..station };
                found.insert(station.mac.clone(), (interface.clone(), station));
            }
        }
    } else {
        found.extend(hostapd::stations(root).await.into_iter().map(|(interface, station)| (station.mac.clone(), (interface, station))));
    }
    found
}

/// Whether anything can be asked about radios here; else the reason.
pub(crate) fn lacks(root: &Root) -> Option<&'static str> {
    let has_radio = !root.names("sys/class/ieee80211").is_empty();
    match (has_radio, Iw::find(root)) {
        (false, _) => Some("no_radio"),
        (true, None) => Some("no_iw"),
        (true, Some(_)) => None,
    }
}
