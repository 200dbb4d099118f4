//! The MQTT libraries with which the specification's own programs are run: paho-mqtt in a virtual environment, mqtt.js of the console.

use crate::process::{self, timed};
use crate::tree;
use anyhow::Result;
use std::path::PathBuf;

/// The specification's Python programs are written for paho-mqtt 1.x.
const PAHO: &str = "paho-mqtt<2";

/// The Python of an environment under `target/` with paho-mqtt, made when it is missing; `None` when there is no Python here.
pub fn python() -> Result<Option<PathBuf>> {
    let folder = tree::target().join("python");
    let python = folder.join("bin/python");
    let works = |path: &PathBuf| process::says(&path.to_string_lossy(), "--version").is_some();
    let has_paho = || process::quiet(process::command(&python.to_string_lossy()).args(["-c", "import paho.mqtt.client"])).is_ok();
    if works(&python) && has_paho() {
        return Ok(Some(python));
    }
    if process::says("python3", "--version").is_none() {
        return Ok(None);
    }
    timed("python: an environment with paho-mqtt", || {
        process::quiet(process::command("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        process::quiet(process::command(&python.to_string_lossy()).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PAHO]))
    })?;
    Ok(Some(python))
}

/// Where `require('mqtt')` finds mqtt.js: among the console's packages.
pub fn node_modules() -> PathBuf {
    tree::console().join("node_modules")
}
