//! The configuration of a Linux device: which broker, who it is, what its hands may touch, and commands as tools.

mod secret;

use crate::exec::{ExecClass, ExecEntry};
use crate::identity;
use crate::root::Root;
use crate::surroundings::Surroundings;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use talkwire_device::broker_url::BadUrl;
use talkwire_device::{Attributes, Broker, BrokerUrl, DeviceConfig, FernetKey, OutboxConfig, OutboxPlace, Tls};
use talkwire_proto::DeviceKey;
use talkwire_proto::id::DeviceId;
use toml::Spanned;

/// Everything that can be set. An unknown key is refused.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the broker is.
    pub broker: BrokerSettings,
    /// Who the device is.
    pub device: DeviceSettings,
    /// What waits for the broker.
    pub outbox: OutboxSettings,
    /// What the tests measure against, and what the line should carry.
    pub surroundings: Surroundings,
    /// Wi-Fi: how hostapd is reached.
    pub wifi: WifiSettings,
    /// Traffic control: which ports are shaped.
    pub qos: QosSettings,
    /// Addresses and names: which file of dnsmasq belongs to Talkwire.
    pub dhcpdns: DhcpDnsSettings,
    /// Services that may be restarted, by the name that people use.
    pub services: BTreeMap<String, Service>,
    /// Commands as tools, by op.
    pub exec: BTreeMap<String, Spanned<ExecEntry>>,
}

/// `[broker]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerSettings {
    /// `mqtt(s)://[user[:password]@]host[:port]`, or `host:port`; 1883, with TLS 8883, when no port is given. Never printed with its password.
    #[serde(serialize_with = "without_password")]
    pub url: String,
    /// User name, when the broker asks for one.
    pub username: Option<String>,
    /// File whose first line is the password or token; it is read at every connect, so that it can be renewed.
    pub password_file: Option<PathBuf>,
    /// File (PEM) with the authorities that may sign the broker's certificate. Default: those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// File (PEM) with our own certificate and its chain, for brokers that ask for one.
    pub certificate_file: Option<PathBuf>,
    /// File (PEM) with the private key of the certificate.
    pub key_file: Option<PathBuf>,
    /// Protocol names offered to the broker, for example `mqtt`; most brokers want none.
    pub alpn: Vec<String>,
    /// File with the key that payloads are encrypted with; a compatibility option, TLS protects more.
    pub fernet_key_file: Option<PathBuf>,
}

/// `[device]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceSettings {
    /// Tenant.
    pub tenant: String,
    /// Site.
    pub site: String,
    /// Device id. Default: the MAC address of the first real port, twelve hex digits.
    pub device_id: Option<String>,
    /// Type. Default: `access_point`, `router` or `linux`, by what the machine does.
    pub device_type: Option<String>,
    /// The name that people use. Default: the host name.
    pub name: Option<String>,
    /// Who made it. Default: what the machine says of itself, else of a part of it, which is then said.
    pub manufacturer: Option<String>,
    /// Which one it is. Default: as for `manufacturer`.
    pub model: Option<String>,
    /// The number on its label.
    pub serial_number: Option<String>,
    /// Groups whose commands the device takes.
    pub groups: Vec<String>,
    /// Folder of the change journal and the outbox. Default: `talkwire-data/DEVICE_ID`.
    pub data: Option<PathBuf>,
    /// How often the state is said when it does not change, in seconds.
    pub state_period_s: u64,
}

/// `[outbox]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboxSettings {
    /// The file. Default: `outbox.db` in the data folder.
    pub file: Option<PathBuf>,
    /// How many messages wait at most; one more, and the oldest is dropped and counted.
    pub max_messages: usize,
    /// How many bytes of topics and payloads wait at most.
    pub max_bytes: usize,
}

/// `[wifi]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WifiSettings {
    /// Folder of hostapd's control sockets.
    pub hostapd: PathBuf,
}

