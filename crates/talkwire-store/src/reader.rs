//! The read-only view: lists and single records for doors, exports and checks.

pub(crate) mod audit;
pub(crate) mod chat;
mod documents;
pub(crate) mod quarantine;
pub(crate) mod telemetry;

use crate::backup;
use crate::error::{Doing, StoreError};
use crate::load;
use crate::schema;
use crate::sqlite;
use crate::words::unsigned;
use rusqlite::Connection;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// So many connections wait for the next reader; more are opened when needed and closed afterwards.
const IDLE: usize = 4;

/// Reads the database; any number of threads at once, never blocked by the writer. Cheap to clone.
///
/// All methods block on the disk: call them where that is allowed.
#[derive(Clone)]
pub struct Reader {
    pool: Arc<Pool>,
}

struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Reader {
    pub(crate) fn over(path: PathBuf) -> Self {
        Self { pool: Arc::new(Pool { path, idle: Mutex::new(Vec::new()) }) }
    }

    /// Reads the database of a data folder that this process does not write: for programs that check or export.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let reader = Self::over(schema::file(dir));
        reader.read(|_| Ok(()))?;
        Ok(reader)
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // A reader that panicked leaves the list of idle connections as it was: it is pushed and popped only.
        let idle = || self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let connection = waiting.map_or_else(|| schema::open_reader(&self.pool.path), Ok)?;
        let result = read(&connection);
        let mut idle = idle();
        if result.is_ok() && idle.len() < IDLE {
            idle.push(connection);
        }
        result
    }

    /// All settings by name.
    pub fn settings(&self) -> Result<Vec<(String, Value)>, StoreError> {
        self.read(load::settings)
    }

    /// How many messages a broker that is not ours has not acknowledged.
    pub fn outgoing(&self) -> Result<u64, StoreError> {
        let count = |db: &Connection| db.query_row("SELECT count(*) FROM outgoing", [], |row| row.get::<_, i64>(0));
        self.read(|db| count(db).doing(|| "counting messages on their way")).map(unsigned)
    }

    /// Reads the whole database and lists what is damaged; empty: nothing.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        self.read(sqlite::check)
    }

    /// Bytes on the disk: the database and its log.
    pub fn size_bytes(&self) -> Result<u64, StoreError> {
        let path = &self.pool.path;
        let main = std::fs::metadata(path).map_err(|source| StoreError::of_file("measuring", path, source))?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Ok(main.len() + std::fs::metadata(log).map_or(0, |log| log.len()))
    }

    /// Copies the database, as it is at this moment, to a file that does not exist yet. The writer goes on meanwhile.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        backup::copy(&self.pool.path, to)
    }
}
