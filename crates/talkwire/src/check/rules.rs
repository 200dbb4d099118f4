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

#[cfg(test)]
pub(crate) mod tests {
    use super::super::Evidence;
    use super::super::heard::Ear;
    use serde_json::Value;
    use std::time::Duration;

    /// What a device said at so many seconds, on which tail.
    pub(crate) type Said = (u64, &'static str, Value);

    /// One state a second.
    pub(crate) fn states(count: u64, body: impl Fn(u64) -> Value) -> Vec<Said> {
        (0..count).map(|n| (n, "state", body(n))).collect()
    }

    /// The evidence of a check that took so many seconds and heard this.
    pub(crate) fn seen(seconds: u64, said: Vec<Said>) -> Evidence {
        let mut evidence = Evidence::new("acme/home/aabbccddeeff".parse().unwrap());
        let ear = Ear { key: evidence.key.clone(), fernet: None };
        evidence.watched = Duration::from_secs(seconds);
        let read = |(at, tail, mut body): Said| {
            if tail == "state" {
                body["health"] = "ok".into();
            }
            let topic = format!("rtk/v1/{}/{tail}", ear.key);
            ear.read(&topic, body.to_string().into(), false, true, (Duration::from_secs(at), 1_700_000_000_000)).unwrap()
        };
        evidence.heard = said.into_iter().map(read).collect();
        evidence
    }
}
