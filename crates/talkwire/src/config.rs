//! The configuration: defaults that run alone, then `talkwire.toml`, then `TALKWIRE_*` and `.env`, then flags.

mod elsewhere;

pub use elsewhere::{Elsewhere, OutsideBroker};

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use talkwire_broker::{BrokerConfig, Limits, Listener};
use talkwire_proto::limits;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of the database, the keys and the owner's token.
    pub data: PathBuf,
    /// Address of the console, the HTTP API and the status pages.
    pub http: SocketAddr,
    /// Addresses of the MQTT broker (TCP; MQTT 3.1.1 and 5 on each).
    pub mqtt: Vec<SocketAddr>,
    /// Address of MQTT over WebSocket.
    pub ws: SocketAddr,
    /// Address of gRPC. Kept for the door that serves it.
    pub grpc: SocketAddr,
    /// A port that serves nothing but the other end of speed tests, for devices that do not run on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speedtest: Option<SocketAddr>,
    /// Folder with tool entries of your own: `tools/*.toml` in it is read beside the built-in catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog: Option<PathBuf>,
    /// Bounds of the broker.
    pub limits: LimitConfig,
    /// A broker that is there already, instead of the embedded one.
    pub broker: OutsideBroker,
}

/// Bounds of the broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitConfig {
    /// Largest message, in bytes; at least 20,480.
    pub max_message_bytes: usize,
    /// Most connections at a time.
    pub max_connections: usize,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self { max_message_bytes: limits::MESSAGE_BYTES, max_connections: 10_000 }
    }
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            data: "talkwire-data".into(),
            http: local(5000),
            mqtt: vec![local(1883), local(8884)],
            ws: local(8885),
            grpc: local(50051),
            speedtest: None,
            catalog: None,
            limits: LimitConfig::default(),
            broker: OutsideBroker::default(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("E_CONFIG: {path} cannot be read")]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what is wanted: the message points at the line.
    #[error("E_CONFIG: {path} is not a valid configuration; `talkwire config` prints one\n{why}")]
    Parse {
        /// Which one.
        path: PathBuf,
        /// Where and why, with the line.
        why: String,
    },
    /// A variable or flag with a wrong value.
    #[error("E_CONFIG: {name} is {value:?}, but must be {wanted}")]
    Value {
        /// Which one.
        name: String,
        /// What was given.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The folder of tool entries cannot be used.
    #[error("E_CONFIG: the catalogue folder {path} {why}")]
    Catalog {
        /// The folder or file.
        path: PathBuf,
        /// Where and why, and what to do.
        why: String,
    },
    /// Listening beyond this machine with the door open.
    #[error(
        "E_OPEN_REFUSED: {0} can be reached from other machines, but no access control is set up; listen on 127.0.0.1, or put a proxy with a login in front and forward to it"
    )]
    Open(SocketAddr),
    /// The broker elsewhere cannot be used as it is configured.
    #[error("E_CONFIG: the broker cannot be used: {0}")]
    Broker(crate::broker_url::BadUrl),
    /// The broker elsewhere does not take what we need, or TLS files are missing.
    #[error("{0}")]
    Outside(String),
}

// Not `#[from]`: a source that is in the sentence already would be printed twice.
impl From<crate::broker_url::BadUrl> for ConfigError {
    fn from(error: crate::broker_url::BadUrl) -> Self {
        Self::Broker(error)
    }
}

/// Addresses given on the command line; each wins over file and variable.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Configuration file [default: talkwire.toml when it is there].
    #[arg(long, value_name = "FILE", env = "TALKWIRE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder of the database, the keys and the owner's token.
    #[arg(long, value_name = "DIR", env = "TALKWIRE_DATA")]
    pub data: Option<PathBuf>,
    /// Address of the console and the HTTP API, for example 127.0.0.1:5000.
    #[arg(long, value_name = "ADDR", env = "TALKWIRE_HTTP")]
    pub http: Option<SocketAddr>,
    /// Address of the MQTT broker; repeat it for several.
    #[arg(long, value_name = "ADDR", env = "TALKWIRE_MQTT", value_delimiter = ',')]
    pub mqtt: Vec<SocketAddr>,
    /// Address of MQTT over WebSocket.
    #[arg(long, value_name = "ADDR", env = "TALKWIRE_WS")]
    pub ws: Option<SocketAddr>,
    /// Address of gRPC (accepted; served by a later version).
    #[arg(long, value_name = "ADDR", env = "TALKWIRE_GRPC")]
    pub grpc: Option<SocketAddr>,
    /// Use a broker that is there already instead of the embedded one: mqtt(s)://[user[:password]@]host[:port].
    #[arg(long, value_name = "URL", env = "TALKWIRE_BROKER", hide_env_values = true)]
    pub broker: Option<String>,
    /// Folder with tool entries of your own (DIR/tools/*.toml), beside the built-in catalogue.
    #[arg(long, value_name = "DIR", env = "TALKWIRE_CATALOG")]
    pub catalog: Option<PathBuf>,
    /// Write one JSON line with the bound addresses here when everything accepts.
    #[arg(long, value_name = "FILE", env = "TALKWIRE_READY_FILE")]
    pub ready_file: Option<PathBuf>,
    /// Print JSON for programs.
    #[arg(long)]
    pub json: bool,
}

