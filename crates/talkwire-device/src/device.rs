//! Building, running and stopping a device.

use crate::act::{Act, AnyAct};
use crate::catalog::{Catalog, acts_by_name};
use crate::clock::{Clock, SystemClock};
use crate::config::{DeviceConfig, StateReport};
use crate::core::{Core, StateSource};
use crate::counters::Counters;
use crate::disk::Folder;
use crate::error::DeviceError;
use crate::judge;
use crate::keeper::Keeper;
use crate::memory::Memory;
use crate::outbox::Outbox;
use crate::post::Post;
use crate::run;
use crate::seal::Seal;
use crate::tool::{AnyTool, Tool};
use crate::voice::{Voice, will};
use serde_json::{Map, Value, json};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use talkwire_link::{Link, LinkConfig, Qos};
use talkwire_proto::event::Severity;
use talkwire_proto::{DeviceKey, DeviceTail, Topic, limits};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::AbortHandle;

/// How many commands run at once.
const COMMANDS: usize = 64;

/// Room for the topic and the header of a packet around the largest message.
pub(crate) const PACKET_EXTRA: usize = 4096;

/// Collects the tools of a device before it starts.
pub struct Builder {
    config: DeviceConfig,
    tools: Vec<Arc<dyn AnyTool>>,
    acts: Vec<Arc<dyn AnyAct>>,
    state_source: Option<StateSource>,
    boot: Option<String>,
}

impl Builder {
    /// Adds a Read or Test tool.
    #[must_use]
    pub fn tool(mut self, tool: impl Tool) -> Self {
        self.tools.push(Arc::new(tool));
        self
    }

    /// Adds an Act tool. Its changes are kept by the journal.
    #[must_use]
    pub fn act(mut self, act: impl Act) -> Self {
        self.acts.push(Arc::new(act));
        self
    }

    /// Asks this function for the state each time that it is said, instead of what [`Device::set_state`] said last.
    #[must_use]
    pub fn state(mut self, source: impl Fn() -> StateReport + Send + Sync + 'static) -> Self {
        self.state_source = Some(Box::new(source));
        self
    }

    /// Names the present boot of the machine, for example by `/proc/sys/kernel/random/boot_id`. When it is another one than that in which
    /// something was confirmed, what the machine forgets at a boot ([`Act::lasting`]) is put back, as soon as it can be; what nobody
    /// confirmed is undone and never put back. The event `config.put_back` says so, `config.put_back_failed` that it still does not run
    /// after five attempts.
    #[must_use]
    pub fn boot(mut self, id: impl Into<String>) -> Self {
        self.boot = Some(id.into());
        self
    }

