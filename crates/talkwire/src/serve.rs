//! Starts the house in order and stops it in reverse.

use crate::clock::Clock;
use crate::config::Config;
use crate::gate::HouseGate;
use crate::http::{self, House};
use crate::hub::{Gone, Hub, Ledger, Post};
use crate::identity::{Identity, seed};
use crate::outside;
use crate::payload_keys::PayloadKeys;
use crate::tools_folder;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;
use talkwire_broker::{Broker, BrokerError, BrokerHandle, Gate, ListenerKind, Outside, OutsideHandle};
use talkwire_core::core::Memory;
use talkwire_core::delivery::Window;
use talkwire_core::{Core, Publish, Save};
use talkwire_proto::{DeviceTail, Topic};
use talkwire_store::{Loaded, Options, Reader, Sqlite, Store};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Publishes that wait for the broker; beyond it the writer waits.
const POSTS: usize = 4_096;
/// The file of the devices' keys is looked at this often.
const KEYS_EVERY: Duration = Duration::from_secs(1);
/// An orderly stop takes at most this long per part.
const STOP_WITHIN: Duration = Duration::from_secs(4);

/// A running house.
pub struct Running {
    hub: Hub,
    broker: Broker,
    outside: Option<Outside>,
    posting: JoinHandle<()>,
    serving: JoinHandle<std::io::Result<()>>,
    stop: watch::Sender<bool>,
    /// What is listened on: kind (`http`, `mqtt`, `websocket`) and address.
    pub listeners: Vec<(String, SocketAddr)>,
}

/// Starts everything: memory, rules, broker, doors. Returns when all of them accept.
pub async fn start(config: &Config) -> Result<Running> {
    let clock = Clock::start();
    let catalogue = Arc::new(tools_folder::catalogue(config.catalog.as_deref())?);
    let (mut store, reader) = open_store(config)?;
    let identity = Arc::new(Identity::open(&config.data)?);
    let keys = Arc::new(PayloadKeys::open(&config.data)?);
    let elsewhere = config.outside()?;
    let mut loaded = store.load(clock.now_ms())?;
    let window = Window::restore(std::mem::take(&mut loaded.deliveries));
    let waiting = std::mem::take(&mut loaded.outgoing);
    let gone = Gone::default();
    let ledger = match &elsewhere {
        Some(_) => Some(Ledger::behind(&waiting, gone.clone())),
        // It was meant for a broker that is not used any more.
        None if waiting.is_empty() => None,
        None => store.commit(&[Save::OutgoingGone(waiting.iter().map(|row| row.n).collect())]).map(|()| None)?,
    };
    let waiting = if ledger.is_some() { waiting } else { Vec::new() };
    let memory = remember(loaded, &reader)?;
    // A broker elsewhere has kept what its devices said, and says itself who is there.
    let retained = if elsewhere.is_none() { retained(&memory, clock.now_ms()) } else { Vec::new() };
    let core = Core::new(catalogue, seed(), identity.signing_key(), memory, clock.now_ms());
    // The mind gets ready beside the start, so that the first complaint finds it awake.
    std::thread::spawn(crate::mind::wake);

    let web = TcpListener::bind(config.http).await.map_err(|error| port_taken(error, config.http, "--http"))?;
    let speedtest = match config.speedtest {
        Some(addr) => Some(TcpListener::bind(addr).await.map_err(|error| port_taken(error, addr, "speedtest"))?),
        None => None,
    };
    let (posts, outbox) = mpsc::channel(POSTS);
    let hub = Hub::start(core, window, Box::new(store), ledger, clock, posts, &config.data);
    let gate: Arc<dyn Gate> = Arc::new(HouseGate::new(hub.handle(), identity.clone(), keys.clone(), clock, config.limits.max_message_bytes));
    let broker = Broker::start(config.embedded(), gate).await.map_err(broker_failed)?;
    let handle = broker.handle();
    for (topic, payload) in retained {
        let said = keys.seal(Publish { topic, payload, qos: 1, retain: true, useful_ms: None }, clock.now_ms())?;
        handle.publish(&said.topic, said.payload, 1, true).await?;
    }
    let outside = elsewhere
        .map(|elsewhere| outside::connect(&elsewhere, hub.handle(), gone, &identity, keys.clone(), clock, config.limits.max_message_bytes))
        .transpose()?;
    let beyond = outside.as_ref().map(Outside::handle);
    tell_connections(&handle, clock.now_ms(), "connected").await;
    if let Some(beyond) = beyond.clone() {
        tokio::spawn(tell_of_the_broker(beyond, handle.clone(), clock));
    }
    tokio::spawn(renew(Arc::downgrade(&keys)));
    if let Some(beyond) = &beyond {
        // What the broker did not have yet when the server ended goes first.
        for row in waiting {
            send_beyond(beyond, keys.seal(row.publish, clock.now_ms())?, Some(row.n));
        }
    }
    let posting = tokio::spawn(post(outbox, handle.clone(), beyond.clone(), reader.clone(), keys.clone(), clock));

    let mut listeners = vec![("http".to_owned(), web.local_addr()?)];
    listeners.extend(broker.addresses().iter().map(|address| (kind(address.kind).to_owned(), address.addr)));
    let (stop, stopping) = watch::channel(false);
    if let Some(listener) = speedtest {
        listeners.push(("speedtest".to_owned(), listener.local_addr()?));
        let mut until = stopping.clone();
        tokio::spawn(async move {
            tokio::select! {
                ended = axum::serve(listener, http::speedtest_routes::<()>()) => tracing::warn!(?ended, "the port of the speed test is closed"),
                _ = until.wait_for(|stop| *stop) => {}
            }
        });
    }
    let house = Arc::new(House {
        hub: hub.handle(),
        reader,
        identity,
        keys,
        clock,
        broker: Some(handle),
        outside: beyond,
        listeners: listeners.clone(),
        data: config.data.clone(),
        stopping: stopping.clone(),
    });
    let mut until = stopping;
    let serving = tokio::spawn(async move {
        axum::serve(web, http::router(house))
            .with_graceful_shutdown(async move {
                let _ = until.wait_for(|stop| *stop).await;
            })
            .await
    });
    Ok(Running { hub, broker, outside, posting, serving, stop, listeners })
}

