//! The exchange when it is somebody else's: a client on an existing broker that acknowledges only what the house has stored.

mod backlog;
mod driver;
mod handshake;
mod line;
mod profile;
mod stream;

pub use profile::{Limit, Profile};
pub use stream::{Dial, Stream, TcpDial};

use crate::gate::{ProtocolVersion, Will};
use backlog::{Backlog, Outgoing};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// An orderly end takes at most this long.
const STOP_WITHIN: Duration = Duration::from_secs(4);

/// A message as the broker handed it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Where it was published.
    pub topic: String,
    /// What it says; of a message over [`OutsideConfig::max_packet_bytes`] only its first 4 KiB.
    pub payload: Bytes,
    /// How long the payload really is, in bytes.
    pub bytes: usize,
    /// Its packet identifier; 0 at QoS 0, where nothing is acknowledged.
    pub packet_id: u16,
    /// Whether it was handed over before: the broker says so (DUP), or it was offered to the house already.
    pub again: bool,
    /// Whether the broker kept it from before the subscription (retained).
    pub kept: bool,
}

/// The house's side: what becomes of a message, and what it is told of the connection.
pub trait Inbox: Send + Sync + 'static {
    /// Takes a message without waiting. `None`: not now; the same message is offered again, and nothing after it before.
    /// The receiver tells `true` once the message is stored; only then is it acknowledged. `false` or nothing: it is
    /// offered again, marked so.
    fn offer(&self, arrived: &Arrived) -> Option<oneshot::Receiver<bool>>;

    /// The broker let us in. `resumed`: it had kept our session, so packet identifiers mean what they meant.
    fn greeted(&self, resumed: bool);

    /// Every subscription is answered; messages go both ways.
    fn up(&self);

    /// The connection is lost, or could not be made.
    fn down(&self, why: &str);

    /// A message with a number ([`OutsideHandle::publish_kept`]) is with the broker, or is given up.
    fn gone(&self, n: u64);
}

/// How the house connects to a broker that is not its own.
#[derive(Clone)]
pub struct OutsideConfig {
    /// Makes the byte stream.
    pub dial: Arc<dyn Dial>,
    /// The broker for people: host and port.
    pub name: String,
    /// Always the same, or the broker does not find the session again.
    pub client_id: String,
    /// User name, when the broker asks for one.
    pub username: Option<String>,
    /// Password, when the broker asks for one.
    pub password: Option<Vec<u8>>,
    /// A silent loss is noticed within one and a half of this time.
    pub keep_alive: Duration,
    /// How long the broker keeps our session while we are away.
    pub session_expiry: Duration,
    /// At most so many messages are handed over and not yet acknowledged.
    pub receive_maximum: u16,
    /// Largest packet read whole, in bytes.
    pub max_packet_bytes: usize,
    /// What is subscribed to, in order; the last is answered last.
    pub filters: Vec<String>,
    /// What the broker says when we vanish.
    pub will: Option<Will>,
    /// What this kind of broker can do.
    pub profile: Profile,
}

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideStatus {
    /// Whether messages go both ways now.
    pub connected: bool,
    /// The protocol of the last connection that was made.
    pub version: Option<ProtocolVersion>,
    /// Since when it is connected or away, in Unix milliseconds.
    pub since_ms: i64,
    /// Why it is away; empty while connected.
    pub why: String,
    /// Whether the broker had kept the session at the last connection.
    pub resumed: bool,
    /// Subscriptions that the broker refused.
    pub refused_filters: Vec<String>,
}

/// What went through the connection since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutsideCounts {
    /// Messages handed over by the broker, each time counted.
    pub received: u64,
    /// Of these, those that the broker marked as handed over before.
    pub redelivered: u64,
    /// Messages that the broker acknowledged, or that were sent at QoS 0.
    pub published: u64,
    /// Messages that were dropped because too many waited.
    pub dropped: u64,
    /// Messages that the broker refused, or that are over its limits.
    pub refused: u64,
    /// Connections made.
    pub connections: u64,
}

#[derive(Default)]
struct Counters {
    received: AtomicU64,
    redelivered: AtomicU64,
    published: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    connections: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

struct Shared {
    config: OutsideConfig,
    inbox: Arc<dyn Inbox>,
    backlog: Backlog,
    status: watch::Sender<OutsideStatus>,
    counters: Counters,
    stop: watch::Sender<bool>,
}

impl Shared {
    fn gone(&self, kept: Option<u64>) {
        if let Some(n) = kept {
            self.inbox.gone(n);
        }
    }

