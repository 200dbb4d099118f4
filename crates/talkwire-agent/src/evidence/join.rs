//! What follows from several answers together: clients of a radio, addresses outside the network, what somebody told.

use super::{Datum, Evidence, Fact, Item, Layout, SECTIONS, expected, median, names, radio};
use crate::mind::site::Site;
use std::collections::BTreeMap;
use talkwire_core::session::IntentView;

pub(super) fn join(evidence: &mut Evidence, site: &Site<'_>, intent: &IntentView, request: &str) {
    tell(evidence, site, intent);
    radio::choose(evidence);
    line(evidence);
    clients(evidence, request);
    radios(evidence);
    devices(evidence, site);
    rooms(evidence);
    debug_assert!(evidence.many.keys().all(|name| SECTIONS.iter().any(|(known, layout, _)| known == name && *layout == Layout::Many)));
}

fn told(datum: Datum) -> Fact {
    Fact { datum, samples: Vec::new(), trace_id: String::new(), device_id: String::new() }
}

fn number(x: f64) -> Datum {
    Datum::Number(x)
}

fn tell(evidence: &mut Evidence, site: &Site<'_>, intent: &IntentView) {
    let mut say = |section: &'static str, name: &'static str, datum: Datum| {
        let fact = told(datum.clone());
        evidence.single(section).derive(name, datum, &fact);
    };
    for name in ["when", "where", "who", "device", "application", "changed"] {
        if let Some(text) = intent.slots.get(name).and_then(|value| value.as_str()) {
            say("told", name, Datum::Text(super::clean(text)));
        }
    }
    say("told", "intent", Datum::Text(intent.intent.clone()));
    say("site", "aps", number(site.access_points().len() as f64));
    say("site", "agents", number(site.agents().len() as f64));
    if let Some(mbps) = intent.slots.get("plan_mbps").and_then(serde_json::Value::as_f64).filter(|mbps| *mbps > 0.0 && *mbps < 1e6)
        && evidence.one.get("plan").is_none_or(|plan| plan.number("dn").is_none())
    {
        let fact = told(number(mbps));
        evidence.single("plan").derive("dn", number(mbps), &fact);
    }
}

fn line(evidence: &mut Evidence) {
    let (own_dn, own_up) = evidence.one.get("tt").map_or((None, None), |tt| (tt.number("dn"), tt.number("up")));
    let plan = evidence.one.get("plan").and_then(|plan| plan.number("dn"));
    let spd = evidence.single("spd");
    let Some(down) = spd.fact("dn").cloned() else { return };
    let dn = spd.number("dn").unwrap_or_default();
    // What the household used while nobody tested shares the line with the test.
    let line = dn + own_dn.unwrap_or(0.0);
    spd.derive("line", number(line), &down);
    if let Some(up) = spd.number("up") {
        spd.derive("line_up", number(up + own_up.unwrap_or(0.0)), &down);
    }
    if let Some(plan) = plan {
        spd.derive("ratio", number(100.0 * line / plan), &down);
    }
    if let Some(idle) = spd.number("idle") {
        for (loaded, name) in [("ld_dn", "bloat_dn"), ("ld_up", "bloat_up")] {
            if let Some(fact) = spd.fact(loaded).cloned() {
                let added = spd.number(loaded).unwrap_or(idle) - idle;
                spd.derive(name, number(added), &fact);
            }
        }
    }
    if down.samples.len() >= 3 && dn > 0.0 {
        let (low, high) = down.samples.iter().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
        spd.derive("spread", number(100.0 * (high - low) / dn), &down);
    }
}

