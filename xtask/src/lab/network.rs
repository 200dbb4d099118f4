//! The whole lab: world, provider, router, clients and server, cabled and running.

use super::house::{self, CLIENTS};
use super::provider::Provider;
use super::space::{Space, cable};
use super::{router, watch};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A network in order, until a case breaks it.
pub struct Network {
    /// Provider and world.
    pub provider: Provider,
    /// The home's router.
    pub router: Space,
    /// Three clients.
    pub clients: Vec<Space>,
    /// Machines that a case brings along.
    pub guests: Vec<Space>,
    server: Space,
    binary: PathBuf,
    prefix: String,
    folder: PathBuf,
}

impl Network {
    /// Builds it and waits until everything works: addresses, names, the way out, and the router in the console.
    pub fn build(folder: &Path, binary: &Path, prefix: &str) -> Result<Self> {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut provider = Provider::build(prefix, folder, binary)?;
        let mut router = Space::new(prefix, "router", folder)?;
        let mut server = Space::new(prefix, "server", folder)?;
        cable((&provider.isp, "line0"), (&router, "eth0"))?;
        provider.open_line()?;
        cable((&router, "lan0"), (&server, "eth0"))?;
        let mut clients = Vec::new();
        for (at, name) in CLIENTS.iter().enumerate() {
            let client = Space::new(prefix, name, folder)?;
            cable((&router, &format!("lan{}", at + 1)), (&client, "eth0"))?;
            clients.push(client);
        }
        let ports: Vec<String> = (0..=CLIENTS.len()).map(|at| format!("lan{at}")).collect();
        router::configure(&mut router, &ports)?;
        house::serve(&mut server, binary)?;
        router::join(&mut router, binary, &house::broker())?;
        for (client, name) in clients.iter_mut().zip(CLIENTS) {
            house::ask_for_address(client, name)?;
        }
        let mut network = Self { provider, router, clients, guests: Vec::new(), server, binary: binary.into(), prefix: prefix.into(), folder: folder.into() };
        network.settle()?;
        Ok(network)
    }

    fn settle(&mut self) -> Result<()> {
        for client in &self.clients {
            house::address_of(client)?;
        }
        for client in &self.clients {
            watch::until("an answer from the world to a client", Duration::from_secs(10), || {
                client.run(&["busybox", "ping", "-c", "1", "-W", "1", "1.1.1.1"]).ok()
            })?;
        }
        let waited = house::wait_for_router(&self.server, &self.binary);
        self.all_run()?;
        waited
    }

    /// Whatever has ended although nobody ended it.
    fn all_run(&mut self) -> Result<()> {
        let here = [&mut self.router, &mut self.server, &mut self.provider.isp, &mut self.provider.world];
        match here.into_iter().chain(&mut self.clients).find_map(Space::fallen) {
            Some(what) => bail!("{what}"),
            None => Ok(()),
        }
    }

    /// Plugs another machine into the router.
    pub fn plug_in(&mut self, role: &str) -> Result<&mut Space> {
        let space = Space::new(&self.prefix, role, &self.folder)?;
        let port = format!("lan{}", 1 + self.clients.len() + self.guests.len());
        cable((&self.router, &port), (&space, "eth0"))?;
        self.router.run(&["ip", "link", "set", &port, "master", "br-lan"])?;
        self.guests.push(space);
        self.guests.last_mut().context("it was just put there")
    }

    /// Types a complaint into the chat and waits for the verdict.
    pub fn ask(&mut self, complaint: &str) -> Result<Value> {
        let answer = house::complain(&self.server, &self.binary, complaint)?;
        self.all_run()?;
        Ok(answer)
    }
}
