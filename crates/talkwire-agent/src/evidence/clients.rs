//! Clients: where each is, how well, and where it could be.

use super::read::Row;
use super::{Datum, Evidence, Source};

pub(super) fn list(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    evidence.many.entry("cl").or_default();
    for row in row.rows("clients") {
        let Some(mac) = row.mac("client_mac") else { continue };
        let client = evidence.item("cl", &mac);
        client.say("name", row.text("hostname").or(Some(mac.clone())), source);
        client.flag("wired", row.text("connection").map(|kind| kind == "ethernet"), source);
        client.say("ap", row.device("ap"), source);
        client.say("ap_name", row.text("ap_name"), source);
        client.say("iface", row.text("interface"), source);
        client.say("band", row.band("band"), source);
        client.add("rssi", row.level("rssi_dbm"), source);
        client.add("snr", row.number("snr_db").filter(|db| (-30.0..=100.0).contains(db)), source);
        client.add("phy_dn", row.amount("phy_down_mbps"), source);
        client.add("phy_up", row.amount("phy_up_mbps"), source);
        client.say("gen", row.text("generation"), source);
        client.add("nss", row.amount("streams"), source);
        client.add("width", row.amount("width_mhz"), source);
        client.flag("cap5", row.flag("supports_5ghz"), source);
        client.say("ip", row.address("ip_address"), source);
        client.say("kind", row.text("kind"), source);
        client.say("room", row.text("room"), source);
        if let Some(fact) = client.fact("rssi").cloned() {
            client.derive("n", Datum::Number(fact.samples.len() as f64), &fact);
        }
    }
}

pub(super) fn health(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    evidence.many.entry("cl").or_default();
    for row in row.rows("clients") {
        let Some(mac) = row.mac("client_mac") else { continue };
        let client = evidence.item("cl", &mac);
        if client.fact("name").is_none() {
            client.say("name", row.text("hostname").or(Some(mac.clone())), source);
            client.say("ap", row.device("ap"), source);
            client.say("ap_name", row.text("ap_name"), source);
            client.say("band", row.band("band"), source);
            client.add("rssi", row.level("rssi_dbm"), source);
            client.add("snr", row.number("snr_db"), source);
        }
        client.add("rssi_dl", row.level("rssi_dl_dbm"), source);
        // A share above 100 comes from firmware that divides by successes: it is not trusted.
        client.add("retry", row.percent("retry_percent"), source);
        client.add("disc_h", row.amount("disconnects_per_hour"), source);
        client.say("reason", row.text("last_reason"), source);
        client.flag("psave", row.flag("power_save"), source);
        let chains: Vec<f64> =
            row.0.get("chains_dbm").and_then(|list| list.as_array()).into_iter().flatten().filter_map(serde_json::Value::as_f64).take(4).collect();
        if let [first, second, ..] = chains[..] {
            client.add("chain_diff", Some((first - second).abs()), source);
        }
    }
}

pub(super) fn roaming(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    evidence.many.entry("cl").or_default();
    evidence.single("site").flag("roam_seen", row.has_list("clients").then_some(true), source);
    for row in row.rows("clients") {
        let Some(mac) = row.mac("client_mac") else { continue };
        let client = evidence.item("cl", &mac);
        if client.fact("name").is_none() {
            client.say("name", row.text("hostname").or(Some(mac.clone())), source);
        }
        if client.fact("ap").is_none() {
            client.say("ap", row.device("current_ap"), source);
            client.say("ap_name", row.text("current_ap_name"), source);
            client.add("rssi", row.level("current_rssi_dbm"), source);
        }
        client.say("alt_ap", row.device("alternative_ap"), source);
        client.say("alt_name", row.text("alternative_ap_name"), source);
        client.add("alt_rssi", row.level("alternative_rssi_dbm"), source);
        // Both levels of one answer come from the same side, so their difference means something.
        let gain = row.level("alternative_rssi_dbm").zip(row.level("current_rssi_dbm")).map(|(other, here)| other - here);
        client.add("alt_gain", gain, source);
        client.add("per_h", row.amount("roams_per_hour"), source);
        client.add("gap_ms", row.amount("gap_ms"), source);
        client.add("ro_loss", row.percent("loss_percent"), source);
    }
}
