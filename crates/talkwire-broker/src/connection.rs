//! What the rooms of this crate know together about one client's connection.

use crate::gate::{DisconnectCause, ProtocolVersion};
use mqtt5::WillMessage;
use mqtt5::packet::publish::PublishPacket;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

tokio::task_local! {
    /// The connection that the running task serves; wills with a delay come from a task without one.
    pub(crate) static CURRENT: Arc<Connection>;
}

pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) origin: Option<String>,
    pub(crate) version: ProtocolVersion,
    /// As the client sent it, perhaps empty.
    pub(crate) sent_id: String,
    pub(crate) will: Option<WillMessage>,
    pub(crate) keeps_alive: bool,
    identity: OnceLock<Identity>,
    ending: AtomicBool,
    publish: Mutex<Option<PublishPacket>>,
    control: Mutex<Control>,
}

/// Who is at the other end, known once the gate let it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) client_id: String,
    /// The engine's name of the session: the client id where the engine can take it.
    pub(crate) session: String,
    pub(crate) principal: String,
}

#[derive(Default)]
struct Control {
    waker: Option<Waker>,
    kicked: Option<u8>,
    cause: Option<DisconnectCause>,
}

impl Connection {
    pub(crate) fn new(
        peer: SocketAddr,
        origin: Option<String>,
        version: ProtocolVersion,
        sent_id: String,
        will: Option<WillMessage>,
        keeps_alive: bool,
    ) -> Self {
        Self {
            peer,
            origin,
            version,
            sent_id,
            will,
            keeps_alive,
            identity: OnceLock::new(),
            ending: AtomicBool::new(false),
            publish: Mutex::new(None),
            control: Mutex::new(Control::default()),
        }
    }

    pub(crate) fn identify(&self, identity: Identity) {
        // A second CONNECT never passes the checkpoint, so the first identity stands.
        let _ = self.identity.set(identity);
    }

    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.get()
    }

    /// The publish that the engine's next event is about.
    pub(crate) fn hand_over(&self, publish: Option<PublishPacket>) {
        *lock(&self.publish) = publish;
    }

    pub(crate) fn take_publish(&self) -> Option<PublishPacket> {
        lock(&self.publish).take()
    }

    pub(crate) fn begin_ending(&self) {
        self.ending.store(true, Ordering::Release);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    pub(crate) fn note_cause(&self, cause: DisconnectCause) {
        lock(&self.control).cause.get_or_insert(cause);
    }

    pub(crate) fn cause(&self) -> Option<DisconnectCause> {
        lock(&self.control).cause
    }

    /// Ends the connection at its next step, with a reason for those who can read it.
    pub(crate) fn kick(&self, reason: u8) {
        let mut control = lock(&self.control);
        control.kicked = Some(reason);
        control.cause.get_or_insert(DisconnectCause::Kicked);
        if let Some(waker) = control.waker.take() {
            waker.wake();
        }
    }

    /// Whether the connection is to end; else `waker` is called when it is.
    pub(crate) fn kicked(&self, waker: &Waker) -> Option<u8> {
        let mut control = lock(&self.control);
        match &mut control.waker {
            Some(known) => known.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
        control.kicked
    }
}

/// Nothing here panics while it holds a lock, so a poisoned one is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
