//! The change journal: what was there before each change, on the disk before the change is made.
//!
//! One file per change set, replaced as a whole (written beside, synced, renamed, folder synced), so that a power cut
//! leaves the old or the new one. Its first line is the SHA-256 of the second, which is the [`SetRecord`] as JSON. Ended
//! sets stay for 24 hours of running, so that a command that comes again is recognised; a clock that jumps forgets none. A file that cannot be read is kept under
//! another name and reported.

use crate::disk::Disk;
use crate::guard::Reason;
use crate::section::hex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use talkwire_proto::command::Answer;

/// How long ended sets are remembered while the process runs; after a restart anew.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3600);
/// How many ended sets are remembered at most.
const REMEMBERED: usize = 1000;
const ENDING: &str = ".set";
const UNREADABLE: &str = ".unreadable";
const REPORTED: &str = ".unreadable-reported";

/// Where a set stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SetState {
    /// Applied or being applied, not confirmed.
    Pending,
    /// Confirmed.
    Committed,
    /// What was there before runs again.
    RolledBack,
    /// A change outside any set: kept only so that its command is not run twice.
    Unguarded,
}

/// Where one operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Written down; perhaps applied, wholly or in part.
    Started,
    /// Applied.
    Applied,
    /// Failed, and what it changed is restored.
    Undone,
}

/// One change of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) command_id: String,
    pub(crate) op: String,
    pub(crate) args: Map<String, Value>,
    pub(crate) previous: Value,
    pub(crate) step: Step,
    /// The hash of the section that ran after applying.
    pub(crate) config_hash: Option<String>,
    /// What the device answered.
    pub(crate) answer: Option<Answer>,
}

/// One change set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SetRecord {
    pub(crate) version: u32,
    pub(crate) changeset_id: String,
    /// Rises with each set of this device.
    pub(crate) number: u64,
    pub(crate) state: SetState,
    pub(crate) deadline_unix_ms: i64,
    pub(crate) changed_unix_ms: i64,
    pub(crate) reason: Option<Reason>,
    pub(crate) restored_hash: Option<String>,
    /// Whether an event about the end must still be sent.
    pub(crate) unreported: bool,
    pub(crate) operations: Vec<Operation>,
}

impl SetRecord {
    fn encode(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_string(self)?;
        Ok(format!("{}\n{json}\n", hex(json.as_bytes())).into_bytes())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (sum, json) = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.split_once('\n')?;
        (hex(json.as_bytes()) == sum).then(|| serde_json::from_str::<Self>(json).ok()).flatten().filter(|record| record.version == 1)
    }
}

/// The journal of one device.
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    sets: BTreeMap<String, SetRecord>,
    /// Sets whose file may say something else than `sets`, because writing it failed on the way.
    uncertain: BTreeSet<String>,
    unreadable: Vec<String>,
    /// Since when each ended set is known as ended, on the steady clock.
    ended_since: BTreeMap<String, Duration>,
}

impl Journal {
    /// Reads everything back.
    pub(crate) fn load(disk: Arc<dyn Disk>) -> io::Result<Self> {
        let mut journal = Self { disk, sets: BTreeMap::new(), uncertain: BTreeSet::new(), unreadable: Vec::new(), ended_since: BTreeMap::new() };
        let mut moved = false;
        for name in journal.disk.list()? {
            if name.ends_with(UNREADABLE) {
                journal.unreadable.push(name);
            } else if name.ends_with(ENDING) {
                match SetRecord::decode(&journal.disk.read(&name)?) {
                    Some(record) => {
                        journal.sets.insert(record.changeset_id.clone(), record);
                    }
                    None => {
                        let aside = name.replace(ENDING, UNREADABLE);
                        journal.disk.rename(&name, &aside)?;
                        journal.unreadable.push(aside);
                        moved = true;
                    }
                }
            }
        }
        if moved {
            journal.disk.sync_folder()?;
        }
        Ok(journal)
    }

    /// A set by its id.
    pub(crate) fn set(&self, changeset_id: &str) -> Option<&SetRecord> {
        self.sets.get(changeset_id)
    }

