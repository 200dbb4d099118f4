//! A device on the SDK with one setting in a file and numbered events: what the faults of disk and clock are tried on.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use talkwire_device::{Act, Applied, Args, Backoff, Broker, Device, DeviceConfig, Rates, Severity, StateReport, ToolError, ToolSupport, tool_fn};

/// The setting before anybody changed it.
pub const FIRST: u64 = 6;
/// Between two events.
const BEAT: Duration = Duration::from_millis(50);

/// The file of the setting.
pub fn section_file(folder: &Path) -> PathBuf {
    folder.join("section.json")
}

/// The setting on the disk.
pub fn kept(folder: &Path) -> Result<u64> {
    let path = section_file(folder);
    match fs::read(&path) {
        Ok(bytes) => {
            let section: Value = serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))?;
            section["channel"].as_u64().with_context(|| format!("{} has no channel", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(FIRST),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

struct SetChannel(PathBuf);

impl SetChannel {
    fn read(&self) -> Result<Value, ToolError> {
        let channel = kept(&self.0).map_err(|error| ToolError::failed(format!("{error:#}")))?;
        Ok(json!({"channel": channel}))
    }

    /// Beside, synced, renamed, folder synced: the old or the new setting is there, never half of one.
    fn write(&self, section: &Value) -> Result<Value, ToolError> {
        let (file, beside) = (section_file(&self.0), self.0.join("section.new"));
        let work = || {
            let mut new = File::create(&beside)?;
            new.write_all(section.to_string().as_bytes())?;
            new.sync_all()?;
            fs::rename(&beside, &file)?;
            File::open(&self.0)?.sync_all()
        };
        work().map_err(|error| ToolError::failed(format!("the setting was not written: {error}")))?;
        self.read()
    }
}

impl Act for SetChannel {
    fn op(&self) -> &str {
        "wifi.set_channel"
    }
    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        let channel = args.get("channel").and_then(Value::as_u64).filter(|channel| (1..=13).contains(channel));
        channel.map(|channel| json!({"channel": channel})).ok_or_else(|| ToolError::invalid_args("args.channel must be 1 to 13"))
    }
    async fn capture(&self, _: &Args) -> Result<Value, ToolError> {
        self.read()
    }
    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        self.write(&self.check(args).await?).map(Applied::section)
    }
    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        self.write(previous)
    }
}

/// Runs until it is killed. Of each event it prints `NUMBER ERRORS DROPPED` as soon as it is kept: its number, and the outbox's
/// errors and drops by then.
pub fn run(addr: SocketAddr, folder: &Path, id: &str) -> Result<()> {
    // One thread for the disk: what it does has an order, so that the n-th call is the same one again.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let config = DeviceConfig::new(format!("home/bench/{id}").parse()?, "keeper", Broker::open(addr.ip().to_string(), addr.port()));
        let config = DeviceConfig {
            data_dir: folder.to_owned(),
            rates: Rates::unlimited(),
            keep_alive: Duration::from_secs(5),
            state_period: Duration::from_secs(1),
            backoff: Backoff { min: Duration::from_millis(100), max: Duration::from_millis(500) },
            ..config
        };
        // Never answers: whoever asks must give up by itself.
        let hangs = tool_fn("system.get_logs", ToolSupport::plain(), |_call| async {
            std::future::pending::<()>().await;
            Ok(Value::Null)
        });
        let device = Device::builder(config).tool(hangs).act(SetChannel(folder.to_owned())).state(StateReport::default).start().await?;
        let mut beat = tokio::time::interval(BEAT);
        for n in 1u64.. {
            beat.tick().await;
            device.event("tick", Severity::Info, json!({"n": n}));
            device.telemetry("beat", n, "count");
            device.kept().await;
            let counters = device.counters();
            println!("{n} {} {}", counters["outbox_errors"], counters["outbox_dropped"]);
        }
        Ok(())
    })
}
