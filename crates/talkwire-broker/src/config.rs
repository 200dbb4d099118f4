//! What the broker listens on and the bounds it keeps.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Everything a [`Broker`](crate::Broker) needs to know before it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfig {
    /// Where clients connect; at least one.
    pub listeners: Vec<Listener>,
    /// The bounds of everything that a client could make grow.
    pub limits: Limits,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        let loopback = |port, kind| Listener { addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), kind };
        Self {
            listeners: vec![loopback(1883, ListenerKind::Tcp), loopback(8884, ListenerKind::Tcp), loopback(8885, ListenerKind::WebSocket)],
            limits: Limits::default(),
        }
    }
}

/// One address with what is spoken on it; MQTT 3.1.1 and 5 both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// The address; port 0 lets the system choose, see [`Broker::addresses`](crate::Broker::addresses).
    pub addr: SocketAddr,
    /// Plain TCP or WebSocket.
    pub kind: ListenerKind,
}

impl Listener {
    /// A plain TCP listener.
    #[must_use]
    pub fn tcp(addr: SocketAddr) -> Self {
        Self { addr, kind: ListenerKind::Tcp }
    }

    /// A WebSocket listener, served at `/` and `/mqtt` with the subprotocol `mqtt`.
    #[must_use]
    pub fn web_socket(addr: SocketAddr) -> Self {
        Self { addr, kind: ListenerKind::WebSocket }
    }
}

/// How MQTT packets travel on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// Straight on the TCP stream.
    Tcp,
    /// In binary WebSocket frames, at `/` and `/mqtt`.
    WebSocket,
}

/// The bounds of the broker, each one set on purpose.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Largest whole packet: a payload of 256 KiB and 2 KiB for its header and properties.
    pub max_packet_bytes: usize,
    /// Largest CONNECT packet; all that a stranger may make the broker keep.
    pub max_connect_bytes: usize,
    /// Sockets at once, those that have not sent CONNECT included.
    pub max_connections: usize,
    /// Unfinished QoS 1 and 2 publishes of one client: the receive maximum, and how many wait at the gate at once.
    pub max_inflight: u16,
    /// Unfinished QoS 1 and 2 deliveries to one client.
    pub max_outbound_inflight: u16,
    /// Longest topic name or filter (PROTOCOL.md §1).
    pub max_topic_bytes: usize,
    /// Most levels in a topic name or filter.
    pub max_topic_levels: usize,
    /// Longest client identifier.
    pub max_client_id_bytes: usize,
    /// Subscriptions of one client.
    pub max_subscriptions: usize,
    /// Messages waiting on the way to one connected client before QoS 0 is dropped and QoS 1 goes to its queue.
    pub max_lane: usize,
    /// Messages kept for one session; the oldest leave first.
    pub max_queued_per_session: usize,
    /// Bytes kept for one session.
    pub max_queued_bytes: usize,
    /// Sessions that outlive their connection, altogether.
    pub max_sessions: usize,
    /// Retained messages altogether.
    pub max_retained: usize,
    /// From the accepted socket to the complete CONNECT packet.
    pub connect_timeout: Duration,
    /// A client that takes no byte of what is sent to it for so long is gone.
    pub stall_timeout: Duration,
    /// Longest life of a session without a connection.
    pub session_expiry_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_packet_bytes: (256 + 2) * 1024,
            max_connect_bytes: 16 * 1024,
            max_connections: 10_000,
            max_inflight: 64,
            max_outbound_inflight: 64,
            max_topic_bytes: 200,
            max_topic_levels: 32,
            max_client_id_bytes: 256,
            max_subscriptions: 1_000,
            max_lane: 256,
            max_queued_per_session: 1_000,
            max_queued_bytes: 8 * 1024 * 1024,
            max_sessions: 20_000,
            max_retained: 100_000,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(20),
            session_expiry_max: Duration::from_secs(24 * 3600),
        }
    }
}

impl Limits {
    /// The same with at least one of what nothing works without.
    pub(crate) fn usable(&self) -> Self {
        let mut usable = self.clone();
        usable.max_inflight = self.max_inflight.max(1);
        usable.max_outbound_inflight = self.max_outbound_inflight.max(1);
        usable.max_lane = self.max_lane.max(1);
        usable
    }
}
