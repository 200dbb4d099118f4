//! The loop with a store that fails when it is told to.

use super::{Event, How, Hub, HubHandle, Waiter};
use crate::clock::Clock;
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use talkwire_core::core::Memory;
use talkwire_core::delivery::Window;
use talkwire_core::{Catalogue, Core, Origin, Principal, Save};
use talkwire_proto::Malformed;
use talkwire_store::{Loaded, Pruned, Store, StoreError};
use tokio::sync::oneshot;

/// Says when a commit begins, and ends it as it is told.
struct Told {
    begun: Sender<usize>,
    ends: Receiver<bool>,
}

impl Store for Told {
    fn commit(&mut self, batch: &[Save]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        // The test may be over.
        let _ = self.begun.send(batch.len());
        if self.ends.recv().unwrap_or(true) { Ok(()) } else { Err(StoreError::Foreign { path: "no disk".into() }) }
    }
    fn load(&self, _: i64) -> Result<Loaded, StoreError> {
        unreachable!("the loop loads nothing")
    }
    fn prune(&mut self, _: i64) -> Result<Pruned, StoreError> {
        Ok(Pruned::default())
    }
    fn check(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
    fn backup(&self, _: &Path) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A message that wants its acknowledgement.
fn say(hub: &HubHandle) -> oneshot::Receiver<bool> {
    let (done, answer) = oneshot::channel();
    let from = Origin { principal: Principal::Guest { name: "g".into() }, client_id: "g".into() };
    let read = Err(Malformed::ServerTopic("t".into()));
    let message = Event::Message { from, topic: "t".into(), read, payload: Bytes::new(), how: How::Own, done: Some(Waiter::Stored(done)) };
    assert!(hub.offer(message).is_ok());
    answer
}

fn answered(mut answer: oneshot::Receiver<bool>) -> bool {
    let began = Instant::now();
    loop {
        if let Ok(stored) = answer.try_recv() {
            return stored;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "not answered while the store fails");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_comes_while_a_commit_fails_is_refused_at_once_and_stored_later() {
    let (begun, commits) = channel();
    let (ends, told) = channel();
    let (posts, _posts) = tokio::sync::mpsc::channel(64);
    let dir = tempfile::tempdir().unwrap();
    let core = Core::new(Arc::new(Catalogue::builtin()), [1; 32], SigningKey::from_bytes(&[1; 32]), Memory::default(), 1_800_000_000_000);
    let hub = Hub::start(core, Window::default(), Box::new(Told { begun, ends: told }), None, Clock::start(), posts, dir.path());
    commits.recv().unwrap();
    ends.send(true).unwrap();
    let first = say(&hub.handle());
    commits.recv().unwrap();
    let second = say(&hub.handle());
    // Its first try, and the one after it: from then on it is told.
    ends.send(false).unwrap();
    ends.send(false).unwrap();
    assert!(!answered(first), "refused");
    assert!(!answered(second), "and so is what came meanwhile");
    drop(ends);
    let rows: usize = {
        hub.stop();
        commits.try_iter().last().unwrap_or_default()
    };
    assert!(rows > 0, "what was refused is kept, and stored when the disk takes again");
}
