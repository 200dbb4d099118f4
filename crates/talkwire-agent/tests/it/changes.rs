//! From a proposal to its end: measured again, judged, told.

use crate::play::Play;
use serde_json::json;
use talkwire_agent::Mind;
use talkwire_core::changeset::{OperationState, Status};
use talkwire_core::moves::Move;
use talkwire_core::session::{Phase, StepStatus};

const ENVIRONMENT: &str = "wifi.get_environment@ap-living";
const SPEED: &str = "network.speedtest_full@mei-laptop";

fn crowded(language: &str) -> Play {
    let mut play = Play::new("slow_speed", language, "Wi-Fi is slow", json!({"when": "evening"}));
    play.set(ENVIRONMENT, "/radios/0/utilization_percent", json!(82)).set(ENVIRONMENT, "/radios/0/utilization_external_percent", json!(78));
    play.set(ENVIRONMENT, "/radios/0/channels/1/utilization_external_percent", json!(78)).set(SPEED, "/download_mbps", json!(18.0));
    play
}

#[test]
fn a_change_that_helps_is_measured_three_times_and_kept() {
    let mind = Mind::builtin();
    let mut play = crowded("en");
    play.run(&mind);
    let proposal = play.proposals[0].clone();
    assert_eq!(proposal.operations[0].before_text, "6");
    assert_eq!(proposal.operations[0].after_text, "1");
    assert_eq!(proposal.operations[0].undo_args.as_ref().unwrap()["channel"], 6);
    let before = proposal.before.unwrap();
    assert_eq!((before.value, before.samples.len()), (18.0, 3));
    assert!(proposal.expect.unwrap().text.contains("18 → 23 Mbps"));
    assert!(play.next(&mind).is_empty(), "nothing happens without a yes");
    play.set(SPEED, "/download_mbps", json!(74.0));
    play.approve().run(&mind);
    assert_eq!(play.judged, Some(Some(74.0)));
    assert_eq!(play.changeset.as_ref().unwrap().status, Status::Committed);
    let measured: Vec<_> = play.session.steps.iter().filter(|step| step.phase == Phase::Verify).collect();
    assert_eq!(measured.iter().filter(|step| step.key.starts_with("verify@")).count(), 3);
    assert!(measured[0].key.starts_with("settle@"), "devices get time to come back");
    assert!(play.session.closing.contains("18 → 74 Mbps"), "{}", play.session.closing);
    assert_eq!(play.cause(), Some("wifi_cochannel_busy"), "the verdict stays what it was");
}

#[test]
fn a_change_without_gain_is_judged_so() {
    let mind = Mind::builtin();
    let mut play = crowded("zh-TW");
    play.run(&mind);
    play.set(SPEED, "/download_mbps", json!(19.0));
    play.approve().run(&mind);
    assert_eq!(play.judged, Some(Some(19.0)));
    assert_eq!(play.changeset.as_ref().unwrap().status, Status::RolledBack);
    assert!(play.session.closing.contains("恢復"), "{}", play.session.closing);
}

#[test]
fn what_went_back_without_a_gain_is_not_put_forward_again() {
    let mind = Mind::builtin();
    let mut first = crowded("en");
    first.run(&mind);
    let mut done = first.changeset.take().unwrap();
    done.enter(Status::RolledBack, 1, "no gain");

    let mut again = crowded("en");
    again.futile.push(done.clone());
    again.run(&mind);
    assert_eq!(again.cause(), first.cause());
    assert!(again.proposals.iter().all(|proposal| proposal.operations[0].args != done.operations[0].args), "the same channel is not tried twice");
    assert!(again.session.closing.contains("tried within the last day"), "{}", again.session.closing);

    let mut other = crowded("en");
    done.operations[0].args.insert("channel".into(), json!(11));
    other.futile.push(done);
    other.run(&mind);
    assert_eq!(other.proposals[0].operations[0].after_text, "1", "another change than the one that went back is put forward");
}

#[test]
fn a_computer_that_is_away_for_a_moment_is_waited_for() {
    let mind = Mind::builtin();
    let mut play = crowded("en");
    play.run(&mind);
    let good = {
        let mut good = play.answer(SPEED).clone();
        good["download_mbps"] = json!(60.0);
        good
    };
    let away = || Err("E_DEVICE_OFFLINE".to_owned());
    let mut list = vec![away(); 5];
    list.push(Ok(good));
    play.answers.insert(SPEED.into(), list);
    play.approve().run(&mind);
    assert_eq!(play.judged, Some(Some(60.0)));
    let settled = play.session.steps.iter().filter(|step| step.key.starts_with("settle@")).count();
    assert!(settled >= 4, "each miss gives another moment, there were {settled}");
}

