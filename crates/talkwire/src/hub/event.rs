//! What reaches the loop, and the handle through which it does.

use super::writer::Health;
use crate::probe::Probe;
use bytes::Bytes;
use serde_json::Value;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;
use talkwire_core::delivery::Delivery;
use talkwire_core::effect::Notice;
use talkwire_core::{Ask, Core, Origin, Principal, Refusal};
use talkwire_proto::{Code, Inbound, Malformed};
use tokio::sync::{broadcast, oneshot};

/// A door waits this long for the loop.
const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody who waits until a message is on the disk.
pub enum Waiter {
    /// Wants to know whether it is.
    Stored(oneshot::Sender<bool>),
    /// Passes it on then, unless it does not say how things stand.
    Router(oneshot::Sender<Stored>),
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is not on the disk.
    No,
    /// It is, and may be passed on.
    Yes,
    /// It is, as history alone.
    Withheld,
}

/// Something that happened outside.
// A message is the common case; boxing it would cost an allocation for each.
#[allow(clippy::large_enum_variant)]
pub enum Event {
    /// A message was published; the sender waits for `done`: true when it is on the disk.
    Message {
        /// From whom.
        from: Origin,
        /// Where, as published.
        topic: String,
        /// What it means, or why it means nothing.
        read: Result<Inbound, Malformed>,
        /// The bytes, for quarantine.
        payload: Bytes,
        /// How it came.
        how: How,
        /// Told after the commit.
        done: Option<Waiter>,
    },
    /// The owner asks a device directly, for a check; told after the commit of the audit row.
    Probe(Origin, Probe, oneshot::Sender<bool>),
    /// A client connected.
    ClientUp(Origin),
    /// A client is gone.
    ClientDown(String),
    /// A door asks; the answer comes after the commit.
    Ask(Principal, Ask, oneshot::Sender<Result<Value, Refusal>>),
    /// A door reads; what it reads is handed out after the commit of what led to it.
    Read(Box<dyn FnOnce(&Core) -> Value + Send>, oneshot::Sender<Value>),
    /// A door wants a complaint diagnosed.
    Complain {
        /// Who.
        who: Principal,
        /// The sentence.
        text: String,
        /// Tenant and site, when given.
        place: Option<(String, String)>,
        /// The session, after the commit.
        reply: oneshot::Sender<Result<Value, Refusal>>,
    },
    /// A broker that is not ours began a new session.
    SessionBegun,
    /// Finish what is waiting, then end.
    Stop,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Through our own broker, which hands each over once.
    Own,
    /// From a broker that is not ours, and that may hand it over again.
    Delivered(Delivery),
    /// From such a broker, which had kept it from before.
    Kept,
}

/// The loop has more waiting than it may; come back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is waiting; try again in a second")]
pub struct Overload;

/// How doors and the gate reach the loop.
#[derive(Clone)]
pub struct HubHandle {
    events: SyncSender<Event>,
    notices: broadcast::Sender<Notice>,
    health: Health,
}

impl HubHandle {
    pub(super) fn new(events: SyncSender<Event>, notices: broadcast::Sender<Notice>, health: Health) -> Self {
        Self { events, notices, health }
    }

    /// Hands an event in without waiting.
    pub fn offer(&self, event: Event) -> Result<(), Overload> {
        self.events.try_send(event).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Overload,
        })
    }

    pub(super) fn send(&self, event: Event) -> Result<(), Overload> {
        self.events.send(event).map_err(|_| Overload)
    }

    /// Asks the rules and waits until the answer is committed.
    pub async fn ask(&self, who: Principal, ask: Ask) -> Result<Value, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.answered(Event::Ask(who, ask, reply), answer).await
    }

    /// Has a complaint diagnosed; the session as committed.
    pub async fn complain(&self, who: Principal, text: String, place: Option<(String, String)>) -> Result<Value, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.answered(Event::Complain { who, text, place, reply }, answer).await
    }

    async fn answered(&self, event: Event, answer: oneshot::Receiver<Result<Value, Refusal>>) -> Result<Value, Refusal> {
        self.must_take()?;
        self.offer(event).map_err(|overload| Refusal::new(Code::RateLimited, overload.to_string()))?;
        let stored = tokio::time::timeout(PATIENCE, answer).await;
        stored
            .ok()
            .and_then(Result::ok)
            .unwrap_or_else(|| Err(Refusal::new(Code::StoreUnavailable, "it could not be stored; try again when the disk takes again")))
    }

    /// While the disk refuses, the loop waits for it: nobody else shall.
    fn must_take(&self) -> Result<(), Refusal> {
        if self.health.is_degraded() {
            return Err(Refusal::new(Code::StoreUnavailable, format!("nothing can be stored now: {}; free space and try again", self.health.trouble())));
        }
        Ok(())
    }

    /// Reads from the rules' memory.
    pub async fn read(&self, read: impl FnOnce(&Core) -> Value + Send + 'static) -> Result<Value, Refusal> {
        self.must_take()?;
        let (reply, answer) = oneshot::channel();
        self.offer(Event::Read(Box::new(read), reply)).map_err(|overload| Refusal::new(Code::RateLimited, overload.to_string()))?;
        let read = tokio::time::timeout(PATIENCE, answer).await;
        read.ok()
            .and_then(Result::ok)
            .ok_or_else(|| Refusal::new(Code::StoreUnavailable, "the server is stopping, or its disk does not take anything; try again"))
    }

    /// What changes, from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// How the store is.
    pub fn health(&self) -> &Health {
        &self.health
    }
}
