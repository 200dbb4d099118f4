//! The handle: publish, subscribe, close.

use crate::config::LinkConfig;
use crate::drive;
use crate::error::LinkError;
use crate::events::{EventQueue, Events, LinkEvent};
use crate::message::{Message, Qos};
use crate::outgoing::{Outgoing, PublishHandle, send_all};
use bytes::Bytes;
use rumqttc::AsyncClient;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Where the connection stands. `Connected` comes before `Up`: the broker answered, subscriptions are not yet granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Down,
    Connected,
    Up,
    Closed,
}

/// What the handle and the tasks behind it share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: LinkConfig,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) filters: Mutex<BTreeMap<String, Qos>>,
    pub(crate) events: Arc<EventQueue>,
    pub(crate) closing: watch::Sender<bool>,
    broker_limit: AtomicUsize,
    /// Rises with each lost connection.
    losses: AtomicU64,
}

impl Shared {
    pub(crate) fn packet_limit(&self) -> usize {
        self.config.max_packet_bytes.min(self.broker_limit.load(Ordering::Relaxed))
    }

    pub(crate) fn accept_limit(&self, bytes: Option<u32>) {
        self.broker_limit.store(bytes.map_or(usize::MAX, |bytes| bytes as usize), Ordering::Relaxed);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let moved = *now != Phase::Closed && std::mem::replace(now, phase) != phase;
            if moved && phase == Phase::Down {
                self.losses.fetch_add(1, Ordering::Release);
            }
            moved
        });
    }

    pub(crate) async fn wait_up(&self) -> Result<(), LinkError> {
        let mut phase = self.phase.subscribe();
        let reached = phase.wait_for(|phase| *phase >= Phase::Up).await.map(|phase| *phase);
        if matches!(reached, Ok(Phase::Up)) { Ok(()) } else { Err(LinkError::Closed) }
    }

    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    pub(crate) fn filters(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Qos>> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Told the fate of one message.
type Done = oneshot::Sender<Result<(), LinkError>>;

/// An MQTT 5 connection that is made again for ever when it is lost.
///
/// Clones share the connection. It ends with [`Link::close`], or when the last clone is dropped (then without a goodbye,
/// so the will is sent).
#[derive(Debug, Clone)]
pub struct Link {
    shared: Arc<Shared>,
    client: AsyncClient,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    places: Arc<Semaphore>,
    driver: Arc<Driver>,
}

#[derive(Debug)]
struct Driver(Mutex<Option<JoinHandle<()>>>, Arc<EventQueue>);

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(driver) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            driver.abort();
        }
        self.1.close();
    }
}

impl Link {
    /// Starts connecting in the background. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// Only a configuration that cannot be used; a broker that is away is no error, but an event.
    pub fn connect(config: LinkConfig) -> Result<(Self, Events), LinkError> {
        let (client, eventloop) = AsyncClient::builder(config.options()?).capacity(256).build();
        let events = Arc::new(EventQueue::new(config.event_queue));
        let places = Arc::new(Semaphore::new(config.queue));
        let shared = Arc::new(Shared {
            config,
            phase: watch::Sender::new(Phase::Down),
            filters: Mutex::default(),
            events: events.clone(),
            closing: watch::Sender::new(false),
            broker_limit: AtomicUsize::new(usize::MAX),
            losses: AtomicU64::new(0),
        });
        let (outgoing, waiting) = mpsc::unbounded_channel();
        tokio::spawn(send_all(waiting, client.clone(), shared.clone()));
        let driver = tokio::spawn(drive::drive(eventloop, client.clone(), shared.clone()));
        let driver = Arc::new(Driver(Mutex::new(Some(driver)), events.clone()));
        Ok((Self { shared, client, outgoing, places, driver }, Events(events)))
    }

    /// Whether the broker is there and every subscription granted.
    pub fn is_up(&self) -> bool {
        *self.shared.phase.borrow() == Phase::Up
    }

