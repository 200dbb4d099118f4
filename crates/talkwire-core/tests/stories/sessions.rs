//! Diagnosis sessions: their limits, what the mind may do in them, and how they end.

use crate::house::{FakeDevice, House, ann, args, code, key_of, olga, people_at, understood};
use serde_json::{Value, json};
use talkwire_core::catalogue::Permission;
use talkwire_core::changeset::{Expectation, Measurement, Status};
use talkwire_core::moves::{Move, Proposal, ProposedOperation};
use talkwire_core::session::{Phase, Session, SessionStatus, StepStatus};
use talkwire_core::{Ask, Input};
use talkwire_proto::Code;

fn open(house: &mut House) -> String {
    let ask = Ask::OpenSession { text: "slow at night".into(), place: None, understood: understood("slow_speed") };
    house.ask(&olga(), ask).unwrap()["session_id"].as_str().unwrap().to_owned()
}

fn call(key: &str, device: &str, op: &str) -> Move {
    Move::Call {
        key: key.into(),
        phase: Phase::Gather,
        device: key_of(device),
        op: op.into(),
        args: Default::default(),
        description: "look".into(),
        after: None,
    }
}

fn moves(house: &mut House, id: &str, moves: Vec<Move>) {
    house.input(Input::Moves { session_id: id.into(), moves });
}

fn session(house: &House, id: &str) -> Session {
    assert_eq!(house.core.session(id), house.shelf.sessions.get(id), "what is shown is what is saved");
    house.core.session(id).cloned().unwrap()
}

fn proposal(device: &FakeDevice) -> Proposal {
    let operation = ProposedOperation {
        device: device.key.clone(),
        op: "wifi.set_channel".into(),
        args: args(json!({"channel": 11})),
        undo_args: None,
        label: "channel".into(),
        before_text: "6".into(),
        after_text: "11".into(),
    };
    let expect =
        Expectation { metric: "speed".into(), unit: "Mbps".into(), direction: "up".into(), min_gain_percent: Some(10.0), min_gain: None, text: "more".into() };
    Proposal { title: "Change the channel".into(), reason: "noise".into(), operations: vec![operation], expect: Some(expect), before: Some(speed(18.0)) }
}

fn speed(value: f64) -> Measurement {
    Measurement { metric: "speed".into(), value, unit: "Mbps".into(), samples: vec![value], trace_ids: vec![] }
}

/// A session whose change is applied and waits to be measured.
fn applied(house: &mut House, devices: &mut [FakeDevice]) -> (String, String) {
    let id = open(house);
    moves(house, &id, vec![Move::Propose(proposal(&devices[0]))]);
    let set = house.set(session(house, &id).changeset_id.as_ref().unwrap());
    house.approve(&set).unwrap();
    house.thoughts.clear();
    house.talk(devices);
    assert_eq!(house.status(&set), Status::Applied);
    assert_eq!(house.thoughts, std::slice::from_ref(&id), "the mind is asked to measure");
    (id, set.changeset_id)
}

#[test]
fn three_tools_run_at_once_and_the_others_wait_their_turn() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    let id = open(&mut house);
    let all = (0..5).map(|n| call(&format!("step {n}"), "ap-1", "device.status")).collect();
    moves(&mut house, &id, all);
    moves(&mut house, &id, vec![call("step 0", "ap-1", "device.status")]);
    let count = |house: &House, status| session(house, &id).steps.iter().filter(|step| step.status == status).count();
    assert_eq!((session(&house, &id).steps.len(), count(&house, StepStatus::Running), count(&house, StepStatus::Waiting)), (5, 3, 2));
    let requests = house.requests_to(&devices[0].key);
    assert_eq!(requests.len(), 3);
    let request: Value = serde_json::from_slice(&requests[0]).unwrap();
    assert_eq!((request["trace"]["session_id"].as_str(), request["trace"]["trace_id"].as_str()), (Some(id.as_str()), Some("device-status-step-01")));
    for (tail, payload) in devices[0].take(house.now, &requests[0]) {
        house.device_says(&mut devices[0], &tail, payload);
    }
    assert_eq!((count(&house, StepStatus::Running), count(&house, StepStatus::Completed)), (3, 1));
    house.talk(&mut devices);
    house.wait(60_000);
    assert!(session(&house, &id).steps.iter().all(|step| step.status.has_ended()));
}

