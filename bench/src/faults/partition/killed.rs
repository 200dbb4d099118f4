//! Clients of a server that is killed, and that never come back: after its restart they are offline.

use super::victim::{presence, status};
use crate::faults::collector::Collector;
use crate::faults::row::Row;
use crate::load::{device_id, on_one_thread};
use crate::machine::Folder;
use crate::server::{Ports, Server};
use crate::wire::{Hello, Packet, Road, Wire};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);
/// Clients of one server.
const CLIENTS: u64 = 50;

/// So many clients, on as many servers as that takes, each killed once.
pub fn run(count: u64) -> Result<Row> {
    let mut row = Row::new("R13", "server, killed under its clients, which never come back");
    let (mut left, mut kills) = (count, 0u64);
    while left > 0 {
        let clients = left.min(CLIENTS);
        left -= clients;
        kills += 1;
        match kill(clients) {
            Ok(wrong) => {
                row.trials += clients;
                row.failed += wrong.len() as u64;
                wrong.iter().for_each(|wrong| eprintln!("  FAILED: {wrong}"));
            }
            Err(error) => {
                row.not_judged += clients;
                eprintln!("  FAILED, not judged: {error:#}");
            }
        }
    }
    Ok(row.figure("kills", kills))
}

fn kill(clients: u64) -> Result<Vec<String>> {
    let folder = Folder::new("killed")?;
    let ports = Ports::free()?;
    let mut server = Server::start_at(&folder, None, ports, &["serve"])?;
    let ids: Vec<String> = (0..usize::try_from(clients)?).map(device_id).collect();
    on_one_thread(async {
        let mut wires = Vec::new();
        for id in &ids {
            let (topic, offline) = (format!("rtk/v1/home/bench/{id}/lwt"), presence("offline"));
            let hello = Hello { client_id: id, keep_alive_s: 60, will: Some((&topic, &offline)), ..Hello::default() };
            let mut wire = Wire::greet(ports.mqtt, Road::Tcp, &hello).await?;
            wire.publish(&topic, presence("online").as_bytes(), 1, true);
            wire.flush().await?;
            while wire.next().await? != Packet::Puback(1) {}
            wires.push(wire);
        }
        server.kill();
        Ok(())
    })
    .context("the clients could not connect")?;
    let server = Server::start_at(&folder, None, ports, &["serve"]).context("the server does not start after the kill")?;
    let late = Collector::open(ports.mqtt, "late", "rtk/v1/home/bench/+/lwt")?;
    late.wait_for(WITHIN, |heard| (heard.len() as u64 >= clients).then_some(()));
    let kept: HashMap<String, String> = late.look(|heard| heard.iter().map(|heard| (heard.topic.clone(), status(heard))).collect());
    let api = server.api()?;
    let mut wrong = Vec::new();
    for id in &ids {
        let told = kept.get(&format!("rtk/v1/home/bench/{id}/lwt")).map(String::as_str);
        let shown = api.get(&format!("/devices/home/bench/{id}"))?["online"].clone();
        if told != Some("offline") || shown != false {
            wrong.push(format!("{id}: its kept presence says {told:?}, and the server shows it as online: {shown}"));
        }
    }
    Ok(wrong)
}