/// `[qos]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QosSettings {
    /// Port towards the clients; what leaves here is the download. Default: the only bridge, else the only other port.
    pub down_interface: Option<String>,
}

/// `[dhcpdns]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DhcpDnsSettings {
    /// The drop-in file of dnsmasq that belongs to Talkwire alone; it must be read by dnsmasq (`conf-dir`).
    pub drop_in: PathBuf,
    /// Program and arguments that let dnsmasq read it. Default: the service `dnsmasq` is restarted.
    pub reload: Vec<String>,
}

/// A service that may be restarted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Service {
    /// A unit of systemd or an init script of procd.
    Unit(String),
    /// Programs with their arguments.
    Programs {
        /// Restarts it.
        restart: Vec<String>,
        /// Succeeds when it runs.
        check: Vec<String>,
    },
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            url: "mqtt://127.0.0.1:1883".into(),
            username: None,
            password_file: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            alpn: Vec::new(),
            fernet_key_file: None,
        }
    }
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self {
            tenant: "home".into(),
            site: "living".into(),
            device_id: None,
            device_type: None,
            name: None,
            manufacturer: None,
            model: None,
            serial_number: None,
            groups: Vec::new(),
            data: None,
            state_period_s: 300,
        }
    }
}

impl Default for OutboxSettings {
    fn default() -> Self {
        let OutboxConfig { max_messages, max_bytes, .. } = OutboxConfig::default();
        Self { file: None, max_messages, max_bytes }
    }
}

impl Default for WifiSettings {
    fn default() -> Self {
        Self { hostapd: "/var/run/hostapd".into() }
    }
}

impl Default for DhcpDnsSettings {
    fn default() -> Self {
        Self { drop_in: "/etc/dnsmasq.d/talkwire.conf".into(), reload: Vec::new() }
    }
}

