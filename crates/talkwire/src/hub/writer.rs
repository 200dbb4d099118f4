//! The writer: commits batch after batch, and only then lets anybody know.

use super::event::Stored;
use super::outgoing::Ledger;
use super::post::Post;
use crate::clock::Clock;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use talkwire_core::effect::{History, Notice};
use talkwire_core::{Publish, Refusal, Save};
use talkwire_proto::Code;
use talkwire_store::Store;
use tokio::sync::{broadcast, mpsc, oneshot};

/// Pause before the second try to commit, while nobody has been told anything yet.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Pause between later tries, while the disk refuses.
const RETRY: Duration = Duration::from_millis(500);
/// What a broker that is not ours has is forgotten at least this often.
const STRIKE_EVERY: Duration = Duration::from_secs(1);
/// Old rows are dropped this often.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// Somebody who waits for a commit.
pub enum Done {
    /// A publisher.
    Message(oneshot::Sender<bool>),
    /// The broker, with a message that it may pass on after the commit, or may not.
    Router(oneshot::Sender<Stored>, Stored),
    /// A door that asked.
    Ask(oneshot::Sender<Result<Value, Refusal>>, Result<Value, Refusal>),
    /// A door that read.
    Read(oneshot::Sender<Value>, Value),
}

/// Everything that one turn of the loop leads to.
#[derive(Default)]
pub struct Batch {
    /// To be committed together.
    pub saves: Vec<Save>,
    /// Told after the commit.
    pub done: Vec<Done>,
    /// Published after the commit.
    pub publishes: Vec<Publish>,
    /// Read and published after the commit.
    pub histories: Vec<History>,
    /// Watchers are told after the commit.
    pub notices: Vec<Notice>,
    /// Messages in it.
    pub received: u64,
    /// Deliveries in it that were stored before.
    pub repeated: u64,
}

impl Batch {
    /// Tells whoever waits that it is not stored; what was read is handed out all the same. The rows stay.
    pub fn refuse(&mut self, why: &str) {
        for done in self.done.drain(..) {
            match done {
                Done::Message(done) => drop(done.send(false)),
                Done::Router(done, _) => drop(done.send(Stored::No)),
                Done::Ask(reply, _) => drop(reply.send(Err(Refusal::new(Code::StoreUnavailable, why)))),
                Done::Read(reply, value) => drop(reply.send(value)),
            }
        }
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.saves.is_empty() && self.done.is_empty() && self.publishes.is_empty() && self.histories.is_empty() && self.notices.is_empty()
    }
}

/// How the store is, for everybody who must not promise what it cannot keep.
#[derive(Clone, Default)]
pub struct Health(Arc<State>);

#[derive(Default)]
struct State {
    degraded: AtomicBool,
    trouble: Mutex<String>,
    refusal: Mutex<Option<String>>,
    received: AtomicU64,
    repeated: AtomicU64,
    published: AtomicU64,
    commits: AtomicU64,
}

impl Health {
    /// Whether the disk refuses: nothing is acknowledged and no change is begun.
    pub fn is_degraded(&self) -> bool {
        self.0.degraded.load(Ordering::Relaxed)
    }

    /// Why, in words.
    pub fn trouble(&self) -> String {
        self.0.trouble.lock().map(|text| text.clone()).unwrap_or_default()
    }

    /// Messages received, published, and commits made, since the start.
    pub fn counts(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.0.received), load(&self.0.published), load(&self.0.commits))
    }

    /// Messages that a broker handed over again after they were stored.
    pub fn repeated(&self) -> u64 {
        self.0.repeated.load(Ordering::Relaxed)
    }

    /// What whoever waits is told now, while nothing can be stored.
    pub fn refusal(&self) -> Option<String> {
        if self.is_degraded() { self.0.refusal.lock().ok()?.clone() } else { None }
    }

    fn refuse(&self, why: Option<String>) {
        if let Ok(mut refusal) = self.0.refusal.lock() {
            *refusal = why;
        }
    }

    fn set(&self, trouble: Option<String>) {
        self.0.degraded.store(trouble.is_some(), Ordering::Relaxed);
        if let Ok(mut text) = self.0.trouble.lock() {
            *text = trouble.unwrap_or_default();
        }
    }
}

