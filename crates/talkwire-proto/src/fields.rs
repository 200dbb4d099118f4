//! Reading a JSON object field by field: a missing field is `None`, a wrong type is an error that names the field.

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
        names.iter().find_map(|name| self.0.get_key_value(*name)).filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.as_str(), value))
    }

    fn typed<T>(self, names: &[&str], expected: &'static str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, WrongType> {
        let Some((name, value)) = self.any(names) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| WrongType { field: name.into(), expected, found: type_name(value) })
    }

    /// A string under the first name that is there.
    pub fn text(self, names: &[&str]) -> Result<Option<String>, WrongType> {
        self.typed(names, "a string", |value| value.as_str().map(str::to_owned))
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
}
