//! The house as a client of a broker that is there already: what it listens to, and what becomes of each message.

use crate::clock::Clock;
use crate::config::Elsewhere;
use crate::hub::{Event, Gone, How, HubHandle, Waiter};
use crate::identity::Identity;
use crate::payload_keys::PayloadKeys;
use crate::probe::is_trial;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use talkwire_broker::{Arrived, BoxFuture, Dial, Inbox, Limit, Outside, OutsideConfig, OutsideStatus, Stream, TcpDial, Will};
use talkwire_core::delivery::{Delivery, fingerprint};
use talkwire_core::{Origin, Principal};
use talkwire_link::Tls;
use talkwire_proto::chat::{ConnectionState, WebInput};
use talkwire_proto::envelope::BadEnvelope;
use talkwire_proto::{Inbound, Malformed};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// What devices and clients say to us. Nothing that we publish ourselves is among it, so that no broker hands it back; `lwt`
/// comes last, so that who is there is known after who they are.
const FILTERS: [&str; 21] = [
    "rtk/v1/+/+/+/attr",
    "rtk/v1/+/+/+/state",
    "rtk/v1/+/+/+/telemetry/+",
    "rtk/v1/+/+/+/evt/#",
    "rtk/v1/+/+/+/cmd/ack",
    "rtk/v1/+/+/+/cmd/res",
    "rtk/v1/+/+/+/topology/+",
    "rtk/v1/+/+/+/diagnostics/+",
    "rtk/v1/+/+/+/capability/update",
    "chatroom/messages/in",
    "chatroom/users/join",
    "chatroom/users/leave",
    "chatroom/+/messages/in",
    "chatroom/+/users/join",
    "chatroom/+/users/leave",
    "chat/send",
    "chat/session/create",
    "chat/session/delete",
    "chat/session/list",
    "system/send",
    "rtk/v1/+/+/+/lwt",
];

/// Connects the hub to the broker.
///
/// # Errors
/// When this kind of broker does not take what we need.
pub fn connect(
    elsewhere: &Elsewhere,
    hub: HubHandle,
    gone: Gone,
    identity: &Identity,
    keys: Arc<PayloadKeys>,
    clock: Clock,
    max_bytes: usize,
) -> Result<Outside, Limit> {
    let url = &elsewhere.url;
    let dial: Arc<dyn Dial> = match &elsewhere.tls {
        Some(tls) => Arc::new(TlsDial { host: url.host.clone(), port: url.port, tls: tls.clone() }),
        None => Arc::new(TcpDial { host: url.host.clone(), port: url.port }),
    };
    let last_words = state(clock.now_ms(), "disconnected", None);
    let config = OutsideConfig {
        dial,
        name: format!("{}:{}", url.host, url.port),
        client_id: elsewhere.client_id.clone().unwrap_or_else(|| client_id(identity)),
        username: elsewhere.username.clone(),
        password: elsewhere.secret.0.clone(),
        keep_alive: elsewhere.keep_alive,
        session_expiry: elsewhere.session_expiry,
        receive_maximum: elsewhere.receive_maximum,
        max_packet_bytes: max_bytes + 64 * 1024,
        filters: FILTERS.map(str::to_owned).to_vec(),
        will: Some(Will { topic: "connection/system".into(), payload: last_words.into(), qos: 1, retain: true, delay: Default::default() }),
        profile: elsewhere.profile.clone(),
    };
    Outside::start(config, Arc::new(HouseInbox { hub, gone, keys, clock, max_bytes, session_begins: AtomicBool::new(false) }))
}

/// The same for as long as the data folder keeps its key.
fn client_id(identity: &Identity) -> String {
    let key: String = identity.public_key().chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    format!("talkwire-{key}")
}

/// The payload of `connection/ai-core` and `connection/system`.
pub fn state(now_ms: i64, status: &str, detail: Option<String>) -> Vec<u8> {
    let state = ConnectionState { status: status.into(), detail, since: now_ms, count: 1 };
    serde_json::to_vec(&state).unwrap_or_default()
}

