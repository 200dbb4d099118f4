//! What an argument of a command may be. Each becomes one piece of one word, never an option and never a second word.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;
use talkwire_proto::id::mac_digits;

/// Most characters of a text argument.
const LONGEST: usize = 1024;

/// One argument: its type, its bounds, and whether it may be absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgKind {
    /// `integer`, `boolean`, `enum`, `host`, `ip`, `mac` or `string`.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whether it must be given.
    #[serde(default)]
    pub required: bool,
    /// What stands for it when it is absent.
    #[serde(default)]
    pub default: Option<Value>,
    /// Smallest `integer`; must be given.
    #[serde(default)]
    pub min: Option<i64>,
    /// Largest `integer`; must be given.
    #[serde(default)]
    pub max: Option<i64>,
    /// The words of an `enum`.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// Characters of a `string`, with ranges such as `a-z0-9_-`; a `-` at the end stands for itself. Default: letters, digits and `_.-`.
    #[serde(default)]
    pub chars: Option<String>,
    /// Fewest characters of a `string`. Default: 1.
    #[serde(default)]
    pub min_length: Option<usize>,
    /// Most characters of a `string`. Default: 64.
    #[serde(default)]
    pub max_length: Option<usize>,
}

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A whole number from `min` to `max`.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of a few words.
    Enum,
    /// A host name or an address.
    Host,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A MAC address; given to the program as `02:00:00:00:a0:01`.
    Mac,
    /// A text of few characters.
    String,
}

impl ArgKind {
    pub(super) fn is_always_there(&self) -> bool {
        self.required || self.default.is_some()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let only = |given: bool, key: &str, kind: Kind| if given && self.kind != kind { Err(format!("{key} does not belong to this type")) } else { Ok(()) };
        only(self.min.is_some() || self.max.is_some(), "min or max", Kind::Integer)?;
        only(!self.one_of.is_empty(), "one_of", Kind::Enum)?;
        only(self.chars.is_some() || self.min_length.is_some() || self.max_length.is_some(), "chars or a length", Kind::String)?;
        match self.kind {
            Kind::Integer => match (self.min, self.max) {
                (Some(min), Some(max)) if min <= max => {}
                _ => return Err("an integer needs min and max, min first".into()),
            },
            Kind::Enum if self.one_of.is_empty() => return Err("an enum needs one_of, the list of its words".into()),
            Kind::String => {
                let (least, most) = self.lengths();
                if least > most || most > LONGEST {
                    return Err(format!("the lengths must be in order and at most {LONGEST}"));
                }
                if parse_chars(self.chars()).is_none() {
                    return Err(format!("chars {:?} must be characters and ranges such as a-z0-9_-, without control characters", self.chars()));
                }
            }
            _ => {}
        }
        match &self.default {
            Some(default) => self.one(default).map(|_| ()).map_err(|why| format!("default {why}")),
            None => Ok(()),
        }
    }

    /// The piece of a word; none when it is absent and may be.
    pub(super) fn text(&self, given: Option<&Value>) -> Result<Option<String>, String> {
        match given.filter(|value| !value.is_null()).or(self.default.as_ref()) {
            Some(value) => self.one(value).map(Some),
            None if self.required => Err("is missing".into()),
            None => Ok(None),
        }
    }

    fn one(&self, value: &Value) -> Result<String, String> {
        match self.kind {
            Kind::Integer => {
                let (min, max) = (self.min.unwrap_or(i64::MIN), self.max.unwrap_or(i64::MAX));
                let number = value.as_i64().filter(|number| (min..=max).contains(number));
                number.map(|number| number.to_string()).ok_or_else(|| format!("must be a whole number from {min} to {max}"))
            }
            Kind::Boolean => value.as_bool().map(|flag| flag.to_string()).ok_or_else(|| "must be true or false".into()),
            Kind::Enum => {
                let word = value.as_str().filter(|word| self.one_of.iter().any(|known| known == word));
                word.map(str::to_owned).ok_or_else(|| format!("must be one of {}", self.one_of.join(", ")))
            }
            Kind::Host => value.as_str().filter(|text| is_host(text)).map(str::to_owned).ok_or_else(|| "must be a host name or an address".into()),
            Kind::Ip => {
                let address = value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
                address.map(|address| address.to_string()).ok_or_else(|| "must be an IP address".into())
            }
            Kind::Mac => value.as_str().and_then(colons).ok_or_else(|| "must be a MAC address such as 02000000a001".into()),
            Kind::String => self.plain(value),
        }
    }

