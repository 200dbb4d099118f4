//! Figures of a series of measurements: median, percentile, jitter, loss.

use crate::text::tenth;
use serde_json::{Value, json};

/// A quantile of some times in milliseconds, rounded to a tenth; `null` when there are none.
pub(crate) fn quantile(times_ms: &[f64], part: f64) -> Value {
    let mut sorted: Vec<f64> = times_ms.iter().copied().filter(|time| time.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let place = (part * sorted.len() as f64) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).map_or(Value::Null, |time| json!(tenth(*time)))
}

/// The mean difference of neighbours, in the order of measuring; `null` with fewer than two.
pub(crate) fn jitter(times_ms: &[f64]) -> Value {
    match times_ms.len() {
        0 | 1 => Value::Null,
        many => json!(tenth(times_ms.windows(2).map(|pair| (pair[0] - pair[1]).abs()).sum::<f64>() / (many - 1) as f64)),
    }
}

/// How much of `sent` is missing, in percent.
pub(crate) fn loss_percent(sent: usize, received: usize) -> f64 {
    if sent == 0 { 100.0 } else { tenth(100.0 * sent.saturating_sub(received) as f64 / sent as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_nothing_are_null_and_of_something_plain() {
        assert_eq!((quantile(&[], 0.5), jitter(&[3.0]), loss_percent(0, 0)), (Value::Null, Value::Null, 100.0));
        let times = [3.0, 1.0, 2.0, 9.04];
        assert_eq!((quantile(&times, 0.5), quantile(&times, 0.95), quantile(&times, 1.0)), (json!(3.0), json!(9.0), json!(9.0)));
        assert_eq!((jitter(&times), loss_percent(3, 2)), (json!(3.3), 33.3));
        assert_eq!(loss_percent(2, 3), 0.0, "a doubled answer is no gain");
    }
}
