//! From the start of the process until `/readyz` says yes.

use super::{ROUNDS, server_core};
use crate::load::{Load, run, telemetry_topic};
use crate::machine::Folder;
use crate::report::{Goal, Report};
use crate::sample::median;
use crate::server::Server;
use anyhow::Result;
use std::fmt::Write;
use std::time::Duration;

const ROWS: u64 = 1_000_000;
/// Figures in one message when the rows are made: one row each.
const FIGURES: u64 = 50;
const DEVICES: usize = 100;

/// Measures.
pub fn measure(_span: Duration) -> Result<Report> {
    let mut empty = Vec::new();
    for _ in 0..ROUNDS * 2 - 1 {
        let folder = Folder::new("start")?;
        empty.push(Server::start(&folder, server_core())?.ready_after.as_secs_f64() * 1_000.0);
    }
    let folder = Folder::new("start")?;
    let mut rows = 0;
    {
        let server = Server::start(&folder, server_core())?;
        while rows < ROWS {
            let load = Load { addr: server.ports.mqtt, publishers: DEVICES, in_flight: 8, span: Duration::from_secs(2), topic: telemetry_topic, payload: many };
            rows += run(&load)?.acked * FIGURES;
        }
    }
    let mut full = Vec::new();
    for _ in 0..ROUNDS {
        full.push(Server::start(&folder, server_core())?.ready_after.as_secs_f64() * 1_000.0);
    }
    let mut report = Report::new("start");
    report.line("empty data folder", "empty_ms", "ms", median(&empty), None, Goal::AtMost(300.0));
    report.line(format!("{:.1} M rows of telemetry, after kill -9", rows as f64 / 1e6), "rows_1m_ms", "ms", median(&full), None, Goal::AtMost(2_000.0));
    report.note("from the start of the process until GET /readyz answers 200, asked every millisecond");
    Ok(report)
}

fn many(_number: usize, count: u64) -> String {
    let mut text = format!(r#"{{"schema":"telemetry.cpu_usage/1.0","ts":{}"#, crate::load::now_ms());
    for figure in 0..FIGURES {
        // Writing to a text cannot fail.
        let _ = write!(text, r#","core_{figure}":{}"#, (count + figure) % 100);
    }
    text + "}"
}