/// Owns the store.
pub struct Writer {
    pub store: Box<dyn Store>,
    pub posts: mpsc::Sender<Post>,
    pub notices: broadcast::Sender<Notice>,
    pub health: Health,
    /// What goes to a broker that is not ours, when there is one.
    pub ledger: Option<Ledger>,
    /// Signed heads of the audit are written here too, a second place beside the database.
    pub heads: PathBuf,
    /// Batches handed over and not yet committed.
    pub under_way: Arc<AtomicUsize>,
}

impl Writer {
    /// Commits until the loop ends.
    pub fn run(mut self, batches: Receiver<Batch>, clock: Clock) {
        let mut pruned = Instant::now();
        loop {
            match batches.recv_timeout(STRIKE_EVERY) {
                Ok(batch) => self.commit(batch),
                Err(RecvTimeoutError::Timeout) => self.strike(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if pruned.elapsed() >= PRUNE_EVERY {
                pruned = Instant::now();
                if let Err(error) = self.store.prune(clock.now_ms()) {
                    tracing::warn!(%error, "old rows could not be dropped; tried again later");
                }
            }
        }
    }

    /// A refusing disk keeps what it should forget, which is then sent once more after a restart.
    fn strike(&mut self) {
        if let Some(gone) = self.ledger.as_ref().and_then(Ledger::strike)
            && let Err(error) = self.store.commit(&[gone])
        {
            tracing::warn!(%error, "what the broker has could not be forgotten");
        }
    }

    fn commit(&mut self, mut batch: Batch) {
        let mut posts = Vec::with_capacity(batch.publishes.len() + batch.histories.len());
        for publish in std::mem::take(&mut batch.publishes) {
            let kept = self.ledger.as_mut().and_then(|ledger| ledger.enter(&publish)).map(|(save, n)| {
                batch.saves.push(save);
                n
            });
            posts.push(Post::Publish(publish, kept));
        }
        batch.saves.extend(self.ledger.as_ref().and_then(Ledger::strike));
        posts.extend(batch.histories.drain(..).map(Post::History));
        let published = posts.len() as u64;
        let mut tries = 0u32;
        while let Err(error) = self.store.commit(&batch.saves) {
            if tries == 0 {
                tracing::error!(%error, rows = batch.saves.len(), "the store refuses; nothing is acknowledged until it takes again");
                self.health.set(Some(error.to_string()));
                // An error that passes is nobody's business: everything is written and synced anew, and only that counts.
            } else if tries == 1 {
                // Whoever waits is told no. The rows are kept and committed when the disk takes again, which those who
                // asked for something are told too; nothing was promised to a publisher, who says it again.
                let not_yet = format!("{error}; it is not stored yet, and is as soon as the disk takes again: look before you ask for it again");
                batch.refuse(&not_yet);
                self.health.refuse(Some(not_yet));
            }
            std::thread::sleep(if tries == 0 { AT_ONCE } else { RETRY });
            tries += 1;
        }
        if tries > 0 {
            tracing::info!(tries, "the store takes again");
            self.health.refuse(None);
            self.health.set(None);
        }
        self.under_way.fetch_sub(1, Ordering::AcqRel);
        let counters = &self.health.0;
        counters.received.fetch_add(batch.received, Ordering::Relaxed);
        counters.repeated.fetch_add(batch.repeated, Ordering::Relaxed);
        counters.published.fetch_add(published, Ordering::Relaxed);
        counters.commits.fetch_add(u64::from(!batch.saves.is_empty()), Ordering::Relaxed);
        self.export_heads(&batch.saves);
        for done in batch.done {
            match done {
                Done::Message(done) => drop(done.send(true)),
                Done::Router(done, stored) => drop(done.send(stored)),
                Done::Ask(reply, answer) => drop(reply.send(answer)),
                Done::Read(reply, value) => drop(reply.send(value)),
            }
        }
        for post in posts {
            if self.posts.blocking_send(post).is_err() {
                return;
            }
        }
        for notice in batch.notices {
            // Nobody watching is no error.
            let _ = self.notices.send(notice);
        }
    }

    /// A lone chain does not show that its end was cut off: the heads stand outside the database as well.
    fn export_heads(&self, saves: &[Save]) {
        let lines: String = saves
            .iter()
            .filter_map(|save| if let Save::AuditHead(head) = save { serde_json::to_string(head).ok() } else { None })
            .map(|line| line + "\n")
            .collect();
        if lines.is_empty() {
            return;
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.heads);
        if let Err(error) = file.and_then(|mut file| file.write_all(lines.as_bytes())) {
            tracing::warn!(%error, path = %self.heads.display(), "the audit's heads could not be written beside the database");
        }
    }
}
