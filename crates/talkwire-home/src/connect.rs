//! Connects a house to a broker: each device is a real MQTT client, and the house's clock runs beside the wall's.

mod hands;

use crate::error::HomeError;
use crate::house::House;
use crate::report::Card;
use crate::tools::Class;
use hands::{HomeAct, HomeTool};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use talkwire_device::{
    Attributes, Backoff, Broker, Device, DeviceConfig, DeviceError, DeviceKey, Health, OutboxPlace, Rates, Running, Severity, StateReport, ToolSupport,
};
use talkwire_proto::op::canonical;
use tokio::task::JoinHandle;

/// The house lives on in steps of this length.
const STEP: Duration = Duration::from_millis(100);
/// Samples are sent this often, in simulated time.
const SAMPLE_EVERY: Duration = Duration::from_secs(60);
/// But never more often than this.
const SAMPLE_LEAST: Duration = Duration::from_secs(5);
/// How long a device must be out of reach before its connection is cut: a change of channel is shorter, and an answer still goes out.
const GRACE: Duration = Duration::from_secs(1);

/// How a house is connected.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where the broker is.
    pub broker: Broker,
    /// Where the devices keep their journals and their configuration.
    pub data_dir: PathBuf,
    /// Simulated seconds per second.
    pub speed: f64,
}

/// Why a house cannot be connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The home itself.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A name that the wire does not take.
    #[error("the home's tenant, site or a device id is not valid: {0}")]
    Name(#[from] talkwire_proto::id::BadId),
    /// A device that cannot start.
    #[error("device {device} cannot start")]
    Device {
        /// Which one.
        device: String,
        /// Why.
        source: DeviceError,
    },
}

/// A connected house. Dropping it is a power cut of the whole home.
pub struct Connected {
    house: Shared,
    driver: JoinHandle<()>,
    stop: tokio::sync::watch::Sender<bool>,
}

/// The house as its devices share it.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    house: Arc<Mutex<House>>,
    speed: f64,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, House> {
        // A house is data: whoever panicked while holding it left it as consistent as a step leaves it.
        self.house.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a simulated time takes.
    pub(crate) fn real(&self, simulated: Duration) -> Duration {
        simulated.div_f64(self.speed)
    }
}

/// Starts all devices of a house and lets its time pass.
pub async fn connect(house: House, connection: Connection) -> Result<Connected, ConnectError> {
    let shared = Shared { house: Arc::new(Mutex::new(house)), speed: connection.speed.clamp(0.1, 3_600.0) };
    let (cards, tenant, site) = {
        let mut house = shared.lock();
        house.set_unix_ms(now_ms());
        let (tenant, site) = house.address();
        let (tenant, site) = (tenant.parse()?, site.parse()?);
        (house.devices(), tenant, site)
    };
    let mut members = Vec::new();
    for card in cards {
        let key = DeviceKey { tenant: Clone::clone(&tenant), site: Clone::clone(&site), device_id: card.device_id.parse()? };
        let mut member = Member { card, key, running: None, away_since: None };
        hands::recall(&shared, &connection.data_dir.join(&member.card.device_id), &member.card.device_id);
        member.start(&shared, &connection).await?;
        members.push(member);
    }
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let driver = tokio::spawn(drive(shared.clone(), connection, members, stopping));
    Ok(Connected { house: shared, driver, stop })
}

impl Connected {
    /// Does something with the house, for example looks at it.
    pub fn with<T>(&self, look: impl FnOnce(&mut House) -> T) -> T {
        look(&mut self.house.lock())
    }

    /// Simulated seconds after midnight.
    pub fn day_s(&self) -> f64 {
        self.house.lock().clock().day_s()
    }

