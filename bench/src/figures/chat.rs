//! A chat message to 1,000 members over WebSocket, stored before it is told.

use super::server_core;
use crate::load::on_one_thread;
use crate::machine::Folder;
use crate::report::{Goal, Report};
use crate::sample::Samples;
use crate::server::Server;
use crate::wire::{Packet, Road, Wire};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const MEMBERS: usize = 1_000;
const ROOM: &str = "bench";
/// One message in this time.
const EVERY: Duration = Duration::from_millis(250);

/// Measures.
pub fn measure(span: Duration) -> Result<Report> {
    let folder = Folder::new("chat")?;
    let server = Server::start(&folder, server_core())?;
    let messages = (span.as_millis() / EVERY.as_millis()).max(4) as usize;
    let mut latency = on_one_thread(talk(server.ports.ws, messages))?;
    let mut stored = 0usize;
    server
        .api()?
        .each(&format!("/rooms/{ROOM}/messages"), |message| stored += usize::from(message["text"].as_str().is_some_and(|text| text.starts_with("bench "))))?;
    ensure!(stored == messages, "{messages} messages were acknowledged, but {stored} are stored");
    let mut report = Report::new("chat");
    report.line(format!("to {MEMBERS} members: p50"), "p50_ms", "ms", latency.quantile_ms(0.5), None, Goal::AtMost(50.0));
    report.line(format!("to {MEMBERS} members: p99"), "p99_ms", "ms", latency.quantile_ms(0.99), None, Goal::AtMost(50.0));
    report.line("told", "deliveries", "msg", latency.len() as f64, None, Goal::AtLeast((messages * MEMBERS) as f64));
    report.note(format!("{messages} messages, one each {} ms, from the publish to its arrival at each member (MQTT over WebSocket, QoS 1, all members read by the one core of the load); all {stored} found in the room's history", EVERY.as_millis()));
    report.note("ejabberd's multi-user chat, the peer of the design, is not started here");
    Ok(report)
}

async fn talk(addr: SocketAddr, messages: usize) -> Result<Samples> {
    let began = Instant::now();
    let mut tasks = Vec::with_capacity(MEMBERS);
    for number in 0..MEMBERS {
        let mut wire = Wire::connect(addr, Road::WebSocket, &format!("member-{number}")).await.context("a member cannot connect")?;
        wire.subscribe(&format!("chatroom/{ROOM}/messages/out"), 1).await?;
        tasks.push(tokio::spawn(listen(wire, messages, began)));
    }
    let mut speaker = Wire::connect(addr, Road::WebSocket, "speaker").await?;
    for number in 1..=messages {
        let said = json!({"client_id": "speaker", "username": "speaker", "message": format!("bench {}", began.elapsed().as_micros())});
        speaker.publish(&format!("chatroom/{ROOM}/messages/in"), said.to_string().as_bytes(), number as u16, false);
        speaker.flush().await?;
        ensure!(speaker.next().await? == Packet::Puback(number as u16), "a chat message was not acknowledged");
        tokio::time::sleep(EVERY).await;
    }
    let mut latency = Samples::default();
    for task in tasks {
        latency.extend(task.await??);
    }
    Ok(latency)
}

async fn listen(mut wire: Wire, messages: usize, began: Instant) -> Result<Samples> {
    let mut latency = Samples::default();
    while latency.len() < messages {
        let packet = tokio::time::timeout(Duration::from_secs(20), wire.next()).await.context("a member was not told")??;
        let Packet::Publish { payload, id, .. } = packet else { continue };
        let arrived = began.elapsed();
        if id != 0 {
            wire.puback(id);
            wire.flush().await?;
        }
        let message: Value = serde_json::from_slice(&payload)?;
        if let Some(sent) = message["content"].as_str().and_then(|text| text.strip_prefix("bench ")?.parse().ok()) {
            latency.push(arrived.saturating_sub(Duration::from_micros(sent)));
        }
    }
    Ok(latency)
}
