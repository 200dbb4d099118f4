//! Commands, acknowledgements and results: the documents' samples, the dialects, and what is sent reads back.

use super::*;
use crate::inbound::DeviceBody;
use crate::inbound::tests::{body, refusal};
use proptest::prelude::*;

fn request(text: &str) -> Result<Request, String> {
    Request::decode(text.as_bytes(), 0).map_err(|reason| reason.to_string())
}

fn ack(text: &str) -> Ack {
    let DeviceBody::Ack(ack) = body("cmd/ack", text) else { panic!("not an ack") };
    ack
}

fn answer(text: &str) -> Answer {
    let DeviceBody::Answer(answer) = body("cmd/res", text) else { panic!("not a result") };
    answer
}

#[test]
fn the_act_command_of_the_diagnostics_document_is_read() {
    let text = r#"{"id": "cmd-act-001", "op": "wifi.set_channel", "schema": "cmd.wifi.set_channel/1.0",
        "trace": {"session_id": "llm-session-001", "trace_id": "channel-optimization-step-05"},
        "args": {"interface": "wlan0", "channel": 6, "changeset_id": "changeset-20241104-001", "auto_rollback_timeout": 300},
        "authorization": {"user_confirmed": true, "risk_acknowledged": true}}"#;
    let request = request(text).unwrap();
    assert_eq!((request.id.as_str(), request.op.as_str(), request.version.as_str()), ("cmd-act-001", "wifi.set_channel", "1.0"));
    assert_eq!((&request.args["channel"], &request.args["auto_rollback_timeout"]), (&json!(6), &json!(300)));
    assert_eq!(request.authorization.unwrap()["user_confirmed"], true);
    assert_eq!(request.trace.unwrap().trace_id, "channel-optimization-step-05");
    assert_eq!((request.timeout_ms, request.expect), (None, Expect::Result));
}

#[test]
fn the_shape_that_the_guide_s_device_reads_is_in_what_we_send() {
    let request = Request { args: json!({"duration": 30}).as_object().unwrap().clone(), ..plain("c1", "speed_test") };
    for shape in [CommandEnvelope::Both, CommandEnvelope::Payload] {
        let message = request.encode(shape, 5);
        assert_eq!(message["payload"], json!({"id": "c1", "op": "speed_test", "args": {"duration": 30}}));
    }
    let flat = request.encode(CommandEnvelope::Flat, 5);
    assert_eq!((&flat["id"], &flat["op"], &flat["args"]["duration"], flat.get("payload")), (&json!("c1"), &json!("speed_test"), &json!(30), None));
    assert_eq!(request.encode(CommandEnvelope::Payload, 5).get("op"), None);
}

#[test]
fn a_command_that_says_two_things_is_refused() {
    let text = r#"{"id": "a", "op": "device.status", "payload": {"id": "a", "op": "restart"}}"#;
    assert_eq!(request(text), Err("field `op` and `payload.op` differ".into()));
    let text = r#"{"id": "a", "op": "x", "args": {"n": 1}, "payload": {"id": "a", "op": "x"}}"#;
    assert!(request(text).is_ok(), "what `payload` leaves out is taken from the flat fields");
}

