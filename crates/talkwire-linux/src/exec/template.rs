//! One word of a command with `{name}` where an argument goes. `{{` and `}}` are plain braces.

use std::collections::BTreeMap;

#[derive(Debug, PartialEq)]
enum Part {
    Plain(String),
    Argument(String),
}

/// A word that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Template(Vec<Part>);

impl Template {
    pub(super) fn parse(word: &str) -> Result<Self, String> {
        if word.contains('\0') {
            return Err(format!("{word:?} has a character that no program can be given"));
        }
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), word);
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
            } else if let Some((name, after)) = rest.split_once('}').filter(|(name, _)| brace == "{" && !name.is_empty() && !name.contains('{')) {
                parts.push(Part::Plain(std::mem::take(&mut plain)));
                parts.push(Part::Argument(name.to_owned()));
                rest = after;
            } else {
                return Err(format!("a brace in {word:?} stands alone; write {{name}} for an argument, {{{{ for a brace"));
            }
        }
        plain.push_str(rest);
        parts.push(Part::Plain(plain));
        Ok(Self(parts))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| if let Part::Argument(name) = part { Some(name.as_str()) } else { None })
    }

    /// The word with its arguments; none when one is missing.
    pub(super) fn fill(&self, texts: &BTreeMap<&str, String>) -> Option<String> {
        self.0
            .iter()
            .map(|part| match part {
                Part::Plain(text) => Some(text.as_str()),
                Part::Argument(name) => texts.get(name.as_str()).map(String::as_str),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_filled_and_braces_can_be_said() {
        let template = Template::parse("--set={{{name}}}={value}").unwrap();
        assert_eq!(template.names().collect::<Vec<_>>(), ["name", "value"]);
        let texts = BTreeMap::from([("name", "a b".to_owned()), ("value", "$(x)".to_owned())]);
        assert_eq!(template.fill(&texts).as_deref(), Some("--set={a b}=$(x)"));
        assert_eq!(template.fill(&BTreeMap::new()), None);
    }

    #[test]
    fn a_lone_brace_is_refused() {
        for word in ["{", "}", "{}", "a{b", "{a{b}}", "a}b", "\0"] {
            assert!(Template::parse(word).is_err(), "{word:?}");
        }
    }
}
