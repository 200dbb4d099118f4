//! What a service manager is told: ready, alive, stopping. Without one, nothing is said.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager that started this process (systemd's protocol: `NOTIFY_SOCKET`, `WATCHDOG_USEC`).
pub struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// Reads the environment. A service manager sets it for this process alone.
    pub fn of_this_process() -> Self {
        let mine = std::env::var("WATCHDOG_PID").ok().is_none_or(|pid| pid == std::process::id().to_string());
        let micros = std::env::var("WATCHDOG_USEC").ok().filter(|_| mine).and_then(|text| text.parse().ok());
        Self::new(std::env::var_os("NOTIFY_SOCKET"), micros)
    }

    fn new(name: Option<OsString>, watchdog_us: Option<u64>) -> Self {
        let socket = name.and_then(|name| {
            let address = match name.as_bytes().strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(&name),
            };
            Some((UnixDatagram::unbound().ok()?, address.ok()?))
        });
        Self { socket, watchdog: watchdog_us.filter(|us| *us > 0).map(Duration::from_micros) }
    }

    /// Says one thing. A manager that does not listen is no reason to stop.
    pub fn say(&self, words: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(words.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }

    /// How often to say `WATCHDOG=1`: twice in the time after which the manager would lose patience.
    pub fn period(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.socket.is_some()).map(|time| (time / 2).max(Duration::from_millis(10)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 64];
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn a_manager_hears_by_a_path_and_by_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::new(Some(path.into_os_string()), Some(4_000_000));
        notify.say("READY=1");
        assert_eq!((hear(&manager).as_str(), notify.period()), ("READY=1", Some(Duration::from_secs(2))));

        let name = format!("talkwire-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notify::new(Some(format!("@{name}").into()), None).say("STOPPING=1");
        assert_eq!(hear(&manager), "STOPPING=1");
    }

    #[test]
    fn without_a_manager_nothing_is_said() {
        let notify = Notify::new(None, Some(1_000_000));
        notify.say("READY=1");
        assert_eq!(notify.period(), None);
        Notify::new(Some("/nowhere/notify".into()), None).say("READY=1");
    }
}
