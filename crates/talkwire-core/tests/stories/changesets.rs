//! Changes, from the proposal to the receipt, and everything that may come between.

use crate::house::{BEGIN, FakeDevice, House, ann, args, code, olga, signing_key};
use serde_json::{Value, json};
use talkwire_core::changeset::{OperationState, Status};
use talkwire_core::{Ask, audit, receipt};
use talkwire_proto::Code;

fn approved(devices: &mut [FakeDevice], house: &mut House) -> talkwire_core::changeset::Changeset {
    let set = house.propose(&devices.iter().collect::<Vec<_>>(), 11);
    house.approve(&set).unwrap();
    set
}

fn channels(devices: &[FakeDevice]) -> Vec<u64> {
    devices.iter().map(|device| device.config["channel"].as_u64().unwrap()).collect()
}

fn outcome(house: &House, id: &str) -> String {
    house.set(id).outcome.map(|outcome| outcome.kind).unwrap_or_default()
}

#[test]
fn a_change_of_two_devices_is_prepared_applied_kept_and_proved_by_a_receipt() {
    let (mut house, mut devices) = House::with(&["ap-1", "ap-2"]);
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    let id = &set.changeset_id;
    assert_eq!((house.status(&set), channels(&devices)), (Status::Committed, vec![11, 11]));
    for device in &devices {
        assert_eq!(device.taken, ["changeset.prepare", "wifi.set_channel", "changeset.commit"]);
    }
    let kept = house.set(id);
    assert!(kept.operations.iter().all(|operation| operation.state == OperationState::Committed && operation.applied_hash.is_some()));
    let key = audit::to_hex(&signing_key().verifying_key().to_bytes());
    let signed = &house.shelf.receipts[id];
    receipt::verify(signed, Some(&key)).unwrap();
    assert_eq!((signed["approval"]["by"].as_str(), signed["outcome"]["status"].as_str()), (Some("person:olga"), Some("committed")));
    let order: Vec<_> = house.shelf.audit.iter().filter(|row| row.action.starts_with("c")).map(|row| row.action.as_str()).collect();
    assert_eq!(order, ["changeset.proposed", "changeset.approved", "command.act", "command.act"]);
    let rows: Vec<_> = house.shelf.audit.iter().filter(|row| row.tenant == "home").cloned().collect();
    house.wait(61_000);
    let heads: Vec<_> = house.shelf.heads.iter().filter(|head| head.tenant == "home").cloned().collect();
    assert!(!heads.is_empty());
    assert_eq!(audit::verify(&rows, &heads, &signing_key().verifying_key(), audit::GENESIS).fault, None);
}

#[test]
fn the_second_device_fails_and_the_first_goes_back() {
    let (mut house, mut devices) = House::with(&["ap-1", "ap-2", "ap-3"]);
    devices[1].refuse.insert("wifi.set_channel".into(), "E_DEVICE");
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    assert_eq!((house.status(&set), channels(&devices)), (Status::RolledBack, vec![6, 6, 6]));
    assert_eq!(outcome(&house, &set.changeset_id), "apply_failed");
    let told = house.set(&set.changeset_id).outcome.unwrap().text;
    assert_eq!(told, "undone: a device did not apply it (ap-2: E_DEVICE)", "people see who refused, and why");
    assert_eq!(devices[2].taken, ["changeset.prepare"], "the third was never touched");
    assert_eq!(devices[0].taken.last().unwrap(), "changeset.rollback");
}

#[test]
fn what_was_applied_is_undone_in_the_reverse_order() {
    let (mut house, mut devices) = House::with(&["ap-1", "ap-2", "ap-3"]);
    devices[2].refuse.insert("wifi.set_channel".into(), "E_DEVICE");
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    assert_eq!(house.status(&set), Status::RolledBack);
    let mut rollbacks: Vec<_> = house.shelf.commands.values().filter(|command| command.op == "changeset.rollback").collect();
    rollbacks.sort_by_key(|command| command.timings.created_ms);
    let order: Vec<_> = rollbacks.iter().map(|command| command.key.device_id.as_str()).collect();
    assert_eq!(order, ["ap-3", "ap-2", "ap-1"], "also the one that failed is asked: it may have been changed in part");
}

