//! The error of instruments: what a tool adds to what is true.

use crate::house::House;
use serde_json::{Value, json};

/// A series of pings.
pub(crate) struct Pings {
    pub base_ms: f64,
    pub jitter_ms: f64,
    pub loss: f64,
    pub count: usize,
}

impl House {
    /// A normal error, or none when the noise is switched off.
    pub(crate) fn error(&mut self, deviation: f64) -> f64 {
        if self.noise { self.random.normal(0.0, deviation) } else { 0.0 }
    }

    /// A level in whole dBm.
    pub(crate) fn read_dbm(&mut self, level: f64) -> i64 {
        (level + self.error(1.5)).round() as i64
    }

    /// A busy share in whole percent.
    pub(crate) fn read_busy(&mut self, share: f64) -> i64 {
        (100.0 * share + self.error(3.0)).round().clamp(0.0, 100.0) as i64
    }

    /// A measured rate.
    pub(crate) fn read_mbps(&mut self, mbps: f64, sigma: f64) -> f64 {
        tenth(if self.noise { mbps * self.random.lognormal(1.0, sigma) } else { mbps })
    }

    /// What a speed test loses when it meets a busy server, which happens to one in twenty-five.
    pub(crate) fn server_luck(&mut self) -> f64 {
        if self.noise && self.random.chance(0.04) { self.random.between(0.5, 0.8) } else { 1.0 }
    }

    /// Median, 95th percentile, jitter and loss of a series of pings.
    pub(crate) fn ping(&mut self, pings: &Pings) -> Value {
        let mut times = Vec::with_capacity(pings.count);
        for _ in 0..pings.count {
            if pings.loss >= 1.0 || self.random.chance(pings.loss) {
                continue;
            }
            let spike = if self.noise && self.random.chance(0.01) { self.random.between(20.0, 100.0) } else { 0.0 };
            let wobble = if self.noise { self.random.exponential(pings.jitter_ms) } else { 0.0 };
            times.push(pings.base_ms + wobble + spike);
        }
        let lost = 100.0 * (pings.count - times.len()) as f64 / pings.count.max(1) as f64;
        let jitter = times.windows(2).map(|pair| (pair[0] - pair[1]).abs()).sum::<f64>() / times.len().max(2) as f64;
        json!({
            "median_ms": quantile(&mut times, 0.5),
            "p95_ms": quantile(&mut times, 0.95),
            "jitter_ms": if times.is_empty() { Value::Null } else { json!(tenth(jitter)) },
            "loss_percent": tenth(lost),
        })
    }
}

/// A quantile of some times, or `null` if there are none.
pub(crate) fn quantile(times: &mut [f64], part: f64) -> Value {
    times.sort_by(f64::total_cmp);
    let index = (part * times.len() as f64) as usize;
    times.get(index.min(times.len().saturating_sub(1))).map_or(Value::Null, |time| json!(tenth(*time)))
}

/// Rounded to one decimal.
pub(crate) fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
