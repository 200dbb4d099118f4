//! The MQTT engine behind the seam: sessions, subscriptions, retained messages and deliveries.

use crate::config::{BrokerConfig, Limits};
use crate::connection::{CURRENT, Connection, Identity, lock};
use crate::gate::{ConnectRefusal, ConnectRequest, ConnectVerdict, DisconnectCause, Gate, Publish, PublishRefusal, PublishVerdict, Will};
use crate::packet::topic_fits;
use bytes::Bytes;
use mqtt5::broker::auth::{AuthProvider, AuthResult};
use mqtt5::broker::client_handler::ClientHandler;
use mqtt5::broker::config::BrokerConfig as EngineConfig;
use mqtt5::broker::events::{
    BrokerEventHandler, ClientConnectEvent, ClientDisconnectEvent, ClientPublishEvent, ClientSubscribeEvent, ClientUnsubscribeEvent, PublishAction,
    SubAckReasonCode,
};
use mqtt5::broker::resource_monitor::{ResourceLimits, ResourceMonitor};
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::storage::{ClientSession, DynamicStorage, MemoryBackend, QueueLimits, StorageBackend};
use mqtt5::broker::sys_topics::BrokerStats;
use mqtt5::broker::transport::{BrokerTransport, WebSocketTransport};
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::packet::publish::PublishPacket;
use mqtt5::protocol::v5::reason_codes::ReasonCode;
use mqtt5::{QoS, WillMessage};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::Instant;

const SWEEP_EVERY: Duration = Duration::from_secs(30);
const ENGINE_MAX_CLIENT_ID: usize = 128;
/// Sessions whose unfinished QoS 2 identifiers are remembered while nobody is connected.
const MAX_HELD_SESSIONS: usize = 10_000;

/// What the connections share.
pub(crate) struct Shared {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) limits: Limits,
    router: Arc<MessageRouter>,
    storage: Arc<DynamicStorage>,
    /// Sessions that outlive their connection: counted at each sweep, estimated in between.
    sessions: AtomicUsize,
    connections: Mutex<HashMap<String, Arc<Connection>>>,
    delayed_wills: Mutex<HashMap<String, (WillMessage, Identity)>>,
    held: Mutex<HashMap<String, HashSet<u16>>>,
    stopping: AtomicBool,
    hashers: [RandomState; 2],
}

pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) shutdown: broadcast::Sender<()>,
    hooks: Arc<Hooks>,
    config: Arc<EngineConfig>,
    stats: Arc<BrokerStats>,
    monitor: Arc<ResourceMonitor>,
}

impl Engine {
    pub(crate) fn new(config: &BrokerConfig, gate: Arc<dyn Gate>) -> Self {
        let limits = config.limits.usable();
        let queues = || QueueLimits { max_messages: limits.max_queued_per_session, max_bytes: limits.max_queued_bytes };
        let backend = MemoryBackend::with_queue_limits(queues());
        let storage = Arc::new(DynamicStorage::Memory(backend));
        let router = MessageRouter::with_storage(Arc::clone(&storage))
            .with_fallback_queue_limits(queues())
            .with_retained_limits(limits.max_retained, limits.max_packet_bytes);
        let shared = Arc::new(Shared {
            gate,
            limits: limits.clone(),
            router: Arc::new(router),
            storage,
            sessions: AtomicUsize::new(0),
            connections: Mutex::default(),
            delayed_wills: Mutex::default(),
            held: Mutex::default(),
            stopping: AtomicBool::new(false),
            hashers: [RandomState::new(), RandomState::new()],
        });
        let hooks = Arc::new(Hooks(Arc::clone(&shared)));
        let events: Arc<dyn BrokerEventHandler> = hooks.clone();
        let engine_config = EngineConfig {
            bind_addresses: Vec::new(),
            max_clients: limits.max_connections,
            session_expiry_interval: limits.session_expiry_max,
            max_packet_size: limits.max_packet_bytes,
            // Aliases would have to be undone before the gate sees a topic; MQTT 5 lets a server offer none.
            topic_alias_maximum: 0,
            max_subscriptions_per_client: limits.max_subscriptions,
            max_retained_messages: limits.max_retained,
            max_retained_message_size: limits.max_packet_bytes,
            client_channel_capacity: limits.max_lane,
            max_outbound_inflight: limits.max_outbound_inflight,
            server_receive_maximum: Some(limits.max_inflight),
            sys_topics_enabled: false,
            event_handler: Some(events),
            ..EngineConfig::default()
        };
        let monitor = ResourceMonitor::new(ResourceLimits {
            max_connections: limits.max_connections,
            max_connections_per_ip: limits.max_connections,
            max_message_rate_per_client: 0,
            max_bandwidth_per_client: 0,
            max_connection_rate: u32::MAX,
            rate_limit_window: Duration::from_secs(1),
        });
        Self {
            shared,
            shutdown: broadcast::channel(1).0,
            hooks,
            config: Arc::new(engine_config),
            stats: Arc::new(BrokerStats::new()),
            monitor: Arc::new(monitor),
        }
    }

