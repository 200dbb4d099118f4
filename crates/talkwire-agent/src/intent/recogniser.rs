//! Joins the layers: reads a sentence, lets rules and model speak, and decides.

use std::sync::OnceLock;

use super::{
    CatalogError, Intent, Language, Sources, Understanding, calibration,
    catalog::Catalog,
    language,
    lexicon::{ConceptId, Hit},
    model::{self, Model},
    rules::{self, Opinion},
    slots,
    text::{self, Word},
};

const CLASSES: usize = Intent::ALL.len();
/// How much the model counts beside the rules.
const MODEL_SHARE: f64 = 1.0;
/// Makes the sum of both as sure as it is right on sentences it has not seen.
const TEMPERATURE: f64 = 1.3;
/// Rivals below this probability are not told.
const RIVAL_MIN: f64 = 0.05;
/// A complaint that the whole sentence makes less likely than this is not the main one, unless it plainly stands first.
const MAIN_MIN: f64 = 0.1;
/// Rule weight from which half a sentence is a complaint of its own.
const COMPLAINT_MIN: f64 = 1.5;

/// A catalogue made ready: it understands sentences.
#[derive(Debug)]
pub struct Recogniser {
    catalog: Catalog,
    model: Model,
    also: Vec<ConceptId>,
}

/// What the layers make of a row of words.
struct Reading {
    hits: Vec<Hit>,
    opinion: Opinion,
    shares: [f64; CLASSES],
}

impl Reading {
    fn best(&self) -> Intent {
        self.ranked()[0].0
    }

    fn ranked(&self) -> Vec<(Intent, f64)> {
        ranked(&self.shares)
    }

    fn complains(&self, intent: Intent) -> bool {
        intent != Intent::Other && self.opinion.scores[intent.index()] >= COMPLAINT_MIN
    }
}

/// The likeliest first.
fn ranked(shares: &[f64; CLASSES]) -> Vec<(Intent, f64)> {
    let mut ranked: Vec<_> = Intent::ALL.into_iter().zip(*shares).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

impl Recogniser {
    /// Reads a catalogue and trains the model.
    pub fn new(sources: &Sources<'_>) -> Result<Self, CatalogError> {
        let mut catalog = Catalog::read(sources)?;
        let examples = std::mem::take(&mut catalog.examples);
        let also = catalog.lexicon.group("also");
        let mut recogniser = Self { catalog, model: Model::train(&[]), also };
        let learn = |(intent, sentence): &(Intent, String)| {
            let words = recogniser.words(sentence);
            (model::features(&words, &recogniser.hits(&words), &recogniser.catalog.lexicon), *intent)
        };
        let examples: Vec<_> = examples.iter().map(learn).collect();
        recogniser.model = Model::train(&examples);
        Ok(recogniser)
    }

    /// The recogniser over the embedded catalogue, made at first use.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: OnceLock<Recogniser> = OnceLock::new();
        // the embedded catalogue is a constant, and a test reads it
        EMBEDDED.get_or_init(|| Self::new(&Sources::embedded()).expect("the embedded intent catalogue is checked by a test"))
    }

    /// Understands one sentence.
    pub fn understand(&self, text: &str) -> Understanding {
        let words = self.words(text);
        let whole = self.read(&words);
        let (intent, share, second) = self.decide(&words, &whole);
        let confidence = calibration::measured(share);
        let others = calibration::settle(&whole.shares, intent, confidence);
        let rivals = ranked(&others).into_iter().filter(|&(rival, p)| rival != intent && p > RIVAL_MIN).take(2).collect();
        let other_kind = (intent == Intent::Other).then(|| whole.opinion.other_kind.unwrap_or(super::OtherKind::OffTopic));
        Understanding {
            intent,
            language: self.detect_language(text),
            confidence,
            slots: slots::fill(&self.catalog.lexicon, &words, &whole.hits),
            rivals,
            second,
            other_kind,
        }
    }

    /// The language of a text.
    pub fn detect_language(&self, text: &str) -> Language {
        if !language::is_chinese(text) {
            return Language::En;
        }
        let (mut traditional, mut simplified) = self.catalog.script.evidence(text);
        if traditional == simplified {
            traditional = self.catalog.taiwan.iter().filter(|w| text.contains(w.as_str())).count();
            simplified = self.catalog.mainland.iter().filter(|w| text.contains(w.as_str())).count();
        }
        if simplified > traditional { Language::ZhCn } else { Language::ZhTw }
    }

    /// The concepts found in a text, a denied one with `!`: what the rules see.
    pub fn explain(&self, text: &str) -> Vec<String> {
        let name = |hit: &Hit| format!("{}{}", if hit.negated { "!" } else { "" }, self.catalog.lexicon.name(hit.concept));
        self.hits(&self.words(text)).iter().map(name).collect()
    }

    fn words(&self, text: &str) -> Vec<Word> {
        let spelling = &self.catalog.spelling;
        text::words(&spelling.replace(self.catalog.script.normalise(text)), Some(spelling))
    }

    fn hits(&self, words: &[Word]) -> Vec<Hit> {
        let mut hits = self.catalog.lexicon.find(words);
        self.catalog.grammar.settle(&self.catalog.lexicon, words, &mut hits);
        hits
    }

    fn read(&self, words: &[Word]) -> Reading {
        let hits = self.hits(words);
        let opinion = rules::weigh(&self.catalog.rules, self.catalog.lexicon.len(), &hits);
        let learned = self.model.scores(&model::features(words, &hits, &self.catalog.lexicon));
        let mut shares = [0.0; CLASSES];
        for (class, share) in shares.iter_mut().enumerate() {
            *share = (opinion.scores[class] + MODEL_SHARE * learned[class]) / TEMPERATURE;
        }
        let highest = shares.iter().copied().fold(f64::MIN, f64::max);
        shares = shares.map(|s| (s - highest).exp());
        let sum: f64 = shares.iter().sum();
        Reading { hits, opinion, shares: shares.map(|s| s / sum) }
    }

    /// The intent, its probability, and the other complaint. Of two complaints the first mentioned is the main one when a
    /// plain "and also" parts them, else the likelier one.
    fn decide(&self, words: &[Word], whole: &Reading) -> (Intent, f64, Option<Intent>) {
        let ranked = whole.ranked();
        let (best, sure) = ranked[0];
        if best == Intent::Other {
            return (best, sure, None);
        }
        for split in whole.hits.iter().filter(|h| self.also.contains(&h.concept)) {
            let (left, right) = (self.read(&words[..split.start]), self.read(&words[split.end..]));
            let (first, then) = (left.best(), right.best());
            if first == then || !left.complains(first) || !right.complains(then) || ![first, then].contains(&best) {
                continue;
            }
            let plain = split.end - split.start > 1 || words[split.start - 1].clause != words[split.start].clause;
            if plain || whole.shares[first.index()] >= MAIN_MIN {
                let sure = sure.min(left.shares[first.index()].max(whole.shares[first.index()]));
                return (first, sure, Some(then));
            }
            return (best, sure, Some(if best == first { then } else { first }));
        }
        let rival = ranked.iter().skip(1).find(|(rival, p)| *p > RIVAL_MIN && whole.complains(*rival));
        (best, sure, rival.map(|(rival, _)| *rival))
    }
}
