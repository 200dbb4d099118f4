//! The seam to the mind: understands sentences and thinks about sessions, both pure.

use serde_json::{Map, Value, json};
use std::sync::OnceLock;
use talkwire_agent::intent::understand;
use talkwire_agent::{Mind, answer_other, opening, presence};
use talkwire_core::device::Device;
use talkwire_core::input::Understood;
use talkwire_core::session::IntentView;

/// The mind with the built-in flows.
pub fn mind() -> &'static Mind {
    static MIND: OnceLock<Mind> = OnceLock::new();
    MIND.get_or_init(Mind::builtin)
}

/// Reads flows and learns the examples ahead of the first complaint.
pub fn wake() {
    mind();
    talkwire_agent::intent::Recogniser::embedded();
}

/// How a sentence is meant, and what to say at once.
pub fn understand_sentence(text: &str, devices: &[&Device], now_ms: i64) -> Understood {
    let found = understand(text);
    let slots = json!(found.slots).as_object().cloned().unwrap_or_else(Map::new);
    let mut view = IntentView {
        intent: found.intent.to_string(),
        language: found.language,
        confidence: found.confidence,
        slots,
        rivals: found.rivals.iter().map(|(intent, confidence)| (intent.to_string(), *confidence)).collect(),
    };
    let words = if let Some(words) = presence(text, view.language, devices, view.intent == "other", now_ms) {
        // Whoever names a device that is known and asks whether it is there complains of nothing.
        view.intent = "other".into();
        view.slots.insert("other_kind".into(), json!("status_question"));
        words
    } else if view.intent == "other" {
        let kind = json!(found.other_kind);
        answer_other(kind.as_str(), view.language, devices)
    } else {
        opening(&view, devices)
    };
    Understood { view, words }
}

/// `POST /api/v1/intents`: what was understood, as JSON.
pub fn intent_json(text: &str) -> Value {
    let found = understand(text);
    let rivals: Vec<_> = found.rivals.iter().map(|(intent, confidence)| json!({"intent": intent.to_string(), "confidence": confidence})).collect();
    json!({
        "intent": found.intent.to_string(), "language": found.language, "confidence": found.confidence, "slots": found.slots,
        "rivals": rivals, "second": found.second.map(|intent| intent.to_string()), "other_kind": found.other_kind,
    })
}
