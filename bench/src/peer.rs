//! Mosquitto, the broker that we stand beside, with the settings that Debian ships.

use crate::machine::{Folder, free_port, on_core};
use crate::server::Process;
use anyhow::{Context, Result};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A running Mosquitto.
#[derive(Debug)]
pub struct Mosquitto {
    process: Process,
    folder: Folder,
    program: PathBuf,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Name and version.
    pub name: String,
}

impl Mosquitto {
    /// Starts one; `None` where it is not installed.
    pub fn start(core: Option<u32>) -> Result<Option<Self>> {
        Self::start_with(core, "")
    }

    /// Starts one that writes down what it keeps after every change, and queues without a bound.
    pub fn start_keeping() -> Result<Option<Self>> {
        Self::start_with(None, "autosave_interval 1\nautosave_on_changes true\nmax_queued_messages 0\n")
    }

    fn start_with(core: Option<u32>, more: &str) -> Result<Option<Self>> {
        let Some(program) = program() else {
            eprintln!("SKIPPED: Mosquitto is not installed (Debian and Ubuntu: apt install mosquitto), so our figures stand alone");
            return Ok(None);
        };
        let folder = Folder::new("mosquitto")?;
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        // What Debian's package writes to /etc/mosquitto, with a port and a folder of our own. Started by root it would change
        // to a user who cannot write there.
        let text = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\nlog_dest file {}\n{}{more}",
            addr.port(),
            folder.path().display(),
            folder.path().join("mosquitto.log").display(),
            if is_root() { "user root\n" } else { "" }
        );
        let file = folder.path().join("mosquitto.conf");
        std::fs::write(&file, text).context("the configuration of Mosquitto cannot be written")?;
        let process = run(core, &program, &folder, addr)?;
        Ok(Some(Self { process, folder, addr, name: version(&program), program }))
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again with what it kept.
    pub fn restart(&mut self) -> Result<()> {
        self.process = run(None, &self.program, &self.folder, self.addr)?;
        Ok(())
    }
}

fn run(core: Option<u32>, program: &Path, folder: &Folder, addr: SocketAddr) -> Result<Process> {
    let mut command = on_core(core, program);
    command.arg("-c").arg(folder.path().join("mosquitto.conf"));
    let process = Process::start(command, &folder.path().join("out.log"))?;
    let began = Instant::now();
    while TcpStream::connect(addr).is_err() {
        anyhow::ensure!(began.elapsed() < Duration::from_secs(5), "Mosquitto did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(process)
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("mosquitto")).find(|file| file.is_file())
}

fn version(program: &Path) -> String {
    let said = Command::new(program).arg("-h").output().map(|output| output.stdout).unwrap_or_default();
    let first = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned();
    first.split_whitespace().last().map_or_else(|| "mosquitto".into(), |version| format!("mosquitto {version}"))
}

fn is_root() -> bool {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines().any(|line| line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")))
}
