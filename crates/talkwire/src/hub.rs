//! The event loop: takes what happened in batches, asks the rules, has all effects committed, then acknowledges, publishes and tells.

mod event;
mod outgoing;
mod post;
#[cfg(test)]
mod trial;
mod turn;
mod writer;

pub use event::{Event, How, HubHandle, Overload, Stored, Waiter};
pub use outgoing::{Gone, Ledger};
pub use post::Post;
pub use writer::Health;

use crate::clock::Clock;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use talkwire_core::Core;
use talkwire_core::delivery::Window;
use talkwire_core::effect::Notice;
use talkwire_store::Store;
use tokio::sync::broadcast;
use turn::Turn;

/// File of the data folder in which the audit's signed heads stand beside the database.
pub const HEADS: &str = "audit-heads.jsonl";
/// At most so many events are taken into one batch.
const BATCH_EVENTS: usize = 1_024;
/// Collecting a batch takes at most this long.
const BATCH_TIME: Duration = Duration::from_millis(2);
/// Events that wait for the loop; beyond it senders are told to come back.
const QUEUE: usize = 16_384;
/// While a batch is being committed, the loop looks this often whether the next may go.
const COMMIT_LOOK: Duration = Duration::from_micros(200);
/// The loop looks at its deadlines at least this often.
const IDLE: Duration = Duration::from_millis(500);

/// A running hub.
pub struct Hub {
    handle: HubHandle,
    threads: Vec<JoinHandle<()>>,
}

impl Hub {
    /// Starts the loop and the writer on threads of their own. `posts` carries publishes out in order; `window` knows the
    /// deliveries that are stored; `ledger` keeps what goes to a broker that is not ours.
    pub fn start(
        core: Core,
        window: Window,
        store: Box<dyn Store>,
        ledger: Option<Ledger>,
        clock: Clock,
        posts: tokio::sync::mpsc::Sender<Post>,
        data: &Path,
    ) -> Self {
        let (events, inbox) = sync_channel(QUEUE);
        let (batches, writer_inbox) = sync_channel(1);
        let (notices, _) = broadcast::channel::<Notice>(8_192);
        let health = Health::default();
        let handle = HubHandle::new(events, notices.clone(), health.clone());
        let under_way = Arc::new(AtomicUsize::new(0));
        let told = health.clone();
        let writer = writer::Writer { store, posts, notices, health, ledger, heads: data.join(HEADS), under_way: under_way.clone() };
        let writer = guarded("writer", move || writer.run(writer_inbox, clock));
        let events = guarded("hub", move || run(core, window, &inbox, &batches, &under_way, &told, clock));
        Self { handle, threads: vec![events, writer] }
    }

    /// A handle for doors and the gate.
    pub fn handle(&self) -> HubHandle {
        self.handle.clone()
    }

    /// Ends the loop after what is waiting, commits it, and waits for both threads.
    pub fn stop(self) {
        let _ = self.handle.send(Event::Stop);
        drop(self.handle);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// A thread without which the house must not go on: when it breaks, the process ends at once, as by a power cut, and what
/// was acknowledged is on the disk. Whoever supervises the process starts it again.
fn guarded(name: &'static str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let guarded = move || {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
            tracing::error!(thread = name, "a defect stopped the loop; the server ends so that it can be started again (E_INTERNAL)");
            std::process::exit(70);
        }
    };
    // Without threads there is no server; the system's reason is in the panic.
    std::thread::Builder::new().name(name.into()).spawn(guarded).expect("a thread can be started")
}

/// While one batch is committed the next is collected: the fewer and larger the commits, the sooner everybody is answered.
fn run(
    mut core: Core,
    window: Window,
    inbox: &Receiver<Event>,
    batches: &std::sync::mpsc::SyncSender<writer::Batch>,
    under_way: &AtomicUsize,
    health: &Health,
    clock: Clock,
) {
    let mut turn = Turn::new(window);
    turn.take_effects(&mut core, clock.now_ms(), |core, now_ms| core.start(now_ms));
    let (mut stopping, mut gathered) = (false, 0);
    while !stopping {
        // What came while a commit was failing must not wait for the disk either, nor may the loop itself.
        let refusal = health.refusal();
        if let Some(why) = &refusal {
            turn.refuse(why);
        }
        if turn.is_empty() {
            gathered = 0;
        } else if (gathered >= BATCH_EVENTS && refusal.is_none()) || under_way.load(Ordering::Acquire) == 0 {
            gathered = 0;
            under_way.fetch_add(1, Ordering::AcqRel);
            if batches.send(turn.finish()).is_err() {
                return;
            }
        }
        let now_ms = clock.now_ms();
        let longest = if turn.is_empty() { IDLE } else { COMMIT_LOOK };
        let wait = core.next_deadline().map_or(longest, |at| Duration::from_millis((at - now_ms).max(0) as u64)).min(longest);
        let first = match inbox.recv_timeout(wait) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let began = Instant::now();
        let mut next = first;
        while let Some(event) = next {
            stopping |= matches!(event, Event::Stop);
            turn.take_event(&mut core, clock.now_ms(), event);
            gathered += 1;
            next = if gathered < BATCH_EVENTS && began.elapsed() < BATCH_TIME { inbox.try_recv().ok() } else { None };
        }
        let now_ms = clock.now_ms();
        if core.next_deadline().is_some_and(|at| at <= now_ms) {
            turn.take_effects(&mut core, now_ms, |core, now_ms| core.handle(now_ms, talkwire_core::Input::Tick));
        }
    }
    turn.take_effects(&mut core, clock.now_ms(), Core::stop);
    let _ = batches.send(turn.finish());
}
