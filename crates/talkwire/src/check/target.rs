//! The broker that a check connects to: `mqtt://[name[:password]@]host[:port]`, or `mqtts://…`.

use std::path::PathBuf;
use talkwire_link::{BrokerUrl, LinkConfig, Tls};

/// Where the broker is and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// User name, when the broker asks for one.
    pub username: Option<String>,
    /// Password, when the broker asks for one.
    pub password: Option<Secret>,
    /// Certificate authority of the broker, PEM; without it those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The check's own certificate and its private key, PEM, when the broker asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A text whose `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// A sentence that says how an address looks.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().starts_with("ws://") || text.trim().starts_with("wss://") {
            return Err("the check speaks MQTT over TCP, not over WebSocket; give the broker's mqtt:// or mqtts:// address".into());
        }
        let url: BrokerUrl = text.trim().parse().map_err(|error| format!("the broker's address cannot be read: {error}"))?;
        Ok(Self { host: url.host, port: url.port, tls: url.tls, username: url.username, password: url.password.map(Secret), ca_file: None, identity: None })
    }

    /// The address without credentials.
    pub fn shown(&self) -> String {
        format!("{}://{}:{}", if self.tls { "mqtts" } else { "mqtt" }, self.host, self.port)
    }

    /// How the connection is protected; `None`: not at all.
    pub fn protection(&self) -> Option<Tls> {
        let trusts = || self.ca_file.as_ref().map_or_else(Tls::system, Tls::ca);
        self.tls.then(|| match &self.identity {
            None => trusts(),
            Some((certificate, key)) => trusts().identity(certificate, key),
        })
    }

    /// How a link connects there under a client id.
    pub fn link(&self, client_id: &str) -> LinkConfig {
        let mut config = LinkConfig::new(self.host.clone(), self.port, client_id);
        // Nothing of a check stays behind at the broker.
        config.clean_start = true;
        config.tls = self.protection();
        config.username.clone_from(&self.username);
        config.password = self.password.as_ref().map(|secret| secret.0.clone().into());
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_usual_form() {
        let plain = Target::parse("127.0.0.1:1884").unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.tls), ("127.0.0.1", 1884, false));
        assert_eq!(Target::parse("mqtts://broker.example").unwrap().port, 8883);
        assert_eq!(Target::parse("mqtt://[::1]:1885").unwrap().host, "::1");
        let named = Target::parse("mqtt://owner:a:b@127.0.0.1/").unwrap();
        assert_eq!((named.username.as_deref(), named.password.clone()), (Some("owner"), Some(Secret("a:b".into()))));
        assert_eq!(Target::parse("mqtt://owner:p%40ss@h").unwrap().password, Some(Secret("p@ss".into())));
        assert!(!format!("{named:?}").contains("a:b") && named.shown() == "mqtt://127.0.0.1:1883");
    }

    #[test]
    fn what_is_no_address_is_told_without_its_password() {
        for text in ["http://x", "mqtt://", "mqtt://h:port", "mqtt://a:hunter2@h:99999", "mqtt://h/a b"] {
            let why = Target::parse(text).unwrap_err();
            assert!(why.contains("write mqtt://host") && !why.contains("hunter2"), "{why}");
        }
        assert!(Target::parse("ws://h:8885").unwrap_err().contains("WebSocket"));
    }
}
