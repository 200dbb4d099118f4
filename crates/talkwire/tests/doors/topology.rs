//! What devices say of the network, over real MQTT and HTTP: with its source, bounded, and never a device.

use crate::harness::House;
use serde_json::{Value, json};

const VIEW: &str = "/api/v1/topology?tenant=home&site=lab";

#[tokio::test]
async fn a_poisoned_map_is_marked_bounded_and_makes_no_device() {
    let house = House::new().await;
    let liar = house.client("aabbccddeeff").await;
    let many: Vec<_> = (0..700).map(|n| json!({"id": format!("ghost-{n}"), "name": "<script>alert(1)</script>", "device_type": "router"})).collect();
    liar.say_json(
        "rtk/v1/home/lab/aabbccddeeff/topology/update",
        json!({"devices": many, "connections": [{"from": "a", "to": "a"}, {"from": "a", "to": "b"}, {"from": "b", "to": "a"}]}),
    )
    .await
    .unwrap();
    let (status, view) = house.guest("GET", VIEW, Value::Null).await;
    assert_eq!((status, view["nodes"].as_array().unwrap().len(), view["links"].as_array().unwrap().len()), (200, 512, 2));
    assert!(view["nodes"].as_array().unwrap().iter().all(|node| node["said_by"][0]["device_id"] == "aabbccddeeff" && node["device"].is_null()));
    assert_eq!(view["left_out"], json!([{"device_id": "aabbccddeeff", "nodes": 188, "links": 1}]));
    let (_, devices) = house.guest("GET", "/api/v1/devices", Value::Null).await;
    assert_eq!(devices["items"].as_array().unwrap().len(), 1, "only who spoke is a device");
    let (_, known) = house.guest("GET", "/api/v1/devices/home/lab/aabbccddeeff", Value::Null).await;
    assert_eq!(known["diagnostics"]["topology_left_out"], 189);
    let order = json!({"tenant": "home", "site": "lab", "device_id": "ghost-1", "op": "device.status"});
    assert_eq!(house.owner("POST", "/api/v1/commands", order).await.0, 404);
    assert_eq!(house.guest("GET", "/api/v1/topology?tenant=home&site=%2B", Value::Null).await.0, 400);
}

#[tokio::test]
async fn a_map_over_the_size_of_a_message_goes_to_quarantine_and_the_next_is_read() {
    let house = House::new().await;
    let liar = house.client("aabbccddeeff").await;
    let topic = "rtk/v1/home/lab/aabbccddeeff/topology/update";
    let text = format!(r#"{{"devices": [{}{{"id": "n"}}]}}"#, r#"{"id":"n"},"#.repeat(23_850));
    liar.say(topic, text).await.unwrap();
    let (_, rows) = house.owner("GET", "/api/v1/quarantine", Value::Null).await;
    assert_eq!(rows["items"][0]["topic"], topic);
    assert!(rows["items"][0]["reason"].as_str().unwrap().starts_with("E_TOO_LARGE"));
    liar.say_json(topic, json!({"devices": [{"id": "n"}]})).await.unwrap();
    let (_, view) = house.guest("GET", VIEW, Value::Null).await;
    assert_eq!(view["nodes"].as_array().unwrap().len(), 1);
}
