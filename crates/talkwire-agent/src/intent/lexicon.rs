//! Concepts and their surface forms: finds in a row of words what is being talked about.
//!
//! A form is a phrase in either script. `(a|b)` are alternatives, `..` skips up to five words inside a clause and
//! `...` up to twelve across clauses, `#` is any number, `^` and `$` are the ends of the sentence. A form inside a longer
//! one does not count.

use std::collections::HashMap;

use super::text::{WORDS_MAX, Word};

const GAP: usize = 5;
const WIDE_GAP: usize = 12;
const UNKNOWN: u32 = u32::MAX;
const MASK_WORDS: usize = WORDS_MAX / 64;

/// A place in a lexicon: a concept.
pub(super) type ConceptId = u16;

/// A concept found in a sentence.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    pub concept: ConceptId,
    pub start: usize,
    pub end: usize,
    pub clause: u16,
    pub negated: bool,
    literals: [u64; MASK_WORDS],
}

impl Hit {
    /// A concept that the whole sentence stands for.
    pub fn of_sentence(concept: ConceptId, words: usize) -> Self {
        Self { concept, start: 0, end: words, clause: 0, negated: false, literals: [0; MASK_WORDS] }
    }

    /// The same words, standing for another concept.
    pub fn meaning(&self, concept: ConceptId) -> Self {
        Self { concept, ..self.clone() }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Element {
    Word(u32),
    Number,
    Gap,
    WideGap,
    /// Any of these, each a few words long or empty.
    Choice(Box<[Box<[Element]>]>),
}

#[derive(Debug)]
struct Pattern {
    concept: ConceptId,
    elements: Box<[Element]>,
    from_start: bool,
    to_end: bool,
}

/// All concepts with their forms.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    names: Vec<String>,
    negatable: Vec<bool>,
    /// Whether forms of the concept hide the shorter forms inside them.
    hides: Vec<bool>,
    ids: HashMap<String, u32>,
    patterns: Vec<Pattern>,
    by_first: HashMap<u32, Vec<u32>>,
    numeric: Vec<u32>,
}

impl Lexicon {
    /// Adds a concept and returns its place.
    pub fn concept(&mut self, name: &str, negatable: bool) -> ConceptId {
        let (name, hides) = name.strip_prefix('~').map_or((name, true), |name| (name, false));
        if let Some(at) = self.id(name) {
            return at;
        }
        self.names.push(name.to_owned());
        self.negatable.push(negatable);
        self.hides.push(hides);
        (self.names.len() - 1) as ConceptId
    }

    pub fn id(&self, name: &str) -> Option<ConceptId> {
        self.names.iter().position(|n| n == name).map(|at| at as ConceptId)
    }

    /// The concepts of that name, or of the group `name.*`.
    pub fn group(&self, name: &str) -> Vec<ConceptId> {
        let member = |n: &String| n == name || n.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        (0..self.names.len()).filter(|&at| member(&self.names[at])).map(|at| at as ConceptId).collect()
    }

