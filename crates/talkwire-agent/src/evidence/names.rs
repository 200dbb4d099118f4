//! Addresses and names: DHCP, foreign DHCP servers, resolvers.

use super::read::Row;
use super::{Evidence, Source};
use serde_json::Value;
use std::net::Ipv4Addr;

pub(super) fn config(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    let dhcp = evidence.single("dhcp");
    let share = row.percent("pool_used_percent").or_else(|| {
        let (used, size) = (row.amount("pool_used")?, row.amount("pool_size")?);
        (size > 0.0).then(|| (100.0 * used / size).min(100.0))
    });
    dhcp.add("used", share, source);
    dhcp.add("pool_size", row.amount("pool_size"), source);
    dhcp.add("pool_used", row.amount("pool_used"), source);
    dhcp.add("lease_s", row.amount("lease_s"), source);
    dhcp.say("range", row.text("dhcp_range").filter(|text| range(text).is_some()), source);
    dhcp.say("subnet", row.text("subnet").filter(|text| subnet(text).is_some()), source);
    dhcp.say("gateway", row.address("gateway"), source);
    let servers: Vec<String> = row.0.get("dns_servers").and_then(Value::as_array).into_iter().flatten().take(4).filter_map(|v| v.as_str()).filter_map(|text| text.parse::<std::net::IpAddr>().ok()).map(|ip| ip.to_string()).collect();
    dhcp.say("dns_servers", (!servers.is_empty()).then(|| servers.join(", ")), source);
    let wider = row.text("subnet").and_then(|net| wider(&net, &row.text("dhcp_range")?, row.address("gateway").as_deref()));
    dhcp.say("wider", wider, source);
}

/// The first and last address of a range.
fn range(text: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (first, last) = text.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

/// Network and prefix of `192.168.1.0/24`.
pub(super) fn subnet(text: &str) -> Option<(u32, u32)> {
    let (net, prefix) = text.split_once('/')?;
    let (net, prefix): (Ipv4Addr, u32) = (net.parse().ok()?, prefix.parse().ok()?);
    (8..=30).contains(&prefix).then(|| (u32::from(net), u32::MAX << (32 - prefix)))
}

/// A range of the same network that keeps the old one inside and leaves the gateway out.
fn wider(net: &str, current: &str, gateway: Option<&str>) -> Option<String> {
    let (network, mask) = subnet(net)?;
    let (first, last) = range(current)?;
    if mask != 0xffff_ff00 || u32::from(first) & mask != network & mask {
        return None;
    }
    let gateway = gateway.and_then(|text| text.parse::<Ipv4Addr>().ok()).map(|ip| ip.octets()[3]).unwrap_or(1);
    let (mut low, mut high) = (20.min(first.octets()[3]), 250.max(last.octets()[3]));
    if (low..=high).contains(&gateway) {
        if gateway < first.octets()[3] {
            low = gateway + 1;
        } else if gateway > last.octets()[3] {
            high = gateway - 1;
        } else {
            return None;
        }
    }
    let grows = u32::from(high - low) >= u32::from(last) - u32::from(first) + 20;
    let base = network & mask;
    grows.then(|| format!("{}-{}", Ipv4Addr::from(base | u32::from(low)), Ipv4Addr::from(base | u32::from(high))))
}

pub(super) fn rogue(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    let own = evidence.one.get("dhcp").and_then(|dhcp| Some((dhcp.text("gateway")?.to_owned(), dhcp.text("subnet")?.to_owned())));
    let dhcp = evidence.single("dhcp");
    let Some(detected) = row.flag("rogue_dhcp_detected") else { return };
    let servers: Vec<_> = row.rows("rogue_servers").take(8).collect();
    dhcp.add("rogue", Some(if detected { servers.len().max(1) as f64 } else { 0.0 }), source);
    if let Some(first) = servers.first().filter(|_| detected) {
        dhcp.say("rogue_ip", first.address("ip_address"), source);
        dhcp.say("rogue_port", first.text("port"), source);
        // A second server that hands out the same gateway of the same network is harmless.
        let same = |row: &Row<'_>| {
            own.as_ref().is_some_and(|(gateway, net)| row.address("offered_gateway").as_ref() == Some(gateway) && row.text("offered_subnet").as_ref() == Some(net))
        };
        dhcp.flag("rogue_foreign", Some(!servers.iter().all(same)), source);
    }
}

pub(super) fn resolve(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    let rows: Vec<_> = row.rows("servers").take(16).collect();
    let of = |kind: &str| rows.iter().filter(|row| row.text("kind").as_deref() == Some(kind)).copied().collect::<Vec<_>>();
    let prefix = if source.from_router { "" } else { "c" };
    let figures = |rows: &[Row<'_>], name: &str| rows.iter().filter_map(|row| row.amount(name)).collect::<Vec<_>>();
    let configured = of("configured");
    if !configured.is_empty() {
        let item = evidence.target("dns", &format!("{prefix}cfg"));
        let ok = figures(&configured, "ok_percent");
        item.add("ok", ok.iter().copied().reduce(f64::max), source);
        item.add("worst_ok", ok.iter().copied().reduce(f64::min), source);
        item.add("dead", Some(ok.iter().filter(|share| **share < 20.0).count() as f64), source);
        item.add("n", Some(configured.len() as f64), source);
        item.add("ms", figures(&configured, "median_ms").into_iter().reduce(f64::max), source);
        item.add("p95", figures(&configured, "p95_ms").into_iter().reduce(f64::max), source);
    }
    let mut public = of("public");
    if !public.is_empty() {
        public.sort_by(|a, b| a.amount("median_ms").unwrap_or(1e9).total_cmp(&b.amount("median_ms").unwrap_or(1e9)));
        let good: Vec<String> =
            public.iter().filter(|row| row.percent("ok_percent").is_some_and(|ok| ok >= 95.0)).filter_map(|row| row.address("server")).collect();
        let item = evidence.target("dns", &format!("{prefix}pub"));
        item.add("ok", figures(&public, "ok_percent").into_iter().reduce(f64::max), source);
        item.add("ms", figures(&public, "median_ms").into_iter().reduce(f64::min), source);
        item.say("best", good.first().cloned(), source);
        item.say("second", good.get(1).cloned(), source);
    }
}
