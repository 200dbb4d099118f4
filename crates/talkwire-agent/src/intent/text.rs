//! A sentence as a row of words: folded to one width, case and script, spelling mended, cut into clauses.

use std::collections::{HashMap, HashSet};

use super::{language, spelling::Spelling};

/// Words beyond this many are not read; a complaint is shorter.
pub(super) const WORDS_MAX: usize = 512;
/// Characters beyond this many are not read, which bounds the work for any input.
const CHARS_MAX: usize = 4096;
/// A figure of two digits after so many letters was meant apart: "ping300", but not "ps5".
const GLUED: usize = 4;

/// One English word (mended and stemmed), one Chinese character, or one number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    pub text: String,
    pub clause: u16,
    pub number: Option<f64>,
}

/// Traditional to simplified characters of the domain.
#[derive(Debug, Default)]
pub(super) struct Script {
    simplified: HashMap<char, char>,
    /// Simplified forms that traditional text does not write (里 and 台 occur in both).
    simplified_only: HashSet<char>,
}

impl Script {
    pub fn new(pairs: &[String], shared: &str) -> Self {
        let mut simplified = HashMap::new();
        for pair in pairs.iter().flat_map(|line| line.split_whitespace()) {
            let mut chars = pair.chars();
            if let (Some(from), Some(to)) = (chars.next(), chars.next()) {
                simplified.insert(from, to);
            }
        }
        let simplified_only = simplified.values().copied().filter(|&c| !shared.contains(c)).collect();
        Self { simplified, simplified_only }
    }

    fn fold(&self, c: char) -> char {
        self.simplified.get(&c).copied().unwrap_or(c)
    }

    /// Characters only written in traditional script, and only in simplified script.
    pub fn evidence(&self, text: &str) -> (usize, usize) {
        let traditional = text.chars().filter(|c| self.simplified.contains_key(c) || language::is_bopomofo(*c)).count();
        let simplified = text.chars().filter(|c| self.simplified_only.contains(c)).count();
        (traditional, simplified)
    }

    /// One width, one case, one script; marks that only decorate are gone. What is beyond the bound is left out.
    pub fn normalise(&self, raw: &str) -> String {
        let end = raw.char_indices().nth(CHARS_MAX).map_or(raw.len(), |(at, _)| at);
        self.normalise_whole(&raw[..end])
    }

    /// The same without a bound, for the catalogue's own texts.
    pub fn normalise_whole(&self, raw: &str) -> String {
        let mut out = String::with_capacity(raw.len());
        for c in raw.chars() {
            let c = match c {
                '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
                '\u{3000}' | '\u{a0}' => ' ',
                '\u{2018}' | '\u{2019}' | '`' | '´' => '\'',
                '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ad}' => {
                    continue;
                }
                _ => c,
            };
            out.push(self.fold(c.to_lowercase().next().unwrap_or(c)));
        }
        out
    }
}

/// The words of a normalised text. Spelling is mended when `spelling` is given (patterns are taken as written).
pub(super) fn words(normalised: &str, spelling: Option<&Spelling>) -> Vec<Word> {
    let mut raw = split(normalised);
    if let Some(spelling) = spelling {
        spelling.mend(&mut raw);
    }
    for word in raw.iter_mut().filter(|w| w.number.is_none()) {
        if word.text.is_ascii() {
            word.text = stem(&word.text);
        }
    }
    raw.truncate(WORDS_MAX);
    raw
}

fn split(text: &str) -> Vec<Word> {
    let chars: Vec<char> = text.chars().collect();
    let (mut words, mut clause, mut at) = (Vec::new(), 0u16, 0);
    while at < chars.len() && words.len() < WORDS_MAX {
        let c = chars[at];
        if c.is_ascii_alphanumeric() || c == '#' {
            let end = latin_end(&chars, at);
            push_latin(&chars[at..end], clause, &mut words);
            at = end;
            continue;
        }
        if let Some((value, end)) = chinese_number(&chars, at) {
            words.push(Word { text: chars[at..end].iter().collect(), clause, number: Some(value) });
            at = end;
            continue;
        }
        if language::is_han(c) || c.is_alphabetic() {
            words.push(Word { text: c.to_string(), clause, number: None });
        } else if ends_clause(c, chars.get(at + 1)) {
            clause = clause.saturating_add(1);
        }
        at += 1;
    }
    words
}

fn ends_clause(c: char, next: Option<&char>) -> bool {
    match c {
        '.' | '-' => next.is_none_or(|n| n.is_whitespace()),
        ',' | ';' | ':' | '!' | '?' | '。' | '，' | '；' | '：' | '！' | '？' | '\n' | '~' | '…' | '—' | '(' | ')' | '「' | '」' => true,
        _ => false,
    }
}

fn latin_end(chars: &[char], start: usize) -> usize {
    let mut end = start;
    while let Some(&c) = chars.get(end) {
        let joins = (c == '.' || c == '\'') && chars.get(end + 1).is_some_and(|n| n.is_ascii_alphanumeric());
        let inside = joins && (c == '\'' || chars[end - 1].is_ascii_digit());
        if !(c.is_ascii_alphanumeric() || c == '#' || inside) {
            break;
        }
        end += 1;
    }
    end
}

