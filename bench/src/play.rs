//! Devices on the SDK, each in a process of its own: one that the figure `device` measures, and one that counts, for the faults.

use anyhow::Result;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use talkwire_device::{Broker, Device, DeviceConfig, OutboxConfig, Rates, Severity};

/// Half of the messages are events through the outbox, half telemetry; each says when it was made. `limited`: the SDK's rate limiter
/// lets exactly this many through. Runs until it is killed.
pub fn device(addr: SocketAddr, folder: PathBuf, per_second: u32, limited: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let config = DeviceConfig::new("home/bench/player-1".parse()?, "player", Broker::open(addr.ip().to_string(), addr.port()));
        let each = per_second.saturating_mul(60) / 2;
        let rates = if limited { Rates { telemetry: each, events: each, ..Rates::unlimited() } } else { Rates::unlimited() };
        let device = Device::builder(DeviceConfig { data_dir: folder, rates, ..config }).start().await?;
        device.online().await;
        let mut beat = tokio::time::interval(Duration::from_secs(1) / per_second.max(1));
        for n in 0u64.. {
            beat.tick().await;
            let at_us = now_us();
            if n % 2 == 0 {
                device.event("bench", Severity::Info, json!({"at_us": at_us, "interface": "eth0", "status": "up"}));
            } else {
                device.telemetry("bench", at_us, "us");
            }
        }
        Ok(())
    })
}

/// How a counting device is.
#[derive(Debug, Clone, clap::Args)]
pub struct Numbers {
    /// The broker.
    addr: SocketAddr,
    /// Where it keeps its data. When a file `enough` is there, it says no further number.
    folder: PathBuf,
    /// Its device id, in `home/bench`.
    device_id: String,
    /// Milliseconds from one number to the next.
    #[arg(long)]
    every_ms: u64,
    /// How many messages its outbox holds.
    #[arg(long)]
    outbox: usize,
    /// Its keep-alive, in seconds.
    #[arg(long, default_value_t = 60)]
    keep_alive_s: u64,
    /// A sample of telemetry as often as this, in milliseconds; 0: none.
    #[arg(long, default_value_t = 0)]
    telemetry_ms: u64,
}

/// Says events with the numbers 1, 2, 3, … and prints after each: the number, how many messages wait, how many were dropped, and whether it is
/// online. When it is told that it is enough, it prints `last` and the last number, and lives on until it is killed.
pub fn numbers(how: Numbers) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let broker = Broker::open(how.addr.ip().to_string(), how.addr.port());
        let config = DeviceConfig::new(format!("home/bench/{}", how.device_id).parse()?, "player", broker);
        let outbox = OutboxConfig { max_messages: how.outbox, ..OutboxConfig::default() };
        let (keep_alive, enough) = (Duration::from_secs(how.keep_alive_s), how.folder.join("enough"));
        let config = DeviceConfig { data_dir: how.folder, rates: Rates::unlimited(), state_period: Duration::from_secs(1), outbox, keep_alive, ..config };
        let device = Device::builder(config).start().await?;
        if how.telemetry_ms > 0 {
            let device = device.device();
            tokio::spawn(async move {
                let mut beat = tokio::time::interval(Duration::from_millis(how.telemetry_ms));
                loop {
                    beat.tick().await;
                    device.telemetry("bench", 1, "");
                }
            });
        }
        let mut beat = tokio::time::interval(Duration::from_millis(how.every_ms.max(1)));
        let mut last = 0u64;
        while !enough.exists() {
            beat.tick().await;
            last += 1;
            device.event("count", Severity::Info, json!({"n": last}));
            device.kept().await;
            let counters = device.counters();
            println!("{last} {} {} {}", counters["outbox_waiting"], counters["outbox_dropped"], u8::from(device.is_online()));
        }
        println!("last {last}");
        std::future::pending::<()>().await;
        Ok(())
    })
}

/// Unix microseconds.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros().try_into().unwrap_or(u64::MAX))
}
