//! The keys of devices that encrypt their payloads (`PROTOCOL.md` §5): what they say is opened here, what they are told sealed.
//!
//! `device-keys.toml` in the data folder, readable by nobody else, has one line per device: `"tenant/site/device" = "key"`, or
//! `= ["newest", "older"]` while a key is being changed. A running server takes up what changes in it.

mod file;

use anyhow::{Context, Result};
use bytes::Bytes;
pub use file::{Lines, change, path, read, secret};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use talkwire_core::Publish;
use talkwire_proto::envelope::BadEnvelope;
use talkwire_proto::fernet::{BadToken, TTL_S};
use talkwire_proto::{DeviceKey, FernetKey, Inbound, Malformed, Topic};

/// No message of the device was opened yet.
const UNHEARD: usize = usize::MAX;

/// One device's keys.
#[derive(Debug)]
struct Ring {
    /// Newest first.
    keys: Vec<FernetKey>,
    /// The newest key that the device has used; it is told nothing that is sealed with a newer one, and never again with an older.
    used: AtomicUsize,
}

impl Ring {
    fn open(&self, token: &[u8], now_s: u64, ttl_s: Option<u64>) -> Result<Vec<u8>, BadToken> {
        let mut refused = BadToken::Shape;
        for (place, key) in self.keys.iter().enumerate() {
            match key.decrypt(token, now_s, ttl_s) {
                Ok(text) => {
                    self.used.fetch_min(place, Ordering::Relaxed);
                    return Ok(text);
                }
                Err(error) => refused = error,
            }
            if refused != BadToken::Signature {
                break;
            }
        }
        Err(refused)
    }

    fn sealing(&self) -> &FernetKey {
        let used = self.used.load(Ordering::Relaxed);
        &self.keys[if used < self.keys.len() { used } else { 0 }]
    }
}

/// What a file was when it was looked at: a change of the content changes one of them.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The keys by device; usually none.
#[derive(Debug)]
pub struct PayloadKeys {
    path: PathBuf,
    rings: RwLock<BTreeMap<String, Ring>>,
    seen: Mutex<Stamp>,
}

impl PayloadKeys {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// A file that others may read, or a line that is no device or no key; the key itself is never shown.
    pub fn open(data: &Path) -> Result<Self> {
        let path = path(data);
        let seen = stamp(&path);
        let lines = if seen.is_some() { read(&path)? } else { Lines::new() };
        let rings = lines.into_iter().map(|(device, keys)| (device.to_string(), Ring { keys, used: AtomicUsize::new(UNHEARD) }));
        Ok(Self { rings: RwLock::new(rings.collect()), seen: Mutex::new(seen), path })
    }

    /// Takes up what changed in the file since the last look; how many devices have a key now, when something did.
    ///
    /// # Errors
    /// A file that cannot be used. It is told once, and the keys stay as they were: nobody begins to speak in clear by mistake.
    pub fn renew(&self) -> Result<Option<usize>> {
        let now = stamp(&self.path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return Ok(None);
        }
        *seen = now;
        let lines = read(&self.path)?;
        let mut rings = self.rings.write().unwrap_or_else(PoisonError::into_inner);
        let renewed = lines.into_iter().map(|(device, keys)| {
            let device = device.to_string();
            // The key that the device uses is the same key at its new place.
            let used = rings.get(&device).filter(|ring| ring.used.load(Ordering::Relaxed) != UNHEARD).map(|ring| ring.sealing().clone());
            let used = used.and_then(|key| keys.iter().position(|other| *other == key)).unwrap_or(UNHEARD);
            (device, Ring { keys, used: AtomicUsize::new(used) })
        });
        let renewed: BTreeMap<String, Ring> = renewed.collect();
        let count = renewed.len();
        *rings = renewed;
        Ok(Some(count))
    }

    /// How many devices have a key, and how many of these are changing it, for people.
    pub fn counts(&self) -> serde_json::Value {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        let several = rings.values().filter(|ring| ring.keys.len() > 1).count();
        serde_json::json!({"devices": rings.len(), "changing": several})
    }

    /// The newest key of a device.
    pub fn of(&self, device: &DeviceKey) -> Option<FernetKey> {
        self.with(Some(device.to_string()), |ring| ring.keys.first().cloned()).flatten()
    }

    /// Reads a message that arrived at `now_ms`, opened if its device has a key; and what may be kept of it. `aged`: it is a will
    /// or a retained message, whose token may be as old as it is.
    pub fn read(&self, topic: &str, payload: &Bytes, aged: bool, now_ms: i64, max_bytes: usize) -> (Result<Inbound, Malformed>, Bytes) {
        let now_s = u64::try_from(now_ms / 1000).unwrap_or(0);
        match self.with(device_of(topic), |ring| ring.open(payload, now_s, (!aged).then_some(TTL_S))) {
            None => (Inbound::decode(topic, payload, now_ms, max_bytes), payload.clone()),
            Some(Ok(text)) => {
                let text = Bytes::from(text);
                (Inbound::decode(topic, &text, now_ms, max_bytes), text)
            }
            Some(Err(error)) => (Err(BadEnvelope::Sealed(error.to_string()).into()), payload.clone()),
        }
    }

