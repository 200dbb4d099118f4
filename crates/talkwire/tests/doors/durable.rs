//! Acknowledged means stored, and what was stored comes back.

use crate::harness::{HandDevice, House, eventually};
use serde_json::json;
use talkwire_store::Reader;

#[tokio::test(flavor = "multi_thread")]
async fn a_puback_means_that_the_row_is_in_the_database() {
    let house = House::new().await;
    let device = house.client("d").await;
    let reader = Reader::open(house.dir.path()).unwrap();
    let key = "home/lab/aabbccddeeff".parse().unwrap();
    for n in 0..50 {
        device.say_json("rtk/v1/home/lab/aabbccddeeff/evt/system.error", json!({"schema": "evt.system.error/1.0", "ts": 1, "data": {"n": n}})).await.unwrap();
        // No waiting between the acknowledgement and the look into the database.
        let newest = reader.events(&key, 1, None).unwrap();
        assert_eq!(newest.items[0].data["n"], json!(n));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_identity_and_state_come_back_after_a_restart_and_the_device_is_offline() {
    let house = House::new().await;
    let device = HandDevice::join(&house, "020000000001").await;
    device.client.say_json(&format!("{}/state", device.base), json!({"schema": "state/1.0", "ts": 1, "health": "warning", "cpu_usage": 12.5})).await.unwrap();
    drop(device);
    let house = house.restart().await;
    let mut watcher = house.client("w").await;
    watcher.link.subscribe("rtk/v1/#", talkwire_link::Qos::AtLeastOnce);
    let (mut attr, mut state, mut lwt) = (false, false, false);
    while !(attr && state && lwt) {
        let (topic, value) = watcher.until("retained messages", |topic, _| topic.starts_with("rtk/v1/home/lab/020000000001/")).await;
        attr |= topic.ends_with("/attr") && value["device_id"] == json!("020000000001");
        state |= topic.ends_with("/state") && value["cpu_usage"] == json!(12.5);
        lwt |= topic.ends_with("/lwt") && value["status"] == json!("offline");
    }
    let (_, one) = house.guest("GET", "/api/v1/devices/home/lab/020000000001", json!({})).await;
    assert_eq!((&one["online"], &one["health"]), (&json!(false), &json!("warning")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_tracked_from_api_to_result_under_the_devices_own_name_for_it() {
    let house = House::new().await;
    let mut device = HandDevice::join(&house, "020000000001").await;
    let body = json!({"tenant": "home", "site": "lab", "device_id": "02:00:00:00:00:01", "op": "network.speedtest_full", "args": {"duration": 10}});
    let asked = house.owner("POST", "/api/v1/commands?wait=true", body);
    let device = async {
        let request = device.command().await;
        assert_eq!(request["op"], json!("speed_test"));
        assert_eq!(request["payload"]["op"], json!("speed_test"));
        assert_eq!(request["id"], request["payload"]["id"]);
        device.client.say_json(&format!("{}/cmd/ack", device.base), json!({"id": request["id"], "status": "received"})).await.unwrap();
        device.result(&request["id"], json!({"download_mbps": 85.2})).await;
        // Said twice: nothing changes.
        device.result(&request["id"], json!({"download_mbps": 1.0})).await;
    };
    let ((status, command), ()) = tokio::join!(asked, device);
    assert_eq!(status, 200, "{command}");
    assert_eq!((&command["status"], &command["result"]["download_mbps"]), (&json!("completed"), &json!(85.2)));
    assert!(command["timings"]["acked_ms"].is_number());
    let id = command["id"].as_str().unwrap().to_owned();
    let (_, later) = house.guest("GET", &format!("/api/v1/commands/{id}"), json!({})).await;
    assert_eq!(later["result"]["download_mbps"], json!(85.2));
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_is_listed_newest_first_with_its_unit() {
    let house = House::new().await;
    let device = house.client("d").await;
    for n in 1..=5 {
        device
            .say_json(
                "rtk/v1/home/lab/aabbccddeeff/telemetry/temperature",
                json!({"schema": "telemetry.temperature/1.0", "ts": n * 1000, "value": 60 + n, "unit": "celsius"}),
            )
            .await
            .unwrap();
    }
    let path = "/api/v1/devices/home/lab/aabbccddeeff/telemetry/temperature?limit=2";
    let (_, page) = house.guest("GET", path, json!({})).await;
    assert_eq!((&page["items"][0]["value"], &page["items"][0]["unit"]), (&json!(65.0), &json!("celsius")));
    let next = page["next"].as_str().unwrap().to_owned();
    let (_, page) = house.guest("GET", &format!("{path}&after={next}"), json!({})).await;
    assert_eq!(page["items"][0]["value"], json!(63.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_vanishes_is_offline_by_its_will() {
    let house = House::new().await;
    let mut config = talkwire_link::LinkConfig::new(house.mqtt().ip().to_string(), house.mqtt().port(), "router-1");
    let will = json!({"schema": "lwt/1.0", "ts": 1, "status": "offline", "last_seen": 1}).to_string();
    config.will = Some(talkwire_link::Message {
        topic: "rtk/v1/home/lab/020000000009/lwt".into(),
        payload: will.into(),
        qos: talkwire_link::Qos::AtLeastOnce,
        retain: true,
    });
    let device = crate::harness::Client::connect(config).await;
    device.say_json("rtk/v1/home/lab/020000000009/lwt", json!({"schema": "lwt/1.0", "ts": 1, "status": "online"})).await.unwrap();
    drop(device);
    eventually("the device is offline", || async {
        let (_, one) = house.guest("GET", "/api/v1/devices/home/lab/020000000009", json!({})).await;
        (one["online"] == json!(false)).then_some(one)
    })
    .await;
}