#[test]
fn the_mind_may_neither_act_nor_manage_nor_reach_another_site() {
    let (mut house, devices) = House::with(&["ap-1"]);
    let mut stranger = FakeDevice::new("ap-9");
    stranger.key = "other/flat/ap-9".parse().unwrap();
    house.device_says(&mut stranger, "lwt", json!({"status": "online"}));
    let place = Some(("home".to_owned(), "flat".to_owned()));
    let ask = Ask::OpenSession { text: "slow".into(), place, understood: understood("slow_speed") };
    let id = house.ask(&olga(), ask).unwrap()["session_id"].as_str().unwrap().to_owned();
    moves(&mut house, &id, vec![call("a", "ap-1", "wifi.set_channel"), call("b", "ap-1", "changeset.commit"), call("c", "ap-1", "toaster.brown")]);
    let errors: Vec<_> = session(&house, &id).steps.iter().map(|step| step.error.clone().unwrap().code).collect();
    assert_eq!(errors, ["E_LLM_PERMISSION_DENIED", "E_LLM_PERMISSION_DENIED", "E_UNKNOWN_OP"]);
    moves(
        &mut house,
        &id,
        vec![Move::Call {
            key: "d".into(),
            phase: Phase::Gather,
            device: stranger.key.clone(),
            op: "device.status".into(),
            args: Default::default(),
            description: String::new(),
            after: None,
        }],
    );
    moves(
        &mut house,
        &id,
        vec![Move::Propose(Proposal {
            operations: vec![ProposedOperation { device: stranger.key.clone(), ..proposal(&devices[0]).operations.remove(0) }],
            ..proposal(&devices[0])
        })],
    );
    assert!(house.requests_to(&stranger.key).is_empty() && house.requests_to(&devices[0].key).is_empty());
    assert!(house.shelf.sets.is_empty());
    assert!(talkwire_core::Principal::Assistant.may(Permission::Test) && !talkwire_core::Principal::Assistant.may(Permission::Config));
}

#[test]
fn a_session_ends_after_an_hour_and_leaves_memory_two_hours_later() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    let id = open(&mut house);
    moves(&mut house, &id, vec![call("a", "ap-1", "network.speedtest_full")]);
    house.wait(3_599_000);
    assert_eq!(session(&house, &id).status, SessionStatus::Active);
    house.restart();
    house.wait(1_000);
    let ended = session(&house, &id);
    assert_eq!(ended.status, SessionStatus::TimedOut);
    assert!(ended.closing.contains("E_LLM_SESSION_TIMEOUT"));
    moves(&mut house, &id, vec![call("b", "ap-1", "device.status")]);
    assert_eq!(session(&house, &id).steps.len(), 1, "nothing is done for a session that is over");
    house.live(1, &mut devices);
    house.wait(7_200_000);
    assert!(house.core.session(&id).is_none());
}

#[test]
fn a_cancelled_session_stops_its_tools_and_takes_its_proposal_with_it() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    let id = open(&mut house);
    moves(&mut house, &id, vec![call("a", "ap-1", "device.status"), Move::Propose(proposal(&devices[0]))]);
    let set = house.set(session(&house, &id).changeset_id.as_ref().unwrap());
    let stranger = talkwire_core::Principal::Guest { name: "olga".into() };
    assert_eq!(code(house.ask(&stranger, Ask::CancelSession(id.clone()))), Code::Forbidden);
    house.ask(&olga(), Ask::CancelSession(id.clone())).unwrap();
    let ended = session(&house, &id);
    assert_eq!((ended.status, ended.steps[0].status), (SessionStatus::Cancelled, StepStatus::Skipped));
    assert_eq!(house.core.command(ended.steps[0].command_id.as_ref().unwrap()).unwrap().status, talkwire_core::command::Status::Cancelled);
    assert_eq!(house.status(&set), Status::Rejected);
    assert_eq!(code(house.approve(&set)), Code::ChangesetState);
    // While devices are being changed, cancelling takes everything back.
    let second = open(&mut house);
    moves(&mut house, &second, vec![Move::Propose(proposal(&devices[0]))]);
    let set = house.set(session(&house, &second).changeset_id.as_ref().unwrap());
    house.approve(&set).unwrap();
    house.taken();
    house.ask(&olga(), Ask::CancelSession(second)).unwrap();
    house.talk(&mut devices);
    house.live(20, &mut devices);
    assert_eq!((house.status(&set), &devices[0].config["channel"]), (Status::RolledBack, &json!(6)));
}

