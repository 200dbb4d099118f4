//! How many messages a second the rules take: from the bytes of a publish to the list of effects, on one thread.

use ed25519_dalek::SigningKey;
use std::sync::Arc;
use std::time::Instant;
use talkwire_core::core::Memory;
use talkwire_core::input::Origin;
use talkwire_core::{Catalogue, Core, Input, Principal};
use talkwire_proto::{DeviceKey, Inbound, limits};

const DEVICES: usize = 1_000;
const MESSAGES: usize = 200_000;

fn main() {
    for (what, tail, payload) in [
        (
            "events",
            "evt/wifi.roam",
            r#"{"schema":"evt.wifi.roam/1.0","ts":1800000000000,"device_id":"x","event_type":"wifi.roam","severity":"info","data":{"client_mac":"aabbccddeeff","from":"ap-1","to":"ap-2","rssi_dbm":-61}}"#,
        ),
        ("samples", "telemetry/cpu_usage", r#"{"schema":"telemetry.cpu_usage/1.0","ts":1800000000000,"value":45.2,"unit":"%"}"#),
    ] {
        let catalogue = Arc::new(Catalogue::default());
        let mut core = Core::new(catalogue, [1; 32], SigningKey::from_bytes(&[2; 32]), Memory::default(), 1_800_000_000_000);
        let senders: Vec<(String, Origin)> = (0..DEVICES).map(|n| sender(n, tail)).collect();
        let (mut effects, began) = (0, Instant::now());
        for n in 0..MESSAGES {
            let now_ms = 1_800_000_000_000 + n as i64 / 20;
            let (topic, from) = &senders[n % DEVICES];
            if let Ok(inbound) = Inbound::decode(topic, payload.as_bytes(), now_ms, limits::MESSAGE_BYTES) {
                effects += core.handle(now_ms, Input::Message { from: from.clone(), inbound, bytes: payload.len() }).len();
            }
            if core.next_deadline().is_some_and(|at| at <= now_ms) {
                effects += core.handle(now_ms, Input::Tick).len();
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        println!("{what}: {:.0} messages/s, {:.2} effects each, {DEVICES} devices", MESSAGES as f64 / seconds, effects as f64 / MESSAGES as f64);
    }
}

fn sender(n: usize, tail: &str) -> (String, Origin) {
    // The name has the form of a key.
    let key: DeviceKey = format!("home/flat/ap-{n}").parse().expect("a valid key");
    (format!("rtk/v1/{key}/{tail}"), Origin { client_id: key.device_id.to_string(), principal: Principal::Device { key } })
}
