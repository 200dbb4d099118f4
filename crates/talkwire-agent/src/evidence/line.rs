//! The line and what uses it: WAN, speed tests, ports, route, latency, top talkers, shaping.

use super::read::Row;
use super::{Datum, Evidence, Source, median};

pub(super) fn wan(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    let wan = evidence.single("wan");
    wan.say("link", row.word("link", &["up", "down"]), source);
    wan.say("ip", row.word("ip_kind", &["none", "linklocal", "private", "cgnat", "public"]), source);
    wan.say("ip_addr", row.address("ip"), source);
    wan.say("proto", row.word("protocol", &["dhcp", "pppoe", "static"]), source);
    wan.flag("route", row.flag("default_route"), source);
    wan.flag("gw_ok", row.flag("gateway_reachable"), source);
    wan.flag("dns_ok", row.flag("dns_ok"), source);
    wan.say("http", row.word("http", &["ok", "redirect", "fail"]), source);
    wan.say("v6", row.word("ipv6", &["off", "ok", "broken"]), source);
    wan.flag("mtu_ok", row.flag("mtu_ok"), source);
    wan.add("session_s", row.amount("session_s"), source);
}

pub(super) fn speed(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    let at_client = row.text("side").map_or(!source.from_router, |side| side == "client");
    evidence.single("plan").add("dn", row.amount("expected_speed").filter(|mbps| *mbps > 0.0), source);
    evidence.single("plan").add("up", row.amount("expected_upload_mbps").filter(|mbps| *mbps > 0.0), source);
    let item = if at_client { evidence.item("cspd", source.device_id) } else { evidence.single("spd") };
    item.add("dn", row.amount("download_mbps"), source);
    item.add("up", row.amount("upload_mbps"), source);
    item.add("idle", row.amount("latency_ms"), source);
    item.add("ld_dn", row.amount("loaded_latency_down_ms"), source);
    item.add("ld_up", row.amount("loaded_latency_up_ms"), source);
    item.add("loss", row.percent("packet_loss_percent"), source);
    if at_client {
        item.say("name", Some(super::clean(source.device_name)), source);
        item.say("ap", row.device("ap"), source);
        item.say("ap_name", row.text("ap_name"), source);
        item.say("band", row.band("band"), source);
    } else {
        item.add("jit", row.amount("jitter_ms"), source);
    }
    if let Some(fact) = item.fact("dn").cloned() {
        item.derive("n", Datum::Number(fact.samples.len() as f64), &fact);
    }
}

pub(super) fn ports(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    if !source.from_router {
        return;
    }
    let leads_out = |row: &Row<'_>| row.text("role").as_deref() == Some("wan");
    // What leads out is told by its role where a device knows it; names differ from machine to machine.
    let by_role = row.rows("interfaces").any(|row| leads_out(&row));
    for row in row.rows("interfaces").filter(|row| leads_out(row) || row.text("type").is_none_or(|kind| kind == "ethernet")) {
        let Some(name) = row.text("interface") else { continue };
        let name = if leads_out(&row) { "wan" } else { &name };
        if by_role && name == "wan" && !leads_out(&row) {
            continue;
        }
        let port = evidence.target("port", name);
        port.add("mbps", row.amount("speed_mbps"), source);
        port.say("duplex", row.word("duplex", &["full", "half"]), source);
        port.add("crc_ppm", row.amount("crc_ppm"), source);
        port.add("flaps_h", row.amount("flaps_per_hour"), source);
        port.say("status", row.word("status", &["up", "down"]), source);
    }
}

pub(super) fn trace(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    let trace = evidence.single("tr");
    trace.add("private_hops", row.amount("private_hops"), source);
    trace.add("last_ok", row.amount("last_ok"), source);
    trace.add("loss_from", row.amount("loss_from"), source);
    trace.flag("reached", row.flag("reached"), source);
}

