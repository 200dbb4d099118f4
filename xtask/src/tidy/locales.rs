//! The console's three languages say the same things: the same keys, the same blanks to fill in, nothing empty.

use super::{Finding, Text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const FOLDER: &str = "gui/frontend/src/locales/";
const LANGUAGES: [&str; 3] = ["en", "zh-CN", "zh-TW"];

/// The rule.
pub fn check(texts: &[Text]) -> Vec<Finding> {
    let files: Vec<&Text> = texts.iter().filter(|text| text.path.starts_with(FOLDER)).collect();
    let Some(first) = files.first() else { return Vec::new() };
    let mut findings = Vec::new();
    for language in LANGUAGES {
        if !files.iter().any(|file| file.path == format!("{FOLDER}{language}.json")) {
            findings.push(first.finding(1, format!("there is no {language}.json beside it"), "write it: the console speaks three languages"));
        }
    }
    let mut read = Vec::new();
    for file in files {
        match serde_json::from_str::<Value>(&file.text) {
            Ok(value) => {
                let mut sentences = BTreeMap::new();
                flatten(&value, "", &mut sentences);
                read.push((file, sentences));
            }
            Err(error) => findings.push(file.finding(error.line(), error.to_string(), "mend its syntax")),
        }
    }
    for (file, sentences) in &read {
        for (key, sentence) in sentences {
            if sentence.trim().is_empty() {
                findings.push(file.finding(line_of(file, key), format!("{key} is empty"), "write the sentence"));
            }
            for (other, others) in &read {
                match others.get(key) {
                    None => findings.push(other.finding(1, format!("{key} is missing"), "write it in this language too")),
                    Some(theirs) if file.path < other.path && blanks(theirs) != blanks(sentence) => {
                        findings.push(other.finding(
                            line_of(other, key),
                            format!("{key} has other blanks than in {}", file.path),
                            "use the same {names} in each language",
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    findings
}

fn flatten(value: &Value, prefix: &str, out: &mut BTreeMap<String, String>) {
    let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, inner)| flatten(inner, &join(name), out)),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, inner)| flatten(inner, &join(&n.to_string()), out)),
        Value::String(text) => drop(out.insert(prefix.to_owned(), text.clone())),
        other => drop(out.insert(prefix.to_owned(), other.to_string())),
    }
}

/// The names in `{…}`; a quoted literal there is no blank.
fn blanks(sentence: &str) -> BTreeSet<&str> {
    let braced = sentence.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    braced.filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_')).collect()
}

fn line_of(file: &Text, key: &str) -> usize {
    let last = format!("\"{}\"", key.rsplit('.').next().unwrap_or(key));
    file.text.lines().position(|line| line.contains(&last)).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_an_empty_sentence_and_other_blanks_are_found() {
        let file = |name: &str, text: &str| Text { path: format!("{FOLDER}{name}.json"), text: text.into() };
        let texts = [
            file("en", "{\"a\":{\"b\":\"{n} of {m}\",\"c\":\"x\"}}"),
            file("zh-CN", "{\"a\":{\"b\":\"{n}\",\"c\":\"x\"}}"),
            file("zh-TW", "{\"a\":{\"b\":\"{m} {n}\",\"d\":\"\"}}"),
        ];
        let found: Vec<String> = check(&texts).iter().map(Finding::to_string).collect();
        assert!(found.iter().any(|line| line.contains("zh-TW.json:1: a.c is missing")), "{found:?}");
        assert!(found.iter().any(|line| line.contains("en.json:1: a.d is missing")), "{found:?}");
        assert!(found.iter().any(|line| line.contains("a.d is empty")), "{found:?}");
        assert!(found.iter().any(|line| line.contains("zh-CN.json:1: a.b has other blanks")), "{found:?}");
    }

    #[test]
    fn three_languages_are_wanted() {
        let found = check(&[Text { path: format!("{FOLDER}en.json"), text: "{}".into() }]);
        assert_eq!(found.len(), 2);
    }
}