#[test]
fn a_device_that_is_away_when_it_should_prepare_means_that_nothing_changes() {
    let (mut house, mut devices) = House::with(&["ap-1", "ap-2"]);
    house.cut(&mut devices[1]);
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    assert_eq!((house.status(&set), channels(&devices)), (Status::RolledBack, vec![6, 6]));
    assert_eq!(outcome(&house, &set.changeset_id), "prepare_failed");
    assert!(devices.iter().all(|device| device.runs.is_empty()));
}

#[test]
fn nobody_confirms_and_after_the_deadline_everything_is_as_it_was() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    devices[0].mute = vec!["changeset.commit".into()];
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    assert_eq!((house.status(&set), channels(&devices)), (Status::Applied, vec![11]));
    house.live(302, &mut devices);
    assert_eq!(channels(&devices), [6], "the device goes back within T + 2 s");
    house.live(30, &mut devices);
    assert_eq!((house.status(&set), outcome(&house, &set.changeset_id).as_str()), (Status::RolledBack, "deadline"));
}

#[test]
fn a_device_that_is_lost_for_half_a_minute_takes_the_whole_set_back() {
    let (mut house, mut devices) = House::with(&["ap-1", "ap-2"]);
    devices[0].mute = vec!["changeset.commit".into()];
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    house.live(1, &mut devices);
    assert_eq!(channels(&devices), [11, 11]);
    house.cut(&mut devices[0]);
    house.live(29, &mut devices);
    assert_eq!(house.status(&set), Status::Applied);
    house.live(2, &mut devices);
    assert!(house.set(&set.changeset_id).going_back.is_some());
    house.live(20, &mut devices);
    assert_eq!(channels(&devices), [6, 6], "one restored by itself, the other was told, although it had kept the change");
    house.back(&mut devices[0]);
    house.live(20, &mut devices);
    assert_eq!((house.status(&set), outcome(&house, &set.changeset_id).as_str()), (Status::RolledBack, "connection_lost"));
}

#[test]
fn a_device_that_restarts_with_an_unconfirmed_change_takes_the_set_back() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    devices[0].mute = vec!["changeset.commit".into()];
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    devices[0].reboot(house.now);
    house.back(&mut devices[0]);
    house.live(15, &mut devices);
    assert_eq!((house.status(&set), outcome(&house, &set.changeset_id).as_str()), (Status::RolledBack, "restart"));
    assert_eq!(house.audited("changeset.restored_by_device").len(), 1);
}

#[test]
fn only_a_device_of_the_set_can_say_that_it_went_back() {
    let (mut house, mut devices) = House::with(&["ap-1", "ap-2"]);
    let set = house.propose(&[&devices[0]], 11);
    let event = json!({"data": {"changeset_id": set.changeset_id, "reason": "deadline", "restored_hash": "x"}});
    house.device_says(&mut devices[1], "evt/changeset.rolled_back", event.clone());
    house.device_says(&mut devices[0], "evt/changeset.rolled_back", event.clone());
    assert!(house.set(&set.changeset_id).going_back.is_none(), "a proposal cannot go back");
    house.approve(&set).unwrap();
    house.device_says(&mut devices[1], "evt/changeset.rolled_back", event);
    house.talk(&mut devices);
    assert_eq!(house.status(&set), Status::Committed);
}

#[test]
fn a_restart_of_the_server_at_any_step_ends_in_all_or_nothing_and_keeps_the_deadline() {
    for step in 0..9 {
        let (mut house, mut devices) = House::with(&["ap-1", "ap-2"]);
        let set = approved(&mut devices, &mut house);
        for _ in 0..step {
            for device in devices.iter_mut() {
                if let Some(request) = house.requests_to(&device.key).first() {
                    for (tail, payload) in device.take(house.now, request) {
                        house.device_says(device, &tail, payload);
                    }
                }
            }
        }
        let before = house.set(&set.changeset_id);
        house.restart();
        let after = house.set(&set.changeset_id);
        assert_eq!((after.status, after.deadline_ms, &after.operations), (before.status, before.deadline_ms, &before.operations), "step {step}");
        for device in devices.iter_mut() {
            house.device_says(device, "lwt", json!({"status": "online"}));
        }
        house.live(700, &mut devices);
        let ended = house.status(&set);
        let wanted = if ended == Status::Committed { vec![11, 11] } else { vec![6, 6] };
        assert!(ended.has_ended(), "step {step}: {ended:?}");
        assert_eq!(channels(&devices), wanted, "step {step}: {ended:?}");
        assert!(devices.iter().all(|device| device.runs.values().all(|runs| *runs == 1)));
    }
}

