//! A claim is no proof: a device that says that it goes back by itself shows it once before anything is changed on it.

use crate::house::{FakeDevice, House, ann, args, code, olga};
use serde_json::{Value, json};
use talkwire_core::Ask;
use talkwire_core::changeset::{Changeset, Status, view};
use talkwire_core::wayback::Known;
use talkwire_proto::Code;
use talkwire_proto::event::Severity;

fn one() -> (House, Vec<FakeDevice>) {
    House::unproven(&["ap-1"])
}

fn approved(house: &mut House, devices: &mut [FakeDevice]) -> Changeset {
    let set = house.propose(&[&devices[0]], 11);
    house.ask(&ann(), Ask::Approve { changeset_id: set.changeset_id.clone(), plan_hash: set.plan_hash.clone() }).unwrap();
    house.talk(devices);
    set
}

fn is_proven(house: &House, device: &FakeDevice, op: &str) -> bool {
    matches!(house.core.device(&device.key).unwrap().way_back(op), Some(Known::Proven { .. }))
}

fn channel(device: &FakeDevice) -> &Value {
    &device.config["channel"]
}

#[test]
fn the_first_change_is_rehearsed_and_the_next_is_not() {
    let (mut house, mut devices) = one();
    let set = house.propose(&[&devices[0]], 11);
    assert!(!set.needs_admin && view(&set).undo.contains("rehearsed first"), "{}", view(&set).undo);
    house.approve(&set).unwrap();
    house.talk(&mut devices);
    assert_eq!(devices[0].taken, ["changeset.prepare", "changeset.rehearse"]);
    assert_eq!((house.status(&set), channel(&devices[0])), (Status::Preparing, &json!(6)), "nothing is applied before");
    let began = house.now;
    house.live(2, &mut devices);
    assert_eq!((house.status(&set), channel(&devices[0])), (Status::Committed, &json!(11)));
    assert_eq!(house.shelf.events.last().unwrap().severity, Severity::Info, "nobody is alarmed by it");
    assert!(house.now - began <= 2_100, "it costs about two seconds, once");
    assert_eq!(devices[0].taken[2..], ["wifi.set_channel", "changeset.commit"]);
    assert!(is_proven(&house, &devices[0], "wifi.set_channel") && !is_proven(&house, &devices[0], "wifi.set_power"));
    let row = house.audited("wayback.proven")[0];
    assert_eq!((row.detail["op"].as_str(), row.detail["how"].as_str()), (Some("wifi.set_channel"), Some("rehearsal")));
    house.restart();
    house.back(&mut devices[0]);
    let next = house.propose(&[&devices[0]], 1);
    assert!(view(&next).undo.contains("proven on 2027-01-15"), "{}", view(&next).undo);
    house.approve(&next).unwrap();
    house.talk(&mut devices);
    assert_eq!(house.status(&next), Status::Committed, "a restart does not forget the proof");
    assert_eq!(devices[0].taken.iter().filter(|op| *op == "changeset.rehearse").count(), 1);
}

#[test]
fn a_device_of_another_make_is_given_the_very_values_that_run() {
    let (mut house, mut devices) = one();
    devices[0].rehearses = false;
    let set = approved(&mut house, &mut devices);
    assert_eq!(devices[0].taken, ["changeset.prepare", "changeset.rehearse", "wifi.set_channel"]);
    let act = house.shelf.commands.values().find(|command| command.op == "wifi.set_channel").unwrap();
    assert_eq!((&act.args["channel"], act.args["auto_rollback_timeout"].as_u64()), (&json!(6), Some(1)));
    assert!(house.audited("command.act").iter().any(|row| row.subject == act.id), "it is an act, and written down before it is sent");
    assert_eq!(channel(&devices[0]), &json!(6));
    house.live(2, &mut devices);
    assert_eq!((house.status(&set), channel(&devices[0])), (Status::Committed, &json!(11)));
    assert_eq!(devices[0].runs.len(), 2);
}

