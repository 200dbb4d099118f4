//! A Talkwire server, or a simulated home, as a child process on ports of its own.

use crate::api::Api;
use crate::machine::{Folder, free_port, memory_kib, on_core};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that is not ready after this is broken.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The binary under test: `TALKWIRE_BIN`, else the release build of this workspace.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TALKWIRE_BIN") {
        return Ok(path.into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let path = target.join("release/talkwire");
    if !path.exists() {
        bail!("{} is not there; build it with `cargo xtask build`, or name another binary in TALKWIRE_BIN", path.display());
    }
    Ok(path)
}

/// Root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A child process that is killed when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a command, with its output in a file.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn();
        Ok(Self(child.with_context(|| format!("{} cannot be started", command.get_program().display()))?))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&mut self) {
        // It may be gone already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a server listens; the same again after a restart.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// HTTP.
    pub http: SocketAddr,
    /// MQTT over TCP.
    pub mqtt: SocketAddr,
    /// MQTT over WebSocket.
    pub ws: SocketAddr,
}

impl Ports {
    /// Free ones.
    pub fn free() -> Result<Self> {
        let local = || Ok::<_, anyhow::Error>(SocketAddr::from(([127, 0, 0, 1], free_port()?)));
        Ok(Self { http: local()?, mqtt: local()?, ws: local()? })
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    process: Process,
    /// Where it listens.
    pub ports: Ports,
    /// From the start of the process until `/readyz` said yes.
    pub ready_after: Duration,
    data: PathBuf,
}

impl Server {
    /// Starts `talkwire serve` on free ports with its data in `folder`.
    pub fn start(folder: &Folder, core: Option<u32>) -> Result<Self> {
        Self::start_at(folder, core, Ports::free()?, &["serve"])
    }

    /// Starts `talkwire` with the words of a subcommand, on the given ports.
    pub fn start_at(folder: &Folder, core: Option<u32>, ports: Ports, words: &[&str]) -> Result<Self> {
        Self::start_with(folder, ports, on_core(core, &binary()?), words)
    }

    /// The same, with the beginning of a command: the binary itself, or something that ends in running it.
    pub fn start_with(folder: &Folder, ports: Ports, command: Command, words: &[&str]) -> Result<Self> {
        let began = Instant::now();
        let mut server = Self { process: Self::spawn(folder, ports, command, words)?, ports, ready_after: Duration::ZERO, data: folder.path().join("data") };
        while !crate::api::is_ready(ports.http) {
            if !server.process.is_alive() || began.elapsed() > READY_WITHIN {
                let said = std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
                bail!("the server did not become ready: {}", said.lines().rev().take(5).collect::<Vec<_>>().join(" | "));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        server.ready_after = began.elapsed();
        Ok(server)
    }

    /// Only starts the process, which may not become ready; it writes to `server.log` of the folder.
    pub fn spawn(folder: &Folder, ports: Ports, mut command: Command, words: &[&str]) -> Result<Process> {
        command.args(words).arg("--data").arg(folder.path().join("data"));
        command.args(["--http", &ports.http.to_string(), "--mqtt", &ports.mqtt.to_string(), "--ws", &ports.ws.to_string()]);
        // A configuration that happens to lie in the folder of the caller must not change what is measured.
        command.current_dir(folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TALKWIRE_") {
                command.env_remove(name);
            }
        }
        Process::start(command, &folder.path().join("server.log"))
    }

    /// The API, as the owner.
    pub fn api(&self) -> Result<Api> {
        let token = std::fs::read_to_string(self.data.join("owner.token")).context("the owner's token cannot be read")?;
        Ok(Api::new(self.ports.http, token.trim()))
    }

    /// Memory in use now and at most, in KiB.
    pub fn memory_kib(&self) -> Result<(u64, u64)> {
        memory_kib(self.process.id())
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// Starts `talkwire home run` against a broker, with the devices' memory in `data`.
pub fn start_home(file: &Path, broker: SocketAddr, data: &Path, log: &Path, words: &[&str]) -> Result<Process> {
    let mut command = Command::new(binary()?);
    command.args(["home", "run"]).arg(file).args(["--broker", &broker.to_string()]).arg("--data").arg(data).args(words);
    Process::start(command, log)
}
