//! Commands, sessions, change sets and receipts: by id, or newest first.

use super::Reader;
use crate::error::{Doing, StoreError};
use crate::page::{Page, before, bounded};
use crate::words::from_text;
use rusqlite::{OptionalExtension, Params, params};
use serde::de::DeserializeOwned;
use serde_json::Value;
use talkwire_core::changeset::{Changeset, Status};
use talkwire_core::command::Command;
use talkwire_core::session::Session;
use talkwire_proto::DeviceKey;

impl Reader {
    /// Commands of all devices or of one, newest first.
    pub fn commands(&self, device: Option<&DeviceKey>, limit: usize, after: Option<&str>) -> Result<Page<Command>, StoreError> {
        let (before, limit) = (before(after)?, bounded(limit));
        match device {
            None => self.list("commands", "SELECT seq, body FROM command WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2", params![before, limit as i64 + 1], limit),
            Some(key) => self.list(
                "commands",
                "SELECT seq, body FROM command WHERE seq < ?1 AND device =
                 (SELECT id FROM device_key WHERE tenant = ?3 AND site = ?4 AND device_id = ?5) ORDER BY seq DESC LIMIT ?2",
                params![before, limit as i64 + 1, key.tenant.as_str(), key.site.as_str(), key.device_id.as_str()],
                limit,
            ),
        }
    }

    /// A command.
    pub fn command(&self, id: &str) -> Result<Option<Command>, StoreError> {
        self.one("command", "SELECT body FROM command WHERE id = ?1", id)
    }

    /// Sessions, newest first.
    pub fn sessions(&self, limit: usize, after: Option<&str>) -> Result<Page<Session>, StoreError> {
        let (before, limit) = (before(after)?, bounded(limit));
        self.list("sessions", "SELECT seq, body FROM session WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2", params![before, limit as i64 + 1], limit)
    }

    /// A session.
    pub fn session(&self, id: &str) -> Result<Option<Session>, StoreError> {
        self.one("session", "SELECT body FROM session WHERE id = ?1", id)
    }

    /// Change sets, all or those of one status, newest first.
    pub fn changesets(&self, limit: usize, after: Option<&str>, status: Option<Status>) -> Result<Page<Changeset>, StoreError> {
        let (before, limit) = (before(after)?, bounded(limit));
        match status {
            None => {
                self.list("change sets", "SELECT seq, body FROM changeset WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2", params![before, limit as i64 + 1], limit)
            }
            Some(status) => self.list(
                "change sets",
                "SELECT seq, body FROM changeset WHERE seq < ?1 AND status = ?3 ORDER BY seq DESC LIMIT ?2",
                params![before, limit as i64 + 1, status.word()],
                limit,
            ),
        }
    }

    /// A change set.
    pub fn changeset(&self, id: &str) -> Result<Option<Changeset>, StoreError> {
        self.one("change set", "SELECT body FROM changeset WHERE id = ?1", id)
    }

    /// The receipt of a change set as it was signed.
    pub fn receipt(&self, changeset_id: &str) -> Result<Option<Value>, StoreError> {
        self.one("receipt", "SELECT body FROM receipt WHERE changeset_id = ?1", changeset_id)
    }

    pub(super) fn one<T: DeserializeOwned>(&self, what: &str, sql: &str, id: &str) -> Result<Option<T>, StoreError> {
        let doing = || format!("reading {what} {id}");
        self.read(|db| {
            let body: Option<String> = db.prepare_cached(sql).and_then(|mut found| found.query_row([id], |row| row.get(0)).optional()).doing(doing)?;
            body.map(|body| from_text(&format!("{what} {id}"), &body)).transpose()
        })
    }

    pub(super) fn list<T: DeserializeOwned>(&self, what: &str, sql: &str, values: impl Params, limit: usize) -> Result<Page<T>, StoreError> {
        let doing = || format!("listing {what}");
        self.read(|db| {
            let mut statement = db.prepare_cached(sql).doing(doing)?;
            let mut rows = statement.query(values).doing(doing)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next().doing(doing)? {
                let (seq, body): (i64, String) = (row.get(0).doing(doing)?, row.get(1).doing(doing)?);
                found.push((seq.to_string(), from_text(&format!("row {seq} of {what}"), &body)?));
            }
            Ok(Page::cut(found, limit))
        })
    }
}