    /// Restores what was left unconfirmed, then starts connecting. A broker that is away is no error.
    ///
    /// # Errors
    /// When the journal cannot be read, two tools have the same op, or the configuration cannot be used.
    pub async fn start(self) -> Result<Running, DeviceError> {
        let Self { config, tools, acts, state_source, boot } = self;
        let acts = acts_by_name(acts)?;
        let catalog = Catalog::new(tools, &acts)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let folder = config.data_dir.join("journal");
        let unreadable = |source| DeviceError::Journal { folder: folder.clone(), source };
        let disk = Arc::new(Folder::open(folder.clone()).map_err(unreadable)?);
        let mut keeper = Keeper::open(acts.clone(), disk, clock.clone(), config.allow_unguarded_acts, boot).map_err(unreadable)?;
        keeper.tick().await;

        let has_secret = config.broker.password.is_some() || config.broker.password_file.is_some();
        if config.fernet_key.is_some() && !config.groups.is_empty() {
            // Several devices read one message, each with a key of its own.
            let why = "a command to a group cannot be sealed for each of its devices; leave `groups` out, or the key, and protect the connection with TLS";
            return Err(DeviceError::Key(why.into()));
        }
        let seal = Seal::new(config.fernet_key.clone())?;
        let will = will(&config.key, &seal).map_err(|error| DeviceError::Key(error.to_string()))?;
        let outbox = open_outbox(&config).await?;
        let (link, events) = Link::connect(LinkConfig {
            username: config.broker.username.clone().or_else(|| has_secret.then(|| config.client_id.clone())),
            password: config.broker.password.clone(),
            password_file: config.broker.password_file.clone(),
            tls: config.broker.tls.clone(),
            keep_alive: config.keep_alive,
            backoff: config.backoff,
            will: Some(will),
            max_packet_bytes: seal.bytes(config.max_message_bytes.max(limits::MESSAGE_BYTES)) + PACKET_EXTRA,
            ..LinkConfig::new(config.broker.host.clone(), config.broker.port, config.client_id.clone())
        })?;
        link.subscribe(Topic::Device(config.key.clone(), DeviceTail::CmdReq).to_string(), Qos::AtLeastOnce);
        for group in &config.groups {
            link.subscribe(Topic::Group(config.key.tenant.clone(), config.key.site.clone(), group.clone()).to_string(), Qos::AtLeastOnce);
        }
        let counters = Arc::new(Counters::start());
        let (post, delivery) = Post::open(link, seal, counters.clone(), config.rates, outbox, config.outbox.max_messages);
        let core = Arc::new(Core {
            voice: Voice::new(config.key.clone(), post, counters.clone()),
            counters,
            catalog,
            has_acts: !acts.is_empty(),
            acts,
            keeper: tokio::sync::Mutex::new(keeper),
            keeper_moved: Notify::new(),
            memory: Mutex::new(Memory::default()),
            places: Arc::new(Semaphore::new(COMMANDS)),
            clock,
            lost_since: watch::Sender::new(Some(Duration::ZERO)),
            state_source,
            state: Mutex::new(StateReport::default()),
            config,
        });
        let tasks = vec![
            tokio::spawn(run::listen(core.clone(), events)).abort_handle(),
            tokio::spawn(run::keep(core.clone())).abort_handle(),
            tokio::spawn(run::tell_state(core.clone())).abort_handle(),
            tokio::spawn(judge::watch(core.clone())).abort_handle(),
        ];
        let delivery = Tasks(vec![tokio::spawn(delivery).abort_handle()]);
        Ok(Running { device: Device { core }, tasks: Tasks(tasks), delivery })
    }
}

/// Opens the outbox, which may read a disk.
async fn open_outbox(config: &DeviceConfig) -> Result<Outbox, DeviceError> {
    let (max_messages, max_bytes) = (config.outbox.max_messages, config.outbox.max_bytes);
    let Some(file) = config.outbox.file(&config.data_dir) else { return Ok(Outbox::in_memory(max_messages, max_bytes)) };
    let path = file.clone();
    let opened = tokio::task::spawn_blocking(move || Outbox::open(&path, max_messages, max_bytes)).await;
    opened.map_err(std::io::Error::other).and_then(|opened| opened).map_err(|source| DeviceError::Outbox { file, source })
}

/// A handle with which a running device speaks. Clones speak for the same device.
#[derive(Clone)]
pub struct Device {
    core: Arc<Core>,
}

impl Device {
    /// Begins a device.
    pub fn builder(config: DeviceConfig) -> Builder {
        Builder { config, tools: Vec::new(), acts: Vec::new(), state_source: None, boot: None }
    }

    /// Tenant, site and device id.
    pub fn key(&self) -> &DeviceKey {
        &self.core.config.key
    }

    /// Whether the device is connected.
    pub fn is_online(&self) -> bool {
        self.core.lost_since.borrow().is_none()
    }

    /// Waits until the device is connected.
    pub async fn online(&self) {
        // The sender lives as long as this handle.
        let _ = self.core.lost_since.subscribe().wait_for(Option::is_none).await;
    }

