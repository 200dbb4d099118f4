//! Rows into tables: one `Save` at a time, within the transaction of its batch.

use crate::error::{Doing, StoreError};
use crate::names::Names;
use crate::words::{flag_number, role_word, severity_word, signed, to_text};
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use talkwire_core::Save;
use talkwire_core::audit::{AuditHead, AuditRow};
use talkwire_core::changeset::Changeset;
use talkwire_core::chat::{Member, Room};
use talkwire_core::command::Command;
use talkwire_core::delivery::WINDOW;
use talkwire_core::device::Device;
use talkwire_core::effect::{EventRow, QuarantineRow, Sample};
use talkwire_core::session::{Session, SessionStatus};
use talkwire_proto::DeviceKey;
use talkwire_proto::chat::ChatMessage;
use talkwire_proto::limits::QUARANTINE_BYTES;

/// More rows of quarantine than this and the one that was quiet longest goes.
pub(crate) const QUARANTINE_ROWS: i64 = 10_000;

/// A batch on its way into the tables.
pub(crate) struct Batch<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) names: &'a mut Names,
    /// Rows in quarantine, once counted.
    pub(crate) quarantined: &'a mut Option<i64>,
}

/// What is saved "as it is now": of several forms in a batch only the last is written, at the place of the first.
#[derive(PartialEq, Eq, Hash)]
enum Subject<'a> {
    Device(&'a DeviceKey),
    Command(&'a str),
    Session(&'a str),
    Changeset(&'a str),
}

fn subject(save: &Save) -> Option<Subject<'_>> {
    match save {
        Save::Device(device) => Some(Subject::Device(&device.key)),
        Save::Command(command) => Some(Subject::Command(&command.id)),
        Save::Session(session) => Some(Subject::Session(&session.session_id)),
        Save::Changeset(set) => Some(Subject::Changeset(&set.changeset_id)),
        _ => None,
    }
}

impl Batch<'_> {
    pub(crate) fn write(&mut self, batch: &[Save]) -> Result<(), StoreError> {
        let mut last = HashMap::new();
        for save in batch {
            if let Some(subject) = subject(save) {
                last.insert(subject, save);
            }
        }
        for save in batch {
            match subject(save).map(|subject| last.entry(subject)) {
                None => self.save(save)?,
                Some(Entry::Occupied(newest)) => self.save(newest.remove())?,
                Some(Entry::Vacant(_)) => {}
            }
        }
        Ok(())
    }

    fn save(&mut self, save: &Save) -> Result<(), StoreError> {
        match save {
            Save::Device(device) => self.device(device),
            Save::Sample(sample) => self.sample(sample),
            Save::Event(event) => self.event(event),
            Save::Command(command) => self.command(command),
            Save::Session(session) => self.session(session),
            Save::Changeset(set) => self.changeset(set),
            Save::Receipt { changeset_id, receipt } => {
                let body = to_text("a receipt", receipt)?;
                self.run("INSERT OR REPLACE INTO receipt (changeset_id, body) VALUES (?1, ?2)", params![changeset_id, body], || {
                    format!("saving the receipt of {changeset_id}")
                })
            }
            Save::Message(message) => self.message(message),
            Save::Room(room) => self.room(room),
            Save::RoomGone(room) => self.room_gone(room),
            Save::Member(member) => self.member(member),
            Save::Audit(row) => self.audit(row),
            Save::AuditHead(head) => self.audit_head(head),
            Save::Quarantine(row) => self.quarantine(row),
            Save::Setting(name, value) => {
                let body = to_text("a setting", value)?;
                self.run("INSERT OR REPLACE INTO setting (name, body) VALUES (?1, ?2)", params![name, body], || format!("saving setting {name}"))
            }
            Save::Delivered(row) => {
                let values = params![signed(row.n % WINDOW as u64), signed(row.n), row.packet_id, row.fingerprint.to_be_bytes()];
                self.run("INSERT OR REPLACE INTO delivery (slot, n, packet_id, fingerprint) VALUES (?1, ?2, ?3, ?4)", values, || "saving a delivery".into())
            }
            Save::SessionBegun => self.run("UPDATE delivery SET packet_id = 0 WHERE packet_id != 0", [], || "beginning a session".into()),
            Save::Outgoing(row) => {
                let values = params![signed(row.n), row.publish.topic, row.publish.payload, row.publish.retain];
                self.run("INSERT OR REPLACE INTO outgoing (n, topic, payload, retain) VALUES (?1, ?2, ?3, ?4)", values, || "saving a message on its way".into())
            }
            Save::OutgoingGone(numbers) => {
                numbers.iter().try_for_each(|n| self.run("DELETE FROM outgoing WHERE n = ?1", [signed(*n)], || "forgetting a message on its way".into()))
            }
        }
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params, doing: impl FnOnce() -> String) -> Result<(), StoreError> {
        self.db.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map(drop).doing(doing)
    }

    fn device(&mut self, device: &Device) -> Result<(), StoreError> {
        let id = self.names.device(self.db, &device.key)?;
        let body = to_text("a device", device)?;
        self.run("INSERT INTO device (device, body) VALUES (?1, ?2) ON CONFLICT (device) DO UPDATE SET body = excluded.body", params![id, body], || {
            format!("saving device {}", device.key)
        })
    }

    fn sample(&mut self, sample: &Sample) -> Result<(), StoreError> {
        let series = self.names.series(self.db, &sample.key, &sample.metric, sample.unit.as_deref().unwrap_or_default())?;
        let body = sample.body.as_ref().map(|body| to_text("a sample", body)).transpose()?;
        // SQLite has no word for "not a number"; such a figure says nothing.
        let value = sample.value.filter(|value| value.is_finite());
        let sql = "INSERT INTO sample (series, ts_ms, n, received_ms, value, body)
                   VALUES (?1, ?2, (SELECT ifnull(max(n) + 1, 0) FROM sample WHERE series = ?1 AND ts_ms = ?2), ?3, ?4, ?5)";
        self.run(sql, params![series, sample.ts_ms, sample.received_ms, value, body], || format!("saving a sample of {} {}", sample.key, sample.metric))
    }

    fn event(&mut self, event: &EventRow) -> Result<(), StoreError> {
        let device = self.names.device(self.db, &event.key)?;
        let data = to_text("an event", &event.data)?;
        let sql = "INSERT INTO event (device, event_type, severity, ts_ms, received_ms, flagged, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = params![device, event.event_type, severity_word(event.severity), event.ts_ms, event.received_ms, flag_number(event.flag), data];
        self.run(sql, values, || format!("saving event {} of {}", event.event_type, event.key))
    }

    fn command(&mut self, command: &Command) -> Result<(), StoreError> {
        let device = self.names.device(self.db, &command.key)?;
        let ended = command.status.has_ended();
        let ended_ms = if ended { command.timings.ended_ms.unwrap_or(command.timings.created_ms) } else { 0 };
        let body = to_text("a command", command)?;
        let sql = "INSERT INTO command (id, device, is_open, ended_ms, body) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (id) DO UPDATE SET is_open = excluded.is_open, ended_ms = excluded.ended_ms, body = excluded.body";
        self.run(sql, params![command.id, device, !ended, ended_ms, body], || format!("saving command {}", command.id))
    }

    fn session(&self, session: &Session) -> Result<(), StoreError> {
        let ended = session.status != SessionStatus::Active;
        let ended_ms = if ended { session.ended_at.unwrap_or(session.created_at) } else { 0 };
        let body = to_text("a session", session)?;
        let sql = "INSERT INTO session (id, is_open, ended_ms, body) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (id) DO UPDATE SET is_open = excluded.is_open, ended_ms = excluded.ended_ms, body = excluded.body";
        self.run(sql, params![session.session_id, !ended, ended_ms, body], || format!("saving session {}", session.session_id))
    }

    fn changeset(&self, set: &Changeset) -> Result<(), StoreError> {
        let ended = set.status.has_ended();
        let ended_ms = if ended { set.history.last().map_or(set.created_ms, |line| line.at_ms) } else { 0 };
        let body = to_text("a change set", set)?;
        let sql = "INSERT INTO changeset (id, status, is_open, ended_ms, body) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (id) DO UPDATE SET status = excluded.status, is_open = excluded.is_open, ended_ms = excluded.ended_ms, body = excluded.body";
        self.run(sql, params![set.changeset_id, set.status.word(), !ended, ended_ms, body], || format!("saving change set {}", set.changeset_id))
    }

    fn message(&self, message: &ChatMessage) -> Result<(), StoreError> {
        let body = to_text("a message", message)?;
        let sql = "INSERT INTO message (room, seq, change, message_id, role, ts_ms, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                   ON CONFLICT (room, seq) DO UPDATE SET change = excluded.change, message_id = excluded.message_id, role = excluded.role,
                       ts_ms = excluded.ts_ms, body = excluded.body";
        let values = params![message.session_id, signed(message.seq), signed(message.change), message.id, role_word(message.role), message.ts, body];
        self.run(sql, values, || format!("saving message {} of room {}", message.id, message.session_id))
    }

    fn room(&self, room: &Room) -> Result<(), StoreError> {
        let body = to_text("a room", room)?;
        self.run("INSERT OR REPLACE INTO room (room, body) VALUES (?1, ?2)", params![room.room, body], || format!("saving room {}", room.room))
    }

    fn room_gone(&self, room: &str) -> Result<(), StoreError> {
        for sql in ["DELETE FROM message WHERE room = ?1", "DELETE FROM member WHERE room = ?1", "DELETE FROM room WHERE room = ?1"] {
            self.run(sql, params![room], || format!("deleting room {room}"))?;
        }
        Ok(())
    }

    fn member(&self, member: &Member) -> Result<(), StoreError> {
        let body = to_text("a member", member)?;
        let sql = "INSERT OR REPLACE INTO member (room, client_id, body) VALUES (?1, ?2, ?3)";
        self.run(sql, params![member.room, member.client_id, body], || format!("saving member {} of room {}", member.client_id, member.room))
    }

    fn audit(&self, row: &AuditRow) -> Result<(), StoreError> {
        let detail = to_text("an audit row", &row.detail)?;
        let sql = "INSERT INTO audit (tenant, n, ts_ms, actor, action, subject, detail, prev_hash, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let values = params![row.tenant, signed(row.n), row.ts_ms, row.actor, row.action, row.subject, detail, row.prev_hash, row.hash];
        self.run(sql, values, || format!("appending row {} to the audit of {}", row.n, row.tenant))
    }

    fn audit_head(&self, head: &AuditHead) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO audit_head (tenant, n, ts_ms, hash, signature) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = params![head.tenant, signed(head.n), head.ts_ms, head.hash, head.signature];
        self.run(sql, values, || format!("saving the head of the audit of {} at row {}", head.tenant, head.n))
    }

    fn quarantine(&mut self, row: &QuarantineRow) -> Result<(), StoreError> {
        let doing = || format!("saving an unreadable message of {}", row.topic);
        let payload = &row.payload[..row.payload.len().min(QUARANTINE_BYTES)];
        let merge = "UPDATE quarantine SET payload = ?3, count = count + 1, last_ms = ?4 WHERE topic = ?1 AND reason = ?2";
        let values = params![row.topic, row.reason, payload, row.received_ms];
        if self.db.prepare_cached(merge).and_then(|mut statement| statement.execute(values)).doing(doing)? > 0 {
            return Ok(());
        }
        self.run("INSERT INTO quarantine (topic, reason, payload, count, first_ms, last_ms) VALUES (?1, ?2, ?3, 1, ?4, ?4)", values, doing)?;
        let held = match *self.quarantined {
            Some(held) => held + 1,
            None => self.db.query_row("SELECT count(*) FROM quarantine", [], |row| row.get(0)).doing(|| "counting quarantine")?,
        };
        let surplus = (held - QUARANTINE_ROWS).max(0);
        if surplus > 0 {
            self.run("DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine ORDER BY last_ms, id LIMIT ?1)", params![surplus], doing)?;
        }
        *self.quarantined = Some(held - surplus);
        Ok(())
    }
}
