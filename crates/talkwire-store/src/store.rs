//! What every engine promises to the hub.

use crate::error::StoreError;
use crate::load::Loaded;
use crate::prune::Pruned;
use std::path::Path;
use talkwire_core::Save;

/// The writer: one owner, one thread.
pub trait Store: Send {
    /// Commits a batch as one transaction: all of it or nothing. `Ok` means that it is on the disk (class D2).
    ///
    /// After an error nothing of the batch is visible, and the same batch may be handed in again.
    fn commit(&mut self, batch: &[Save]) -> Result<(), StoreError>;

    /// What the rules need after a restart, with every deadline as it was.
    fn load(&self, now_ms: i64) -> Result<Loaded, StoreError>;

    /// Drops what is older than its retention, a bounded slice per call; call again while [`Pruned::more`].
    fn prune(&mut self, now_ms: i64) -> Result<Pruned, StoreError>;

    /// Reads the whole database and lists what is damaged; empty: nothing.
    fn check(&self) -> Result<Vec<String>, StoreError>;

    /// Copies the database, as it is at this moment, to a file that does not exist yet.
    fn backup(&self, to: &Path) -> Result<(), StoreError>;
}
