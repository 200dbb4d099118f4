//! Rows: what was broken, what was said, right or wrong, seconds.

use super::case::Case;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// What the assistant said about a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    case: &'static str,
    broken: &'static str,
    complaint: &'static str,
    wanted: Option<&'static str>,
    kind: String,
    cause: Option<String>,
    confidence: f64,
    said: String,
    is_right: bool,
    seconds: f64,
    built_s: f64,
}

impl Row {
    /// Judges a session. A broken network wants its cause by name; a sound one wants to be called sound, or an honest "I cannot tell".
    pub fn judge(case: &Case, session: &Value, asked: Duration, built: Duration) -> Self {
        let verdict = &session["verdict"];
        let kind = verdict["kind"].as_str().unwrap_or("none").to_owned();
        let cause = verdict["cause"].as_str().map(str::to_owned);
        let is_right = match case.cause {
            Some(wanted) => kind == "fault" && cause.as_deref() == Some(wanted),
            None => kind == "healthy" || kind == "inconclusive",
        };
        let said = verdict["text"].as_str().or(session["text"].as_str()).unwrap_or("nothing").to_owned();
        let seconds = |span: Duration| (span.as_secs_f64() * 10.0).round() / 10.0;
        Self {
            case: case.name,
            broken: case.broken,
            complaint: case.complaint,
            wanted: case.cause,
            kind,
            cause,
            confidence: verdict["confidence"].as_f64().unwrap_or(0.0),
            said,
            is_right,
            seconds: seconds(asked),
            built_s: seconds(built),
        }
    }

    /// As a line for people.
    pub fn line(&self) -> String {
        let cause = self.cause.as_deref().unwrap_or(&self.kind);
        format!("{} {:<18} {:<52} → {:<20} {:>6.1} s", if self.is_right { "right" } else { "WRONG" }, self.case, self.broken, cause, self.seconds)
    }

    fn json(&self) -> Value {
        json!({
            "case": self.case, "broken": self.broken, "complaint": self.complaint, "expected": self.wanted.unwrap_or("healthy"),
            "verdict": self.kind, "cause": self.cause, "confidence": self.confidence, "said": self.said,
            "right": self.is_right, "seconds": self.seconds, "build_seconds": self.built_s,
        })
    }
}

/// All rows.
#[derive(Debug, Default)]
pub struct Rows(Vec<Row>);

impl Rows {
    /// Adds one.
    pub fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    /// Whether there is a row and each is right.
    pub fn all_right(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|row| row.is_right)
    }

    /// `8 right, 1 wrong`.
    pub fn sum(&self) -> String {
        let right = self.0.iter().filter(|row| row.is_right).count();
        format!("{right} right, {} wrong", self.0.len() - right)
    }

    /// The rows as JSON, a list in the order in which they were run.
    pub fn json(&self) -> String {
        format!("{:#}", Value::from(self.0.iter().map(Row::json).collect::<Vec<_>>()))
    }

    /// The rows for people, with what was said below each.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for row in &self.0 {
            let _ = writeln!(text, "{}\n      “{}” → {}", row.line(), row.complaint, row.said);
            if !row.is_right {
                let _ = writeln!(text, "      expected: {}", row.wanted.unwrap_or("healthy"));
            }
        }
        let _ = writeln!(text, "{}", self.sum());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::CASES;
    use super::*;

    fn judge(name: &str, verdict: Value) -> Row {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        Row::judge(case, &json!({"verdict": verdict, "text": "…"}), Duration::from_millis(12_340), Duration::from_secs(3))
    }

    #[test]
    fn only_the_cause_itself_is_right_for_something_broken() {
        assert!(judge("dns_dead", json!({"kind": "fault", "cause": "dns_resolver_down", "text": "no names"})).is_right);
        assert!(!judge("dns_dead", json!({"kind": "fault", "cause": "isp_outage_upstream"})).is_right);
        assert!(!judge("dns_dead", json!({"kind": "inconclusive"})).is_right && !judge("dns_dead", Value::Null).is_right);
    }

    #[test]
    fn a_sound_network_must_not_be_accused() {
        assert!(judge("healthy", json!({"kind": "healthy"})).is_right);
        assert!(!judge("healthy", json!({"kind": "fault", "cause": "wan_cable_out"})).is_right);
        assert!(!judge("healthy", Value::Null).is_right);
    }

    #[test]
    fn rows_count_and_print() {
        let mut rows = Rows::default();
        assert!(!rows.all_right());
        rows.push(judge("healthy", json!({"kind": "healthy", "text": "all is well"})));
        assert!(rows.all_right());
        rows.push(judge("dns_dead", json!({"kind": "healthy"})));
        assert_eq!((rows.all_right(), rows.sum().as_str()), (false, "1 right, 1 wrong"));
        let list: Value = serde_json::from_str(&rows.json()).unwrap();
        assert_eq!((&list[0]["right"], &list[0]["seconds"], &list[1]["expected"]), (&json!(true), &json!(12.3), &json!("dns_resolver_down")));
        assert!(rows.table().contains("expected: dns_resolver_down"));
    }
}
