//! The three languages that people are answered in.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A language that Talkwire speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Language {
    /// Chinese as written in Taiwan.
    #[serde(rename = "zh-TW")]
    ZhTw,
    /// Chinese as written in China.
    #[serde(rename = "zh-CN")]
    ZhCn,
    /// English.
    #[default]
    #[serde(rename = "en")]
    En,
}

impl Language {
    /// Its tag, for example `zh-TW`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::ZhTw => "zh-TW",
            Self::ZhCn => "zh-CN",
            Self::En => "en",
        }
    }

    /// The one of three texts that is in this language.
    pub fn pick<'a>(self, zh_tw: &'a str, zh_cn: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::ZhTw => zh_tw,
            Self::ZhCn => zh_cn,
            Self::En => en,
        }
    }
}

/// A text in three languages, as the catalogue's files carry it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Text3 {
    /// Chinese as written in Taiwan.
    #[serde(rename = "zh-TW")]
    pub zh_tw: String,
    /// Chinese as written in China.
    #[serde(rename = "zh-CN")]
    pub zh_cn: String,
    /// English.
    pub en: String,
}

impl Text3 {
    /// The text in `language`.
    pub fn text(&self, language: Language) -> &str {
        language.pick(&self.zh_tw, &self.zh_cn, &self.en)
    }

    /// The text in `language` with each `{name}` replaced by its value.
    pub fn fill(&self, language: Language, values: &BTreeMap<String, String>) -> String {
        values.iter().fold(self.text(language).to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}