fn push_latin(chars: &[char], clause: u16, words: &mut Vec<Word>) {
    const BANDS: [&str; 7] = ["4k", "8k", "2.4g", "5g", "6g", "4g", "3g"];
    let text: String = chars.iter().filter(|&&c| c != '\'').collect();
    if let Some(family) = address_family(&text) {
        words.push(Word { text: family, clause, number: None });
        return;
    }
    if let Some(at) = text.find(|c: char| c.is_ascii_digit()).filter(|&at| at >= GLUED && text[at..].parse::<f64>().is_ok_and(|n| n >= 10.0)) {
        let (word, figure) = text.split_at(at);
        words.push(Word { text: word.to_owned(), clause, number: None });
        words.push(Word { text: figure.to_owned(), clause, number: figure.parse().ok() });
        return;
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    if digits == 0 || BANDS.contains(&text.as_str()) {
        words.push(Word { text, clause, number: None });
        return;
    }
    let (figure, unit) = text.split_at(digits);
    let (figure, unit) = (figure.trim_end_matches('.'), unit.split('.').next().unwrap_or_default());
    words.push(Word { text: figure.to_owned(), clause, number: Some(figure.parse().unwrap_or(0.0)) });
    if !unit.is_empty() {
        words.push(Word { text: unit.to_owned(), clause, number: None });
    }
}

/// An IPv4 address written out, cut to what it says: self-assigned, private, or itself.
fn address_family(text: &str) -> Option<String> {
    let address: std::net::Ipv4Addr = text.parse().ok()?;
    let [first, second, ..] = address.octets();
    let kept = if address.is_link_local() || address.is_private() { format!("{first}.{second}") } else { text.to_owned() };
    Some(kept)
}

/// A number written in characters, at least two long or before a unit of rate.
fn chinese_number(chars: &[char], start: usize) -> Option<(f64, usize)> {
    let (mut total, mut digit, mut scale, mut end) = (0.0, 0.0, 0.0, start);
    while let Some(&c) = chars.get(end) {
        match "零一二三四五六七八九".chars().position(|d| d == c).or((c == '两').then_some(2)) {
            Some(value) => digit = value as f64,
            None => {
                let unit = match c {
                    '十' => 10.0,
                    '百' => 100.0,
                    '千' => 1000.0,
                    _ => break,
                };
                total += if digit == 0.0 { unit } else { digit * unit };
                (digit, scale) = (0.0, unit);
            }
        }
        end += 1;
    }
    let before_unit = matches!(chars.get(end), Some('兆' | 'm' | 'M'));
    if scale == 0.0 && !(before_unit && end > start) || (scale > 0.0 && end - start < 2 && !before_unit) {
        return None;
    }
    // 四百八 means 480: a last digit after a unit is one step down
    total += if digit > 0.0 && scale >= 100.0 && chars.get(end - 2) != Some(&'零') { digit * scale / 10.0 } else { digit };
    Some((total, end))
}

/// A light stem, so that one form in the lexicon stands for its inflections.
pub(super) fn stem(word: &str) -> String {
    let mut s = word.to_owned();
    if ["news", "evening"].contains(&word) {
        return s;
    }
    if s.len() > 4 && s.ends_with("ies") {
        s.truncate(s.len() - 3);
        s.push('y');
    } else if s.len() > 3 && s.ends_with('s') && !["ss", "us", "is"].iter().any(|e| s.ends_with(e)) {
        s.pop();
    }
    let suffix = ["ing", "ed", "ly"].into_iter().find(|e| s.len() > e.len() + 2 && s.ends_with(e) && !s.ends_with("eed"));
    if let Some(suffix) = suffix {
        s.truncate(s.len() - suffix.len());
        let doubled = s.as_bytes().iter().rev().take(2).collect::<Vec<_>>();
        if matches!(doubled[..], [a, b] if a == b && !b"lsez".contains(a)) {
            s.pop();
        }
    }
    if s.len() > 3 && s.ends_with('e') {
        s.pop();
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(s: &str) -> Vec<String> {
        words(&Script::default().normalise(s), None).into_iter().map(|w| w.text).collect()
    }

    #[test]
    fn width_case_and_inflection_fold_away() {
        assert_eq!(texts("ＷｉＦｉ Dropping"), texts("wifi drops"));
        assert_eq!(texts("can't"), texts("cant"));
    }

    #[test]
    fn numbers_are_read_in_figures_and_characters() {
        let values = |s: &str| words(s, None).into_iter().filter_map(|w| w.number).collect::<Vec<_>>();
        assert_eq!(values("500m 只有九十四"), [500.0, 94.0]);
        assert_eq!(values("五百兆 四百八 千兆 两兆"), [500.0, 480.0, 1000.0, 2.0]);
        assert!(values("一直断").is_empty());
    }

    #[test]
    fn addresses_and_bands_stay_whole() {
        assert_eq!(texts("8.8.8.8, 5G"), ["8.8.8.8", "5g"]);
        assert_eq!(texts("169.254.10.3"), ["169.254"]);
        assert_eq!(texts("ping300 ps5"), ["ping", "300", "ps5"]);
    }
}
