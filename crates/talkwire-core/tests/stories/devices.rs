//! Presence, identity and capabilities, and what a device cannot do to the server.

use crate::house::{FakeDevice, House, ann, guest, key_of, people_at};
use serde_json::json;
use talkwire_core::effect::Flag;
use talkwire_proto::{Code, Inbound, limits};

fn one() -> (House, FakeDevice) {
    let (house, mut devices) = House::with(&["ap-1"]);
    (house, devices.remove(0))
}

#[test]
fn a_device_joins_speaks_and_leaves_and_a_restart_finds_nobody_connected() {
    let (mut house, mut device) = one();
    assert_eq!(house.audited("device.joined").len(), 1);
    let known = house.core.device(&device.key).unwrap();
    assert!(known.online);
    assert_eq!((known.device_type.as_str(), known.model.as_deref()), ("access_point", Some("Lamp 3")));
    house.now += 60_000;
    house.cut(&mut device);
    let known = house.core.device(&device.key).unwrap();
    assert_eq!((known.online, known.presence_since_ms, known.diagnostics.connection_errors), (false, house.now, 1));
    house.back(&mut device);
    house.restart();
    assert!(!house.core.device(&device.key).unwrap().online && !house.shelf.devices["home/flat/ap-1"].online);
    house.device_says(&mut device, "state", json!({"health": "warn"}));
    let known = house.core.device(&device.key).unwrap();
    assert!(known.online, "whoever speaks is there");
    assert_eq!((known.name.as_str(), known.tools.len()), ("ap-1", 6), "what it was is not forgotten");
    house.device_says(&mut device, "lwt", json!({"status": "offline", "reason": "normal_shutdown"}));
    assert_eq!(house.core.device(&device.key).unwrap().diagnostics.connection_errors, 1, "a goodbye is no error");
}

#[test]
fn telemetry_is_kept_with_unit_and_both_times_and_a_clock_far_ahead_is_flagged() {
    let (mut house, mut device) = one();
    let ts = house.now - 250;
    house.device_says(&mut device, "telemetry/cpu_usage", json!({"ts": ts, "value": 45.2, "unit": "%"}));
    house.device_says(&mut device, "telemetry/net", json!({"ts": house.now + 3_600_000, "rx_mbps": 1.5, "tx_mbps": 2}));
    let cpu = &house.shelf.samples[0];
    assert_eq!((cpu.metric.as_str(), cpu.value, cpu.unit.as_deref(), cpu.ts_ms, cpu.received_ms), ("cpu_usage", Some(45.2), Some("%"), ts, house.now));
    let names: Vec<_> = house.shelf.samples.iter().map(|sample| sample.metric.as_str()).collect();
    assert_eq!(names, ["cpu_usage", "net.rx_mbps", "net.tx_mbps"]);
    assert_eq!(house.shelf.samples[1].ts_ms, house.now, "a wrong clock does not order samples");
    assert_eq!(house.core.device(&device.key).unwrap().diagnostics.clock_ahead, 1);
    house.device_says(&mut device, "evt/wifi.roam", json!({"ts": house.now + 3_600_000, "severity": "warning", "to": "x"}));
    let event = house.shelf.events.last().unwrap();
    assert_eq!((event.event_type.as_str(), event.flag, event.data["to"].as_str()), ("wifi.roam", Some(Flag::Ahead), Some("x")));
}

#[test]
fn samples_of_a_clock_that_was_never_set_are_kept_under_their_arrival_and_flagged() {
    let (mut house, mut device) = one();
    house.device_says(&mut device, "telemetry/cpu_usage", json!({"ts": 90_000, "value": 45.2, "unit": "%"}));
    assert_eq!((house.shelf.samples[0].ts_ms, house.shelf.samples[0].value), (house.now, Some(45.2)), "as old as 1970 it would be dropped");
    house.device_says(&mut device, "evt/wifi.roam", json!({"ts": 91_000, "severity": "warning", "to": "x"}));
    assert_eq!(house.shelf.events.last().unwrap().flag, Some(Flag::Unset));
    let counted = &house.core.device(&device.key).unwrap().diagnostics;
    assert_eq!((counted.clock_unset, counted.clock_ahead), (2, 0));
}

#[test]
fn a_message_of_a_newer_major_version_is_kept_and_not_acted_on() {
    let (mut house, mut device) = one();
    house.cut(&mut device);
    house.device_says(&mut device, "lwt", json!({"schema": "lwt/9.1", "status": "offline"}));
    assert!(!house.core.device(&device.key).unwrap().online, "a will in words we do not know is no sign of life");
    house.device_says(&mut device, "state", json!({"schema": "state/2.0", "health": {"score": 7}}));
    let event = house.shelf.events.last().unwrap();
    assert_eq!((event.event_type.as_str(), event.flag), ("message.newer.state", Some(Flag::Newer)));
    assert_eq!(event.data["health"]["score"], 7);
    assert!(house.core.device(&device.key).unwrap().state.is_null());
}