#[test]
fn a_device_that_cannot_restore_is_shown_so_and_asked_until_it_can() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    devices[0].mute = vec!["changeset.commit".into()];
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    devices[0].stuck = true;
    house.ask(&olga(), Ask::Rollback(set.changeset_id.clone())).unwrap();
    house.live(30, &mut devices);
    assert_eq!(house.status(&set), Status::RollbackFailed);
    assert!(house.now - BEGIN < 600_000, "within 2 T");
    let alert = house.audited("changeset.alert");
    assert_eq!((alert.len(), alert[0].detail["code"].as_str()), (1, Some("E_LLM_ROLLBACK_FAILED")));
    let asked = devices[0].taken.iter().filter(|op| *op == "changeset.rollback").count();
    assert!((2..=6).contains(&asked), "asked {asked} times in 30 s");
    assert!(!house.shelf.receipts.contains_key(&set.changeset_id));
    house.restart();
    house.device_says(&mut devices[0], "lwt", json!({"status": "online"}));
    house.live(100, &mut devices);
    assert_eq!(house.status(&set), Status::RollbackFailed, "a restart forgets nothing");
    house.cut(&mut devices[0]);
    devices[0].stuck = false;
    house.back(&mut devices[0]);
    house.talk(&mut devices);
    assert_eq!((house.status(&set), channels(&devices)), (Status::RolledBack, vec![6]));
    assert_eq!(house.audited("changeset.alert").len(), 1, "one alert is enough");
}

#[test]
fn a_device_that_restores_something_else_never_counts_as_restored() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    devices[0].mute = vec!["changeset.commit".into(), "changeset.rollback".into()];
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    let event = json!({"data": {"changeset_id": set.changeset_id, "reason": "deadline", "restored_hash": "00ff"}});
    house.device_says(&mut devices[0], "evt/changeset.rolled_back", event);
    assert_eq!(house.status(&set), Status::RollbackFailed);
}

#[test]
fn an_applied_change_without_a_proof_goes_back() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    let set = approved(&mut devices, &mut house);
    let key = devices[0].key.clone();
    loop {
        let request = house.requests_to(&key).remove(0);
        let is_act = String::from_utf8_lossy(&request).contains("cmd.wifi.set_channel");
        let mut said = devices[0].take(house.now, &request);
        if is_act {
            said[1].1["result"].as_object_mut().unwrap().shift_remove("config_hash");
        }
        for (tail, payload) in said {
            house.device_says(&mut devices[0], &tail, payload);
        }
        if is_act {
            break;
        }
    }
    house.talk(&mut devices);
    assert_eq!((house.status(&set), channels(&devices)), (Status::RolledBack, vec![6]));
}

#[test]
fn a_kept_change_is_undone_on_demand_also_when_it_changed_one_device_twice() {
    let (mut house, mut devices) = House::with(&["ap-1", "ap-2"]);
    let key = devices[0].key.clone();
    let operations = vec![
        (key.clone(), "wifi.set_channel".to_owned(), args(json!({"channel": 11}))),
        (key, "wifi.set_power".to_owned(), args(json!({"power_dbm": 10}))),
        (devices[1].key.clone(), "wifi.set_channel".to_owned(), args(json!({"channel": 1}))),
    ];
    let set = house.ask(&olga(), Ask::Propose { operations, reason: "both".into() }).unwrap();
    let set: talkwire_core::changeset::Changeset = serde_json::from_value(set).unwrap();
    house.approve(&set).unwrap();
    house.talk(&mut devices);
    assert_eq!(house.status(&set), Status::Committed);
    assert_eq!((&devices[0].config, channels(&devices)), (&json!({"channel": 11, "power_dbm": 10}), vec![11, 1]));
    house.ask(&olga(), Ask::Rollback(set.changeset_id.clone())).unwrap();
    house.talk(&mut devices);
    assert_eq!((house.status(&set), outcome(&house, &set.changeset_id).as_str()), (Status::RolledBack, "undone"));
    assert_eq!((&devices[0].config, channels(&devices)), (&json!({"channel": 6, "power_dbm": 20}), vec![6, 6]));
    assert!(devices.iter().all(|device| device.pending.is_none()));
    assert_eq!(house.shelf.receipts[&set.changeset_id]["outcome"]["kind"], "undone");
    assert_eq!(code(house.ask(&olga(), Ask::Rollback(set.changeset_id.clone()))), Code::ChangesetState);
}