impl Config {
    /// Puts the layers together: defaults, file, `.env` of the chat document, variables and flags.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let default_path = Path::new("talkwire.toml");
        let mut config = match &flags.config {
            Some(path) => Self::read(path)?,
            None if default_path.exists() => Self::read(default_path)?,
            None => Self::default(),
        };
        config.apply_dotenv(&dotenv(Path::new(".env")))?;
        if let Some(data) = &flags.data {
            config.data.clone_from(data);
        }
        if !flags.mqtt.is_empty() {
            config.mqtt.clone_from(&flags.mqtt);
        }
        if flags.broker.is_some() {
            config.broker.url.clone_from(&flags.broker);
        }
        if flags.catalog.is_some() {
            config.catalog.clone_from(&flags.catalog);
        }
        config.http = flags.http.unwrap_or(config.http);
        config.ws = flags.ws.unwrap_or(config.ws);
        config.grpc = flags.grpc.unwrap_or(config.grpc);
        config.check()?;
        Ok(config)
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        toml::from_str(&text).map_err(|source: toml::de::Error| ConfigError::Parse { path: path.into(), why: source.to_string().trim_end().to_owned() })
    }

    /// `MQTT_ENABLE`, `MQTT_BROKER`, `MQTT_PORT` (`spec/chatroom-mqtt.md`): the real environment wins over the file.
    fn apply_dotenv(&mut self, file: &[(String, String)]) -> Result<(), ConfigError> {
        let value = |name: &str| std::env::var(name).ok().or_else(|| file.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()));
        let mut elsewhere = None;
        if let Some(host) = value("MQTT_BROKER").filter(|host| !matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1" | "")) {
            elsewhere = Some(host);
        }
        let mut given = None;
        if let Some(text) = value("MQTT_PORT") {
            let port: u16 = text.parse().map_err(|_| ConfigError::Value { name: "MQTT_PORT".into(), value: text, wanted: "a port from 0 to 65535" })?;
            given = Some(port);
            if let Some(first) = self.mqtt.first_mut() {
                first.set_port(port);
            }
        }
        if let Some(text) = value("MQTT_ENABLE") {
            match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => {}
                "false" | "0" | "no" | "off" => {
                    self.mqtt.clear();
                    return Ok(());
                }
                _ => return Err(ConfigError::Value { name: "MQTT_ENABLE".into(), value: text, wanted: "true or false" }),
            }
        }
        if let Some(host) = elsewhere {
            self.broker.url = Some(dotenv_url(&host, given));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        for addr in self.mqtt.iter().chain([&self.http, &self.ws]) {
            if !addr.ip().is_loopback() {
                return Err(ConfigError::Open(*addr));
            }
        }
        self.outside()?;
        let bytes = self.limits.max_message_bytes;
        if !(limits::WEB_MESSAGE_BYTES..=16 * 1024 * 1024).contains(&bytes) {
            return Err(ConfigError::Value { name: "limits.max_message_bytes".into(), value: bytes.to_string(), wanted: "from 20480 to 16777216" });
        }
        Ok(())
    }

    /// The broker that is there already, checked; `None`: the embedded one is used.
    pub fn outside(&self) -> Result<Option<Elsewhere>, ConfigError> {
        self.broker.check()
    }

    /// The embedded broker's part. With a broker elsewhere, only the console's WebSocket door is left of it.
    pub fn embedded(&self) -> BrokerConfig {
        let tcp = if self.broker.url.is_some() { &[] } else { self.mqtt.as_slice() };
        let listeners = tcp.iter().map(|addr| Listener::tcp(*addr)).chain([Listener::web_socket(self.ws)]).collect();
        let limits = Limits { max_packet_bytes: self.limits.max_message_bytes + 1024, max_connections: self.limits.max_connections, ..Limits::default() };
        BrokerConfig { listeners, limits }
    }

    /// The default configuration as a commented file.
    pub fn commented_default() -> &'static str {
        include_str!("config/default.toml")
    }
}

/// The chat document names host and port alone; on the port that is registered for it, MQTT goes through TLS.
fn dotenv_url(host: &str, port: Option<u16>) -> String {
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let port = port.unwrap_or(1883);
    let scheme = if port == 8883 { "mqtts" } else { "mqtt" };
    format!("{scheme}://{host}:{port}")
}

/// Lines `NAME=value` of a `.env` file; comments and quotes are taken away.
fn dotenv(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or(line).trim()).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().trim_start_matches("export ").to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_default_is_the_default() {
        let parsed: Config = toml::from_str(Config::commented_default()).unwrap();
        assert_eq!(parsed, Config::default());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("talkwire.toml");
        std::fs::write(&path, "http = \"127.0.0.1:5000\"\nhtpp = 1\n").unwrap();
        let error = Config::read(&path).unwrap_err().to_string();
        assert!(error.contains("htpp") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn listening_beyond_this_machine_is_refused_while_the_door_is_open() {
        let config = Config { http: "0.0.0.0:5000".parse().unwrap(), ..Config::default() };
        assert!(matches!(config.check(), Err(ConfigError::Open(_))));
    }

    #[test]
    fn the_chat_documents_env_file_is_honoured() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        std::fs::write(
            &path,
            "# MQTT配置\nMQTT_ENABLE=true              # 启用MQTT服务\nMQTT_BROKER=localhost         # 地址\nMQTT_PORT=2883               # 端口\n",
        )
        .unwrap();
        let mut config = Config::default();
        config.apply_dotenv(&dotenv(&path)).unwrap();
        assert_eq!(config.mqtt[0].port(), 2883);
        assert!(config.apply_dotenv(&[("MQTT_PORT".into(), "lots".into())]).is_err());
        assert_eq!(config.broker.url, None, "the broker named is this machine's own");
        config.apply_dotenv(&[("MQTT_BROKER".into(), "broker.example".into()), ("MQTT_PORT".into(), "8883".into())]).unwrap();
        assert_eq!(config.broker.url.as_deref(), Some("mqtts://broker.example:8883"));
        assert!(config.embedded().listeners.iter().all(|listener| listener.addr == config.ws), "only the console's door is left");
    }
}
