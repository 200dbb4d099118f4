//! The data behind understanding: script, spelling, concepts, rules and examples, read from TOML and checked.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{
    Intent,
    lexicon::Lexicon,
    rules::{Rule, RuleSource},
    scope::Grammar,
    spelling::Spelling,
    text::{self, Script},
};

/// What is wrong with intent data.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A file is not the TOML it should be.
    #[error("cannot read intent data '{file}'")]
    Parse {
        /// Which file.
        file: String,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
    /// A form has no word to look for, or begins with a gap.
    #[error("concept '{concept}' has the form '{form}', which must begin with a word")]
    EmptyForm {
        /// The concept.
        concept: String,
        /// The form.
        form: String,
    },
    /// A rule names a concept that is nowhere defined.
    #[error("rule {rule} for {intent} names the unknown concept '{concept}': add it to the concepts or mend the name")]
    UnknownConcept {
        /// Which rule, counted from 1.
        rule: usize,
        /// The rule's intent.
        intent: Intent,
        /// The name.
        concept: String,
    },
    /// An intent has no example sentences.
    #[error("intent {0} has no example sentences: the model cannot learn it")]
    NoExamples(Intent),
}

/// The texts of the intent catalogue, one per file in `catalog/intents/`.
#[derive(Debug, Clone)]
pub struct Sources<'a> {
    /// `script.toml`: traditional to simplified characters.
    pub script: &'a str,
    /// `spelling.toml`: replacements and common words.
    pub spelling: &'a str,
    /// `concepts/*.toml`: concepts with their forms.
    pub concepts: Vec<(&'a str, &'a str)>,
    /// `rules.toml`: weights.
    pub rules: &'a str,
    /// `examples/*.toml`: sentences per intent.
    pub examples: Vec<(&'a str, &'a str)>,
}

macro_rules! embedded {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../../catalog/intents/", $name)))
    };
}