    /// Sends a message, without waiting. Awaiting the handle means: the broker acknowledged it.
    ///
    /// A message of QoS 1 or 2 waits while the broker is away and is repeated until it is acknowledged; at most
    /// [`LinkConfig::queue`] messages wait, further ones end with [`LinkError::Full`]. A message of QoS 0 is not kept.
    /// Messages of one link leave in the order of the calls.
    pub fn publish(&self, topic: impl Into<String>, payload: impl Into<Bytes>, qos: Qos, retain: bool) -> PublishHandle {
        self.start(Message { topic: topic.into(), payload: payload.into(), qos, retain }, None)
    }

    /// Which connection stands, or stood last: the number of those that were lost before it.
    pub fn connection(&self) -> u64 {
        self.shared.losses()
    }

    /// Like [`Link::publish`], but over one connection only ([`Link::connection`]): a message whose connection or session is lost
    /// before the acknowledgement ends with [`LinkError::SessionLost`] instead of going again by itself: for whoever keeps the
    /// messages and sends them again in order.
    pub fn publish_once(&self, message: Message, connection: u64) -> PublishHandle {
        self.start(message, Some(connection))
    }

    fn start(&self, message: Message, once: Option<u64>) -> PublishHandle {
        let (done, handle) = oneshot::channel();
        if let Err((done, error)) = self.admit(message, done, once) {
            // The receiver is in our hand; it cannot be gone.
            let _ = done.send(Err(error));
        }
        PublishHandle(handle)
    }

    fn admit(&self, message: Message, done: Done, once: Option<u64>) -> Result<(), (Done, LinkError)> {
        let limit = self.shared.config.max_packet_bytes;
        if *self.shared.closing.borrow() {
            return Err((done, LinkError::Closed));
        }
        if message.topic.is_empty() || message.topic.contains(['+', '#', '\0']) {
            return Err((done, LinkError::Topic(message.topic)));
        }
        if message.packet_bytes() > limit {
            return Err((done, LinkError::TooLarge { bytes: message.packet_bytes(), topic: message.topic, limit }));
        }
        if message.qos == Qos::AtMostOnce && !self.is_up() {
            return Err((done, LinkError::Down));
        }
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return Err((done, LinkError::full(&self.shared.config)));
        };
        self.outgoing.send(Outgoing { message, done, place, once }).map_err(|refused| (refused.0.done, LinkError::Closed))
    }

    /// Subscribes to a filter now and after every reconnect. A refusal by the broker is logged.
    pub fn subscribe(&self, filter: impl Into<String>, qos: Qos) {
        let filter = filter.into();
        self.shared.filters().insert(filter.clone(), qos);
        let phase = *self.shared.phase.borrow();
        if matches!(phase, Phase::Connected | Phase::Up) {
            let client = self.client.clone();
            tokio::spawn(async move {
                if let Err(error) = drive::subscribe(&client, vec![(filter, qos)]).await {
                    tracing::warn!(%error, "subscription failed");
                }
            });
        }
    }

    /// The largest packet that can be sent now, in bytes: the smaller of our limit and the broker's.
    pub fn packet_limit(&self) -> usize {
        self.shared.packet_limit()
    }

    /// How many messages wait for their acknowledgement.
    pub fn waiting(&self) -> usize {
        self.shared.config.queue - self.places.available_permits()
    }

    /// Takes no more messages, waits up to `patience` until those on their way are acknowledged, says goodbye (so that
    /// the will is not sent) and ends the link.
    pub async fn close(&self, patience: Duration) {
        if self.shared.closing.send_replace(true) {
            return;
        }
        if self.is_up() {
            let all = u32::try_from(self.shared.config.queue).unwrap_or(u32::MAX);
            if tokio::time::timeout(patience, self.places.acquire_many(all)).await.is_err() {
                tracing::warn!(waiting = self.waiting(), "closing before every message was acknowledged");
            }
        }
        let driver = self.driver.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut driver) = driver {
            // A link that is not connected has nobody to say goodbye to.
            let goodbye = *self.shared.phase.borrow() != Phase::Down && self.client.disconnect_with_timeout(Duration::from_secs(1)).await.is_ok();
            if !goodbye || tokio::time::timeout(Duration::from_secs(2), &mut driver).await.is_err() {
                driver.abort();
            }
        }
        self.shared.enter(Phase::Closed);
        self.shared.events.push(LinkEvent::Down { why: "closed".into() });
        self.shared.events.close();
    }
}
