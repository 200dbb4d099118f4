//! A load of publishers that wait for PUBACK, and what they saw.

use crate::sample::Samples;
use crate::wire::{Packet, Road, Wire};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Who publishes what.
#[derive(Clone)]
pub struct Load {
    /// The broker.
    pub addr: SocketAddr,
    /// How many publishers.
    pub publishers: usize,
    /// How many messages of each wait for PUBACK at a time.
    pub in_flight: usize,
    /// How long they publish.
    pub span: Duration,
    /// The topic of a publisher.
    pub topic: fn(usize) -> String,
    /// The payload: of which publisher, which number.
    pub payload: fn(usize, u64) -> String,
}

/// What became of a load.
#[derive(Debug, Default)]
pub struct Seen {
    /// Messages acknowledged.
    pub acked: u64,
    /// From the first publish until the last PUBACK, of the slowest publisher.
    pub took: Duration,
    /// From the write of each message to its PUBACK.
    pub latency: Samples,
}

impl Seen {
    /// Messages per second.
    pub fn rate(&self) -> f64 {
        if self.took.is_zero() { 0.0 } else { self.acked as f64 / self.took.as_secs_f64() }
    }
}

/// Runs a future on a thread of its own kind: one, so that a load stays on its core.
pub fn on_one_thread<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime cannot be started")?.block_on(future)
}

/// Publishes until the time is over and everything is acknowledged.
pub fn run(load: &Load) -> Result<Seen> {
    on_one_thread(async {
        let mut wires = Vec::new();
        for number in 0..load.publishers {
            wires.push(Wire::connect(load.addr, Road::Tcp, &format!("load-{}-{number}", std::process::id())).await.context("a publisher cannot connect")?);
        }
        let load = Arc::new(load.clone());
        let began = Instant::now();
        let tasks: Vec<_> = wires.into_iter().enumerate().map(|(number, wire)| tokio::spawn(publisher(load.clone(), number, wire, began))).collect();
        let mut seen = Seen::default();
        for task in tasks {
            let one = task.await??;
            seen.acked += one.acked;
            seen.took = seen.took.max(one.took);
            seen.latency.extend(one.latency);
        }
        Ok(seen)
    })
}

async fn publisher(load: Arc<Load>, number: usize, mut wire: Wire, began: Instant) -> Result<Seen> {
    let topic = (load.topic)(number);
    let mut seen = Seen::default();
    let mut waiting: HashMap<u16, Instant> = HashMap::with_capacity(load.in_flight);
    let (mut id, mut count) = (0u16, 0u64);
    loop {
        while waiting.len() < load.in_flight && began.elapsed() < load.span {
            id = id.checked_add(1).unwrap_or(1);
            wire.publish(&topic, (load.payload)(number, count).as_bytes(), id, false);
            waiting.insert(id, Instant::now());
            count += 1;
        }
        if waiting.is_empty() {
            seen.took = began.elapsed();
            return Ok(seen);
        }
        wire.flush().await?;
        let mut packet = Some(tokio::time::timeout(Duration::from_secs(30), wire.next()).await.context("no PUBACK came in 30 s")??);
        while let Some(one) = packet {
            if let Packet::Puback(id) = one
                && let Some(sent) = waiting.remove(&id)
            {
                seen.acked += 1;
                seen.latency.push(sent.elapsed());
            }
            packet = wire.ready()?;
        }
    }
}

/// An event of a device, as the integration guide prints one.
pub fn event(number: usize, count: u64) -> String {
    format!(
        r#"{{"schema":"evt.bench.tick/1.0","ts":{},"device_id":"{}","event_type":"bench.tick","severity":"info","data":{{"n":{count},"interface":"eth0","status":"up"}}}}"#,
        now_ms(),
        device_id(number)
    )
}

/// Topic of [`event`].
pub fn event_topic(number: usize) -> String {
    format!("rtk/v1/home/bench/{}/evt/bench.tick", device_id(number))
}

/// A sample of a device, of the moment.
pub fn telemetry(_number: usize, count: u64) -> String {
    format!(r#"{{"schema":"telemetry.cpu_usage/1.0","ts":{},"value":{},"unit":"%"}}"#, now_ms(), count % 100)
}

/// Topic of [`telemetry`].
pub fn telemetry_topic(number: usize) -> String {
    format!("rtk/v1/home/bench/{}/telemetry/cpu_usage", device_id(number))
}

/// The id of a simulated device.
pub fn device_id(number: usize) -> String {
    format!("0200be{number:06x}")
}

/// Unix milliseconds.
pub fn now_ms() -> i64 {
    let passed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    passed.as_millis() as i64
}