#[test]
fn a_change_that_brings_what_was_promised_is_kept() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    let (id, set) = applied(&mut house, &mut devices);
    let verify = Move::Call {
        key: "after".into(),
        phase: Phase::Verify,
        device: devices[0].key.clone(),
        op: "network.speedtest_full".into(),
        args: Default::default(),
        description: "again".into(),
        after: None,
    };
    moves(&mut house, &id, vec![verify]);
    assert_eq!(house.set(&set).status, Status::Verifying);
    house.talk(&mut devices);
    moves(&mut house, &id, vec![Move::Judge { after: Some(speed(74.5)) }]);
    house.talk(&mut devices);
    let kept = house.set(&set);
    assert_eq!((kept.status, kept.outcome.unwrap().text.as_str()), (Status::Committed, "kept: 18 Mbps → 74 Mbps"));
    assert_eq!(session(&house, &id).status, SessionStatus::Completed);
    let receipt = &house.shelf.receipts[&set];
    assert_eq!((receipt["asked"]["words"].as_str(), receipt["measured"]["after"]["value"].as_f64()), (Some("slow at night"), Some(74.5)));
}

#[test]
fn a_change_without_gain_or_without_a_measurement_goes_back() {
    for (after, kind) in [(Some(speed(19.0)), "no_gain"), (Some(speed(f64::NAN)), "no_gain"), (None, "not_measured")] {
        let (mut house, mut devices) = House::with(&["ap-1"]);
        let (id, set) = applied(&mut house, &mut devices);
        moves(&mut house, &id, vec![Move::Judge { after }]);
        house.talk(&mut devices);
        let ended = house.set(&set);
        assert_eq!((ended.status, ended.outcome.unwrap().kind.as_str(), &devices[0].config["channel"]), (Status::RolledBack, kind, &json!(6)));
        assert_eq!(house.shelf.receipts[&set]["outcome"]["status"], "rolled_back");
        let next = open(&mut house);
        let futile = |hours: i64| house.core.brief(&next, house.now + hours * 3_600_000, |brief| brief.futile.len()).unwrap();
        assert_eq!([futile(0), futile(23), futile(25)], if kind == "no_gain" { [1, 1, 0] } else { [0, 0, 0] }, "known to the next diagnosis for a day");
    }
}

#[test]
fn while_it_is_measured_the_deadline_is_moved_but_not_for_ever() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    let (_, set) = applied(&mut house, &mut devices);
    house.live(600, &mut devices);
    let extended = devices[0].taken.iter().filter(|op| *op == "changeset.extend").count();
    assert!((3..=4).contains(&extended), "moved {extended} times in 600 s");
    assert_eq!(house.set(&set).status, Status::Applied);
    house.live(1_700, &mut devices);
    assert_eq!((house.set(&set).status, &devices[0].config["channel"]), (Status::RolledBack, &json!(6)));
}

#[test]
fn a_device_that_does_not_extend_is_asked_now_and_then_and_goes_back_in_time() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    let (_, set) = applied(&mut house, &mut devices);
    devices[0].refuse.insert("changeset.extend".into(), "E_DEVICE");
    house.live(310, &mut devices);
    let asked = devices[0].taken.iter().filter(|op| *op == "changeset.extend").count();
    assert!((10..=30).contains(&asked), "asked {asked} times in the last 120 s");
    assert_eq!((house.set(&set).status, &devices[0].config["channel"]), (Status::RolledBack, &json!(6)));
}

#[test]
fn a_complaint_about_a_place_without_devices_opens_nothing() {
    let (mut house, _) = House::with(&["ap-1"]);
    let place = Some(("nobody".to_owned(), "nowhere".to_owned()));
    let ask = Ask::OpenSession { text: "slow".into(), place, understood: understood("slow_speed") };
    assert_eq!(code(house.ask(&ann(), ask)), Code::NotFound);
    for _ in 0..8 {
        open(&mut house);
    }
    let ask = Ask::OpenSession { text: "slow".into(), place: None, understood: understood("slow_speed") };
    assert_eq!(code(house.ask(&ann(), ask)), Code::RateLimited);
}