/// Why a configuration cannot be used. The text says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("E_CONFIG: {path} cannot be read: {source}")]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what is wanted; the message points at the line.
    #[error("E_CONFIG: {path} is not a valid configuration; `talkwire device --example-config` prints one\n{source}")]
    Parse {
        /// Which one.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value that does not fit.
    #[error("E_CONFIG: {name} is {value:?}, but must be {wanted}")]
    Value {
        /// Which one.
        name: String,
        /// What was given.
        value: String,
        /// What it must be.
        wanted: String,
    },
    /// An address that cannot be read. What was given is not shown: it may hold a password.
    #[error("E_CONFIG: {name} cannot be used: {error}")]
    Broker {
        /// Which one.
        name: &'static str,
        /// What is wrong, and how an address looks.
        error: BadUrl,
    },
    /// A file with a secret that others may read.
    #[error("E_CONFIG: {path} holds a secret and can be read by every user of this machine (mode {mode:04o}); write `chmod 0600 {path}`")]
    Open {
        /// Which one.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// An entry of `[exec]` that does not fit.
    #[error("E_CONFIG: {path}, line {line}: exec.\"{op}\": {why}")]
    Exec {
        /// The file.
        path: PathBuf,
        /// The line of the entry's first key.
        line: usize,
        /// The entry.
        op: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// The machine has no port whose address could name the device.
    #[error("E_CONFIG: no port of this machine has a MAC address to take as the device id; give one with --device-id or device.device_id")]
    NoId,
}

fn wrong(name: &str, value: impl Into<String>, wanted: impl Into<String>) -> SettingsError {
    SettingsError::Value { name: name.into(), value: value.into(), wanted: wanted.into() }
}

impl Settings {
    /// The default configuration as a commented file.
    pub fn commented_default() -> &'static str {
        include_str!("settings/default.toml")
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read, or is not a configuration: with the line.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.into(), source })?;
        Self::parse(path, &text)
    }

    /// Checks the text of a file; `path` is for the messages.
    ///
    /// # Errors
    /// When it is not a configuration: with the line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text).map_err(|source| SettingsError::Parse { path: path.into(), source: Box::new(source) })?;
        for (name, service) in &settings.services {
            service.check().map_err(|why| wrong(&format!("services.{name}"), service.shown(), why))?;
        }
        settings.surroundings.check().map_err(|(name, value, wanted)| wrong(&format!("surroundings.{name}"), value, wanted))?;
        if settings.dhcpdns.reload.first().is_some_and(|program| !program.starts_with('/')) {
            return Err(wrong("dhcpdns.reload", settings.dhcpdns.reload.join(" "), "a program with an absolute path, and its arguments"));
        }
        for (op, entry) in &settings.exec {
            entry.get_ref().check(op).map_err(|why| {
                let line = text.get(..entry.span().start).map_or(1, |before| before.matches('\n').count() + 1);
                SettingsError::Exec { path: path.into(), line, op: op.clone(), why }
            })?;
        }
        Ok(settings)
    }

    /// The entries of `[exec]` as a file of the server's catalogue of tools. The person decides what each does to the world: what is not
    /// in `decided` stands there as what is most careful, a change that needs an administrator.
    ///
    /// # Errors
    /// When there is no such entry, or what was decided does not fit it.
    pub fn catalogue(&self, decided: &BTreeMap<String, ExecClass>) -> Result<String, SettingsError> {
        if self.exec.is_empty() {
            return Err(wrong("exec", "empty", "one entry or more, such as [exec.\"fan.read\"], before there is something to print"));
        }
        if let Some(op) = decided.keys().find(|op| !self.exec.contains_key(*op)) {
            let known: Vec<_> = self.exec.keys().map(String::as_str).collect();
            return Err(wrong("--class", op, format!("one of {}", known.join(", "))));
        }
        let entries = self.exec.iter().map(|(op, entry)| {
            entry
                .get_ref()
                .catalogue(op, decided.get(op).copied())
                .map_err(|why| wrong("--class", format!("{op}={}", decided.get(op).map_or("", |class| class.word())), why))
        });
        Ok(format!("{}{}", crate::exec::HEAD, entries.collect::<Result<Vec<_>, _>>()?.concat()))
    }

    /// The device that these settings describe on the machine below the root.
    ///
    /// # Errors
    /// When a value does not fit, or nothing can name the device.
    pub fn device(&self, root: &Root) -> Result<DeviceConfig, SettingsError> {
        let DeviceSettings { tenant, site, device_id, device_type, groups, data, state_period_s, .. } = &self.device;
        let id = match device_id {
            Some(id) => DeviceId::from_door(id).map_err(|error| wrong("device.device_id", id, format!("a device id: {error}")))?,
            None => identity::device_id(root).ok_or(SettingsError::NoId)?,
        };
        let key = DeviceKey {
            tenant: tenant.parse().map_err(|error| wrong("device.tenant", tenant, format!("a name: {error}")))?,
            site: site.parse().map_err(|error| wrong("device.site", site, format!("a name: {error}")))?,
            device_id: id,
        };
        let device_type = device_type.clone().unwrap_or_else(|| identity::device_type(root).into());
        if device_type.is_empty() || device_type.len() > 32 || !device_type.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            return Err(wrong("device.device_type", device_type, "1-32 small letters, digits and _"));
        }
        if !(10..=3600).contains(state_period_s) {
            return Err(wrong("device.state_period_s", state_period_s.to_string(), "from 10 to 3600"));
        }
        let groups = groups.iter().map(|group| group.parse().map_err(|error| wrong("device.groups", group, format!("names: {error}"))));
        let groups = groups.collect::<Result<_, _>>()?;
        let config = DeviceConfig::new(key, device_type, self.broker.broker()?);
        Ok(DeviceConfig {
            data_dir: data.clone().unwrap_or(config.data_dir),
            state_period: Duration::from_secs(*state_period_s),
            outbox: self.outbox.config()?,
            fernet_key: self.broker.fernet_key()?,
            attributes: self.device.attributes()?,
            groups,
            ..config
        })
    }
}

