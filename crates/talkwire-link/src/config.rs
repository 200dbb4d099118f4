//! How a link connects.

use crate::backoff::Backoff;
use crate::error::LinkError;
use crate::message::Message;
use crate::session::Resume;
use crate::tls::Tls;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A password whose `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}
impl<T: Into<String>> From<T> for Password {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// How a link connects. [`LinkConfig::new`] fills in the defaults.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// The broker's name or address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// The MQTT client id.
    pub client_id: String,
    /// User name, when the broker asks for one.
    pub username: Option<String>,
    /// Password, when the broker asks for one.
    pub password: Option<Password>,
    /// A file whose first line is the password. It is read at every connect, so that a token can be renewed beside us.
    pub password_file: Option<PathBuf>,
    /// Whether and how the connection is protected; `None`: plain TCP.
    pub tls: Option<Tls>,
    /// How often the connection is proved alive when nothing else is said. A silent loss is seen within one and a half of this time, also by
    /// whoever talks all the time.
    pub keep_alive: Duration,
    /// `true`: every connection starts with an empty session. `false`: a reconnect resumes the session, so that messages
    /// which the broker kept meanwhile arrive, also those that it kept while this program was not running.
    pub clean_start: bool,
    /// How long the broker keeps the session of a lost connection, when `clean_start` is `false`.
    pub session_expiry: Duration,
    /// What the broker says in our place when the connection is lost.
    pub will: Option<Message>,
    /// Largest packet, both ways. A larger one that arrives ends the connection; a larger one to send is refused.
    pub max_packet_bytes: usize,
    /// How many messages may wait for their acknowledgement.
    pub queue: usize,
    /// How many received messages may wait to be read (see [`crate::Events`]).
    pub event_queue: usize,
    /// How long to wait between attempts.
    pub backoff: Backoff,
}

impl LinkConfig {
    /// A link to a broker with the defaults: keep-alive 60 s, resumed sessions kept for an hour, packets of at most
    /// 260 KiB, 1,000 waiting messages each way, back-off from 1 s to 120 s.
    pub fn new(host: impl Into<String>, port: u16, client_id: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            client_id: client_id.into(),
            username: None,
            password: None,
            password_file: None,
            tls: None,
            keep_alive: Duration::from_secs(60),
            clean_start: false,
            session_expiry: Duration::from_secs(3600),
            will: None,
            max_packet_bytes: talkwire_proto::limits::MESSAGE_BYTES + 4096,
            queue: 1000,
            event_queue: 1000,
            backoff: Backoff::default(),
        }
    }

    pub(crate) fn options(&self) -> Result<rumqttc::MqttOptions, LinkError> {
        let wrong = |what: &str| Err(LinkError::Config(what.into()));
        if self.host.is_empty() {
            return wrong("`host` is empty; name the broker");
        }
        if self.client_id.is_empty() {
            return wrong("`client_id` is empty; every client needs its own");
        }
        if self.queue == 0 || self.event_queue == 0 {
            return wrong("`queue` and `event_queue` must be at least 1");
        }
        let mut options = rumqttc::MqttOptions::new(self.client_id.clone(), (self.host.clone(), self.port));
        options.set_keep_alive(u16::try_from(self.keep_alive.as_secs()).unwrap_or(u16::MAX));
        options.set_clean_start(self.clean_start);
        if !self.clean_start {
            options.set_session_store(Resume(rumqttc::PersistedAckMode::Automatic));
            options.set_session_expiry_interval(Some(u32::try_from(self.session_expiry.as_secs()).unwrap_or(u32::MAX)));
        }
        options.set_max_packet_size(Some(u32::try_from(self.max_packet_bytes).unwrap_or(u32::MAX)));
        options.set_max_request_batch(64);
        if self.username.is_none() && (self.password.is_some() || self.password_file.is_some()) {
            return wrong("`password` is given without `username`");
        }
        self.renew(&mut options)?;
        if let Some(will) = &self.will {
            options.set_last_will(rumqttc::LastWill::new(will.topic.clone(), will.payload.to_vec(), will.qos.wire(), will.retain, None));
        }
        let mut network = rumqttc::NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        Ok(options)
    }

    /// Reads what may change between two connections: the password and the certificates.
    pub(crate) fn renew(&self, options: &mut rumqttc::MqttOptions) -> Result<(), LinkError> {
        if let Some(username) = &self.username {
            match self.secret()? {
                Some(password) => options.set_credentials(username.clone(), password.text().as_bytes().to_vec()),
                None => options.set_username(username.clone()),
            };
        }
        if let Some(tls) = &self.tls {
            options.set_transport(tls.transport()?);
        }
        Ok(())
    }

    fn secret(&self) -> Result<Option<Password>, LinkError> {
        let Some(file) = &self.password_file else { return Ok(self.password.clone()) };
        let text = std::fs::read_to_string(file).map_err(|error| LinkError::file("password", file, &error.to_string()))?;
        Ok(Some(text.lines().next().unwrap_or_default().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let config = LinkConfig { password: Some("hunter2".into()), ..LinkConfig::new("127.0.0.1", 1883, "a") };
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_password_without_a_name_is_refused() {
        let config = LinkConfig { password: Some("x".into()), ..LinkConfig::new("127.0.0.1", 1883, "a") };
        assert!(matches!(config.options(), Err(LinkError::Config(text)) if text.contains("username")));
    }
}
