//! Rooms, their members and their messages.

use super::Reader;
use crate::error::{Doing, StoreError};
use crate::page::bounded;
use crate::words::{from_text, signed, unsigned};
use rusqlite::{OptionalExtension, Params, params};
use serde::de::DeserializeOwned;
use talkwire_core::chat::{Member, Room};
use talkwire_proto::chat::ChatMessage;

/// Which messages of a room are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageWindow {
    /// The newest.
    Newest,
    /// Older history: those with a lower `seq`, nearest first taken.
    BeforeSeq(u64),
    /// Catching up: messages and newer forms with a higher `change`, in the order of change.
    AfterChange(u64),
}

/// What `GET /mqtt/status` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChatCounts {
    /// Messages of people, guests and devices.
    pub received: u64,
    /// Messages of the assistant and the system.
    pub sent: u64,
    /// Time of the newest, in Unix milliseconds.
    pub last_ms: Option<i64>,
}

impl Reader {
    /// All rooms by name.
    pub fn rooms(&self) -> Result<Vec<Room>, StoreError> {
        self.texts("rooms", "SELECT body FROM room ORDER BY room", [])
    }

    /// Members of all rooms.
    pub fn members(&self) -> Result<Vec<Member>, StoreError> {
        self.texts("members", "SELECT body FROM member ORDER BY room, client_id", [])
    }

    /// Messages of a room, oldest first, and whether there are more in the direction of asking.
    pub fn messages(&self, room: &str, window: MessageWindow, limit: usize) -> Result<(Vec<ChatMessage>, bool), StoreError> {
        let limit = bounded(limit);
        let back = "SELECT body FROM message WHERE room = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";
        let on = "SELECT body FROM message WHERE room = ?1 AND change > ?2 ORDER BY change LIMIT ?3";
        let (sql, bound) = match window {
            MessageWindow::Newest => (back, i64::MAX),
            MessageWindow::BeforeSeq(seq) => (back, signed(seq)),
            MessageWindow::AfterChange(change) => (on, signed(change)),
        };
        let mut found: Vec<ChatMessage> = self.texts("messages", sql, params![room, bound, limit as i64 + 1])?;
        let more = found.len() > limit;
        found.truncate(limit);
        if !matches!(window, MessageWindow::AfterChange(_)) {
            found.reverse();
        }
        Ok((found, more))
    }

    /// A message in its newest form.
    pub fn message(&self, id: &str) -> Result<Option<ChatMessage>, StoreError> {
        self.one("message", "SELECT body FROM message WHERE message_id = ?1 ORDER BY id DESC LIMIT 1", id)
    }

    /// How many messages went which way.
    pub fn chat_counts(&self) -> Result<ChatCounts, StoreError> {
        let sql = "SELECT sum(role NOT IN ('assistant', 'system')), sum(role IN ('assistant', 'system')), max(ts_ms) FROM message";
        self.read(|db| {
            let row = db
                .prepare_cached(sql)
                .and_then(|mut counts| counts.query_row([], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?))).optional());
            let (received, sent, last_ms) = row.doing(|| "counting messages")?.unwrap_or_default();
            Ok(ChatCounts { received: unsigned(received.unwrap_or(0)), sent: unsigned(sent.unwrap_or(0)), last_ms })
        })
    }

    fn texts<T: DeserializeOwned>(&self, what: &str, sql: &str, values: impl Params) -> Result<Vec<T>, StoreError> {
        self.read(|db| {
            let rows = || -> rusqlite::Result<Vec<String>> { db.prepare_cached(sql)?.query_map(values, |row| row.get(0))?.collect() };
            rows().doing(|| format!("listing {what}"))?.iter().map(|body| from_text(what, body)).collect()
        })
    }
}
