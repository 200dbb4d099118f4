//! A home that is connected: every device of a house as a real MQTT device, and the clock that drives the house.

mod act;
mod settings;
mod tool;

use crate::error::HomeError;
use crate::house::House;
use crate::report::Card;
use act::HomeAct;
use serde_json::{Map, Value};
use settings::Settings;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use talkwire_device::{Attributes, Broker, Device, DeviceConfig, DeviceError, Health, Running, Severity, StateReport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tool::HomeTool;

use crate::tools::Class;

/// How often the clock of the house is moved.
const TICK: Duration = Duration::from_millis(100);
/// How long a device must be out of reach before its connection is cut.
const GRACE: Duration = Duration::from_secs(1);
/// A speed test may take a minute, and the clock may run at its natural pace.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(150);

/// How a home is connected.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Journals and settings of the devices; each gets a folder of its own in it.
    pub data_dir: PathBuf,
    /// Simulated seconds per real second.
    pub speed: f64,
    /// Real time between two measurements that devices send by themselves.
    pub telemetry_period: Duration,
}

impl Connection {
    /// The natural pace, telemetry every 10 s.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), speed: 1.0, telemetry_period: Duration::from_secs(10) }
    }
}

/// A house that its devices, its clock and its owner share.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<House>>);

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, House> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Residents = Arc<Mutex<BTreeMap<String, Device>>>;

/// A home whose devices are connected. Dropping it cuts the power; [`LiveHome::shutdown`] says goodbye.
pub struct LiveHome {
    house: Shared,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl LiveHome {
    /// Connects every device of the house to the broker that `broker` names for it, and starts the clock.
    ///
    /// # Errors
    /// A device that cannot be started: its configuration or its journal.
    pub async fn start(house: House, connection: Connection, broker: impl Fn(&Card) -> Broker) -> Result<Self, HomeError> {
        let cards = house.devices();
        let (tenant, site) = house.address();
        let place = format!("{tenant}/{site}");
        let house = Shared(Arc::new(Mutex::new(house)));
        let residents: Residents = Arc::default();
        let (stop, stopped) = watch::channel(false);
        let mut home = Self { house: house.clone(), stop, tasks: Vec::new() };
        for card in cards {
            let settings = Settings::open(connection.data_dir.join(&card.device_id));
            settings.load(&mut house.lock(), &card.device_id);
            let resident = Resident {
                config: config(&place, &card, &connection, broker(&card))?,
                card,
                house: house.clone(),
                settings,
                speed: connection.speed.max(0.001),
                period: connection.telemetry_period.max(TICK),
                residents: residents.clone(),
                stopped: stopped.clone(),
            };
            let running = resident.begin().await.map_err(|source| HomeError::Device { name: resident.card.name.clone(), source })?;
            home.tasks.push(tokio::spawn(resident.live(running)));
        }
        home.tasks.push(tokio::spawn(drive(house, connection.speed.max(0.001), residents, stopped)));
        Ok(home)
    }

    /// Does something with the house, for example looks at it or calls a tool from outside.
    pub fn with<T>(&self, look: impl FnOnce(&mut House) -> T) -> T {
        look(&mut self.house.lock())
    }

    /// Lets every device restore what nobody confirmed and say goodbye. Takes at most about five seconds.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a device of the home did not end well");
            }
        }
    }
}

impl Drop for LiveHome {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn config(place: &str, card: &Card, connection: &Connection, broker: Broker) -> Result<DeviceConfig, HomeError> {
    let key = format!("{place}/{}", card.device_id)
        .parse()
        .map_err(|_| HomeError::invalid("site", "tenant and site must be short words of letters, digits, - and _"))?;
    let mut extra = Map::new();
    extra.insert("location".into(), Value::from(card.room.as_str()));
    Ok(DeviceConfig {
        data_dir: connection.data_dir.join(&card.device_id),
        attributes: Attributes {
            name: Some(card.name.clone()),
            manufacturer: Some(card.manufacturer.into()),
            model: Some(card.model.clone()),
            firmware_version: Some(card.firmware_version.into()),
            mac_address: Some(card.device_id.clone()),
            features: if card.device_type == "client" { vec!["wifi".into()] } else { vec!["wifi".into(), "ethernet".into(), "diagnostics".into()] },
            extra,
            ..Attributes::default()
        },
        command_timeout: COMMAND_TIMEOUT,
        ..DeviceConfig::new(key, card.device_type, broker)
    })
}

/// Moves the clock of the house and tells what happened in it.
async fn drive(house: Shared, speed: f64, residents: Residents, mut stopped: watch::Receiver<bool>) {
    let mut last = Instant::now();
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        let passed = last.elapsed();
        last += passed;
        let happenings = {
            let mut house = house.lock();
            house.advance(passed.mul_f64(speed));
            house.take_happenings()
        };
        for happening in happenings {
            let device = residents.lock().unwrap_or_else(PoisonError::into_inner).get(&happening.device_id).cloned();
            if let Some(device) = device {
                device.event(happening.event, severity(happening.severity), happening.data);
            }
        }
    }
}

