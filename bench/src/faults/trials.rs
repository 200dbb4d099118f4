//! Many trials at the same time, each judged by itself.

use super::row::Row;
use anyhow::Result;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// What one trial showed: the reasons why it failed (none: it held), and whatever the case wants to know of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome<T> {
    /// What did not hold, each as a sentence.
    pub broken: Vec<String>,
    /// What was seen.
    pub seen: T,
}

/// Runs the trials `0..count`, so many at once, and counts them in `row`; what was seen in each that could be judged.
/// `again` says how a trial is run once more by itself.
pub fn run<T: Send>(
    row: &mut Row,
    count: u64,
    at_once: usize,
    trial: impl Fn(u64) -> Result<Outcome<T>> + Sync,
    again: impl Fn(u64) -> String + Sync,
) -> Vec<T> {
    let waiting: Mutex<VecDeque<u64>> = Mutex::new((0..count).collect());
    let results = Mutex::new((row, Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once.max(1).min(usize::try_from(count).unwrap_or(usize::MAX)) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(number) = next else { return };
                    let outcome = trial(number);
                    let (row, seen) = &mut *results.lock().unwrap_or_else(PoisonError::into_inner);
                    match outcome {
                        Ok(outcome) => {
                            row.trials += 1;
                            if !outcome.broken.is_empty() {
                                row.failed += 1;
                                eprintln!("  {} of {count} FAILED: {}\n      again with: {}", number + 1, outcome.broken.join("; "), again(number));
                            }
                            seen.push(outcome.seen);
                        }
                        Err(error) => {
                            row.not_judged += 1;
                            eprintln!("  {} of {count} FAILED, not judged: {error:#}\n      again with: {}", number + 1, again(number));
                        }
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trial_is_counted_once_as_held_failed_or_not_judged() {
        let mut row = Row::new("R0", "numbers");
        let trial = |number: u64| match number % 10 {
            3 => anyhow::bail!("could not be tried"),
            7 => Ok(Outcome { broken: vec!["seven".into()], seen: number }),
            _ => Ok(Outcome { broken: Vec::new(), seen: number }),
        };
        let mut seen = run(&mut row, 30, 8, trial, |number| format!("--seed {number}"));
        seen.sort_unstable();
        assert_eq!((row.trials, row.failed, row.not_judged), (27, 3, 3));
        assert_eq!(seen, (0..30).filter(|number| number % 10 != 3).collect::<Vec<_>>());
    }
}
