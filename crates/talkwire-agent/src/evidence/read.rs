//! Reading a device's answer: figures that are finite, texts that are short and harmless, lists that end.

use serde_json::{Map, Value};

const MOST_ROWS: usize = 512;
const MOST_CHARS: usize = 48;

/// An object of a result. A field of another type than wanted is absent.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a>(pub &'a Map<String, Value>);

impl<'a> Row<'a> {
    pub fn number(self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64().filter(|x| x.is_finite() && x.abs() < 1e13)
    }

    /// A share in percent, 0–100.
    pub fn percent(self, name: &str) -> Option<f64> {
        self.number(name).filter(|x| (0.0..=100.0).contains(x))
    }

    /// A level in dBm, negative and audible.
    pub fn level(self, name: &str) -> Option<f64> {
        self.number(name).filter(|x| (-130.0..=0.0).contains(x))
    }

    /// A figure that cannot be negative.
    pub fn amount(self, name: &str) -> Option<f64> {
        self.number(name).filter(|x| *x >= 0.0)
    }

    pub fn text(self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(clean).filter(|text| !text.is_empty())
    }

    /// A text that must be one of a few words.
    pub fn word(self, name: &str, words: &[&str]) -> Option<String> {
        let text = self.0.get(name)?.as_str()?;
        words.contains(&text).then(|| text.to_owned())
    }

    pub fn flag(self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool()
    }

    /// A MAC address as twelve lower-case digits.
    pub fn mac(self, name: &str) -> Option<String> {
        talkwire_proto::id::mac_digits(self.0.get(name)?.as_str()?)
    }

    /// The id of a device.
    pub fn device(self, name: &str) -> Option<String> {
        talkwire_proto::DeviceId::from_door(self.0.get(name)?.as_str()?).ok().map(|id| id.as_str().to_owned())
    }

    /// `2.4`, `5` or `6`.
    pub fn band(self, name: &str) -> Option<String> {
        let text = self.0.get(name)?.as_str()?.trim();
        ["2.4", "5", "6"].into_iter().find(|band| text.starts_with(band)).map(str::to_owned)
    }

    /// An IP address.
    pub fn address(self, name: &str) -> Option<String> {
        let address: std::net::IpAddr = self.0.get(name)?.as_str()?.parse().ok()?;
        Some(address.to_string())
    }

    pub fn rows(self, name: &str) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let list = self.0.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        list.iter().take(MOST_ROWS).filter_map(|value| value.as_object().map(Row))
    }

    pub fn has_list(self, name: &str) -> bool {
        self.0.get(name).is_some_and(Value::is_array)
    }
}

/// A device's text made harmless: no control, bidirectional or invisible characters, at most 48 characters.
pub fn clean(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    let visible: String = text.chars().filter(|c| !hidden(*c)).take(MOST_CHARS).collect();
    visible.trim().to_owned()
}
