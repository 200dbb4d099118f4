//! Weighted rules over concepts: which readings a set of concepts speaks for and against.

use serde::Deserialize;

use super::{
    Intent, OtherKind,
    lexicon::{ConceptId, Hit, Lexicon},
};

/// A rule as the catalogue writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleSource {
    pub intent: Intent,
    pub kind: Option<OtherKind>,
    pub weight: f64,
    /// Concepts separated by commas, all needed; `a|b` either; `!a` denied.
    pub when: String,
    /// Any of these switches the rule off.
    #[serde(default)]
    pub unless: String,
}

#[derive(Debug)]
struct Condition {
    /// Any of these concepts, with the polarity asked for.
    any: Vec<(ConceptId, bool)>,
}

#[derive(Debug)]
pub(super) struct Rule {
    intent: Intent,
    kind: Option<OtherKind>,
    weight: f64,
    when: Vec<Condition>,
    unless: Vec<Condition>,
}

/// What the rules make of a sentence.
#[derive(Debug, Clone, Default)]
pub(super) struct Opinion {
    pub scores: [f64; Intent::ALL.len()],
    pub other_kind: Option<OtherKind>,
}

impl Rule {
    /// Resolves the names; the error is the name that no concept bears.
    pub fn new(source: &RuleSource, lexicon: &Lexicon) -> Result<Self, String> {
        Ok(Self {
            intent: source.intent,
            kind: source.kind,
            weight: source.weight,
            when: conditions(&source.when, lexicon)?,
            unless: conditions(&source.unless, lexicon)?,
        })
    }

    fn holds(&self, present: &Present) -> bool {
        self.when.iter().all(|c| c.met(present)) && !self.unless.iter().any(|c| c.met(present))
    }
}

fn conditions(text: &str, lexicon: &Lexicon) -> Result<Vec<Condition>, String> {
    let terms = text.split(',').map(str::trim).filter(|t| !t.is_empty());
    let condition = |term: &str| {
        let mut any = Vec::new();
        for name in term.split('|').map(str::trim) {
            let (name, denied) = name.strip_prefix('!').map_or((name, false), |n| (n, true));
            let group = lexicon.group(name);
            if group.is_empty() {
                return Err(name.to_owned());
            }
            any.extend(group.into_iter().map(|id| (id, denied)));
        }
        Ok(Condition { any })
    };
    terms.map(condition).collect()
}

impl Condition {
    fn met(&self, present: &Present) -> bool {
        self.any.iter().any(|&(id, denied)| if denied { present.denied[id as usize] } else { present.affirmed[id as usize] })
    }
}

/// Which concepts a sentence affirms and which it denies.
struct Present {
    affirmed: Vec<bool>,
    denied: Vec<bool>,
}

impl Present {
    fn new(size: usize, hits: &[Hit]) -> Self {
        let mut present = Self { affirmed: vec![false; size], denied: vec![false; size] };
        for hit in hits {
            let side = if hit.negated { &mut present.denied } else { &mut present.affirmed };
            side[hit.concept as usize] = true;
        }
        present
    }
}

/// Sums the weights of the rules that hold; the heaviest rule of `other` says what kind of other it is.
pub(super) fn weigh(rules: &[Rule], concepts: usize, hits: &[Hit]) -> Opinion {
    let present = Present::new(concepts, hits);
    let mut opinion = Opinion::default();
    let mut heaviest = 0.0;
    for rule in rules.iter().filter(|rule| rule.holds(&present)) {
        opinion.scores[rule.intent.index()] += rule.weight;
        if rule.kind.is_some() && rule.weight > heaviest {
            heaviest = rule.weight;
            opinion.other_kind = rule.kind;
        }
    }
    opinion
}
