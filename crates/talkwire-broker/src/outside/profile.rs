//! What a kind of broker can do, as data: limits that are met before the broker is.

use serde::Deserialize;
use std::time::Duration;

/// All kinds that are known; `docs/brokers` has a page for each.
const PROFILES: &str = include_str!("profiles.toml");

/// What a kind of broker takes. Limits that a broker tells in CONNACK hold as well.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name in the configuration.
    pub name: String,
    /// Most levels of a topic or filter.
    pub topic_levels: usize,
    /// Longest topic, in bytes.
    pub topic_bytes: usize,
    /// Largest payload, in bytes.
    pub payload_bytes: usize,
    /// Largest message that it keeps (retains), in bytes; 0: none. A larger one is published without being kept, so that
    /// whoever comes later learns the state with the next one.
    pub retained_bytes: usize,
    /// Highest quality of service.
    pub qos: u8,
    /// Longest client id, in bytes.
    pub client_id_bytes: usize,
    /// Whether only letters, digits, `-` and `_` go well as a client id.
    #[serde(default)]
    pub plain_client_id: bool,
    /// Longest time that it keeps a session, in seconds.
    #[serde(rename = "session_expiry_s", deserialize_with = "seconds")]
    pub max_session_expiry: Duration,
    /// Most messages on their way to us; what goes beyond the broker's own bound is not asked for.
    pub receive_maximum: u16,
    /// Whether it is reached with TLS only.
    #[serde(default)]
    pub tls_only: bool,
}

fn seconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_secs)
}

/// Something that this kind of broker does not take. Begins with its code, `E_BROKER_LIMIT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// The topic has too many levels.
    #[error(
        "E_BROKER_LIMIT: {topic:?} has {levels} levels, but {profile} takes {most}; use shorter names (an event's name goes into one level: `evt/wifi.roam`)"
    )]
    Depth {
        /// The topic or filter.
        topic: String,
        /// Its levels.
        levels: usize,
        /// The broker's bound.
        most: usize,
        /// Which broker.
        profile: String,
    },
    /// The topic is too long.
    #[error("E_BROKER_LIMIT: {topic:?} has {bytes} bytes, but {profile} takes {most}; use shorter names of tenant, site and device")]
    Length {
        /// The topic or filter.
        topic: String,
        /// Its length.
        bytes: usize,
        /// The broker's bound.
        most: usize,
        /// Which broker.
        profile: String,
    },
    /// The message is too large.
    #[error("E_BROKER_LIMIT: {bytes} bytes for {topic:?}, but {profile} takes {most}; ask for less at once")]
    Payload {
        /// Where it was going.
        topic: String,
        /// Its size.
        bytes: usize,
        /// The broker's bound.
        most: usize,
        /// Which broker.
        profile: String,
    },
    /// The quality of service is not offered.
    #[error("E_BROKER_LIMIT: QoS {qos} for {topic:?}, but {profile} has at most {most}; QoS 1 with a redelivery that is recognised is what Talkwire uses")]
    Qos {
        /// Where it was going.
        topic: String,
        /// What was asked for.
        qos: u8,
        /// The broker's bound.
        most: u8,
        /// Which broker.
        profile: String,
    },
    /// The client id is not one that the broker takes.
    #[error("E_BROKER_LIMIT: the client id {client_id:?} does not suit {profile}, which takes at most {most} bytes{}; set `client_id` under [broker]", if *.plain { " of letters, digits, - and _" } else { "" })]
    ClientId {
        /// Ours.
        client_id: String,
        /// The broker's bound.
        most: usize,
        /// Whether it must be plain.
        plain: bool,
        /// Which broker.
        profile: String,
    },
    /// The broker is reached with TLS only.
    #[error("E_BROKER_LIMIT: {profile} is reached with TLS only; write mqtts:// instead of mqtt://")]
    Plain {
        /// Which broker.
        profile: String,
    },
    /// No kind of broker has this name.
    #[error("E_CONFIG: no broker profile is called {name:?}; known are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names that are known.
        known: String,
    },
}

#[derive(Deserialize)]
struct Profiles {
    profile: Vec<Profile>,
}

impl Profile {
    /// All kinds, the one for any broker first.
    ///
    /// # Errors
    /// Never for the data that is built in; a test reads it.
    pub fn all() -> Result<Vec<Self>, toml::de::Error> {
        toml::from_str::<Profiles>(PROFILES).map(|read| read.profile)
    }

