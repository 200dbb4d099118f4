//! SQLite as the store: one writer, everything else reads.

use crate::backup;
use crate::error::{Doing, StoreError};
use crate::load::{self, Loaded};
use crate::names::Names;
use crate::prune::{self, Pruned, Sweep};
use crate::reader::Reader;
use crate::schema;
use crate::store::Store;
use crate::write::Batch;
use rusqlite::{Connection, TransactionBehavior};
use std::fs::File;
use std::path::{Path, PathBuf};
use talkwire_core::Save;

/// How the database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Page cache of the writer, in KiB.
    pub cache_kib: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_kib: 4_096 }
    }
}

/// The writer of a database in a folder.
pub struct Sqlite {
    db: Connection,
    path: PathBuf,
    names: Names,
    quarantined: Option<i64>,
    sweep: Sweep,
    reader: Reader,
    _lock: File,
}

impl Sqlite {
    /// Opens the database of a data folder, or makes it, and brings it up to date.
    ///
    /// The folder is made with mode 0700, the file has 0600. A second writer, a newer version, a foreign or damaged file are refused.
    pub fn open(dir: &Path, options: Options) -> Result<Self, StoreError> {
        schema::make_folder(dir)?;
        let lock = schema::lock(dir)?;
        let path = schema::file(dir);
        let db = schema::open_writer(&path, options.cache_kib)?;
        schema::sync_folder(dir)?;
        schema::sync_folder(schema::parent(dir))?;
        let reader = Reader::over(path.clone());
        Ok(Self { db, path, names: Names::default(), quarantined: None, sweep: Sweep::default(), reader, _lock: lock })
    }

    /// A read-only view for other threads; cheap to clone.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    fn write(&mut self, batch: &[Save]) -> Result<(), StoreError> {
        let rows = batch.len();
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate).doing(|| format!("beginning to commit {rows} rows"))?;
        Batch { db: &transaction, names: &mut self.names, quarantined: &mut self.quarantined }.write(batch)?;
        transaction.commit().doing(|| format!("committing {rows} rows"))
    }
}

impl Store for Sqlite {
    fn commit(&mut self, batch: &[Save]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.write(batch).inspect_err(|_| {
            self.names.clear();
            self.quarantined = None;
        })
    }

    fn load(&self, now_ms: i64) -> Result<Loaded, StoreError> {
        load::load(&self.db, now_ms)
    }

    fn prune(&mut self, now_ms: i64) -> Result<Pruned, StoreError> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate).doing(|| "beginning to drop old rows")?;
        let (pruned, sweep) = prune::slice(&transaction, now_ms, self.sweep)?;
        transaction.commit().doing(|| "dropping old rows")?;
        self.sweep = sweep;
        if pruned.series > 0 {
            self.names.clear();
        }
        Ok(pruned)
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        check(&self.db)
    }

    fn backup(&self, to: &Path) -> Result<(), StoreError> {
        backup::copy(&self.path, to)
    }
}

/// Reads everything and lists what is damaged.
pub(crate) fn check(db: &Connection) -> Result<Vec<String>, StoreError> {
    let lines = || -> rusqlite::Result<Vec<String>> { db.prepare("PRAGMA integrity_check(20)")?.query_map([], |row| row.get(0))?.collect() };
    let mut lines = lines().doing(|| "checking the database")?;
    lines.retain(|line| line != "ok");
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(range: std::ops::Range<u32>) -> Vec<Save> {
        range.map(|at| Save::Setting(format!("row {at}"), json!("x".repeat(500)))).collect()
    }

    #[test]
    fn a_full_database_refuses_the_whole_batch_and_goes_on_when_there_is_space() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(dir.path(), Options::default()).unwrap();
        store.commit(&settings(0..10)).unwrap();
        let pages: i64 = store.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        store.db.pragma_update(None, "max_page_count", pages + 20).unwrap();
        let refused = store.commit(&settings(10..1_000)).unwrap_err();
        assert!(matches!(refused, StoreError::DiskFull { .. }), "{refused:?}");
        assert!(refused.to_string().contains("free space"), "{refused}");
        assert_eq!(store.reader().settings().unwrap().len(), 10);
        store.db.pragma_update(None, "max_page_count", 1_000_000).unwrap();
        store.commit(&settings(10..1_000)).unwrap();
        assert_eq!(store.reader().settings().unwrap().len(), 1_000);
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn numbers_given_in_a_refused_batch_are_forgotten() {
        use talkwire_core::effect::Sample;
        let dir = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(dir.path(), Options::default()).unwrap();
        let sample = |device: &str| {
            Save::Sample(Sample {
                key: format!("home/flat/{device}").parse().unwrap(),
                metric: "cpu_usage".into(),
                ts_ms: 1,
                received_ms: 2,
                value: Some(3.5),
                unit: Some("%".into()),
                body: None,
            })
        };
        let pages: i64 = store.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        store.db.pragma_update(None, "max_page_count", pages).unwrap();
        let mut batch = vec![sample("first")];
        batch.extend(settings(0..1_000));
        assert!(store.commit(&batch).is_err());
        store.db.pragma_update(None, "max_page_count", 1_000_000).unwrap();
        store.commit(&[sample("second")]).unwrap();
        store.commit(&[sample("first")]).unwrap();
        for device in ["first", "second"] {
            let key = format!("home/flat/{device}").parse().unwrap();
            let found = store.reader().telemetry(&key, "cpu_usage", 0, 10, 10, None).unwrap().items;
            assert_eq!(found.len(), 1, "{device}");
            assert_eq!(found[0].key, key);
        }
    }

    #[test]
    fn a_record_changed_by_hand_is_named_when_it_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(dir.path(), Options::default()).unwrap();
        store.commit(&settings(0..1)).unwrap();
        store.db.execute("UPDATE setting SET body = '{'", []).unwrap();
        let refused = store.load(0).unwrap_err();
        assert!(matches!(refused, StoreError::Unreadable { .. }) && refused.to_string().contains("setting row 0"), "{refused}");
    }
}
