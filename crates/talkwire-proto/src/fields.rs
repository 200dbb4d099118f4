//! Reading a JSON object field by field: a missing field is `None`, a wrong type is an error that names the field.

use crate::envelope::BadEnvelope;
use crate::limits;
use crate::text::shown;
use serde_json::{Map, Value};

/// A field has another type than the family allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}` must be {expected}, not {found}")]
pub struct WrongType {
    /// The field, with the path to it.
    pub field: String,
    /// What the family wants.
    pub expected: &'static str,
    /// What stood there.
    pub found: &'static str,
}

impl WrongType {
    /// The same, of a field inside `parent`.
    pub(crate) fn under(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), ..self }
    }
}

/// The JSON type of a value, in words.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A JSON object being read. `null` counts as missing.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The first of `names` that is there and not null.
    pub fn any(self, names: &[&str]) -> Option<(&'a str, &'a Value)> {
        names.iter().find_map(|name| self.0.get_key_value(*name).filter(|(_, value)| !value.is_null())).map(|(name, value)| (name.as_str(), value))
    }

    fn typed<T>(self, names: &[&str], expected: &'static str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, WrongType> {
        let Some((name, value)) = self.any(names) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| WrongType { field: name.into(), expected, found: type_name(value) })
    }

    /// A string under the first name that is there.
    pub fn text(self, names: &[&str]) -> Result<Option<String>, WrongType> {
        self.typed(names, "a string", |value| value.as_str().map(str::to_owned))
    }
    /// A string for people to read: without control or invisible characters, at most [`limits::LABEL_CHARS`] long.
    pub fn label(self, names: &[&str]) -> Result<Option<String>, WrongType> {
        Ok(self.text(names)?.map(|text| shown(&text, limits::LABEL_CHARS)))
    }
    /// A string that other messages refer to: 1 to `most` bytes, no control characters.
    pub fn name(self, names: &[&str], most: usize) -> Result<Option<String>, BadEnvelope> {
        let Some((field, _)) = self.any(names) else { return Ok(None) };
        match self.text(names)? {
            Some(text) if text.is_empty() || text.len() > most || text.chars().any(char::is_control) => {
                Err(BadEnvelope::Value(format!("field `{field}` must have 1-{most} bytes and no control characters")))
            }
            other => Ok(other),
        }
    }
    /// A finite number.
    pub fn number(self, names: &[&str]) -> Result<Option<f64>, WrongType> {
        self.typed(names, "a number", |value| value.as_f64().filter(|n| n.is_finite()))
    }
    /// A whole number that is not negative.
    pub fn count(self, names: &[&str]) -> Result<Option<u64>, WrongType> {
        self.typed(names, "a whole number that is not negative", |value| {
            value.as_u64().or_else(|| value.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0 && *n < 9.0e15).map(|n| n as u64))
        })
    }
    /// A boolean.
    pub fn flag(self, names: &[&str]) -> Result<Option<bool>, WrongType> {
        self.typed(names, "a boolean", Value::as_bool)
    }
    /// An object.
    pub fn object(self, names: &[&str]) -> Result<Option<&'a Map<String, Value>>, WrongType> {
        self.typed(names, "an object", Value::as_object)
    }
    /// A list.
    pub fn list(self, names: &[&str]) -> Result<Option<&'a Vec<Value>>, WrongType> {
        self.typed(names, "a list", Value::as_array)
    }
    /// A list of strings.
    pub fn texts(self, names: &[&str]) -> Result<Option<Vec<String>>, WrongType> {
        let Some((name, _)) = self.any(names) else { return Ok(None) };
        self.list(names)?.map(|list| read_texts(name, list)).transpose()
    }
}

/// The strings of the list `name`.
pub(crate) fn read_texts(name: &str, list: &[Value]) -> Result<Vec<String>, WrongType> {
    let item = |(index, value): (usize, &Value)| {
        let wrong = || WrongType { field: format!("{name}[{index}]"), expected: "a string", found: type_name(value) };
        value.as_str().map(str::to_owned).ok_or_else(wrong)
    };
    list.iter().enumerate().map(item).collect()
}

/// The error for a field whose word is none of those that are known.
pub(crate) fn unknown_word(field: &str, known: &str, found: Option<&str>) -> BadEnvelope {
    match found {
        None => BadEnvelope::Missing(field.into()),
        Some(word) => BadEnvelope::Value(format!("field `{field}` must be {known}, not {:?}", word.chars().take(80).collect::<String>())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with<T>(value: Value, read: impl FnOnce(Fields<'_>) -> T) -> T {
        read(Fields(value.as_object().unwrap()))
    }

    #[test]
    fn null_counts_as_missing_and_the_next_name_is_read() {
        assert_eq!(with(json!({"ts": null, "timestamp": 5}), |f| f.count(&["ts", "timestamp"])), Ok(Some(5)));
        assert_eq!(with(json!({"ts": null}), |f| f.count(&["ts"])), Ok(None));
    }

    #[test]
    fn a_wrong_type_names_the_field_what_is_wanted_and_what_stood_there() {
        let error = with(json!({"uptime": "long"}), |f| f.number(&["uptime_s", "uptime"])).unwrap_err();
        assert_eq!(error.to_string(), "field `uptime` must be a number, not a string");
        let error = with(json!({"permissions": ["a", 7]}), |f| f.texts(&["permissions"])).unwrap_err();
        assert_eq!(error.under("tools.x").to_string(), "field `tools.x.permissions[1]` must be a string, not a number");
    }

    #[test]
    fn a_count_is_whole_and_not_negative_in_either_spelling() {
        assert_eq!(with(json!({"n": 5.0}), |f| f.count(&["n"])), Ok(Some(5)));
        for wrong in [json!(-1), json!(1.5), json!(1e300), json!("5"), json!(true)] {
            assert!(with(json!({"n": wrong}), |f| f.count(&["n"])).is_err());
        }
    }

    #[test]
    fn a_name_is_bounded_and_a_label_is_made_fit_to_be_shown() {
        assert!(with(json!({"id": ""}), |f| f.name(&["id"], 8)).is_err());
        assert!(with(json!({"id": "123456789"}), |f| f.name(&["id"], 8)).is_err());
        assert!(with(json!({"id": "a\nb"}), |f| f.name(&["id"], 8)).is_err());
        assert_eq!(with(json!({"model": "R\u{202e}-1\u{0}\n"}), |f| f.label(&["model"])), Ok(Some("R-1".into())));
    }
}