fn kept_in_own_words() -> (House, Vec<FakeDevice>, talkwire_core::changeset::Changeset) {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    devices[0].own_words = true;
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    assert_eq!((house.status(&set), channels(&devices)), (Status::Committed, vec![11]));
    (house, devices, set)
}

#[test]
fn a_kept_change_is_undone_from_the_journal_where_the_section_does_not_tell_the_arguments() {
    let (mut house, mut devices, set) = kept_in_own_words();
    devices[0].refuse.insert("wifi.set_channel".into(), "E_DEVICE");
    house.ask(&olga(), Ask::Rollback(set.changeset_id.clone())).unwrap();
    house.talk(&mut devices);
    assert_eq!(house.status(&set), Status::RollbackFailed, "refused once");
    devices[0].refuse.clear();
    house.live(5, &mut devices);
    assert_eq!((house.status(&set), channels(&devices)), (Status::RolledBack, vec![6]), "the second try names the change, not the first try");
    assert!(devices[0].pending.is_none());
}

#[test]
fn what_can_never_be_undone_is_settled_by_an_administrator_and_the_device_is_free_again() {
    let (mut house, mut devices, set) = kept_in_own_words();
    assert_eq!(code(house.ask(&ann(), Ask::Settle(set.changeset_id.clone()))), Code::ChangesetState, "a kept change needs no settling");
    devices[0].refuse.insert("wifi.set_channel".into(), "E_DEVICE");
    house.ask(&olga(), Ask::Rollback(set.changeset_id.clone())).unwrap();
    house.live(120, &mut devices);
    assert_eq!(house.status(&set), Status::RollbackFailed);
    assert_eq!(code(house.ask(&olga(), Ask::Settle(set.changeset_id.clone()))), Code::LlmPermissionDenied);
    house.ask(&ann(), Ask::Settle(set.changeset_id.clone())).unwrap();
    let ended = house.set(&set.changeset_id);
    assert_eq!((ended.status, ended.outcome.as_ref().unwrap().kind.as_str()), (Status::RolledBack, "by_hand"));
    assert!(ended.outcome.unwrap().text.ends_with("which Talkwire did not verify, says person:ann"));
    assert_eq!(house.shelf.receipts[&set.changeset_id]["outcome"]["kind"], "by_hand");
    assert_eq!(house.audited("changeset.settled_by_hand").len(), 1);
    assert_eq!(house.propose(&[&devices[0]], 1).status, Status::Proposed);
}

#[test]
fn a_second_change_of_the_same_device_is_told_who_holds_it_and_until_when() {
    let (mut house, devices) = House::with(&["ap-1", "ap-2"]);
    let first = house.propose(&[&devices[0]], 11);
    let operations = vec![(devices[0].key.clone(), "wifi.set_channel".to_owned(), args(json!({"channel": 1})))];
    let refusal = house.ask(&ann(), Ask::Propose { operations, reason: "me too".into() }).unwrap_err();
    assert_eq!(refusal.code, Code::LlmChangesetConflict);
    assert_eq!((&refusal.details["changeset_id"], &refusal.details["until_ms"]), (&json!(first.changeset_id), &json!(first.approve_before_ms)));
    assert_eq!(house.propose(&[&devices[1]], 1).status, Status::Proposed);
    house.ask(&ann(), Ask::Reject(first.changeset_id)).unwrap();
    assert_eq!(house.propose(&[&devices[0]], 1).status, Status::Proposed);
}

