//! Lies about what a device can do and is: what was proven of it is forgotten when it becomes another, and what it denies is not offered.

use crate::house::{FakeDevice, House, args, code, olga};
use serde_json::{Value, json};
use talkwire_core::Ask;
use talkwire_proto::Code;

fn one() -> (House, FakeDevice) {
    let (house, mut devices) = House::with(&["ap-1"]);
    (house, devices.remove(0))
}

fn proven(house: &House, device: &FakeDevice) -> [bool; 2] {
    let known = house.core.device(&device.key).unwrap();
    ["wifi.set_channel", "wifi.set_power"].map(|op| known.way_back(op).is_some())
}

fn says(house: &mut House, device: &mut FakeDevice, change: impl Fn(&mut Value)) {
    let mut attr = device.attr();
    change(&mut attr);
    house.device_says(device, "attr", attr);
}

#[test]
fn the_same_identity_said_again_forgets_nothing() {
    let (mut house, mut device) = one();
    assert_eq!(proven(&house, &device), [true, true]);
    for _ in 0..3 {
        says(&mut house, &mut device, |attr| attr["ts"] = json!(1_800_000_000_000_i64));
    }
    assert_eq!((proven(&house, &device), house.audited("wayback.forgotten").len()), ([true, true], 0));
}

#[test]
fn another_software_model_or_version_of_a_tool_forgets_what_was_proven() {
    let changes: [fn(&mut Value); 4] = [
        |attr| attr["firmware_version"] = json!("2.0"),
        |attr| attr["model"] = json!("Lamp 4"),
        |attr| attr["hardware_version"] = json!("b"),
        |attr| attr["device_type"] = json!("router"),
    ];
    for change in changes {
        let (mut house, mut device) = one();
        says(&mut house, &mut device, change);
        assert_eq!(proven(&house, &device), [false, false]);
        assert_eq!(house.audited("wayback.forgotten")[0].detail["ops"], json!(["wifi.set_channel", "wifi.set_power"]));
        says(&mut house, &mut device, |_| {});
        assert_eq!(proven(&house, &device), [false, false], "and it does not come back with the old words");
    }
    let (mut house, mut device) = one();
    says(&mut house, &mut device, |attr| attr["capabilities"]["tools"]["wifi.set_power"]["version"] = json!("1.1"));
    assert_eq!(proven(&house, &device), [true, false]);
}

#[test]
fn a_change_of_a_tool_forgets_what_was_proven_of_it() {
    let (mut house, mut device) = one();
    let update = |tool: &str| json!({"capability_update": {"changes": [{"tool": tool, "change_type": "limits", "new_value": {"max_power": 17}}]}});
    house.device_says(&mut device, "capability/update", update("wifi.set_power"));
    assert_eq!(proven(&house, &device), [true, false]);
}

#[test]
fn a_device_that_changes_its_type_is_audited_and_shown() {
    let (mut house, mut device) = one();
    says(&mut house, &mut device, |attr| attr["device_type"] = json!("router"));
    assert_eq!(house.audited("device.type_changed")[0].detail, json!({"from": "access_point", "to": "router"}));
    let event = house.shelf.events.last().unwrap();
    assert_eq!((event.event_type.as_str(), &event.data), ("device.type_changed", &json!({"from": "access_point", "to": "router"})));
    says(&mut house, &mut device, |attr| attr["device_type"] = json!("router"));
    assert_eq!(house.audited("device.type_changed").len(), 1);
}

#[test]
fn a_tool_that_a_device_declared_and_denies_is_not_offered_until_it_declares_something_else() {
    let (mut house, device) = one();
    let mut devices = [device];
    devices[0].refuse.insert("network.speedtest_full".into(), "E_UNKNOWN_OP");
    let key = devices[0].key.clone();
    let ask =
        |house: &mut House| house.ask(&olga(), Ask::Command { key: key.clone(), op: "network.speedtest_full".into(), args: args(json!({})), timeout_ms: None });
    ask(&mut house).unwrap();
    house.talk(&mut devices);
    let known = house.core.device(&key).unwrap();
    assert!(!known.can("network.speedtest_full") && known.can("device.status"));
    assert_eq!((known.diagnostics.refuted_tools, house.audited("device.tool_refuted").len()), (1, 1));
    assert_eq!(code(ask(&mut house)), Code::LlmToolNotAvailable);
    says(&mut house, &mut devices[0], |_| {});
    house.restart();
    house.back(&mut devices[0]);
    says(&mut house, &mut devices[0], |_| {});
    assert_eq!(code(ask(&mut house)), Code::LlmToolNotAvailable, "the same words again are no change");
    says(&mut house, &mut devices[0], |attr| attr["capabilities"]["tools"]["network.speedtest_full"]["version"] = json!("1.1"));
    assert!(house.core.device(&key).unwrap().can("network.speedtest_full"));
}

#[test]
fn a_tool_that_only_failed_is_still_there() {
    let (mut house, device) = one();
    let mut devices = [device];
    devices[0].refuse.insert("network.speedtest_full".into(), "E_DEVICE");
    let key = devices[0].key.clone();
    house.ask(&olga(), Ask::Command { key: key.clone(), op: "network.speedtest_full".into(), args: args(json!({})), timeout_ms: None }).unwrap();
    house.talk(&mut devices);
    assert!(house.core.device(&key).unwrap().can("network.speedtest_full"));
}