    /// Says goodbye for every device and stops.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.driver).await;
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

struct Member {
    card: Card,
    key: DeviceKey,
    running: Option<Running>,
    away_since: Option<Instant>,
}

impl Member {
    async fn start(&mut self, shared: &Shared, connection: &Connection) -> Result<(), ConnectError> {
        let card = &self.card;
        let mut config = DeviceConfig::new(self.key.clone(), card.device_type, connection.broker.clone());
        config.data_dir = connection.data_dir.join(&card.device_id);
        config.state_period = Duration::from_secs(60);
        config.keep_alive = Duration::from_secs(20);
        // A house full of devices on one machine, whose clock may run fast.
        config.outbox.place = OutboxPlace::Memory;
        config.rates = Rates::unlimited();
        config.backoff = Backoff { min: Duration::from_millis(300), max: Duration::from_secs(10) };
        config.attributes = Attributes {
            name: Some(card.name.clone()),
            manufacturer: Some(card.manufacturer.into()),
            model: Some(card.model.clone()),
            firmware_version: Some(card.firmware_version.into()),
            extra: json!({"location": card.room}).as_object().cloned().unwrap_or_default(),
            ..Attributes::default()
        };
        let (source, id) = (shared.clone(), card.device_id.clone());
        let mut builder = Device::builder(config).state(move || state(&source.lock(), &id));
        let tools = shared.lock().tools(&card.device_id);
        for tool in tools {
            // The SDK knows best what the device can do, change sets included.
            if tool.op == "device.get_capabilities" {
                continue;
            }
            let support = support(&tool);
            if tool.class == Class::Act {
                builder = builder.act(HomeAct::new(shared.clone(), card.device_id.clone(), tool.op, support, connection.data_dir.join(&card.device_id)));
                continue;
            }
            builder = builder.tool(HomeTool::new(shared.clone(), card.device_id.clone(), tool.op, support.clone()));
            for alias in tool.aliases.iter().filter(|alias| canonical(alias) != tool.op) {
                builder = builder.tool(HomeTool::new(shared.clone(), card.device_id.clone(), alias, support.clone()));
            }
        }
        let running = builder.start().await.map_err(|source| ConnectError::Device { device: card.device_id.clone(), source })?;
        self.running = Some(running);
        Ok(())
    }
}

/// What the device declares of a tool.
fn support(tool: &crate::tools::Tool) -> ToolSupport {
    let mut support = ToolSupport {
        version: Some("1.0".into()),
        response_time_ms: Some(u64::from(tool.response_ms)),
        resource_usage: Some(tool.resource_usage.into()),
        ..ToolSupport::plain()
    };
    if tool.op == "network.speedtest_full" {
        support.limitations.insert("max_duration".into(), 60.into());
        support.limitations.insert("concurrent_limit".into(), 1.into());
    }
    if tool.op == "device.restart" {
        support.permissions.push("admin".into());
    }
    support
}

fn state(house: &House, device_id: &str) -> StateReport {
    let Some(state) = house.state(device_id) else { return StateReport::default() };
    let health = match state.health {
        "error" => Health::Error,
        "warning" => Health::Warning,
        _ => Health::Ok,
    };
    let mut figures = json!({
        "uptime_s": state.uptime_s, "cpu_usage": state.cpu_usage, "memory_usage": state.memory_usage, "internet": state.connection_status
    });
    if let Some(celsius) = state.temperature_c {
        figures["temperature_c"] = json!(celsius);
    }
    StateReport { health, figures: figures.as_object().cloned().unwrap_or_default() }
}

async fn drive(shared: Shared, connection: Connection, mut members: Vec<Member>, mut stopping: tokio::sync::watch::Receiver<bool>) {
    let sample_every = shared.real(SAMPLE_EVERY).max(SAMPLE_LEAST);
    let (mut last, mut sampled) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(STEP) => {}
        }
        let passed = last.elapsed();
        last = Instant::now();
        let (happenings, reachable) = {
            let mut house = shared.lock();
            house.advance(passed.mul_f64(shared.speed));
            let reachable: BTreeMap<String, bool> =
                members.iter().map(|member| (member.card.device_id.clone(), house.reachable(&member.card.device_id))).collect();
            (house.take_happenings(), reachable)
        };
        for happening in happenings {
            if let Some(device) = members.iter().find(|member| member.card.device_id == happening.device_id).and_then(|member| member.running.as_ref()) {
                device.device().event(happening.event, severity(happening.severity), happening.data);
            }
        }
        for member in &mut members {
            let is_reachable = reachable.get(&member.card.device_id).copied().unwrap_or(true);
            member.away_since = if is_reachable { None } else { member.away_since.or_else(|| Some(Instant::now())) };
            if member.away_since.is_some_and(|since| since.elapsed() >= GRACE) && member.running.is_some() {
                // A device that restarts does so as a power cut would: no goodbye.
                member.running = None;
            } else if is_reachable
                && member.running.is_none()
                && let Err(error) = member.start(&shared, &connection).await
            {
                tracing::warn!(device = member.card.device_id, %error, "a simulated device could not start again");
            }
        }
        if sampled.elapsed() >= sample_every {
            sampled = Instant::now();
            sample(&shared, &members);
        }
    }
    for member in members {
        if let Some(running) = member.running {
            running.shutdown().await;
        }
    }
}

fn sample(shared: &Shared, members: &[Member]) {
    for member in members {
        let Some(running) = &member.running else { continue };
        let (metrics, report, map) = {
            let mut house = shared.lock();
            let map = (member.card.device_type == "router").then(|| house.topology());
            (house.telemetry(&member.card.device_id), state(&house, &member.card.device_id), map)
        };
        let device = running.device();
        for metric in metrics {
            device.telemetry(metric.name, metric.value, metric.unit);
        }
        if let Some(map) = map {
            let list = |name: &str| map[name].as_array().cloned().unwrap_or_default();
            device.topology(&list("devices"), &list("connections"), &[]);
        }
        if report.health != Health::Ok {
            device.set_state(report);
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

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}

/// An answer of a device that is out of reach.
pub(crate) fn as_tool_error(fault: crate::ToolFault) -> talkwire_device::ToolError {
    talkwire_device::ToolError { code: fault.code.to_string(), message: fault.message, details: Value::Null.as_object().cloned().unwrap_or_default() }
}
