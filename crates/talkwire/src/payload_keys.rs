//! The keys of devices that encrypt their payloads (`PROTOCOL.md` §5): what they say is opened here, what they are told sealed.
//!
//! `device-keys.toml` in the data folder, readable by nobody else, has one line per device: `"tenant/site/device" = "key"`.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use talkwire_core::Publish;
use talkwire_proto::envelope::BadEnvelope;
use talkwire_proto::fernet::TTL_S;
use talkwire_proto::{DeviceKey, FernetKey, Inbound, Malformed, Topic};

const FILE: &str = "device-keys.toml";

/// The keys by device; usually none.
#[derive(Debug, Default)]
pub struct PayloadKeys(BTreeMap<String, FernetKey>);

impl PayloadKeys {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// A file that others may read, or a line that is no device or no key; the key itself is never shown.
    pub fn open(data: &Path) -> Result<Self> {
        let file = data.join(FILE);
        if !file.exists() {
            return Ok(Self::default());
        }
        let name = file.display();
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file)?.permissions()) & 0o077 != 0 {
            bail!("E_CONFIG: {name} can be read by others; `chmod 600` it");
        }
        let text = std::fs::read_to_string(&file).with_context(|| format!("E_CONFIG: {name} cannot be read"))?;
        // The parser's own message would show the line with the key.
        let Ok(lines) = toml::from_str::<BTreeMap<String, String>>(&text) else {
            bail!("E_CONFIG: {name} must have lines of the form \"tenant/site/device\" = \"key\"");
        };
        let mut keys = BTreeMap::new();
        for (device, key) in lines {
            let key = key.parse().with_context(|| format!("E_CONFIG: {name}: the key of {device}"))?;
            let device: DeviceKey = device.parse().with_context(|| format!("E_CONFIG: {name}: {device:?} is not tenant/site/device"))?;
            keys.insert(device.to_string(), key);
        }
        Ok(Self(keys))
    }

    /// Reads a message that arrived at `now_ms`, opened if its device has a key; and what may be kept of it. `aged`: it is a will
    /// or a retained message, whose token may be as old as it is.
    pub fn read(&self, topic: &str, payload: &Bytes, aged: bool, now_ms: i64, max_bytes: usize) -> (Result<Inbound, Malformed>, Bytes) {
        let Some(key) = self.key(topic) else { return (Inbound::decode(topic, payload, now_ms, max_bytes), payload.clone()) };
        let now_s = u64::try_from(now_ms / 1000).unwrap_or(0);
        match key.decrypt(payload, now_s, (!aged).then_some(TTL_S)) {
            Ok(text) => {
                let text = Bytes::from(text);
                (Inbound::decode(topic, &text, now_ms, max_bytes), text)
            }
            Err(error) => (Err(BadEnvelope::Sealed(error.to_string()).into()), payload.clone()),
        }
    }

    /// Seals what goes to or stays for a device that has a key; everything else stays as it is.
    ///
    /// # Errors
    /// When the system gives no random bytes: the message must then not be sent.
    pub fn seal(&self, mut publish: Publish, now_ms: i64) -> Result<Publish> {
        if let Some(key) = self.key(&publish.topic) {
            let mut iv = [0; 16];
            getrandom::fill(&mut iv)?;
            publish.payload = key.encrypt(&publish.payload, u64::try_from(now_ms / 1000).unwrap_or(0), iv).into_bytes();
        }
        Ok(publish)
    }

    fn key(&self, topic: &str) -> Option<&FernetKey> {
        if self.0.is_empty() {
            return None;
        }
        match topic.parse() {
            Ok(Topic::Device(device, _)) => self.0.get(&device.to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const STATE: &str = "rtk/v1/acme/home/aabbccddeeff/state";
    const NOW_MS: i64 = 1_800_000_000_000;

    fn keys(text: &str, mode: u32) -> Result<PayloadKeys> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        PayloadKeys::open(dir.path())
    }

    #[test]
    fn a_wrong_file_is_refused_without_showing_a_key() {
        let good = format!("\"acme/home/aabbccddeeff\" = \"{KEY}\"\n");
        assert!(keys(&good, 0o600).is_ok());
        for (text, mode) in [(good.as_str(), 0o644), (&format!("acme = [\"{KEY}\"]"), 0o600), (&format!("nobody = \"{KEY}\""), 0o600)] {
            let said = format!("{:#}", keys(text, mode).unwrap_err());
            assert!(said.contains("E_CONFIG") && !said.contains(KEY), "{said}");
        }
    }

    #[test]
    fn what_a_device_with_a_key_says_is_opened_and_what_is_clear_old_or_forged_is_not_taken() {
        let (keys, key) = (keys(&format!("\"acme/home/aabbccddeeff\" = \"{KEY}\"\n"), 0o600).unwrap(), KEY.parse::<FernetKey>().unwrap());
        let clear = Bytes::from_static(b"{\"health\":\"ok\"}");
        let token = |age_s| Bytes::from(key.encrypt(&clear, u64::try_from(NOW_MS / 1000).unwrap() - age_s, [1; 16]));
        let read = |topic: &str, payload: &Bytes, aged| keys.read(topic, payload, aged, NOW_MS, 100_000);
        assert!(matches!(read(STATE, &token(0), false), (Ok(Inbound::Device(..)), text) if text == clear));
        assert!(read(STATE, &token(9999), true).0.is_ok());
        for refused in [&clear, &token(301), &Bytes::from(FernetKey::new([1; 32]).encrypt(&clear, 1_800_000_000, [1; 16]))] {
            assert!(matches!(read(STATE, refused, false).0, Err(Malformed::Payload(BadEnvelope::Sealed(_)))));
        }
        assert!(read("rtk/v1/acme/home/other/state", &clear, false).0.is_ok(), "other devices speak in clear");
        let command = Publish { topic: "rtk/v1/acme/home/aabbccddeeff/cmd/req".into(), payload: b"{}".to_vec(), qos: 1, retain: false, useful_ms: None };
        assert_eq!(key.decrypt(&keys.seal(command, NOW_MS).unwrap().payload, 1_800_000_000, Some(TTL_S)).unwrap(), b"{}");
    }
}
