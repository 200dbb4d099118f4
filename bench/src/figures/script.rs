//! The peer of ingest: a short Python program between Mosquitto and SQLite.

use crate::machine::{Folder, on_core};
use crate::server::workspace;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("ingest.py");

/// A running script.
pub struct Script {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    _folder: Folder,
}

impl Script {
    /// Starts it and waits until it listens.
    pub fn start(python: &Path, port: u16, core: Option<u32>) -> Result<Self> {
        let folder = Folder::new("script")?;
        let file = folder.path().join("ingest.py");
        std::fs::write(&file, SCRIPT)?;
        let mut command = on_core(core, python);
        command.arg(&file).arg(port.to_string()).arg(folder.path().join("rows.db")).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("the script cannot be started")?;
        let out = child.stdout.take().context("the script's output is piped")?;
        let mut script = Self { child, said: BufReader::new(out).lines(), _folder: folder };
        match script.said.next() {
            Some(Ok(line)) if line == "ready" => Ok(script),
            _ => bail!("the script did not start"),
        }
    }

    /// Waits until nothing has come for two seconds; how many rows it stored, and in how many seconds.
    pub fn finish(mut self) -> Result<(f64, f64)> {
        let line = self.said.next().context("the script said nothing at its end")??;
        let told: Value = serde_json::from_str(&line).context("the script's last line is JSON")?;
        Ok((told["rows"].as_f64().unwrap_or(0.0), told["took_s"].as_f64().unwrap_or(0.0)))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python with paho-mqtt 1.x in an environment of its own under `target/`, made at the first call.
pub fn python() -> Result<PathBuf> {
    let folder = workspace().join("target/python");
    let python = folder.join("bin/python");
    let has_library = |python: &Path| run(Command::new(python).args(["-c", "import paho.mqtt as m; assert m.__version__ < '2'"]));
    if !has_library(&python) {
        if !run(Command::new("python3").args(["-m", "venv"]).arg(&folder)) {
            bail!("python3 with venv is not installed");
        }
        if !run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--timeout", "30", "paho-mqtt<2"])) || !has_library(&python) {
            bail!("paho-mqtt cannot be installed");
        }
    }
    Ok(python)
}

fn run(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