impl DeviceSettings {
    /// What the configuration says of the device; the machine says the rest.
    fn attributes(&self) -> Result<Attributes, SettingsError> {
        let told = |field: &str, text: &Option<String>| match text {
            Some(text) if text.trim().is_empty() || text.chars().count() > 64 || text.chars().any(char::is_control) => {
                Err(wrong(&format!("device.{field}"), text, "1-64 characters"))
            }
            _ => Ok(text.clone()),
        };
        Ok(Attributes {
            name: told("name", &self.name)?,
            manufacturer: told("manufacturer", &self.manufacturer)?,
            model: told("model", &self.model)?,
            serial_number: told("serial_number", &self.serial_number)?,
            ..Attributes::default()
        })
    }
}

impl Service {
    fn check(&self) -> Result<(), &'static str> {
        let is_plain = |unit: &str| !unit.starts_with(['-', '.']) && unit.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@'));
        let is_program = |words: &[String]| words.first().is_some_and(|program| program.starts_with('/'));
        match self {
            Self::Unit(unit) if unit.is_empty() || !is_plain(unit) => Err("the name of a unit, such as dnsmasq"),
            Self::Programs { restart, check } if !is_program(restart) || !is_program(check) => Err("programs with absolute paths, and their arguments"),
            _ => Ok(()),
        }
    }

    /// As it stands in the file.
    fn shown(&self) -> String {
        match self {
            Self::Unit(unit) => unit.clone(),
            Self::Programs { restart, check } => format!("restart = {restart:?}, check = {check:?}"),
        }
    }
}

fn without_password<S: Serializer>(url: &str, to: S) -> Result<S::Ok, S::Error> {
    // What is no address may hold anything, so it is not shown either.
    url.parse::<BrokerUrl>().map_or_else(|_| "…".to_owned(), |url| url.to_string()).serialize(to)
}

impl OutboxSettings {
    fn config(&self) -> Result<OutboxConfig, SettingsError> {
        let Self { file, max_messages, max_bytes } = self;
        if !(1..=10_000_000).contains(max_messages) {
            return Err(wrong("outbox.max_messages", max_messages.to_string(), "from 1 to 10000000"));
        }
        if !(64 * 1024..=1 << 40).contains(max_bytes) {
            return Err(wrong("outbox.max_bytes", max_bytes.to_string(), "at least 65536"));
        }
        let place = file.clone().map_or(OutboxPlace::DataDir, OutboxPlace::File);
        Ok(OutboxConfig { place, max_messages: *max_messages, max_bytes: *max_bytes })
    }
}

impl BrokerSettings {
    /// The address, read. Its `Display` shows no password.
    ///
    /// # Errors
    /// When it is no address: without the text, which may hold a password.
    pub fn address(&self) -> Result<BrokerUrl, SettingsError> {
        self.url.parse().map_err(|error| SettingsError::Broker { name: "broker.url", error })
    }

    fn broker(&self) -> Result<Broker, SettingsError> {
        let url = self.address()?;
        let files = [&self.password_file, &self.ca_file, &self.certificate_file, &self.key_file];
        for path in files.into_iter().flatten() {
            // They are read at every connect; that they can be read at all is better known now.
            std::fs::File::open(path).map_err(|source| SettingsError::Read { path: path.clone(), source })?;
        }
        secret::check([&self.password_file, &self.key_file, &self.fernet_key_file].into_iter().flatten())?;
        // What stands in the URL wins: it comes from the flag or the environment.
        let broker = Broker {
            username: url.username.or_else(|| self.username.clone()),
            password_file: self.password_file.clone().filter(|_| url.password.is_none()),
            password: url.password.map(Into::into),
            ..Broker::open(url.host, url.port)
        };
        if url.tls {
            return Ok(Broker { tls: Some(self.tls()?), ..broker });
        }
        let plain =
            |name: &str, given: bool| if given { Err(wrong(name, "given", "left out with mqtt://, or the URL must begin with mqtts://")) } else { Ok(()) };
        plain("broker.ca_file", self.ca_file.is_some())?;
        plain("broker.certificate_file", self.certificate_file.is_some())?;
        plain("broker.key_file", self.key_file.is_some())?;
        Ok(broker)
    }

