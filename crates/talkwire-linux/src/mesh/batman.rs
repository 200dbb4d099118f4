//! The originators of batman-adv, as `batctl meshif bat0 originators_json` prints them.

use super::Node;
use crate::args::is_interface;
use crate::text::tenth;
use serde_json::Value;
use talkwire_device::ToolError;
use talkwire_proto::id::mac_digits;

/// The best way to each node.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, ToolError> {
    let list: Value = serde_json::from_str(text).map_err(|_| ToolError::failed("batctl does not speak JSON; version 2021.2 or later is needed"))?;
    let mut found: Vec<Node> = list.as_array().into_iter().flatten().filter_map(node).collect();
    found.sort_by(|a, b| a.mac.cmp(&b.mac));
    found.dedup_by(|a, b| a.mac == b.mac);
    Ok(found)
}

fn node(value: &Value) -> Option<Node> {
    let mac = |name: &str| mac_digits(value.get(name)?.as_str()?);
    let is_best = value.get("best").and_then(Value::as_bool) != Some(false);
    let interface = value.get("hard_ifname").and_then(Value::as_str).filter(|name| is_interface(name))?;
    is_best.then_some(Node {
        mac: mac("orig_address")?,
        next: mac("neigh_address")?,
        interface: interface.into(),
        hops: None,
        quality: value.get("tq").and_then(Value::as_u64).and_then(|tq| u32::try_from(tq).ok()).filter(|tq| *tq <= 255),
        // batman V counts in steps of 100 kbit/s.
        mbps: value.get("throughput").and_then(Value::as_f64).map(|steps| tenth(steps / 10.0)),
        last_seen_ms: value.get("last_seen_msecs").and_then(Value::as_u64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_ways_are_read() {
        let text = r#"[{"hard_ifindex":3,"hard_ifname":"mesh0","orig_address":"02:00:00:00:00:03","best":true,"last_seen_msecs":120,"neigh_address":"02:00:00:00:00:03","tq":255},
            {"hard_ifname":"mesh0","orig_address":"02:00:00:00:00:04","best":true,"last_seen_msecs":60,"neigh_address":"02:00:00:00:00:03","throughput":6486},
            {"hard_ifname":"mesh0","orig_address":"02:00:00:00:00:04","neigh_address":"02:00:00:00:00:05","best":false,"tq":9},
            {"hard_ifname":"../x","orig_address":"02:00:00:00:00:09","neigh_address":"02:00:00:00:00:09"}, 7]"#;
        let found = parse(text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].is_direct(), found[0].quality, found[0].last_seen_ms), (true, Some(255), Some(120)));
        assert_eq!((found[1].is_direct(), found[1].mbps, found[1].next.as_str()), (false, Some(648.6), "020000000003"));
        assert!(parse("Error - mesh has not been enabled yet").is_err());
    }
}
