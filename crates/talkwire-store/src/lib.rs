//! The memory: what the hub decided, kept in SQLite.
//!
//! [`Sqlite`] is the one writer: a batch of rows is one transaction, and `Ok` means that it survives a power cut.
//! [`Reader`] is the read-only view that doors and exports share.

mod backup;
mod error;
mod load;
mod names;
mod page;
mod prune;
mod reader;
mod schema;
mod sqlite;
mod store;
mod words;
mod write;

pub use error::StoreError;
pub use load::{AuditEnd, Loaded};
pub use page::Page;
pub use prune::{AUDIT_MS, FOLDED_MS, HISTORY_MS, Pruned, RAW_MS};
pub use reader::Reader;
pub use reader::chat::{ChatCounts, MessageWindow};
pub use reader::quarantine::Quarantined;
pub use reader::telemetry::{EVENTS_SEARCHED, Fold, FoldWidth};
pub use sqlite::{Options, Sqlite};
pub use store::Store;