fn clients(evidence: &mut Evidence, request: &str) {
    let request = request.to_lowercase();
    let subnet = evidence.one.get("dhcp").and_then(|dhcp| names::subnet(dhcp.text("subnet")?));
    let kind_told = evidence.one.get("told").and_then(|told| told.text("device")).map(str::to_owned);
    let tests = evidence.many.get("cspd").cloned().unwrap_or_default();
    let latencies: BTreeMap<String, Item> = evidence.named.get("lat").cloned().unwrap_or_default();
    let five: Vec<String> = radios_with(evidence, "5");
    let mut lost = Vec::new();
    let Some(clients) = evidence.many.get_mut("cl") else { return };
    let of_kind = clients.values().filter(|client| kind_told.is_some() && client.text("kind") == kind_told.as_deref()).count();
    for (mac, client) in clients.iter_mut() {
        let Some(basis) = client.fact("rssi").or_else(|| client.fact("name")).or_else(|| client.fact("tt_dn")).cloned() else { continue };
        let name = client.text("name").unwrap_or_default().to_lowercase();
        let named = name.chars().count() >= 4 && request.contains(&name);
        let of_this_kind = of_kind == 1 && client.text("kind") == kind_told.as_deref();
        client.derive("told", Datum::Flag(named || of_this_kind), &basis);
        client.derive("told_kind", Datum::Flag(named || (of_kind > 0 && client.text("kind") == kind_told.as_deref())), &basis);
        client.derive("agent", Datum::Flag(tests.contains_key(mac)), &basis);
        if let Some(ap) = client.text("ap") {
            let has = five.iter().any(|device| device == ap);
            client.derive("has5", Datum::Flag(has), &basis);
        }
        if let Some(ip) = client.fact("ip").cloned()
            && let Ok(address) = client.text("ip").unwrap_or_default().parse::<std::net::Ipv4Addr>()
        {
            let none = address.is_link_local();
            let foreign = !none && subnet.is_some_and(|(network, mask)| u32::from(address) & mask != network & mask);
            client.derive("nolease", Datum::Flag(none), &ip);
            client.derive("foreign", Datum::Flag(foreign), &ip);
            if none || foreign {
                lost.push((client.text("name").unwrap_or(mac).to_owned(), ip));
            }
        }
        if let Some(test) = tests.get(mac).and_then(|test| test.fact("dn")) {
            client.derive("cspd", test.datum.clone(), test);
        }
        if let (Some(rssi), Some(generation)) = (client.number("rssi"), client.text("gen").map(str::to_owned)) {
            let rssi = client.number("rssi_dl").unwrap_or(rssi);
            let mbps = expected::expected_mbps(rssi, &generation, client.number("nss").unwrap_or(1.0), client.number("width").unwrap_or(20.0));
            if let Some(mbps) = mbps {
                client.derive("expected", number(mbps), &basis);
            }
        }
        if let Some(pings) = latencies.get(&format!("client:{}", client.text("name").unwrap_or_default())) {
            for (from, to) in [("med", "lat_med"), ("p95", "lat_p95"), ("jit", "lat_jit"), ("loss", "lat_loss")] {
                if let Some(fact) = pings.fact(from) {
                    client.derive(to, fact.datum.clone(), fact);
                }
            }
        }
    }
    let expectations: Vec<(String, Fact)> = tests.keys().filter_map(|mac| Some((mac.clone(), clients.get(mac)?.fact("expected")?.clone()))).collect();
    let weak = clients.values().filter(|client| client.number("rssi").is_some_and(|rssi| rssi <= -70.0)).count();
    let seen = clients.values().find_map(|client| client.fact("rssi")).cloned();
    for (mac, fact) in expectations {
        evidence.item("cspd", &mac).derive("expected", fact.datum.clone(), &fact);
    }
    if let Some(fact) = seen {
        evidence.single("site").derive("weak", number(weak as f64), &fact);
    }
    if let Some((_, fact)) = lost.first() {
        let names: Vec<&str> = lost.iter().take(4).map(|(name, _)| name.as_str()).collect();
        let (count, names, fact) = (lost.len() as f64, names.join(", "), fact.clone());
        evidence.single("dhcp").derive("lost", number(count), &fact);
        evidence.single("dhcp").derive("lost_names", Datum::Text(names), &fact);
    }
}

fn radios_with(evidence: &Evidence, band: &str) -> Vec<String> {
    let radios = evidence.many.get("env").into_iter().flat_map(BTreeMap::values);
    radios.filter(|radio| radio.text("band") == Some(band)).filter_map(|radio| radio.text("dev").map(str::to_owned)).collect()
}

