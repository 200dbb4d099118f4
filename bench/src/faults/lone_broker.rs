//! `talkwire broker`: a broker without a house and without a disk.

use crate::machine::{Folder, free_port};
use crate::server::{Process, binary};
use anyhow::{Result, bail};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// A running one.
pub struct LoneBroker {
    /// Killed when dropped.
    _process: Process,
    /// Where it listens.
    pub addr: SocketAddr,
    _folder: Folder,
}

impl LoneBroker {
    /// Starts one on free ports, and waits until it accepts.
    pub fn start() -> Result<Self> {
        let local = || Ok::<_, anyhow::Error>(SocketAddr::from(([127, 0, 0, 1], free_port()?)));
        let (addr, ws, folder) = (local()?, local()?, Folder::new("lone-broker")?);
        let mut command = Command::new(binary()?);
        command.args(["broker", "--mqtt", &addr.to_string(), "--ws", &ws.to_string()]).current_dir(folder.path());
        let process = Process::start(command, &folder.path().join("broker.log"))?;
        let began = Instant::now();
        while TcpStream::connect(addr).is_err() {
            if began.elapsed() > Duration::from_secs(10) {
                bail!("the broker does not start");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { _process: process, addr, _folder: folder })
    }
}
