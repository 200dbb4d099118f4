//! Lock files name only what everybody can reach: crates.io in ours, no host at all in the console's.

use super::{Finding, Text};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The rule.
pub fn check(texts: &[Text]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for text in texts {
        for (n, line) in text.text.lines().enumerate() {
            let line = line.trim();
            let is_foreign = match text.path.rsplit('/').next() {
                Some("Cargo.lock") => line.strip_prefix("source = ").is_some_and(|source| source.trim_matches('"') != CRATES_IO),
                Some("package-lock.json") => line.starts_with("\"resolved\":") && line.contains("://"),
                Some(".npmrc") => line.contains("://"),
                Some("config.toml") if text.path.starts_with(".cargo/") => line.starts_with("[source") || line.starts_with("[registr"),
                _ => false,
            };
            if is_foreign {
                findings.push(text.finding(
                    n + 1,
                    format!("names a registry: {line}"),
                    "packages come from where each machine is set to fetch them; take the host out",
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
    fn a_foreign_source_is_found() {
        assert_eq!(said(check, "Cargo.lock", &format!("source = \"{CRATES_IO}\"\n")).len(), 0);
        assert_eq!(said(check, "fuzz/Cargo.lock", "source = \"git+https://example.org/x\"\n").len(), 1);
        assert_eq!(said(check, "gui/frontend/package-lock.json", "  \"resolved\": \"https://mirror.example/x.tgz\",\n").len(), 1);
    }
}