fn severity(word: &str) -> Severity {
    match word {
        "critical" => Severity::Critical,
        "error" => Severity::Error,
        "warning" => Severity::Warning,
        _ => Severity::Info,
    }
}

/// One device of the home and everything it needs to be started again after a restart.
struct Resident {
    card: Card,
    config: DeviceConfig,
    house: Shared,
    settings: Settings,
    speed: f64,
    period: Duration,
    residents: Residents,
    stopped: watch::Receiver<bool>,
}

impl Resident {
    /// Starts the device, if it can be reached now.
    async fn begin(&self) -> Result<Option<Running>, DeviceError> {
        let id = &self.card.device_id;
        let tools = {
            let house = self.house.lock();
            if !house.reachable(id) {
                return Ok(None);
            }
            house.tools(id)
        };
        let mut builder = Device::builder(self.config.clone());
        for tool in tools {
            // The SDK knows best what a device can do.
            if tool.op == "device.get_capabilities" {
                continue;
            }
            if tool.class == Class::Act {
                builder = builder.act(HomeAct { id: id.clone(), tool, house: self.house.clone(), settings: self.settings.clone(), speed: self.speed });
                continue;
            }
            let names = std::iter::once(tool.op).chain(tool.aliases.iter().copied().filter(|alias| *alias == "wifi.basic_scan"));
            for op in names {
                builder = builder.tool(HomeTool { op, id: id.clone(), tool, house: self.house.clone(), speed: self.speed });
            }
        }
        let (house, device) = (self.house.clone(), id.clone());
        let running = builder.state(move || report(&house, &device)).start().await?;
        self.residents.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), running.device());
        Ok(Some(running))
    }

    /// Keeps the device connected while it can be reached, and cuts it off while it cannot.
    async fn live(mut self, mut running: Option<Running>) {
        let mut said = Instant::now();
        let mut rounds = 0_u32;
        let mut gone_since: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = self.stopped.changed() => break,
                () = tokio::time::sleep(TICK) => {}
            }
            let reachable = self.house.lock().reachable(&self.card.device_id);
            gone_since = if reachable { None } else { gone_since.or_else(|| Some(Instant::now())) };
            match &running {
                Some(_) if gone_since.is_some_and(|since| since.elapsed() >= GRACE) => {
                    self.residents.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.card.device_id);
                    running = None;
                }
                Some(device) if reachable && said.elapsed() >= self.period => {
                    said = Instant::now();
                    self.tell(device, rounds);
                    rounds = rounds.wrapping_add(1);
                }
                None if reachable => match self.begin().await {
                    Ok(begun) => running = begun,
                    Err(error) => {
                        tracing::error!(device = self.card.name, %error, "a device of the home does not start again");
                        tokio::time::sleep(Duration::from_secs(5)).await;
                    }
                },
                _ => {}
            }
        }
        self.residents.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.card.device_id);
        if let Some(running) = running {
            running.shutdown().await;
        }
    }

    /// Sends what the device measures; the router sends its map as well, now and then.
    fn tell(&self, device: &Device, rounds: u32) {
        let (metrics, map) = {
            let mut house = self.house.lock();
            let map = (self.card.device_type == "router" && rounds.is_multiple_of(6)).then(|| house.topology());
            (house.telemetry(&self.card.device_id), map)
        };
        for metric in metrics {
            device.telemetry(metric.name, metric.value, metric.unit);
        }
        device.set_state(report(&self.house, &self.card.device_id));
        if let Some(map) = map {
            let list = |name: &str| map[name].as_array().cloned().unwrap_or_default();
            device.topology(&list("devices"), &list("connections"), &[]);
        }
    }
}

fn report(house: &Shared, device_id: &str) -> StateReport {
    let Some(state) = house.lock().state(device_id) else { return StateReport::default() };
    let mut figures = Map::new();
    figures.insert("cpu_usage".into(), state.cpu_usage.into());
    figures.insert("memory_usage".into(), state.memory_usage.into());
    if let Some(temperature) = state.temperature_c {
        figures.insert("temperature_c".into(), temperature.into());
    }
    let health = match state.health {
        "error" => Health::Error,
        "warning" => Health::Warning,
        _ => Health::Ok,
    };
    StateReport { health, figures }
}
