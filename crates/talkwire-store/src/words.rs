//! Rows and our types: the small words that stand in columns, and JSON documents.

use crate::error::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use talkwire_core::effect::Flag;
use talkwire_proto::DeviceKey;
use talkwire_proto::chat::Role;
use talkwire_proto::event::Severity;

/// The text of a document.
pub(crate) fn to_text(what: &str, value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Other { doing: format!("writing {what}"), source: Box::new(source) })
}

/// The document of a text.
pub(crate) fn from_text<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::unreadable(what, source))
}

/// A counter as SQLite holds it. None of ours comes near the limit.
pub(crate) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A counter as we hold it.
pub(crate) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A device's name from its three columns.
pub(crate) fn device_key(tenant: &str, site: &str, device_id: &str) -> Result<DeviceKey, StoreError> {
    let name = |source| StoreError::unreadable(format!("device {tenant}/{site}/{device_id}"), source);
    Ok(DeviceKey { tenant: tenant.parse().map_err(name)?, site: site.parse().map_err(name)?, device_id: device_id.parse().map_err(name)? })
}

pub(crate) fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Critical => "critical",
    }
}

pub(crate) fn severity(word: &str) -> Result<Severity, StoreError> {
    serde_json::from_value(Value::String(word.into())).map_err(|source| StoreError::unreadable(format!("severity {word:?}"), source))
}

/// The column `flagged`; 1 stood for both of its kinds before there were more.
pub(crate) fn flag_number(flag: Option<Flag>) -> i64 {
    match flag {
        None => 0,
        Some(Flag::Ahead) => 1,
        Some(Flag::Late) => 2,
        Some(Flag::Stale) => 3,
        Some(Flag::Newer) => 4,
        Some(Flag::Unset) => 5,
    }
}

pub(crate) fn flag(number: i64) -> Option<Flag> {
    match number {
        0 => None,
        2 => Some(Flag::Late),
        3 => Some(Flag::Stale),
        4 => Some(Flag::Newer),
        5 => Some(Flag::Unset),
        _ => Some(Flag::Ahead),
    }
}

pub(crate) fn role_word(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Guest => "guest",
        Role::Device => "device",
        Role::Assistant => "assistant",
        Role::System => "system",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_in_columns_are_those_on_the_wire() {
        for one in [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical] {
            assert_eq!(severity(severity_word(one)).unwrap(), one);
        }
        for one in [Role::User, Role::Guest, Role::Device, Role::Assistant, Role::System] {
            assert_eq!(serde_json::to_value(one).unwrap(), role_word(one));
        }
        for one in [None, Some(Flag::Ahead), Some(Flag::Late), Some(Flag::Stale), Some(Flag::Newer), Some(Flag::Unset)] {
            assert_eq!(flag(flag_number(one)), one);
        }
    }
}