impl Sources<'static> {
    /// The catalogue that is part of the program.
    pub fn embedded() -> Self {
        Self {
            script: embedded!("script.toml").1,
            spelling: embedded!("spelling.toml").1,
            rules: embedded!("rules.toml").1,
            concepts: vec![
                embedded!("concepts/symptoms.toml"),
                embedded!("concepts/scene.toml"),
                embedded!("concepts/grammar.toml"),
                embedded!("concepts/other.toml"),
            ],
            examples: vec![
                embedded!("examples/no_internet.toml"),
                embedded!("examples/slow_speed.toml"),
                embedded!("examples/unstable_disconnect.toml"),
                embedded!("examples/weak_signal_coverage.toml"),
                embedded!("examples/realtime_latency.toml"),
                embedded!("examples/device_specific_issue.toml"),
                embedded!("examples/roaming_issue.toml"),
                embedded!("examples/mesh_backhaul_issue.toml"),
                embedded!("examples/dhcp_dns_issue_advanced.toml"),
                embedded!("examples/other.toml"),
            ],
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptFile {
    pairs: Vec<String>,
    shared: String,
    taiwan: Vec<String>,
    mainland: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpellingFile {
    replace: Vec<(String, String)>,
    common: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConceptFile {
    /// Whether "not" before the concept denies it.
    negatable: bool,
    concepts: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    rule: Vec<RuleSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExampleFile {
    intent: Intent,
    sentences: Vec<String>,
}

/// The catalogue, read and cross-checked.
#[derive(Debug)]
pub(super) struct Catalog {
    pub script: Script,
    pub taiwan: Vec<String>,
    pub mainland: Vec<String>,
    pub spelling: Spelling,
    pub lexicon: Lexicon,
    pub grammar: Grammar,
    pub rules: Vec<Rule>,
    pub examples: Vec<(Intent, String)>,
}

fn parse<T: for<'de> Deserialize<'de>>(file: &str, text: &str) -> Result<T, CatalogError> {
    toml::from_str(text).map_err(|source| CatalogError::Parse { file: file.to_owned(), source })
}

impl Catalog {
    pub fn read(sources: &Sources<'_>) -> Result<Self, CatalogError> {
        let ScriptFile { pairs, shared, taiwan, mainland } = parse("script.toml", sources.script)?;
        let script = Script::new(&pairs, &shared);
        let SpellingFile { replace, common } = parse("spelling.toml", sources.spelling)?;
        let replace = replace.into_iter().map(|(wrong, right)| (script.normalise(&wrong), script.normalise(&right))).collect();
        let replacing = Spelling::replacing(replace);
        let normalise = |s: &str| replacing.replace(script.normalise_whole(s));
        let mut lexicon = Lexicon::default();
        let mut domain = BTreeSet::new();
        for (file, text) in &sources.concepts {
            read_concepts(parse(file, text)?, &mut lexicon, &mut domain, &normalise)?;
        }
        let grammar = Grammar::new(&mut lexicon);
        let rules = read_rules(parse("rules.toml", sources.rules)?, &lexicon)?;
        let examples = read_examples(sources)?;
        let spelling = replacing.with_words(domain.into_iter().collect(), &common);
        Ok(Self { script, taiwan, mainland, spelling, lexicon, grammar, rules, examples })
    }
}

fn read_concepts(file: ConceptFile, lexicon: &mut Lexicon, domain: &mut BTreeSet<String>, normalise: &impl Fn(&str) -> String) -> Result<(), CatalogError> {
    for (name, forms) in &file.concepts {
        let concept = lexicon.concept(name, file.negatable);
        let normal = normalise(forms).replace('\'', "");
        for word in normal.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| w.len() > 1) {
            if !domain.contains(word) {
                domain.insert(word.to_owned());
            }
        }
        for form in normal.split([';', '\n']).map(str::trim).filter(|f| !f.is_empty()) {
            if !lexicon.form(concept, form, &|part| text::words(part, None)) {
                return Err(CatalogError::EmptyForm { concept: name.clone(), form: form.to_owned() });
            }
        }
    }
    Ok(())
}

fn read_rules(file: RuleFile, lexicon: &Lexicon) -> Result<Vec<Rule>, CatalogError> {
    let resolve = |(at, source): (usize, &RuleSource)| {
        let named = |concept| CatalogError::UnknownConcept { rule: at + 1, intent: source.intent, concept };
        Rule::new(source, lexicon).map_err(named)
    };
    file.rule.iter().enumerate().map(resolve).collect()
}

fn read_examples(sources: &Sources<'_>) -> Result<Vec<(Intent, String)>, CatalogError> {
    let mut examples = Vec::new();
    for (file, text) in &sources.examples {
        let ExampleFile { intent, sentences } = parse(file, text)?;
        examples.extend(sentences.into_iter().map(|sentence| (intent, sentence)));
    }
    let missing = Intent::ALL.into_iter().find(|intent| !examples.iter().any(|(i, _)| i == intent));
    missing.map_or(Ok(examples), |intent| Err(CatalogError::NoExamples(intent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalogue_is_whole() {
        let catalog = Catalog::read(&Sources::embedded()).unwrap();
        for intent in Intent::ALL {
            let wanted = if intent == Intent::Other { 150 } else { 60 };
            let count = catalog.examples.iter().filter(|(i, _)| *i == intent).count();
            assert!(count >= wanted, "{intent} has {count} examples");
        }
    }

    #[test]
    fn a_rule_with_an_unknown_concept_is_refused_by_name() {
        let rules = "[[rule]]\nintent = \"slow_speed\"\nweight = 1.0\nwhen = \"sloow\"\n";
        let error = Catalog::read(&Sources { rules, ..Sources::embedded() }).unwrap_err();
        assert!(matches!(error, CatalogError::UnknownConcept { rule: 1, intent: Intent::SlowSpeed, ref concept } if concept == "sloow"));
    }

    #[test]
    fn broken_toml_names_its_file() {
        let error = Catalog::read(&Sources { spelling: "replace = 3", ..Sources::embedded() }).unwrap_err();
        assert!(error.to_string().contains("spelling.toml"));
    }

    #[test]
    fn the_last_form_of_a_long_concept_is_read_too() {
        let forms: String = (0..2000).map(|n| format!("word{n}; ")).collect();
        let long = format!("negatable = true\n[concepts]\nlong = \"{forms}glacial drift\"\n");
        let mut concepts = Sources::embedded().concepts;
        concepts.push(("long.toml", &long));
        let catalog = Catalog::read(&Sources { concepts, ..Sources::embedded() }).unwrap();
        let hits = catalog.lexicon.find(&text::words("glacial drift", None));
        assert!(hits.iter().any(|h| catalog.lexicon.name(h.concept) == "long"));
    }

    #[test]
    fn a_form_without_words_is_refused() {
        let concepts = vec![("x.toml", "negatable = true\n[concepts]\nslow = \"..慢\"\n")];
        let error = Catalog::read(&Sources { concepts, ..Sources::embedded() }).unwrap_err();
        assert!(matches!(error, CatalogError::EmptyForm { .. }));
    }
}
