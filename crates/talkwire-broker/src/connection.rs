//! What the rooms of this crate know together about one client's connection.

use crate::gate::{DisconnectCause, ProtocolVersion};
use mqtt5::WillMessage;
use mqtt5::packet::publish::PublishPacket;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::Semaphore;

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
    /// Zero: the client promises no sign of life.
    pub(crate) keep_alive: Duration,
    identity: OnceLock<Identity>,
    ending: AtomicBool,
    /// A newer connection has this one's client id.
    gives_way: AtomicBool,
    /// Closed when the connection is over and its will is said.
    over: Arc<Semaphore>,
    /// Earlier connections of the same client that are not over yet.
    earlier: Mutex<Vec<Arc<Semaphore>>>,
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
        keep_alive: Duration,
    ) -> Self {
        Self {
            peer,
            origin,
            version,
            sent_id,
            will,
            keep_alive,
            identity: OnceLock::new(),
            ending: AtomicBool::new(false),
            gives_way: AtomicBool::new(false),
            over: Arc::new(Semaphore::new(0)),
            earlier: Mutex::default(),
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

    /// `newer` has come in our place. From now on nobody waits for our client to take anything.
    pub(crate) fn give_way_to(&self, newer: &Self) {
        let mut earlier = lock(&self.earlier).clone();
        earlier.push(Arc::clone(&self.over));
        earlier.retain(|over| !over.is_closed());
        *lock(&newer.earlier) = earlier;
        self.gives_way.store(true, Ordering::Release);
        if let Some(waker) = lock(&self.control).waker.take() {
            waker.wake();
        }
    }

    pub(crate) fn gives_way(&self) -> bool {
        self.gives_way.load(Ordering::Acquire)
    }

    /// The connection is over, and its will is said.
    pub(crate) fn end(&self) {
        self.over.close();
    }

    /// Waits until the client's earlier connections are over; `None` when there are none.
    pub(crate) fn after_earlier(&self) -> Option<impl Future<Output = ()> + Send + Sync + use<>> {
        let earlier: Vec<_> = lock(&self.earlier).iter().filter(|over| !over.is_closed()).cloned().collect();
        (!earlier.is_empty()).then_some(async move {
            for over in earlier {
                // It never gives a place: it is closed when the connection is over.
                let _ = over.acquire().await;
            }
        })
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
