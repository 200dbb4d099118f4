//! What goes out to a broker that is not ours: written down with the commit that it follows from, until that broker has it.

use std::sync::{Arc, Mutex, PoisonError};
use talkwire_core::effect::Outgoing;
use talkwire_core::{Publish, Save};

/// Which messages the broker has: told by the connection, taken by the writer.
#[derive(Debug, Clone, Default)]
pub struct Gone(Arc<Mutex<Vec<u64>>>);

impl Gone {
    /// The broker has it, or it is given up.
    pub fn push(&self, n: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(n);
    }

    /// Everything since the last time.
    pub fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The writer's side: numbers what goes out.
#[derive(Debug)]
pub struct Ledger {
    next: u64,
    gone: Gone,
}

impl Ledger {
    /// Goes on behind the messages that are waiting from before.
    pub fn behind(waiting: &[Outgoing], gone: Gone) -> Self {
        Self { next: waiting.last().map_or(0, |last| last.n + 1), gone }
    }

    /// What is to be committed for a message, and its number. A command is not among it: the rules send it again by themselves, for as
    /// long as somebody waits for it.
    pub fn enter(&mut self, publish: &Publish) -> Option<(Save, u64)> {
        if publish.qos == 0 || publish.useful_ms.is_some() {
            return None;
        }
        let n = self.next;
        self.next += 1;
        Some((Save::Outgoing(Box::new(Outgoing { n, publish: publish.clone() })), n))
    }

    /// What is to be forgotten, if anything is.
    pub fn strike(&self) -> Option<Save> {
        let gone = self.gone.take();
        (!gone.is_empty()).then_some(Save::OutgoingGone(gone))
    }
}
