//! The schemas in `docs/schemas/` are those of the code, and what the code sends fits them. `UPDATE=1` rewrites the files.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use talkwire_proto::attr::Attr;
use talkwire_proto::capability::{CapabilityChange, CapabilityUpdate, ToolSupport};
use talkwire_proto::chat::{ChatMessage, ChatSend, ChatStatus, Part, PiecesWanted, Role, SessionAsk, StepView};
use talkwire_proto::chatroom::{RoomInput, RoomOutput};
use talkwire_proto::command::{Ack, Answer, CommandEnvelope, CommandError, Expect, Outcome, Request};
use talkwire_proto::envelope::Trace;
use talkwire_proto::event::{DeviceEvent, Severity};
use talkwire_proto::lwt::{Lwt, Presence};
use talkwire_proto::schema;
use talkwire_proto::state::{Health, State};
use talkwire_proto::telemetry::Telemetry;
use talkwire_proto::topology::Topology;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas")
}

#[test]
fn the_files_are_the_schemas_of_the_code() {
    let wanted: BTreeMap<String, String> =
        schema::all().into_iter().map(|(name, schema)| (format!("{name}.json"), format!("{}\n", serde_json::to_string_pretty(&schema).unwrap()))).collect();
    if std::env::var_os("UPDATE").is_some() {
        let _ = fs::remove_dir_all(folder());
        fs::create_dir_all(folder()).unwrap();
        for (name, text) in &wanted {
            fs::write(folder().join(name), text).unwrap();
        }
    }
    let files = fs::read_dir(folder()).expect("docs/schemas is there").map(|entry| entry.unwrap().path());
    let found: BTreeMap<String, String> =
        files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())).collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "run again with UPDATE=1");
    for (name, text) in &wanted {
        assert_eq!(&found[name], text, "{name} differs: run again with UPDATE=1");
    }
}

#[test]
fn every_field_of_every_schema_says_what_it_is() {
    fn check(name: &str, at: &str, schema: &Value) {
        for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
            let told = inner.get("description").is_some() || inner.get("const").is_some();
            assert!(told, "{name}: {at}.{field} has no description");
            check(name, &format!("{at}.{field}"), inner);
        }
        for (part, inner) in schema["$defs"].as_object().into_iter().flatten() {
            check(name, part, inner);
        }
    }
    for (name, schema) in schema::all() {
        check(name, "", &schema);
    }
}

/// Why `value` does not fit `schema`: the keywords that our schemas use, no others.
fn misfit(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return misfit(root, root.pointer(target.trim_start_matches('#')).expect("the target of a $ref is there"), value);
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(list) = schema.get(choice).and_then(Value::as_array)
            && list.iter().all(|option| misfit(root, option, value).is_some())
        {
            return Some(format!("{value} fits none of {choice}"));
        }
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let is = |kind: &&str| match *kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        _ => value.is_object(),
    };
    if !kinds.is_empty() && !kinds.iter().any(is) {
        return Some(format!("{value} is not {kinds:?}"));
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) || schema.get("enum").and_then(Value::as_array).is_some_and(|list| !list.contains(value)) {
        return Some(format!("{value} is not one of the words"));
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        return list.iter().find_map(|item| misfit(root, items, item));
    }
    let object = value.as_object()?;
    let missing = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).find(|name| !object.contains_key(*name));
    if let Some(name) = missing {
        return Some(format!("{name} is missing"));
    }
    let fields = schema.get("properties").and_then(Value::as_object)?;
    object.iter().find_map(|(name, inner)| fields.get(name).and_then(|schema| misfit(root, schema, inner)).map(|why| format!("{name}: {why}")))
}

