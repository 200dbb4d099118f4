//! Acts that leave nothing to put back, such as a restart: how a set with them ends.

use crate::house::{FakeDevice, House, ann, args, code};
use serde_json::json;
use talkwire_core::Ask;
use talkwire_core::changeset::{Changeset, Expectation, Measurement, Operation, OperationState, Report, Status, World, report, view};
use talkwire_proto::{Code, DeviceKey};

fn propose(house: &mut House, device: &FakeDevice, ops: &[&str]) -> Changeset {
    let call = |op: &&str| (device.key.clone(), (*op).to_owned(), if *op == "wifi.set_channel" { args(json!({"channel": 11})) } else { args(json!({})) });
    let set = house.ask(&ann(), Ask::Propose { operations: ops.iter().map(call).collect(), reason: "stuck".into() }).unwrap();
    let set: Changeset = serde_json::from_value(set).unwrap();
    house.ask(&ann(), Ask::Approve { changeset_id: set.changeset_id.clone(), plan_hash: set.plan_hash.clone() }).unwrap();
    set
}

#[test]
fn a_restart_is_done_and_cannot_be_taken_back() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    let set = propose(&mut house, &devices[0], &["device.restart"]);
    assert!(view(&house.set(&set.changeset_id)).undo.contains("cannot be undone"));
    house.talk(&mut devices);
    assert_eq!((house.status(&set), devices[0].taken.last().map(String::as_str)), (Status::Committed, Some("changeset.commit")));
    let receipt = &house.shelf.receipts[&set.changeset_id];
    assert_eq!(receipt["undo"]["possible"], false);
    let refused = house.ask(&ann(), Ask::Rollback(set.changeset_id.clone()));
    assert_eq!(code(refused), Code::ChangesetState);
    assert_eq!(house.status(&set), Status::Committed);
}

#[test]
fn of_a_mixed_set_only_what_has_a_before_is_put_back() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    let set = propose(&mut house, &devices[0], &["wifi.set_channel", "device.restart"]);
    house.talk(&mut devices);
    assert_eq!((house.status(&set), &devices[0].config["channel"]), (Status::Committed, &json!(11)));
    house.ask(&ann(), Ask::Rollback(set.changeset_id.clone())).unwrap();
    house.talk(&mut devices);
    let ended = house.set(&set.changeset_id);
    assert_eq!((ended.status, &devices[0].config["channel"]), (Status::RolledBack, &json!(6)));
    assert_eq!(devices[0].taken.iter().filter(|op| *op == "device.restart").count(), 1, "nothing is restarted a second time to undo a restart");
    assert!(ended.outcome.unwrap().text.contains("nothing to put back"));
}

#[test]
fn a_restart_that_fails_sets_the_rest_back() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    devices[0].refuse.insert("device.restart".into(), "E_DEVICE");
    let set = propose(&mut house, &devices[0], &["wifi.set_channel", "device.restart"]);
    house.talk(&mut devices);
    assert_eq!((house.status(&set), &devices[0].config["channel"]), (Status::RolledBack, &json!(6)));
}

/// A house in which everybody is there and nothing is under way.
struct Quiet;

impl World for Quiet {
    fn is_under_way(&self, _: &DeviceKey, _: &str) -> bool {
        false
    }
    fn is_online(&self, _: &DeviceKey) -> bool {
        true
    }
    fn is_proven(&self, _: &DeviceKey, _: &str) -> bool {
        true
    }
    fn argument(&self, _: &str, _: &str) -> Option<serde_json::Value> {
        None
    }
}

fn measured(value: f64) -> Option<Measurement> {
    Some(Measurement { metric: "dns.ok".into(), value, unit: "%".into(), samples: vec![value], trace_ids: Vec::new() })
}

/// The set after it was applied and measured again.
fn judged(ops: &[&str], after: Option<Measurement>) -> Changeset {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    devices[0].mute.push("changeset.commit".into());
    let set = propose(&mut house, &devices[0], ops);
    house.talk(&mut devices);
    let mut set = house.set(&set.changeset_id);
    let text = "80 → 95 %".to_owned();
    set.expect = Some(Expectation { metric: "dns.ok".into(), unit: "%".into(), direction: "up".into(), min_gain_percent: None, min_gain: Some(15.0), text });
    (set.before, set.outcome, set.status) = (measured(80.0), None, Status::Verifying);
    report(&mut set, house.now, Report::Judged(after), &Quiet);
    set
}

fn states(set: &Changeset) -> Vec<OperationState> {
    set.operations.iter().map(|Operation { state, .. }| *state).collect()
}

#[test]
fn without_gain_a_restart_is_done_and_a_change_goes_back() {
    let restart = judged(&["device.restart"], measured(81.0));
    assert_eq!((restart.outcome.as_ref().unwrap().kind.as_str(), restart.going_back.is_none()), ("done_no_gain", true));
    assert!(restart.outcome.unwrap().text.contains("80 % → 81 %"));
    assert_eq!(judged(&["device.restart"], None).outcome.unwrap().kind, "done_not_measured");
    assert_eq!(judged(&["device.restart"], measured(99.0)).outcome.unwrap().kind, "kept");

    let mixed = judged(&["wifi.set_channel", "device.restart"], measured(81.0));
    assert_eq!((mixed.going_back.as_ref().unwrap().kind.as_str(), mixed.outcome.is_none()), ("no_gain", true));
    assert_eq!(states(&mixed), [OperationState::Applied; 2], "they wait for the device to take the set back");
}
