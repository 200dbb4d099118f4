//! Which of the three languages a sentence is in.

use serde::{Deserialize, Serialize};

use super::recogniser::Recogniser;

/// A language that people are answered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// Chinese in traditional script.
    #[serde(rename = "zh-TW")]
    ZhTw,
    /// Chinese in simplified script.
    #[serde(rename = "zh-CN")]
    ZhCn,
    /// English.
    #[serde(rename = "en")]
    En,
}

impl Language {
    /// The tag on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Language::ZhTw => "zh-TW",
            Language::ZhCn => "zh-CN",
            Language::En => "en",
        }
    }
}

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

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
