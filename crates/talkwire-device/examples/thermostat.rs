//! A thermostat: one tool that reads the temperature, one that changes the target, which lives in a file.
//!
//! `cargo run -p talkwire-device --example thermostat -- 127.0.0.1:1883 ./thermostat-data`

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use talkwire_device::{Act, Applied, Args, Broker, Device, DeviceConfig, ToolError, ToolSupport, tool_fn};

struct SetTarget(PathBuf);

fn read(file: &Path) -> Value {
    std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(json!({"target_c": 20.0}))
}

fn write(file: &Path, section: &Value) -> Result<Value, ToolError> {
    let beside = file.with_extension("new");
    let written = std::fs::write(&beside, section.to_string()).and_then(|()| std::fs::rename(&beside, file));
    written.map_err(|error| ToolError::failed(format!("the setting was not written: {error}")))?;
    Ok(read(file))
}

impl Act for SetTarget {
    fn op(&self) -> &str {
        "thermostat.set_target"
    }
    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        let target = args.get("target_c").and_then(Value::as_f64).filter(|target| (5.0..=30.0).contains(target));
        target.map(|target| json!({"target_c": target})).ok_or_else(|| ToolError::invalid_args("args.target_c must be 5 to 30 (°C)"))
    }
    async fn capture(&self, _: &Args) -> Result<Value, ToolError> {
        Ok(read(&self.0))
    }
    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        write(&self.0, &self.check(args).await?).map(Applied::section)
    }
    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        write(&self.0, previous)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let broker = words.next().unwrap_or("127.0.0.1:1883".into());
    let (host, port) = broker.rsplit_once(':').ok_or("the broker must look like 127.0.0.1:1883")?;
    let folder = PathBuf::from(words.next().unwrap_or("thermostat-data".into()));
    let config = DeviceConfig::new("demo/home/thermostat-1".parse()?, "thermostat", Broker::open(host, port.parse()?));
    let read_temperature = tool_fn("thermostat.read", ToolSupport::plain(), |_call| async { Ok(json!({"temperature_c": 21.5})) });
    let device = Device::builder(DeviceConfig { data_dir: folder.clone(), ..config }).tool(read_temperature).act(SetTarget(folder.join("settings.json")));
    let device = device.start().await?;
    device.online().await;
    device.telemetry("temperature", 21.5, "celsius");
    tokio::signal::ctrl_c().await?;
    device.shutdown().await;
    Ok(())
}
