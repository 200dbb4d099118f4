//! What a device said before, told again or told late: kept as history, and never taken for now. And no clock shuts its device out.

use crate::house::{FakeDevice, House, key_of};
use serde_json::{Value, json};
use talkwire_core::Input;
use talkwire_core::effect::Flag;
use talkwire_proto::state::Health;
use talkwire_proto::{Inbound, limits};

const HOUR: i64 = 3_600_000;

fn one() -> (House, FakeDevice) {
    let (house, mut devices) = House::with(&["ap-1"]);
    (house, devices.remove(0))
}

impl House {
    fn state(&mut self, device: &mut FakeDevice, ts: i64, health: &str) {
        self.device_says(device, "state", json!({"ts": ts, "health": health}));
    }

    fn health(&self) -> Health {
        self.core.device(&key_of("ap-1")).unwrap().health
    }

    fn stale(&self) -> u64 {
        self.core.device(&key_of("ap-1")).unwrap().diagnostics.stale
    }

    fn now_state(&self) -> Value {
        self.core.device(&key_of("ap-1")).unwrap().state.clone()
    }
}

#[test]
fn a_captured_state_played_an_hour_later_is_kept_flagged_and_changes_nothing() {
    let (mut house, mut device) = one();
    let captured = house.now;
    house.state(&mut device, captured, "error");
    house.now += HOUR;
    let now = house.now;
    house.state(&mut device, now, "ok");
    for again in 1..=20 {
        house.now += 10_000;
        house.state(&mut device, captured, "error");
        assert_eq!((house.health(), house.now_state()["ts"].as_i64(), house.stale()), (Health::Ok, Some(now), again));
    }
    let event = house.shelf.events.last().unwrap();
    assert_eq!((event.event_type.as_str(), event.flag, event.ts_ms, event.received_ms), ("message.stale.state", Some(Flag::Stale), captured, house.now));
    assert_eq!(event.data["health"], "error", "it is kept as it came");
    assert_eq!(house.withheld, 20, "what is retained stays what was taken last");
    house.restart();
    house.state(&mut device, captured, "error");
    assert_eq!((house.health(), house.withheld), (Health::Ok, 21), "a restart does not forget how far the clock was");
    house.now += 1_000;
    let now = house.now;
    house.state(&mut device, now, "warn");
    assert_eq!((house.health(), house.withheld), (Health::Warning, 21));
}

#[test]
fn a_state_from_a_far_future_is_not_how_things_are_now() {
    let (mut house, mut device) = one();
    let now = house.now;
    house.state(&mut device, now, "ok");
    house.state(&mut device, now + 24 * HOUR, "error");
    assert_eq!((house.health(), house.stale()), (Health::Ok, 1));
    assert_eq!(house.core.device(&device.key).unwrap().diagnostics.clock_ahead, 1);
    house.now += 1_000;
    let now = house.now;
    house.state(&mut device, now, "warn");
    assert_eq!(house.health(), Health::Warning, "the device itself is not shut out by it");
}

#[test]
fn an_old_identity_and_an_old_change_of_tools_bring_nothing_back() {
    let (mut house, mut device) = one();
    let old = house.now;
    let attr = |ts: i64, tools: Value| json!({"ts": ts, "device_type": "access_point", "capabilities": {"tools": tools}});
    house.device_says(&mut device, "attr", attr(old, json!({"wifi.set_channel": {"supported": true, "rollback_supported": true}})));
    house.now += HOUR;
    house.device_says(&mut device, "attr", attr(old + HOUR, json!({"wifi.set_channel": {"supported": false}})));
    house.device_says(&mut device, "attr", attr(old, json!({"wifi.set_channel": {"supported": true, "rollback_supported": true}})));
    let change = json!({"ts": old, "capability_update": {"changes": [{"tool": "wifi.set_channel", "change_type": "availability", "new_value": true}]}});
    house.device_says(&mut device, "capability/update", change.clone());
    house.device_says(&mut device, "attr", change.clone());
    let known = house.core.device(&device.key).unwrap();
    assert!(!known.can("wifi.set_channel"));
    assert_eq!(known.diagnostics.stale, 3);
    let mut fresh = change;
    fresh["ts"] = json!(old + HOUR - 20_000);
    house.device_says(&mut device, "capability/update", fresh);
    assert!(house.core.device(&device.key).unwrap().can("wifi.set_channel"), "a change that an attr overtook by seconds is no replay");
}

#[test]
fn what_an_outbox_tells_after_an_outage_is_history_flagged_late_and_not_lost() {
    let (mut house, mut device) = one();
    let began = house.now;
    house.cut(&mut device);
    house.now += 2 * HOUR;
    house.back(&mut device);
    for minute in 0..10 {
        let ts = began + minute * 60_000;
        house.device_says(&mut device, "telemetry/cpu", json!({"ts": ts, "value": minute}));
        house.device_says(&mut device, "evt/wifi.roam", json!({"ts": ts, "data": {"to": "ap-2"}}));
    }
    assert_eq!(house.shelf.samples.len(), 10);
    assert!(house.shelf.samples.iter().all(|sample| sample.received_ms - sample.ts_ms > limits::TS_BEHIND_MS), "the sample keeps its own time");
    assert_eq!(house.shelf.events.iter().filter(|event| event.flag == Some(Flag::Late)).count(), 10);
    let known = house.core.device(&device.key).unwrap();
    assert_eq!((known.diagnostics.told_late, known.diagnostics.stale), (20, 0));
    house.device_says(&mut device, "evt/wifi.roam", json!({"ts": house.now - limits::TS_BEHIND_MS, "data": {}}));
    assert_eq!(house.shelf.events.last().unwrap().flag, None);
}

