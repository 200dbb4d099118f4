//! What a measurement found: a table for people, one object for programs.

use serde_json::{Map, Value, json};
use std::fmt;

/// What a figure must reach.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// No less than this.
    AtLeast(f64),
    /// No more than this.
    AtMost(f64),
    /// Told without a goal.
    None,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Line {
    what: String,
    key: String,
    unit: &'static str,
    ours: f64,
    peer: Option<f64>,
    goal: Goal,
}

/// One measurement.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its name.
    pub name: &'static str,
    /// Beside whom, if anybody.
    pub peer: Option<String>,
    /// What a reader must know to read the figures.
    pub notes: Vec<String>,
    lines: Vec<Line>,
}

impl Report {
    /// An empty report.
    pub fn new(name: &'static str) -> Self {
        Self { name, peer: None, notes: Vec::new(), lines: Vec::new() }
    }

    /// Adds a figure. `key` names it for programs, with its unit; the first line that a peer has too gives the ratio.
    pub fn line(&mut self, what: impl Into<String>, key: impl Into<String>, unit: &'static str, ours: f64, peer: Option<f64>, goal: Goal) {
        self.lines.push(Line { what: what.into(), key: key.into(), unit, ours, peer, goal });
    }

    /// Adds a remark.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    fn ratio(&self) -> Option<f64> {
        let (ours, peer) = self.lines.iter().find_map(|line| Some((line.ours, line.peer.filter(|peer| *peer > 0.0)?)))?;
        Some(ours / peer)
    }

    /// `{"name","ours","peer","ratio"}`; `peer` and `ratio` are null without a peer.
    pub fn to_json(&self) -> Value {
        let side = |pick: &dyn Fn(&Line) -> Option<f64>| -> Map<String, Value> {
            self.lines.iter().filter_map(|line| Some((line.key.clone(), json!(rounded(pick(line)?))))).collect()
        };
        let peer = self.peer.as_ref().map(|name| {
            let mut peer = Map::from_iter([("name".to_owned(), json!(name))]);
            peer.extend(side(&|line| line.peer));
            peer
        });
        json!({"name": self.name, "ours": side(&|line| Some(line.ours)), "peer": peer, "ratio": self.ratio().map(rounded)})
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 || value == value.trunc() { format!("{value:.0}") } else { format!("{value:.2}") }
}

impl Line {
    fn goal(&self) -> String {
        match self.goal {
            Goal::None => "-".into(),
            Goal::AtLeast(least) => format!("≥ {} {}", number(least), self.unit),
            Goal::AtMost(most) => format!("≤ {} {}", number(most), self.unit),
        }
    }

    fn met(&self) -> &'static str {
        let (met, far) = match self.goal {
            Goal::None => return "",
            Goal::AtLeast(least) => (self.ours >= least, self.ours < least / 2.0),
            Goal::AtMost(most) => (self.ours <= most, self.ours > most * 2.0),
        };
        match (met, far) {
            (true, _) => "met",
            (false, false) => "short",
            (false, true) => "FAR",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        let wide = self.lines.iter().map(|line| line.what.chars().count()).max().unwrap_or(0).max(8);
        let peer = self.peer.as_deref().unwrap_or("-");
        writeln!(f, "  {:<wide$}  {:>16}  {:>16}  {:>16}", "", "ours", peer, "goal")?;
        for line in &self.lines {
            let value = |value: f64| format!("{} {}", number(value), line.unit);
            writeln!(
                f,
                "  {:<wide$}  {:>16}  {:>16}  {:>16}  {}",
                line.what,
                value(line.ours),
                line.peer.map_or_else(|| "-".into(), value),
                line.goal(),
                line.met()
            )?;
        }
        if let Some(ratio) = self.ratio() {
            writeln!(f, "  ours / {peer}: {ratio:.2}")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  * {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_read_name_ours_peer_and_ratio() {
        let mut report = Report::new("p2p");
        assert_eq!(report.to_json(), json!({"name": "p2p", "ours": {}, "peer": null, "ratio": null}));
        report.peer = Some("mosquitto".into());
        report.line("throughput", "msg_per_s", "msg/s", 300.0, Some(200.0), Goal::AtLeast(200.0));
        report.line("p99", "p99_ms", "ms", 2.5, None, Goal::AtMost(1.0));
        let wanted = json!({"name": "p2p", "ours": {"msg_per_s": 300.0, "p99_ms": 2.5}, "peer": {"name": "mosquitto", "msg_per_s": 200.0}, "ratio": 1.5});
        assert_eq!(report.to_json(), wanted);
        let table = report.to_string();
        assert!(table.contains("met") && table.contains("FAR"), "{table}");
    }
}