    /// Serves one admitted client until it is gone.
    pub(crate) async fn serve(&self, connection: Arc<Connection>, transport: impl WebSocketTransport + 'static, shutdown: broadcast::Receiver<()>) {
        let auth: Arc<dyn AuthProvider> = self.hooks.clone();
        let peer = connection.peer;
        let handler = ClientHandler::new(
            // The one kind of transport that may be anybody's; nothing in it is about WebSocket.
            BrokerTransport::WebSocket(Box::new(transport)),
            peer,
            Arc::clone(&self.config),
            Arc::clone(&self.shared.router),
            auth,
            Some(Arc::clone(&self.shared.storage)),
            Arc::clone(&self.stats),
            Arc::clone(&self.monitor),
            shutdown,
        );
        let outcome = CURRENT.scope(connection, handler.run()).await;
        if let Err(error) = outcome {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }

    /// Removes what expired, for ever; the caller aborts it.
    pub(crate) async fn sweep(&self) {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        loop {
            ticks.tick().await;
            let storage = &self.shared.storage;
            if let Err(error) = storage.cleanup_expired().await {
                tracing::warn!(%error, "expired messages stay a while longer");
            }
            self.shared.router.sweep_sessions().await;
            if let Ok(sessions) = storage.session_client_ids().await {
                self.shared.sessions.store(sessions.len(), Ordering::Release);
            }
        }
    }
}

impl Shared {
    /// Hands a message to its subscribers, never waiting for a slow one.
    pub(crate) async fn route(&self, publish: &PublishPacket, sender: Option<&str>) {
        self.router.route_message_with_deadline(publish, sender, Instant::now()).await;
    }

    /// What remains of `packet` after the verdict: the packet to route, if any.
    pub(crate) async fn settle(&self, mut packet: PublishPacket, verdict: PublishVerdict) -> Result<Option<PublishPacket>, PublishRefusal> {
        match verdict {
            PublishVerdict::Route => {}
            PublishVerdict::Swallow => return Ok(None),
            PublishVerdict::Refuse(refusal) => return Err(refusal),
            PublishVerdict::Rewrite { payload, topic, retain } => {
                packet.payload = payload;
                packet.retain = retain;
                if let Some(topic) = topic {
                    packet.topic_name = topic;
                }
            }
        }
        let keeps = packet.retain && !packet.payload.is_empty();
        if keeps && self.has_no_room_to_keep(packet.topic_name.clone()).await {
            return Err(PublishRefusal::QuotaExceeded);
        }
        Ok(Some(packet))
    }

    /// Asked in a task of its own: a checkpoint polls its publishes only while the engine reads, and a future that is not polled
    /// could be handed the engine's lock on the kept messages and hold it for ever, with every connection behind it.
    async fn has_no_room_to_keep(&self, topic: String) -> bool {
        let router = Arc::clone(&self.router);
        tokio::spawn(async move { router.retained_store_full(&topic).await }).await.unwrap_or(true)
    }

    /// Whether there is room for the session that this CONNECT would leave behind.
    async fn has_room_for(&self, connect: &ConnectPacket) -> bool {
        if ClientSession::expiry_from_connect(connect) == Some(0) {
            return true;
        }
        let known = self.storage.get_session(&connect.client_id).await;
        if matches!(known, Ok(Some(_))) {
            return true;
        }
        let count = self.sessions.fetch_add(1, Ordering::AcqRel);
        let room = count < self.limits.max_sessions;
        if !room {
            self.sessions.fetch_sub(1, Ordering::AcqRel);
        }
        room
    }

    async fn publish_will(&self, will: WillMessage, identity: Identity) {
        let mut packet = PublishPacket::new(will.topic, will.payload, will.qos);
        packet.retain = will.retain;
        will.properties.apply_to_publish_properties(&mut packet.properties);
        let verdict = self.gate.publish(gate_publish(&packet, &identity, true)).await;
        match self.settle(packet, verdict).await {
            Ok(Some(packet)) => self.route(&packet, None).await,
            Ok(None) => {}
            Err(refusal) => {
                tracing::info!(client = identity.client_id, ?refusal, "will refused");
            }
        }
    }

    /// The name under which the engine keeps a session: it takes at most 128 bytes and no slashes.
    pub(crate) fn session_name(&self, client_id: &str) -> String {
        let plain = client_id.len() <= ENGINE_MAX_CLIENT_ID
            && mqtt5::is_path_safe_client_id(client_id)
            && !client_id.starts_with(['~', '.'])
            && !client_id.starts_with("cert:");
        if plain {
            return client_id.to_owned();
        }
        let [a, b] = self.hashers.each_ref().map(|h| h.hash_one(client_id));
        format!("~{a:016x}{b:016x}")
    }

