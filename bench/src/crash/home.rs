//! A simulated home whose access point is changed, and what of the change is on the device's disk.

use crate::api::Api;
use crate::server::{Process, start_home, workspace};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const DEVICE: &str = "020000000002";
const INTERFACE: &str = "wlan0";
/// Channel of the access point in the home's file, and the one that is wanted.
pub const OLD: u64 = 6;
/// See [`OLD`].
pub const NEW: u64 = 1;
/// Simulated seconds per second: a change takes long enough that a kill can fall within it.
const SPEED: &str = "20";
/// Longer than any deadline of a set that lost a device.
const WITHIN: Duration = Duration::from_secs(90);

/// A home that can be killed and started again.
pub struct Home {
    process: Option<Process>,
    broker: SocketAddr,
    folder: PathBuf,
}

impl Home {
    /// Starts it with an empty memory.
    pub fn start(broker: SocketAddr, folder: &Path) -> Result<Self> {
        let mut home = Self { process: None, broker, folder: folder.to_owned() };
        home.restart()?;
        Ok(home)
    }

    /// Starts it with the memory that it has.
    pub fn restart(&mut self) -> Result<()> {
        let file = workspace().join("homes/evening.toml");
        self.process = Some(start_home(&file, self.broker, &self.data(), &self.folder.join("home.log"), &["--speed", SPEED])?);
        Ok(())
    }

    /// kill -9: a power cut of the whole home.
    pub fn kill(&mut self) {
        self.process = None;
    }

    fn data(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// The channel on the device's disk; the home file's when it never kept another.
    pub fn kept_channel(&self) -> Result<u64> {
        let path = self.data().join(DEVICE).join("configuration.json");
        let Ok(bytes) = std::fs::read(&path) else { return Ok(OLD) };
        let kept: Value = serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))?;
        Ok(kept[format!("wifi.set_channel@{INTERFACE}")]["channel"].as_u64().unwrap_or(OLD))
    }

    /// How often the device applied something, and how often it put something back.
    pub fn deeds(&self) -> (u64, u64) {
        let text = std::fs::read_to_string(self.data().join(DEVICE).join("deeds.log")).unwrap_or_default();
        let count = |deed: &str| text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|line| line["deed"] == deed).count() as u64;
        (count("applied"), count("restored"))
    }
}

/// Waits until the access point can be changed.
pub fn wait_for_device(api: &Api) -> Result<()> {
    api.wait_for(&format!("/devices/home/living/{DEVICE}"), WITHIN, |device| {
        let offers = device["capabilities"].as_array().is_some_and(|ops| ops.iter().any(|op| op == "wifi.set_channel"));
        (offers && device["online"] == true).then_some(())
    })
}

/// Puts the change of channel forward: its id, and the hash of its plan.
pub fn propose(api: &Api) -> Result<(String, String)> {
    let operation =
        json!({"tenant": "home", "site": "living", "device_id": DEVICE, "op": "wifi.set_channel", "args": {"interface": INTERFACE, "channel": NEW}});
    let set = api.post("/changesets", &json!({"reason": "crash trial", "operations": [operation]}))?;
    let text = |name: &str| set[name].as_str().map(str::to_owned).with_context(|| format!("a proposed set has no {name}"));
    Ok((text("changeset_id")?, text("plan_hash")?))
}

/// A person says yes.
pub fn approve(api: &Api, (id, plan_hash): &(String, String)) -> Result<()> {
    api.post(&format!("/changesets/{id}/approve"), &json!({"plan_hash": plan_hash})).map(drop)
}

/// Waits until the set is over, or has never been approved; its status.
pub fn wait_for_end(api: &Api, id: &str) -> Result<String> {
    api.wait_for(&format!("/changesets/{id}"), WITHIN, |set| {
        let status = set["status"].as_str()?;
        matches!(status, "committed" | "rolled_back" | "proposed" | "rejected" | "expired").then(|| status.to_owned())
    })
}

/// The channel that the device itself tells, asked through the server.
pub fn told_channel(api: &Api) -> Result<u64> {
    let body = json!({"tenant": "home", "site": "living", "device_id": DEVICE, "op": "wifi.get_environment", "args": {}, "timeout_ms": 8_000});
    let began = Instant::now();
    loop {
        let problem = match api.post("/commands?wait=true", &body) {
            Ok(command) if command["status"] == "completed" => {
                let radios = command["result"]["radios"].as_array().cloned().unwrap_or_default();
                let radio = radios.iter().find(|radio| radio["interface"] == INTERFACE);
                return radio.and_then(|radio| radio["channel"].as_u64()).with_context(|| format!("the device tells no channel: {}", command["result"]));
            }
            Ok(command) => format!("the command ended as {}", command["status"]),
            Err(error) => format!("{error:#}"),
        };
        if began.elapsed() > WITHIN {
            bail!("the device does not tell its channel: {problem}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
