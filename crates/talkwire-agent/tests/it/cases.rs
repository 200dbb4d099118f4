//! Recorded homes: what each flow must find, propose, or leave alone.

use crate::play::Play;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use talkwire_agent::Mind;
use talkwire_core::session::{StepStatus, VerdictKind};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    intent: String,
    language: String,
    request: String,
    slots: Value,
    set: Vec<(String, String, Value)>,
    fail: BTreeMap<String, String>,
    #[serde(default)]
    drop: Vec<String>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    kind: VerdictKind,
    cause: Option<String>,
    /// Absent: not looked at. `null`: nothing may be proposed.
    #[serde(default, deserialize_with = "given")]
    op: Option<Option<String>>,
    device: Option<String>,
    args: Option<Map<String, Value>>,
    metric: Option<String>,
    #[serde(default)]
    chart: bool,
    says: Option<String>,
}

fn given<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(value).map(Some)
}

fn play(case: &Case, mind: &Mind) -> Play {
    let mut play = Play::new(&case.intent, &case.language, &case.request, case.slots.clone());
    for (key, pointer, value) in &case.set {
        play.set(key, pointer, value.clone());
    }
    for (key, code) in &case.fail {
        play.fail(key, code);
    }
    play.devices.retain(|device| !case.drop.iter().any(|id| id == device.key.device_id.as_str()));
    play.run(mind);
    play
}

fn check(case: &Case, play: &Play) -> Result<(), String> {
    let verdict = play.session.verdict.as_ref().ok_or("no verdict")?;
    let said = format!("{:?} {:?} {:.2} {:?} rivals {:?}", verdict.kind, verdict.cause, verdict.confidence, verdict.text, verdict.rivals.iter().map(|r| (&r.cause, r.confidence)).collect::<Vec<_>>());
    if verdict.kind != case.expect.kind || verdict.cause != case.expect.cause {
        return Err(said);
    }
    if case.expect.cause.is_some() && verdict.evidence.is_empty() {
        return Err(format!("no evidence: {said}"));
    }
    if verdict.text.contains(['{', '}']) || verdict.evidence.iter().any(|view| view.text.contains(['{', '}']) || view.text.is_empty()) {
        return Err(format!("unfilled text: {said} {:?}", verdict.evidence));
    }
    if let Some(words) = &case.expect.says
        && !verdict.text.contains(words.as_str())
    {
        return Err(format!("does not say {words:?}: {said}"));
    }
    if case.expect.chart && verdict.chart.as_ref().is_none_or(|chart| chart.points.len() < 2 || !chart.points.iter().any(|point| point.marked)) {
        return Err(format!("no chart: {said}"));
    }
    if let Some(device) = &case.expect.device
        && verdict.device_id.as_ref().map(|id| id.as_str()) != Some(device)
    {
        return Err(format!("device {:?}: {said}", verdict.device_id));
    }
    let proposed = play.proposals.first();
    if let Some(op) = &case.expect.op
        && proposed.map(|proposal| proposal.operations[0].op.clone()) != *op
    {
        return Err(format!("proposed {proposed:?}, closing {:?}: {said}", play.session.closing));
    }
    if let Some(args) = &case.expect.args
        && proposed.map(|proposal| &proposal.operations[0].args) != Some(args)
    {
        return Err(format!("arguments {:?}", proposed.map(|proposal| &proposal.operations[0].args)));
    }
    if let Some(metric) = &case.expect.metric
        && proposed.and_then(|proposal| proposal.expect.as_ref()).map(|expect| &expect.metric) != Some(metric)
    {
        return Err(format!("promise {:?}", proposed.and_then(|proposal| proposal.expect.as_ref())));
    }
    if proposed.is_none() && play.session.closing.is_empty() {
        return Err(format!("no last words: {said}"));
    }
    Ok(())
}

fn run(text: &str) {
    let cases: Vec<Case> = serde_json::from_str(text).expect("cases read");
    let mind = Mind::builtin();
    let mut wrong = Vec::new();
    for case in &cases {
        let play = play(case, &mind);
        if let Err(why) = check(case, &play) {
            wrong.push(format!("{} / {}: wanted {:?} {:?}, got {why}", case.intent, case.name, case.expect.kind, case.expect.cause));
        }
        replays(&play, &mind, &case.name);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The record alone, without the verdict, leads to the same verdict.
fn replays(play: &Play, mind: &Mind, name: &str) {
    let mut again = Play::new(&play.session.intent.intent, play.session.intent.language.tag(), &play.session.user_request, play.session.intent.slots.clone().into());
    again.devices = play.devices.clone();
    again.session.steps = play.session.steps.iter().filter(|step| step.phase == talkwire_core::session::Phase::Gather).cloned().collect();
    assert!(again.session.steps.iter().all(|step| step.status != StepStatus::Waiting));
    again.run(mind);
    assert_eq!(again.session.verdict, play.session.verdict, "{name} replays to the same verdict");
}

#[test]
fn slow_speed_finds_what_is_there() {
    run(include_str!("../cases/slow_speed.json"));
}

#[test]
fn no_internet_finds_what_is_there() {
    run(include_str!("../cases/no_internet.json"));
}

#[test]
fn the_other_flows_find_what_their_evidence_decides() {
    run(include_str!("../cases/others.json"));
}
