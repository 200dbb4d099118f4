//! A device on the SDK that counts, in a process of its own, and what it printed.

use crate::server::Process;
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How it counts.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Its device id, in `home/bench`.
    pub device_id: String,
    /// From one number to the next.
    pub every: Duration,
    /// How many messages its outbox holds.
    pub outbox: usize,
    /// Its keep-alive.
    pub keep_alive_s: u16,
    /// From one sample of telemetry to the next; zero: none.
    pub telemetry: Duration,
}

/// What it printed after a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The number.
    pub n: u64,
    /// Messages in its outbox.
    pub waiting: u64,
    /// Messages that it counted as dropped.
    pub dropped: u64,
    /// Whether it was connected.
    pub online: bool,
}

/// The process.
pub struct Player {
    folder: PathBuf,
    _process: Process,
}

impl Player {
    /// Starts it against a broker, with its data in `folder`.
    pub fn start(addr: SocketAddr, folder: &Path, manner: &Manner) -> Result<Self> {
        let own = folder.join(&manner.device_id);
        std::fs::create_dir_all(&own)?;
        let mut command = Command::new(std::env::current_exe().context("this program does not know where it is")?);
        command.arg("play-numbers").arg(addr.to_string()).arg(&own).arg(&manner.device_id);
        command.args(["--every-ms", &manner.every.as_millis().to_string(), "--outbox", &manner.outbox.to_string()]);
        command.args(["--keep-alive-s", &manner.keep_alive_s.to_string(), "--telemetry-ms", &manner.telemetry.as_millis().to_string()]);
        let process = Process::start(command, &own.join("printed"))?;
        Ok(Self { folder: own, _process: process })
    }

    /// All lines so far; one that is not whole yet is left out.
    pub fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(self.folder.join("printed")).unwrap_or_default();
        text.lines().filter_map(parse).collect()
    }

    /// Waits until a line fits, and returns the first that does.
    pub fn wait_for(&self, what: &str, within: Duration, fits: impl Fn(&Line) -> bool) -> Result<Line> {
        let began = Instant::now();
        while began.elapsed() < within {
            if let Some(line) = self.lines().into_iter().find(&fits) {
                return Ok(line);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("{what} did not happen within {} s; the device's last line: {:?}", within.as_secs(), self.lines().last())
    }

    /// Tells it that it is enough; the last number that it said.
    pub fn enough(&self) -> Result<u64> {
        std::fs::write(self.folder.join("enough"), "")?;
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            let text = std::fs::read_to_string(self.folder.join("printed")).unwrap_or_default();
            let ended = text.ends_with('\n');
            if let Some(last) = text.lines().last().filter(|_| ended).and_then(|line| line.strip_prefix("last ")?.parse().ok()) {
                return Ok(last);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the device does not stop counting")
    }
}

fn parse(line: &str) -> Option<Line> {
    let mut words = line.split(' ');
    let mut number = || words.next()?.parse().ok();
    let (n, waiting, dropped, online): (u64, u64, u64, u64) = (number()?, number()?, number()?, number()?);
    Some(Line { n, waiting, dropped, online: online == 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_only_when_it_is_whole() {
        assert_eq!(parse("12 3 4 1"), Some(Line { n: 12, waiting: 3, dropped: 4, online: true }));
        assert!(parse("12 3 4").is_none() && parse("last 9").is_none() && parse("").is_none());
    }
}
