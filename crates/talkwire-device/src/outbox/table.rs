//! The outbox's SQLite file, with a write-ahead log.
//!
//! `synchronous=NORMAL`: a killed process loses nothing that was committed; a power cut may lose the last moments, never the file.

use super::Table;
use crate::clock::unix_ms;
use crate::letter::{Class, Letter};
use rusqlite::{Connection, ErrorCode, params};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LAYOUT: &str = "CREATE TABLE IF NOT EXISTS letters (number INTEGER PRIMARY KEY, class INTEGER NOT NULL, topic TEXT NOT NULL, text TEXT NOT NULL) STRICT";
/// How long another process may hold the file when we open it.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Sqlite(Connection);

impl Sqlite {
    /// Opens or makes the file. One that cannot be read as an outbox is kept under another name, and a new one made.
    pub(crate) fn open(file: &Path) -> io::Result<Self> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        match Self::try_open(file) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let now = unix_ms();
                for ending in ["", "-wal", "-shm"] {
                    let part = with_ending(file, ending);
                    if part.exists() {
                        std::fs::rename(&part, with_ending(file, &format!("{ending}.unreadable-{now}")))?;
                    }
                }
                tracing::error!(%error, file = %file.display(), "the outbox is damaged; it is kept beside as `.unreadable-{now}`, and a new one begun");
                Self::try_open(file)
            }
            other => other,
        }
    }

    fn try_open(file: &Path) -> io::Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(file)?;
        let connection = Connection::open(file).map_err(from_sqlite)?;
        let set_up = || {
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update_and_check(None, "journal_size_limit", 1 << 20, |_| Ok(()))?;
            connection.execute(LAYOUT, [])?;
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
        };
        let health = set_up().map_err(from_sqlite)?;
        if health == "ok" { Ok(Self(connection)) } else { Err(io::Error::new(io::ErrorKind::InvalidData, health)) }
    }
}

impl Table for Sqlite {
    fn index(&mut self) -> io::Result<Vec<(u64, Class, usize)>> {
        let mut all = self.0.prepare("SELECT number, class, length(CAST(topic AS BLOB)) + length(CAST(text AS BLOB)) FROM letters").map_err(from_sqlite)?;
        let rows = all.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))).map_err(from_sqlite)?;
        let mut index = Vec::new();
        for row in rows {
            let (number, class, bytes) = row.map_err(from_sqlite)?;
            if let (Ok(number), Some(class), Ok(bytes)) = (u64::try_from(number), Class::of_number(class), usize::try_from(bytes)) {
                index.push((number, class, bytes));
            }
        }
        Ok(index)
    }

    fn change(&mut self, out: &BTreeSet<u64>, put: &BTreeMap<u64, Letter>) -> io::Result<()> {
        let mut work = || {
            let transaction = self.0.transaction()?;
            {
                let mut delete = transaction.prepare_cached("DELETE FROM letters WHERE number = ?1")?;
                for number in out {
                    delete.execute([wire(*number)])?;
                }
                let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO letters (number, class, topic, text) VALUES (?1, ?2, ?3, ?4)")?;
                for (number, letter) in put {
                    insert.execute(params![wire(*number), letter.class as i64, letter.topic, letter.text])?;
                }
            }
            transaction.commit()
        };
        work().map_err(from_sqlite)
    }

    fn read(&mut self, number: u64) -> io::Result<Letter> {
        let mut one = self.0.prepare_cached("SELECT class, topic, text FROM letters WHERE number = ?1").map_err(from_sqlite)?;
        let (class, topic, text) = one.query_row([wire(number)], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?))).map_err(from_sqlite)?;
        let class = Class::of_number(class).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown class"))?;
        Ok(Letter { class, topic, text })
    }
}

fn wire(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn with_ending(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn from_sqlite(error: rusqlite::Error) -> io::Error {
    if matches!(error, rusqlite::Error::QueryReturnedNoRows) {
        return io::ErrorKind::NotFound.into();
    }
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => io::ErrorKind::StorageFull,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => io::ErrorKind::InvalidData,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            return io::Error::new(io::ErrorKind::ResourceBusy, "another process has it open; every device needs a folder of its own");
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => io::ErrorKind::PermissionDenied,
        // A column of another type: the row was not written by us.
        None if matches!(error, rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..)) => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Outbox;
    use std::time::Instant;

    fn letter(text: &str) -> Letter {
        Letter { class: Class::Event, topic: "t".into(), text: text.into() }
    }

    #[test]
    fn what_was_put_in_is_there_after_a_restart_and_what_was_taken_out_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (file, now) = (dir.path().join("a").join("outbox.db"), Instant::now());
        let mut outbox = Outbox::open(&file, 100, 100_000).unwrap();
        outbox.change(&[], (1..=5).map(|n| letter(&format!("{n}—溫度"))).collect(), &BTreeSet::new(), now);
        outbox.change(&[2, 4], vec![], &BTreeSet::new(), now);
        drop(outbox);
        let mut outbox = Outbox::open(&file, 100, 100_000).unwrap();
        outbox.change(&[], vec![letter("6")], &BTreeSet::new(), now);
        let kept: Vec<_> = outbox.read(Class::Event, 0, 10, 1000, now).into_iter().map(|(number, letter)| (number, letter.text)).collect();
        assert_eq!(kept, [(1, "1—溫度".into()), (3, "3—溫度".into()), (5, "5—溫度".into()), (6, "6".to_owned())]);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions()) & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_a_file_in_use_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("outbox.db");
        std::fs::write(&file, "this is no database, however long one looks at it".repeat(100)).unwrap();
        let mut outbox = Outbox::open(&file, 100, 100_000).unwrap();
        outbox.change(&[], vec![letter("new")], &BTreeSet::new(), Instant::now());
        assert_eq!(outbox.figures().errors, 0);
        let aside = std::fs::read_dir(dir.path()).unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().contains(".unreadable-"));
        assert!(aside);
    }
}
