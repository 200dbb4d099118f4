//! Publishers that write down what was acknowledged, and the comparison with what is there afterwards.

use crate::api::Api;
use crate::load::{device_id, event, event_topic, on_one_thread};
use crate::wire::{Packet, Road, Wire};
use anyhow::{Context, Result};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Numbered events on their way; publisher after publisher, the numbers that were acknowledged.
pub struct Ledger {
    thread: JoinHandle<Result<Vec<Acked>>>,
    stop: Arc<AtomicBool>,
}

/// The numbers of one publisher that were acknowledged, and when.
pub type Acked = Vec<(u64, Instant)>;

impl Ledger {
    /// Starts so many publishers; they go on until the server is gone.
    pub fn open(addr: SocketAddr, publishers: usize, in_flight: usize) -> Self {
        Self::open_paced(addr, publishers, in_flight, Duration::ZERO)
    }

    /// The same, with a rest after each batch; they also go on until [`Ledger::stop`].
    pub fn open_paced(addr: SocketAddr, publishers: usize, in_flight: usize, pace: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let thread = std::thread::spawn(move || {
            on_one_thread(async move {
                let mut wires = Vec::new();
                for number in 0..publishers {
                    wires.push(Wire::connect(addr, Road::Tcp, &format!("numbers-{number}")).await.context("a publisher cannot connect")?);
                }
                let tasks: Vec<_> =
                    wires.into_iter().enumerate().map(|(number, wire)| tokio::spawn(count(wire, number, in_flight, pace, until.clone()))).collect();
                let mut acked = Vec::new();
                for task in tasks {
                    acked.push(task.await?);
                }
                Ok(acked)
            })
        });
        Self { thread, stop }
    }

    /// Publishes nothing more; what is in flight is still waited for.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Once the server is gone: what it had acknowledged.
    pub fn close(self) -> Result<Vec<Vec<u64>>> {
        let numbers = |acked: Acked| acked.into_iter().map(|(n, _)| n).collect();
        Ok(self.close_with_instants()?.into_iter().map(numbers).collect())
    }

    /// The same, with the instant of each acknowledgement.
    pub fn close_with_instants(self) -> Result<Vec<Acked>> {
        self.thread.join().map_err(|_| anyhow::anyhow!("the publishers stopped"))?
    }
}

/// Publishes 0, 1, 2, … and returns what was acknowledged when the connection breaks.
async fn count(mut wire: Wire, number: usize, in_flight: usize, pace: Duration, stop: Arc<AtomicBool>) -> Acked {
    let topic = event_topic(number);
    let (mut acked, mut next, mut waiting) = (Vec::new(), 0u64, 0usize);
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        if stopping && waiting == 0 {
            return acked;
        }
        while waiting < in_flight && !stopping {
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
                acked.push((next - 1 - behind, Instant::now()));
            }
            packet = wire.ready().unwrap_or_default();
        }
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
    }
}

/// The numbers acknowledged until an instant, and how many were acknowledged after it.
pub fn split(acked: &[Acked], until: Option<Instant>) -> (Vec<Vec<u64>>, u64) {
    let early = |at: &Instant| until.is_none_or(|until| *at <= until);
    let kept: Vec<Vec<u64>> = acked.iter().map(|acked| acked.iter().filter(|(_, at)| early(at)).map(|(n, _)| *n).collect()).collect();
    let all: usize = acked.iter().map(Vec::len).sum();
    let count: usize = kept.iter().map(Vec::len).sum();
    (kept, (all - count) as u64)
}

/// How many were acknowledged, how many of these the server does not have, and how many events it has more than once.
pub fn compare_each(api: &Api, acked: &[Vec<u64>]) -> Result<(u64, u64, u64)> {
    let mut twice = 0;
    for number in 0..acked.len() {
        let mut seen = HashSet::new();
        // A device of which nothing arrived is not known, which `compare` counts.
        let _ = api.each(&format!("/devices/home/bench/{}/events", device_id(number)), |event| {
            twice += event["data"]["n"].as_u64().map_or(0, |n| u64::from(!seen.insert(n)));
        });
    }
    let (total, lost) = compare(api, acked).unwrap_or((acked.iter().map(|acked| acked.len() as u64).sum(), u64::MAX));
    Ok((total, lost, twice))
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