#[test]
fn the_message_of_a_session_lives_on_after_a_restart_and_its_newest_form_wins() {
    let (mut house, mut devices) = House::with(&["ap-1"]);
    house.publish_json(&people_at(olga(), "w1"), "chat/send", json!({"id": "m-1", "text": "slow at night"}));
    let (message_id, _) = house.asked.pop().unwrap();
    house.input(Input::Understood { message_id, understood: understood("slow_speed") });
    let id = house.shelf.sessions.keys().next().unwrap().clone();
    moves(&mut house, &id, vec![call("a", "ap-1", "device.status")]);
    house.talk(&mut devices);
    for _ in 0..2 {
        house.restart();
        for device in devices.iter_mut() {
            house.device_says(device, "lwt", json!({"status": "online"}));
        }
        // The shelf asserts that each form has a higher `rev` and `change` than the one before, at the same place.
        let step = format!("again {}", house.now);
        moves(&mut house, &id, vec![call(&step, "ap-1", "device.status")]);
        house.talk(&mut devices);
        house.now += 1;
    }
    let message = house.shelf.messages.values().find(|message| message.seq == 2).unwrap();
    assert_eq!(message.in_reply_to.as_deref(), Some("m-1"));
    house.publish_json(&people_at(olga(), "w1"), "chat/send", json!({"id": "m-2", "text": "thanks"}));
    assert_eq!(house.shelf.messages.values().find(|message| message.id == "m-2").unwrap().seq, 3, "places go on after a restart");
}

#[test]
fn after_a_restart_a_diagnosis_waits_until_the_devices_are_back() {
    let (mut house, mut devices) = House::with(&["ap-1", "ap-2"]);
    let id = open(&mut house);
    moves(&mut house, &id, vec![call("a", "ap-1", "device.status")]);
    house.talk(&mut devices);
    house.thoughts.clear();
    house.restart();
    let mut told = |house: &mut House, at: usize| {
        house.device_says(&mut devices[at], "lwt", json!({"status": "online"}));
        std::mem::take(&mut house.thoughts)
    };
    assert!(house.thoughts.is_empty(), "nobody is back yet, so the mind would find an empty house");
    house.wait(5_000);
    assert!(told(&mut house, 0).is_empty(), "one is missing");
    assert_eq!(told(&mut house, 1), std::slice::from_ref(&id));
    // A second complaint finds everybody there.
    let second = open(&mut house);
    assert_eq!(std::mem::take(&mut house.thoughts), [second]);
    // Who does not come back is not waited for longer than that.
    house.restart();
    house.device_says(&mut devices[0], "lwt", json!({"status": "online"}));
    let early = open(&mut house);
    house.wait(29_000);
    assert!(house.thoughts.is_empty());
    house.wait(1_000);
    assert!(house.thoughts.contains(&id) && house.thoughts.contains(&early));
    assert_eq!(session(&house, &id).steps[0].status, StepStatus::Completed, "what was measured stays");
}

#[test]
fn on_a_device_without_a_journal_the_server_keeps_the_deadline() {
    let mut house = House::new();
    let mut devices = vec![FakeDevice::new("old-1")];
    devices[0].journal = false;
    house.device_says(&mut devices[0], "lwt", json!({"status": "online"}));
    let id = open(&mut house);
    let mut plan = proposal(&devices[0]);
    plan.operations[0].undo_args = Some(args(json!({"channel": 6})));
    moves(&mut house, &id, vec![Move::Propose(plan)]);
    let set = house.set(session(&house, &id).changeset_id.as_ref().unwrap());
    assert!(!set.needs_admin);
    house.approve(&set).unwrap();
    house.live(290, &mut devices);
    assert_eq!((house.status(&set), &devices[0].config["channel"]), (Status::Applied, &json!(11)));
    house.live(2_000, &mut devices);
    assert_eq!((house.status(&set), &devices[0].config["channel"]), (Status::RolledBack, &json!(6)));
}