#[test]
fn a_device_that_only_claims_to_go_back_is_refused_before_the_change_and_an_administrator_may_go_on() {
    for rehearses in [true, false] {
        let (mut house, mut devices) = one();
        (devices[0].rehearses, devices[0].stuck) = (rehearses, true);
        let set = approved(&mut house, &mut devices);
        house.live(20, &mut devices);
        let ended = house.set(&set.changeset_id);
        assert_eq!((ended.status, ended.outcome.as_ref().unwrap().kind.as_str()), (Status::RolledBack, "rehearsal_failed"));
        assert!(ended.outcome.as_ref().unwrap().text.contains("E_ROLLBACK_UNPROVEN"));
        assert!(ended.operations[0].error.as_ref().unwrap().starts_with("E_ROLLBACK_UNPROVEN: it did not go back by itself within"));
        assert_eq!(channel(&devices[0]), &json!(6));
        assert!(!house.shelf.commands.values().any(|command| command.is_act && command.args["channel"] == 11), "the change itself was never sent");
        assert_eq!(house.audited("wayback.unproven")[0].detail["marked"], true);
        assert_eq!(house.audited("receipt.issued").len(), 1);

        // Its own timer is broken; it lets go when it is told to, and an administrator may take the risk.
        devices[0].pending = None;
        let again = house.propose(&[&devices[0]], 11);
        assert!(again.needs_admin && view(&again).undo.contains("an administrator decides"), "{}", view(&again).undo);
        assert_eq!(code(house.approve(&again)), Code::RollbackUnproven);
        assert_eq!(house.audited("changeset.approval_refused").last().unwrap().detail["code"], "E_ROLLBACK_UNPROVEN");
        house.ask(&ann(), Ask::Approve { changeset_id: again.changeset_id.clone(), plan_hash: again.plan_hash.clone() }).unwrap();
        house.talk(&mut devices);
        assert_eq!((house.status(&again), channel(&devices[0])), (Status::Committed, &json!(11)));
        assert_eq!(house.audited("changeset.override")[0].detail["unproven"][0]["op"], "wifi.set_channel");
    }
}

#[test]
fn a_device_that_went_back_to_something_else_is_refused_at_once() {
    let (mut house, mut devices) = one();
    devices[0].wrong_hash = true;
    let set = approved(&mut house, &mut devices);
    house.live(2, &mut devices);
    assert_eq!((house.status(&set), channel(&devices[0])), (Status::RolledBack, &json!(6)));
    assert!(house.set(&set.changeset_id).operations[0].error.as_ref().unwrap().contains("something else"));
    assert!(matches!(house.core.device(&devices[0].key).unwrap().way_back("wifi.set_channel"), Some(Known::Failed { .. })));
}

#[test]
fn a_device_that_is_cut_off_in_a_rehearsal_is_not_to_blame() {
    let (mut house, mut devices) = one();
    let set = approved(&mut house, &mut devices);
    house.cut(&mut devices[0]);
    house.live(20, &mut devices);
    assert_eq!((house.status(&set), house.audited("wayback.unproven")[0].detail["marked"].as_bool()), (Status::RolledBack, Some(false)));
    house.back(&mut devices[0]);
    let again = house.propose(&[&devices[0]], 11);
    assert!(!again.needs_admin);
    house.approve(&again).unwrap();
    house.talk(&mut devices);
    house.live(2, &mut devices);
    assert_eq!(house.status(&again), Status::Committed);
}

#[test]
fn a_forged_report_of_another_device_or_before_the_answer_proves_nothing() {
    let (mut house, mut devices) = House::unproven(&["ap-1", "ap-2"]);
    devices[0].stuck = true;
    let set = house.propose(&[&devices[0]], 11);
    house.approve(&set).unwrap();
    house.talk(&mut devices);
    let id = format!("{}.rehearsal.0", set.changeset_id);
    let report = |id: &str, hash: Value| json!({"data": {"changeset_id": id, "reason": "deadline", "restored_hash": hash}});
    let right = json!(crate::house::device::hash(&devices[0].config));
    house.device_says(&mut devices[1], "evt/changeset.rolled_back", report(&id, right.clone()));
    house.device_says(&mut devices[0], "evt/changeset.rolled_back", report(&format!("{}.rehearsal.7", set.changeset_id), right));
    house.talk(&mut devices);
    assert_eq!((house.status(&set), channel(&devices[0])), (Status::Preparing, &json!(6)));
    house.device_says(&mut devices[0], "evt/changeset.rolled_back", report(&id, Value::Null));
    assert_eq!(house.status(&set), Status::RolledBack, "without a hash it is no proof");
}

