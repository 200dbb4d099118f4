//! Publishers that write down what was acknowledged, and the comparison with what is there afterwards.

use crate::api::Api;
use crate::load::{device_id, event, event_topic, on_one_thread};
use crate::wire::{Packet, Road, Wire};
use anyhow::{Context, Result};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::thread::JoinHandle;

/// Numbered events on their way; publisher after publisher, the numbers that were acknowledged.
pub struct Ledger {
    thread: JoinHandle<Result<Vec<Vec<u64>>>>,
}

impl Ledger {
    /// Starts so many publishers; they go on until the server is gone.
    pub fn open(addr: SocketAddr, publishers: usize, in_flight: usize) -> Self {
        let thread = std::thread::spawn(move || {
            on_one_thread(async move {
                let mut wires = Vec::new();
                for number in 0..publishers {
                    wires.push(Wire::connect(addr, Road::Tcp, &format!("numbers-{number}")).await.context("a publisher cannot connect")?);
                }
                let tasks: Vec<_> = wires.into_iter().enumerate().map(|(number, wire)| tokio::spawn(count(wire, number, in_flight))).collect();
                let mut acked = Vec::new();
                for task in tasks {
                    acked.push(task.await?);
                }
                Ok(acked)
            })
        });
        Self { thread }
    }

    /// Once the server is gone: what it had acknowledged.
    pub fn close(self) -> Result<Vec<Vec<u64>>> {
        self.thread.join().map_err(|_| anyhow::anyhow!("the publishers stopped"))?
    }
}

/// Publishes 0, 1, 2, … and returns what was acknowledged when the connection breaks.
async fn count(mut wire: Wire, number: usize, in_flight: usize) -> Vec<u64> {
    let topic = event_topic(number);
    let (mut acked, mut next, mut waiting) = (Vec::new(), 0u64, 0usize);
    loop {
        while waiting < in_flight {
            // Packet ids follow the numbers; at most `in_flight` are open, so none stands for two.
            wire.publish(&topic, event(number, next).as_bytes(), (next % 65_535) as u16 + 1, false);
            next += 1;
            waiting += 1;
        }
        // What was acknowledged before the connection broke still waits to be read, so a failed write does not end it.
        let _ = wire.flush().await;
        let Ok(mut packet) = wire.next().await.map(Some) else { return acked };
        while let Some(one) = packet {
            if let Packet::Puback(id) = one {
                waiting -= 1;
                let behind = (next.wrapping_sub(1) % 65_535 + 65_535 - (u64::from(id) - 1)) % 65_535;
                acked.push(next - 1 - behind);
            }
            packet = wire.ready().unwrap_or_default();
        }
    }
}

/// How many were acknowledged, and how many of these the server does not have.
pub fn compare(api: &Api, acked: &[Vec<u64>]) -> Result<(u64, u64)> {
    let (mut total, mut lost) = (0, 0);
    for (number, acked) in acked.iter().enumerate() {
        let mut kept = HashSet::new();
        if !acked.is_empty() {
            api.each(&format!("/devices/home/bench/{}/events", device_id(number)), |event| {
                kept.extend(event["data"]["n"].as_u64());
            })?;
        }
        total += acked.len() as u64;
        lost += acked.iter().filter(|n| !kept.contains(n)).count() as u64;
    }
    Ok((total, lost))
}
