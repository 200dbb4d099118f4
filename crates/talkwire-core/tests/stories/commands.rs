//! The life of a command, as devices tell it.

use crate::house::{FakeDevice, House, ann, args, code, key_of, olga};
use serde_json::{Value, json};
use talkwire_core::command::{Command, Status};
use talkwire_core::{Ask, Refusal};
use talkwire_proto::Code;

fn ask_status(house: &mut House, device: &FakeDevice) -> String {
    let ask = Ask::Command { key: device.key.clone(), op: "device.status".into(), args: Default::default(), timeout_ms: Some(10_000) };
    house.ask(&olga(), ask).unwrap()["id"].as_str().unwrap().to_owned()
}

fn command(house: &House, id: &str) -> Command {
    assert_eq!(house.core.command(id), house.shelf.commands.get(id), "what is shown is what is saved");
    house.core.command(id).cloned().unwrap()
}

fn house_with_one() -> (House, FakeDevice) {
    let (house, mut devices) = House::with(&["ap-1"]);
    (house, devices.remove(0))
}

fn refused(house: &mut House, op: &str, wanted: Value) -> Refusal {
    let ask = Ask::Command { key: key_of("ap-1"), op: op.into(), args: args(wanted), timeout_ms: None };
    house.ask(&ann(), ask).expect_err("it is refused")
}

#[test]
fn a_command_is_sent_acknowledged_reports_progress_and_completes_once() {
    let (mut house, mut device) = house_with_one();
    let id = ask_status(&mut house, &device);
    assert_eq!(command(&house, &id).status, Status::Sent);
    assert_eq!(house.requests_to(&device.key).len(), 1);
    house.device_says(&mut device, "cmd/ack", json!({"id": id, "status": "received"}));
    assert_eq!(command(&house, &id).status, Status::Acked);
    house.device_says(&mut device, "cmd/res", json!({"id": id, "progress": 40}));
    assert_eq!(command(&house, &id).progress, Some(json!(40.0)));
    house.now += 500;
    house.device_says(&mut device, "cmd/res", json!({"id": id, "status": "completed", "result": {"cpu": 5}}));
    let done = command(&house, &id);
    assert_eq!((done.status, done.result.clone(), done.timings.ended_ms), (Status::Completed, Some(json!({"cpu": 5})), Some(house.now)));
    house.device_says(&mut device, "cmd/res", json!({"id": id, "status": "failed", "error": "no"}));
    assert_eq!(command(&house, &id), done);
    assert_eq!(house.core.device(&device.key).unwrap().diagnostics.duplicate_results, 1);
}

#[test]
fn a_silent_device_is_asked_again_with_the_same_id_and_then_given_up() {
    let (mut house, device) = house_with_one();
    let id = ask_status(&mut house, &device);
    house.wait(9_999);
    let requests = house.requests_to(&device.key);
    assert_eq!(requests.len(), 3, "at once, after 2 s and after 6 s");
    assert!(requests.iter().all(|request| serde_json::from_slice::<Value>(request).unwrap()["id"] == json!(id)));
    house.wait(1);
    let ended = command(&house, &id);
    assert_eq!((ended.status, ended.error.unwrap().code.as_str()), (Status::TimedOut, "E_TIMEOUT"));
    house.wait(600_000);
    assert!(house.requests_to(&device.key).is_empty());
}

#[test]
fn a_result_after_the_time_is_kept_as_late_and_only_once() {
    let (mut house, mut device) = house_with_one();
    let id = ask_status(&mut house, &device);
    house.wait(10_000);
    house.device_says(&mut device, "cmd/res", json!({"id": id, "ok": true, "result": 7}));
    let late = command(&house, &id);
    assert_eq!((late.status, late.late, late.result.clone()), (Status::CompletedLate, true, Some(json!(7))));
    house.device_says(&mut device, "cmd/res", json!({"id": id, "ok": false, "error": "x"}));
    assert_eq!(command(&house, &id), late);
    assert_eq!(house.core.device(&device.key).unwrap().diagnostics.late_results, 1);
}

