//! `state`: health and figures of a device (`spec/rtk-integration-guide.md`, phase 3).

use crate::envelope::{BadEnvelope, Envelope};
use crate::fields::unknown_word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing to report.
    Ok,
    /// It works, but not as it should. `warn` is read as this.
    Warning,
    /// Something is broken. `critical` is read as this.
    Error,
    /// The device says that it does not know.
    Unknown,
}

impl Health {
    /// Reads the words of every dialect seen in the field, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "ok" | "good" | "healthy" => Some(Self::Ok),
            "warning" | "warn" => Some(Self::Warning),
            "error" | "critical" => Some(Self::Error),
            "unknown" => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// The known figures of a state; all others stay in the raw message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct State {
    /// How the device is.
    pub health: Health,
    /// Seconds since it started.
    pub uptime_s: Option<f64>,
    /// Percent of its processors in use.
    pub cpu_usage: Option<f64>,
    /// Percent of its memory in use.
    pub memory_usage: Option<f64>,
    /// Degrees Celsius.
    pub temperature_c: Option<f64>,
}

impl State {
    /// The schema tag that we send.
    pub const SCHEMA: &'static str = "state/1.0";

    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let health = match fields.text(&["health"])? {
            None => Health::Unknown,
            Some(word) => Health::parse(&word).ok_or_else(|| unknown_word("health", "ok, warning or error", Some(&word)))?,
        };
        Ok(Self {
            health,
            uptime_s: fields.number(&["uptime_s", "uptime"])?,
            cpu_usage: fields.number(&["cpu_usage"])?,
            memory_usage: fields.number(&["memory_usage"])?,
            temperature_c: fields.number(&["temperature_c"])?,
        })
    }

    /// The message for the wire, known figures only.
    pub fn encode(&self, ts_ms: i64) -> Value {
        let mut message = json!({"schema": Self::SCHEMA, "ts": ts_ms, "health": self.health});
        let figures = [("uptime_s", self.uptime_s), ("cpu_usage", self.cpu_usage), ("memory_usage", self.memory_usage), ("temperature_c", self.temperature_c)];
        for (name, figure) in figures {
            if let Some(figure) = figure {
                message[name] = json!(figure);
            }
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::DeviceBody;
    use crate::inbound::tests::{body, refusal};

    fn state(text: &str) -> State {
        let DeviceBody::State(state) = body("state", text) else { panic!("not a state") };
        state
    }

    #[test]
    fn the_state_of_the_integration_guide_is_read() {
        let text = r#"{"schema": "state/1.0", "ts": 1699123456789, "health": "ok", "uptime_s": 86400, "cpu_usage": 45.2,
            "memory_usage": 62.1, "connection_status": "connected", "last_command_ts": null}"#;
        let wanted = State { health: Health::Ok, uptime_s: Some(86_400.0), cpu_usage: Some(45.2), memory_usage: Some(62.1), temperature_c: None };
        assert_eq!(state(text), wanted);
    }

    #[test]
    fn every_dialect_of_health_is_understood() {
        let words = [("ok", Health::Ok), ("OK", Health::Ok), ("warning", Health::Warning), ("warn", Health::Warning), ("error", Health::Error)];
        for (word, health) in words.into_iter().chain([("critical", Health::Error), ("unknown", Health::Unknown)]) {
            assert_eq!(state(&format!(r#"{{"health": "{word}"}}"#)).health, health, "{word}");
        }
        assert_eq!(state("{}").health, Health::Unknown);
        assert_eq!(refusal("state", r#"{"health": "so so"}"#), "field `health` must be ok, warning or error, not \"so so\"");
    }

    #[test]
    fn a_figure_of_the_wrong_type_names_the_field() {
        assert_eq!(refusal("state", r#"{"health": "ok", "cpu_usage": "45%"}"#), "field `cpu_usage` must be a number, not a string");
        assert_eq!(refusal("state", r#"{"health": 1}"#), "field `health` must be a string, not a number");
    }

    #[test]
    fn what_is_sent_reads_back() {
        let sent = State { health: Health::Warning, uptime_s: Some(1.0), cpu_usage: None, memory_usage: Some(2.5), temperature_c: Some(-3.0) };
        assert_eq!(state(&sent.encode(5).to_string()), sent);
    }
}
