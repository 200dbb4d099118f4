//! The broker that is there already: its keys in the configuration, checked and put together.

use super::ConfigError;
use crate::broker_url::BrokerUrl;
use serde::{Deserialize, Serialize, Serializer};
use std::path::PathBuf;
use std::time::Duration;
use talkwire_broker::{Limit, Profile};
use talkwire_link::Tls;

/// `[broker]`: a broker that is there already, used instead of the embedded one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutsideBroker {
    /// `mqtt(s)://[user[:password]@]host[:port]`. Without it the embedded broker is used.
    #[serde(serialize_with = "without_password")]
    pub url: Option<String>,
    /// What kind of broker it is; without it, the host's name decides, else `any`.
    pub profile: Option<String>,
    /// The client id; without it, one is made from the server's key and stays the same.
    pub client_id: Option<String>,
    /// User name, when it is not in the URL.
    pub username: Option<String>,
    /// Password, when it is not in the URL. Never printed.
    #[serde(skip_serializing)]
    pub password: Option<String>,
    /// PEM file of the authorities that may sign the broker's certificate, instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM file of our own certificate, for brokers that ask for one.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// Protocol name offered to the broker (ALPN).
    pub alpn: Option<String>,
    /// How long the broker keeps our session while we are away, in seconds.
    pub session_expiry_s: u32,
    /// At most so many messages are handed over and not yet stored.
    pub receive_maximum: u16,
    /// A silent loss is noticed within one and a half of this time, in seconds.
    pub keep_alive_s: u16,
}

impl Default for OutsideBroker {
    fn default() -> Self {
        Self {
            url: None,
            profile: None,
            client_id: None,
            username: None,
            password: None,
            ca: None,
            certificate: None,
            key: None,
            alpn: None,
            session_expiry_s: 7 * 24 * 3600,
            receive_maximum: 256,
            keep_alive_s: 30,
        }
    }
}

/// A broker that is there already, as it is connected to.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// Its address.
    pub url: BrokerUrl,
    /// What it takes.
    pub profile: Profile,
    /// How the connection is protected.
    pub tls: Option<Tls>,
    /// User name, from the URL or beside it.
    pub username: Option<String>,
    /// Password, from the URL or beside it.
    pub password: Option<talkwire_link::Password>,
    /// The same as bytes for the hub's own connection.
    pub(crate) secret: Secret,
    /// The client id, when one is set.
    pub client_id: Option<String>,
    /// How long the broker keeps our session.
    pub session_expiry: Duration,
    /// At most so many messages on their way to us.
    pub receive_maximum: u16,
    /// Time without a word after which the connection is proved.
    pub keep_alive: Duration,
}

/// A password whose `Debug` shows nothing.
#[derive(Clone, Default)]
pub(crate) struct Secret(pub(crate) Option<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn without_password<S: Serializer>(url: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    // What is no address may hold anything, so it is not shown either.
    let shown = url.as_ref().map(|text| text.parse::<BrokerUrl>().map_or_else(|_| "…".to_owned(), |url| url.to_string()));
    shown.serialize(to)
}

impl OutsideBroker {
    /// Puts the keys together; `None` without an URL.
    pub fn check(&self) -> Result<Option<Elsewhere>, ConfigError> {
        let Some(text) = &self.url else { return Ok(None) };
        let url: BrokerUrl = text.parse()?;
        let outside = |limit: Limit| ConfigError::Outside(limit.to_string());
        let profile = match &self.profile {
            Some(name) => Profile::named(name),
            None => Profile::of_host(&url.host),
        };
        let profile = profile.map_err(outside)?;
        if profile.tls_only && !url.tls {
            return Err(outside(Limit::Plain { profile: profile.name }));
        }
        let tls = url.tls.then(|| self.tls());
        if let Some(tls) = &tls {
            tls.check().map_err(|error| ConfigError::Outside(format!("E_CONFIG: {error}")))?;
        } else if self.ca.is_some() || self.certificate.is_some() {
            return Err(ConfigError::Outside("E_CONFIG: [broker] has certificates, but the URL is not mqtts://; write mqtts:// or leave them out".into()));
        }
        let (username, password) = (url.username.clone().or(self.username.clone()), url.password.clone().or(self.password.clone()));
        if password.is_some() && username.is_none() {
            return Err(ConfigError::Outside("E_CONFIG: [broker] has a password without a user name; set `username`".into()));
        }
        if self.receive_maximum == 0 || self.keep_alive_s == 0 {
            return Err(ConfigError::Outside("E_CONFIG: receive_maximum and keep_alive_s under [broker] must be at least 1".into()));
        }
        Ok(Some(Elsewhere {
            profile,
            tls,
            username,
            password: password.clone().map(Into::into),
            secret: Secret(password.map(String::into_bytes)),
            client_id: self.client_id.clone(),
            session_expiry: Duration::from_secs(self.session_expiry_s.into()),
            receive_maximum: self.receive_maximum,
            keep_alive: Duration::from_secs(self.keep_alive_s.into()),
            url,
        }))
    }

    fn tls(&self) -> Tls {
        let mut tls = self.ca.as_ref().map_or_else(Tls::system, Tls::ca);
        (tls.certificate, tls.key) = (self.certificate.clone(), self.key.clone());
        tls.alpn = self.alpn.iter().cloned().collect();
        tls
    }
}

impl Elsewhere {
    /// The same broker for a device of ours.
    pub fn for_device(&self) -> talkwire_device::Broker {
        talkwire_device::Broker {
            username: self.username.clone(),
            password: self.password.clone(),
            tls: self.tls.clone(),
            ..talkwire_device::Broker::open(self.url.host.clone(), self.url.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(broker: OutsideBroker) -> String {
        broker.check().unwrap_err().to_string()
    }

    fn at(url: &str) -> OutsideBroker {
        OutsideBroker { url: Some(url.into()), ..OutsideBroker::default() }
    }

    #[test]
    fn what_cannot_work_is_said_before_connecting() {
        assert!(OutsideBroker::default().check().unwrap().is_none());
        assert!(said(at("ftp://x")).contains("E_CONFIG"));
        assert!(said(at("mqtt://abc-ats.iot.eu-central-1.amazonaws.com")).contains("TLS only"));
        assert!(said(OutsideBroker { profile: Some("mosquito".into()), ..at("mqtt://h") }).contains("aws-iot"));
        assert!(said(OutsideBroker { ca: Some("ca.crt".into()), ..at("mqtt://h") }).contains("mqtts://"));
        assert!(said(OutsideBroker { ca: Some("/nowhere/ca.crt".into()), ..at("mqtts://h") }).contains("/nowhere/ca.crt"));
        assert!(said(OutsideBroker { password: Some("x".into()), ..at("mqtt://h") }).contains("username"));
    }

    #[test]
    fn a_password_is_never_shown() {
        let broker = OutsideBroker { password: Some("hunter3".into()), ..at("mqtt://hub:hunter2@h") };
        let shown = serde_json::to_string(&broker).unwrap() + &format!("{:?}", broker.check().unwrap());
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.contains("mqtt://h:1883"));
    }
}
