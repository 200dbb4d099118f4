//! What a server needs when nothing happens, and what a connection that says nothing adds.

use super::server_core;
use crate::load::on_one_thread;
use crate::machine::Folder;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::wire::{Road, Wire};
use anyhow::Result;
use std::time::Duration;

const CONNECTIONS: usize = 2_000;

/// Measures.
pub fn measure(_span: Duration) -> Result<Report> {
    let folder = Folder::new("memory")?;
    let server = Server::start(&folder, server_core())?;
    // The mind gets ready beside the start; what it keeps belongs to the idle server.
    std::thread::sleep(Duration::from_secs(2));
    let (idle, _) = server.memory_kib()?;
    let with = on_one_thread(async {
        let mut wires = Vec::with_capacity(CONNECTIONS);
        for number in 0..CONNECTIONS {
            wires.push(Wire::connect(server.ports.mqtt, Road::Tcp, &format!("idle-{number}")).await?);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(server.memory_kib()?.0)
    })?;
    let mut report = Report::new("memory");
    report.line("idle after the start", "idle_mib", "MiB", idle as f64 / 1_024.0, None, Goal::AtMost(40.0));
    report.line(
        format!("per idle connection, of {CONNECTIONS}"),
        "per_connection_kib",
        "KiB",
        with.saturating_sub(idle) as f64 / CONNECTIONS as f64,
        None,
        Goal::AtMost(8.0),
    );
    report.note("resident memory as the kernel tells it; a connection is an MQTT client over TCP without subscriptions");
    Ok(report)
}
