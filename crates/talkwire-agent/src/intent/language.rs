//! Which of the three languages a sentence is in.

use super::recogniser::Recogniser;
use talkwire_core::Language;

/// The language of a text: Chinese when a fair part of it is Chinese, split by the script of its characters and, where
/// both scripts share them all, by words of one region. A text without letters counts as English.
pub fn detect_language(text: &str) -> Language {
    Recogniser::embedded().detect_language(text)
}

pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2ffff}')
}

/// Bopomofo is written in Taiwan only, also as slang between Chinese characters.
pub(super) fn is_bopomofo(c: char) -> bool {
    matches!(c, '\u{3105}'..='\u{312f}')
}

/// Whether Chinese carries the sentence, or a few Chinese nouns stand in an English one.
pub(super) fn is_chinese(text: &str) -> bool {
    let han = text.chars().filter(|&c| is_han(c) || is_bopomofo(c)).count();
    let words = text.split(|c: char| !c.is_ascii_alphabetic() && c != '\'').filter(|w| w.len() > 1).count();
    han > 0 && han * 2 >= words
}
