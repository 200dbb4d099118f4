//! What of the machine the measurements need: cores, free ports, folders, memory of a process.

use crate::sample::median;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Instant;

/// Whether processes can be held on a core, and there are two.
pub fn can_pin() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores >= 2 && Command::new("taskset").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A command that runs on the given core, where that is possible.
pub fn on_core(core: Option<u32>, program: &Path) -> Command {
    match core {
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string()]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Holds this process on a core; threads that it starts later stay there too.
pub fn stay_on_core(core: u32) -> bool {
    let pid = std::process::id().to_string();
    Command::new("taskset")
        .args(["-a", "-c", "-p", &core.to_string(), &pid])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A port that nobody listens on, below those that the system hands out for outgoing connections: it can be listened on again after a kill.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 9_000) as u16;
    for _ in 0..2_000 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port was found between 20000 and 30000")
}

/// A new folder that goes when dropped, unless it is kept.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    /// Makes one.
    pub fn new(purpose: &str) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("talkwire-{purpose}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, keep: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it for whoever wants to look.
    pub fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // What stays behind is in the system's temporary folder.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// How long the disk takes to make 512 bytes safe: median of some tries, in milliseconds.
pub fn sync_ms() -> Result<f64> {
    let folder = Folder::new("sync")?;
    let mut file = File::create(folder.path().join("probe"))?;
    let mut times = Vec::new();
    for _ in 0..60 {
        file.write_all(&[0; 512])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(median(&times))
}

/// Memory of a process that is in use now, and the most that ever was, in KiB.
pub fn memory_kib(pid: u32) -> Result<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the memory of a process is read from /proc")?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse().ok());
    field("VmRSS:").zip(field("VmHWM:")).context("/proc does not tell the memory")
}