#[test]
fn a_late_change_after_the_set_went_back_is_undone_at_once() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    let set = approved(&mut devices, &mut house);
    let key = devices[0].key.clone();
    let prepare = house.requests_to(&key).remove(0);
    for (tail, payload) in devices[0].take(house.now, &prepare) {
        house.device_says(&mut devices[0], &tail, payload);
    }
    // The act stays on the way until it has timed out; the rollback overtakes it.
    let act = house.requests_to(&key).remove(0);
    house.wait(20_000);
    house.requests_to(&key).into_iter().filter(|request| String::from_utf8_lossy(request).contains("changeset.rollback")).for_each(|request| {
        for (tail, payload) in devices[0].take(house.now, &request) {
            house.device_says(&mut devices[0], &tail, payload);
        }
    });
    assert_eq!(house.status(&set), Status::RolledBack);
    for (tail, payload) in devices[0].take(house.now, &act) {
        house.device_says(&mut devices[0], &tail, payload);
    }
    house.talk(&mut devices);
    assert_eq!((channels(&devices), devices[0].pending.is_none()), (vec![6], true));
    assert_eq!(house.status(&set), Status::RolledBack);
}

#[test]
fn a_device_without_a_journal_is_changed_and_restored_by_the_server_and_marked_as_such() {
    let mut house = House::new();
    let mut devices = vec![FakeDevice::new("old-1")];
    devices[0].journal = false;
    house.device_says(&mut devices[0], "lwt", json!({"status": "online"}));
    let set = house.propose(&[&devices[0]], 11);
    assert!(set.needs_admin && !set.operations[0].undoes_itself, "nobody can put back what is not known: an administrator decides");
    assert_eq!(code(house.approve(&set)), Code::LlmPermissionDenied);
    house.ask(&ann(), Ask::Approve { changeset_id: set.changeset_id.clone(), plan_hash: set.plan_hash.clone() }).unwrap();
    house.talk(&mut devices);
    assert_eq!((house.status(&set), channels(&devices)), (Status::Committed, vec![11]));
    assert_eq!(devices[0].taken, ["wifi.set_channel"]);
    house.ask(&ann(), Ask::Rollback(set.changeset_id.clone())).unwrap();
    house.talk(&mut devices);
    assert_eq!((house.status(&set), channels(&devices)), (Status::RolledBack, vec![6]));
}

#[test]
fn a_device_that_refuses_every_command_causes_no_storm() {
    for op in ["changeset.prepare", "wifi.set_channel", "changeset.commit", "changeset.rollback", "changeset.extend", "changeset.status"] {
        let (mut house, mut devices) = House::with(&["ap-1"]);
        devices[0].refuse.insert(op.into(), "E_DEVICE");
        let set = approved(&mut devices, &mut house);
        house.live(400, &mut devices);
        let count = house.shelf.commands.values().filter(|command| command.changeset_id.is_some()).count();
        assert!(count < 400, "{op}: {count} commands in 400 s");
        assert!(house.status(&set).has_ended() || house.status(&set) == Status::RollbackFailed, "{op}");
        let value: Value = serde_json::to_value(house.set(&set.changeset_id)).unwrap();
        assert!(value["history"].as_array().unwrap().len() < 10, "{op}");
    }
}

#[test]
fn what_is_over_stays_over_when_an_answer_is_missed_afterwards() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    devices[0].mute = vec!["changeset.commit".into(), "changeset.rollback".into()];
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    house.ask(&olga(), Ask::Rollback(set.changeset_id.clone())).unwrap();
    // First the commit under way must end, then the device is told, and does not answer.
    house.live(12, &mut devices);
    assert_eq!(devices[0].taken.last().unwrap(), "changeset.rollback");
    devices[0].reboot(house.now);
    house.back(&mut devices[0]);
    assert_eq!(house.status(&set), Status::RolledBack);
    let ended = house.set(&set.changeset_id);
    house.live(120, &mut devices);
    assert!(house.shelf.commands.values().any(|command| command.op == "changeset.rollback" && command.status == talkwire_core::command::Status::TimedOut));
    assert_eq!(house.set(&set.changeset_id), ended);
    assert_eq!(house.audited("receipt.issued").len(), 1);
}

#[test]
fn a_device_that_lost_its_journal_is_brought_back_by_the_old_values() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    devices[0].mute = vec!["changeset.commit".into()];
    let set = approved(&mut devices, &mut house);
    house.talk(&mut devices);
    devices[0].pending = None;
    house.ask(&olga(), Ask::Rollback(set.changeset_id.clone())).unwrap();
    house.live(12, &mut devices);
    assert!(devices[0].taken.contains(&"changeset.rollback".to_owned()));
    devices[0].mute.clear();
    house.live(60, &mut devices);
    assert_eq!((house.status(&set), channels(&devices), devices[0].pending.is_none()), (Status::RolledBack, vec![6], true));
}