    /// The kind with this name.
    ///
    /// # Errors
    /// When there is none; the error names those that there are.
    pub fn named(name: &str) -> Result<Self, Limit> {
        let all = Self::all().unwrap_or_default();
        let known = all.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ");
        all.into_iter().find(|profile| profile.name == name).ok_or_else(|| Limit::Unknown { name: name.into(), known })
    }

    /// The kind that a host name gives away, else the one for any broker.
    ///
    /// # Errors
    /// As [`Profile::named`].
    pub fn of_host(host: &str) -> Result<Self, Limit> {
        let host = host.to_ascii_lowercase();
        Self::named(match host {
            _ if host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn") => "aws-iot",
            _ if host.ends_with(".eventgrid.azure.net") => "azure-event-grid",
            _ if host.ends_with(".hivemq.cloud") => "hivemq-cloud",
            _ if host.ends_with(".emqxsl.com") || host.ends_with(".emqxsl.cn") || host.ends_with(".emqx.cloud") => "emqx",
            _ => "any",
        })
    }

    /// Whether a message of this size is kept for later subscribers.
    #[must_use]
    pub fn keeps(&self, bytes: usize) -> bool {
        self.retained_bytes > 0 && bytes <= self.retained_bytes
    }

    pub(super) fn check_client_id(&self, client_id: &str) -> Result<(), Limit> {
        let plain = client_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if client_id.is_empty() || client_id.len() > self.client_id_bytes || (self.plain_client_id && !plain) {
            return Err(Limit::ClientId { client_id: client_id.into(), most: self.client_id_bytes, plain: self.plain_client_id, profile: self.name.clone() });
        }
        Ok(())
    }

    pub(super) fn check_filter(&self, filter: &str) -> Result<(), Limit> {
        let levels = filter.split('/').count();
        if levels > self.topic_levels {
            return Err(Limit::Depth { topic: filter.into(), levels, most: self.topic_levels, profile: self.name.clone() });
        }
        if filter.len() > self.topic_bytes {
            return Err(Limit::Length { topic: filter.into(), bytes: filter.len(), most: self.topic_bytes, profile: self.name.clone() });
        }
        Ok(())
    }

    pub(super) fn check_publish(&self, topic: &str, bytes: usize, qos: u8) -> Result<(), Limit> {
        self.check_filter(topic)?;
        if bytes > self.payload_bytes {
            return Err(Limit::Payload { topic: topic.into(), bytes, most: self.payload_bytes, profile: self.name.clone() });
        }
        if qos > self.qos {
            return Err(Limit::Qos { topic: topic.into(), qos, most: self.qos, profile: self.name.clone() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_read_and_found_by_its_name() {
        let all = Profile::all().unwrap();
        assert_eq!(all[0].name, "any");
        for profile in &all {
            assert_eq!(Profile::named(&profile.name).unwrap(), *profile);
        }
        let said = Profile::named("mosquito").unwrap_err().to_string();
        assert!(said.starts_with("E_CONFIG") && all.iter().all(|profile| said.contains(&profile.name)), "{said}");
    }

    #[test]
    fn cloud_brokers_are_known_by_their_hosts() {
        let name = |host| Profile::of_host(host).unwrap().name;
        assert_eq!(name("a1b2c3-ats.iot.eu-central-1.amazonaws.com"), "aws-iot");
        assert_eq!(name("ns.westeurope-1.ts.EventGrid.azure.net"), "azure-event-grid");
        assert_eq!(name("abc.s1.eu.hivemq.cloud"), "hivemq-cloud");
        assert_eq!(name("broker.example"), "any");
    }

    #[test]
    fn a_limit_that_is_hit_says_which_and_what_to_do() {
        let aws = Profile::named("aws-iot").unwrap();
        assert!(aws.check_publish("rtk/v1/acme/home/group/ground/cmd/req", 100, 1).is_ok(), "our deepest topic fits");
        let deep = aws.check_publish("rtk/v1/acme/home/aabbccddeeff/evt/wifi/roam/done", 100, 1).unwrap_err().to_string();
        assert!(deep.starts_with("E_BROKER_LIMIT") && deep.contains("9 levels") && deep.contains("takes 8"), "{deep}");
        let large = aws.check_publish("chat/receive", 200_000, 1).unwrap_err();
        assert!(matches!(large, Limit::Payload { most: 131_072, .. }));
        assert!(matches!(aws.check_publish("chat/receive", 1, 2), Err(Limit::Qos { most: 1, .. })));
        assert!(matches!(aws.check_client_id(&"x".repeat(200)), Err(Limit::ClientId { .. })));
    }
}
