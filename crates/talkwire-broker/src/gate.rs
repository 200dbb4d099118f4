//! The questions that the broker asks the house: who may connect, what may be read, what becomes of a message.

use bytes::Bytes;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

/// An owned future, as the gate's answers are.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// Decides about connections, subscriptions and messages.
///
/// `principal` is the opaque string of [`ConnectVerdict::Accept`]; it comes back on every later call about that client.
pub trait Gate: Send + Sync + 'static {
    /// A client asks to connect. CONNACK waits for the answer, at most the ten seconds that the handshake may take.
    fn connect(&self, request: ConnectRequest) -> BoxFuture<ConnectVerdict>;

    /// May the client hold this subscription? The whole filter is given, `$share/GROUP/` included; asked again when
    /// a session is resumed. Filters beyond the topic limits are refused before this is asked.
    fn may_subscribe(&self, client_id: &str, principal: &str, filter: &str) -> bool;

    /// May this message be handed to the client? Asked for each delivery: live, queued and retained.
    fn may_receive(&self, client_id: &str, principal: &str, topic: &str) -> bool {
        let _ = (client_id, principal, topic);
        true
    }

    /// A message arrived. It is neither routed nor acknowledged before the future resolves.
    ///
    /// Called in the order of arrival for one connection, without waiting for the earlier answers (up to
    /// `Limits::max_inflight` at once), so what must keep the order is done before the future is returned.
    /// A future that is dropped belongs to a connection that ended: the message was not acknowledged.
    fn publish(&self, publish: Publish) -> BoxFuture<PublishVerdict>;

    /// The client's connection stands.
    fn connected(&self, client_id: &str, principal: &str) {
        let _ = (client_id, principal);
    }

    /// A subscription was granted.
    fn subscribed(&self, client_id: &str, principal: &str, filter: &str, qos: u8) {
        let _ = (client_id, principal, filter, qos);
    }

    /// A subscription was given up.
    fn unsubscribed(&self, client_id: &str, principal: &str, filter: &str) {
        let _ = (client_id, principal, filter);
    }

    /// The connection ended; a will without delay has been through [`Gate::publish`] before. After
    /// [`DisconnectCause::TakenOver`] the same client id is already connected again.
    fn disconnected(&self, client_id: &str, principal: &str, cause: DisconnectCause) {
        let _ = (client_id, principal, cause);
    }
}

/// A client that asks to connect.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// As the client sent it, or as the broker made it up when the client sent none.
    pub client_id: String,
    /// The user name, if one was sent.
    pub username: Option<String>,
    /// The password, if one was sent.
    pub password: Option<Vec<u8>>,
    /// Where the connection comes from.
    pub peer: SocketAddr,
    /// The will that the client leaves with the broker.
    pub will: Option<Will>,
    /// The protocol that it speaks.
    pub version: ProtocolVersion,
    /// Whether it asks for a new session.
    pub clean_start: bool,
    /// The `Origin` of a browser; `None` on TCP and from programs.
    pub origin: Option<String>,
}

impl std::fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("peer", &self.peer)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolVersion {
    /// MQTT 3.1.1, on the wire level 4.
    V311,
    /// MQTT 5.
    V5,
}

/// The message that the broker publishes for a client that vanishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where it goes.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// With which quality of service, 0 to 2.
    pub qos: u8,
    /// Whether it is retained.
    pub retain: bool,
    /// How long after the end of the connection; zero in MQTT 3.1.1.
    pub delay: Duration,
}

/// The answer to a [`ConnectRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectVerdict {
    /// The client is let in.
    Accept {
        /// Who it is; empty is allowed. A session is resumed only by the principal that made it.
        principal: String,
    },
    /// The client is turned away.
    Refuse(ConnectRefusal),
}

/// Why a client is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectRefusal {
    /// User name or password wrong: 0x86, in MQTT 3.1.1 return code 4.
    BadCredentials,
    /// Not with this identity: 0x87, in MQTT 3.1.1 return code 5.
    NotAuthorized,
    /// This client identifier is not acceptable: 0x85, in MQTT 3.1.1 return code 2.
    ClientIdInvalid,
    /// Too many attempts: 0x8A, in MQTT 3.1.1 return code 5.
    Banned,
    /// A quota is used up: 0x97, in MQTT 3.1.1 return code 3.
    QuotaExceeded,
    /// Not now: 0x88, in MQTT 3.1.1 return code 3.
    Unavailable,
}

/// A message on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Who sends it.
    pub client_id: String,
    /// The principal of the sender.
    pub principal: Option<String>,
    /// Where it goes; within the limits, without wildcard and not starting with `$`.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// The quality of service it was sent with, 0 to 2.
    pub qos: u8,
    /// Whether it asks to be retained.
    pub retain: bool,
    /// Whether it is the will of a client that vanished.
    pub is_will: bool,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishVerdict {
    /// Route it as it is, then acknowledge.
    Route,
    /// Acknowledge without routing.
    Swallow,
    /// Neither route nor acknowledge as success. MQTT 5 is told the reason; an MQTT 3.1.1 connection, which has no
    /// words for it, is closed. A QoS 0 message disappears.
    Refuse(PublishRefusal),
    /// Route this in its place, then acknowledge.
    Rewrite {
        /// The payload to route.
        payload: Bytes,
        /// The topic to route to, if another one.
        topic: Option<String>,
        /// Whether to retain it.
        retain: bool,
    },
}

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishRefusal {
    /// The client may not publish this there: 0x87.
    NotAuthorized,
    /// Too much or too many: 0x97.
    QuotaExceeded,
    /// The topic is not acceptable: 0x90.
    TopicInvalid,
    /// The payload is not what the topic asks for: 0x99.
    PayloadInvalid,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectCause {
    /// The client said goodbye.
    Clean,
    /// It vanished, fell silent, or broke the protocol.
    Lost,
    /// The same client id connected again.
    TakenOver,
    /// The house ended it.
    Kicked,
    /// The broker stops.
    Stopped,
}

/// The gate that lets everybody in and everything through, for a broker that stands alone on loopback.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;

impl Gate for OpenGate {
    fn connect(&self, _: ConnectRequest) -> BoxFuture<ConnectVerdict> {
        let principal = String::new();
        Box::pin(std::future::ready(ConnectVerdict::Accept { principal }))
    }

    fn may_subscribe(&self, _: &str, _: &str, _: &str) -> bool {
        true
    }

    fn publish(&self, _: Publish) -> BoxFuture<PublishVerdict> {
        Box::pin(std::future::ready(PublishVerdict::Route))
    }
}