#[test]
fn what_cannot_be_measured_any_more_is_said() {
    let mind = Mind::builtin();
    let mut play = crowded("en");
    play.run(&mind);
    play.fail(SPEED, "E_TIMEOUT");
    play.approve().run(&mind);
    assert_eq!(play.judged, Some(None));
}

#[test]
fn half_applied_sets_and_sets_going_back_are_not_measured() {
    let mind = Mind::builtin();
    let mut play = crowded("en");
    play.run(&mind);
    play.approve();
    play.changeset.as_mut().unwrap().operations[0].state = OperationState::Applying;
    assert!(play.next(&mind).is_empty());
    let set = play.changeset.as_mut().unwrap();
    set.operations[0].state = OperationState::Applied;
    set.going_back = Some(talkwire_core::changeset::Outcome { kind: "by_person".into(), text: "undone".into() });
    assert!(play.next(&mind).is_empty());
}

#[test]
fn a_no_ends_with_what_can_be_done_by_hand() {
    let mind = Mind::builtin();
    let mut play = crowded("en");
    play.run(&mind);
    play.changeset.as_mut().unwrap().enter(Status::Rejected, 1, "no");
    assert!(matches!(&play.next(&mind)[..], [Move::Finish { text }] if text.starts_with("All right, nothing was changed.")));
}

#[test]
fn gathering_reads_side_by_side_and_tests_speed_alone_at_the_end() {
    let mind = Mind::builtin();
    let mut play = crowded("en");
    let first: Vec<String> = play.next(&mind).iter().filter_map(|one| if let Move::Call { op, .. } = one { Some(op.clone()) } else { None }).collect();
    assert!(first.len() >= 8, "cheap reads start together: {first:?}");
    assert!(!first.iter().any(|op| op == "network.speedtest_full"));
    play.run(&mind);
    let gathered: Vec<_> = play.session.steps.iter().filter(|step| step.phase == Phase::Gather).collect();
    let speed = gathered.iter().position(|step| step.tool == "network.speedtest_full").expect("a speed test");
    assert!(gathered[speed..].iter().all(|step| step.tool == "network.speedtest_full" || step.key.starts_with("load@")));
    assert!(gathered.iter().all(|step| step.status != StepStatus::Completed || step.summary.is_some()), "every answer has its few words");
}

#[test]
fn the_binding_gather_lists_are_contained() {
    let mind = Mind::builtin();
    let lists = [
        ("no_internet", "diagnostics.wan_connectivity dhcpdns.get_config dhcpdns.scan_rogue clients.list network.trace_route"),
        ("slow_speed", "network.speedtest_full clients.list wifi.get_environment traffic.get_top_talkers"),
        ("unstable_disconnect", "clients.health system.get_logs diagnostics.latency_matrix system.get_hardware_info"),
        ("weak_signal_coverage", "wifi.signal_map mesh.get_topology wifi.roaming_test wifi.get_environment"),
    ];
    for (flow, tools) in lists {
        let mut play = Play::new(flow, "en", "x", json!({}));
        play.run(&mind);
        for tool in tools.split_whitespace() {
            assert!(play.session.steps.iter().any(|step| step.tool == tool), "{flow} gathers {tool}");
        }
        let both_sides = play
            .session
            .steps
            .iter()
            .filter(|step| step.tool == "network.speedtest_full")
            .map(|step| &step.device_name)
            .collect::<std::collections::BTreeSet<_>>();
        assert!(flow != "slow_speed" || both_sides.len() == 2, "the client is compared with the router");
    }
}

#[test]
fn what_a_device_never_does_is_not_proposed() {
    let mind = Mind::builtin();
    let rogue = |never: bool| {
        let mut play = Play::new("no_internet", "en", "no internet on one computer", json!({}));
        let servers = json!([{"ip_address": "192.168.0.1", "mac_address": "02000000ee01", "offered_gateway": "192.168.0.1", "offered_subnet": "192.168.0.0/24", "port": "lan3"}]);
        play.set("dhcpdns.scan_rogue@router", "/rogue_dhcp_detected", json!(true)).set("dhcpdns.scan_rogue@router", "/rogue_servers", servers);
        play.set("clients.list@router", "/clients/2/ip_address", json!("192.168.0.23"));
        if never {
            let support = play.devices[0].tools.get_mut("dhcpdns.set").unwrap();
            support.limitations.insert("disable_other_dhcp".into(), json!(false));
        }
        play.run(&mind);
        assert_eq!(play.cause(), Some("rogue_dhcp_server"));
        play
    };
    assert_eq!(rogue(false).proposals.len(), 1);
    let by_hand = rogue(true);
    assert!(by_hand.proposals.is_empty(), "{:?}", by_hand.proposals);
    assert!(by_hand.session.closing.contains("pull its cable"), "the advice takes its place: {}", by_hand.session.closing);
}
