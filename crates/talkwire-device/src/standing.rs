//! What was confirmed and is lost when the machine boots: kept beside the journal, so that it can be put back.
//!
//! One file, replaced as a whole like those of the journal: the SHA-256 of the second line, then the entries as JSON. What the journal
//! confirmed and this file does not have yet is taken over at the next start, so that a power cut between the two loses nothing.

use crate::disk::Disk;
use crate::journal::{blocking, replace};
use crate::section::hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::sync::Arc;

const NAME: &str = "standing.kept";
/// The journal reports files that end like this, and says so.
const ASIDE: &str = "standing.unreadable";

/// One part of the machine and what must run there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) op: String,
    /// Which part, in the words of the Act.
    pub(crate) place: String,
    /// What was read back when it was applied.
    pub(crate) section: Value,
    pub(crate) config_hash: String,
    pub(crate) changeset_id: String,
    /// The boot in which it was last known to run.
    pub(crate) boot: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// The number of the newest set that is taken over.
    through: u64,
    /// In the order in which they were confirmed.
    entries: Vec<Entry>,
}

/// Everything that must run after a boot.
pub(crate) struct Standing {
    disk: Arc<dyn Disk>,
    record: Record,
    /// Names the present boot; none where it cannot be told, and then nothing is ever put back.
    boot: Option<String>,
}

impl Standing {
    /// Reads it back. A file that cannot be read is put aside under a name that the journal reports.
    pub(crate) fn load(disk: Arc<dyn Disk>, boot: Option<String>) -> io::Result<Self> {
        let mut record = Record { version: 1, through: 0, entries: Vec::new() };
        if disk.list()?.iter().any(|name| name == NAME) {
            match decode(&disk.read(NAME)?) {
                Some(read) => record = read,
                None => {
                    disk.rename(NAME, ASIDE)?;
                    disk.sync_folder()?;
                }
            }
        }
        Ok(Self { disk, record, boot })
    }

    /// The number of the newest set that is taken over.
    pub(crate) fn through(&self) -> u64 {
        self.record.through
    }

    /// Names the present boot.
    pub(crate) fn boot(&self) -> Option<String> {
        self.boot.clone()
    }

    /// What was confirmed in another boot and did not run since, in order.
    pub(crate) fn owed(&self) -> Vec<Entry> {
        let Some(now) = &self.boot else { return Vec::new() };
        self.record.entries.iter().filter(|entry| entry.boot.as_ref() != Some(now)).cloned().collect()
    }

    /// Takes over what was confirmed up to a set. What stood at the same places before is forgotten.
    pub(crate) async fn take(&mut self, fresh: Vec<Entry>, through: u64) -> io::Result<()> {
        let mut record = self.record.clone();
        for entry in fresh {
            record.entries.retain(|old| (&old.op, &old.place) != (&entry.op, &entry.place));
            record.entries.push(entry);
        }
        record.through = record.through.max(through);
        self.save(record).await
    }

    /// Notes that these run in the present boot.
    pub(crate) async fn runs(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut record = self.record.clone();
        for entry in record.entries.iter_mut().filter(|entry| entries.contains(entry)) {
            entry.boot.clone_from(&self.boot);
        }
        self.save(record).await
    }

    async fn save(&mut self, record: Record) -> io::Result<()> {
        let json = serde_json::to_string(&record)?;
        let bytes = format!("{}\n{json}\n", hex(json.as_bytes())).into_bytes();
        let disk = self.disk.clone();
        blocking(move || replace(&*disk, NAME, &bytes)).await?;
        self.record = record;
        Ok(())
    }
}

fn decode(bytes: &[u8]) -> Option<Record> {
    let (sum, json) = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.split_once('\n')?;
    (hex(json.as_bytes()) == sum).then(|| serde_json::from_str::<Record>(json).ok()).flatten().filter(|record| record.version == 1)
}