    pub fn name(&self, concept: ConceptId) -> &str {
        &self.names[concept as usize]
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn negatable(&self, concept: ConceptId) -> bool {
        self.negatable[concept as usize]
    }

    /// Adds one form; `read` cuts normalised text into words the way sentences are cut. False when it begins with no word.
    pub fn form(&mut self, concept: ConceptId, form: &str, read: &impl Fn(&str) -> Vec<Word>) -> bool {
        let (from_start, to_end) = (form.starts_with('^'), form.ends_with('$'));
        let mut elements = self.elements(form, read);
        if !matches!(elements.first(), Some(Element::Choice(_))) {
            return self.pattern(Pattern { concept, elements: elements.into(), from_start, to_end });
        }
        let Element::Choice(heads) = elements.remove(0) else {
            return false;
        };
        heads.iter().all(|head| {
            let elements: Box<[Element]> = head.iter().chain(&elements).cloned().collect();
            self.pattern(Pattern { concept, elements, from_start, to_end })
        })
    }

    fn elements(&mut self, form: &str, read: &impl Fn(&str) -> Vec<Word>) -> Vec<Element> {
        let Some((before, rest)) = form.split_once('(') else {
            return self.sequence(form, read);
        };
        let (choices, after) = rest.split_once(')').unwrap_or((rest, ""));
        let mut elements = self.sequence(before, read);
        elements.push(Element::Choice(choices.split('|').map(|c| self.sequence(c, read).into()).collect()));
        elements.extend(self.elements(after, read));
        elements
    }

    fn sequence(&mut self, phrase: &str, read: &impl Fn(&str) -> Vec<Word>) -> Vec<Element> {
        let mut elements = Vec::new();
        if phrase.trim().is_empty() {
            return elements;
        }
        for part in phrase.replace("...", "\u{1}").replace("..", "\u{2}").split_inclusive(['\u{1}', '\u{2}']) {
            for word in read(part) {
                elements.push(if word.text == "#" { Element::Number } else { Element::Word(self.intern(word.text)) });
            }
            match part.chars().last() {
                Some('\u{1}') => elements.push(Element::WideGap),
                Some('\u{2}') => elements.push(Element::Gap),
                _ => {}
            }
        }
        elements
    }

    fn pattern(&mut self, pattern: Pattern) -> bool {
        let at = self.patterns.len() as u32;
        match pattern.elements.first() {
            Some(Element::Word(first)) => self.by_first.entry(*first).or_default().push(at),
            Some(Element::Number) => self.numeric.push(at),
            _ => return false,
        }
        self.patterns.push(pattern);
        true
    }

    fn intern(&mut self, word: String) -> u32 {
        let next = self.ids.len() as u32;
        *self.ids.entry(word).or_insert(next)
    }

    /// Every concept in the words, the first mention first. Forms that lie inside a longer form are dropped.
    pub fn find(&self, words: &[Word]) -> Vec<Hit> {
        let ids: Vec<u32> = words.iter().map(|w| self.ids.get(&w.text).copied().unwrap_or(UNKNOWN)).collect();
        let mut hits: Vec<Hit> = Vec::new();
        for start in 0..words.len() {
            let literal = self.by_first.get(&ids[start]).into_iter().flatten();
            let numeric: &[u32] = if words[start].number.is_some() { &self.numeric } else { &[] };
            for &at in literal.chain(numeric) {
                let pattern = &self.patterns[at as usize];
                if pattern.from_start && start > 0 {
                    continue;
                }
                let mut literals = [0; MASK_WORDS];
                if let Some(end) = matches(&pattern.elements, words, &ids, start, &mut literals)
                    && (!pattern.to_end || end == words.len())
                {
                    let (concept, clause) = (pattern.concept, words[end - 1].clause);
                    hits.push(Hit { concept, start, end, clause, negated: false, literals });
                }
            }
        }
        self.longest(hits)
    }

    fn longest(&self, hits: Vec<Hit>) -> Vec<Hit> {
        let spans = |a: &Hit, b: &Hit| b.start <= a.start && a.end <= b.end;
        let within = |a: &Hit, b: &Hit| spans(a, b) && a.literals.iter().zip(&b.literals).all(|(x, y)| x & !y == 0) && a.literals != b.literals;
        let hidden = |hit: &Hit| {
            let hides = |by: &Hit| within(hit, by) && (self.hides[by.concept as usize] || by.concept == hit.concept);
            hits.iter().any(hides)
        };
        let mut kept: Vec<Hit> = Vec::with_capacity(hits.len());
        for hit in hits.iter().filter(|hit| !hidden(hit)) {
            if !kept.iter().any(|k| k.concept == hit.concept && k.literals == hit.literals) {
                kept.push(hit.clone());
            }
        }
        kept
    }
}

/// Where the pattern ends when it matches at `start`; marks the words it names.
fn matches(elements: &[Element], words: &[Word], ids: &[u32], start: usize, literals: &mut [u64; MASK_WORDS]) -> Option<usize> {
    let Some((first, rest)) = elements.split_first() else {
        return Some(start);
    };
    let gap = match first {
        Element::Choice(options) => {
            let before = *literals;
            return options.iter().find_map(|option| {
                *literals = before;
                let middle = matches(option, words, ids, start, literals)?;
                matches(rest, words, ids, middle, literals)
            });
        }
        Element::Word(_) | Element::Number => {
            let word = words.get(start)?;
            let fits = match first {
                Element::Word(id) => ids[start] == *id,
                _ => word.number.is_some(),
            };
            if !fits {
                return None;
            }
            literals[start / 64] |= 1 << (start % 64);
            return matches(rest, words, ids, start + 1, literals);
        }
        Element::Gap => GAP,
        Element::WideGap => WIDE_GAP,
    };
    let clause = words.get(start.checked_sub(1)?)?.clause;
    let last = words.len().min(start + gap + 1);
    let inside = |at: &usize| gap == WIDE_GAP || words[*at].clause == clause;
    let before = *literals;
    (start..last).take_while(inside).find_map(|at| {
        *literals = before;
        matches(rest, words, ids, at, literals)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::text;

    fn names(forms: &[(&str, &str)], sentence: &str) -> Vec<String> {
        let read = |s: &str| text::words(s, None);
        let mut lexicon = Lexicon::default();
        for (concept, form) in forms {
            let id = lexicon.concept(concept, true);
            assert!(lexicon.form(id, form, &read));
        }
        lexicon.find(&read(sentence)).iter().map(|h| lexicon.name(h.concept).to_owned()).collect()
    }

    #[test]
    fn a_form_inside_a_longer_form_does_not_count() {
        assert_eq!(names(&[("not", "不"), ("unstable", "不稳")], "网不稳"), ["unstable"]);
    }

    #[test]
    fn gaps_stay_inside_the_clause_unless_wide() {
        let forms = [("call", "打..电话"), ("back", "走...断")];
        assert_eq!(names(&forms, "打网络电话"), ["call"]);
        assert_eq!(names(&forms, "打,电话"), Vec::<String>::new());
        assert_eq!(names(&forms, "走路,就断"), ["back"]);
    }

    #[test]
    fn alternatives_and_numbers_expand() {
        assert_eq!(names(&[("low", "only (get|see) #")], "only gets 94"), ["low"]);
        assert_eq!(names(&[("x", "(a|b) c (d|) e")], "b c e"), ["x"]);
        assert_eq!(names(&[("x", "(a|b) c (d|) e")], "c d e"), Vec::<String>::new());
    }
}
