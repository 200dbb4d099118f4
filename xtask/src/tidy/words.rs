//! Words that must not land: marks of unfinished work, tests that nobody runs, and paths of somebody's own machine.

use super::{Finding, Text};

const READ: [&str; 14] = [".rs", ".ts", ".vue", ".mjs", ".js", ".py", ".sh", ".toml", ".md", ".json", ".html", ".css", ".yml", "/run"];
const CODE: [&str; 8] = [".rs", ".ts", ".vue", ".mjs", ".js", ".py", ".sh", ".toml"];

/// Marks of unfinished work, put together here so that this file does not hold them itself.
const UNFINISHED: [&str; 6] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("unimplemented", "!"), concat!("to", "do!"), concat!("#[ig", "nore")];
/// In tests of the console.
const LEFT_OUT: [&str; 6] = [
    concat!("it.sk", "ip("),
    concat!("test.sk", "ip("),
    concat!("describe.sk", "ip("),
    concat!("it.on", "ly("),
    concat!("test.on", "ly("),
    concat!("describe.on", "ly("),
];
const MACHINE: [&str; 4] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/fa", "rm/"), concat!("/tmp/bash", "_jobs")];

/// The rule.
pub fn check(texts: &[Text]) -> Vec<Finding> {
    texts.iter().filter(|text| text.is(&READ)).flat_map(lines).collect()
}

fn lines(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (n, line) in text.text.lines().enumerate() {
        if let Some(path) = MACHINE.iter().find(|path| names_path(line, path)) {
            findings.push(text.finding(n + 1, format!("{path} is a path of one machine"), "say it relative to the repository, or by a setting"));
        }
        if !text.is(&CODE) {
            continue;
        }
        if let Some(word) = UNFINISHED.iter().find(|word| has_mark(line, word)) {
            findings.push(text.finding(n + 1, format!("{word} marks unfinished work"), "finish it, or say plainly what is missing where a user reads it"));
        }
        if let Some(call) = LEFT_OUT.iter().find(|call| line.contains(**call)) {
            findings.push(text.finding(n + 1, format!("{call}…) leaves tests out"), "run the test, or take it away"));
        }
    }
    findings
}

fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '}' | '*')))
}

fn has_mark(line: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(is_name) && !line[at + word.len()..].starts_with(is_name))
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::*;

    #[test]
    fn unfinished_work_is_found_in_code() {
        let line = format!("//! A.\n// {}: later\n", UNFINISHED[0]);
        assert_eq!(said(check, "crates/a/src/b.rs", &line).len(), 1);
        assert_eq!(said(check, "crates/a/src/b.rs", &format!("let {}S = 1;", UNFINISHED[0])).len(), 0);
    }

    #[test]
    fn a_path_of_one_machine_is_found_and_a_route_is_not() {
        assert_eq!(said(check, "README.md", &format!("see {}main", MACHINE[0])).len(), 1);
        assert_eq!(said(check, "README.md", &format!("see docs{}main", MACHINE[0])).len(), 0);
    }

    #[test]
    fn a_test_that_is_left_out_is_found() {
        assert_eq!(said(check, "gui/frontend/tests/a.test.ts", &format!("{}'x')", LEFT_OUT[0])).len(), 1);
    }
}
