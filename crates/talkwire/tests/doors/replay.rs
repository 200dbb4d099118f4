//! What a device said before, played again by somebody else over real MQTT: acknowledged, kept as history, and nobody's news.

use crate::harness::{House, PATIENCE, eventually};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use talkwire_link::Qos;

const TOPIC: &str = "rtk/v1/home/lab/aabbccddeeff/state";
const DEVICE: &str = "/api/v1/devices/home/lab/aabbccddeeff";

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn state(ts: i64, health: &str) -> String {
    json!({"schema": "state/1.0", "ts": ts, "health": health}).to_string()
}

#[tokio::test]
async fn a_captured_state_is_acknowledged_and_neither_taken_nor_retained_nor_passed_on() {
    let house = House::new().await;
    let device = house.client("aabbccddeeff").await;
    let mut watcher = house.client("watcher").await;
    watcher.subscribe("rtk/v1/home/lab/+/state").await;
    let now = now_ms();
    let say = async |client: &crate::harness::Client, text: String| {
        tokio::time::timeout(PATIENCE, client.link.publish(TOPIC, text.into_bytes(), Qos::AtLeastOnce, true)).await.expect("it is acknowledged").unwrap();
    };
    say(&device, state(now, "ok")).await;
    watcher.until("the state", |topic, value| topic == TOPIC && value["health"] == "ok").await;
    let thief = house.client("thief").await;
    say(&thief, state(now - 3_600_000, "error")).await;
    say(&thief, state(now + 86_400_000, "error")).await;
    assert!(!watcher.hears(Duration::from_millis(300), |topic, _| topic == TOPIC).await, "old news is not passed on");

    let retained = {
        let mut late = house.client("later").await;
        late.link.subscribe(TOPIC, Qos::AtLeastOnce);
        late.until("what is retained", |topic, _| topic == TOPIC).await.1
    };
    let (_, known) = house.guest("GET", DEVICE, Value::Null).await;
    assert_eq!((retained["ts"].as_i64(), known["state"]["ts"].as_i64(), known["health"].as_str()), (Some(now), Some(now), Some("ok")));
    assert_eq!(known["diagnostics"]["stale"], 2);
    let events = eventually("both are kept", || async {
        let (_, list) = house.guest("GET", &format!("{DEVICE}/events"), Value::Null).await;
        (list["items"].as_array()?.len() == 2).then_some(list)
    });
    for event in events.await["items"].as_array().unwrap() {
        assert_eq!(
            (event["event_type"].as_str(), event["flag"].as_str(), event["data"]["health"].as_str()),
            (Some("message.stale.state"), Some("stale"), Some("error"))
        );
    }

    let house = house.restart().await;
    let thief = house.client("thief").await;
    say(&thief, state(now - 1, "error")).await;
    let (_, known) = house.guest("GET", DEVICE, Value::Null).await;
    let (_, list) = house.guest("GET", &format!("{DEVICE}/events"), Value::Null).await;
    assert_eq!((known["health"].as_str(), list["items"].as_array().map(Vec::len)), (Some("ok"), Some(3)), "a restart does not forget");
    let device = house.client("aabbccddeeff").await;
    say(&device, state(now + 1, "warning")).await;
    let (_, known) = house.guest("GET", DEVICE, Value::Null).await;
    assert_eq!(known["health"], "warning");
}

#[tokio::test]
async fn samples_and_events_of_an_outbox_are_history_told_late() {
    let house = House::new().await;
    let device = house.client("aabbccddeeff").await;
    let then = now_ms() - 3_600_000;
    device.say_json("rtk/v1/home/lab/aabbccddeeff/evt/wifi.roam", json!({"ts": then, "data": {"to": "ap-2"}})).await.unwrap();
    device.say_json("rtk/v1/home/lab/aabbccddeeff/telemetry/cpu", json!({"ts": then, "value": 7})).await.unwrap();
    let (_, events) = house.guest("GET", &format!("{DEVICE}/events"), Value::Null).await;
    assert_eq!((events["items"][0]["flag"].as_str(), events["items"][0]["ts_ms"].as_i64()), (Some("late"), Some(then)));
    let (_, samples) = house.guest("GET", &format!("{DEVICE}/telemetry/cpu"), Value::Null).await;
    assert_eq!((samples["items"][0]["late"].as_bool(), samples["items"][0]["ts_ms"].as_i64()), (Some(true), Some(then)));
    let (_, known) = house.guest("GET", DEVICE, Value::Null).await;
    assert_eq!(known["diagnostics"]["told_late"], 2);
}