#[test]
fn a_capability_update_narrows_and_never_erases_who_the_device_is() {
    let (mut house, mut device) = one();
    let update = json!({"changes": [
        {"tool": "network.speedtest_full", "change_type": "availability", "old_value": true, "new_value": false, "reason": "WAN busy"},
        {"tool": "wifi.set_power", "change_type": "rollback_supported", "new_value": false},
        {"tool": "toaster.brown", "change_type": "version", "new_value": "2.0"}]});
    let before = house.core.device(&device.key).unwrap().clone();
    house.device_says(&mut device, "attr", json!({"capability_update": update}));
    let after = house.core.device(&device.key).unwrap().clone();
    assert!(!after.can("network.speedtest_full") && after.can("device.status"));
    assert!(!after.undoes_itself("wifi.set_power") && after.undoes_itself("wifi.set_channel"));
    assert!(!after.can("toaster.brown"), "a version of a tool that was never declared declares nothing");
    assert_eq!((after.tools.len(), &after.model, &after.attr, after.envelope), (before.tools.len(), &before.model, &before.attr, before.envelope));
    house.device_says(
        &mut device,
        "capability/update",
        json!({"capability_update": {"changes": [{"tool": "speed_test", "change_type": "availability", "new_value": true}]}}),
    );
    let after = house.core.device(&device.key).unwrap();
    assert!(after.can("network.speedtest_full") && after.tools.len() == before.tools.len(), "an alias is the same tool");
}

#[test]
fn a_device_that_declared_nothing_does_not_lose_its_tools_by_losing_one() {
    let mut house = House::new();
    let mut device = FakeDevice::new("old-1");
    house.device_says(&mut device, "lwt", json!({"status": "online"}));
    house.device_says(&mut device, "capability/update", json!({"changes": [{"tool": "network.speedtest_full", "new_value": false}]}));
    let known = house.core.device(&device.key).unwrap();
    assert!(known.can("device.status") && !known.can("network.speedtest_full"));
}

#[test]
fn what_cannot_be_read_goes_to_quarantine_is_counted_and_stops_nothing() {
    let (mut house, mut device) = one();
    let from = device.origin();
    let topic = format!("rtk/v1/{}/state", device.key);
    let poison: [&[u8]; 5] = [b"not json", b"{\"health\":NaN}", b"\xff\xfe", b"[]", &[b'{'; 9_000]];
    for payload in poison {
        house.publish(&from, &topic, payload);
    }
    assert_eq!(house.shelf.quarantine.len(), 5);
    assert!(house.shelf.quarantine.iter().all(|row| row.payload.len() <= limits::QUARANTINE_BYTES && row.reason.starts_with("E_MALFORMED")));
    assert_eq!(house.core.device(&device.key).unwrap().diagnostics.malformed, 5);
    house.publish(&from, &"x/".repeat(9_000), b"{}");
    assert!(house.shelf.quarantine.last().unwrap().topic.len() <= 4 * limits::TOPIC_BYTES);
    house.device_says(&mut device, "state", json!({"health": "ok"}));
    assert_eq!(house.core.device(&device.key).unwrap().state["health"], "ok");
}

#[test]
fn a_chat_client_hears_why_its_message_cannot_be_read() {
    let mut house = House::new();
    house.publish(&people_at(ann(), "web-1"), "chat/send", b"{oops");
    let error = &house.said_on("chat/client/web-1/error")[0];
    assert_eq!(error["code"], json!(Code::Malformed));
    house.publish(&people_at(guest("g"), "c-7"), "chatroom/messages/in", b"{\"message\": 5}");
    let notice = house.said_on("chatroom/system").pop().unwrap();
    assert_eq!((notice["client_id"].as_str(), notice["code"].as_str()), (Some("c-7"), Some("E_MALFORMED")));
}

#[test]
fn a_device_that_only_sends_samples_costs_one_row_a_minute() {
    let (mut house, mut device) = one();
    let rows = |house: &mut House, payload: serde_json::Value| {
        let topic = format!("rtk/v1/{}/telemetry/cpu", key_of("ap-1"));
        let inbound = Inbound::decode(&topic, payload.to_string().as_bytes(), house.now, 999).unwrap();
        house.core.handle(house.now, talkwire_core::Input::Message { from: FakeDevice::new("ap-1").origin(), inbound, bytes: 1 }).len()
    };
    for _ in 0..50 {
        house.now += 1_000;
        assert_eq!(rows(&mut house, json!({"value": 1})), 1, "the sample and nothing else");
    }
    house.now += 30_000;
    assert_eq!(rows(&mut house, json!({"value": 1})), 3, "the sample, the device, and word of it");
    house.device_says(&mut device, "telemetry/cpu", json!({"value": 1}));
}
