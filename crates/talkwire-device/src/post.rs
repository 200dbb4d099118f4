//! The post: letters go through the outbox to the broker, class by class in their order, as fast as the rates allow.
//!
//! [`Post::send`] never waits. One task does the rest: it moves what came into the outbox (on a thread that may block), sends what
//! may leave, and takes out what the broker acknowledged.

mod lane;

use crate::config::Rates;
use crate::counters::{Counters, add};
use crate::letter::{CLASSES, Class, Letter};
use crate::outbox::Outbox;
use crate::rate::Window;
use crate::seal::Seal;
use lane::{Fate, Lane};
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use talkwire_link::{Link, LinkError, Message, PublishHandle, Qos};
use tokio::sync::{Notify, mpsc, watch};

/// The entrance of the post; clones lead to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Post(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    link: Link,
    seal: Seal,
    counters: Arc<Counters>,
    came: Mutex<Came>,
    windows: Mutex<[Window; CLASSES.len()]>,
    state: Mutex<StateDesk>,
    wake: Notify,
    /// How many letters came; how many of them are kept.
    kept: watch::Sender<u64>,
    /// How many letters are in the outbox.
    waiting: watch::Sender<u64>,
    /// Whether telemetry waits in the outbox, so that later telemetry must wait behind it.
    telemetry_waits: AtomicBool,
    max_messages: usize,
}

/// Letters that are not in the outbox yet.
#[derive(Debug, Default)]
struct Came {
    letters: VecDeque<Letter>,
    count: u64,
}

/// The one state that waits for its turn.
#[derive(Debug)]
struct StateDesk {
    window: Window,
    waiting: Option<Message>,
}

impl Post {
    /// Opens the post. The returned task does its work; letters wait until it runs.
    pub(crate) fn open(link: Link, seal: Seal, counters: Arc<Counters>, rates: Rates, outbox: Outbox, max_messages: usize) -> (Self, impl Future<Output = ()>) {
        let windows = [rates.answers, rates.events, rates.reports, rates.telemetry].map(Window::new);
        counters.outbox(outbox.figures());
        let shared = Arc::new(Shared {
            link,
            seal,
            counters,
            came: Mutex::default(),
            windows: Mutex::new(windows),
            state: Mutex::new(StateDesk { window: Window::new(rates.state), waiting: None }),
            wake: Notify::new(),
            kept: watch::Sender::new(0),
            waiting: watch::Sender::new(outbox.figures().waiting),
            telemetry_waits: AtomicBool::new(outbox.has(Class::Telemetry, 0)),
            max_messages: max_messages.max(1),
        });
        (Self(shared.clone()), work(shared, outbox))
    }

    /// Takes a letter; it leaves when it may.
    pub(crate) fn send(&self, letter: Letter) {
        let mut came = self.0.came();
        if letter.class == Class::Telemetry {
            self.0.telemetry_waits.store(true, Ordering::Release);
        }
        if came.letters.len() >= self.0.max_messages {
            // The disk is slower than the device talks.
            let oldest = came.letters.iter().position(|letter| letter.class == Class::Telemetry).unwrap_or(0);
            came.letters.remove(oldest);
            add(&self.0.counters.overrun, 1);
        }
        came.letters.push_back(letter);
        came.count += 1;
        drop(came);
        self.0.wake.notify_one();
    }

    /// Sends telemetry at once and unacknowledged, as the guide wants it; through the outbox while the device is offline or over its
    /// rate.
    pub(crate) fn telemetry(&self, letter: Letter) {
        let at_once =
            self.0.link.is_up() && !self.0.telemetry_waits.load(Ordering::Acquire) && self.0.windows()[letter.class.number()].admit(Instant::now()).is_ok();
        if !at_once {
            return self.send(letter);
        }
        let (post, handle) = (self.clone(), self.0.publish(&letter, Qos::AtMostOnce, self.0.link.connection()));
        tokio::spawn(async move {
            match handle {
                Some(handle) => match handle.await {
                    Err(LinkError::Down | LinkError::SessionLost | LinkError::Full(_) | LinkError::Closed) => post.send(letter),
                    other => post.0.count_loss(&letter.topic, other),
                },
                None => post.send(letter),
            }
        });
    }

    /// Says something that only now has a meaning: who and how the device is, or that a command came.
    pub(crate) fn say(&self, message: Message) {
        if let Some(handle) = self.0.publish_sealed(message) {
            self.watch(handle);
        }
    }

    /// Like [`Post::say`], and the caller learns whether the broker has it.
    pub(crate) fn say_and_watch(&self, message: Message) -> Option<PublishHandle> {
        self.0.publish_sealed(message)
    }

    fn watch(&self, handle: PublishHandle) {
        let shared = self.0.clone();
        tokio::spawn(async move {
            let result = handle.await;
            if !matches!(result, Err(LinkError::Down | LinkError::Closed)) {
                shared.count_loss("", result);
            }
        });
    }

    /// Says the state. Of states that come faster than the rate, the latest is said when its turn comes.
    pub(crate) fn state(&self, message: Message) {
        let admitted = {
            let mut desk = self.0.state_desk();
            let admitted = desk.window.admit(Instant::now()).is_ok();
            desk.waiting = (!admitted).then(|| message.clone());
            admitted
        };
        if admitted { self.say(message) } else { self.0.wake.notify_one() }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.0.link
    }

    pub(crate) fn seal(&self) -> &Seal {
        &self.0.seal
    }