    fn tell(&self, change: impl FnOnce(&mut OutsideStatus)) {
        self.status.send_modify(|status| {
            let before = status.connected;
            change(status);
            if before != status.connected {
                status.since_ms = now_ms();
            }
        });
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The connection to a broker that is not ours; it is made again for ever.
pub struct Outside {
    shared: Arc<Shared>,
    driver: JoinHandle<()>,
}

impl Outside {
    /// Begins to connect. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the configuration is beyond what this kind of broker takes.
    pub fn start(config: OutsideConfig, inbox: Arc<dyn Inbox>) -> Result<Self, Limit> {
        config.profile.check_client_id(&config.client_id)?;
        for filter in &config.filters {
            config.profile.check_filter(filter)?;
        }
        let away =
            OutsideStatus { connected: false, version: None, since_ms: now_ms(), why: "not connected yet".into(), resumed: false, refused_filters: Vec::new() };
        let (status, stop) = (watch::Sender::new(away), watch::Sender::new(false));
        let shared = Arc::new(Shared { config, inbox, backlog: Backlog::default(), status, counters: Counters::default(), stop });
        Ok(Self { driver: tokio::spawn(driver::drive(shared.clone())), shared })
    }

    /// A handle that can be kept anywhere and cloned.
    #[must_use]
    pub fn handle(&self) -> OutsideHandle {
        OutsideHandle(self.shared.clone())
    }

    /// Sends what waits, as far as it goes within seconds, and says goodbye. The broker keeps the session.
    pub async fn stop(self) {
        self.shared.stop.send_replace(true);
        let mut driver = self.driver;
        if tokio::time::timeout(STOP_WITHIN, &mut driver).await.is_err() {
            tracing::warn!(waiting = self.shared.backlog.len(), "the broker did not take everything in time");
            driver.abort();
        }
    }
}

/// The connection for those who speak through it.
#[derive(Clone)]
pub struct OutsideHandle(Arc<Shared>);

impl OutsideHandle {
    /// Puts a message behind those that wait; it is sent with QoS 1 until the broker acknowledges it, also over lost
    /// connections. When 10,000 wait, the oldest goes.
    ///
    /// # Errors
    /// When the message is beyond what this kind of broker takes; it is counted as refused.
    pub fn publish(&self, topic: &str, payload: impl Into<Bytes>, qos: u8, retain: bool) -> Result<(), Limit> {
        self.put(topic, payload.into(), qos, retain, None, None)
    }

    /// [`Self::publish`]; the house is told the number when the broker has acknowledged the message, or it is given up.
    ///
    /// # Errors
    /// The same; the house is told as well.
    pub fn publish_kept(&self, topic: &str, payload: impl Into<Bytes>, qos: u8, retain: bool, n: u64) -> Result<(), Limit> {
        self.put(topic, payload.into(), qos, retain, None, Some(n))
    }

    /// [`Self::publish`], and the message is dropped, here or by a broker of MQTT 5, when it was not delivered within `time`.
    ///
    /// # Errors
    /// The same.
    pub fn publish_for(&self, topic: &str, payload: impl Into<Bytes>, qos: u8, retain: bool, time: Option<Duration>) -> Result<(), Limit> {
        self.put(topic, payload.into(), qos, retain, time, None)
    }

    fn put(&self, topic: &str, payload: Bytes, qos: u8, retain: bool, time: Option<Duration>, kept: Option<u64>) -> Result<(), Limit> {
        let retain = retain && self.0.config.profile.keeps(payload.len());
        if let Err(limit) = self.0.config.profile.check_publish(topic, payload.len(), qos) {
            count(&self.0.counters.refused);
            self.0.gone(kept);
            return Err(limit);
        }
        let message = Outgoing { topic: topic.into(), payload, qos: qos.min(1), retain, until: time.map(|time| Instant::now() + time), kept };
        if let Some(dropped) = self.0.backlog.push(message) {
            self.0.gone(dropped.kept);
            count(&self.0.counters.dropped);
            if self.0.counters.dropped.load(Ordering::Relaxed).is_power_of_two() {
                tracing::warn!(broker = self.0.config.name, "too many messages wait for the broker; the oldest is dropped");
            }
        }
        Ok(())
    }

    /// How the connection stands.
    #[must_use]
    pub fn status(&self) -> OutsideStatus {
        self.0.status.borrow().clone()
    }

    /// Tells of every change of the connection.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<OutsideStatus> {
        self.0.status.subscribe()
    }

    /// The broker for people: host and port.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.config.name
    }

    /// What this kind of broker can do.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.0.config.profile
    }

    /// How many messages wait to be sent.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.backlog.len()
    }

    /// What went through since the start.
    #[must_use]
    pub fn counts(&self) -> OutsideCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.0.counters;
        OutsideCounts {
            received: read(&counters.received),
            redelivered: read(&counters.redelivered),
            published: read(&counters.published),
            dropped: read(&counters.dropped),
            refused: read(&counters.refused),
            connections: read(&counters.connections),
        }
    }
}