    pub(crate) fn remember_held(&self, session: &str, ids: HashSet<u16>) {
        let mut held = lock(&self.held);
        if !ids.is_empty() && held.len() < MAX_HELD_SESSIONS {
            held.insert(session.to_owned(), ids);
        }
    }

    pub(crate) fn recall_held(&self, session: &str) -> HashSet<u16> {
        lock(&self.held).remove(session).unwrap_or_default()
    }

    pub(crate) fn connection(&self, client_id: &str) -> Option<Arc<Connection>> {
        lock(&self.connections).get(client_id).cloned()
    }

    pub(crate) fn connection_count(&self) -> usize {
        lock(&self.connections).len()
    }

    pub(crate) fn begin_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn enter(&self, connection: &Arc<Connection>, identity: &Identity) {
        lock(&self.delayed_wills).remove(&identity.session);
        let older = lock(&self.connections).insert(identity.client_id.clone(), Arc::clone(connection));
        if let Some(older) = older {
            older.give_way_to(connection);
        }
    }

    pub(crate) fn forget(&self, connection: &Arc<Connection>) {
        let Some(identity) = connection.identity() else {
            return;
        };
        let mut connections = lock(&self.connections);
        if connections.get(&identity.client_id).is_some_and(|known| Arc::ptr_eq(known, connection)) {
            connections.remove(&identity.client_id);
        }
    }
}

/// The gate's view of a packet.
pub(crate) fn gate_publish(packet: &PublishPacket, identity: &Identity, is_will: bool) -> Publish {
    Publish {
        client_id: identity.client_id.clone(),
        principal: Some(identity.principal.clone()),
        topic: packet.topic_name.clone(),
        payload: packet.payload.clone(),
        qos: packet.qos as u8,
        retain: packet.retain,
        is_will,
    }
}

/// The packet of a message that the house itself sends.
pub(crate) fn own_publish(topic: &str, payload: Bytes, qos: u8, retain: bool, time: Option<Duration>) -> PublishPacket {
    let packet = PublishPacket::new(topic, payload, QoS::from(qos)).with_retain(retain);
    match time {
        Some(time) => packet.with_message_expiry_interval(crate::packet::expiry_seconds(time)),
        None => packet,
    }
}

/// The engine's questions and events, answered by the gate.
struct Hooks(Arc<Shared>);

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl AuthProvider for Hooks {
    fn authenticate<'a>(&'a self, connect: &'a ConnectPacket, _: SocketAddr) -> Answer<'a, mqtt5::Result<AuthResult>> {
        Box::pin(async move {
            let connection = CURRENT.get();
            let client_id = match connection.sent_id.as_str() {
                "" => connect.client_id.clone(),
                sent => sent.to_owned(),
            };
            let request = ConnectRequest {
                client_id: client_id.clone(),
                username: connect.username.clone(),
                password: connect.password.clone(),
                peer: connection.peer,
                will: connection.will.as_ref().map(gate_will),
                version: connection.version,
                clean_start: connect.clean_start,
                origin: connection.origin.clone(),
            };
            Ok(match self.0.gate.connect(request).await {
                ConnectVerdict::Accept { .. } if !self.0.has_room_for(connect).await => {
                    tracing::warn!(client_id, "refused: as many sessions as allowed");
                    AuthResult::fail(ReasonCode::QuotaExceeded)
                }
                ConnectVerdict::Accept { principal } => {
                    connection.identify(Identity { client_id, session: connect.client_id.clone(), principal: principal.clone() });
                    AuthResult::success_with_user(principal)
                }
                ConnectVerdict::Refuse(refusal) => AuthResult::fail(connect_reason(refusal)),
            })
        })
    }

    /// Publishes of a live connection have passed its checkpoint; what else asks is a will, which goes its own way.
    fn authorize_publish<'a>(&'a self, session: &str, _: Option<&'a str>, _: &'a str) -> Answer<'a, bool> {
        let will = match CURRENT.try_with(Arc::clone) {
            Ok(connection) if !connection.is_ending() => {
                return Box::pin(std::future::ready(true));
            }
            Ok(connection) => connection.will.clone().zip(connection.identity().cloned()),
            Err(_) => lock(&self.0.delayed_wills).remove(session),
        };
        Box::pin(async move {
            if let Some((will, identity)) = will {
                self.0.publish_will(will, identity).await;
            }
            false
        })
    }

    fn authorize_subscribe<'a>(&'a self, _: &str, _: Option<&'a str>, filter: &'a str) -> Answer<'a, bool> {
        let granted = CURRENT.try_with(|connection| {
            let Some(identity) = connection.identity() else {
                return false;
            };
            let bare = mqtt5::strip_shared_subscription_prefix(filter);
            filter.len() <= self.0.limits.max_topic_bytes + SHARE_ROOM
                && topic_fits(bare, &self.0.limits)
                && !filter.starts_with("$share//")
                && (self.0.gate).may_subscribe(&identity.client_id, &identity.principal, filter)
        });
        Box::pin(std::future::ready(granted.unwrap_or(false)))
    }

    /// The engine calls this when a connection has ended, before its will.
    fn cleanup_session<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        let _ = CURRENT.try_with(|connection| {
            connection.begin_ending();
            if let (Some(will), Some(identity)) = (&connection.will, connection.identity())
                && will.properties.will_delay_interval.unwrap_or(0) > 0
                // The newer connection has cancelled it.
                && connection.cause() != Some(DisconnectCause::TakenOver)
            {
                lock(&self.0.delayed_wills).insert(identity.session.clone(), (will.clone(), identity.clone()));
            }
        });
        Box::pin(std::future::ready(()))
    }
}

