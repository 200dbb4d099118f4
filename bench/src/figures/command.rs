//! A tracked command: from the request at the API, to the device and back, until the result is stored.

use super::server_core;
use crate::api::Api;
use crate::load::device_id;
use crate::machine::Folder;
use crate::member::{Members, OP};
use crate::report::{Goal, Report};
use crate::sample::Samples;
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const DEVICES: usize = 1_000;
/// Commands per second.
const PACE: u32 = 100;
/// Requests that are open at once when commands are paced, and when all devices are asked.
const CLERKS: usize = 8;
const CROWD: usize = 32;

/// Measures.
pub fn measure(span: Duration) -> Result<Report> {
    let folder = Folder::new("command")?;
    let server = Server::start(&folder, server_core())?;
    let _members = Members::connect(server.ports.mqtt, DEVICES)?;
    let api = server.api()?;
    // Warm: every clerk has its connection, the tables have their pages.
    send(&api, DEVICES / 10, CROWD, None)?;
    let total = (PACE * u32::try_from(span.as_secs()).unwrap_or(60)) as usize;
    let (mut latency, _) = send(&api, total, CLERKS, Some(Duration::from_secs(1) / PACE))?;
    let mut fans = Vec::new();
    for _ in 0..3 {
        fans.push(send(&api, DEVICES, CROWD, None)?.1.as_secs_f64());
    }
    let mut report = Report::new("command");
    report.line(format!("{PACE}/s among {DEVICES} devices: p50"), "p50_ms", "ms", latency.quantile_ms(0.5), None, Goal::AtMost(12.0));
    report.line(format!("{PACE}/s among {DEVICES} devices: p99"), "p99_ms", "ms", latency.quantile_ms(0.99), None, Goal::AtMost(30.0));
    report.line(format!("one command to each of {DEVICES} devices"), "fan_out_s", "s", crate::sample::median(&fans), None, Goal::AtMost(1.5));
    report.note(format!("POST /api/v1/commands?wait=true of {OP}, {total} commands; an answer comes when the result is committed (two fsyncs: the command before it is sent, the result). Devices are MQTT clients that answer at once with ack and result"));
    Ok(report)
}

/// Sends `total` commands, one device after the other, by so many clerks; each waits for the result. Latency counts from when a command was due.
fn send(api: &Api, total: usize, clerks: usize, every: Option<Duration>) -> Result<(Samples, Duration)> {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let samples = std::thread::scope(|scope| {
        let clerk = || -> Result<Samples> {
            let (api, mut samples) = (api.clone(), Samples::default());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return Ok(samples);
                }
                let mut due = Instant::now();
                if let Some(every) = every {
                    due = began + every * u32::try_from(number).unwrap_or(u32::MAX);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                let body = json!({"tenant": "home", "site": "bench", "device_id": device_id(number % DEVICES), "op": OP, "args": {}});
                let ended = api.post("/commands?wait=true", &body)?;
                samples.push(due.elapsed());
                ensure!(ended["status"] == "completed", "a command ended as {}: {}", ended["status"], ended["error"]);
            }
        };
        let threads: Vec<_> = (0..clerks).map(|_| scope.spawn(clerk)).collect();
        let mut all = Samples::default();
        for thread in threads {
            all.extend(thread.join().ok().context("a clerk stopped")??);
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    Ok((samples, began.elapsed()))
}
