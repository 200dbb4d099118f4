//! The database file: where it lies, how it is opened, and how an old one is brought up to date.

use crate::error::{Doing, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In order; a database of version `n` has seen the first `n`. Never changed once released, only added to.
const MIGRATIONS: [&str; 4] = [
    include_str!("migrations/0001_base.sql"),
    include_str!("migrations/0002_telemetry.sql"),
    include_str!("migrations/0003_delivery.sql"),
    include_str!("migrations/0004_outgoing.sql"),
];

/// The database within the data folder.
pub(crate) fn file(dir: &Path) -> PathBuf {
    dir.join("talkwire.db")
}

/// Makes the data folder for its owner alone. One that exists keeps the mode that somebody gave it.
pub(crate) fn make_folder(dir: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|source| StoreError::of_file("making the data folder", dir, source))
}

/// Opens a file for its owner alone, whoever made it. SQLite gives its companion files the same mode.
pub(crate) fn private_file(path: &Path, must_be_new: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).create_new(must_be_new).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// Makes the names in a folder survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| StoreError::of_file("writing", folder, source))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// The folder that a name stands in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Holds the folder for one writer until dropped, also against a writer in another process.
pub(crate) fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("talkwire.lock");
    let lock = private_file(&path, false).map_err(|source| StoreError::of_file("opening", &path, source))?;
    lock.try_lock().map_err(|refused| StoreError::of_file("locking", &path, refused.into()))?;
    Ok(lock)
}

/// The connection of the writer.
pub(crate) fn open_writer(path: &Path, cache_kib: u32) -> Result<Connection, StoreError> {
    private_file(path, false).map_err(|source| StoreError::of_file("opening", path, source))?;
    let doing = || format!("opening {}", path.display());
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX).doing(doing)?;
    db.busy_timeout(Duration::from_secs(2)).doing(doing)?;
    db.set_prepared_statement_cache_capacity(64);
    let version = version(&db, path)?;
    db.pragma_update(None, "journal_mode", "wal").doing(doing)?;
    db.pragma_update(None, "synchronous", "full").doing(doing)?;
    // The log is copied back every 8 MiB at the latest, and does not stay longer than 64 MiB.
    db.pragma_update(None, "wal_autocheckpoint", 2_048).doing(doing)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20).doing(doing)?;
    sparing(&db, cache_kib).doing(doing)?;
    migrate(&db, version, MIGRATIONS.len())?;
    Ok(db)
}

/// A connection that cannot write.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let doing = || format!("opening {} for reading", path.display());
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX).doing(doing)?;
    db.busy_timeout(Duration::from_secs(2)).doing(doing)?;
    db.set_prepared_statement_cache_capacity(32);
    version(&db, path)?;
    sparing(&db, 1_024).doing(doing)?;
    Ok(db)
}

fn sparing(db: &Connection, cache_kib: u32) -> rusqlite::Result<()> {
    db.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "temp_store", "memory")
}

/// The version of a database that this program may use.
fn version(db: &Connection, path: &Path) -> Result<usize, StoreError> {
    let doing = || format!("reading the version of {}", path.display());
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).doing(doing)?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::Newer { path: path.into(), found, known });
    }
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).doing(doing)?;
    match usize::try_from(found) {
        Ok(version) if version > 0 || tables == 0 => Ok(version),
        _ => Err(StoreError::Foreign { path: path.into() }),
    }
}

fn migrate(db: &Connection, from: usize, to: usize) -> Result<(), StoreError> {
    for (at, sql) in MIGRATIONS.iter().enumerate().take(to).skip(from) {
        let step = || -> rusqlite::Result<()> {
            let transaction = db.unchecked_transaction()?;
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "user_version", at as i64 + 1)?;
            transaction.commit()
        };
        step().doing(|| format!("bringing the database to version {}", at + 1))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_older_version_migrates_with_its_rows() {
        for old in 1..MIGRATIONS.len() {
            let dir = tempfile::tempdir().unwrap();
            let path = file(dir.path());
            let db = Connection::open(&path).unwrap();
            migrate(&db, 0, old).unwrap();
            db.execute("INSERT INTO setting VALUES ('language', '\"zh-TW\"')", []).unwrap();
            drop(db);
            let db = open_writer(&path, 4_096).unwrap();
            assert_eq!(version(&db, &path).unwrap(), MIGRATIONS.len());
            let kept: String = db.query_row("SELECT body FROM setting WHERE name = 'language'", [], |row| row.get(0)).unwrap();
            assert_eq!(kept, "\"zh-TW\"");
            let fresh = Connection::open_in_memory().unwrap();
            migrate(&fresh, 0, MIGRATIONS.len()).unwrap();
            assert_eq!(tables(&db), tables(&fresh));
        }
    }

    fn tables(db: &Connection) -> Vec<(String, String)> {
        let mut rows = db.prepare("SELECT name, ifnull(sql, '') FROM sqlite_schema ORDER BY name").unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_commit_is_synced_and_memory_is_spared() {
        let dir = tempfile::tempdir().unwrap();
        let db = open_writer(&file(dir.path()), 4_096).unwrap();
        let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        const FULL: i64 = 2;
        assert_eq!((number("synchronous"), number("cache_size")), (FULL, -4_096));
        let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn every_table_is_strict() {
        let db = Connection::open_in_memory().unwrap();
        migrate(&db, 0, MIGRATIONS.len()).unwrap();
        let loose: i64 = db.query_row("SELECT count(*) FROM pragma_table_list WHERE NOT strict AND name NOT LIKE 'sqlite_%'", [], |row| row.get(0)).unwrap();
        assert_eq!(loose, 0);
    }

    #[test]
    fn a_newer_database_is_refused_in_words_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        let db = Connection::open(&path).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        drop(db);
        let before = fs::read(&path).unwrap();
        let said = open_writer(&path, 4_096).unwrap_err().to_string();
        assert!(said.contains("version 99") && said.contains("start the newer Talkwire"), "{said}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE bookmarks (url)").unwrap();
        assert!(matches!(open_writer(&path, 4_096), Err(StoreError::Foreign { .. })));
    }
}
