//! Error codes: each has its page, each page its code, and nobody speaks of a code that is not on the list.

use super::{Finding, Text};
use std::collections::BTreeSet;

const LIST: &str = "crates/talkwire-proto/src/code.rs";
const PAGES: &str = "docs/errors/";

/// The rule.
pub fn check(texts: &[Text]) -> Vec<Finding> {
    let Some(list) = texts.iter().find(|text| text.path == LIST) else { return Vec::new() };
    let listed: BTreeSet<&str> = list.text.lines().filter_map(defined).collect();
    let pages: Vec<(&Text, &str)> =
        texts.iter().filter_map(|text| Some((text, text.path.strip_prefix(PAGES)?.strip_suffix(".md")?))).filter(|(_, name)| *name != "README").collect();
    let mut findings = Vec::new();
    for (n, line) in list.text.lines().enumerate() {
        if let Some(code) = defined(line)
            && !pages.iter().any(|(_, page)| *page == code)
        {
            findings.push(list.finding(n + 1, format!("{code} has no page"), "write docs/errors/CODE.md: what it means, when it comes, what to do"));
        }
    }
    for (page, name) in pages {
        if !listed.contains(name) {
            findings.push(page.finding(1, format!("{name} is no code"), "take the page away, or add the code to talkwire-proto"));
        }
    }
    findings
}

/// The code that a line of the list defines.
fn defined(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("= \"E_")?;
    let code = rest.split('"').next()?;
    // The two characters before are the `E_` that was cut off.
    line.find(&format!("E_{code}")).map(|at| &line[at..at + code.len() + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, text: &str) -> Text {
        Text { path: path.into(), text: text.into() }
    }

    #[test]
    fn a_code_without_a_page_and_a_page_without_a_code_are_found() {
        let texts = [
            text(LIST, "    Busy = \"E_BUSY\", 409;\n    Gone = \"E_GONE\", 410;\n"),
            text("docs/errors/E_BUSY.md", ""),
            text("docs/errors/E_OLD.md", ""),
            text("docs/errors/README.md", ""),
        ];
        let found: Vec<String> = check(&texts).iter().map(Finding::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains(":2: E_GONE has no page") && found[1].contains("E_OLD is no code"), "{found:?}");
    }
}
