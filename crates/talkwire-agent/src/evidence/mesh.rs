//! Mesh nodes and rooms.

use super::read::Row;
use super::{Evidence, Source};

pub(super) fn topology(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    evidence.many.entry("mh").or_default();
    for row in row.rows("nodes").take(32) {
        let Some(id) = row.device("device_id") else { continue };
        let node = evidence.item("mh", &id);
        node.say("name", row.text("name").or(Some(id.clone())), source);
        node.say("kind", row.word("kind", &["eth", "radio", "plc"]), source);
        node.add("hops", row.amount("hops"), source);
        node.add("rssi", row.level("rssi_dbm"), source);
        node.add("phy", row.amount("phy_mbps"), source);
        node.flag("shared", row.flag("shared"), source);
        node.say("parent", row.device("parent_id"), source);
        node.say("alt_parent", row.device("alternative_parent_id"), source);
        node.add("alt_rssi", row.level("alternative_rssi_dbm"), source);
        node.add("flaps_d", row.amount("flaps_per_day"), source);
        node.flag("online", row.flag("online"), source);
    }
}

pub(super) fn backhaul(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    evidence.many.entry("mh").or_default();
    for row in row.rows("nodes").take(32) {
        let Some(id) = row.device("device_id") else { continue };
        let node = evidence.item("mh", &id);
        if node.fact("name").is_none() {
            node.say("name", row.text("name").or(Some(id.clone())), source);
        }
        if node.fact("kind").is_none() {
            node.say("kind", row.word("kind", &["eth", "radio", "plc"]), source);
        }
        node.add("mbps", row.amount("throughput_mbps"), source);
        node.add("ms", row.amount("latency_ms"), source);
        node.add("loss", row.percent("loss_percent"), source);
    }
}

pub(super) fn rooms(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    evidence.many.entry("rooms").or_default();
    for row in row.rows("rooms").take(64) {
        let Some(name) = row.text("room") else { continue };
        let room = evidence.item("rooms", &name);
        room.add("rssi", row.level("rssi_dbm"), source);
        room.add("snr", row.number("snr_db").filter(|db| (-30.0..=100.0).contains(db)), source);
        room.say("best_ap", row.device("best_ap"), source);
        room.say("best_name", row.text("best_ap_name"), source);
        room.say("band", row.band("band"), source);
        room.add("rssi_2g", row.level("rssi_2g_dbm"), source);
        room.add("rssi_5g", row.level("rssi_5g_dbm"), source);
    }
}