impl Running {
    /// The first address of a kind.
    pub fn address(&self, kind: &str) -> Option<SocketAddr> {
        self.listeners.iter().find(|(name, _)| name == kind).map(|(_, addr)| *addr)
    }

    /// The broker that is used instead of our own: host and port.
    pub fn outside_name(&self) -> Option<String> {
        self.outside.as_ref().map(|outside| outside.handle().name().to_owned())
    }

    /// The bound addresses as one JSON object.
    pub fn ready(&self) -> Value {
        json!({"ready": true, "pid": std::process::id(), "listeners": self.listeners.iter().map(|(kind, addr)| json!({"kind": kind, "address": addr.to_string()})).collect::<Vec<_>>()})
    }

    /// Stops in order: doors first, then clients, then the loop, which commits what is waiting.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        tell_connections(&self.broker.handle(), Clock::start().now_ms(), "disconnected").await;
        if tokio::time::timeout(STOP_WITHIN, self.serving).await.is_err() {
            tracing::warn!("some HTTP requests did not end in time");
        }
        self.broker.stop().await;
        if let Some(outside) = self.outside {
            say_state(&outside.handle(), Clock::start().now_ms(), "disconnected");
            outside.stop().await;
        }
        let hub = self.hub;
        let _ = tokio::time::timeout(STOP_WITHIN, tokio::task::spawn_blocking(move || hub.stop())).await;
        self.posting.abort();
    }
}

fn kind(kind: ListenerKind) -> &'static str {
    match kind {
        ListenerKind::Tcp => "mqtt",
        ListenerKind::WebSocket => "websocket",
    }
}

fn open_store(config: &Config) -> Result<(Sqlite, Reader)> {
    let store = Sqlite::open(&config.data, Options::default())?;
    let reader = store.reader();
    Ok((store, reader))
}

fn remember(loaded: Loaded, reader: &Reader) -> Result<Memory> {
    let living = loaded.sessions.iter().filter_map(|session| session.message_id.as_ref()).filter_map(|id| reader.message(id).transpose());
    Ok(Memory {
        living: living.collect::<Result<_, _>>()?,
        devices: loaded.devices,
        commands: loaded.commands,
        sessions: loaded.sessions,
        changesets: loaded.changesets,
        rooms: loaded.rooms,
        members: loaded.members,
        message_ids: loaded.message_ids.into_iter().map(|(_, id)| id).collect(),
        audit_ends: loaded.audit.into_iter().map(|end| (end.tenant, end.n, end.hash, end.head_n)).collect(),
        settings: loaded.settings.into_iter().collect(),
    })
}

/// Retained `attr`, `state` and `lwt` of all known devices, as they come back after a restart: nobody is connected yet.
fn retained(memory: &Memory, now_ms: i64) -> Vec<(String, Vec<u8>)> {
    let mut messages = Vec::new();
    for device in &memory.devices {
        let topic = |tail| Topic::Device(device.key.clone(), tail).to_string();
        let offline = json!({"schema": "lwt/1.0", "ts": now_ms, "status": "offline", "last_seen": device.last_seen_ms, "reason": "server_restart"});
        messages.push((topic(DeviceTail::Lwt), offline.to_string().into_bytes()));
        let said = [(DeviceTail::Attr, &device.attr), (DeviceTail::State, &device.state)];
        messages.extend(said.into_iter().filter(|(_, value)| !value.is_null()).map(|(tail, value)| (topic(tail), value.to_string().into_bytes())));
    }
    messages
}

