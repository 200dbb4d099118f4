//! JSON telemetry of 100 devices into indexed rows, counted afterwards.

use super::script::{self, Script};
use super::{ROUNDS, server_core};
use crate::load::{self, Load, device_id, telemetry, telemetry_topic};
use crate::machine::Folder;
use crate::peer::Mosquitto;
use crate::report::{Goal, Report};
use crate::sample::median;
use crate::server::Server;
use anyhow::Result;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

const DEVICES: usize = 100;
const IN_FLIGHT: usize = 20;

/// What one round found.
#[derive(Default)]
struct Round {
    rate: f64,
    lost: f64,
    peak_mib: f64,
}

/// Measures.
pub fn measure(span: Duration) -> Result<Report> {
    let python = script::python().inspect_err(|why| eprintln!("SKIPPED: the script on Mosquitto does not run beside ours: {why:#}")).ok();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(house(span)?);
        if let Some(python) = &python
            && let Some(round) = scripted(python, span)?
        {
            theirs.push(round);
        }
    }
    let pick = |rounds: &[Round], field: fn(&Round) -> f64| median(&rounds.iter().map(field).collect::<Vec<_>>());
    let other = |field| (!theirs.is_empty()).then(|| pick(&theirs, field));
    let mut report = Report::new("ingest");
    report.line("stored and acknowledged", "msg_per_s", "msg/s", pick(&ours, |round| round.rate), other(|round| round.rate), Goal::AtLeast(20_000.0));
    report.line("acknowledged, but not in the store", "lost", "msg", ours.iter().map(|round| round.lost).sum(), other(|round| round.lost), Goal::AtMost(0.0));
    report.line("resident memory at most", "peak_rss_mib", "MiB", pick(&ours, |round| round.peak_mib), None, Goal::AtMost(200.0));
    if !theirs.is_empty() {
        report.peer = Some("script+mosquitto".into());
        report.note("the peer is a short Python program (paho-mqtt 1.x, sqlite3, 1,000 rows a transaction, the same fsync) on Mosquitto; both on the server's core. It cannot acknowledge after its commit: what Mosquitto acknowledged and the queue to the script dropped counts as lost");
    }
    report.note(format!("{DEVICES} devices × {IN_FLIGHT} in flight for {} s, JSON of about 90 bytes; rows counted through the API", span.as_secs()));
    Ok(report)
}

fn load(addr: SocketAddr, span: Duration) -> Load {
    Load { addr, publishers: DEVICES, in_flight: IN_FLIGHT, span, topic: telemetry_topic, payload: telemetry }
}

fn house(span: Duration) -> Result<Round> {
    let folder = Folder::new("ingest")?;
    let server = Server::start(&folder, server_core())?;
    let seen = load::run(&load(server.ports.mqtt, span))?;
    let peak_mib = server.memory_kib()?.1 as f64 / 1_024.0;
    let api = server.api()?;
    let mut rows = 0u64;
    for number in 0..DEVICES {
        api.each(&format!("/devices/home/bench/{}/telemetry/cpu_usage", device_id(number)), |_| rows += 1)?;
    }
    Ok(Round { rate: seen.rate(), lost: seen.acked as f64 - rows as f64, peak_mib })
}

fn scripted(python: &Path, span: Duration) -> Result<Option<Round>> {
    let Some(broker) = Mosquitto::start(server_core())? else { return Ok(None) };
    let script = Script::start(python, broker.addr.port(), server_core())?;
    let seen = load::run(&load(broker.addr, span))?;
    let (rows, took_s) = script.finish()?;
    Ok(Some(Round { rate: if took_s > 0.0 { rows / took_s } else { 0.0 }, lost: seen.acked as f64 - rows, peak_mib: 0.0 }))
}