#[test]
fn a_clock_that_was_set_back_is_believed_when_it_shows_that_it_runs() {
    let (mut house, mut device) = one();
    let wrong = house.now + 4 * 60_000;
    house.state(&mut device, wrong, "ok");
    let mut taken = None;
    for second in [0, 30, 60, 90] {
        house.now += 30_000;
        let ts = wrong - 2 * HOUR + second * 1_000;
        house.state(&mut device, ts, "warn");
        taken = taken.or((house.health() == Health::Warning).then_some(second));
    }
    assert_eq!(taken, Some(60), "three in a row, over a minute");
    assert_eq!(house.stale(), 2);
    let replayed = wrong;
    house.state(&mut device, replayed - 3 * HOUR, "error");
    assert_eq!(house.health(), Health::Warning, "and from then on its own order counts again");
}

#[test]
fn a_clock_that_was_ahead_and_is_set_right_is_believed_at_once() {
    let (mut house, mut device) = one();
    let now = house.now;
    house.state(&mut device, now + 24 * HOUR, "ok");
    assert_eq!(house.health(), Health::Ok, "of a device that was never heard, its first word stands");
    house.now += 60_000;
    house.state(&mut device, now - 5 * HOUR, "error");
    assert_eq!(house.health(), Health::Ok, "but what is far behind is no clock that was set right");
    let now = house.now;
    house.state(&mut device, now, "warn");
    assert_eq!((house.health(), house.stale()), (Health::Warning, 1));
}

#[test]
fn a_clock_that_runs_a_day_ahead_is_followed_in_its_own_order() {
    let (mut house, mut device) = one();
    let day = 24 * HOUR;
    for (at, health) in [(0, "ok"), (300_000, "warn"), (600_000, "ok")] {
        let ts = house.now + day;
        house.state(&mut device, ts, health);
        assert_eq!(house.health(), if at == 300_000 { Health::Warning } else { Health::Ok });
        house.now += 300_000;
    }
    let older = house.now + day - 400_000;
    house.state(&mut device, older, "error");
    assert_eq!((house.health(), house.stale()), (Health::Ok, 1));
}

#[test]
fn a_device_without_a_clock_is_taken_in_the_order_of_arrival() {
    let (mut house, mut device) = one();
    let now = house.now;
    house.state(&mut device, now, "ok");
    house.state(&mut device, 90_000, "warn");
    assert_eq!(house.health(), Health::Warning, "1970 is no time");
    house.device_says(&mut device, "state", json!({"health": "error"}));
    assert_eq!((house.health(), house.stale()), (Health::Error, 0));
    house.device_says(&mut device, "evt/wifi.roam", json!({"ts": 90_000, "data": {}}));
    assert_eq!(house.shelf.events.last().unwrap().flag, Some(Flag::Unset));
}

#[test]
fn what_a_broker_kept_from_before_what_we_hold_is_not_taken_and_is_no_sign_of_life() {
    let (mut house, mut device) = one();
    let then = house.now;
    house.now += HOUR;
    let now = house.now;
    house.state(&mut device, now, "ok");
    house.cut(&mut device);
    let kept = |house: &mut House, ts: i64| {
        let text = json!({"ts": ts, "health": "error"}).to_string();
        let inbound = Inbound::decode(&format!("rtk/v1/{}/state", key_of("ap-1")), text.as_bytes(), house.now, 999).unwrap();
        house.input(Input::Kept(inbound));
    };
    for _ in 0..5 {
        house.now += 30_000;
        kept(&mut house, then);
    }
    assert_eq!((house.health(), house.stale()), (Health::Ok, 5));
    let live = then;
    house.state(&mut device, live, "error");
    assert!(!house.core.device(&device.key).unwrap().online, "old words do not show that anybody is there");
    kept(&mut house, now + 1_000);
    assert_eq!(house.health(), Health::Error, "what it said while we were away is news");
}

#[test]
fn whatever_is_played_in_whatever_order_the_state_held_is_never_older_than_one_held_before() {
    // A device speaks every minute; an adversary plays single captured messages in between, a different one each time.
    let (mut house, mut device) = one();
    let began = house.now;
    let mut newest = 0;
    let mut random = 7_u64;
    for minute in 1..200 {
        house.now = began + minute * 60_000;
        let now = house.now;
        house.state(&mut device, now, "ok");
        newest = newest.max(now);
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            house.now += 1_000;
            let ts = began + i64::try_from(random >> 40).unwrap() % (minute * 60_000);
            house.state(&mut device, ts, "error");
            let held = house.now_state()["ts"].as_i64().unwrap();
            assert_eq!((held, house.health()), (newest, Health::Ok));
        }
    }
}