    /// Something changed that the post waits for.
    pub(crate) fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Waits until everything said so far is kept: on the disk, when the outbox is there and the disk takes it.
    pub(crate) async fn kept(&self) {
        let count = self.0.came().count;
        // The sender lives as long as this handle.
        let _ = self.0.kept.subscribe().wait_for(|kept| *kept >= count).await;
    }

    /// Waits until the broker has everything.
    pub(crate) async fn empty(&self) {
        self.kept().await;
        // As above.
        let _ = self.0.waiting.subscribe().wait_for(|waiting| *waiting == 0).await;
    }
}

impl Shared {
    fn came(&self) -> MutexGuard<'_, Came> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn windows(&self) -> MutexGuard<'_, [Window; CLASSES.len()]> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_desk(&self) -> MutexGuard<'_, StateDesk> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sealed(&self, topic: &str, text: String) -> Option<Vec<u8>> {
        match self.seal.close(text) {
            Ok(payload) => Some(payload),
            Err(error) => {
                tracing::error!(%error, topic, "message not encrypted, so not sent");
                None
            }
        }
    }

    fn publish(&self, letter: &Letter, qos: Qos, connection: u64) -> Option<PublishHandle> {
        let payload = self.sealed(&letter.topic, letter.text.clone())?;
        add(&self.counters.messages_sent, 1);
        let message = Message { topic: letter.topic.clone(), payload: payload.into(), qos, retain: false };
        Some(self.link.publish_once(message, connection))
    }

    fn publish_sealed(&self, message: Message) -> Option<PublishHandle> {
        let payload = self.sealed(&message.topic, String::from_utf8_lossy(&message.payload).into_owned())?;
        add(&self.counters.messages_sent, 1);
        Some(self.link.publish(message.topic, payload, message.qos, message.retain))
    }

    fn count_loss(&self, topic: &str, result: Result<(), LinkError>) {
        if let Err(error) = result {
            add(&self.counters.unsent, 1);
            tracing::warn!(%error, topic, "message not sent");
        }
    }

    /// Says the state that waits, when it may. Returns when to look again.
    fn say_waiting_state(&self, now: Instant) -> Option<Instant> {
        let message = {
            let mut desk = self.state_desk();
            desk.waiting.as_ref()?;
            if !self.link.is_up() {
                // The state is said anew at the next connect.
                desk.waiting = None;
                return None;
            }
            if let Err(free_at) = desk.window.admit(now) {
                return Some(free_at);
            }
            desk.waiting.take()
        };
        if let Some(handle) = message.and_then(|message| self.publish_sealed(message)) {
            handle.forget();
        }
        None
    }
}

/// Does the post's work for ever.
async fn work(shared: Arc<Shared>, mut outbox: Outbox) {
    let (fates_in, mut fates) = mpsc::unbounded_channel::<Fate>();
    let mut lanes = CLASSES.map(Lane::new);
    let mut acknowledged = Vec::new();
    loop {
        let now = Instant::now();
        while let Ok(fate) = fates.try_recv() {
            let class = fate.class;
            acknowledged.extend(lanes[class.number()].learn(fate, now, &shared.counters));
        }
        let (letters, count) = {
            let mut came = shared.came();
            (Vec::from(std::mem::take(&mut came.letters)), came.count)
        };
        let up = shared.link.is_up();
        let wants: Vec<_> = lanes.iter().filter(|lane| up && lane.wants(now)).map(|lane| (lane.class, lane.after())).collect();
        let changes = !letters.is_empty() || !acknowledged.is_empty() || outbox.owes().is_some_and(|at| at <= now);
        let readable = outbox.unread(now).is_none();
        if changes || readable && wants.iter().any(|(class, after)| outbox.has(*class, *after)) {
            let done = std::mem::take(&mut acknowledged);
            let under_way: BTreeSet<u64> = lanes.iter().flat_map(Lane::under_way).collect();
            // One thread at a time, which may wait for the disk; nobody but this task waits for it.
            let turn = tokio::task::spawn_blocking(move || {
                if changes {
                    outbox.change(&done, letters, &under_way, now);
                }
                let read: Vec<_> = wants.into_iter().map(|(class, after)| (class, outbox.read(class, after, lane::FLYING, lane::BYTES, now))).collect();
                (outbox, read)
            });
            let Ok((back, read)) = turn.await else {
                tracing::error!("the outbox is lost; the device must be started again");
                return;
            };
            outbox = back;
            for (class, letters) in read {
                lanes[class.number()].load(letters);
            }
            shared.counters.outbox(outbox.figures());
            shared.waiting.send_replace(outbox.figures().waiting);
            shared.kept.send_replace(count);
        }
        let mut wake_at = [outbox.owes(), outbox.unread(now), shared.say_waiting_state(now)].into_iter().flatten().min();
        for lane in &mut lanes {
            let blocked = if up { lane.send(&shared, &fates_in, now) } else { None };
            wake_at = [wake_at, blocked].into_iter().flatten().min();
        }
        {
            let came = shared.came();
            let waits = outbox.has(Class::Telemetry, 0) || came.letters.iter().any(|letter| letter.class == Class::Telemetry);
            shared.telemetry_waits.store(waits, Ordering::Release);
        }
        let more = up && outbox.unread(now).is_none() && lanes.iter().any(|lane| lane.wants(Instant::now()) && outbox.has(lane.class, lane.after()));
        if more {
            continue;
        }
        let sleep = wake_at.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
        tokio::select! {
            () = shared.wake.notified() => {}
            fate = fates.recv() => {
                if let Some(fate) = fate {
                    let class = fate.class;
                    acknowledged.extend(lanes[class.number()].learn(fate, Instant::now(), &shared.counters));
                }
            }
            () = tokio::time::sleep(sleep) => {}
        }
    }
}
