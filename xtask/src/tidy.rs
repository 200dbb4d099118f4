//! `tidy`: the rules of this repository that no compiler knows. Each finding says where, what, and how to mend it.

mod arrows;
mod code;
mod codes;
mod files;
mod links;
mod locales;
mod locks;
mod pure;
mod words;

use crate::tree;
use anyhow::Result;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    file: String,
    line: usize,
    what: String,
    mend: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.what, self.mend)
    }
}

/// A text that people wrote, with its path from the root.
pub struct Text {
    /// The path, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Text {
    /// Whether its name ends in one of these.
    pub fn is(&self, ends: &[&str]) -> bool {
        ends.iter().any(|end| self.path.ends_with(end))
    }

    /// A finding in it.
    pub fn finding(&self, line: usize, what: impl Into<String>, mend: &'static str) -> Finding {
        Finding { file: self.path.clone(), line, what: what.into(), mend }
    }
}

/// A rule takes all texts and says what breaks it.
type Rule = fn(&[Text]) -> Vec<Finding>;

const RULES: &[Rule] = &[arrows::check, pure::check, files::check, words::check, codes::check, locks::check, locales::check, links::check];

/// The task.
pub fn run(_: &[String]) -> Result<ExitCode> {
    let found = report();
    eprintln!("{}", if found == 0 { "tidy: nothing found".to_owned() } else { format!("tidy: {found} found") });
    Ok(if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what breaks a rule, and counts it.
pub fn report() -> usize {
    let findings = findings(&texts());
    for finding in &findings {
        println!("{finding}");
    }
    findings.len()
}

fn findings(texts: &[Text]) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule(texts)).collect()
}

/// All texts of the repository; what is not UTF-8 is no text.
fn texts() -> Vec<Text> {
    let root = tree::root();
    let path = |file: &PathBuf| file.strip_prefix(&root).unwrap_or(file).to_string_lossy().replace('\\', "/");
    tree::written(&root).iter().filter_map(|file| Some(Text { path: path(file), text: fs::read_to_string(file).ok()? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_rules() {
        let texts = texts();
        assert!(texts.iter().filter(|text| text.is(&[".rs"])).count() > 100, "the sources were not found");
        let lines: Vec<String> = findings(&texts).iter().map(Finding::to_string).collect();
        assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    }

    /// What the rules say about one made-up file.
    pub fn said(rule: Rule, path: &str, text: &str) -> Vec<String> {
        rule(&[Text { path: path.into(), text: text.into() }]).iter().map(Finding::to_string).collect()
    }
}
