//! Mends what fingers and speech recognition do to words of the domain.

use std::collections::HashSet;

use super::text::{Word, stem};

/// Words that may be restored, and words that are right as they are.
#[derive(Debug, Default)]
pub(super) struct Spelling {
    /// Whole-text replacements, wrong to right, in normalised script.
    replacements: Vec<(String, String)>,
    /// Words of the domain, unstemmed and sorted, that a near miss is mended to.
    domain: Vec<String>,
    /// The letters of each of them, as bits.
    letters: Vec<u32>,
    /// Stems of all known words.
    known: HashSet<String>,
}

impl Spelling {
    /// Replacements alone, as needed to read the lexicon's forms.
    pub fn replacing(replacements: Vec<(String, String)>) -> Self {
        Self { replacements, ..Self::default() }
    }

    /// Adds the words of the domain and the common words.
    pub fn with_words(self, mut domain: Vec<String>, common: &str) -> Self {
        domain.sort();
        domain.dedup();
        let known = domain.iter().map(String::as_str).chain(common.split_whitespace()).map(stem).collect();
        domain.retain(|w| w.len() >= 4 && w.bytes().all(|b| b.is_ascii_lowercase()));
        let letters = domain.iter().map(|w| letters(w)).collect();
        Self { replacements: self.replacements, domain, letters, known }
    }

    /// Replaces misheard and regional spellings that span characters.
    pub fn replace(&self, mut normalised: String) -> String {
        for (wrong, right) in &self.replacements {
            if normalised.contains(wrong.as_str()) {
                normalised = normalised.replace(wrong.as_str(), right);
            }
        }
        normalised
    }

    /// Joins words that were torn apart and restores near misses.
    pub fn mend(&self, words: &mut Vec<Word>) {
        self.join(words);
        for word in words.iter_mut().filter(|w| w.number.is_none() && w.text.is_ascii()) {
            if let Some(right) = self.correction(&word.text) {
                word.text = right;
            }
        }
    }

    fn join(&self, words: &mut Vec<Word>) {
        let latin = |w: &Word| w.number.is_none() && w.text.bytes().all(|b| b.is_ascii_lowercase());
        let mut at = 0;
        while at + 1 < words.len() {
            let (left, right) = (&words[at], &words[at + 1]);
            if latin(left) && latin(right) && !(self.knows(&left.text) && self.knows(&right.text)) {
                let joined = format!("{}{}", left.text, right.text);
                if self.domain.binary_search(&joined).is_ok() {
                    words[at].text = joined;
                    words.remove(at + 1);
                }
            }
            at += 1;
        }
    }

    fn knows(&self, word: &str) -> bool {
        self.known.contains(&stem(word))
    }

    fn correction(&self, word: &str) -> Option<String> {
        if self.knows(word) || !word.bytes().all(|b| b.is_ascii_lowercase()) {
            return None;
        }
        for run in [2, 1] {
            let shorter = squeeze(word, run);
            if shorter != word && self.knows(&shorter) {
                return Some(shorter);
            }
        }
        if word.len() < 4 {
            return None;
        }
        let allowed = if word.len() >= 8 { 2 } else { 1 };
        let own = letters(word);
        let alike = |(_, other): &(&String, &u32)| (own ^ **other).count_ones() as usize <= 2 * allowed;
        let near = self.domain.iter().zip(&self.letters).filter(alike).map(|(d, _)| d);
        let near = near.filter(|d| d.len().abs_diff(word.len()) <= allowed);
        let near = near.filter(|d| word.len() >= 6 || d.as_bytes()[0] == word.as_bytes()[0]);
        let measured = near.map(|d| (distance(word.as_bytes(), d.as_bytes()), d));
        measured.filter(|(far, _)| *far <= allowed).min().map(|(_, d)| d.clone())
    }
}

fn letters(word: &str) -> u32 {
    word.bytes().fold(0, |bits, b| bits | 1 << (b.wrapping_sub(b'a') & 31))
}

/// The word with each run of one letter cut to `run` letters.
fn squeeze(word: &str, run: usize) -> String {
    let (mut out, mut last, mut count) = (String::new(), '\0', 0);
    for c in word.chars() {
        count = if c == last { count + 1 } else { 1 };
        last = c;
        if count <= run {
            out.push(c);
        }
    }
    out
}

/// Insertions, deletions, substitutions and swaps of neighbours between two words.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::text;

    fn mended(sentence: &str) -> Vec<String> {
        let domain = ["slow", "wifi", "internet", "buffering", "disconnect"].map(str::to_owned);
        let spelling = Spelling::default().with_words(domain.into(), "slot is the");
        text::words(sentence, Some(&spelling)).into_iter().map(|w| w.text).collect()
    }

    #[test]
    fn near_misses_torn_words_and_drawn_out_letters_are_mended() {
        assert_eq!(mended("wi-fi inter net buffring slooooow disconect"), ["wifi", "internet", "buffer", "slow", "disconnect"]);
    }

    #[test]
    fn a_known_word_is_left_alone() {
        assert_eq!(mended("the slot is"), ["the", "slot", "is"]);
    }

    #[test]
    fn swapped_neighbours_count_once() {
        assert_eq!(distance(b"wfii", b"wifi"), 1);
    }
}
