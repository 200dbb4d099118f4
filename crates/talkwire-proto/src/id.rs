//! Names of tenants, sites, groups, devices and rooms, valid once they exist.

use crate::limits;
use crate::text::is_plain_char;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// A tenant, site or group that breaks `[a-z0-9][a-z0-9_-]{0,31}` or is a reserved word.
    #[error("{kind} {text:?} must be 1-32 lower-case letters, digits, `-` or `_`, start with a letter or digit, and not be `group` or `broadcast`")]
    Name {
        /// What was being named.
        kind: &'static str,
        /// What was given.
        text: String,
    },
    /// A device id that is neither twelve lower-case hex digits nor `[A-Za-z0-9_-]{1,64}`.
    #[error("device id {0:?} must be 12 lower-case hex digits (a MAC address without colons) or 1-64 of A-Z a-z 0-9 `_` `-`")]
    Device(String),
    /// A MAC address in another form than the wire wants.
    #[error("device id {given:?} is a MAC address in another form; on the wire it is {wanted:?}")]
    MacForm {
        /// What was given.
        given: String,
        /// The form for the wire.
        wanted: String,
    },
    /// A room name that is empty, too long or contains a topic character.
    #[error("room {0:?} must be 1-64 characters without `/`, `+`, `#`, control or invisible characters")]
    Room(String),
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text as it stands on the wire.
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> { text.parse() }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String { name.0 }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> { stringify!($name).into() }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema { String::json_schema(generator) }
        }
    };
}

text_type! {
    /// Who owns sites; sees nothing of another tenant (`PROTOCOL.md` §1).
    Tenant
}
text_type! {
    /// A home or branch of a tenant.
    Site
}
text_type! {
    /// A group of devices of one site that take a command together.
    GroupId
}
text_type! {
    /// A device: its MAC address as twelve lower-case hex digits, or a free id for things without one.
    DeviceId
}
text_type! {
    /// A chat room; the plain topics of the chat document are room `main`.
    RoomName
}

fn check_name(kind: &'static str, text: &str) -> Result<(), BadId> {
    let first_fits = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let rest_fits = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    if first_fits && rest_fits && text.len() <= limits::NAME_CHARS && text != "group" && text != "broadcast" {
        Ok(())
    } else {
        Err(BadId::Name { kind, text: text.chars().take(80).collect() })
    }
}

impl FromStr for Tenant {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        check_name("tenant", text).map(|()| Self(text.into()))
    }
}
impl FromStr for Site {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        check_name("site", text).map(|()| Self(text.into()))
    }
}
impl FromStr for GroupId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        check_name("group", text).map(|()| Self(text.into()))
    }
}

impl FromStr for DeviceId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        if let Some(wanted) = mac_digits(text) {
            return if wanted == text { Ok(Self(wanted)) } else { Err(BadId::MacForm { given: text.into(), wanted }) };
        }
        let fits = !text.is_empty() && text.len() <= limits::DEVICE_ID_CHARS && text != "group" && text != "broadcast";
        if fits && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            Ok(Self(text.into()))
        } else {
            Err(BadId::Device(text.chars().take(80).collect()))
        }
    }
}

impl DeviceId {
    /// Reads an id at one of our own doors, where a MAC address may have capitals, colons, dots or dashes.
    pub fn from_door(text: &str) -> Result<Self, BadId> {
        let text = text.trim();
        mac_digits(text).map_or_else(|| text.parse(), |digits| Ok(Self(digits)))
    }

    /// The form that people read: a MAC address with colons, anything else as it is.
    pub fn shown(&self) -> String {
        match mac_digits(&self.0) {
            Some(digits) => digits.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect::<Vec<_>>().join(":"),
            None => self.0.clone(),
        }
    }
}

impl RoomName {
    /// The room that the plain topics mean.
    pub fn main() -> Self {
        Self("main".into())
    }
}

impl FromStr for RoomName {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let length = text.chars().count();
        if (1..=64).contains(&length) && text.chars().all(|c| is_plain_char(c) && !matches!(c, '/' | '+' | '#')) {
            Ok(Self(text.into()))
        } else {
            Err(BadId::Room(text.chars().take(80).collect()))
        }
    }
}

