//! What the trials of one case showed.

use serde_json::{Map, Value, json};
use std::fmt;

/// One case of a fault: how many trials there were, how many held, and the figures that were seen.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// The fault's number, for example `R10`.
    pub fault: &'static str,
    /// What was tried and what must hold, in a few words.
    pub case: String,
    /// Trials that were judged.
    pub trials: u64,
    /// Of these, trials in which something that must hold did not.
    pub failed: u64,
    /// Trials that could not be judged, because something else broke.
    pub not_judged: u64,
    /// Why this case was not tried at all, for example a program that is not installed; then the row is not good.
    pub missing: Option<String>,
    /// What was counted and measured; names carry their unit.
    pub figures: Map<String, Value>,
}

impl Row {
    /// A row without trials.
    pub fn new(fault: &'static str, case: impl Into<String>) -> Self {
        Self { fault, case: case.into(), ..Self::default() }
    }

    /// Adds a figure.
    #[must_use]
    pub fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }

    /// Whether there were trials and every one of them held.
    pub fn is_good(&self) -> bool {
        self.trials > 0 && self.failed == 0 && self.not_judged == 0 && self.missing.is_none()
    }

    /// The percentage of trials that may fail at most, with 95 % confidence (rule of three); only where none failed.
    pub fn bound_percent(&self) -> Option<f64> {
        self.is_good().then(|| (300.0 / self.trials as f64).min(100.0))
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        json!({
            "fault": self.fault, "case": self.case, "ok": self.is_good(), "trials": self.trials, "failed": self.failed,
            "not_judged": self.not_judged, "missing": self.missing, "bound_percent": self.bound_percent(), "figures": self.figures,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_good() { "ok" } else { "FAILED" };
        write!(f, "{:<4} {word:<6} {}: {} trials, {} failed", self.fault, self.case, self.trials, self.failed)?;
        if self.not_judged > 0 {
            write!(f, ", {} not judged", self.not_judged)?;
        }
        if let Some(percent) = self.bound_percent() {
            write!(f, "; fewer than {percent:.2} % fail, with 95 % confidence")?;
        }
        if let Some(missing) = &self.missing {
            write!(f, "; not tried: {missing}")?;
        }
        for (name, value) in &self.figures {
            write!(f, "\n            {name:<34} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_row_whose_every_trial_held_is_good() {
        let row = Row { trials: 50, ..Row::new("R10", "a case") };
        assert!(row.is_good());
        assert_eq!(row.bound_percent(), Some(6.0));
        let bad = [
            Row { trials: 0, ..row.clone() },
            Row { failed: 1, ..row.clone() },
            Row { not_judged: 1, ..row.clone() },
            Row { missing: Some("no broker".into()), ..row.clone() },
        ];
        for bad in bad {
            assert!(!bad.is_good() && bad.bound_percent().is_none() && bad.to_string().contains("FAILED"), "{bad:?}");
        }
    }

    #[test]
    fn a_row_is_printed_with_its_bound_and_its_figures() {
        let text = Row { trials: 200, ..Row::new("R13", "a case").figure("delay_p99_s", 1.5) }.to_string();
        assert!(text.contains("200 trials, 0 failed") && text.contains("1.50 %") && text.contains("delay_p99_s") && text.contains("1.5"), "{text}");
    }
}