#[test]
fn a_device_may_refuse_in_its_acknowledgement() {
    let (mut house, mut device) = house_with_one();
    let id = ask_status(&mut house, &device);
    house.device_says(&mut device, "cmd/ack", json!({"id": id, "accepted": false, "reason": "too hot"}));
    let rejected = command(&house, &id);
    assert_eq!((rejected.status, rejected.error.unwrap().message.as_str()), (Status::Rejected, "too hot"));
}

#[test]
fn another_device_cannot_answer_and_nobody_can_answer_what_was_not_asked() {
    let (mut house, mut devices) = House::with(&["ap-1", "ap-2"]);
    let id = ask_status(&mut house, &devices[0]);
    house.device_says(&mut devices[1], "cmd/res", json!({"id": id, "status": "completed", "result": {"forged": true}}));
    house.device_says(&mut devices[1], "cmd/ack", json!({"id": id, "accepted": false}));
    house.device_says(&mut devices[1], "cmd/res", json!({"id": "01UNKNOWN", "status": "completed"}));
    assert_eq!(command(&house, &id).status, Status::Sent);
    let rows = house.audited("command.foreign_result");
    assert_eq!(rows.len(), 3);
    assert_eq!((rows[0].actor.as_str(), rows[0].detail["asked"].as_str()), ("device:home/flat/ap-2", Some("home/flat/ap-1")));
    assert_eq!(house.core.device(&devices[1].key).unwrap().diagnostics.foreign_results, 3);
}

#[test]
fn a_restart_keeps_open_commands_with_their_deadlines_and_asks_again_when_the_device_is_back() {
    let (mut house, mut device) = house_with_one();
    let id = ask_status(&mut house, &device);
    house.now += 3_000;
    house.restart();
    house.device_says(&mut device, "lwt", json!({"status": "online"}));
    let again = house.requests_to(&device.key);
    assert!(!again.is_empty());
    assert_eq!(serde_json::from_slice::<Value>(&again[0]).unwrap()["id"], json!(id));
    house.wait(6_999);
    assert!(!command(&house, &id).status.has_ended());
    house.wait(1);
    assert_eq!(command(&house, &id).status, Status::TimedOut);
    house.restart();
    house.device_says(&mut device, "cmd/res", json!({"id": id, "ok": true}));
    assert_eq!(command(&house, &id).status, Status::CompletedLate);
}

#[test]
fn what_may_not_be_sent_is_refused_with_the_reason_and_the_device_sees_nothing() {
    let (mut house, mut device) = house_with_one();
    assert_eq!(refused(&mut house, "toaster.brown", json!({})).code, Code::UnknownOp);
    assert_eq!(refused(&mut house, "wifi.set_channel", json!({"channel": 11})).code, Code::ActNeedsChangeset);
    assert_eq!(refused(&mut house, "set_channel", json!({"channel": 11, "user_confirmed": true})).code, Code::ActNeedsChangeset);
    assert_eq!(refused(&mut house, "changeset.rollback", json!({"changeset_id": "x"})).code, Code::Forbidden);
    for bad in [json!({"duration_s": 61}), json!({"duration_s": "5; reboot"}), json!({"duration_s": 5, "extra": 1}), json!({"changeset_id": "x"})] {
        assert_eq!(refused(&mut house, "network.speedtest_full", bad).code, Code::InvalidArgs);
    }
    let mut attr = device.attr();
    attr["capabilities"]["tools"]["device.status"] = json!({"supported": false, "reason": "asleep"});
    house.device_says(&mut device, "attr", attr);
    let missing = refused(&mut house, "device.status", json!({}));
    assert_eq!((missing.code, missing.details["reason"].as_str()), (Code::LlmToolNotAvailable, Some("asleep")));
    house.cut(&mut device);
    assert_eq!(refused(&mut house, "network.interface_status", json!({})).code, Code::DeviceOffline);
    assert!(house.requests_to(&device.key).is_empty());
}

