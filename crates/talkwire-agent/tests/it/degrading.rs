//! Tools that are missing, busy, failing, of another version; devices that are away.

use crate::play::{LAPTOP, LIVING, Play, ROUTER};
use serde_json::json;
use talkwire_agent::Mind;
use talkwire_core::session::{StepStatus, VerdictKind};

fn slow(language: &str) -> Play {
    Play::new("slow_speed", language, "slow", json!({}))
}

fn tool_of<'a>(play: &'a mut Play, id: &str, tool: &str) -> &'a mut talkwire_proto::capability::ToolSupport {
    let device = play.devices.iter_mut().find(|device| device.key.device_id.as_str() == id).unwrap();
    device.tools.get_mut(tool).unwrap()
}

#[test]
fn a_tool_that_a_device_lacks_is_left_out_with_code_and_reason() {
    let mind = Mind::builtin();
    let mut play = slow("en");
    let support = tool_of(&mut play, ROUTER, "traffic.get_top_talkers");
    support.supported = false;
    support.reason = Some("high_cpu_load".into());
    play.run(&mind);
    let step = play.session.steps.iter().find(|step| step.tool == "traffic.get_top_talkers").unwrap();
    assert_eq!(step.status, StepStatus::Skipped);
    let error = step.error.as_ref().unwrap();
    assert_eq!(error.code, "E_LLM_TOOL_NOT_AVAILABLE");
    assert!(error.message.contains("high_cpu_load"));
    assert_eq!(play.verdict().kind, VerdictKind::Inconclusive);
    assert!(play.verdict().text.contains("who uses the line"), "{}", play.verdict().text);
}

#[test]
fn an_alternative_stands_in() {
    let mind = Mind::builtin();
    let mut play = slow("en");
    tool_of(&mut play, LIVING, "wifi.get_environment").supported = false;
    let device = play.devices.iter_mut().find(|device| device.key.device_id.as_str() == LIVING).unwrap();
    device.tools.insert("wifi.basic_scan".into(), talkwire_proto::capability::ToolSupport::plain());
    let scan = play.answer("wifi.get_environment@ap-living").clone();
    play.answers.insert("wifi.basic_scan@ap-living".into(), vec![Ok(scan)]);
    play.run(&mind);
    assert!(play.session.steps.iter().any(|step| step.tool == "wifi.basic_scan" && step.status == StepStatus::Completed));
    assert_eq!(play.verdict().kind, VerdictKind::Healthy);
}

#[test]
fn a_tool_that_fails_gives_way_to_its_alternative() {
    let mind = Mind::builtin();
    let mut play = slow("en");
    play.fail("wifi.get_environment@ap-living", "E_LLM_TOOL_NOT_AVAILABLE");
    let device = play.devices.iter_mut().find(|device| device.key.device_id.as_str() == LIVING).unwrap();
    device.tools.insert("wifi.basic_scan".into(), talkwire_proto::capability::ToolSupport::plain());
    let scan = play.answer("wifi.get_environment@router").clone();
    play.answers.insert("wifi.basic_scan@ap-living".into(), vec![Ok(scan)]);
    play.run(&mind);
    assert!(play.session.steps.iter().any(|step| step.key == format!("environment@{LIVING}~1") && step.tool == "wifi.basic_scan"));
    assert_eq!(play.verdict().kind, VerdictKind::Healthy);
}

#[test]
fn a_busy_tool_is_asked_once_more() {
    let mind = Mind::builtin();
    let mut play = slow("en");
    let result = play.answer("network.speedtest_full@router").clone();
    play.answers.insert("network.speedtest_full@router".into(), vec![Err("E_BUSY".into()), Ok(result)]);
    play.run(&mind);
    assert_eq!(play.verdict().kind, VerdictKind::Healthy);
}

#[test]
fn a_newer_major_version_is_a_mismatch_and_an_older_one_gets_the_plain_question() {
    let mind = Mind::builtin();
    let mut play = slow("en");
    tool_of(&mut play, ROUTER, "clients.health").version = Some("7.0".into());
    tool_of(&mut play, ROUTER, "clients.list").version = Some("7.0".into());
    tool_of(&mut play, ROUTER, "network.speedtest_full").version = Some("0.9".into());
    play.run(&mind);
    let step = play.session.steps.iter().find(|step| step.tool == "clients.list").unwrap();
    assert_eq!(step.error.as_ref().unwrap().code, "E_LLM_CAPABILITY_MISMATCH");
    let speed = play.session.steps.iter().find(|step| step.key.starts_with("speed@")).unwrap();
    assert!(speed.args.is_empty() && speed.status == StepStatus::Completed);
}

#[test]
fn without_a_computer_the_client_test_is_left_out_and_said() {
    let mind = Mind::builtin();
    let mut play = slow("zh-CN");
    play.devices.retain(|device| device.key.device_id.as_str() != LAPTOP);
    play.run(&mind);
    let step = play.session.steps.iter().find(|step| step.key == "client_speed@-").unwrap();
    assert_eq!(step.status, StepStatus::Skipped);
    assert!(step.error.as_ref().unwrap().message.contains("没有"));
    assert_eq!(play.verdict().kind, VerdictKind::Healthy);
}

#[test]
fn with_nobody_to_ask_nothing_is_claimed() {
    let mind = Mind::builtin();
    for intent in ["slow_speed", "no_internet", "mesh_backhaul_issue"] {
        let mut play = Play::new(intent, "en", "x", json!({}));
        play.devices.clear();
        play.run(&mind);
        assert_eq!(play.verdict().kind, VerdictKind::Inconclusive);
        let mut play = Play::new(intent, "zh-TW", "x", json!({}));
        play.devices.iter_mut().for_each(|device| device.online = false);
        play.run(&mind);
        assert_eq!(play.verdict().kind, VerdictKind::Inconclusive);
        assert!(play.verdict().text.contains("路由器現在沒有連上"));
    }
}

#[test]
fn a_remedy_that_the_device_lacks_becomes_advice() {
    let mind = Mind::builtin();
    let mut play = slow("en");
    let environment = "wifi.get_environment@ap-living";
    play.set(environment, "/radios/0/utilization_external_percent", json!(80)).set(environment, "/radios/0/utilization_percent", json!(84));
    play.set("network.speedtest_full@mei-laptop", "/download_mbps", json!(18.0));
    tool_of(&mut play, LIVING, "wifi.set_channel").supported = false;
    play.run(&mind);
    assert_eq!(play.cause(), Some("wifi_cochannel_busy"));
    assert!(play.proposals.is_empty() && !play.session.closing.is_empty());
}

#[test]
fn an_unknown_intent_is_answered_as_what_it_is() {
    let mind = Mind::builtin();
    let mut play = Play::new("other", "en", "hello", json!({"other_kind": "status_question"}));
    play.run(&mind);
    assert!(play.session.closing.contains("3 of 3 devices are online"));
    assert!(play.session.steps.is_empty());
}
