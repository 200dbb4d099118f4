//! Commands that run until they are stopped.

use super::say::say;
use crate::config::{Config, Flags};
use crate::demo::{self, HomeFlags};
use crate::serve;
use anyhow::{Context, Result};
use serde_json::json;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;

pub fn log() {
    let filter = EnvFilter::try_from_env("TALKWIRE_LOG").unwrap_or_else(|_| EnvFilter::new("warn,talkwire=info,mqtt5=error"));
    // A second call in one process keeps the first subscriber.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).try_init();
}

pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime cannot be started")
}

fn announce(running: &serve::Running, flags: &Flags) -> Result<()> {
    if let Some(path) = &flags.ready_file {
        serve::write_ready(path, running)?;
    }
    if flags.json {
        say!("{}", running.ready());
        return Ok(());
    }
    for (kind, addr) in &running.listeners {
        let what = match kind.as_str() {
            "http" => "console and API  http://",
            "mqtt" => "MQTT             mqtt://",
            _ => "MQTT (WebSocket) ws://",
        };
        say!("  {what}{addr}");
    }
    Ok(())
}

pub fn serve(flags: &Flags) -> Result<()> {
    log();
    let config = Config::load(flags)?;
    runtime()?.block_on(async {
        let running = serve::start(&config).await?;
        if !flags.json {
            say!("Talkwire {} is ready", env!("CARGO_PKG_VERSION"));
        }
        announce(&running, flags)?;
        serve::until_stopped().await?;
        running.stop().await;
        Ok(())
    })
}

pub fn demo(flags: &Flags, home: &HomeFlags, file: Option<&Path>, no_open: bool) -> Result<()> {
    log();
    let config = Config::load(flags)?;
    runtime()?.block_on(async {
        let (running, connected) = demo::start(&config, home, file).await?;
        let day_s = connected.day_s();
        if !flags.json {
            say!("Talkwire {} with a simulated home; it is {:02}:{:02} there, {} times as fast", env!("CARGO_PKG_VERSION"), (day_s / 3600.0) as u32, (day_s / 60.0) as u32 % 60, home.speed);
        }
        announce(&running, flags)?;
        if let Some(addr) = running.address("http").filter(|_| !flags.json) {
            let url = format!("http://{addr}");
            say!("\nOpen {url} and type: 家裡 WiFi 很慢，尤其是晚上\nor in a second terminal: talkwire ask \"my wifi is slow in the evening\" --server {url} --data {}\nCtrl-C stops it.", config.data.display());
            if !no_open {
                demo::open_browser(&url);
            }
        }
        serve::until_stopped().await?;
        connected.shutdown().await;
        running.stop().await;
        Ok(())
    })
}

pub fn home(file: &Path, broker: SocketAddr, data: PathBuf, flags: &HomeFlags) -> Result<()> {
    log();
    let house = flags.house(Some(file))?;
    runtime()?.block_on(async {
        let count = house.devices().len();
        let connected = flags.connect(house, broker, data).await?;
        say!("{count} devices of {} connect to {broker}; Ctrl-C stops them", file.display());
        serve::until_stopped().await?;
        connected.shutdown().await;
        Ok(())
    })
}

pub fn check_home(file: &Path, as_json: bool) -> Result<()> {
    let flags = HomeFlags { seed: 1, speed: demo::SPEED, at: None };
    let house = flags.house(Some(file))?;
    let devices = house.devices();
    if as_json {
        let list: Vec<_> =
            devices.iter().map(|card| json!({"device_id": card.device_id, "name": card.name, "device_type": card.device_type, "room": card.room})).collect();
        say!("{}", json!({"valid": true, "devices": list}));
    } else {
        say!("{} is a valid home with {} devices:", file.display(), devices.len());
        for card in devices {
            say!("  {}  {:<16} {:<14} {}", card.device_id, card.name, card.device_type, card.room);
        }
    }
    Ok(())
}
