//! What a sentence affirms and what it denies: negation, "X is fine", and places that only say where a device stands.

use super::{
    lexicon::{ConceptId, Hit, Lexicon},
    text::Word,
};

/// Words a negation reaches over, and characters in Chinese.
const REACH: usize = 4;
/// Words between a place and the device that stands there.
const STANDS: usize = 3;

/// A sentence of this many words is an answer or a greeting more often than a complaint.
const SHORT: usize = 5;
/// Words between "when the" and the device that is the cause.
const CAUSED: usize = 2;
/// So many kinds of device are a list.
const MANY: usize = 3;
/// Words after which "work" and "load" are no good news.
const UNABLE: [&str; 5] = ["cant", "cannot", "couldnt", "unabl", "wont"];
/// Words that carry a denial on to the next symptom.
const OR: [&str; 5] = ["or", "nor", "或", "或者", "和"];
/// Words with which a form denies by itself.
const DENIALS: [&str; 5] = ["不", "没", "无", "not", "no"];
/// Words between two devices of a list.
const APART: usize = 8;
/// Words, stemmed and in simplified script, that join two devices to a list.
const JOINS: [&str; 9] = ["也", "和", "跟", "与", "及", "and", "or", "both", "nor"];

/// The concepts with a part in the grammar.
#[derive(Debug)]
pub(super) struct Grammar {
    negation: ConceptId,
    blocks: ConceptId,
    fine: ConceptId,
    others: ConceptId,
    others_fine: ConceptId,
    /// What can be said to be fine: the speed, the delay, the signal.
    topics: Vec<ConceptId>,
    all_devices: ConceptId,
    device: Vec<ConceptId>,
    fixed: Vec<ConceptId>,
    place: Vec<ConceptId>,
    device_fine: ConceptId,
    place_fine: ConceptId,
    device_place: ConceptId,
    cause: ConceptId,
    device_cause: ConceptId,
    short: ConceptId,
}

impl Grammar {
    /// Takes the grammar's concepts from the lexicon, adding those that only arise here.
    pub fn new(lexicon: &mut Lexicon) -> Self {
        Self {
            negation: lexicon.concept("negation", false),
            blocks: lexicon.concept("blocks", false),
            fine: lexicon.concept("fine", false),
            others: lexicon.concept("others", false),
            others_fine: lexicon.concept("others_fine", false),
            device_fine: lexicon.concept("device_fine", false),
            place_fine: lexicon.concept("place_fine", false),
            device_place: lexicon.concept("device_place", false),
            cause: lexicon.concept("cause", false),
            device_cause: lexicon.concept("device_cause", false),
            short: lexicon.concept("short", false),
            topics: ["speed", "delay", "weak"].map(|name| lexicon.concept(name, true)).into(),
            all_devices: lexicon.concept("all_devices", false),
            device: lexicon.group("device"),
            fixed: lexicon.group("device.fixed"),
            place: lexicon.group("place"),
        }
    }

    /// Settles polarity, in place.
    pub fn settle(&self, lexicon: &Lexicon, words: &[Word], hits: &mut Vec<Hit>) {
        self.negate(lexicon, words, hits);
        self.affirm(lexicon, words, hits);
        self.furnish(words, hits);
        self.blame(hits);
        self.locate(hits);
        self.gather(words, hits);
        if (1..=SHORT).contains(&words.len()) {
            hits.push(Hit::of_sentence(self.short, words.len()));
        }
    }

    /// A negation denies the first symptom after it in the clause, unless "but" or "it is" stands between.
    fn negate(&self, lexicon: &Lexicon, words: &[Word], hits: &mut [Hit]) {
        let cues: Vec<Hit> = hits.iter().filter(|h| h.concept == self.negation).cloned().collect();
        let stops: Vec<usize> = hits.iter().filter(|h| h.concept == self.blocks).map(|h| h.start).collect();
        for cue in cues {
            // "不会断": the symptom may begin inside the negation, unless its own form begins with one ("也不亮")
            let whole = |h: &Hit| h.start >= cue.end || h.start > cue.start && !DENIALS.contains(&words[h.start].text.as_str());
            let reached = |h: &Hit| h.clause == cue.clause && h.end > cue.end && h.start < cue.end + REACH && whole(h);
            let open = |h: &Hit| !stops.iter().any(|&stop| stop >= cue.end && stop <= h.start);
            let can = |h: &Hit| lexicon.negatable(h.concept) && h.clause == cue.clause;
            let Some(first) = hits.iter().filter(|h| can(h) && reached(h) && open(h)).min_by_key(|h| h.start) else { continue };
            let (start, mut end) = (first.start, first.end);
            // "not slow or flaky" denies both
            let next = |h: &Hit, end: usize| h.start > end && h.start <= end + 2 && words[end..h.start].iter().any(|w| OR.contains(&w.text.as_str()));
            while let Some(more) = hits.iter().find(|h| can(h) && next(h, end)) {
                end = more.end;
            }
            for hit in hits.iter_mut().filter(|h| can(h)) {
                hit.negated |= hit.start == start || hit.start > start && hit.end <= end && open(hit);
            }
        }
    }