    /// Seals what goes to or stays for a device that has a key; everything else stays as it is. While a key is being changed,
    /// with the newest that the device has shown to have.
    ///
    /// # Errors
    /// When the system gives no random bytes: the message must then not be sent.
    pub fn seal(&self, mut publish: Publish, now_ms: i64) -> Result<Publish> {
        if let Some(key) = self.with(device_of(&publish.topic), |ring| ring.sealing().clone()) {
            let mut iv = [0; 16];
            getrandom::fill(&mut iv)?;
            publish.payload = key.encrypt(&publish.payload, u64::try_from(now_ms / 1000).unwrap_or(0), iv).into_bytes();
        }
        Ok(publish)
    }

    fn with<T>(&self, device: Option<String>, work: impl FnOnce(&Ring) -> T) -> Option<T> {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        if rings.is_empty() { None } else { rings.get(&device?).map(work) }
    }
}

fn device_of(topic: &str) -> Option<String> {
    match topic.parse() {
        Ok(Topic::Device(device, _)) => Some(device.to_string()),
        _ => None,
    }
}

fn stamp(file: &Path) -> Stamp {
    let about = std::fs::metadata(file).ok()?;
    Some((about.ino(), about.size(), about.mtime(), about.mtime_nsec()))
}

/// The one key in a file of its own, as a device has it.
///
/// # Errors
/// A file that others may read, or that holds no key; its content is never shown.
pub fn single(file: &Path) -> Result<FernetKey> {
    secret(file)?.trim().parse().with_context(|| format!("E_CONFIG: {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const STATE: &str = "rtk/v1/acme/home/aabbccddeeff/state";
    const NOW_MS: i64 = 1_800_000_000_000;
    const NOW_S: u64 = 1_800_000_000;

    fn device() -> DeviceKey {
        "acme/home/aabbccddeeff".parse().unwrap()
    }

    fn command() -> Publish {
        Publish { topic: "rtk/v1/acme/home/aabbccddeeff/cmd/req".into(), payload: b"{}".to_vec(), qos: 1, retain: false, useful_ms: None }
    }

    fn keep(dir: &Path, keys: &[&FernetKey]) {
        let keys: Vec<FernetKey> = keys.iter().map(|key| (*key).clone()).collect();
        change(dir, |lines| Ok(lines.insert(device(), keys))).unwrap();
    }

    #[test]
    fn what_a_device_with_a_key_says_is_opened_and_what_is_clear_old_or_forged_is_not_taken() {
        let (dir, key) = (tempfile::tempdir().unwrap(), KEY.parse::<FernetKey>().unwrap());
        keep(dir.path(), &[&key]);
        let keys = PayloadKeys::open(dir.path()).unwrap();
        let clear = Bytes::from_static(b"{\"health\":\"ok\"}");
        let token = |age_s| Bytes::from(key.encrypt(&clear, NOW_S - age_s, [1; 16]));
        let read = |topic: &str, payload: &Bytes, aged| keys.read(topic, payload, aged, NOW_MS, 100_000);
        assert!(matches!(read(STATE, &token(0), false), (Ok(Inbound::Device(..)), text) if text == clear));
        assert!(read(STATE, &token(9999), true).0.is_ok());
        for refused in [&clear, &token(301), &Bytes::from(FernetKey::new([1; 32]).encrypt(&clear, NOW_S, [1; 16]))] {
            assert!(matches!(read(STATE, refused, false).0, Err(Malformed::Payload(BadEnvelope::Sealed(_)))));
        }
        assert!(read("rtk/v1/acme/home/other/state", &clear, false).0.is_ok(), "other devices speak in clear");
        assert_eq!(key.decrypt(&keys.seal(command(), NOW_MS).unwrap().payload, NOW_S, Some(TTL_S)).unwrap(), b"{}");
    }

    #[test]
    fn a_key_is_changed_while_the_server_runs_and_the_device_is_followed_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let keys = PayloadKeys::open(dir.path()).unwrap();
        let [old, new] = [FernetKey::new([1; 32]), FernetKey::new([2; 32])];
        let says = |key: &FernetKey| keys.read(STATE, &Bytes::from(key.encrypt(b"{}", NOW_S, [1; 16])), false, NOW_MS, 100_000).0.is_ok();
        let told_with = |key: &FernetKey| key.decrypt(&keys.seal(command(), NOW_MS).unwrap().payload, NOW_S, None).is_ok();
        assert_eq!((keys.renew().unwrap(), keys.seal(command(), NOW_MS).unwrap().payload), (None, b"{}".to_vec()));

        keep(dir.path(), &[&old]);
        assert_eq!(keys.renew().unwrap(), Some(1));
        assert!(says(&old) && !says(&new) && told_with(&old));

        keep(dir.path(), &[&new, &old]);
        assert_eq!(keys.renew().unwrap(), Some(1));
        assert!(told_with(&old), "the device does not have the new one yet");
        assert!(says(&old) && told_with(&old) && says(&new) && told_with(&new));
        assert!(says(&old) && told_with(&new), "who still has the old key does not bring it back");

        keep(dir.path(), &[&new]);
        keys.renew().unwrap();
        assert!(!says(&old) && says(&new) && told_with(&new));

        std::fs::write(path(dir.path()), "nonsense").unwrap();
        assert!(keys.renew().is_err() && keys.renew().unwrap().is_none(), "told once");
        std::fs::remove_file(path(dir.path())).unwrap();
        assert!(keys.renew().is_err() && told_with(&new), "a file that is gone takes no key away");
    }
}