#[test]
fn every_device_and_tool_of_a_set_is_rehearsed_once_before_the_first_change() {
    let (mut house, mut devices) = House::unproven(&["ap-1", "ap-2"]);
    let operation = |at: usize, op: &str, wanted: Value| (devices[at].key.clone(), op.to_owned(), args(wanted));
    let operations = vec![
        operation(0, "wifi.set_channel", json!({"channel": 11})),
        operation(0, "wifi.set_power", json!({"power_dbm": 9})),
        operation(0, "wifi.set_channel", json!({"channel": 1})),
        operation(1, "wifi.set_channel", json!({"channel": 3})),
    ];
    let set: Changeset = serde_json::from_value(house.ask(&olga(), Ask::Propose { operations, reason: "x".into() }).unwrap()).unwrap();
    house.approve(&set).unwrap();
    house.talk(&mut devices);
    for _ in 0..8 {
        let rehearsing = house.set(&set.changeset_id).rehearsal.is_some();
        assert!(!rehearsing || devices.iter().all(|device| channel(device) == &json!(6)));
        house.live(1, &mut devices);
    }
    assert_eq!((house.status(&set), channel(&devices[0]), channel(&devices[1])), (Status::Committed, &json!(1), &json!(3)));
    let rehearsed = |device: &FakeDevice| device.taken.iter().filter(|op| *op == "changeset.rehearse").count();
    assert_eq!((rehearsed(&devices[0]), rehearsed(&devices[1])), (2, 1));
}

#[test]
fn a_server_that_dies_in_the_middle_of_a_rehearsal_goes_on_or_refuses() {
    let (mut house, mut devices) = one();
    let set = approved(&mut house, &mut devices);
    house.restart();
    house.back(&mut devices[0]);
    house.live(3, &mut devices);
    assert_eq!((house.status(&set), channel(&devices[0])), (Status::Committed, &json!(11)));
}

#[test]
fn what_leaves_nothing_to_put_back_and_what_keeps_no_journal_is_not_rehearsed() {
    let (mut house, mut devices) = one();
    let operations = vec![(devices[0].key.clone(), "device.restart".to_owned(), args(json!({})))];
    let set: Changeset = serde_json::from_value(house.ask(&ann(), Ask::Propose { operations, reason: "x".into() }).unwrap()).unwrap();
    house.ask(&ann(), Ask::Approve { changeset_id: set.changeset_id.clone(), plan_hash: set.plan_hash.clone() }).unwrap();
    house.talk(&mut devices);
    assert_eq!(house.status(&set), Status::Committed);
    devices[0].journal = false;
    let attr = devices[0].attr();
    house.device_says(&mut devices[0], "attr", attr);
    let set = approved(&mut house, &mut devices);
    assert_eq!(house.status(&set), Status::Committed);
    assert!(!devices[0].taken.contains(&"changeset.rehearse".to_owned()));
}

#[test]
fn a_change_that_was_really_taken_back_with_the_hash_of_before_is_a_proof_too() {
    let (mut house, mut devices) = one();
    devices[0].stuck = true;
    approved(&mut house, &mut devices);
    house.live(20, &mut devices);
    (devices[0].pending, devices[0].stuck) = (None, false);
    let set = house.propose(&[&devices[0]], 11);
    devices[0].mute = vec!["changeset.commit".into()];
    house.ask(&ann(), Ask::Approve { changeset_id: set.changeset_id.clone(), plan_hash: set.plan_hash.clone() }).unwrap();
    house.talk(&mut devices);
    assert_eq!(channel(&devices[0]), &json!(11));
    house.live(330, &mut devices);
    assert_eq!((house.status(&set), channel(&devices[0])), (Status::RolledBack, &json!(6)));
    assert!(is_proven(&house, &devices[0], "wifi.set_channel"));
    assert_eq!(house.audited("wayback.proven")[0].detail["how"], "restored");
}

#[test]
fn a_section_that_cannot_be_said_in_arguments_is_refused_and_an_administrator_s_to_decide() {
    let (mut house, mut devices) = one();
    (devices[0].rehearses, devices[0].config) = (false, json!({"radios": [{"on": 6}]}));
    let set = approved(&mut house, &mut devices);
    assert_eq!((house.status(&set), devices[0].taken.contains(&"wifi.set_channel".to_owned())), (Status::RolledBack, false));
    assert!(house.set(&set.changeset_id).operations[0].error.as_ref().unwrap().contains("cannot be said in arguments"));
    assert!(house.propose(&[&devices[0]], 11).needs_admin);
    // The SDK's devices need no arguments for it.
    let (mut house, mut devices) = one();
    devices[0].config = json!({"radios": [{"on": 6}]});
    let set = approved(&mut house, &mut devices);
    house.live(2, &mut devices);
    assert_eq!(house.status(&set), Status::Committed);
}
