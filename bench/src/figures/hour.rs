//! Whether a device's memory stays flat: an hour's messages at 100 a second, sent faster, and what the process holds at each tenth.

use super::device::{cpu_seconds, ours, theirs};
use crate::load::on_one_thread;
use crate::machine::{Folder, memory_kib};
use crate::peer::Mosquitto;
use crate::report::{Goal, Report};
use crate::server::{Process, Server};
use crate::wire::{Packet, Road, Wire};
use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// An hour at 100 a second.
const MESSAGES: usize = 360_000;
/// How fast they are sent, and what the rate limiter lets through.
const PER_SECOND: u32 = 1_000;
const TENTHS: usize = 10;
/// The rate limiter remembers a minute; only then everything that fills has filled.
const WARM: Duration = Duration::from_secs(65);
/// A device that is silent for so long has stopped.
const SILENCE: Duration = Duration::from_secs(30);

/// What one device did.
struct Round {
    /// Memory in KiB at the start and after each tenth.
    rss_kib: Vec<f64>,
    per_second: f64,
    cpu_percent: f64,
}

impl Round {
    /// The straight line that fits best, in KiB per hour's messages.
    fn slope(&self) -> f64 {
        let count = self.rss_kib.len() as f64;
        let middle = (count - 1.0) / 2.0;
        let mean = self.rss_kib.iter().sum::<f64>() / count;
        let at = |place: usize| place as f64 - middle;
        let (over, under) =
            self.rss_kib.iter().enumerate().fold((0.0, 0.0), |(over, under), (place, rss)| (over + at(place) * (rss - mean), under + at(place).powi(2)));
        over / under * TENTHS as f64
    }

    fn second_half(&self) -> f64 {
        let [middle, last] = [TENTHS / 2, TENTHS].map(|place| self.rss_kib.get(place).copied().unwrap_or_default());
        last - middle
    }

    fn tenths(&self) -> String {
        self.rss_kib.iter().map(|kib| format!("{:.1}", kib / 1_024.0)).collect::<Vec<_>>().join(" ")
    }
}

/// Measures.
pub fn measure(_span: Duration) -> Result<Report> {
    let folder = Folder::new("hour")?;
    let mosquitto = Mosquitto::start(None)?;
    let server = if mosquitto.is_none() { Some(Server::start(&folder, None)?) } else { None };
    let addr = mosquitto.as_ref().map(|broker| broker.addr).or(server.as_ref().map(|server| server.ports.mqtt)).context("a broker")?;
    let ours = watch("ours", addr, ours(addr, &folder, PER_SECOND, true)?, &folder.path().join("ours.log"))?;
    let theirs = theirs(addr, &folder, PER_SECOND)?.and_then(|command| {
        let round = watch("python device", addr, command, &folder.path().join("theirs.log"));
        round.inspect_err(|why| eprintln!("the Python device could not be measured: {why:#}")).ok()
    });
    let mut report = Report::new("hour");
    let other = |field: fn(&Round) -> f64| theirs.as_ref().map(field);
    report.line("memory, slope over the hour", "slope_kib", "KiB", ours.slope(), other(Round::slope), Goal::AtMost(1_024.0));
    report.line("memory, growth in its second half", "second_half_kib", "KiB", ours.second_half(), other(Round::second_half), Goal::AtMost(512.0));
    report.line("delivered", "msg_per_s", "msg/s", ours.per_second, other(|round| round.per_second), Goal::None);
    report.line("processor", "cpu_percent", "% of a core", ours.cpu_percent, other(|round| round.cpu_percent), Goal::None);
    report.note(format!("resident MiB at the start and after each tenth: ours {}", ours.tenths()));
    if let Some(theirs) = &theirs {
        report.peer = Some("python device".into());
        report.note(format!("the same: python device {}", theirs.tenths()));
    }
    report.note(format!(
        "{MESSAGES} messages, an hour at 100 a second, sent at {PER_SECOND} a second after {} s; half events through outbox and rate limiter, half telemetry; ours is limited to this rate",
        WARM.as_secs()
    ));
    Ok(report)
}

fn watch(who: &str, addr: SocketAddr, command: Command, log: &Path) -> Result<Round> {
    on_one_thread(async {
        let mut ear = Wire::connect(addr, Road::Tcp, "ear").await?;
        ear.subscribe("rtk/v1/home/bench/player-1/#", 0).await?;
        let device = Process::start(command, log)?;
        let warm = Instant::now() + WARM;
        while Instant::now() < warm {
            hear(&mut ear, 100).await.with_context(|| format!("see {}", log.display()))?;
        }
        let rss = || memory_kib(device.id()).map(|(now, _)| now as f64);
        let (mut rss_kib, cpu, began) = (vec![rss()?], cpu_seconds(device.id())?, Instant::now());
        for _ in 0..TENTHS {
            hear(&mut ear, MESSAGES / TENTHS).await?;
            rss_kib.push(rss()?);
            let (count, mib) = ((rss_kib.len() - 1) * MESSAGES / TENTHS, rss_kib.last().copied().unwrap_or_default() / 1_024.0);
            eprintln!("{who}: {mib:.2} MiB after {count} messages, {:.0} s", began.elapsed().as_secs_f64());
        }
        let took = began.elapsed().as_secs_f64();
        let used = cpu_seconds(device.id())? - cpu;
        ensure!(rss_kib.iter().all(|kib| *kib > 0.0), "the device is gone; see {}", log.display());
        Ok(Round { rss_kib, per_second: MESSAGES as f64 / took, cpu_percent: used / took * 100.0 })
    })
}

/// Hears so many messages.
async fn hear(ear: &mut Wire, count: usize) -> Result<()> {
    let mut heard = 0;
    while heard < count {
        match tokio::time::timeout(SILENCE, ear.next()).await {
            Ok(packet) => heard += usize::from(matches!(packet?, Packet::Publish { .. })),
            Err(_) => bail!("the device fell silent"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_a_line_is_its_slope_and_noise_has_none() {
        let round = |rss_kib: Vec<f64>| Round { rss_kib, per_second: 0.0, cpu_percent: 0.0 };
        let leak = round((0..=TENTHS).map(|tenth| 20_000.0 + 300.0 * tenth as f64).collect());
        assert!((leak.slope() - 3_000.0).abs() < 1e-6 && (leak.second_half() - 1_500.0).abs() < 1e-6);
        assert!(round([10.0, 12.0, 10.0, 12.0, 10.0, 12.0, 10.0, 12.0, 10.0, 12.0, 10.0].to_vec()).slope().abs() < 1e-6);
    }
}
