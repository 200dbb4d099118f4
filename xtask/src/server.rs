//! A `talkwire demo` of our own, on free ports and in a folder of its own, for tests and pictures.

use crate::tree;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// From the start to all doors open.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// From the signal to the end.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// A running demo; it stops when this is dropped.
pub struct Demo {
    child: Child,
    /// Where the console is.
    pub url: String,
}

impl Demo {
    /// Starts one and waits until everything accepts. Its log stays in `target/demo-NAME/log`.
    pub fn start(name: &str) -> Result<Self> {
        let folder = tree::target().join(format!("demo-{name}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let ready = folder.join("ready.json");
        let log = folder.join("log");
        let file = fs::File::create(&log)?;
        let any = "127.0.0.1:0";
        let mut command = Command::new(tree::binary());
        command.arg("demo").arg("--data").arg(folder.join("data")).args(["--http", any, "--mqtt", any, "--ws", any, "--no-open"]);
        command.arg("--ready-file").arg(&ready).current_dir(&folder).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {}", tree::binary().display()))?;
        let mut demo = Self { child, url: String::new() };
        demo.url = demo.wait(&ready, &log)?;
        Ok(demo)
    }

    fn wait(&mut self, ready: &Path, log: &PathBuf) -> Result<String> {
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            if let Some(address) = fs::read(ready).ok().and_then(|bytes| http_address(&bytes)) {
                return Ok(format!("http://{address}"));
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("talkwire demo ended at once ({status}):\n{}", fs::read_to_string(log).unwrap_or_default().trim_end());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("talkwire demo was not ready within {} s; its log is {}", READY_WITHIN.as_secs(), log.display())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let began = Instant::now();
        while began.elapsed() < STOP_WITHIN {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn http_address(ready: &[u8]) -> Option<String> {
    let said: Value = serde_json::from_slice(ready).ok()?;
    let listeners = said["listeners"].as_array()?;
    let http = listeners.iter().find(|listener| listener["kind"] == "http")?;
    http["address"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_console_is_read_from_the_ready_line() {
        let line = br#"{"ready":true,"pid":1,"listeners":[{"kind":"mqtt","address":"127.0.0.1:1883"},{"kind":"http","address":"127.0.0.1:5000"}]}"#;
        assert_eq!(http_address(line).as_deref(), Some("127.0.0.1:5000"));
        assert_eq!(http_address(b"{\"ready\":"), None);
    }
}