    /// Every set.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &SetRecord> {
        self.sets.values()
    }

    /// The sets that are not ended, newest first.
    pub(crate) fn pending(&self) -> Vec<&SetRecord> {
        let mut pending: Vec<_> = self.sets.values().filter(|set| set.state == SetState::Pending).collect();
        pending.sort_by_key(|set| std::cmp::Reverse(set.number));
        pending
    }

    /// The number of the next set.
    pub(crate) fn next_number(&self) -> u64 {
        self.sets.values().map(|set| set.number).max().unwrap_or(0) + 1
    }

    /// The operation that a command started, ever.
    pub(crate) fn operation(&self, command_id: &str) -> Option<(&SetRecord, &Operation)> {
        self.sets.values().find_map(|set| set.operations.iter().find(|operation| operation.command_id == command_id).map(|operation| (set, operation)))
    }

    /// Files that could not be read and were not reported yet.
    pub(crate) fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// Writes a set down. When this returns `Ok` it is on the disk; when it fails, the set counts as it was before, and
    /// nothing else is written until the disk agrees with that.
    pub(crate) async fn save(&mut self, record: SetRecord) -> io::Result<()> {
        self.settle().await?;
        let id = record.changeset_id.clone();
        let written = self.replace(&id, record.encode()?).await;
        if let Err(error) = written {
            self.uncertain.insert(id);
            // Trying at once; the next save tries again.
            let _ = self.settle().await;
            return Err(error);
        }
        self.sets.insert(id, record);
        Ok(())
    }

    /// Takes a set as true although the disk refused it; the disk is made to agree as soon as it can.
    pub(crate) fn owe(&mut self, record: SetRecord) {
        self.uncertain.insert(record.changeset_id.clone());
        self.sets.insert(record.changeset_id.clone(), record);
    }

    /// Marks an unreadable file as reported.
    pub(crate) async fn unreadable_reported(&mut self, name: &str) {
        let (disk, from, to) = (self.disk.clone(), name.to_owned(), name.replace(UNREADABLE, REPORTED));
        if blocking(move || disk.rename(&from, &to)).await.is_ok() {
            self.unreadable.retain(|other| other != name);
        }
    }

    /// Forgets ended sets that are old, or too many, and reported; confirmed ones only up to the number that [`crate::standing`] has. `now` is the
    /// steady clock's.
    pub(crate) async fn prune(&mut self, now: Duration, through: u64) {
        let is_over = |set: &&SetRecord| set.state != SetState::Pending && !set.unreported && (set.state != SetState::Committed || set.number <= through);
        let mut ended: Vec<_> = self.sets.values().filter(is_over).collect();
        ended.sort_by_key(|set| set.number);
        let over = ended.len().saturating_sub(REMEMBERED);
        for set in &ended {
            self.ended_since.entry(set.changeset_id.clone()).or_insert(now);
        }
        let is_old = |set: &SetRecord| self.ended_since.get(&set.changeset_id).is_some_and(|since| now.saturating_sub(*since) > REMEMBERED_FOR);
        let old = ended.iter().enumerate().filter(|(at, set)| *at < over || is_old(set));
        let old: Vec<_> = old.map(|(_, set)| set.changeset_id.clone()).collect();
        for id in old {
            let (disk, name) = (self.disk.clone(), file_name(&id));
            if blocking(move || disk.remove(&name)).await.is_ok() {
                self.sets.remove(&id);
                self.ended_since.remove(&id);
            }
        }
    }

    /// Makes the disk say what memory says, for every set of which that is uncertain.
    pub(crate) async fn settle(&mut self) -> io::Result<()> {
        while let Some(id) = self.uncertain.first().cloned() {
            match self.sets.get(&id).map(SetRecord::encode).transpose()? {
                Some(bytes) => self.replace(&id, bytes).await?,
                None => {
                    let (disk, name) = (self.disk.clone(), file_name(&id));
                    blocking(move || {
                        if disk.list()?.contains(&name) {
                            disk.remove(&name)?;
                        }
                        disk.sync_folder()
                    })
                    .await?;
                }
            }
            self.uncertain.remove(&id);
        }
        Ok(())
    }

    async fn replace(&self, id: &str, bytes: Vec<u8>) -> io::Result<()> {
        let (disk, name) = (self.disk.clone(), file_name(id));
        blocking(move || replace(&*disk, &name, &bytes)).await
    }
}

/// Replaces a file as a whole; when this returns `Ok`, the new one is on the disk.
pub(crate) fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let beside = format!("{name}.new");
    disk.write(&beside, bytes)?;
    disk.sync(&beside)?;
    disk.rename(&beside, name)?;
    disk.sync_folder()
}

fn file_name(changeset_id: &str) -> String {
    format!("{}{ENDING}", &hex(changeset_id.as_bytes())[..32])
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
