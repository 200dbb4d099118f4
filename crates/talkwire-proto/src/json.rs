//! Bytes to one JSON object within the limits of size and depth; what two readers could understand differently is refused.

use crate::envelope::BadEnvelope;
use crate::fields::type_name;
use crate::limits;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// Parses bytes as one JSON object within the limits of size and depth.
///
/// A byte order mark before it and zero bytes after it (C strings) are passed over.
///
/// # Errors
/// Too large, too deep, not UTF-8, not JSON, a Fernet token, a key that occurs twice in one object, or not an object.
pub fn parse_object(bytes: &[u8], max_bytes: usize) -> Result<Map<String, Value>, BadEnvelope> {
    if bytes.len() > max_bytes {
        return Err(BadEnvelope::TooLarge(bytes.len(), max_bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| BadEnvelope::NotText)?;
    match parse_value(text)? {
        Value::Object(object) => Ok(object),
        Value::String(text) if is_fernet(text.as_bytes()) => Err(BadEnvelope::Encrypted),
        other => Err(BadEnvelope::NotObject(type_name(&other))),
    }
}

/// Parses one JSON value of any type within the limit of depth.
pub(crate) fn parse_value(text: &str) -> Result<Value, BadEnvelope> {
    let text = text.trim_start_matches('\u{feff}').trim_end_matches('\0');
    if depth(text) > limits::NESTING {
        return Err(BadEnvelope::TooDeep(limits::NESTING));
    }
    let twice = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { twice: &twice }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| match twice.take() {
        Some(key) => BadEnvelope::Duplicate(key),
        None if text.trim().is_empty() => BadEnvelope::NotJson("it is empty".into()),
        None if is_fernet(text.as_bytes()) => BadEnvelope::Encrypted,
        None if ["NaN", "Infinity"].iter().any(|word| text.contains(word)) => {
            BadEnvelope::NotJson(format!("{error}; JSON knows no NaN or Infinity: leave the field out or send null"))
        }
        None => BadEnvelope::NotJson(error.to_string()),
    })
}

/// Whether bytes have the shape of a Fernet token (`gAAAA…`), the encryption that the integration guide shows (`PROTOCOL.md` §5).
pub fn is_fernet(bytes: &[u8]) -> bool {
    let token = bytes.trim_ascii();
    token.starts_with(b"gAAAA") && token.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'='))
}

/// Deepest bracket level of a JSON text, brackets inside strings left out.
fn depth(text: &str) -> usize {
    let (mut level, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Builds a value and remembers the first key that stands twice in one object.
#[derive(Clone, Copy)]
struct Strict<'a> {
    twice: &'a Cell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }
    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if object.contains_key(&key) {
                self.twice.set(Some(key.chars().take(80).collect()));
                return Err(A::Error::custom("a key occurs twice"));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Map<String, Value>, BadEnvelope> {
        parse_object(text.as_bytes(), limits::MESSAGE_BYTES)
    }

    #[test]
    fn an_object_is_read_as_it_stands() {
        let object = parse(r#"{"a": 1, "b": [true, null, -2, 1.5, "é\u00e9"], "c": {}}"#).unwrap();
        assert_eq!(Value::Object(object), serde_json::json!({"a": 1, "b": [true, null, -2, 1.5, "éé"], "c": {}}));
    }

    #[test]
    fn a_key_that_occurs_twice_is_refused_by_name_at_any_depth() {
        assert_eq!(parse(r#"{"op": "a", "op": "b"}"#), Err(BadEnvelope::Duplicate("op".into())));
        assert_eq!(parse(r#"{"x": [{"id": 1, "\u0069d": 1}]}"#), Err(BadEnvelope::Duplicate("id".into())));
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_with_advice() {
        for text in [r#"{"value": NaN}"#, r#"{"value": Infinity}"#, r#"{"value": -Infinity}"#] {
            let Err(BadEnvelope::NotJson(reason)) = parse(text) else { panic!("{text} was read") };
            assert!(reason.contains("leave the field out"), "{reason}");
        }
        let Err(BadEnvelope::NotJson(reason)) = parse(r#"{"value": 1e999}"#) else { panic!("1e999 was read") };
        assert!(reason.contains("number out of range"), "{reason}");
    }

    #[test]
    fn lone_surrogates_raw_control_characters_and_bad_utf8_are_refused() {
        assert!(matches!(parse(r#"{"a": "\ud800"}"#), Err(BadEnvelope::NotJson(_))));
        assert!(matches!(parse(r#"{"a": "\udc00\ud800"}"#), Err(BadEnvelope::NotJson(_))));
        assert!(matches!(parse("{\"a\": \"\u{1}\"}"), Err(BadEnvelope::NotJson(_))));
        assert_eq!(parse_object(b"{\"a\": \"\xff\"}", 100), Err(BadEnvelope::NotText));
        assert_eq!(parse_object(b"{\"a\": \"\xed\xa0\x80\"}", 100), Err(BadEnvelope::NotText));
    }

    #[test]
    fn depth_has_a_limit_that_brackets_in_text_do_not_count_for() {
        let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(parse(&nested(limits::NESTING)).is_ok());
        assert_eq!(parse(&nested(limits::NESTING + 1)), Err(BadEnvelope::TooDeep(limits::NESTING)));
        assert_eq!(parse(&"[".repeat(10_000)), Err(BadEnvelope::TooDeep(limits::NESTING)));
        assert!(parse(&format!(r#"{{"a": "\"{}"}}"#, "[".repeat(500))).is_ok());
    }

    #[test]
    fn size_has_a_limit_to_the_byte() {
        let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(100));
        assert!(parse_object(text.as_bytes(), text.len()).is_ok());
        assert_eq!(parse_object(text.as_bytes(), text.len() - 1), Err(BadEnvelope::TooLarge(text.len(), text.len() - 1)));
    }

    #[test]
    fn an_object_of_very_many_keys_is_read_in_one_pass() {
        let keys: Vec<String> = (0..25_000).map(|n| format!("\"{n}\":0")).collect();
        assert_eq!(parse(&format!("{{{}}}", keys.join(","))).map(|object| object.len()), Ok(25_000));
    }

    #[test]
    fn a_fernet_token_is_named_as_what_it_is() {
        let token = "gAAAAABmZ1x2Qm5vdCBhIHJlYWwgdG9rZW4sIGp1c3QgaXRzIHNoYXBlIGZvciBhIHRlc3Qgb2YgdGhlIHJlYWRlcg==";
        assert!(is_fernet(token.as_bytes()));
        assert_eq!(parse(token), Err(BadEnvelope::Encrypted));
        assert_eq!(parse(&format!("\"{token}\"")), Err(BadEnvelope::Encrypted));
        assert!(!is_fernet(b"gAAAA is how it begins"));
    }

    #[test]
    fn what_c_programs_leave_around_a_text_does_not_matter() {
        assert!(parse("{\"a\":1}\0").is_ok());
        assert!(parse("\u{feff}{\"a\":1}").is_ok());
        assert_eq!(parse(""), Err(BadEnvelope::NotJson("it is empty".into())));
        assert!(matches!(parse("{\"a\":1} {\"b\":2}"), Err(BadEnvelope::NotJson(_))));
        assert_eq!(parse("[1]"), Err(BadEnvelope::NotObject("a list")));
    }
}
