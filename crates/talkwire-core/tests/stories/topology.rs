//! What devices say of the network: marked by who said it, bounded, and never an identity.

use crate::house::{FakeDevice, House, args, code, key_of, olga};
use serde_json::{Value, json};
use talkwire_core::Ask;
use talkwire_core::topology::{LINKS, NODES, SITE_NODES, View};
use talkwire_proto::{Code, limits};

fn two() -> (House, FakeDevice, FakeDevice) {
    let (house, mut devices) = House::with(&["ap-1", "ap-2"]);
    let second = devices.remove(1);
    (house, devices.remove(0), second)
}

fn view(house: &House) -> View {
    let key = key_of("ap-1");
    house.core.topology(&key.tenant, &key.site)
}

fn nodes(from: usize, to: usize) -> Vec<Value> {
    (from..to).map(|n| json!({"device_id": format!("n{n}")})).collect()
}

#[test]
fn each_thing_and_link_carries_who_said_it_and_when() {
    let (mut house, mut one, mut two) = two();
    let first = house.now;
    house.device_says(
        &mut one,
        "topology/update",
        json!({"discovered_devices": [{"mac_address": "02:00:00:00:A0:01", "hostname": "phone", "device_type": "phone"}],
        "connections": [{"from_device": "ap-1", "to_device": "02000000a001", "connection_type": "wifi"}]}),
    );
    house.now += 5_000;
    house.device_says(
        &mut two,
        "topology/neighbors",
        json!({"devices": [{"mac": "02000000a001", "name": "Mei's phone"}, {"device_id": "ap-1", "name": "EVIL", "device_type": "router"}]}),
    );
    let view = view(&house);
    assert_eq!(view.nodes.iter().map(|node| (node.id.as_str(), node.name.as_str())).collect::<Vec<_>>(), [("02000000a001", "phone"), ("ap-1", "ap-1")]);
    let phone: Vec<_> = view.nodes[0].said_by.iter().map(|saying| (saying.device_id.as_str(), saying.at_ms, saying.name.as_deref())).collect();
    assert_eq!(phone, [("ap-1", first, Some("phone")), ("ap-2", house.now, Some("Mei's phone"))]);
    assert_eq!((view.links[0].from.as_str(), view.links[0].to.as_str(), view.links[0].said_by.len()), ("ap-1", "02000000a001", 1));
    assert_eq!(view.nodes[1].device.as_ref().map(|id| id.as_str()), Some("ap-1"), "what a device says of itself stands over what others say of it");
    house.device_says(&mut one, "topology/update", json!({"discovered_devices": [], "connections": []}));
    assert_eq!(self::view(&house).nodes[0].said_by.len(), 1, "what it says now replaces what it said");
}

#[test]
fn an_invented_thing_never_becomes_a_device_and_nothing_can_be_done_to_it() {
    let (mut house, mut one, mut two) = two();
    let mine = json!({"device_type": "access_point", "name": "living", "mac_address": "02:00:00:00:00:02"});
    house.device_says(&mut two, "attr", mine);
    let before: Vec<_> =
        house.core.devices().map(|device| (device.key.clone(), device.name.clone(), device.device_type.clone(), device.tools.clone())).collect();
    house.device_says(
        &mut one,
        "topology/update",
        json!({"discovered_devices": [
        {"device_id": "ghost-1", "device_type": "router", "tools": {"wifi.set_channel": {"supported": true}}, "role": "admin"},
        {"device_id": "ghost-2", "mac_address": "020000000002", "name": "living"},
        {"mac_address": "02-00-00-00-00-02", "name": "I am the living room", "device_type": "router"},
        {"device_id": "ap-2", "name": "renamed", "device_type": "toaster"}]}),
    );
    let after: Vec<_> =
        house.core.devices().map(|device| (device.key.clone(), device.name.clone(), device.device_type.clone(), device.tools.clone())).collect();
    assert_eq!(before, after);
    assert!(!house.shelf.devices.contains_key("home/flat/ghost-1"));
    let view = view(&house);
    let of = |id: &str| view.nodes.iter().find(|node| node.id == id).unwrap();
    assert_eq!((of("ghost-1").device.is_none(), of("ghost-1").disputed), (true, false));
    assert_eq!((of("ghost-2").device.is_none(), of("ghost-2").disputed), (true, true), "it has the address of another");
    assert_eq!((of("020000000002").device.as_ref().map(|id| id.as_str()), of("020000000002").name.as_str()), (Some("ap-2"), "living"));
    assert_eq!(of("ap-2").name, "living");
    let ghost = key_of("ghost-1");
    let command = Ask::Command { key: ghost.clone(), op: "device.status".into(), args: args(json!({})), timeout_ms: None };
    assert_eq!(code(house.ask(&olga(), command)), Code::NotFound);
    let change = Ask::Propose { operations: vec![(ghost.clone(), "wifi.set_channel".into(), args(json!({"channel": 1})))], reason: "x".into() };
    assert_eq!(code(house.ask(&olga(), change)), Code::NotFound);
    assert!(house.requests_to(&ghost).is_empty());
}