    /// Says how the device is: at once when it changed, and then every period.
    pub fn set_state(&self, report: StateReport) {
        let changed = {
            let mut state = self.core.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *state, report.clone()) != report
        };
        if changed && self.is_online() {
            self.core.voice.state(&self.core.state_report());
        }
    }

    /// Sends one figure of a metric: at once and unacknowledged, or, while the device is offline or over its rate, through the outbox.
    pub fn telemetry(&self, metric: &str, value: impl Into<Value>, unit: &str) {
        self.core.voice.telemetry(metric, value.into(), unit);
    }

    /// Sends an event. It waits in the outbox until the broker has it, also over a restart.
    pub fn event(&self, event_type: &str, severity: Severity, data: Value) {
        self.core.voice.event(event_type, severity, &data);
    }

    /// Waits until what was said so far is in the outbox, so that it survives a kill. Without a call this takes milliseconds.
    pub async fn kept(&self) {
        self.core.voice.post().kept().await;
    }

    /// Says what the device sees of the network.
    pub fn topology(&self, discovered_devices: &[Value], connections: &[Value], changes: &[Value]) {
        self.core.voice.topology(discovered_devices, connections, changes);
    }

    /// Sends the result of a test that the device ran by itself.
    pub fn diagnostics(&self, test: &str, fields: Map<String, Value>) {
        self.core.voice.diagnostics(test, fields);
    }

    /// Says that a tool is or is not available from now on, and why; calls of one that is not are refused. Returns `false` when
    /// the device has no such tool.
    pub fn capability_changed(&self, op: &str, available: bool, reason: Option<&str>) -> bool {
        let Some(before) = self.core.catalog.set_available(op, available, reason) else { return false };
        if before != available {
            let change = json!({"tool": op, "change_type": "availability", "old_value": before, "new_value": available, "reason": reason});
            self.core.voice.capability_update(&[change]);
            // At the next connect it is said in any case.
            if self.is_online() {
                self.core.voice.attr(self.core.catalog.attr(&self.core.config));
            }
        }
        true
    }

    /// What the device counted: `messages_sent`, `messages_received`, `connection_errors`, `last_heartbeat`, `uptime` and more.
    pub fn counters(&self) -> Value {
        self.core.counters.diagnostics()
    }
}

struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// A device that runs. Dropping it stops the device without a goodbye, as a power cut would; [`Running::shutdown`] says one.
pub struct Running {
    device: Device,
    tasks: Tasks,
    /// Goes on while the device stops.
    delivery: Tasks,
}

impl Deref for Running {
    type Target = Device;
    fn deref(&self) -> &Device {
        &self.device
    }
}

impl Running {
    /// A handle to give to others.
    pub fn device(&self) -> Device {
        self.device.clone()
    }

    /// Takes no more commands, restores what nobody confirmed, says `offline` and disconnects. Takes at most about five seconds.
    pub async fn shutdown(self) {
        let Self { device: Device { core }, tasks, delivery } = self;
        drop(tasks);
        let stop = async {
            core.keeper.lock().await.stop().await;
            run::report(&core).await;
        };
        if tokio::time::timeout(Duration::from_secs(3), stop).await.is_err() {
            tracing::warn!("stopping before everything unconfirmed was restored; the next start does it");
        }
        if tokio::time::timeout(Duration::from_secs(1), core.voice.post().kept()).await.is_err() {
            tracing::warn!("stopping before everything that was said is on the disk");
        }
        let link = core.voice.link();
        if link.is_up() && tokio::time::timeout(Duration::from_secs(1), core.voice.post().empty()).await.is_err() {
            tracing::info!("stopping while messages wait; they are sent after the next start");
        }
        if link.is_up() && tokio::time::timeout(Duration::from_secs(1), core.voice.offline()).await.is_err() {
            tracing::debug!("no goodbye");
        }
        drop(delivery);
        link.close(Duration::from_secs(1)).await;
    }
}
