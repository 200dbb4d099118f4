//! The broker as the house holds it: started, spoken through, stopped.

use crate::config::{BrokerConfig, ListenerKind};
use crate::engine::{Engine, own_publish};
use crate::error::BrokerError;
use crate::gate::Gate;
use crate::listener::{accept, bind};
use crate::packet::{reason, topic_fits};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

const STOP_WITHIN: Duration = Duration::from_secs(4);

/// An address that the broker really listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// With the port that the system chose, if it was left to it.
    pub addr: SocketAddr,
    /// What is served there.
    pub kind: ListenerKind,
}

/// A running broker. Dropping it ends it without waiting; [`Broker::stop`] waits.
pub struct Broker {
    engine: Arc<Engine>,
    addresses: Vec<Address>,
    doors: Vec<JoinHandle<JoinSet<()>>>,
    sweeper: JoinHandle<()>,
    gone: mpsc::Receiver<()>,
}

impl Broker {
    /// Binds every listener and begins to accept.
    ///
    /// # Errors
    ///
    /// When there is no listener, or one of them cannot be bound; then none is.
    pub async fn start(config: BrokerConfig, gate: Arc<dyn Gate>) -> Result<Self, BrokerError> {
        if config.listeners.is_empty() {
            return Err(BrokerError::NoListener);
        }
        let bound = bind(&config.listeners).await?;
        let addresses = bound.iter().map(|bound| bound.address).collect();
        let engine = Arc::new(Engine::new(&config, gate));
        let places = Arc::new(Semaphore::new(config.limits.max_connections.min(Semaphore::MAX_PERMITS)));
        let (alive, gone) = mpsc::channel(1);
        let doors = bound
            .into_iter()
            .map(|bound| {
                let shutdown = engine.shutdown.subscribe();
                let (engine, places) = (Arc::clone(&engine), Arc::clone(&places));
                tokio::spawn(accept(bound, engine, places, alive.clone(), shutdown))
            })
            .collect();
        let sweeping = Arc::clone(&engine);
        Ok(Self { engine, addresses, doors, sweeper: tokio::spawn(async move { sweeping.sweep().await }), gone })
    }

    /// Where the broker listens, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// A handle that can be kept anywhere and cloned.
    #[must_use]
    pub fn handle(&self) -> BrokerHandle {
        BrokerHandle(Arc::clone(&self.engine))
    }

    /// See [`BrokerHandle::publish`].
    ///
    /// # Errors
    ///
    /// When the topic or the quality of service is none.
    pub async fn publish(&self, topic: &str, payload: impl Into<Bytes>, qos: u8, retain: bool) -> Result<(), BrokerError> {
        self.handle().publish(topic, payload, qos, retain).await
    }

    /// See [`BrokerHandle::disconnect`].
    pub async fn disconnect(&self, client_id: &str) -> bool {
        self.handle().disconnect(client_id).await
    }

    /// Stops in order within five seconds: no new clients, then each client is told (MQTT 5: 0x8B) and its will goes
    /// through the gate, then the sockets are closed. What does not end by itself is ended.
    pub async fn stop(mut self) {
        let deadline = Instant::now() + STOP_WITHIN;
        self.engine.shared.begin_stopping();
        let _ = self.engine.shutdown.send(());
        self.sweeper.abort();
        for door in std::mem::take(&mut self.doors) {
            let Ok(mut clients) = door.await else {
                continue;
            };
            let all_gone = async { while clients.join_next().await.is_some() {} };
            if timeout_at(deadline, all_gone).await.is_err() {
                tracing::warn!(clients = clients.len(), "clients that did not end in time");
                clients.shutdown().await;
            }
        }
        let _ = timeout_at(deadline, self.gone.recv()).await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.engine.shared.begin_stopping();
        let _ = self.engine.shutdown.send(());
        self.sweeper.abort();
    }
}

/// The broker for those who speak through it.
#[derive(Clone)]
pub struct BrokerHandle(Arc<Engine>);

impl BrokerHandle {
    /// Sends a message of the house itself: it is routed and retained, and does not pass [`Gate::publish`]. Slow
    /// clients are not waited for.
    ///
    /// # Errors
    ///
    /// When the topic or the quality of service is none.
    pub async fn publish(&self, topic: &str, payload: impl Into<Bytes>, qos: u8, retain: bool) -> Result<(), BrokerError> {
        self.publish_for(topic, payload, qos, retain, None).await
    }

    /// [`Self::publish`], and sessions that are away drop the message when they were not back within `time` (whole seconds, at least one).
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn publish_for(&self, topic: &str, payload: impl Into<Bytes>, qos: u8, retain: bool, time: Option<Duration>) -> Result<(), BrokerError> {
        if !mqtt5::is_valid_topic_name(topic) || !topic_fits(topic, &self.0.shared.limits) {
            let topic = topic.to_owned();
            return Err(BrokerError::TopicInvalid { topic });
        }
        if qos > 2 {
            return Err(BrokerError::QosInvalid { qos });
        }
        let publish = own_publish(topic, payload.into(), qos, retain, time);
        self.0.shared.route(&publish, None).await;
        Ok(())
    }

    /// Ends a client's connection (MQTT 5: 0x98); its will is published. False when it is not connected.
    pub async fn disconnect(&self, client_id: &str) -> bool {
        let connection = self.0.shared.connection(client_id);
        if let Some(connection) = &connection {
            connection.kick(reason::ADMINISTRATIVE);
        }
        connection.is_some()
    }

    /// Whether this client is connected now.
    #[must_use]
    pub fn is_connected(&self, client_id: &str) -> bool {
        self.0.shared.connection(client_id).is_some()
    }

    /// How many clients are connected now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.shared.connection_count()
    }
}