/// Why the house is not ready while its broker is away.
pub fn trouble(name: &str, status: &OutsideStatus) -> String {
    format!("E_BROKER_AWAY: the broker {name} is not connected: {}", status.why)
}

struct TlsDial {
    host: String,
    port: u16,
    tls: Tls,
}

impl Dial for TlsDial {
    fn dial(&self) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let (host, port, tls) = (self.host.clone(), self.port, self.tls.clone());
        Box::pin(async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            let protected = tls.protect(&host, stream).await.map_err(io::Error::other)?;
            Ok(Box::new(protected) as Box<dyn Stream>)
        })
    }
}

/// The hub's end of the connection.
struct HouseInbox {
    hub: HubHandle,
    gone: Gone,
    keys: Arc<PayloadKeys>,
    clock: Clock,
    max_bytes: usize,
    /// A new session was begun, and the hub has not been told yet.
    session_begins: AtomicBool,
}

impl HouseInbox {
    /// What it means, and what may be kept of it. A broker holds messages for as long as we are away, so the seal of one may be
    /// that old; a copy that somebody else sends again is recognised as one that came before.
    fn read(&self, arrived: &Arrived) -> (Result<Inbound, Malformed>, Bytes) {
        if arrived.bytes > arrived.payload.len() {
            return (Err(BadEnvelope::TooLarge(arrived.bytes, self.max_bytes).into()), arrived.payload.clone());
        }
        self.keys.read(&arrived.topic, &arrived.payload, true, self.clock.now_ms(), self.max_bytes)
    }
}

/// A broker elsewhere does not say who published, so everybody is a guest under the name that the message claims.
fn claimed(read: &Result<Inbound, Malformed>) -> Origin {
    let name = match read {
        Ok(Inbound::Room(_, _, input)) => input.client_id.clone(),
        Ok(Inbound::Web(WebInput::Send(send))) => send.client_id.clone(),
        Ok(Inbound::Web(WebInput::Create(ask) | WebInput::Delete(ask) | WebInput::List(ask))) => ask.client_id.clone(),
        Ok(Inbound::Web(WebInput::System(send))) => send.client_id.clone(),
        Ok(Inbound::Device(key, ..)) => Some(key.device_id.to_string()),
        Err(_) => None,
    };
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "broker".into());
    Origin { principal: Principal::Guest { name: name.clone() }, client_id: name }
}

impl Inbox for HouseInbox {
    fn offer(&self, arrived: &Arrived) -> Option<oneshot::Receiver<bool>> {
        if self.hub.health().is_degraded() {
            return None;
        }
        if self.session_begins.load(Ordering::Acquire) {
            self.hub.offer(Event::SessionBegun).ok()?;
            self.session_begins.store(false, Ordering::Release);
        }
        if is_trial(&arrived.topic) {
            let (done, stored) = oneshot::channel();
            // Whoever waits for it is told at once; when nobody does, nothing is lost.
            let _ = done.send(true);
            return Some(stored);
        }
        let (read, payload) = self.read(arrived);
        let how = match arrived {
            Arrived { kept: true, .. } => How::Kept,
            // At QoS 0 nothing is handed over twice.
            Arrived { packet_id: 0, .. } => How::Own,
            Arrived { packet_id, again, .. } => {
                How::Delivered(Delivery { packet_id: *packet_id, again: *again, fingerprint: fingerprint(&arrived.topic, &arrived.payload) })
            }
        };
        let (done, stored) = oneshot::channel();
        let event = Event::Message { from: claimed(&read), topic: arrived.topic.clone(), read, payload, how, done: Some(Waiter::Stored(done)) };
        self.hub.offer(event).ok()?;
        Some(stored)
    }

    fn greeted(&self, resumed: bool) {
        if !resumed {
            self.session_begins.store(true, Ordering::Release);
        }
    }

    fn up(&self) {
        tracing::info!("the broker is connected");
    }

    fn down(&self, _why: &str) {}

    fn gone(&self, n: u64) {
        self.gone.push(n);
    }
}
