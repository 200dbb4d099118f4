//! The assistant's own time: from the question to its first tool, and between a result and its next move.

use super::server_core;
use crate::api::Api;
use crate::load::on_one_thread;
use crate::machine::Folder;
use crate::report::{Goal, Report};
use crate::sample::{Samples, median};
use crate::server::{Ports, Server};
use crate::wire::{Packet, Road, Wire};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Different each time, so that nothing is remembered from the last.
const QUESTIONS: [&str; 4] = ["my wifi is slow in the evening", "家裡 WiFi 很慢，尤其是晚上", "家里网速好慢", "the internet is very slow tonight"];
const SESSIONS: usize = 20;
const WITHIN: Duration = Duration::from_secs(60);

/// Something seen on the wire between the assistant and the devices.
enum Seen {
    /// A command of a session was published.
    Asked(Instant, String, String),
    /// A command was answered for good.
    Answered(Instant, String),
}

/// Measures.
pub fn measure(_span: Duration) -> Result<Report> {
    let folder = Folder::new("agent")?;
    let words = ["demo", "--no-open", "--speed", "3600", "--seed", "1"];
    let server = Server::start_at(&folder, server_core(), Ports::free()?, &words)?;
    let api = server.api()?;
    api.wait_for("/devices", WITHIN, |list| {
        list["items"].as_array().filter(|items| items.len() >= 4 && items.iter().all(|device| device["online"] == true)).map(|_| ())
    })?;
    // Whoever starts a server waits longer than this before he types.
    std::thread::sleep(Duration::from_secs(2));
    let (tell, seen) = channel();
    let mqtt = server.ports.mqtt;
    std::thread::spawn(move || on_one_thread(watch(mqtt, tell)));
    std::thread::sleep(Duration::from_millis(300));

    let (mut first, mut own, mut steps) = (Samples::default(), Vec::new(), Vec::new());
    for number in 0..SESSIONS {
        let flow = ask(&api, &seen, QUESTIONS[number % QUESTIONS.len()])?;
        first.push(flow.first);
        own.push(flow.own.as_secs_f64() * 1_000.0);
        steps.push(flow.steps as f64);
    }
    let mut report = Report::new("agent");
    report.line("question → first tool published: p50", "first_tool_p50_ms", "ms", first.quantile_ms(0.5), None, Goal::None);
    report.line("question → first tool published: p95", "first_tool_p95_ms", "ms", first.quantile_ms(0.95), None, Goal::AtMost(20.0));
    report.line("a whole flow's own time", "flow_own_ms", "ms", median(&own), None, Goal::AtMost(150.0));
    report.line("commands in a flow", "flow_commands", "", median(&steps), None, Goal::None);
    report.note(format!("{SESSIONS} sessions on the demo's home at 3,600 times its speed; seen by an MQTT client beside the devices. A flow's own time is all of it, from the question to the verdict, in which no command is with a device; each gap has a commit with fsync in it"));
    Ok(report)
}

struct Flow {
    first: Duration,
    own: Duration,
    steps: usize,
}

fn ask(api: &Api, seen: &Receiver<Seen>, question: &str) -> Result<Flow> {
    while seen.try_recv().is_ok() {}
    let began = Instant::now();
    let opened = api.post("/sessions", &json!({"user_request": question, "tenant": "home", "site": "living"}))?;
    let id = opened["session_id"].as_str().context("a session has an id")?.to_owned();
    let ended = api.wait_for(&format!("/sessions/{id}"), WITHIN, |session| {
        let over = session["session"]["status"] != "active" || !session["verdict"].is_null();
        over.then(|| (Instant::now(), session["changeset_id"].as_str().map(str::to_owned), session["session"]["status"] == "active"))
    })?;
    if let Some(changeset) = &ended.1 {
        // The next question finds the site free again.
        api.post(&format!("/changesets/{changeset}/reject"), &json!({}))?;
    }
    if ended.2 {
        api.wait_for(&format!("/sessions/{id}"), WITHIN, |session| (session["session"]["status"] != "active").then_some(()))?;
    }
    let (mut open, mut free_since, mut own, mut first, mut steps) = (HashSet::new(), Some(began), Duration::ZERO, None, 0);
    while let Ok(event) = seen.try_recv() {
        match event {
            Seen::Asked(at, session, command) if session == id && at <= ended.0 => {
                first.get_or_insert(at - began);
                if let Some(since) = free_since.take() {
                    own += at.saturating_duration_since(since);
                }
                steps += usize::from(open.insert(command));
            }
            Seen::Answered(at, command) if open.remove(&command) && open.is_empty() => free_since = Some(at),
            Seen::Asked(..) | Seen::Answered(..) => {}
        }
    }
    if let Some(since) = free_since {
        own += ended.0.saturating_duration_since(since);
    }
    Ok(Flow { first: first.context("the assistant asked no device")?, own, steps })
}

async fn watch(addr: SocketAddr, tell: Sender<Seen>) -> Result<()> {
    let mut wire = Wire::connect(addr, Road::Tcp, "watcher").await?;
    wire.subscribe("rtk/v1/+/+/+/cmd/req", 0).await?;
    wire.subscribe("rtk/v1/+/+/+/cmd/res", 0).await?;
    loop {
        let Packet::Publish { topic, payload, .. } = wire.next().await? else { continue };
        let at = Instant::now();
        let message: Value = serde_json::from_slice(&payload)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let event = if topic.ends_with("/req") {
            Seen::Asked(at, text(&message["trace"]["session_id"]), text(&message["id"]))
        } else if message["status"].is_null() && message["progress"].is_null() {
            continue;
        } else if message["progress"].is_null() {
            Seen::Answered(at, text(&message["id"]))
        } else {
            continue;
        };
        if tell.send(event).is_err() {
            return Ok(());
        }
    }
}
