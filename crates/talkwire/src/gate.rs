//! The gate: who may connect to the broker, and what becomes of each message. A PUBACK waits here for the commit.

use crate::clock::Clock;
use crate::hub::{Event, How, HubHandle, Stored, Waiter};
use crate::identity::Identity;
use crate::payload_keys::PayloadKeys;
use crate::probe::{Probe, is_trial};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use talkwire_broker::{BoxFuture, ConnectRequest, ConnectVerdict, DisconnectCause, Gate, ProtocolVersion, Publish, PublishRefusal, PublishVerdict};
use talkwire_core::{Origin, Principal};
use talkwire_proto::{DeviceTail, Inbound, Malformed, Topic};
use tokio::sync::oneshot;

/// First levels of the topics that are ours; all others are routed as a plain broker does.
const OURS: [&str; 5] = ["rtk", "chatroom", "chat", "system", "connection"];

/// The house's side of the broker.
pub struct HouseGate {
    hub: HubHandle,
    identity: Arc<Identity>,
    keys: Arc<PayloadKeys>,
    clock: Clock,
    max_bytes: usize,
    older: Mutex<HashMap<String, ProtocolVersion>>,
}

impl HouseGate {
    /// A gate in front of `hub`.
    pub fn new(hub: HubHandle, identity: Arc<Identity>, keys: Arc<PayloadKeys>, clock: Clock, max_bytes: usize) -> Self {
        Self { hub, identity, keys, clock, max_bytes, older: Mutex::default() }
    }

    fn origin(&self, client_id: &str, principal: Option<&str>) -> Origin {
        let principal = principal.and_then(|text| self.identity.principal(text)).unwrap_or_else(|| Principal::Guest { name: client_id.into() });
        Origin { principal, client_id: client_id.into() }
    }

    fn speaks_v5(&self, client_id: &str) -> bool {
        self.older.lock().is_ok_and(|older| older.get(client_id) == Some(&ProtocolVersion::V5))
    }
}

/// The client that a private topic or filter belongs to.
fn private_client(topic: &str) -> Option<&str> {
    topic.strip_prefix("chat/client/")?.split('/').next()
}

fn now(verdict: PublishVerdict) -> BoxFuture<PublishVerdict> {
    Box::pin(std::future::ready(verdict))
}

impl Gate for HouseGate {
    fn connect(&self, request: ConnectRequest) -> BoxFuture<ConnectVerdict> {
        let verdict = match self.identity.login(
            request.username.as_deref(),
            request.password.as_deref(),
            &request.client_id,
            request.peer.ip(),
            request.origin.as_deref(),
        ) {
            Ok(principal) => {
                if let Ok(mut older) = self.older.lock() {
                    older.insert(request.client_id.clone(), request.version);
                }
                ConnectVerdict::Accept { principal }
            }
            Err(refusal) => {
                tracing::warn!(client_id = %request.client_id, peer = %request.peer, ?refusal, "a client was turned away");
                ConnectVerdict::Refuse(refusal)
            }
        };
        Box::pin(std::future::ready(verdict))
    }

    fn may_subscribe(&self, client_id: &str, principal: &str, filter: &str) -> bool {
        let filter = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')).map_or(filter, |(_, filter)| filter);
        match private_client(filter) {
            Some(owner) => owner == client_id && self.identity.principal(principal).is_some_and(|who| who.is_person()),
            None => true,
        }
    }

    fn may_receive(&self, client_id: &str, principal: &str, topic: &str) -> bool {
        // A wildcard reaches everything but the private copies of others.
        private_client(topic).is_none() || self.may_subscribe(client_id, principal, topic)
    }

    fn publish(&self, publish: Publish) -> BoxFuture<PublishVerdict> {
        let first = publish.topic.split('/').next().unwrap_or_default();
        if !OURS.contains(&first) {
            return now(PublishVerdict::Route);
        }
        if is_trial(&publish.topic) && !publish.topic.ends_with("/cmd/req") {
            return now(PublishVerdict::Rewrite { payload: publish.payload, topic: None, retain: false });
        }
        let from = self.origin(&publish.client_id, publish.principal.as_deref());
        let (read, text) = self.keys.read(&publish.topic, &publish.payload, publish.is_will, self.clock.now_ms(), self.max_bytes);
        if let Some(probe) = Probe::read(&from.principal, &publish.topic, &publish.payload, self.clock.now_ms()).filter(|_| !self.hub.health().is_degraded()) {
            let (done, committed) = oneshot::channel();
            if self.hub.offer(Event::Probe(from, probe, done)).is_err() {
                return now(PublishVerdict::Refuse(PublishRefusal::QuotaExceeded));
            }
            let routed = PublishVerdict::Rewrite { payload: publish.payload, topic: None, retain: false };
            return Box::pin(async move { if committed.await == Ok(true) { routed } else { PublishVerdict::Refuse(PublishRefusal::QuotaExceeded) } });
        }
        if let Err(Malformed::ServerTopic(topic)) = &read {
            tracing::warn!(client_id = %publish.client_id, topic, "a client published where only the server may");
            if self.speaks_v5(&publish.client_id) {
                return now(PublishVerdict::Refuse(PublishRefusal::NotAuthorized));
            }
        }
        if self.hub.health().is_degraded() {
            return now(PublishVerdict::Refuse(PublishRefusal::QuotaExceeded));
        }
        let verdict = verdict(&read, &publish);
        let (done, committed) = oneshot::channel();
        let event = Event::Message { from, topic: publish.topic, read, payload: text, how: How::Own, done: Some(Waiter::Router(done)) };
        if self.hub.offer(event).is_err() {
            return now(PublishVerdict::Refuse(PublishRefusal::QuotaExceeded));
        }
        Box::pin(async move {
            match committed.await {
                Ok(Stored::Yes) => verdict,
                // What is retained is what was taken last; what is old is nobody's news.
                Ok(Stored::Withheld) => PublishVerdict::Swallow,
                Ok(Stored::No) | Err(_) => PublishVerdict::Refuse(PublishRefusal::QuotaExceeded),
            }
        })
    }

    fn connected(&self, client_id: &str, principal: &str) {
        let origin = self.origin(client_id, Some(principal));
        if self.hub.offer(Event::ClientUp(origin)).is_err() {
            tracing::warn!(client_id, "overloaded: a connection was not counted");
        }
    }

    fn disconnected(&self, client_id: &str, _principal: &str, cause: DisconnectCause) {
        if matches!(cause, DisconnectCause::TakenOver) {
            return;
        }
        if let Ok(mut older) = self.older.lock() {
            older.remove(client_id);
        }
        if self.hub.offer(Event::ClientDown(client_id.into())).is_err() {
            tracing::warn!(client_id, "overloaded: a disconnection was not counted");
        }
    }
}

/// What is routed once the message is stored: device messages and public chat to whoever listens; requests to the server stay here.
fn verdict(read: &Result<Inbound, Malformed>, publish: &Publish) -> PublishVerdict {
    match (read, publish.topic.parse()) {
        (Ok(Inbound::Device(..)), Ok(Topic::Device(_, tail))) => {
            let keep = publish.retain && matches!(tail, DeviceTail::Lwt | DeviceTail::Attr | DeviceTail::State);
            if keep == publish.retain {
                PublishVerdict::Route
            } else {
                PublishVerdict::Rewrite { payload: publish.payload.clone(), topic: None, retain: false }
            }
        }
        (Ok(Inbound::Room(..)), _) => PublishVerdict::Rewrite { payload: publish.payload.clone(), topic: None, retain: false },
        _ => PublishVerdict::Swallow,
    }
}