#[test]
fn a_device_is_asked_by_the_name_it_declared_and_within_the_limit_it_declared() {
    let (mut house, mut device) = house_with_one();
    let tools = json!({"speed_test": {"version": "2.1", "limitations": {"concurrent_limit": 1}}, "status": {}});
    house.device_says(&mut device, "attr", json!({"device_type": "ap", "capabilities": {"tools": tools}}));
    let test = Ask::Command { key: device.key.clone(), op: "network.speedtest_full".into(), args: Default::default(), timeout_ms: None };
    let first = house.ask(&olga(), test.clone()).unwrap();
    let second = house.ask(&olga(), test).unwrap();
    let sent = house.requests_to(&device.key);
    let request: Value = serde_json::from_slice(&sent[0]).unwrap();
    assert_eq!((sent.len(), request["op"].as_str(), request["schema"].as_str()), (1, Some("speed_test"), Some("cmd.speed_test/2.1")));
    assert_eq!(second["status"], "created");
    house.device_says(&mut device, "cmd/res", json!({"id": first["id"], "ok": true}));
    assert_eq!(house.requests_to(&device.key).len(), 1, "now it is the second one's turn");
    assert_eq!(command(&house, second["id"].as_str().unwrap()).status, Status::Sent);
}

#[test]
fn a_command_that_never_gets_its_turn_ends_too() {
    let (mut house, mut device) = house_with_one();
    let tools = json!({"device.status": {"limitations": {"concurrent_limit": 1}}});
    house.device_says(&mut device, "attr", json!({"device_type": "ap", "capabilities": {"tools": tools}}));
    let (first, second) = (ask_status(&mut house, &device), ask_status(&mut house, &device));
    house.wait(60_000);
    assert_eq!([&first, &second].map(|id| command(&house, id).status), [Status::TimedOut, Status::TimedOut]);
}

#[test]
fn a_request_is_of_use_only_as_long_as_somebody_waits_for_it() {
    let (mut house, device) = house_with_one();
    let id = ask_status(&mut house, &device);
    let limit = command(&house, &id).timeout_ms;
    let request = house.taken().into_iter().find(|publish| publish.topic.ends_with("/cmd/req")).unwrap();
    assert!(request.useful_ms.is_some_and(|ms| (limit..=2 * limit).contains(&ms)), "{:?} of {limit}", request.useful_ms);
}

#[test]
fn a_cancelled_command_stays_cancelled_and_one_of_a_change_set_cannot_be() {
    let (mut house, mut device) = house_with_one();
    let id = ask_status(&mut house, &device);
    let stranger = talkwire_core::Principal::Guest { name: "olga".into() };
    assert_eq!(code(house.ask(&stranger, Ask::CancelCommand(id.clone()))), Code::Forbidden);
    house.ask(&olga(), Ask::CancelCommand(id.clone())).unwrap();
    house.device_says(&mut device, "cmd/res", json!({"id": id, "ok": true}));
    assert_eq!(command(&house, &id).status, Status::Cancelled);
    let set = house.propose(&[&device], 11);
    house.approve(&set).unwrap();
    let prepare = house.shelf.commands.values().find(|command| command.op == "changeset.prepare").unwrap().id.clone();
    assert_eq!(code(house.ask(&ann(), Ask::CancelCommand(prepare))), Code::Forbidden);
}

#[test]
fn the_envelope_that_a_device_declares_is_the_one_it_gets() {
    let (mut house, mut device) = house_with_one();
    house.device_says(&mut device, "attr", json!({"device_type": "ap", "command_envelope": "payload"}));
    ask_status(&mut house, &device);
    let request: Value = serde_json::from_slice(&house.requests_to(&device.key)[0]).unwrap();
    assert!(request.get("op").is_none() && request["payload"]["op"] == "device.status");
}
