//! What can go wrong with the memory, each with what was attempted.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

type Cause = Box<dyn Error + Send + Sync>;

/// Why the store could not do what was asked. Nothing of the attempted batch is visible.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space left. The store works again as soon as there is.
    #[error("the disk is full while {doing}: free space on the volume of the data folder")]
    DiskFull {
        /// What was attempted.
        doing: String,
        /// What the engine said.
        source: Cause,
    },
    /// The disk or the file system failed.
    #[error("the disk failed while {doing}: check the volume and the permissions of the data folder")]
    Io {
        /// What was attempted.
        doing: String,
        /// What the engine or the system said.
        source: Cause,
    },
    /// The file is damaged, or is no database.
    #[error("the database is damaged, found while {doing}: restore a backup, or move the file away to start empty")]
    Corrupt {
        /// What was attempted.
        doing: String,
        /// What the engine said.
        source: Cause,
    },
    /// Somebody else holds the database.
    #[error("the database is held by another program, found while {doing}: stop it, or choose another data folder")]
    Busy {
        /// What was attempted.
        doing: String,
        /// What the engine or the system said.
        source: Cause,
    },
    /// The file was written by a newer Talkwire.
    #[error("{path} has version {found} and this program knows versions up to {known}: start the newer Talkwire, or restore a backup made before the upgrade")]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The file is a database of something else.
    #[error("{path} is a database of another program: choose another data folder")]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// A stored row cannot be understood.
    #[error("{what} cannot be read back: it was written by another version, or changed by hand")]
    Unreadable {
        /// Which row.
        what: String,
        /// Why.
        source: Cause,
    },
    /// A cursor that no list handed out.
    #[error("cursor {0:?} is not one that this list handed out: start again without it")]
    Cursor(String),
    /// A file that must not be overwritten is already there.
    #[error("{0} exists: choose another name")]
    Exists(PathBuf),
    /// Anything else, a defect most likely.
    #[error("the store failed while {doing}")]
    Other {
        /// What was attempted.
        doing: String,
        /// What the engine said.
        source: Cause,
    },
}

impl StoreError {
    /// Whether trying the same again later may succeed without anybody's help to the program.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::Io { .. } | Self::Busy { .. })
    }

    pub(crate) fn of_sqlite(doing: String, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let code = source.sqlite_error_code();
        // The shared index beside the write-ahead log cannot grow: the volume is full, though SQLite calls it input/output.
        let cannot_grow = source.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
        let source = Box::new(source);
        match code {
            _ if cannot_grow => Self::DiskFull { doing, source },
            Some(Code::DiskFull) => Self::DiskFull { doing, source },
            Some(Code::SystemIoFailure | Code::CannotOpen | Code::ReadOnly | Code::PermissionDenied) => Self::Io { doing, source },
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Corrupt { doing, source },
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Busy { doing, source },
            _ => Self::Other { doing, source },
        }
    }

    pub(crate) fn of_file(doing: &str, path: &Path, source: io::Error) -> Self {
        let doing = format!("{doing} {}", path.display());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { doing, source: Box::new(source) },
            io::ErrorKind::WouldBlock => Self::Busy { doing, source: Box::new(source) },
            _ => Self::Io { doing, source: Box::new(source) },
        }
    }

    pub(crate) fn unreadable(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Unreadable { what: what.into(), source: source.into() }
    }
}

/// Says what was attempted when the engine refuses.
pub(crate) trait Doing<T> {
    /// With a text that is only made when needed.
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, StoreError>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::of_sqlite(what().into(), source))
    }
}