/// Room for `$share/GROUP/` beyond the filter itself.
const SHARE_ROOM: usize = 128;

impl BrokerEventHandler for Hooks {
    fn on_client_connect<'a>(&'a self, _: ClientConnectEvent) -> Answer<'a, ()> {
        self.with_identity(|connection, identity| {
            self.0.enter(connection, identity);
            self.0.gate.connected(&identity.client_id, &identity.principal);
        })
    }

    fn on_client_publish<'a>(&'a self, event: ClientPublishEvent) -> Answer<'a, PublishAction> {
        let publish = CURRENT.try_with(|connection| connection.take_publish());
        Box::pin(async move {
            if let Ok(Some(publish)) = publish {
                self.0.route(&publish, Some(&event.client_id)).await;
            }
            PublishAction::Handled
        })
    }

    fn on_client_subscribe<'a>(&'a self, event: ClientSubscribeEvent) -> Answer<'a, ()> {
        self.with_identity(|_, who| {
            for subscription in &event.subscriptions {
                let qos = match subscription.result {
                    SubAckReasonCode::GrantedQoS0 => 0,
                    SubAckReasonCode::GrantedQoS1 => 1,
                    SubAckReasonCode::GrantedQoS2 => 2,
                    _ => continue,
                };
                let filter = &subscription.topic_filter;
                (self.0.gate).subscribed(&who.client_id, &who.principal, filter, qos);
            }
        })
    }

    fn on_client_unsubscribe<'a>(&'a self, event: ClientUnsubscribeEvent) -> Answer<'a, ()> {
        self.with_identity(|_, who| {
            for filter in &event.topic_filters {
                (self.0.gate).unsubscribed(&who.client_id, &who.principal, filter);
            }
        })
    }

    fn on_client_disconnect<'a>(&'a self, event: ClientDisconnectEvent) -> Answer<'a, ()> {
        self.with_identity(|connection, who| {
            self.0.forget(connection);
            let cause = match connection.cause() {
                Some(cause) => cause,
                None if !event.unexpected => DisconnectCause::Clean,
                None if self.0.stopping.load(Ordering::Acquire) => DisconnectCause::Stopped,
                None => DisconnectCause::Lost,
            };
            (self.0.gate).disconnected(&who.client_id, &who.principal, cause);
        })
    }
}

impl Hooks {
    fn with_identity<'a>(&self, tell: impl FnOnce(&Arc<Connection>, &Identity)) -> Answer<'a, ()> {
        let _ = CURRENT.try_with(|connection| {
            if let Some(identity) = connection.identity() {
                tell(connection, identity);
            }
        });
        Box::pin(std::future::ready(()))
    }
}

fn gate_will(will: &WillMessage) -> Will {
    let delay = will.properties.will_delay_interval.unwrap_or(0);
    Will {
        topic: will.topic.clone(),
        payload: Bytes::copy_from_slice(&will.payload),
        qos: will.qos as u8,
        retain: will.retain,
        delay: Duration::from_secs(delay.into()),
    }
}

fn connect_reason(refusal: ConnectRefusal) -> ReasonCode {
    match refusal {
        ConnectRefusal::BadCredentials => ReasonCode::BadUsernameOrPassword,
        ConnectRefusal::NotAuthorized => ReasonCode::NotAuthorized,
        ConnectRefusal::ClientIdInvalid => ReasonCode::ClientIdentifierNotValid,
        ConnectRefusal::Banned => ReasonCode::Banned,
        ConnectRefusal::QuotaExceeded => ReasonCode::QuotaExceeded,
        ConnectRefusal::Unavailable => ReasonCode::ServerUnavailable,
    }
}
