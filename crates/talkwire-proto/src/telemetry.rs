//! `telemetry/{metric}`: one figure, or a set of them, at one moment (`spec/rtk-integration-guide.md`, phase 3).

use crate::envelope::{BadEnvelope, Envelope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One sample of a metric. The metric's name stands in the topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Telemetry {
    /// The figure, when the sample has a single one.
    pub value: Option<f64>,
    /// Its unit, for example `%`, `celsius`, `mbps`.
    pub unit: Option<String>,
    /// Named figures, when the sample has several. Lists, texts and objects beside them stay in the raw message.
    pub figures: Vec<(String, f64)>,
}

const NOT_FIGURES: [&str; 7] = ["schema", "ts", "timestamp", "device_id", "trace", "unit", "value"];

impl Telemetry {
    /// The schema tag that we send for a metric.
    pub fn schema(metric: &str) -> String {
        format!("telemetry.{metric}/1.0")
    }

    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, BadEnvelope> {
        let fields = envelope.fields();
        let value = match fields.any(&["value"]).map(|(_, value)| value) {
            Some(Value::Bool(flag)) => Some(f64::from(u8::from(*flag))),
            _ => fields.number(&["value"])?,
        };
        let figures = envelope.body.iter().filter(|(name, _)| !NOT_FIGURES.contains(&name.as_str()));
        let figures: Vec<_> = figures.filter_map(|(name, value)| value.as_f64().filter(|n| n.is_finite()).map(|n| (name.clone(), n))).collect();
        let says_nothing = value.is_none() && figures.is_empty() && !envelope.body.values().any(|v| v.is_object() || v.is_array());
        if says_nothing {
            return Err(BadEnvelope::Value("telemetry needs a number in `value`, or named figures".into()));
        }
        Ok(Self { value, unit: fields.label(&["unit"])?, figures })
    }

    /// The message for the wire.
    pub fn encode(&self, metric: &str, ts_ms: i64) -> Value {
        let mut message = json!({"schema": Self::schema(metric), "ts": ts_ms});
        if let Some(value) = self.value {
            message["value"] = json!(value);
        }
        if let Some(unit) = &self.unit {
            message["unit"] = json!(unit);
        }
        for (name, figure) in self.figures.iter().filter(|(name, _)| !NOT_FIGURES.contains(&name.as_str())) {
            message[name] = json!(figure);
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::DeviceBody;
    use crate::inbound::tests::{body, refusal};

    fn sample(text: &str) -> Telemetry {
        let DeviceBody::Telemetry(metric, telemetry) = body("telemetry/cpu_usage", text) else { panic!("not telemetry") };
        assert_eq!(metric, "cpu_usage");
        telemetry
    }

    #[test]
    fn the_sample_of_the_integration_guide_is_read() {
        let text = r#"{"schema": "telemetry.cpu_usage/1.0", "ts": 1699123456789, "value": 45.2, "unit": "%"}"#;
        assert_eq!(sample(text), Telemetry { value: Some(45.2), unit: Some("%".into()), figures: vec![] });
        assert_eq!(sample(r#"{"value": 1, "unit": null}"#).unit, None);
    }

    #[test]
    fn several_figures_are_read_flat_and_under_metrics() {
        let figures = vec![("rx_mbps".to_owned(), 1.5), ("tx_mbps".to_owned(), 2.0)];
        for text in [r#"{"rx_mbps": 1.5, "tx_mbps": 2}"#, r#"{"metrics": {"rx_mbps": 1.5, "tx_mbps": 2}}"#, r#"{"payload": {"rx_mbps": 1.5, "tx_mbps": 2}}"#] {
            assert_eq!(sample(text), Telemetry { value: None, unit: None, figures: figures.clone() }, "{text}");
        }
    }

    #[test]
    fn a_switch_is_one_or_zero_and_lists_are_left_raw() {
        assert_eq!(sample(r#"{"value": true}"#).value, Some(1.0));
        assert_eq!(sample(r#"{"clients": [{"mac": "aabbccddeeff"}]}"#), Telemetry { value: None, unit: None, figures: vec![] });
    }

    #[test]
    fn a_sample_without_a_figure_or_with_text_for_one_is_refused() {
        assert_eq!(refusal("telemetry/x", r#"{"unit": "%"}"#), "telemetry needs a number in `value`, or named figures");
        assert_eq!(refusal("telemetry/x", r#"{"value": "45.2"}"#), "field `value` must be a number, not a string");
        assert!(refusal("telemetry/x", r#"{"value": 1e999}"#).contains("number out of range"));
    }

    #[test]
    fn what_is_sent_reads_back() {
        let sent = Telemetry { value: Some(1.25), unit: Some("celsius".into()), figures: vec![("low".into(), 1.0), ("high".into(), 2.0)] };
        assert_eq!(sample(&sent.encode("cpu_usage", 5).to_string()), sent);
    }
}
