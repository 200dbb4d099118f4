//! Who asks: the owner's token, the console's sessions, guests; and the server's signing key.

use ed25519_dalek::SigningKey;
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use talkwire_broker::ConnectRefusal;
use talkwire_core::audit::{from_hex, to_hex};
use talkwire_core::{Principal, Role};

/// Wrong passwords from one address within [`WINDOW`] before it is turned away.
const GUESSES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Console sessions held at most; the oldest goes first.
const SESSIONS: usize = 256;
/// User name of the console's own MQTT connection.
const CONSOLE: &str = "console";
const OWNER: &str = "owner";

/// Why the data folder's secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("cannot use {path}; check that the folder exists and belongs to you")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key file has the wrong content.
    #[error("{0} is not a key of Talkwire; restore it from a backup, or move it away to get a new one (old receipts then verify only with the old key)")]
    BadKey(PathBuf),
    /// A secret that others may read.
    #[error("{0} can be read by others; run `chmod 600 {0}`")]
    Mode(PathBuf),
}

/// The server's secrets and the sessions that it opened.
pub struct Identity {
    owner_token: String,
    signing: SigningKey,
    sessions: Mutex<Vec<Session>>,
    guesses: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

struct Session {
    cookie: String,
    mqtt_password: String,
}

/// What the console gets when it opens a session.
pub struct Opened {
    /// For the cookie.
    pub cookie: String,
    /// For its MQTT connection.
    pub mqtt_username: &'static str,
    /// For its MQTT connection.
    pub mqtt_password: String,
}

/// 32 bytes from the system, as hex.
fn secret() -> String {
    let mut bytes = [0u8; 32];
    // The system's source of randomness does not fail on the systems that we run on; if it did, nothing here would be safe.
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    to_hex(&bytes)
}

/// A seed for identifiers.
pub fn seed() -> [u8; 32] {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// Compares without telling by its time where two texts differ.
fn same(left: &str, right: &str) -> bool {
    left.len() == right.len() && left.bytes().zip(right.bytes()).fold(0u8, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Reads a secret file, or makes it with mode 0600.
fn read_or_make(path: &Path) -> Result<String, IdentityError> {
    let wrong = |source| IdentityError::File { path: path.into(), source };
    if path.exists() {
        let mode = fs::metadata(path).map_err(wrong)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(IdentityError::Mode(path.into()));
        }
        let text = fs::read_to_string(path).map_err(wrong)?.trim().to_owned();
        return if from_hex(&text).is_some_and(|bytes| bytes.len() == 32) { Ok(text) } else { Err(IdentityError::BadKey(path.into())) };
    }
    let text = secret();
    put_beside(path, &format!("{text}\n"), 0o600).map_err(wrong)?;
    Ok(text)
}

/// Writes a file beside and moves it into place when it is on the disk: a disk that fails half-way leaves no half of a file.
fn put_beside(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    if beside.exists() {
        // Left by a start that its disk stopped; nobody has used it.
        fs::remove_file(&beside)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
}

impl Identity {
    /// Opens the secrets of a data folder, made on first use: `owner.token`, `signing.key`; writes `signing.pub` beside them.
    pub fn open(dir: &Path) -> Result<Self, IdentityError> {
        let owner_token = read_or_make(&dir.join("owner.token"))?;
        let key_path = dir.join("signing.key");
        let key: [u8; 32] = from_hex(&read_or_make(&key_path)?).and_then(|bytes| bytes.try_into().ok()).ok_or(IdentityError::BadKey(key_path))?;
        let signing = SigningKey::from_bytes(&key);
        let public = dir.join("signing.pub");
        let text = to_hex(&signing.verifying_key().to_bytes()) + "\n";
        // A start on a full disk needs nothing written.
        if fs::read_to_string(&public).ok().as_ref() != Some(&text) {
            put_beside(&public, &text, 0o644).map_err(|source| IdentityError::File { path: public, source })?;
        }
        Ok(Self { owner_token, signing, sessions: Mutex::default(), guesses: Mutex::default() })
    }

    /// The key that signs receipts and audit heads.
    pub fn signing_key(&self) -> SigningKey {
        self.signing.clone()
    }

    /// The public key, as hex.
    pub fn public_key(&self) -> String {
        to_hex(&self.signing.verifying_key().to_bytes())
    }

    fn owner() -> Principal {
        Principal::Person { name: OWNER.into(), role: Role::Admin }
    }

    /// Opens a session for the console on this machine.
    pub fn open_session(&self) -> Opened {
        let opened = Opened { cookie: secret(), mqtt_username: CONSOLE, mqtt_password: secret() };
        if let Ok(mut sessions) = self.sessions.lock() {
            if sessions.len() >= SESSIONS {
                sessions.remove(0);
            }
            sessions.push(Session { cookie: opened.cookie.clone(), mqtt_password: opened.mqtt_password.clone() });
        }
        opened
    }

    /// Whoever sends this session cookie.
    pub fn by_cookie(&self, cookie: &str) -> Option<Principal> {
        let sessions = self.sessions.lock().ok()?;
        sessions.iter().any(|session| same(&session.cookie, cookie)).then(Self::owner)
    }

    /// Whoever sends this bearer token.
    pub fn by_token(&self, token: &str) -> Option<Principal> {
        same(&self.owner_token, token.trim()).then(Self::owner)
    }

    /// Lets an MQTT client in, or not; the text stands for its principal from then on.
    pub fn login(
        &self,
        username: Option<&str>,
        password: Option<&[u8]>,
        client_id: &str,
        peer: IpAddr,
        origin: Option<&str>,
    ) -> Result<String, ConnectRefusal> {
        if origin.is_some_and(|origin| !is_local_origin(origin)) {
            return Err(ConnectRefusal::NotAuthorized);
        }
        let password = password.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        let known = match username {
            Some(OWNER) => Some(same(&self.owner_token, password)),
            Some(CONSOLE) => Some(self.sessions.lock().is_ok_and(|sessions| sessions.iter().any(|session| same(&session.mqtt_password, password)))),
            _ => None,
        };
        match known {
            Some(true) => Ok(format!("person:{OWNER}")),
            Some(false) if self.guessed_too_often(peer) => Err(ConnectRefusal::Banned),
            Some(false) => Err(ConnectRefusal::BadCredentials),
            None => Ok(format!("guest:{client_id}")),
        }
    }

    /// The principal that a text of [`Self::login`] stands for.
    pub fn principal(&self, text: &str) -> Option<Principal> {
        match text.split_once(':')? {
            ("person", OWNER) => Some(Self::owner()),
            ("guest", name) => Some(Principal::Guest { name: name.into() }),
            _ => None,
        }
    }

    fn guessed_too_often(&self, peer: IpAddr) -> bool {
        let Ok(mut guesses) = self.guesses.lock() else { return true };
        guesses.retain(|_, (since, _)| since.elapsed() < WINDOW);
        let entry = guesses.entry(peer).or_insert_with(|| (Instant::now(), 0));
        entry.1 += 1;
        entry.1 > GUESSES
    }
}

/// Whether a browser page comes from this machine.
pub fn is_local_origin(origin: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.is_some_and(is_local_host)
}

/// Whether a `Host` names this machine, with any port.
pub fn is_local_host(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_made_once_with_mode_0600_and_differ_between_installs() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = Identity::open(one.path()).unwrap();
        let again = Identity::open(one.path()).unwrap();
        let other = Identity::open(two.path()).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        assert_ne!(first.public_key(), other.public_key());
        assert_ne!(first.owner_token, other.owner_token);
        let mode = fs::metadata(one.path().join("owner.token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_start_that_its_disk_stopped_half_way_does_not_stop_the_next() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("owner.new"), "half of a sec").unwrap();
        fs::create_dir(dir.path().join("signing.new")).unwrap();
        assert!(matches!(Identity::open(dir.path()), Err(IdentityError::File { .. })), "the disk refuses the second secret");
        fs::remove_dir(dir.path().join("signing.new")).unwrap();
        let first = fs::read_to_string(dir.path().join("owner.token")).unwrap();
        assert!(from_hex(first.trim()).is_some_and(|bytes| bytes.len() == 32));
        Identity::open(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("owner.token")).unwrap(), first);
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Identity::open(dir.path()).unwrap();
        fs::set_permissions(dir.path().join("owner.token"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Identity::open(dir.path()), Err(IdentityError::Mode(_))));
    }

    #[test]
    fn passwords_are_guessed_ten_times_at_most_and_foreign_pages_never_connect() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::open(dir.path()).unwrap();
        let peer: IpAddr = "127.0.0.1".parse().unwrap();
        let guess = || identity.login(Some("owner"), Some(b"guess"), "c", peer, None);
        let answers: Vec<_> = (0..12).map(|_| guess()).collect();
        assert_eq!(answers[9], Err(ConnectRefusal::BadCredentials));
        assert_eq!(answers[11], Err(ConnectRefusal::Banned));
        assert_eq!(identity.login(None, None, "c", peer, Some("http://evil.example")), Err(ConnectRefusal::NotAuthorized));
        assert_eq!(identity.login(None, None, "c", peer, Some("http://localhost:5173")), Ok("guest:c".into()));
        assert!(!is_local_host("127.0.0.1.evil.example:5000") && is_local_host("127.0.0.1:5000"));
    }
}
