//! The rules: each takes what was seen and says whether one check holds. No clock, no network.

pub mod basics;
pub mod commands;
pub mod messages;
pub mod performance;
pub mod reliability;
pub mod security;

use super::report::Verdict;
use std::time::Duration;

pub(crate) fn passed(detail: impl Into<String>) -> Verdict {
    Verdict::Passed(detail.into())
}

pub(crate) fn failed(detail: impl Into<String>) -> Verdict {
    Verdict::Failed(detail.into())
}

pub(crate) fn skipped(detail: impl Into<String>) -> Verdict {
    Verdict::Skipped(detail.into())
}

/// Fails with what is wrong, or passes.
pub(crate) fn none_wrong(wrong: &[String], passes: impl Into<String>) -> Verdict {
    if wrong.is_empty() { passed(passes) } else { failed(some(wrong)) }
}

/// The first of many, with how many there are.
pub(crate) fn some(list: &[String]) -> String {
    let mut unique: Vec<&String> = Vec::new();
    for item in list {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    let shown: Vec<&str> = unique.iter().take(3).map(|item| item.as_str()).collect();
    let more = unique.len().saturating_sub(3);
    if more > 0 { format!("{} (and {more} more)", shown.join("; ")) } else { shown.join("; ") }
}

/// Milliseconds, as people read them.
pub(crate) fn ms(time: Duration) -> String {
    if time < Duration::from_millis(10) { format!("{:.1} ms", time.as_secs_f64() * 1000.0) } else { format!("{} ms", time.as_millis()) }
}

/// Why what needs the proxy was not seen.
pub(crate) fn no_proxy(evidence: &super::Evidence) -> Verdict {
    match &evidence.proxy {
        None => {
            skipped("needs the proxy: add --proxy 127.0.0.1:18883 (or an address that the device reaches), and point the device there instead of at the broker")
        }
        Some(address) => skipped(format!("the device did not connect through {address}: point it there instead of at the broker, and start the check first")),
    }
}
