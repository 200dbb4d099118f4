//! What devices measure and see, as the console draws it: figures over hours and days, and the network of a place.

use crate::harness::House;
use serde_json::{Value, json};

const BASE: &str = "rtk/v1/home/lab/aabbccddeeff";
const DOOR: &str = "/api/v1/devices/home/lab/aabbccddeeff/telemetry/temperature";

#[tokio::test(flavor = "multi_thread")]
async fn a_long_time_of_telemetry_is_answered_in_as_many_points_as_are_drawn() {
    let house = House::new().await;
    let device = house.client("d").await;
    let start = 1_700_000_000_000_i64;
    for n in 0..60 {
        let sample = json!({"schema": "telemetry.temperature/1.0", "ts": start + n * 1_000, "value": n, "unit": "celsius"});
        device.say_json(&format!("{BASE}/telemetry/temperature"), sample).await.unwrap();
    }
    let (_, page) = house.guest("GET", &format!("{DOOR}?from_ms={start}&to_ms={}&points=6", start + 59_999), json!({})).await;
    assert_eq!(page["step_ms"], json!(10_000));
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 6, "{page}");
    let newest = json!({"ts_ms": start + 50_000, "value": 54.5, "min": 50.0, "max": 59.0, "count": 10, "unit": "celsius"});
    assert_eq!((&items[0], &items[5]["max"]), (&newest, &json!(9.0)));
    for wrong in ["points=6", "points=6&from_ms=5&to_ms=5", "points=1&from_ms=0&to_ms=9", "points=501&from_ms=0&to_ms=9"] {
        let (status, problem) = house.guest("GET", &format!("{DOOR}?{wrong}"), json!({})).await;
        assert_eq!((status, &problem["code"]), (400, &json!("E_BAD_REQUEST")), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_of_a_place_is_drawn_from_what_its_devices_see() {
    let house = House::new().await;
    let device = house.client("d").await;
    device.say_json(&format!("{BASE}/attr"), json!({"schema": "attr/1.0", "ts": 1, "device_type": "router", "name": "router"})).await.unwrap();
    let picture = |ap: &str| {
        json!({"schema": "topology.update/1.0", "ts": 1, "changes": [],
            "discovered_devices": [{"mac_address": "aabbccddeeff", "role": "gateway"}, {"mac_address": "020000000002", "name": "ap-hall", "role": "access_point"},
                {"mac_address": "02000000a001", "hostname": "phone", "role": "client"}],
            "connections": [{"from_device": "aabbccddeeff", "to_device": "020000000002", "connection_type": "ethernet", "bandwidth_mbps": 1000},
                {"from_device": ap, "to_device": "02000000a001", "connection_type": "wifi", "band": "5GHz", "bandwidth_mbps": 433, "rssi_dbm": -60}]})
    };
    for ap in ["aabbccddeeff", "020000000002"] {
        device.say_json(&format!("{BASE}/topology/update"), picture(ap)).await.unwrap();
    }
    // The two came within one step of a week, so that only the last is looked at: it draws the network, and no change.
    let (_, week) = house.guest("GET", "/api/v1/network?hours=168", json!({})).await;
    let place = &week["items"][0];
    assert_eq!((&place["tenant"], &place["site"], &place["cut"]), (&json!("home"), &json!("lab"), &json!(false)));
    assert_eq!((place["nodes"].as_array().unwrap().len(), place["links"].as_array().unwrap().len()), (3, 2), "{place}");
    let find = |list: &str, field: &str, wanted: &str| place[list].as_array().unwrap().iter().find(|one| one[field] == wanted).cloned().unwrap_or(Value::Null);
    let router = find("nodes", "device_id", "aabbccddeeff");
    assert_eq!((&router["known"], &router["role"], &router["online"]), (&json!(true), &json!("gateway"), &json!(true)));
    let air = find("links", "to", "02000000a001");
    assert_eq!(
        (&air["from"], &air["band"], &air["quality"], &air["sources"]),
        (&json!("020000000002"), &json!("5GHz"), &json!(0.75), &json!(["aabbccddeeff"]))
    );
    assert_eq!(place["changes"], json!([]));
    let roam = json!({"schema": "evt.wifi.roam/1.0", "ts": 1, "severity": "info", "data": {"client_mac": "02000000a001", "from_ap": "aabbccddeeff", "to_ap": "020000000002"}});
    device.say_json(&format!("{BASE}/evt/wifi.roam"), roam).await.unwrap();
    let (_, hour) = house.guest("GET", "/api/v1/network?tenant=home&site=lab&hours=1", json!({})).await;
    let moved = &hour["items"][0]["changes"][0];
    assert_eq!((&moved["what"], &moved["device_id"], &moved["to"]), (&json!("moved"), &json!("02000000a001"), &json!("020000000002")));
    let (_, elsewhere) = house.guest("GET", "/api/v1/network?site=other", json!({})).await;
    assert_eq!(elsewhere["items"], json!([]));
    let (status, problem) = house.guest("GET", "/api/v1/network?hours=0", json!({})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("E_BAD_REQUEST")));
}
