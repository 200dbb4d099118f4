//! Sends numbered events, and says of each when it is kept. For tests that kill it.
//!
//! `cargo run -p talkwire-device --example counter -- 127.0.0.1:1883 ./counter-data 1 300`: events 1 to 300, then runs on.

use serde_json::json;
use std::path::PathBuf;
use talkwire_device::{Backoff, Broker, Device, DeviceConfig, Rates, Severity};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [broker, folder, from, to] = words.as_slice() else { return Err("usage: counter HOST:PORT FOLDER FROM TO".into()) };
    let (host, port) = broker.rsplit_once(':').ok_or("the broker must look like 127.0.0.1:1883")?;
    let config = DeviceConfig::new("demo/home/counter-1".parse()?, "counter", Broker::open(host, port.parse()?));
    let backoff = Backoff { min: std::time::Duration::from_millis(50), max: std::time::Duration::from_millis(500) };
    let config = DeviceConfig { data_dir: PathBuf::from(folder), rates: Rates::unlimited(), backoff, ..config };
    let device = Device::builder(config).start().await?;
    for n in from.parse::<u64>()?..=to.parse()? {
        device.event("count", Severity::Info, json!({"n": n, "padding": "x".repeat(100)}));
        device.kept().await;
        println!("{n} {}", device.counters()["outbox_errors"]);
    }
    std::future::pending::<()>().await;
    Ok(())
}