pub(super) fn latency(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    let mut public = Vec::new();
    for row in row.rows("targets") {
        let Some(kind) = row.text("target") else { continue };
        match (kind.as_str(), source.from_router) {
            ("public", _) => public.push(row),
            ("isp", true) => pings(evidence.target("lat", "isp"), row, source),
            ("isp", false) => pings(evidence.target("lat", "cisp"), row, source),
            ("router", _) => pings(evidence.target("lat", "router"), row, source),
            ("service", _) => pings(evidence.target("lat", "svc"), row, source),
            ("client", _) => {
                if let Some(name) = row.text("name") {
                    let client = evidence.target("lat", &format!("client:{name}"));
                    pings(client, row, source);
                }
            }
            _ => {}
        }
    }
    if public.is_empty() {
        return;
    }
    // Three resolvers stand for the world: it is out of reach only when none of them answers.
    let target = evidence.target("lat", if source.from_router { "pub" } else { "cpub" });
    let all = |name: &str| public.iter().filter_map(|row| row.amount(name)).collect::<Vec<_>>();
    target.add("loss", public.iter().filter_map(|row| row.percent("loss_percent")).reduce(f64::min), source);
    target.add("med", median(&all("median_ms")), source);
    target.add("p95", median(&all("p95_ms")), source);
    target.add("jit", median(&all("jitter_ms")), source);
    target.add("n", Some(public.len() as f64), source);
}

fn pings(item: &mut super::Item, row: Row<'_>, source: Source<'_>) {
    item.add("med", row.amount("median_ms"), source);
    item.add("p95", row.amount("p95_ms"), source);
    item.add("jit", row.amount("jitter_ms"), source);
    item.add("loss", row.percent("loss_percent"), source);
}

pub(super) fn talkers(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    let mut rows: Vec<_> = row.rows("talkers").collect();
    let weight = |row: &Row<'_>| row.amount("down_mbps").unwrap_or(0.0) + row.amount("up_mbps").unwrap_or(0.0);
    rows.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    let name = |row: &Row<'_>| row.text("hostname").or_else(|| row.mac("client_mac"));
    evidence.talkers = rows.iter().take(8).filter_map(|row| Some((name(row)?, weight(row)))).collect();
    for row in &rows {
        if let Some(mac) = row.mac("client_mac") {
            let client = evidence.item("cl", &mac);
            client.add("tt_dn", row.amount("down_mbps"), source);
            client.add("tt_up", row.amount("up_mbps"), source);
        }
    }
    let item = evidence.single("tt");
    item.add("dn", row.amount("total_down_mbps"), source);
    item.add("up", row.amount("total_up_mbps"), source);
    if let Some(top) = rows.first() {
        item.add("top_dn", top.amount("down_mbps"), source);
        item.add("top_up", top.amount("up_mbps"), source);
        let total = row.amount("total_down_mbps").unwrap_or(0.0).max(row.amount("total_up_mbps").unwrap_or(0.0));
        let largest = top.amount("down_mbps").unwrap_or(0.0).max(top.amount("up_mbps").unwrap_or(0.0));
        let share = top.percent("share_percent").or_else(|| (total > 0.0).then(|| (100.0 * largest / total).min(100.0)));
        item.add("top_share", share, source);
        item.say("top_name", name(top), source);
        item.say("top_mac", top.mac("client_mac"), source);
    }
    if let Some(fact) = item.fact("dn").cloned() {
        item.derive("n", Datum::Number(fact.samples.len() as f64), &fact);
    }
}

pub(super) fn qos(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    let qos = evidence.single("qos");
    qos.flag("on", row.flag("enabled"), source);
    qos.say("policy", row.text("policy_name"), source);
    qos.add("cap_dn", row.amount("cap_down_mbps"), source);
    qos.add("cap_up", row.amount("cap_up_mbps"), source);
    qos.flag("offload", row.flag("hardware_offload"), source);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_port_of_the_line_is_known_by_its_role_whatever_it_is_called() {
        let answer = json!({"interfaces": [{"interface": "enp3s0", "type": "ethernet", "role": "wan", "speed_mbps": 100, "duplex": "half"}, {"interface": "enp4s0", "speed_mbps": 1000}]});
        let mut evidence = Evidence::default();
        let source = Source { trace_id: "t", device_id: "020000000001", device_name: "router", from_router: true };
        ports(&mut evidence, Row(answer.as_object().expect("an object")), source);
        assert_eq!(evidence.find("port.wan.mbps", None).map(|fact| fact.datum.clone()), Some(Datum::Number(100.0)));
        assert!(evidence.has("port.enp4s0.mbps", None) && !evidence.has("port.enp3s0.mbps", None));
    }
}
