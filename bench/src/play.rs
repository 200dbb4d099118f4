//! A device on the SDK that talks steadily: what the figure `device` measures, in a process of its own.

use anyhow::Result;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use talkwire_device::{Broker, Device, DeviceConfig, Rates, Severity};

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

/// Unix microseconds.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros().try_into().unwrap_or(u64::MAX))
}
