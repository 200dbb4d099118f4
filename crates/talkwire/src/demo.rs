//! The demo: the whole house with a simulated home in it, each device a real MQTT client over TCP.

use crate::config::Config;
use crate::serve::{self, Running};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use talkwire_device::Broker;
use talkwire_home::{Connected, Connection, HomeFile, House, connect};

/// The home that the demo starts with: an evening in a flat with busy neighbours.
const EVENING: &str = include_str!("../../../homes/evening.toml");
/// Simulated seconds per second: a full diagnosis takes well under a minute.
pub const SPEED: f64 = 20.0;

/// Which home, and how its time passes.
#[derive(Debug, Clone, clap::Args)]
pub struct HomeFlags {
    /// Seed of everything that is left to chance.
    #[arg(long, value_name = "N", env = "TALKWIRE_SEED", default_value_t = 1)]
    pub seed: u64,
    /// Simulated seconds per second.
    #[arg(long, value_name = "FACTOR", env = "TALKWIRE_SPEED", default_value_t = SPEED)]
    pub speed: f64,
    /// Simulated time of day at the start [default: what the home says, 20:30 in the demo].
    #[arg(long, value_name = "HH:MM", env = "TALKWIRE_AT")]
    pub at: Option<String>,
}

impl HomeFlags {
    /// The house, built from a file or from the demo's own home.
    pub fn house(&self, file: Option<&Path>) -> Result<House> {
        if !(0.1..=3_600.0).contains(&self.speed) {
            bail!("--speed is {}, but must be from 0.1 to 3600", self.speed);
        }
        let mut home = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the home {}", path.display()))?;
                HomeFile::parse(&text).with_context(|| format!("the home {} cannot be used", path.display()))?
            }
            None => HomeFile::parse(EVENING)?,
        };
        if let Some(at) = &self.at {
            home.site.start.clone_from(at);
        }
        House::new(home, self.seed).context("the home cannot be built")
    }

    /// Connects a house to a broker.
    pub async fn connect(&self, house: House, broker: Broker, data_dir: PathBuf) -> Result<Connected> {
        let connection = Connection { broker, data_dir, speed: self.speed };
        Ok(connect(house, connection).await?)
    }
}

/// Starts the server and the home.
pub async fn start(config: &Config, flags: &HomeFlags, home: Option<&Path>) -> Result<(Running, Connected)> {
    let house = flags.house(home)?;
    let running = serve::start(config).await?;
    let broker = match config.outside()? {
        Some(elsewhere) => elsewhere.for_device(),
        None => {
            let here = running.address("mqtt").context("the demo needs an MQTT listener; give one with --mqtt ADDR")?;
            Broker::open(here.ip().to_string(), here.port())
        }
    };
    let connected = flags.connect(house, broker, config.data.join("home")).await?;
    Ok((running, connected))
}

/// Opens the page in a browser, where there is one.
pub fn open_browser(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let has_screen = cfg!(target_os = "macos") || std::env::var_os("DISPLAY").is_some() || std::env::var_os("WAYLAND_DISPLAY").is_some();
    if has_screen {
        let _ = std::process::Command::new(opener).arg(url).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn();
    }
}
