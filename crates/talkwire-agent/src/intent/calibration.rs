//! From what the layers make of a sentence to how often they are right when they say so.

use super::Intent;

const CLASSES: usize = Intent::ALL.len();
/// Share of the best reading, and how often it was right on sentences that had taught nothing yet; straight lines between.
/// Rising throughout, so the order of two readings never changes. See `docs/intents.md` for the sentences.
const POINTS: [(f64, f64); 9] = [(0.0, 0.30), (0.35, 0.53), (0.55, 0.61), (0.75, 0.67), (0.85, 0.71), (0.92, 0.87), (0.96, 0.93), (0.985, 0.97), (1.0, 0.993)];

/// The measured probability that a reading with this share is right.
pub(super) fn measured(share: f64) -> f64 {
    let share = share.clamp(0.0, 1.0);
    for pair in POINTS.windows(2) {
        let [(from, low), (to, high)] = [pair[0], pair[1]];
        if share <= to {
            return low + (high - low) * (share - from) / (to - from);
        }
    }
    POINTS[POINTS.len() - 1].1
}

/// The shares with `intent` at its measured probability; the others divide what is left as they did before.
pub(super) fn settle(shares: &[f64; CLASSES], intent: Intent, sure: f64) -> [f64; CLASSES] {
    let rest: f64 = 1.0 - shares[intent.index()];
    let mut settled = shares.map(|share| if rest > 0.0 { share * (1.0 - sure) / rest } else { 0.0 });
    settled[intent.index()] = sure;
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_rises_and_stays_a_probability() {
        let values: Vec<f64> = (0..=100).map(|n| measured(f64::from(n) / 100.0)).collect();
        assert!(values.windows(2).all(|w| w[0] < w[1]));
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
    }

    #[test]
    fn first_runs_were_right_as_often_as_is_said_now() {
        let rows = include_str!("../../tests/intents/first_runs.tsv").lines().filter(|l| !l.starts_with('#'));
        let rows: Vec<(f64, f64)> = rows.filter_map(|l| l.split_once('\t')).map(|(s, r)| (measured(s.parse().unwrap()), r.parse().unwrap())).collect();
        assert_eq!(rows.len(), 300);
        for (from, to) in [(0.0, 0.7), (0.7, 0.9), (0.9, 1.0)] {
            let row: Vec<_> = rows.iter().filter(|(said, _)| (from..to).contains(said)).collect();
            let mean = |sum: f64| sum / row.len() as f64;
            let (said, right) = (mean(row.iter().map(|r| r.0).sum()), mean(row.iter().map(|r| r.1).sum()));
            assert!(row.len() >= 20 && (said - right).abs() <= 0.1, "{} between {from} and {to}: said {said:.2}, right {right:.2}", row.len());
        }
    }

    #[test]
    fn what_is_left_is_shared_by_the_rivals() {
        let mut shares = [0.0; CLASSES];
        (shares[0], shares[1], shares[2]) = (0.6, 0.3, 0.1);
        let settled = settle(&shares, Intent::NoInternet, 0.5);
        assert!((settled.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!((settled[1] - 3.0 * settled[2]).abs() < 1e-9);
    }
}
