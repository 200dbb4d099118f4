//! Whatever the rules may hold is read back as it was.

use crate::made;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};
use talkwire_core::Save;
use talkwire_core::audit::AuditRow;
use talkwire_core::changeset::{Changeset, Measurement, Status as SetStatus};
use talkwire_core::command::{Command, Status};
use talkwire_core::device::{Counters, Device};
use talkwire_core::effect::{EventRow, Sample};
use talkwire_core::session::{Phase, Session, SessionStatus, Step, StepStatus, Verdict, VerdictKind};
use talkwire_proto::capability::ToolSupport;
use talkwire_proto::chat::{ChartPoint, ChatMessage, EvidenceView, Part, Role};
use talkwire_proto::command::CommandError;
use talkwire_proto::event::Severity;
use talkwire_proto::state::Health;
use talkwire_store::{MessageWindow, Store};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z_.]{1,12}", Just("家裡 WiFi'); --\u{0}\u{202e}".to_owned())]
}

fn figure() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>().prop_filter("finite", |value| value.is_finite()), -1.0e3..1.0e3, Just(31.245270191439438), Just(0.1 + 0.2)]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        figure().prop_map(|value| Value::Number(Number::from_f64(value).unwrap())),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::from), object_of(inner).prop_map(Value::Object)])
}

fn object_of(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    vec((text(), inner), 0..4).prop_map(|fields| fields.into_iter().collect())
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    object_of(value())
}

fn sample() -> impl Strategy<Value = Sample> {
    (text(), any::<i64>(), any::<i64>(), option::of(figure()), option::of(text()), option::of(value())).prop_map(
        |(metric, ts_ms, received_ms, value, unit, body)| Sample {
            key: made::key("ap-1"),
            metric,
            ts_ms,
            received_ms,
            value,
            unit: unit.filter(|unit| !unit.is_empty()),
            body,
        },
    )
}

fn event() -> impl Strategy<Value = EventRow> {
    let severity = prop_oneof![Just(Severity::Info), Just(Severity::Warning), Just(Severity::Error), Just(Severity::Critical)];
    (text(), severity, value(), any::<i64>(), any::<i64>(), any::<bool>()).prop_map(|(event_type, severity, data, ts_ms, received_ms, flagged)| EventRow {
        key: made::key("ap-1"),
        event_type,
        severity,
        data,
        ts_ms,
        received_ms,
        flagged,
    })
}