    /// "The speed is fine" denies the speed; "the tablet is fine" and "fine in the hall" say what works.
    fn affirm(&self, lexicon: &Lexicon, words: &[Word], hits: &mut Vec<Hit>) {
        let cues: Vec<(usize, usize)> = hits.iter().filter(|h| h.concept == self.negation).map(|h| (h.start, h.end)).collect();
        // "cannot work" and "not fine" say the contrary
        let unable = |at: usize| words[at.saturating_sub(2)..at].iter().any(|w| UNABLE.contains(&w.text.as_str()));
        let denied = |at: usize| unable(at) || cues.iter().any(|&(start, end)| start < at && at <= end + 1);
        let meant = |h: &&Hit| h.concept == self.fine && !denied(h.start);
        let fines: Vec<Hit> = hits.iter().filter(meant).cloned().collect();
        for fine in fines {
            let same = |h: &&mut Hit| h.clause == fine.clause;
            let about_others = hits.iter().any(|h| h.clause == fine.clause && h.concept == self.others);
            let mut told = false;
            for hit in hits.iter_mut().filter(same).filter(|h| h.start < fine.end && self.topics.contains(&h.concept)) {
                hit.negated |= !about_others;
                told |= hit.negated;
            }
            if told {
                continue;
            }
            let troubled = hits.iter().any(|h| h.clause == fine.clause && lexicon.negatable(h.concept) && !h.negated);
            let mentions = |group: &[ConceptId]| hits.iter().any(|h| h.clause == fine.clause && group.contains(&h.concept));
            let (device, place) = (mentions(&self.device), mentions(&self.place));
            if device && !troubled {
                hits.push(fine.meaning(self.device_fine));
            }
            if place && !troubled && !device {
                hits.push(fine.meaning(self.place_fine));
            }
        }
    }

    /// "The television in the bedroom" is a device; the bedroom is not where the trouble is.
    fn furnish(&self, words: &[Word], hits: &mut [Hit]) {
        let fixed: Vec<(usize, usize)> = hits.iter().filter(|h| self.fixed.contains(&h.concept)).map(|h| (h.start, h.end)).collect();
        for hit in hits.iter_mut().filter(|h| self.place.contains(&h.concept)) {
            let beside = |&(start, end): &(usize, usize)| {
                let before = start >= hit.end && start - hit.end <= 1;
                let after = hit.start >= end && hit.start - end <= STANDS && words[end..hit.start].iter().all(|w| w.text.is_ascii());
                (before || after) && words[start].clause == words[hit.start].clause
            };
            if fixed.iter().any(beside) {
                hit.concept = self.device_place;
            }
        }
    }

    /// "Whenever the television is on" names what causes the trouble, not what suffers from it.
    fn blame(&self, hits: &mut [Hit]) {
        let causes: Vec<(u16, usize)> = hits.iter().filter(|h| h.concept == self.cause).map(|h| (h.clause, h.end)).collect();
        for hit in hits.iter_mut().filter(|h| self.fixed.contains(&h.concept)) {
            let after = |&(clause, end): &(u16, usize)| clause == hit.clause && hit.start >= end && hit.start - end <= CAUSED;
            if causes.iter().any(after) {
                hit.concept = self.device_cause;
            }
        }
    }

    /// A list of devices is everybody: three kinds, or two that stand side by side or are joined by "and" or "also".
    fn gather(&self, words: &[Word], hits: &mut Vec<Hit>) {
        let well: Vec<u16> = hits.iter().filter(|h| h.concept == self.device_fine).map(|h| h.clause).collect();
        let mut troubled: Vec<&Hit> = hits.iter().filter(|h| !well.contains(&h.clause) && self.device.contains(&h.concept)).collect();
        troubled.sort_by_key(|h| h.start);
        let mut kinds: Vec<ConceptId> = troubled.iter().map(|h| h.concept).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let joined = |from: usize, to: usize| {
            let between = &words[from.min(to)..to];
            between.is_empty() || between.len() <= APART && between.iter().any(|w| JOINS.contains(&w.text.as_str()))
        };
        let others = hits.iter().any(|h| h.concept == self.others || h.concept == self.others_fine);
        let pair = |w: &[&Hit]| w[0].concept != w[1].concept && w[0].end <= w[1].start && joined(w[0].end, w[1].start);
        let listed = !others && well.is_empty() && troubled.windows(2).any(pair);
        if kinds.len() >= MANY || listed {
            let all = troubled.last().map(|last| last.meaning(self.all_devices));
            hits.extend(all);
        }
    }

    /// "The other rooms are fine" says where it works, not which device does.
    fn locate(&self, hits: &mut [Hit]) {
        let spans = |group: &[ConceptId], hits: &[Hit]| -> Vec<(u16, usize, usize)> {
            hits.iter().filter(|h| group.contains(&h.concept)).map(|h| (h.clause, h.start, h.end)).collect()
        };
        let (places, devices) = (spans(&self.place, hits), spans(&self.device, hits));
        for hit in hits.iter_mut().filter(|h| h.concept == self.others_fine) {
            let inside = |&(clause, start, end): &(u16, usize, usize)| clause == hit.clause && start >= hit.start && end <= hit.end;
            if places.iter().any(inside) && !devices.iter().any(inside) {
                hit.concept = self.place_fine;
            }
        }
    }
}
