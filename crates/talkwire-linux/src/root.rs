//! Where the machine's files are: `/`, or a folder that stands for it. Every read is bounded and a failure is an absence.

use crate::permission::may_run;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// Most bytes of one file that are read.
const FILE_BYTES: u64 = 1024 * 1024;
/// Most names of one folder that are read.
const NAMES: usize = 1024;
/// Where programs are looked for. The environment's `PATH` is not asked, since others may write it.
pub(crate) const PROGRAM_FOLDERS: [&str; 4] = ["usr/bin", "bin", "usr/sbin", "sbin"];

/// The folder under which `proc`, `sys`, `etc` and the programs are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Default for Root {
    /// The machine itself.
    fn default() -> Self {
        Self::new("/")
    }
}

impl Root {
    /// A folder that stands for a machine, for tests or a mounted image.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The path of a file of the machine.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        self.path(file).exists()
    }

    /// The text of a file; bytes that are no text are replaced.
    pub(crate) fn text(&self, file: &str) -> Option<String> {
        Some(String::from_utf8_lossy(&self.bytes(file)?).into_owned())
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, file: &str) -> Option<Vec<u8>> {
        self.long(file, FILE_BYTES)
    }

    /// The beginning of a file that may be longer than others.
    pub(crate) fn long(&self, file: &str, most: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(self.path(file)).ok()?.take(most).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The end of a file that grows.
    pub(crate) fn tail(&self, file: &str) -> Option<String> {
        let mut open = fs::File::open(self.path(file)).ok()?;
        let length = open.metadata().ok()?.len();
        open.seek(SeekFrom::Start(length.saturating_sub(FILE_BYTES))).ok()?;
        let mut bytes = Vec::new();
        open.take(FILE_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The text of a file with one value, trimmed; none when there is nothing in it.
    pub(crate) fn word(&self, file: &str) -> Option<String> {
        let text = self.text(file)?;
        let word = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// A file with one whole number.
    pub(crate) fn whole(&self, file: &str) -> Option<u64> {
        self.word(file)?.parse().ok()
    }

    /// The names in a folder, in order.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).take(NAMES).collect();
        names.sort_unstable();
        names
    }

    /// Where a program is, when it is there and this process may run it.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        PROGRAM_FOLDERS.iter().map(|folder| self.0.join(folder).join(name)).find(|path| may_run(path))
    }
}