    fn tls(&self) -> Result<Tls, SettingsError> {
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return Err(wrong("broker.certificate_file", "one of two", "given together with broker.key_file"));
        }
        Ok(Tls {
            ca: self.ca_file.clone(),
            system_roots: self.ca_file.is_none(),
            certificate: self.certificate_file.clone(),
            key: self.key_file.clone(),
            alpn: self.alpn.clone(),
        })
    }

    fn fernet_key(&self) -> Result<Option<FernetKey>, SettingsError> {
        let Some(path) = &self.fernet_key_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.clone(), source })?;
        // What is in the file is never repeated.
        let key =
            text.trim().parse().map_err(|_| wrong("broker.fernet_key_file", path.display().to_string(), "a file with a key: 32 bytes in base64 with - and _"));
        key.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse(Path::new("device.toml"), text)
    }

    #[test]
    fn the_commented_default_is_the_default() {
        assert_eq!(parse(Settings::commented_default()).unwrap(), Settings::default());
    }

    #[test]
    fn a_login_in_the_url_is_used_and_never_shown() {
        let settings = parse("[device]\ndevice_id = 'a'\n[broker]\nurl = 'mqtts://hub:hunter2@b.example'\npassword_file = '/dev/null'\n").unwrap();
        let broker = settings.device(&Root::new("/nowhere")).unwrap().broker;
        assert_eq!((broker.host.as_str(), broker.port, broker.username.as_deref()), ("b.example", 8883, Some("hub")));
        assert!(broker.password.is_some() && broker.password_file.is_none() && broker.tls.is_some());
        let shown = serde_json::to_string(&settings).unwrap() + &format!("{broker:?}");
        assert!(!shown.contains("hunter2") && shown.contains("mqtts://b.example:8883"), "{shown}");
        for wrong in ["http://hub:hunter2@h", "mqtt://:hunter2@h", "mqtt://hub:hunter2@h:port", "mqtt://hub:hunter2@h/x", "mqtt://[::1"] {
            let settings = parse(&format!("[device]\ndevice_id = 'a'\n[broker]\nurl = '{wrong}'\n")).unwrap();
            let said = settings.device(&Root::new("/nowhere")).unwrap_err().to_string();
            assert!(!said.contains("hunter2") && said.contains("broker.url") && said.contains("mqtt://host"), "{said}");
            assert!(!serde_json::to_string(&settings).unwrap().contains("hunter2"));
        }
    }

    #[test]
    fn surroundings_that_nothing_could_be_measured_against_are_refused() {
        for (text, hint) in [
            ("plan_down_mbps = -3", "surroundings.plan_down_mbps"),
            ("plan_up_mbps = nan", "above 0"),
            ("speed_server = 'ftp://x'", "http://"),
            ("speed_server = 'https://x'", "http://"),
            ("speed_server = 'http://'", "http://"),
            ("public = []", "three or more"),
            ("public = ['1.1.1.1', '1.1.1.1', '8.8.8.8']", "three or more"),
            ("resolvers = []", "surroundings.resolvers"),
            ("names = ['a b']", "surroundings.names"),
            ("names = []", "surroundings.names"),
            ("web = ['https://x/']", "surroundings.web"),
        ] {
            let said = parse(&format!("[surroundings]\n{text}\n")).unwrap_err().to_string();
            assert!(said.contains("must be") && said.contains(hint), "{text}: {said}");
        }
        assert!(parse("[surroundings]\nplan_down_mbps = 100\nspeed_server = 'http://192.0.2.7:5000'\npublic = ['1.1.1.1', '8.8.8.8', '9.9.9.9']\n").is_ok());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let text = parse("[broker]\nurll = 'x'\n").unwrap_err().to_string();
        assert!(text.contains("urll") && text.contains("line 2") && text.contains("--example-config"), "{text}");
        let refuse = |text: &str, name: &str| {
            let error = parse(text).unwrap().device(&Root::new("/nowhere")).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("must be"), "{error}");
        };
        refuse("[device]\ndevice_id = 'a/b'", "device.device_id");
        refuse("[device]\ndevice_id = 'a'\ntenant = '+'", "device.tenant");
        refuse("[device]\ndevice_id = 'a'\ndevice_type = 'A B'", "device.device_type");
        refuse("[device]\ndevice_id = 'a'\nmanufacturer = ' '", "device.manufacturer");
        refuse("[device]\ndevice_id = 'a'\nstate_period_s = 1", "device.state_period_s");
        refuse("[device]\ndevice_id = 'a'\n[broker]\nurl = 'mqtts://a'\ncertificate_file = '/dev/null'", "broker.key_file");
        refuse("[device]\ndevice_id = 'a'\n[broker]\nca_file = '/dev/null'", "mqtts://");
        refuse("[device]\ndevice_id = 'a'\n[broker]\nfernet_key_file = '/dev/null'", "base64");
        refuse("[device]\ndevice_id = 'a'\n[outbox]\nmax_messages = 0", "outbox.max_messages");
        let service = parse("[services]\ndns = '; reboot'\n").unwrap_err().to_string();
        assert!(service.contains("services.dns") && service.contains("must be the name of a unit") && !service.contains("Unit("), "{service}");
        assert!(parse("[services]\ndns = { restart = ['a'], check = ['/b'] }\n").unwrap_err().to_string().contains("absolute"));
        assert!(parse("[dhcpdns]\nreload = ['a']\n").unwrap_err().to_string().contains("absolute"));
        let nobody = parse("").unwrap().device(&Root::new("/nowhere")).unwrap_err().to_string();
        assert!(nobody.contains("--device-id"), "{nobody}");
    }

    #[test]
    fn a_wrong_command_is_refused_with_its_line() {
        let text = "[device]\nsite = 'x'\n\n[exec.\"fan.read\"]\nclass = 'read'\nrun = ['fan']\n";
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains("line 4") && error.contains("fan.read") && error.contains("absolute path"), "{error}");
        let error = parse("[exec.'fan.read']\nclass = 'write'\nrun = ['/bin/true']\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("class"), "{error}");
    }

    #[test]
    fn tls_trusts_the_own_authority_or_the_systems() {
        let device = |text: &str| parse(text).unwrap().device(&Root::new("/nowhere")).unwrap().broker;
        let head = "[device]\ndevice_id = 'a'\n[broker]\nurl = 'mqtts://b.example'\n";
        let own = device(&format!("{head}ca_file = '/dev/null'\ncertificate_file = '/dev/null'\nkey_file = '/dev/null'\n"));
        assert_eq!((own.port, own.tls), (8883, Some(Tls::ca("/dev/null").identity("/dev/null", "/dev/null"))));
        assert_eq!(device(head).tls, Some(Tls::system()));
        let missing = parse(&format!("{head}ca_file = '/nowhere/ca'\n")).unwrap().device(&Root::new("/nowhere")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/ca"), "{missing}");
    }

    #[test]
    fn a_mac_address_as_people_write_it_is_the_id_that_goes_on_the_wire() {
        let config = parse("[device]\ndevice_id = '02:00:00:00:A0:01'\n").unwrap().device(&Root::new("/nowhere")).unwrap();
        assert_eq!((config.key.to_string().as_str(), config.device_type.as_str()), ("home/living/02000000a001", "linux"));
        assert_eq!(config.data_dir, PathBuf::from("talkwire-data/02000000a001"));
    }
}
