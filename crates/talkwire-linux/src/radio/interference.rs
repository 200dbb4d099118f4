//! `wifi.get_interference_sources`: who and what disturbs the radios on their channels.

use super::environment::{BANDS, HEARD_DBM, Radio, listen};
use super::lacks;
use crate::args;
use crate::machine::Machine;
use crate::tool::{LinuxTool, cheap, limited};
use serde_json::{Value, json};
use std::sync::Arc;
use talkwire_device::ToolError;

const OP: &str = "wifi.get_interference_sources";
/// From this share on, what decodes as nothing is worth a word.
const OTHER_PERCENT: f64 = 10.0;
/// The air of a quiet place is below this.
const NOISE_DBM: f64 = -86.0;
const MOST: usize = 64;

pub(super) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if let Some(reason) = lacks(&machine.root) {
        return LinuxTool::lacking(OP, reason);
    }
    let machine = machine.clone();
    LinuxTool::new(OP, limited(cheap(4000), 1), move |call| {
        let machine = machine.clone();
        async move {
            args::choice(&call.args, "band", &BANDS)?;
            let threshold = threshold(&call.args)?;
            let radios = listen(&machine, &call.args).await?;
            let mut sources: Vec<Value> = radios.iter().flat_map(|radio| sources(radio, threshold)).collect();
            let total = sources.len();
            sources.truncate(MOST);
            Ok(json!({"sources": sources, "total": total, "threshold_dbm": threshold}))
        }
    })
}

fn threshold(args: &talkwire_device::Args) -> Result<f64, ToolError> {
    let given = args.get("threshold_dbm").filter(|value| !value.is_null());
    let Some(value) = given else { return Ok(HEARD_DBM) };
    let fits = value.as_f64().filter(|dbm| (-100.0..=-20.0).contains(dbm));
    fits.ok_or_else(|| ToolError::invalid_args("args.threshold_dbm must be a number from -100 to -20"))
}

fn sources(radio: &Radio, threshold: f64) -> Vec<Value> {
    let own = &radio.interface;
    let on = |kind: &str| json!({"type": kind, "interface": own.name, "band": own.band().map(|band| band.name()), "channel": own.channel()});
    let mut found = Vec::new();
    if let Some(percent) = radio.shares().and_then(|shares| shares.other).filter(|percent| *percent >= OTHER_PERCENT) {
        let mut source = on("non_wifi");
        source["busy_percent"] = json!(percent.round());
        found.push(source);
    }
    if let Some(noise) = radio.noise_dbm().filter(|noise| *noise >= NOISE_DBM) {
        let mut source = on("noise");
        source["noise_dbm"] = json!(noise);
        found.push(source);
    }
    let near = radio.networks.iter().filter(|network| network.rssi_dbm >= threshold && network.overlaps(own));
    found.extend(near.map(|network| {
        let kind = if Some(network.mhz) == own.mhz { "wifi_same_channel" } else { "wifi_overlapping" };
        let mut source = on(kind);
        source["channel"] = json!(network.channel());
        source["ssid"] = json!(network.ssid);
        source["bssid"] = json!(network.bssid);
        source["rssi_dbm"] = json!(network.rssi_dbm.round());
        source["width_mhz"] = json!(network.width_mhz);
        source
    }));
    found
}
