//! Reads the configuration file of `rumqttd`, so that an existing one keeps its meaning (PROTOCOL.md §8).

use crate::config::{BrokerConfig, Limits, Listener, ListenerKind};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use toml::{Table, Value};

/// The sections that name listeners. Each of our listeners speaks both versions, so `v4` and `v5` mean the same.
const SECTIONS: [(&str, ListenerKind); 3] = [("v4", ListenerKind::Tcp), ("v5", ListenerKind::Tcp), ("ws", ListenerKind::WebSocket)];
/// Room for topic and properties around `max_payload_size`.
const HEADER_ROOM: usize = 2 * 1024;
const SMALLEST_PACKET: usize = 1024;

/// What a `rumqttd.toml` says, in our words.
#[derive(Debug, Clone, PartialEq)]
pub struct RumqttdToml {
    /// The listeners and limits that were understood; limits that the file does not name are ours.
    pub config: BrokerConfig,
    /// For each key that cannot be kept: its name and why. Meant for a person.
    pub not_kept: Vec<String>,
}

/// Why a `rumqttd.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RumqttdTomlError {
    /// It is not TOML.
    #[error("this is no TOML file")]
    Syntax(#[from] toml::de::Error),
    /// A key has a value that it cannot have.
    #[error("`{key}` must be {expected}")]
    Value {
        /// The whole name of the key.
        key: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A listener without an address.
    #[error("`{section}` has no `listen`, give it an address such as \"127.0.0.1:1883\"")]
    NoListen {
        /// The section of the listener.
        section: String,
    },
    /// No `[v4.N]`, `[v5.N]` or `[ws.N]`.
    #[error("no listener in the file, add a section such as `[v4.1]` with `listen = \"127.0.0.1:1883\"`")]
    NoListener,
}

impl RumqttdToml {
    /// Understands the text of a file. The limits of several listeners become one set that suits all of them, since
    /// ours belong to the whole broker.
    ///
    /// # Errors
    ///
    /// When it is no TOML, has no listener, or a value has the wrong type.
    pub fn parse(text: &str) -> Result<Self, RumqttdTomlError> {
        let file: Table = text.parse()?;
        let mut reader = Reader::default();
        for (name, value) in &file {
            match SECTIONS.iter().find(|(section, _)| section == name) {
                Some((_, kind)) => reader.listeners(name, *kind, value)?,
                None => reader.top_level(name, value),
            }
        }
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    listeners: Vec<Listener>,
    /// Largest value of each limit over all listeners, by key.
    widest: BTreeMap<&'static str, u64>,
    differing: Vec<&'static str>,
    router: BTreeMap<&'static str, u64>,
    not_kept: Vec<String>,
}

impl Reader {
    fn listeners(&mut self, section: &str, kind: ListenerKind, value: &Value) -> Result<(), RumqttdTomlError> {
        for (number, listener) in table(section, value)? {
            let name = format!("{section}.{number}");
            let fields = table(&name, listener)?;
            let mut listen = None;
            for (key, value) in fields {
                let key_name = format!("{name}.{key}");
                match key.as_str() {
                    "name" => {}
                    "listen" => listen = Some(address(&key_name, value)?),
                    "connections" => self.connections(&key_name, value)?,
                    "next_connection_delay_ms" => {
                        if number_of(&key_name, value)? > 1 {
                            self.drop_key(&key_name, "connections are accepted without a pause");
                        }
                    }
                    "tls" => self.drop_key(&key_name, "certificates are set in talkwire.toml"),
                    _ => self.drop_key(&key_name, "unknown key"),
                }
            }
            let addr = listen.ok_or(RumqttdTomlError::NoListen { section: name })?;
            self.listeners.push(Listener { addr, kind });
        }
        Ok(())
    }

    fn connections(&mut self, name: &str, value: &Value) -> Result<(), RumqttdTomlError> {
        for (key, value) in table(name, value)? {
            let key_name = format!("{name}.{key}");
            match key.as_str() {
                "connection_timeout_ms" => self.widen("connection_timeout_ms", &key_name, value)?,
                "max_client_id_len" => self.widen("max_client_id_len", &key_name, value)?,
                "max_payload_size" => self.widen("max_payload_size", &key_name, value)?,
                "max_inflight_count" => self.widen("max_inflight_count", &key_name, value)?,
                "max_inflight_size" => {
                    number_of(&key_name, value)?;
                    self.drop_key(&key_name, "unfinished messages are bounded by max_inflight_count and max_payload_size");
                }
                "throttle_delay_ms" => {
                    if number_of(&key_name, value)? > 0 {
                        self.drop_key(&key_name, "a fast client is slowed by its own acknowledgements");
                    }
                }
                // In rumqttd false by default, and then client ids are as the client sends them.
                "dynamic_filters" => {}
                _ => self.drop_key(&key_name, "unknown key"),
            }
        }
        Ok(())
    }

    fn top_level(&mut self, name: &str, value: &Value) {
        match (name, value) {
            ("id", _) => {}
            ("router", Value::Table(fields)) => {
                for (key, value) in fields {
                    match (key.as_str(), value.as_integer().and_then(|n| u64::try_from(n).ok())) {
                        ("max_connections", Some(n)) => {
                            self.router.insert("max_connections", n);
                        }
                        ("max_outgoing_packet_count", Some(n)) => {
                            self.router.insert("max_outgoing_packet_count", n);
                        }
                        _ => self.drop_key(&format!("router.{key}"), "the broker keeps its messages in another way"),
                    }
                }
            }
            _ => self.drop_key(name, "this broker has no such part"),
        }
    }

    fn widen(&mut self, key: &'static str, name: &str, value: &Value) -> Result<(), RumqttdTomlError> {
        let value = number_of(name, value)?;
        let known = *self.widest.entry(key).or_insert(value);
        if known != value {
            self.differing.push(key);
            self.widest.insert(key, known.max(value));
        }
        Ok(())
    }

    fn drop_key(&mut self, key: &str, why: &str) {
        self.not_kept.push(format!("{key}: {why}"));
    }

    fn finish(mut self) -> Result<RumqttdToml, RumqttdTomlError> {
        if self.listeners.is_empty() {
            return Err(RumqttdTomlError::NoListener);
        }
        self.differing.sort_unstable();
        self.differing.dedup();
        for key in std::mem::take(&mut self.differing) {
            let largest = self.widest[key];
            self.drop_key(&format!("*.connections.{key}"), &format!("differs between listeners, the largest ({largest}) holds for all"));
        }
        let mut limits = Limits::default();
        let sized = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        if let Some(&ms) = self.widest.get("connection_timeout_ms") {
            limits.connect_timeout = Duration::from_millis(ms);
        }
        if let Some(&bytes) = self.widest.get("max_client_id_len") {
            limits.max_client_id_bytes = sized(bytes).min(usize::from(u16::MAX));
        }
        if let Some(&bytes) = self.widest.get("max_payload_size") {
            limits.max_packet_bytes = sized(bytes).saturating_add(HEADER_ROOM).clamp(SMALLEST_PACKET, 268_435_455);
        }
        if let Some(&count) = self.widest.get("max_inflight_count") {
            limits.max_inflight = u16::try_from(count).unwrap_or(u16::MAX).max(1);
        }
        if let Some(&count) = self.router.get("max_connections") {
            limits.max_connections = sized(count).max(1);
        }
        if let Some(&count) = self.router.get("max_outgoing_packet_count") {
            limits.max_lane = sized(count).clamp(1, 65_536);
        }
        Ok(RumqttdToml { config: BrokerConfig { listeners: self.listeners, limits }, not_kept: self.not_kept })
    }
}

fn table<'a>(key: &str, value: &'a Value) -> Result<&'a Table, RumqttdTomlError> {
    value.as_table().ok_or_else(|| wrong(key, "a section with keys"))
}