fn radios(evidence: &mut Evidence) {
    let clients = evidence.many.get("cl").cloned().unwrap_or_default();
    if clients.is_empty() {
        return;
    }
    for radio in evidence.many.get_mut("env").into_iter().flat_map(BTreeMap::values_mut) {
        let (device, band) = (radio.text("dev").map(str::to_owned), radio.text("band").map(str::to_owned));
        let mine: Vec<(&String, &Item)> =
            clients.iter().filter(|(_, client)| client.text("ap") == device.as_deref() && client.text("band") == band.as_deref()).collect();
        let Some(basis) = mine.iter().find_map(|(_, client)| client.fact("rssi")).or_else(|| radio.fact("ch")).cloned() else { continue };
        radio.derive("clients", number(mine.len() as f64), &basis);
        for (from, to) in [("retry", "retry"), ("phy_dn", "phy"), ("rssi_dl", "rssi_dl")] {
            let facts: Vec<&Fact> = mine.iter().filter_map(|(_, client)| client.fact(from)).collect();
            let values: Vec<f64> = mine.iter().filter_map(|(_, client)| client.number(from)).collect();
            if let (Some(fact), Some(middle)) = (facts.first(), median(&values)) {
                radio.derive(to, number(middle), fact);
            }
        }
        // A slow rate alone is an idle client; one that also moves data takes the air of the others.
        let busy = mine.iter().filter(|(_, client)| client.number("tt_dn").unwrap_or(0.0) + client.number("tt_up").unwrap_or(0.0) >= 0.5);
        let slowest = busy.filter_map(|(_, client)| Some((client.number("phy_up")?.min(client.number("phy_dn")?), client))).min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((phy, client)) = slowest {
            radio.derive("slow_phy", number(phy), &basis);
            radio.derive("slow_mbps", number(client.number("tt_dn").unwrap_or(0.0) + client.number("tt_up").unwrap_or(0.0)), &basis);
            radio.derive("slow_name", Datum::Text(client.text("name").unwrap_or_default().to_owned()), &basis);
        }
        let tested = mine.iter().filter_map(|(mac, client)| Some((*mac, *client, client.fact("cspd")?))).min_by(|a, b| {
            let value = |fact: &Fact| if let Datum::Number(x) = fact.datum { x } else { f64::MAX };
            value(a.2).total_cmp(&value(b.2))
        });
        if let Some((mac, client, fact)) = tested {
            radio.derive("agent", Datum::Text(mac.clone()), fact);
            radio.derive("agent_name", Datum::Text(client.text("name").unwrap_or_default().to_owned()), fact);
            radio.derive("cspd", fact.datum.clone(), fact);
            if let Some(mbps) = client.number("expected") {
                radio.derive("cspd_expected", number(mbps), fact);
            }
        }
    }
}

fn devices(evidence: &mut Evidence, site: &Site<'_>) {
    let radios = evidence.many.get("env").cloned().unwrap_or_default();
    for (id, device) in evidence.many.get_mut("hws").into_iter().flatten() {
        let Some(basis) = device.fact("uptime_s").or_else(|| device.fact("name")).cloned() else { continue };
        device.derive("role", Datum::Text(site.role_word(id).to_owned()), &basis);
        let mine = || radios.values().filter(|radio| radio.text("dev") == Some(id));
        if let Some(loudest) = mine().max_by(|a, b| a.number("txp").unwrap_or(0.0).total_cmp(&b.number("txp").unwrap_or(0.0))) {
            for (from, to) in [("iface", "hot_iface"), ("band", "hot_band"), ("txp", "hot_txp")] {
                if let Some(fact) = loudest.fact(from) {
                    device.derive(to, fact.datum.clone(), fact);
                }
            }
        }
        if let Some(watched) = mine().find(|radio| radio.number("dfs_n") == Some(1.0)) {
            for (from, to) in [("iface", "dfs_iface"), ("ch", "dfs_ch"), ("safe_ch", "safe_ch")] {
                if let Some(fact) = watched.fact(from) {
                    device.derive(to, fact.datum.clone(), fact);
                }
            }
        }
    }
}

fn rooms(evidence: &mut Evidence) {
    let place = evidence.one.get("told").and_then(|told| told.text("where")).map(str::to_lowercase);
    let clients = evidence.many.get("cl").cloned().unwrap_or_default();
    let map = evidence.many.get("rooms").cloned().unwrap_or_default();
    for (name, room) in evidence.many.get_mut("rooms").into_iter().flatten() {
        let Some(basis) = room.fact("rssi").cloned() else { continue };
        let name = name.to_lowercase();
        let told = place.as_ref().is_some_and(|place| !place.is_empty() && (name.contains(place.as_str()) || place.contains(&name)));
        room.derive("told", Datum::Flag(told), &basis);
    }
    // Clients in the room that an access point serves best: how well is it heard close by?
    for radio in evidence.many.get_mut("env").into_iter().flat_map(BTreeMap::values_mut) {
        let device = radio.text("dev").map(str::to_owned);
        let best = map.iter().filter(|(_, room)| room.text("best_ap") == device.as_deref()).max_by(|a, b| {
            a.1.number("rssi").unwrap_or(-200.0).total_cmp(&b.1.number("rssi").unwrap_or(-200.0))
        });
        let Some((name, _)) = best else { continue };
        let near: Vec<&Item> = clients.values().filter(|client| client.text("ap") == device.as_deref() && client.text("room") == Some(name)).collect();
        let levels: Vec<f64> = near.iter().filter_map(|client| client.number("rssi")).collect();
        if let (Some(level), Some(fact)) = (median(&levels), near.iter().find_map(|client| client.fact("rssi"))) {
            radio.derive("near_rssi", number(level), fact);
            radio.derive("near_n", number(levels.len() as f64), fact);
        }
    }
}
