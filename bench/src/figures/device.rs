//! What a device on the SDK costs: processor at 100 messages a second, memory over an hour's messages, time until delivery.

use super::{script, server_core};
use crate::load::on_one_thread;
use crate::machine::{Folder, memory_kib, on_core};
use crate::peer::Mosquitto;
use crate::play::now_us;
use crate::report::{Goal, Report};
use crate::sample::Samples;
use crate::server::{Process, Server};
use crate::wire::{Packet, Road, Wire};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const PER_SECOND: u32 = 100;
/// At this rate, an hour of the guide's 60 messages a minute.
const HOUR: Duration = Duration::from_secs(36);
/// Until caches are filled and the allocator has settled.
const WARM: Duration = Duration::from_secs(5);

/// What one device did.
struct Round {
    per_second: f64,
    cpu_percent: f64,
    p50_ms: f64,
    p99_ms: f64,
    rss_mib: f64,
    growth_kib: f64,
}

/// Measures.
pub fn measure(_span: Duration) -> Result<Report> {
    let folder = Folder::new("device")?;
    let mosquitto = Mosquitto::start(None)?;
    let server = if mosquitto.is_none() { Some(Server::start(&folder, None)?) } else { None };
    let addr = mosquitto.as_ref().map(|broker| broker.addr).or(server.as_ref().map(|server| server.ports.mqtt)).context("a broker")?;
    let ours = watch(addr, ours(addr, &folder, PER_SECOND, false)?, &folder.path().join("ours.log"))?;
    let theirs = theirs(addr, &folder, PER_SECOND)?.map(|command| watch(addr, command, &folder.path().join("theirs.log"))).transpose()?;
    let mut report = Report::new("device");
    let other = |field: fn(&Round) -> f64| theirs.as_ref().map(field);
    report.line("processor", "cpu_percent", "% of a core", ours.cpu_percent, other(|round| round.cpu_percent), Goal::AtMost(20.0));
    report.line("publish to delivery p50", "p50_ms", "ms", ours.p50_ms, other(|round| round.p50_ms), Goal::None);
    report.line("publish to delivery p99", "p99_ms", "ms", ours.p99_ms, other(|round| round.p99_ms), Goal::AtMost(100.0));
    report.line("resident memory", "rss_mib", "MiB", ours.rss_mib, other(|round| round.rss_mib), Goal::None);
    report.line("its growth over an hour's messages", "growth_kib", "KiB", ours.growth_kib, other(|round| round.growth_kib), Goal::AtMost(1_024.0));
    report.line("delivered", "msg_per_s", "msg/s", ours.per_second, other(|round| round.per_second), Goal::AtLeast(f64::from(PER_SECOND) * 0.98));
    if theirs.is_some() {
        report.peer = Some("python device".into());
        report.note("the peer is a device in the manner of the integration guide: paho-mqtt 1.x, events in SQLite (WAL) until they are acknowledged");
    }
    let broker = mosquitto.map_or_else(|| "our own broker".to_owned(), |broker| broker.name);
    report.note(format!(
        "{PER_SECOND} messages a second for {} s: 3,600, as many as in an hour at the guide's 60 a minute; half events through the outbox (QoS 1), half telemetry (QoS 0); through {broker}",
        HOUR.as_secs()
    ));
    Ok(report)
}

/// The command that is a device on the SDK; `limited`: to exactly its rate, instead of not at all.
pub(super) fn ours(addr: SocketAddr, folder: &Folder, per_second: u32, limited: bool) -> Result<Command> {
    let mut command = on_core(server_core(), &std::env::current_exe()?);
    command.arg("play-device").arg(addr.to_string()).arg(folder.path().join("ours")).arg(per_second.to_string());
    if limited {
        command.arg("--limited");
    }
    Ok(command)
}

/// The command that is the Python device; `None`, loudly, where there is no Python for it.
pub(super) fn theirs(addr: SocketAddr, folder: &Folder, per_second: u32) -> Result<Option<Command>> {
    let Some(python) = script::python().inspect_err(|why| eprintln!("SKIPPED: the Python device does not run beside ours: {why:#}")).ok() else {
        return Ok(None);
    };
    let file = folder.path().join("device.py");
    std::fs::write(&file, include_str!("device.py"))?;
    let mut command = on_core(server_core(), &python);
    command.arg(&file).arg(addr.port().to_string()).arg(folder.path().join("pending.db")).arg(per_second.to_string());
    Ok(Some(command))
}

fn watch(addr: SocketAddr, command: Command, log: &Path) -> Result<Round> {
    on_one_thread(async {
        let mut ear = Wire::connect(addr, Road::Tcp, "ear").await?;
        ear.subscribe("rtk/v1/home/bench/player-1/#", 0).await?;
        let device = Process::start(command, log)?;
        let mut samples = Samples::default();
        let first = listen(&mut ear, WARM, &mut Samples::default()).await?;
        ensure!(first > 0, "the device said nothing; see {}", log.display());
        let (cpu, memory, began) = (cpu_seconds(device.id())?, memory_kib(device.id())?.0, Instant::now());
        let heard = listen(&mut ear, HOUR, &mut samples).await?;
        let took = began.elapsed().as_secs_f64();
        let used = cpu_seconds(device.id())? - cpu;
        let after = memory_kib(device.id())?.0;
        Ok(Round {
            per_second: heard as f64 / took,
            cpu_percent: used / took * 100.0,
            p50_ms: samples.quantile_ms(0.5),
            p99_ms: samples.quantile_ms(0.99),
            rss_mib: after as f64 / 1_024.0,
            growth_kib: after as f64 - memory as f64,
        })
    })
}

/// Hears what is said for a time; how many messages carried their time.
async fn listen(ear: &mut Wire, span: Duration, samples: &mut Samples) -> Result<usize> {
    let (end, mut heard) = (Instant::now() + span, 0);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let Ok(packet) = tokio::time::timeout(left, ear.next()).await else { break };
        let Packet::Publish { payload, .. } = packet? else { continue };
        let body: Value = serde_json::from_slice(&payload).unwrap_or_default();
        if let Some(at_us) = body["data"]["at_us"].as_u64().or(body["value"].as_u64()) {
            samples.push(Duration::from_micros(now_us().saturating_sub(at_us)));
            heard += 1;
        }
    }
    Ok(heard)
}

/// Processor time that a process has used, in seconds; /proc counts hundredths.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the device is gone")?;
    let fields: Vec<&str> = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("/proc does not tell the processor time")?;
    Ok((user + system) / 100.0)
}
