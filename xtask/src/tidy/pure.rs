//! The pure three (proto, core, agent) have no clock, no I/O, no threads, no async and no randomness; and nobody has `unsafe`.

use super::code::{has_word, only_code};
use super::{Finding, Text};

const PURE: [&str; 3] = ["crates/talkwire-proto/src/", "crates/talkwire-core/src/", "crates/talkwire-agent/src/"];

/// A word, and what it would bring in.
const FORBIDDEN: &[(&str, &str)] = &[
    ("SystemTime", "the clock"),
    ("Instant", "the clock"),
    ("std::fs", "files"),
    ("std::io", "I/O"),
    ("TcpStream", "the network"),
    ("TcpListener", "the network"),
    ("UdpSocket", "the network"),
    ("ToSocketAddrs", "the network"),
    ("std::env", "the environment"),
    ("std::process", "other programs"),
    ("std::thread", "threads"),
    ("thread::spawn", "threads"),
    ("tokio", "a runtime"),
    ("async fn", "async"),
    ("async move", "async"),
    ("println!", "output"),
    ("eprintln!", "output"),
    ("print!", "output"),
    ("dbg!", "output"),
    ("rand", "randomness"),
    ("getrandom", "randomness"),
    ("RandomState", "randomness"),
];

/// The rule.
pub fn check(texts: &[Text]) -> Vec<Finding> {
    texts.iter().filter(|text| text.is(&[".rs"])).flat_map(source).collect()
}

fn source(text: &Text) -> Vec<Finding> {
    let is_pure = PURE.iter().any(|folder| text.path.starts_with(folder));
    let code = only_code(&text.text);
    let mut findings = Vec::new();
    for (n, line) in code.lines().enumerate() {
        if has_word(line, "unsafe") {
            findings.push(text.finding(n + 1, "unsafe", "say it in safe Rust; the workspace forbids the other"));
        }
        if !is_pure {
            continue;
        }
        for (word, what) in FORBIDDEN {
            if has_word(line, word) {
                findings.push(text.finding(
                    n + 1,
                    format!("{word} brings {what} into a pure crate"),
                    "let the caller give the value, or move the code to a crate that acts",
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::*;

    #[test]
    fn a_clock_in_core_is_found_and_a_word_in_a_comment_is_not() {
        let text = "//! No SystemTime here.\nfn now() -> u64 { std::time::SystemTime::now() }\n";
        let found = said(check, "crates/talkwire-core/src/a.rs", text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/talkwire-core/src/a.rs:2: SystemTime brings the clock"));
        assert!(said(check, "crates/talkwire/src/a.rs", text).is_empty());
    }

    #[test]
    fn nobody_is_unsafe() {
        assert_eq!(said(check, "bench/src/a.rs", "//! A.\nfn f() { unsafe { g() } }\n").len(), 1);
    }
}
