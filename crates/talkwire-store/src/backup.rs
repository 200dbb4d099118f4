//! A copy of the database while it is in use.

use crate::error::{Doing, StoreError};
use crate::schema;
use std::fs;
use std::path::Path;

/// Copies the database at one instant, compacted, to a file for its owner alone; it appears under its name only when complete and on the disk.
///
/// The copy is made by a connection of its own, so the writer goes on meanwhile. To restore it, put it as `talkwire.db` into an empty data folder.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    if to.exists() {
        return Err(StoreError::Exists(to.into()));
    }
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    let part = Path::new(&name);
    let copied = copy_to_part(from, part)
        .and_then(|()| fs::rename(part, to).map_err(|source| StoreError::of_file("naming", to, source)))
        .and_then(|()| schema::sync_folder(schema::parent(to)));
    if copied.is_err() {
        // The half copy is of no use, and its remains do not change what is reported.
        let _ = fs::remove_file(part);
    }
    copied
}

fn copy_to_part(from: &Path, part: &Path) -> Result<(), StoreError> {
    let file = |source| StoreError::of_file("writing", part, source);
    if part.exists() {
        fs::remove_file(part).map_err(file)?;
    }
    let made = schema::private_file(part, true).map_err(file)?;
    let text = part.to_str().ok_or_else(|| file(std::io::Error::other("the name is not valid UTF-8")))?;
    schema::open_reader(from)?.execute("VACUUM INTO ?1", [text]).doing(|| format!("copying the database to {}", part.display()))?;
    made.sync_all().map_err(file)
}