async fn tell_connections(handle: &BrokerHandle, now_ms: i64, status: &str) {
    for (topic, detail) in [("connection/ai-core", Some("rules")), ("connection/system", None)] {
        let payload = outside::state(now_ms, status, detail.map(str::to_owned));
        if let Err(error) = handle.publish(topic, payload, 1, true).await {
            tracing::warn!(%error, topic, "the state could not be published");
        }
    }
}

/// Tells the broker elsewhere how we are.
fn say_state(outside: &OutsideHandle, now_ms: i64, status: &str) {
    for (topic, detail) in [("connection/ai-core", Some("rules")), ("connection/system", None)] {
        if let Err(limit) = outside.publish(topic, outside::state(now_ms, status, detail.map(str::to_owned)), 1, true) {
            tracing::error!("{limit}");
        }
    }
}

/// The console learns when the broker goes away and comes back; the broker's clients learn that we are there.
async fn tell_of_the_broker(outside: OutsideHandle, console: BrokerHandle, clock: Clock) {
    let mut changes = outside.watch();
    let mut told = None;
    loop {
        let status = changes.borrow_and_update().clone();
        if told != Some(status.connected) {
            told = Some(status.connected);
            let (word, detail) = if status.connected { ("connected", None) } else { ("degraded", Some(outside::trouble(outside.name(), &status))) };
            if status.connected {
                say_state(&outside, clock.now_ms(), "connected");
            }
            if let Err(error) = console.publish("connection/system", outside::state(clock.now_ms(), word, detail), 1, true).await {
                tracing::warn!(%error, "the console could not be told of the broker");
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Takes up changes of the devices' keys for as long as somebody uses them.
async fn renew(keys: Weak<PayloadKeys>) {
    let mut every = tokio::time::interval(KEYS_EVERY);
    loop {
        every.tick().await;
        let Some(keys) = keys.upgrade() else { return };
        match keys.renew() {
            Ok(None) => {}
            Ok(Some(devices)) => tracing::info!(devices, "the devices' keys were read anew"),
            Err(error) => tracing::error!("{error:#}; the devices' keys stay as they were"),
        }
    }
}

async fn post(mut outbox: mpsc::Receiver<Post>, handle: BrokerHandle, outside: Option<OutsideHandle>, reader: Reader, keys: Arc<PayloadKeys>, clock: Clock) {
    while let Some(post) = outbox.recv().await {
        let publish = match post {
            Post::Publish(publish, kept) => Some((publish, kept)),
            history => {
                let reader = reader.clone();
                tokio::task::spawn_blocking(move || history.publish(&reader)).await.ok().flatten()
            }
        };
        let Some((publish, kept)) = publish else { continue };
        let publish = match keys.seal(publish, clock.now_ms()) {
            Ok(publish) => publish,
            Err(error) => {
                tracing::error!(%error, "a command could not be encrypted, and was not sent");
                continue;
            }
        };
        if let Some(outside) = &outside {
            send_beyond(outside, publish.clone(), kept);
        }
        let Publish { topic, payload, qos, retain, useful_ms } = publish;
        let time = useful_ms.map(Duration::from_millis);
        if let Err(error) = handle.publish_for(&topic, payload, qos, retain, time).await {
            tracing::error!(%error, topic, "a message could not be published");
        }
    }
}

fn send_beyond(outside: &OutsideHandle, publish: Publish, kept: Option<u64>) {
    let Publish { topic, payload, qos, retain, useful_ms } = publish;
    let sent = match kept {
        Some(n) => outside.publish_kept(&topic, payload, qos, retain, n),
        None => outside.publish_for(&topic, payload, qos, retain, useful_ms.map(Duration::from_millis)),
    };
    if let Err(limit) = sent {
        tracing::error!("{limit}");
    }
}

fn broker_failed(error: BrokerError) -> anyhow::Error {
    let code = if matches!(error, BrokerError::AddressTaken { .. }) { "E_PORT_TAKEN: " } else { "" };
    anyhow::Error::from(error).context(format!("{code}the broker did not start"))
}

fn port_taken(error: std::io::Error, addr: SocketAddr, flag: &str) -> anyhow::Error {
    if error.kind() == std::io::ErrorKind::AddrInUse {
        anyhow::anyhow!("E_PORT_TAKEN: {addr} is taken by another program; stop that one, or choose another address with {flag}")
    } else {
        anyhow::anyhow!("cannot listen on {addr}: {error}; choose another address with {flag}")
    }
}

/// Writes the ready line for scripts that wait.
pub fn write_ready(path: &Path, running: &Running) -> Result<()> {
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, running.ready().to_string() + "\n").with_context(|| format!("cannot write {}", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Waits for SIGTERM or Ctrl-C.
pub async fn until_stopped() -> Result<()> {
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}