#[test]
fn a_command_with_a_field_missing_wrong_or_out_of_bounds_says_which() {
    let cases = [
        (r#"{"op": "x"}"#, "field `id` is missing"),
        (r#"{"id": "a"}"#, "field `op` is missing"),
        (r#"{"id": 7, "op": "x"}"#, "field `id` must be a string, not a number"),
        (r#"{"id": "", "op": "x"}"#, "field `id` must have 1-128 bytes and no control characters"),
        (r#"{"id": "a", "op": "x\u0000"}"#, "field `op` must have 1-96 bytes and no control characters"),
        (r#"{"id": "a", "op": "x", "args": []}"#, "field `args` must be an object, not a list"),
        (r#"{"id": "a", "op": "x", "timeout_ms": -5}"#, "field `timeout_ms` must be a whole number that is not negative, not a number"),
        (r#"{"id": "a", "op": "x", "timeout_ms": 0}"#, "field `timeout_ms` must be more than 0"),
        (r#"{"id": "a", "op": "x", "timeout_ms": 86400001}"#, "field `timeout_ms` must be at most 86400000"),
        (r#"{"id": "a", "op": "x", "payload": []}"#, "field `payload` must be an object, not a list"),
    ];
    for (text, reason) in cases {
        assert_eq!(request(text), Err(reason.into()), "{text}");
    }
}

#[test]
fn the_ack_of_the_integration_guide_and_its_dialects_are_read() {
    let text = r#"{"schema": "cmd.ack/1.0", "ts": 1699123456789, "id": "cmd-1", "status": "received"}"#;
    assert_eq!(ack(text), Ack { id: "cmd-1".into(), accepted: true, reason: None });
    for text in [r#"{"id": "a", "status": "accepted"}"#, r#"{"id": "a", "accepted": true}"#, r#"{"payload": {"id": "a", "accepted": true}}"#] {
        assert!(ack(text).accepted, "{text}");
    }
    for text in [
        r#"{"id": "a", "status": "rejected", "reason": "busy"}"#,
        r#"{"id": "a", "accepted": false, "err": "busy"}"#,
        r#"{"id": "a", "status": "received", "accepted": false, "reason": "busy"}"#,
        r#"{"id": "a", "status": "rejected", "accepted": true, "reason": "busy"}"#,
    ] {
        assert_eq!(ack(text), Ack { id: "a".into(), accepted: false, reason: Some("busy".into()) }, "{text}");
    }
    assert_eq!(refusal("cmd/ack", r#"{"id": "a"}"#), "field `status` is missing");
    assert_eq!(refusal("cmd/ack", r#"{"id": "a", "status": "maybe"}"#), "field `status` must be received, accepted or rejected, not \"maybe\"");
    assert_eq!(refusal("cmd/ack", r#"{"status": "received"}"#), "field `id` is missing");
}

#[test]
fn the_result_of_the_integration_guide_is_read() {
    let text = r#"{"schema": "cmd.result/1.0", "ts": 1699123456789, "id": "cmd-1", "status": "completed",
        "result": {"download_mbps": 85.2, "upload_mbps": 12.4, "latency_ms": 15.3, "test_duration": 30}}"#;
    let answer = answer(text);
    assert_eq!((answer.outcome, &answer.result.unwrap()["download_mbps"]), (Some(Outcome::Completed), &json!(85.2)));
}

#[test]
fn the_error_of_the_diagnostics_document_is_read() {
    let text = r#"{"schema": "cmd.error/1.0", "ts": 1699123456789, "id": "cmd-failed-001", "status": "failed",
        "error": {"code": "E_LLM_TOOL_NOT_AVAILABLE", "message": "WiFi environment scan tool is currently unavailable",
            "details": {"requested_tool": "wifi.get_environment", "reason": "device_busy",
                "alternative_tools": ["wifi.basic_scan", "network.interface_status"], "retry_after_ms": 30000}},
        "recovery_action": {"type": "use_alternative", "alternative_tool": "wifi.basic_scan"}}"#;
    let answer = answer(text);
    let error = answer.error.unwrap();
    assert_eq!((answer.outcome, error.code.as_str()), (Some(Outcome::Failed), Code::LlmToolNotAvailable.as_str()));
    assert_eq!(error.details["alternative_tools"], json!(["wifi.basic_scan", "network.interface_status"]));
    assert_eq!(answer.recovery_action.unwrap()["type"], "use_alternative");
}

#[test]
fn every_dialect_of_an_ending_is_understood() {
    let endings = [
        (r#""status": "completed""#, Outcome::Completed),
        (r#""status": "partial""#, Outcome::Partial),
        (r#""status": "failed""#, Outcome::Failed),
        (r#""status": "error""#, Outcome::Failed),
        (r#""status": "timeout""#, Outcome::Timeout),
        (r#""status": "cancelled""#, Outcome::Cancelled),
        (r#""ok": true"#, Outcome::Completed),
        (r#""ok": false"#, Outcome::Failed),
        (r#""error": "no link""#, Outcome::Failed),
        (r#""status": "failed", "ok": true"#, Outcome::Failed),
    ];
    for (fields, outcome) in endings {
        assert_eq!(answer(&format!(r#"{{"id": "a", {fields}}}"#)).outcome, Some(outcome), "{fields}");
    }
    let error = |text: &str| answer(text).error.map(|error| (error.code, error.message));
    assert_eq!(error(r#"{"id": "a", "ok": false, "err": {"code": 403, "msg": "no"}}"#), Some(("403".into(), "no".into())));
    assert_eq!(error(r#"{"id": "a", "status": "failed", "error": "no link"}"#), Some(("E_DEVICE".into(), "no link".into())));
}

#[test]
fn progress_is_a_number_or_text_and_no_ending() {
    let progress = |fields: &str| {
        let answer = answer(&format!(r#"{{"id": "a", {fields}}}"#));
        assert_eq!(answer.outcome, None, "{fields}");
        (answer.progress_percent, answer.progress_text)
    };
    assert_eq!(progress(r#""progress": 40"#), (Some(40.0), None));
    assert_eq!(progress(r#""progress": 400, "status": "running""#), (Some(100.0), None));
    assert_eq!(progress(r#""progress": "45 %""#), (Some(45.0), Some("45 %".into())));
    assert_eq!(progress(r#""progress": "scanning""#), (None, Some("scanning".into())));
    assert_eq!(progress(r#""progress": "1e999""#), (None, Some("1e999".into())));
    assert_eq!(progress(r#""status": "in_progress""#), (None, None));
}

#[test]
fn a_result_that_says_nothing_or_too_much_is_refused() {
    let cases = [
        (r#"{"id": "a"}"#, "a result needs `status`, `ok`, `error` or `progress`"),
        (r#"{"status": "completed"}"#, "field `id` is missing"),
        (r#"{"id": "a", "status": "great"}"#, "field `status` must be completed, failed, partial, timeout, cancelled or error, not \"great\""),
        (r#"{"id": "a", "progress": {}}"#, "field `progress` must be a number or a string, not an object"),
        (r#"{"id": "a", "status": "failed", "error": 5}"#, "field `error` must be a string or an object, not a number"),
        (r#"{"id": "a", "status": "failed", "error": {"details": 5}}"#, "field `error.details` must be an object, not a number"),
    ];
    for (text, reason) in cases {
        assert_eq!(refusal("cmd/res", text), reason, "{text}");
    }
}

fn plain(id: &str, op: &str) -> Request {
    Request {
        id: id.into(),
        op: op.into(),
        args: Map::new(),
        timeout_ms: None,
        expect: Expect::Result,
        trace: None,
        authorization: None,
        version: "1.0".into(),
    }
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![Just(json!(null)), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), "\\PC{0,12}".prop_map(Value::from)];
    let value = prop_oneof![3 => value.clone(), 1 => prop::collection::vec(value, 0..3).prop_map(Value::from)];
    prop::collection::btree_map("[a-z_]{1,8}", value, 0..5).prop_map(|map| map.into_iter().collect())
}

fn trace() -> impl Strategy<Value = Trace> {
    ("[a-z0-9-]{0,20}", "[a-z0-9-]{0,20}", prop::option::of("[a-z0-9-]{0,20}"), prop::option::of("\\PC{0,20}"))
        .prop_map(|(session_id, trace_id, parent_trace_id, step_description)| Trace { session_id, trace_id, parent_trace_id, step_description })
}

prop_compose! {
    fn any_request()(
        id in "[A-Za-z0-9-]{1,128}", op in "[a-z_.]{1,96}", args in object(), timeout_ms in prop::option::of(1..=limits::TIMEOUT_MS),
        expect in prop_oneof![Just(Expect::Ack), Just(Expect::Result), Just(Expect::None)], trace in prop::option::of(trace()),
        authorization in prop::option::of(object()), (major, minor) in (0u32..50, 0u32..50),
    ) -> Request {
        Request { id, op, args, timeout_ms, expect, trace, authorization, version: format!("{major}.{minor}") }
    }
}

prop_compose! {
    fn any_answer()(
        id in "[A-Za-z0-9-]{1,128}",
        outcome in prop::option::of(prop_oneof![Just(Outcome::Completed), Just(Outcome::Partial), Just(Outcome::Failed), Just(Outcome::Timeout), Just(Outcome::Cancelled)]),
        percent in prop::option::of((0u32..=400).prop_map(|quarter| f64::from(quarter) / 4.0)), text in prop::option::of("[a-z][a-z ]{0,20}[x-z]"),
        result in prop::option::of(object()), error in prop::option::of(("[A-Z_]{1,20}", "[a-z]{0,20}", object())), recovery_action in prop::option::of(object()),
    ) -> Answer {
        Answer {
            id, outcome, progress_percent: percent, progress_text: text, result: result.map(Value::Object),
            error: error.map(|(code, message, details)| CommandError { code, message, details }), recovery_action,
        }
    }
}

proptest! {
    #[test]
    fn a_command_reads_back_as_it_was_in_all_three_envelopes(request in any_request(), ts_ms in 0i64..9_000_000_000_000) {
        for shape in [CommandEnvelope::Both, CommandEnvelope::Flat, CommandEnvelope::Payload] {
            let bytes = request.encode(shape, ts_ms).to_string().into_bytes();
            prop_assert_eq!(&Request::decode(&bytes, ts_ms).unwrap(), &request);
        }
    }

    #[test]
    fn an_ack_reads_back_as_it_was(id in "[A-Za-z0-9-]{1,128}", accepted in any::<bool>(), reason in prop::option::of("[a-z][a-z ]{0,30}[a-z]")) {
        let sent = Ack { id, accepted, reason };
        prop_assert_eq!(ack(&sent.encode(5).to_string()), sent);
    }

    #[test]
    fn a_result_reads_back_as_it_was(sent in any_answer()) {
        prop_assert_eq!(answer(&sent.encode(5).to_string()), sent);
    }
}