fn device() -> impl Strategy<Value = Device> {
    let tool = (any::<bool>(), option::of(text()), option::of(any::<u64>()), object(), option::of(any::<bool>())).prop_map(
        |(supported, version, response_time_ms, limitations, rollback_supported)| ToolSupport {
            supported,
            version,
            response_time_ms,
            limitations,
            rollback_supported,
            ..ToolSupport::plain()
        },
    );
    let health = prop_oneof![Just(Health::Ok), Just(Health::Warning), Just(Health::Error), Just(Health::Unknown)];
    (text(), option::of(text()), any::<i64>(), health, vec(text(), 0..4), btree_map(text(), tool, 0..4), value(), value(), any::<u64>()).prop_map(
        |(name, model, at, health, features, tools, attr, state, count)| Device {
            name,
            model,
            health,
            last_seen_ms: at,
            features,
            tools,
            attr,
            state,
            diagnostics: Counters { messages_received: count, ..Counters::default() },
            ..Device::unknown(made::key("ap-1"), at)
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let status = prop_oneof![Just(Status::Created), Just(Status::Acked), Just(Status::Completed), Just(Status::TimedOut), Just(Status::FailedLate)];
    let error = (text(), text(), object()).prop_map(|(code, message, details)| CommandError { code, message, details });
    // An answer of `null` is no answer.
    let result = option::of(value().prop_filter("an answer", |value| !value.is_null()));
    (text(), status, object(), result, option::of(error), option::of(1..9i64), option::of(text()), any::<u64>()).prop_map(
        |(id, status, args, result, error, at, session_id, timeout_ms)| Command {
            args,
            result,
            error,
            deadline_ms: at,
            session_id,
            timeout_ms,
            ..made::command(&id, "ap-1", status, 44)
        },
    )
}

fn session() -> impl Strategy<Value = Session> {
    let step = (text(), object(), option::of(figure()), option::of(text())).prop_map(|(trace_id, args, progress, summary)| Step {
        trace_id,
        parent_trace_id: None,
        key: "k".into(),
        phase: Phase::Verify,
        tool: "wifi.scan".into(),
        device_id: "ap-1".parse().unwrap(),
        device_name: "Hall".into(),
        step_description: "looks around".into(),
        status: StepStatus::Failed,
        args,
        started_at: Some(5),
        completed_at: None,
        progress,
        result: None,
        summary,
        error: None,
        command_id: None,
        applied_by: None,
    });
    let evidence =
        (text(), value()).prop_map(|(name, value)| EvidenceView { name, text: "busy".into(), value, trace_id: "t".into(), device_id: "ap-1".into() });
    let verdict = (figure(), vec(evidence, 0..3)).prop_map(|(confidence, evidence)| Verdict {
        kind: VerdictKind::Fault,
        cause: Some("wifi_cochannel_busy".into()),
        device_id: None,
        confidence,
        evidence,
        text: "busy".into(),
        rivals: Vec::new(),
        chart: None,
    });
    (text(), text(), vec(step, 0..4), option::of(verdict), object()).prop_map(|(id, user_request, steps, verdict, slots)| {
        let mut session = made::session(&id, SessionStatus::Active, 3);
        session.intent.slots = slots;
        Session { user_request, steps, verdict, ..session }
    })
}

fn changeset() -> impl Strategy<Value = Changeset> {
    let measured = || {
        (figure(), vec(figure(), 0..4)).prop_map(|(value, samples)| Measurement {
            metric: "cspd.dn".into(),
            value,
            unit: "Mbps".into(),
            samples,
            trace_ids: Vec::new(),
        })
    };
    (text(), text(), option::of(measured()), option::of(measured()), option::of(any::<i64>())).prop_map(|(id, reason, before, after, deadline_ms)| Changeset {
        reason,
        before,
        after,
        deadline_ms,
        ..made::changeset(&id, SetStatus::Verifying, 8)
    })
}

fn message() -> impl Strategy<Value = ChatMessage> {
    let point = (text(), figure()).prop_map(|(label, value)| ChartPoint { label, value, marked: true });
    let part = prop_oneof![
        vec(point, 0..4).prop_map(|points| Part::Chart { title: "channels".into(), unit: "%".into(), points }),
        vec(text(), 0..4).prop_map(|options| Part::Choices { options }),
        (text(), figure()).prop_map(|(intent, confidence)| Part::Understanding { intent, confidence }),
    ];
    (text(), text(), vec(part, 0..4), any::<i64>(), 0..i64::MAX as u64, any::<u64>()).prop_map(|(room, said, parts, ts, seq, rev)| ChatMessage {
        role: Role::Assistant,
        parts,
        ts,
        rev,
        ..made::message(&room, seq, seq, &said)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn samples_and_events(one in sample(), other in event()) {
        let (_dir, mut store) = made::store();
        store.commit(&[Save::Sample(one.clone()), Save::Event(other.clone())]).unwrap();
        let reader = store.reader();
        prop_assert_eq!(reader.telemetry(&one.key, &one.metric, i64::MIN, i64::MAX, 5, None).unwrap().items, vec![one]);
        prop_assert_eq!(reader.events(&other.key, 5, None).unwrap().items, vec![other]);
    }

    #[test]
    fn devices_commands_sessions_and_change_sets(device in device(), command in command(), session in session(), set in changeset()) {
        let (_dir, mut store) = made::store();
        let rows = [Save::Device(device.clone().into()), Save::Command(command.clone().into()), Save::Session(session.clone().into()), Save::Changeset(set.clone().into())];
        store.commit(&rows).unwrap();
        let reader = store.reader();
        prop_assert_eq!(reader.command(&command.id).unwrap(), Some(command));
        prop_assert_eq!(reader.session(&session.session_id).unwrap(), Some(session));
        prop_assert_eq!(reader.changeset(&set.changeset_id).unwrap(), Some(set));
        prop_assert_eq!(store.load(50).unwrap().devices, vec![device]);
    }

    #[test]
    fn messages_receipts_settings_and_audit(message in message(), receipt in value(), detail in value(), words in (text(), text(), text())) {
        let (_dir, mut store) = made::store();
        let row = AuditRow { n: 1, ts_ms: -1, tenant: words.0.clone(), actor: words.1, action: words.2, subject: String::new(), detail, prev_hash: "00".into(), hash: "01".into() };
        let rows = [
            Save::Message(message.clone().into()),
            Save::Receipt { changeset_id: words.0.clone(), receipt: receipt.clone() },
            Save::Setting(words.0.clone(), receipt.clone()),
            Save::Audit(row.clone()),
        ];
        store.commit(&rows).unwrap();
        let reader = store.reader();
        prop_assert_eq!(reader.messages(&message.session_id, MessageWindow::Newest, 5).unwrap().0, vec![message]);
        prop_assert_eq!(reader.receipt(&words.0).unwrap(), Some(receipt.clone()));
        prop_assert_eq!(reader.settings().unwrap(), vec![(words.0.clone(), receipt)]);
        prop_assert_eq!(reader.audit_rows_from(&words.0, 0, 5).unwrap(), vec![row]);
    }
}

#[test]
fn a_receipt_verifies_after_it_was_stored() {
    let (_dir, mut store) = made::store();
    let key = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let receipt = talkwire_core::receipt::sign(json!({"before": 31.245270191439438, "after": 0.1 + 0.2, "who": "王小明"}), &key);
    store.commit(&[Save::Receipt { changeset_id: "c".into(), receipt }]).unwrap();
    let stored = store.reader().receipt("c").unwrap().unwrap();
    assert!(talkwire_core::receipt::verify(&stored, None).is_ok());
}
