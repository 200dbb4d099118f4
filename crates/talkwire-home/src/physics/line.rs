//! The access line by the hour of the day.

use serde::{Deserialize, Serialize};

/// How well the provider keeps its promise at peak time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineClass {
    /// Nearly no dip.
    GoodFibre,
    /// A small dip.
    GoodCable,
    /// Loses almost half at peak.
    Oversubscribed,
    /// Unusable at peak.
    Bad,
}

/// The line at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Part of the plan that is delivered.
    pub part: f64,
    /// Added delay in milliseconds.
    pub delay_ms: f64,
    /// Lost part of all packets.
    pub loss: f64,
}

impl LineClass {
    /// The line under the load `g` of the neighbourhood (see [`activity`]).
    pub fn at(self, g: f64) -> Line {
        let (depth, delay_ms, loss) = match self {
            LineClass::GoodFibre => (0.03, 2.0, 0.0),
            LineClass::GoodCable => (0.12, 8.0, 0.0002),
            LineClass::Oversubscribed => (0.45, 35.0, 0.005),
            LineClass::Bad => (0.70, 90.0, 0.02),
        };
        Line { part: 1.0 - depth * g.powf(1.5), delay_ms: delay_ms * g * g, loss: loss * g.powi(3) }
    }
}

const BY_HOUR: [f64; 24] =
    [0.35, 0.22, 0.14, 0.10, 0.08, 0.08, 0.10, 0.16, 0.22, 0.26, 0.30, 0.33, 0.40, 0.38, 0.36, 0.38, 0.42, 0.50, 0.62, 0.78, 0.92, 1.0, 0.90, 0.62];

/// How active the neighbourhood is, 0..1, by hour of day.
pub fn activity(hour: f64, weekend: bool) -> f64 {
    let hour = hour.rem_euclid(24.0);
    let index = hour.floor() as usize % 24;
    let part = hour - hour.floor();
    let base = BY_HOUR[index] + (BY_HOUR[(index + 1) % 24] - BY_HOUR[index]) * part;
    let extra = if weekend && (10.0..17.0).contains(&hour) { 0.15 } else { 0.0 };
    (base + extra).min(1.0)
}

/// What TCP gets through an Ethernet port of this speed, with or without PPPoE.
pub fn port_goodput_mbps(port_mbps: f64, pppoe: bool) -> f64 {
    port_mbps * 0.941 * if pppoe { 0.995 } else { 1.0 }
}