/// Also that no field is sent which the schema does not list.
fn fits(name: &str, value: &Value, open: bool) {
    let all = schema::all();
    let schema = &all.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no schema {name}")).1;
    assert_eq!(misfit(schema, schema, value), None, "{name} {value}");
    for field in value.as_object().unwrap().keys() {
        assert!(open || schema["properties"].get(field).is_some(), "{name} does not list {field}");
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn what_a_device_of_ours_sends_fits_the_schemas() {
    for (status, reason) in [(Presence::Online, None), (Presence::Offline, Some("reboot".to_owned()))] {
        fits("lwt", &Lwt { status, reason }.encode(5), false);
    }
    let plain = Attr { device_type: Some("router".into()), features: vec!["wifi".into()], ..Attr::default() };
    let tools = Some(BTreeMap::from([("wifi.set_channel".to_owned(), ToolSupport { rollback_supported: Some(true), ..ToolSupport::plain() })]));
    fits("attr", &plain.encode("aabbccddeeff", 5), false);
    fits("attr", &Attr { tools, llm_integration: Some(true), ..plain }.encode("aabbccddeeff", 5), false);
    let state = State { health: Health::Ok, uptime_s: Some(5.0), cpu_usage: None, memory_usage: Some(1.5), temperature_c: None };
    fits("state", &state.encode(5), false);
    let sample = Telemetry { value: Some(1.0), unit: Some("%".into()), figures: vec![("peak".into(), 2.0)] };
    fits("telemetry", &sample.encode("cpu_usage", 5), true);
    let event = DeviceEvent { severity: Severity::Warning, data: object(json!({"interface": "eth0"})) };
    fits("event", &event.encode("aabbccddeeff", "network.link_change", 5), false);
    fits("topology.update", &Topology { changes: vec![json!({"change_type": "device_added"})], ..Topology::default() }.encode(5), false);
    let change = CapabilityChange { tool: "a".into(), change_type: "availability".into(), old_value: json!(true), new_value: json!(false), reason: None };
    fits("capability.update", &CapabilityUpdate { changes: vec![change] }.encode("aabbccddeeff", 5), false);
}

#[test]
fn commands_acks_and_results_fit_the_schemas() {
    let trace = Some(Trace { session_id: "s".into(), trace_id: "t".into(), parent_trace_id: None, step_description: Some("掃描".into()) });
    let request = Request {
        id: "c1".into(),
        op: "wifi.set_channel".into(),
        args: object(json!({"channel": 6})),
        timeout_ms: Some(5_000),
        expect: Expect::Result,
        trace,
        authorization: Some(object(json!({"user_confirmed": true}))),
        version: "1.0".into(),
    };
    for shape in [CommandEnvelope::Both, CommandEnvelope::Flat, CommandEnvelope::Payload] {
        fits("cmd.req", &request.encode(shape, 5), false);
    }
    fits("cmd.ack", &Ack { id: "c1".into(), accepted: true, reason: None }.encode(5), false);
    fits("cmd.ack", &Ack { id: "c1".into(), accepted: false, reason: Some("busy".into()) }.encode(5), false);
    let running = Answer {
        id: "c1".into(),
        outcome: None,
        progress_percent: Some(40.0),
        progress_text: Some("scanning".into()),
        result: None,
        error: None,
        recovery_action: None,
    };
    fits("cmd.res", &running.encode(5), false);
    let done = Answer { outcome: Some(Outcome::Completed), result: Some(json!({"channel": 6})), ..running.clone() };
    fits("cmd.res", &done.encode(5), false);
    let error = Some(CommandError { code: "E_TIMEOUT".into(), message: "no answer".into(), details: Map::new() });
    fits("cmd.res", &Answer { outcome: Some(Outcome::Failed), error, ..running }.encode(5), false);
}

#[test]
fn what_the_chat_sends_fits_the_schemas() {
    let step = StepView {
        trace_id: "t".into(),
        tool: "network.speedtest_full".into(),
        title: "速度測試".into(),
        device_id: "aabbccddeeff".into(),
        device_name: "Router".into(),
        status: "running".into(),
        progress: Some(40.0),
        started_at: Some(5),
        completed_at: None,
        summary: None,
        error: None,
    };
    let message = ChatMessage {
        id: "m".into(),
        in_reply_to: Some("q".into()),
        session_id: "main".into(),
        role: Role::Assistant,
        username: "智能助手".into(),
        text: "…".into(),
        parts: vec![Part::Steps { diagnosis_id: "d".into(), steps: vec![step] }, Part::Choices { options: vec!["yes".into()] }],
        ts: 5,
        seq: 1,
        rev: 0,
        change: 1,
    };
    fits("chat.receive", &json!(message), false);
    fits("chat.status", &json!(ChatStatus { id: "m".into(), status: "sent".into(), error: None }), false);
    fits("chat.pieces_wanted", &json!(PiecesWanted::new("m", vec![1, 3])), false);
    let sent = ChatSend { id: "m".into(), session_id: "main".into(), text: "hi".into(), ts: None, client_id: None, reply_to: None, chunk: None };
    fits("chat.send", &json!(sent), false);
    fits("chat.session.ask", &json!(SessionAsk::default()), false);
    fits("chatroom.messages.in", &json!(RoomInput::default()), false);
    let notice = RoomOutput {
        kind: "system_message".into(),
        username: None,
        content: None,
        message: Some("MQTT服务已连接".into()),
        timestamp: "2025-07-26T11:05:13.675321".into(),
        message_id: None,
        client_id: None,
        code: None,
        ts: 5,
        seq: None,
    };
    fits("chatroom.messages.out", &json!(notice), false);
}

#[test]
fn the_check_of_these_tests_can_fail() {
    let all = schema::all();
    let lwt = &all[0].1;
    assert!(misfit(lwt, lwt, &json!({"schema": "lwt/1.0", "ts": 5, "status": "asleep"})).is_some());
    assert!(misfit(lwt, lwt, &json!({"schema": "lwt/1.0", "ts": "5", "status": "online"})).is_some());
    assert!(misfit(lwt, lwt, &json!({"schema": "lwt/1.0", "status": "online"})).is_some());
}