/// The twelve lower-case hex digits of a MAC address in any usual form: plain, or pairs with `:` or `-`, or groups of four with `.`.
pub fn mac_digits(text: &str) -> Option<String> {
    let digits: String = match text.len() {
        12 => text.into(),
        17 if text.split([':', '-']).all(|pair| pair.len() == 2) => text.replace([':', '-'], ""),
        14 if text.split('.').all(|part| part.len() == 4) => text.replace('.', ""),
        _ => return None,
    };
    (digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then(|| digits.to_ascii_lowercase())
}

/// A device with its owner: everything that a device's topic says about identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeviceKey {
    /// The owner.
    pub tenant: Tenant,
    /// The home or branch.
    pub site: Site,
    /// The device itself.
    pub device_id: DeviceId,
}

impl fmt::Display for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.site, self.device_id)
    }
}

impl FromStr for DeviceKey {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let mut parts = text.splitn(3, '/');
        let (Some(tenant), Some(site), Some(device_id)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(BadId::Device(text.into()));
        };
        Ok(Self { tenant: tenant.parse()?, site: site.parse()?, device_id: device_id.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_integration_guide_s_names_are_valid() {
        let key: DeviceKey = "your-org/main-office/aabbccddeeff".parse().unwrap();
        assert_eq!((key.tenant.as_str(), key.site.as_str(), key.device_id.as_str()), ("your-org", "main-office", "aabbccddeeff"));
        assert_eq!(key.to_string(), "your-org/main-office/aabbccddeeff");
    }

    #[test]
    fn names_keep_to_their_letters_their_length_and_off_reserved_words() {
        for name in ["a", "0", "a-b_c", &"x".repeat(32)] {
            assert!(name.parse::<Tenant>().is_ok() && name.parse::<Site>().is_ok() && name.parse::<GroupId>().is_ok(), "{name}");
        }
        for name in ["", "-a", "_a", "A", "a.b", "a b", "é", "group", "broadcast", &"x".repeat(33)] {
            assert!(name.parse::<Tenant>().is_err() && name.parse::<Site>().is_err() && name.parse::<GroupId>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_device_id_is_a_mac_address_or_a_free_id() {
        for id in ["aabbccddeeff", "esp32_sensor_001", "A", &"x".repeat(64)] {
            assert!(id.parse::<DeviceId>().is_ok(), "{id}");
        }
        for id in ["", "a/b", "a b", "a:b", "é", "group", "broadcast", &"x".repeat(65)] {
            assert!(matches!(id.parse::<DeviceId>(), Err(BadId::Device(_))), "{id}");
        }
        assert!(matches!("AABBCCDDEEFF".parse::<DeviceId>(), Err(BadId::MacForm { wanted, .. }) if wanted == "aabbccddeeff"));
    }

    #[test]
    fn at_our_doors_every_form_of_a_mac_address_is_the_same_device_and_people_see_colons() {
        for text in ["aabbccddeeff", " AA:BB:CC:DD:EE:FF ", "aa-bb-cc-dd-ee-ff", "AABB.CCDD.EEFF"] {
            let id = DeviceId::from_door(text).unwrap();
            assert_eq!((id.as_str(), id.shown().as_str()), ("aabbccddeeff", "aa:bb:cc:dd:ee:ff"));
        }
        assert_eq!(DeviceId::from_door("lamp-1").unwrap().shown(), "lamp-1");
    }

    #[test]
    fn a_name_is_checked_when_it_comes_as_json_too() {
        assert!(serde_json::from_str::<Tenant>("\"home\"").is_ok());
        assert!(serde_json::from_str::<Tenant>("\"Home\"").is_err());
        assert!(serde_json::from_str::<RoomName>("\"a/b\"").is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_for_a_name(text in any::<String>()) {
            let _ = (text.parse::<Tenant>(), text.parse::<RoomName>(), text.parse::<DeviceKey>(), mac_digits(&text));
            if let Ok(id) = DeviceId::from_door(&text) {
                prop_assert_eq!(id.as_str().parse::<DeviceId>(), Ok(id.clone()));
                prop_assert_eq!(DeviceId::from_door(&id.shown()), Ok(id));
            }
        }
    }
}