    fn plain(&self, value: &Value) -> Result<String, String> {
        let ((least, most), ranges) = (self.lengths(), parse_chars(self.chars()).unwrap_or_default());
        let fits = |text: &&str| {
            let length = text.chars().count();
            // What begins with a dash would be read as an option.
            (least..=most).contains(&length) && !text.starts_with('-') && text.chars().all(|c| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)))
        };
        let why = || format!("must have {least}-{most} characters of {}, and not begin with a dash", self.chars());
        value.as_str().filter(fits).map(str::to_owned).ok_or_else(why)
    }

    fn chars(&self) -> &str {
        self.chars.as_deref().unwrap_or("A-Za-z0-9_.-")
    }

    pub(super) fn lengths(&self) -> (usize, usize) {
        (self.min_length.unwrap_or(1), self.max_length.unwrap_or(64))
    }
}

/// Ranges of characters. None when one is upside down or a control character is among them.
fn parse_chars(text: &str) -> Option<Vec<(char, char)>> {
    let chars: Vec<char> = text.chars().collect();
    let (mut ranges, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let range = match chars.get(at + 1..at + 3) {
            Some(['-', to]) => {
                at += 3;
                (chars[at - 3], *to)
            }
            _ => {
                at += 1;
                (chars[at - 1], chars[at - 1])
            }
        };
        if range.0 > range.1 || range.0.is_control() || range.1.is_control() {
            return None;
        }
        ranges.push(range);
    }
    (!ranges.is_empty()).then_some(ranges)
}

/// Whether it is a name of letters, digits, dashes and dots, or an address.
pub(crate) fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.trim_end_matches('.').split('.').all(is_label))
}

fn colons(text: &str) -> Option<String> {
    let digits = mac_digits(text)?;
    let pairs: Vec<_> = digits.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
    Some(pairs.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn kind(value: Value) -> ArgKind {
        let kind: ArgKind = serde_json::from_value(value).unwrap();
        kind.check().unwrap();
        kind
    }

    #[test]
    fn each_type_takes_its_own_and_nothing_else() {
        let takes = |spec: Value, good: Value, text: &str, bad: &[Value]| {
            let kind = kind(spec);
            assert_eq!(kind.text(Some(&good)), Ok(Some(text.to_owned())));
            for bad in bad {
                assert!(kind.text(Some(bad)).is_err(), "{bad} as {:?}", kind.kind);
            }
        };
        takes(json!({"type": "integer", "min": -1, "max": 4}), json!(-1), "-1", &[json!(5), json!(1.5), json!("1"), json!(999_999), json!(null_string())]);
        takes(json!({"type": "boolean"}), json!(true), "true", &[json!("true"), json!(1)]);
        takes(json!({"type": "enum", "one_of": ["a", "b c"]}), json!("b c"), "b c", &[json!("d"), json!("a; reboot")]);
        takes(json!({"type": "host"}), json!("dns.example"), "dns.example", &[json!("-f"), json!("a b"), json!("../../etc/passwd"), json!("")]);
        takes(json!({"type": "ip"}), json!("2001:DB8::1"), "2001:db8::1", &[json!("1.2.3"), json!("dns.example")]);
        takes(json!({"type": "mac"}), json!("02000000A001"), "02:00:00:00:a0:01", &[json!("zz"), json!("$(reboot)")]);
        takes(
            json!({"type": "string", "max_length": 4}),
            json!("ab-1"),
            "ab-1",
            &[json!("-x"), json!("abcde"), json!("a b"), json!("; reboot"), json!("../x"), json!("a\u{0}")],
        );
    }

    fn null_string() -> &'static str {
        "null"
    }

    #[test]
    fn what_is_absent_is_missing_or_its_default() {
        assert_eq!(kind(json!({"type": "host"})).text(None), Ok(None));
        assert_eq!(kind(json!({"type": "host", "required": true})).text(Some(&Value::Null)), Err("is missing".into()));
        assert_eq!(kind(json!({"type": "integer", "min": 1, "max": 9, "default": 3})).text(None), Ok(Some("3".into())));
    }

    #[test]
    fn a_wrong_description_is_refused() {
        for wrong in [
            json!({"type": "integer", "min": 3}),
            json!({"type": "integer", "min": 3, "max": 1}),
            json!({"type": "enum"}),
            json!({"type": "host", "one_of": ["a"]}),
            json!({"type": "ip", "max_length": 3}),
            json!({"type": "string", "chars": "z-a"}),
            json!({"type": "string", "chars": ""}),
            json!({"type": "string", "max_length": 99_999}),
            json!({"type": "integer", "min": 1, "max": 4, "default": 9}),
        ] {
            let kind: ArgKind = serde_json::from_value(wrong.clone()).unwrap();
            assert!(kind.check().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_string_never_becomes_an_option_or_holds_what_was_not_allowed(text in "\\PC{0,12}") {
            if let Ok(Some(word)) = kind(json!({"type": "string", "chars": "a-z0-9-"})).text(Some(&json!(text))) {
                prop_assert!(!word.starts_with('-') && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            }
        }
    }
}
