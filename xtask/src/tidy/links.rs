//! Links between documents lead somewhere.

use super::{Finding, Text};
use crate::tree;
use std::path::Path;

/// The rule.
pub fn check(texts: &[Text]) -> Vec<Finding> {
    texts.iter().filter(|text| text.is(&[".md"])).flat_map(|text| document(text, |path| tree::root().join(path).exists())).collect()
}

fn document(text: &Text, exists: impl Fn(&Path) -> bool) -> Vec<Finding> {
    let folder = Path::new(&text.path).parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    let mut is_code = false;
    for (n, line) in text.text.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        if is_code {
            continue;
        }
        for target in targets(line) {
            let path = target.split('#').next().unwrap_or_default();
            let leads_out = target.contains("://") || target.starts_with("mailto:");
            if !leads_out && !path.is_empty() && !exists(&folder.join(path)) {
                findings.push(text.finding(n + 1, format!("the link to {target} leads nowhere"), "name the file as it stands, from this document's folder"));
            }
        }
    }
    findings
}

/// What the links of a line point at.
fn targets(line: &str) -> Vec<&str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.split_whitespace().next().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nothing_is_found_and_others_are_left_alone() {
        let text = Text {
            path: "docs/a.md".into(),
            text: "[b](b.md) [c](../C.md#part) [web](https://example.org) [here](#x)\n```\n[x](gone.md)\n```\n![p](images/gone.png)\n".into(),
        };
        let found = document(&text, |path| ["docs/b.md", "docs/../C.md"].iter().any(|known| Path::new(known) == path));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].to_string().starts_with("docs/a.md:5: the link to images/gone.png"));
    }
}
