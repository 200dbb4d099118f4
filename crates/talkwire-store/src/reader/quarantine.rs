//! Messages that could not be read.

use super::Reader;
use crate::error::{Doing, StoreError};
use crate::page::bounded;
use crate::words::unsigned;
use rusqlite::Row;

/// A kind of message that could not be read: same topic, same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Where it was published.
    pub topic: String,
    /// Why it could not be read.
    pub reason: String,
    /// The first 4 KiB of the newest.
    pub payload: Vec<u8>,
    /// How often it came.
    pub count: u64,
    /// First arrival, in Unix milliseconds.
    pub first_ms: i64,
    /// Last arrival, in Unix milliseconds.
    pub last_ms: i64,
}

impl Reader {
    /// What could not be read, last arrival first.
    pub fn quarantine(&self, limit: usize) -> Result<Vec<Quarantined>, StoreError> {
        let sql = "SELECT topic, reason, payload, count, first_ms, last_ms FROM quarantine ORDER BY last_ms DESC, id DESC LIMIT ?1";
        let one = |row: &Row<'_>| {
            let count: i64 = row.get(3)?;
            Ok(Quarantined {
                topic: row.get(0)?,
                reason: row.get(1)?,
                payload: row.get(2)?,
                count: unsigned(count),
                first_ms: row.get(4)?,
                last_ms: row.get(5)?,
            })
        };
        self.read(|db| {
            let rows = || -> rusqlite::Result<Vec<Quarantined>> { db.prepare_cached(sql)?.query_map([bounded(limit) as i64], one)?.collect() };
            rows().doing(|| "listing quarantine")
        })
    }

    /// How many messages could not be read, of those that are still listed.
    pub fn quarantine_count(&self) -> Result<u64, StoreError> {
        let count = |db: &rusqlite::Connection| db.prepare_cached("SELECT ifnull(sum(count), 0) FROM quarantine")?.query_row([], |row| row.get::<_, i64>(0));
        self.read(|db| count(db).map(unsigned).doing(|| "counting quarantine"))
    }
}
