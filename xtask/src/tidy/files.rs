//! The shape of files: each Rust file says first what it is for, and none is too long to be read.

use super::{Finding, Text};

const LONGEST: usize = 600;

/// Files that may be longer, each with its reason.
const LONG: &[(&str, &str)] = &[];

/// The rule.
pub fn check(texts: &[Text]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = texts.iter().filter(|text| text.is(&[".rs"])).filter_map(first_line).collect();
    findings.extend(texts.iter().filter(|text| text.is(&[".rs", ".ts", ".vue", ".mjs", ".py", ".js"])).filter_map(length));
    findings
}

fn first_line(text: &Text) -> Option<Finding> {
    let first = text.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//! ").is_some_and(|words| words.len() > 3);
    (!says).then(|| text.finding(1, "the first line does not say what the file is for", "begin it with `//! ` and one sentence"))
}

fn length(text: &Text) -> Option<Finding> {
    let lines = text.text.lines().count();
    let is_made = text.path.contains("/generated") || text.path.contains("/locales/");
    let is_listed = LONG.iter().any(|(path, _)| *path == text.path);
    (lines > LONGEST && !is_made && !is_listed)
        .then(|| text.finding(LONGEST, format!("{lines} lines"), "look for the second noun and give it a file (or list the reason in xtask/src/tidy/files.rs)"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::*;

    #[test]
    fn a_file_that_does_not_say_what_it_is_for_is_found() {
        assert_eq!(said(check, "crates/a/src/b.rs", "use x;\n").len(), 1);
        assert_eq!(said(check, "crates/a/src/b.rs", "//! The b of a.\nuse x;\n").len(), 0);
    }

    #[test]
    fn six_hundred_lines_are_enough() {
        let long = "\n".repeat(601);
        assert_eq!(said(check, "gui/frontend/src/A.vue", &long).len(), 1);
        assert_eq!(said(check, "gui/frontend/src/generated/a.ts", &long).len(), 0);
    }
}