#[test]
fn a_device_keeps_the_first_512_things_and_1024_links_and_the_rest_is_counted() {
    let (mut house, mut one, mut two) = two();
    let links: Vec<_> = (0..LINKS + 30).map(|n| json!({"from": "ap-1", "to": format!("n{n}")})).collect();
    house.device_says(&mut one, "topology/update", json!({"discovered_devices": nodes(0, NODES + 88), "connections": links}));
    house.device_says(&mut two, "topology/update", json!({"discovered_devices": nodes(5_000, 5_001)}));
    let seen = view(&house);
    assert_eq!((seen.nodes.len(), seen.links.len()), (NODES + 1, LINKS));
    assert!(seen.nodes.iter().all(|node| node.id == "n5000" || node.id[1..].parse::<usize>().unwrap() < NODES), "the first are kept");
    assert_eq!(seen.left_out.iter().map(|one| (one.device_id.as_str(), one.left_out.nodes, one.left_out.links)).collect::<Vec<_>>(), [("ap-1", 88, 30)]);
    assert_eq!(house.core.device(&one.key).unwrap().diagnostics.topology_left_out, 118);
    // The bound is the device's, not the message's: the other topics share it.
    house.device_says(&mut one, "topology/neighbors", json!({"devices": nodes(9_000, 9_100)}));
    assert_eq!(view(&house).nodes.len(), NODES + 1);
    house.device_says(&mut one, "topology/update", json!({"discovered_devices": nodes(0, 3)}));
    house.device_says(&mut one, "topology/neighbors", json!({"devices": nodes(9_000, 9_100)}));
    let seen = view(&house);
    assert_eq!((seen.nodes.len(), seen.left_out.len()), (3 + 100 + 1, 0), "room that it gave up it may use again");
}

#[test]
fn many_devices_with_many_messages_stay_within_the_bound_of_the_site() {
    let mut house = House::new();
    for device in 0..20 {
        let mut liar = FakeDevice::new(&format!("liar-{device:02}"));
        for message in 0..20 {
            let from = (device * 20 + message) * 1_000;
            house.device_says(
                &mut liar,
                ["topology/update", "topology/neighbors", "topology/discovery"][message % 3],
                json!({"devices": nodes(from, from + 1_000)}),
            );
        }
    }
    let seen = view(&house);
    assert_eq!(seen.nodes.len(), SITE_NODES);
    assert_eq!(seen.left_out.len(), 20, "each of them is told apart");
    house.now += 25 * 3_600_000;
    let mut honest = FakeDevice::new("honest");
    house.device_says(&mut honest, "topology/update", json!({"devices": nodes(0, 2)}));
    assert_eq!(view(&house).nodes.len(), 2, "what is a day old makes room");
}

#[test]
fn a_million_things_in_one_message_go_to_quarantine() {
    let (mut house, mut one, _) = two();
    let mut text = String::from(r#"{"discovered_devices":["#);
    text.push_str(&r#"{"id":"n"},"#.repeat(1_000_000));
    text.push_str(r#"{"id":"n"}]}"#);
    let from = one.origin();
    house.publish(&from, &format!("rtk/v1/{}/topology/update", one.key), text.as_bytes());
    let row = house.shelf.quarantine.last().unwrap();
    assert!(row.reason.starts_with("E_TOO_LARGE") && row.payload.len() <= limits::QUARANTINE_BYTES);
    assert!(view(&house).nodes.is_empty());
    house.device_says(&mut one, "topology/update", json!({"devices": nodes(0, 1)}));
    assert_eq!(view(&house).nodes.len(), 1);
}

#[test]
fn cycles_and_links_to_oneself_hang_nothing_and_are_shown_or_counted() {
    let (mut house, mut one, _) = two();
    let ring = |n: usize| json!({"from": format!("n{n}"), "to": format!("n{}", (n + 1) % 500)});
    let mut links: Vec<_> = (0..500).map(ring).collect();
    links.extend((0..10).map(|n| json!({"from": format!("n{n}"), "to": format!("n{n}")})));
    links.extend([json!({"from": "a", "to": "b"}), json!({"from": "b", "to": "a"}), json!({"from": "only"}), json!(7), json!({"from": "a", "to": "b"})]);
    house.device_says(&mut one, "topology/connections", json!({"connections": links}));
    let seen = view(&house);
    assert_eq!((seen.links.len(), seen.left_out[0].left_out.links), (502, 12));
}

#[test]
fn what_is_said_is_text_on_one_line_and_short() {
    let (mut house, mut one, _) = two();
    let name = format!("<img src=x onerror=alert(1)>\u{202e}\n\u{0}{}", "x".repeat(5_000));
    house.device_says(
        &mut one,
        "topology/update",
        json!({"devices": [
        {"id": name, "name": name, "device_type": name}, {"id": "\u{200b}\u{202e}"}, {"id": 7}, {"id": {"a": 1}}, "x", null],
        "connections": [{"from": name, "to": "b", "type": name}]}),
    );
    let seen = view(&house);
    assert_eq!((seen.nodes.len(), seen.left_out[0].left_out.nodes), (1, 5));
    let text = serde_json::to_string(&seen).unwrap();
    assert!(!text.contains("\\n") && !text.contains('\u{202e}') && !text.contains("\\u0000") && text.len() < 1_500, "{text}");
    assert!(seen.nodes[0].name.starts_with("<img"), "it is text, and shown as such");
    assert!(seen.nodes[0].name.chars().count() <= 64 && seen.nodes[0].said_by[0].kind.as_ref().unwrap().chars().count() <= 32);
}

#[test]
fn an_old_map_played_again_does_not_replace_the_one_of_now() {
    let (mut house, mut one, _) = two();
    let then = house.now;
    house.device_says(&mut one, "topology/update", json!({"ts": then, "devices": nodes(0, 1)}));
    house.now += 3_600_000;
    house.device_says(&mut one, "topology/update", json!({"ts": house.now, "devices": nodes(7, 8)}));
    house.device_says(&mut one, "topology/update", json!({"ts": then, "devices": nodes(0, 1)}));
    assert_eq!(view(&house).nodes[0].id, "n7");
    assert_eq!(house.shelf.events.last().unwrap().event_type, "message.stale.topology");
}