fn address(key: &str, value: &Value) -> Result<SocketAddr, RumqttdTomlError> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| wrong(key, "an address with a port, such as \"127.0.0.1:1883\""))
}

fn number_of(key: &str, value: &Value) -> Result<u64, RumqttdTomlError> {
    value.as_integer().and_then(|number| u64::try_from(number).ok()).ok_or_else(|| wrong(key, "a whole number, zero or more"))
}

fn wrong(key: &str, expected: &'static str) -> RumqttdTomlError {
    RumqttdTomlError::Value { key: key.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As printed in the WebSocket document.
    const DOCUMENT: &str = r#"
[ws.1]
name = "ws-1"
listen = "0.0.0.0:8885"  # WebSocket 端口
next_connection_delay_ms = 1
    [ws.1.connections]
    connection_timeout_ms = 60000
    max_client_id_len = 256
    throttle_delay_ms = 0
    max_payload_size = 20480
    max_inflight_count = 500
    max_inflight_size = 1024
"#;

    #[test]
    fn the_documents_own_file_keeps_its_meaning_but_for_one_key_that_is_named() {
        let read = RumqttdToml::parse(DOCUMENT).unwrap();
        let listener = Listener::web_socket("0.0.0.0:8885".parse().unwrap());
        assert_eq!(read.config.listeners, [listener]);
        let limits = &read.config.limits;
        assert_eq!(limits.connect_timeout, Duration::from_secs(60));
        assert_eq!(limits.max_client_id_bytes, 256);
        assert_eq!(limits.max_packet_bytes, 20_480 + HEADER_ROOM);
        assert_eq!(limits.max_inflight, 500);
        assert_eq!(limits.max_topic_bytes, Limits::default().max_topic_bytes);
        assert_eq!(read.not_kept.len(), 1, "{:?}", read.not_kept);
        assert!(read.not_kept[0].starts_with("ws.1.connections.max_inflight_size: "));
    }

    #[test]
    fn listeners_of_both_versions_become_tcp_listeners_and_the_widest_limit_holds() {
        let read = RumqttdToml::parse(
            r#"
            id = 0
            [router]
            max_connections = 10010
            max_segment_size = 104857600
            [v4.1]
            name = "v4-1"
            listen = "127.0.0.1:1883"
            next_connection_delay_ms = 1
            [v4.1.connections]
            max_payload_size = 20480
            throttle_delay_ms = 5
            [v5.1]
            listen = "[::1]:1884"
            [v5.1.connections]
            max_payload_size = 40960
            [prometheus]
            listen = "127.0.0.1:9042"
            "#,
        )
        .unwrap();
        let tcp = |text: &str| Listener::tcp(text.parse().unwrap());
        let expected = [tcp("127.0.0.1:1883"), tcp("[::1]:1884")];
        assert_eq!(read.config.listeners, expected);
        assert_eq!(read.config.limits.max_packet_bytes, 40_960 + HEADER_ROOM);
        assert_eq!(read.config.limits.max_connections, 10_010);
        let mut names: Vec<_> = read.not_kept.iter().filter_map(|line| Some(line.split_once(':')?.0)).collect();
        names.sort_unstable();
        let expected = ["*.connections.max_payload_size", "prometheus", "router.max_segment_size", "v4.1.connections.throttle_delay_ms"];
        assert_eq!(names, expected);
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        let error = |text: &str| RumqttdToml::parse(text).unwrap_err().to_string();
        assert_eq!(error("[v4.1]\nlisten = 1883"), "`v4.1.listen` must be an address with a port, such as \"127.0.0.1:1883\"");
        assert_eq!(
            error("[ws.2]\nlisten = '127.0.0.1:1'\nconnections.max_client_id_len = -1"),
            "`ws.2.connections.max_client_id_len` must be a whole number, zero or more"
        );
        assert!(error("[ws.2]\nname = 'x'").starts_with("`ws.2` has no `listen`"));
        assert!(error("id = 0").starts_with("no listener in the file"));
        assert!(error("v4 = 3").starts_with("`v4` must be a section"));
        assert!(error("[v4").starts_with("this is no TOML"));
    }
}
