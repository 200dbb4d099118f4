//! Rows for tests: plain ones to change as needed.

use serde_json::{Map, Value, json};
use talkwire_core::Save;
use talkwire_core::catalogue::Risk;
use talkwire_core::changeset::{self, Changeset, HistoryLine};
use talkwire_core::chat::{Member, Room};
use talkwire_core::command::{Command, Status, Timings};
use talkwire_core::effect::{EventRow, QuarantineRow, Sample};
use talkwire_core::language::Language;
use talkwire_core::session::{IntentView, Session, SessionStatus};
use talkwire_proto::DeviceKey;
use talkwire_proto::chat::{ChatMessage, Role};
use talkwire_proto::event::Severity;
use talkwire_store::{Options, Sqlite};
use tempfile::TempDir;

/// A store in a folder that goes away with the test.
pub fn store() -> (TempDir, Sqlite) {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(dir.path(), Options::default()).unwrap();
    (dir, store)
}

pub fn key(device_id: &str) -> DeviceKey {
    format!("home/flat/{device_id}").parse().unwrap()
}

pub fn sample(device_id: &str, metric: &str, ts_ms: i64, value: f64) -> Sample {
    Sample { key: key(device_id), metric: metric.into(), ts_ms, received_ms: ts_ms + 5, value: Some(value), unit: Some("%".into()), body: None }
}

pub fn event(device_id: &str, event_type: &str, received_ms: i64) -> EventRow {
    EventRow {
        key: key(device_id),
        event_type: event_type.into(),
        severity: Severity::Warning,
        data: json!({"band": "2.4"}),
        ts_ms: received_ms - 3,
        received_ms,
        flag: None,
    }
}

pub fn command(id: &str, device_id: &str, status: Status, at_ms: i64) -> Command {
    Command {
        id: id.into(),
        key: key(device_id),
        op: "wifi.scan".into(),
        sent_op: "wifi.scan".into(),
        version: "1.0".into(),
        args: Map::new(),
        status,
        result: None,
        error: None,
        progress: None,
        timings: Timings { created_ms: at_ms, sent_ms: Some(at_ms), acked_ms: None, ended_ms: status.has_ended().then_some(at_ms) },
        timeout_ms: 5_000,
        deadline_ms: Some(at_ms + 5_000),
        resend_ms: Some(at_ms + 1_000),
        attempts: 1,
        requested_by: "person:ann".into(),
        session_id: None,
        trace_id: None,
        step_description: None,
        changeset_id: None,
        is_act: false,
        late: false,
    }
}

pub fn session(id: &str, status: SessionStatus, at_ms: i64) -> Session {
    Session {
        session_id: id.into(),
        tenant: "home".parse().unwrap(),
        site: "flat".parse().unwrap(),
        created_at: at_ms,
        ended_at: (status != SessionStatus::Active).then_some(at_ms),
        user_request: "家裡 WiFi 很慢".into(),
        asked_by: "person:ann".into(),
        status,
        steps: Vec::new(),
        intent: IntentView { intent: "slow_speed".into(), language: Language::ZhTw, confidence: 0.9, slots: Map::new(), rivals: Vec::new() },
        verdict: None,
        changeset_id: None,
        room: Some("main".into()),
        message_id: None,
        request_message_id: None,
        opening: String::new(),
        closing: String::new(),
    }
}

pub fn changeset(id: &str, status: changeset::Status, at_ms: i64) -> Changeset {
    Changeset {
        changeset_id: id.into(),
        status,
        plan_hash: "00".into(),
        tenant: "home".parse().unwrap(),
        site: "flat".parse().unwrap(),
        session_id: None,
        title: "Channel 11".into(),
        reason: "channel 6 is busy".into(),
        language: Language::En,
        risk: Risk::Medium,
        needs_admin: false,
        impact: "Wi-Fi drops for 3 s".into(),
        operations: Vec::new(),
        rollback_s: 300,
        created_ms: at_ms,
        approve_before_ms: at_ms + 300_000,
        deadline_ms: Some(at_ms + 600_000),
        proposed_by: "assistant".into(),
        approved_by: None,
        approved_ms: None,
        expect: None,
        before: None,
        after: None,
        outcome: None,
        going_back: None,
        history: vec![HistoryLine { state: status, at_ms, why: "test".into() }],
        has_receipt: false,
        restore_tries: 0,
        retry_ms: None,
        rehearsal: None,
    }
}

pub fn message(room: &str, seq: u64, change: u64, text: &str) -> ChatMessage {
    ChatMessage {
        id: format!("{room}-{seq}"),
        in_reply_to: None,
        session_id: room.into(),
        role: Role::User,
        username: "Ann".into(),
        text: text.into(),
        parts: Vec::new(),
        ts: 1_000 + seq as i64,
        seq,
        rev: 0,
        change,
    }
}

pub fn room(name: &str) -> Room {
    Room {
        room: name.into(),
        name: name.into(),
        created_ms: 1,
        is_public: true,
        owner: "person:ann".into(),
        assistant_always: true,
        place: Some(("home".into(), "flat".into())),
        last_seq: 0,
        last_change: 0,
        message_count: 0,
    }
}

pub fn member(room: &str, client_id: &str) -> Member {
    Member { room: room.into(), client_id: client_id.into(), username: "Ann".into(), join_ms: 7, message_count: 2, present: true }
}

pub fn quarantine(topic: &str, reason: &str, payload: &[u8], received_ms: i64) -> Save {
    Save::Quarantine(QuarantineRow { topic: topic.into(), reason: reason.into(), payload: payload.into(), received_ms })
}

pub fn setting(name: &str, value: Value) -> Save {
    Save::Setting(name.into(), value)
}
