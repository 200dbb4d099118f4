//! hostapd's control interface: one datagram asks, one answers (`hostapd/ctrl_iface.c` of hostapd describes the commands).

use std::collections::BTreeMap;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use talkwire_device::{BoxFuture, ToolError};
use tokio::net::UnixDatagram;

/// How long hostapd may take to answer; turning a radio on takes its time.
const TIME: Duration = Duration::from_secs(10);
/// Longest answer.
const ANSWER_BYTES: usize = 64 * 1024;
/// What hostapd says when it does not do something.
const NO: [&str; 2] = ["FAIL", "UNKNOWN COMMAND"];

/// The access point daemon.
pub(crate) trait Hostapd: Send + Sync {
    /// The radios' interfaces that it serves.
    fn interfaces(&self) -> Vec<String>;

    /// Why it cannot be spoken to, as a stable word.
    fn lacks(&self) -> Option<&'static str> {
        self.interfaces().is_empty().then_some("no_hostapd")
    }

    /// Asks one thing; what it answered, also when that is a no.
    ///
    /// # Errors
    /// `E_LLM_TOOL_NOT_AVAILABLE` when it cannot be reached or does not answer.
    fn ask<'a>(&'a self, interface: &'a str, command: &'a str) -> BoxFuture<'a, Result<String, ToolError>>;
}

/// The control sockets in a folder, one for each interface.
pub(crate) struct ControlSockets(pub(crate) PathBuf);

static ASKED: AtomicU64 = AtomicU64::new(0);

impl ControlSockets {
    async fn exchange(&self, interface: &str, command: &str) -> std::io::Result<String> {
        // A name without a file: nothing is left behind, and hostapd can answer from another mount namespace.
        let name = format!("talkwire-{}-{}", std::process::id(), ASKED.fetch_add(1, Ordering::Relaxed));
        let socket = StdDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
        socket.set_nonblocking(true)?;
        let socket = UnixDatagram::from_std(socket)?;
        socket.connect(self.0.join(interface))?;
        socket.send(command.as_bytes()).await?;
        let mut answer = vec![0; ANSWER_BYTES];
        loop {
            let length = socket.recv(&mut answer).await?;
            // `<3>…` is an event for monitors, and not the answer.
            if answer.first() != Some(&b'<') {
                answer.truncate(length);
                return Ok(String::from_utf8_lossy(&answer).into_owned());
            }
        }
    }
}

impl Hostapd for ControlSockets {
    fn interfaces(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let sockets = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()));
        let mut names: Vec<String> = sockets.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name != "global").collect();
        names.sort_unstable();
        names
    }

    /// A socket that a dead daemon left, or that this user may not use, is none.
    fn lacks(&self) -> Option<&'static str> {
        let reach = |interface: &String| StdDatagram::unbound()?.connect(self.0.join(interface));
        let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
        let tries: Vec<_> = self.interfaces().iter().map(reach).collect();
        let is_closed = || std::fs::read_dir(&self.0).is_err_and(|error| refused(&error)) || tries.iter().any(|tried| tried.as_ref().is_err_and(refused));
        match tries.iter().any(Result::is_ok) {
            true => None,
            false if is_closed() => Some("hostapd_refused"),
            false => Some("no_hostapd"),
        }
    }

    fn ask<'a>(&'a self, interface: &'a str, command: &'a str) -> BoxFuture<'a, Result<String, ToolError>> {
        Box::pin(async move {
            match tokio::time::timeout(TIME, self.exchange(interface, command)).await {
                Ok(Ok(answer)) => Ok(answer.trim_end().to_owned()),
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(ToolError::not_available(
                    "hostapd_refused",
                    format!(
                        "the control socket of hostapd for {interface} may not be used: {error}; set ctrl_interface_group in hostapd.conf to a group of this user"
                    ),
                )),
                Ok(Err(error)) => Err(ToolError::not_available("hostapd_away", format!("hostapd cannot be reached for {interface}: {error}"))),
                Err(_) => Err(ToolError::not_available("hostapd_silent", format!("hostapd did not answer for {interface} within {} s", TIME.as_secs()))),
            }
        })
    }
}

/// An answer that must be a yes.
pub(super) fn must(answer: String, what: &str) -> Result<String, ToolError> {
    match NO.iter().find(|no| answer.starts_with(**no)) {
        Some(no) => Err(ToolError::failed(format!("hostapd does not {what}: {no}"))),
        None => Ok(answer),
    }
}

/// Lines `name=value`.
pub(super) fn fields(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once('=')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(folder: &std::path::Path, answers: Vec<&'static [u8]>) -> std::thread::JoinHandle<Vec<String>> {
        let socket = StdDatagram::bind(folder.join("wlan0")).unwrap();
        std::thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let mut bytes = [0; 256];
                let (length, from) = socket.recv_from(&mut bytes).unwrap();
                asked.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
                socket.send_to_addr(b"<3>AP-STA-CONNECTED 02:00:00:00:a0:01", &from).unwrap();
                socket.send_to_addr(answer, &from).unwrap();
            }
            asked
        })
    }

    #[tokio::test]
    async fn one_datagram_asks_and_one_answers_and_events_are_no_answers() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes"), "no socket").unwrap();
        let server = serve(folder.path(), vec![b"PONG\n", b"state=ENABLED\nchannel=6\n"]);
        let hostapd = ControlSockets(folder.path().into());
        assert_eq!((hostapd.interfaces(), hostapd.lacks()), (vec!["wlan0".to_owned()], None));
        assert_eq!(hostapd.ask("wlan0", "PING").await.unwrap(), "PONG");
        let status = hostapd.ask("wlan0", "STATUS").await.unwrap();
        assert_eq!(fields(&status)["channel"], "6");
        assert_eq!(server.join().unwrap(), ["PING", "STATUS"]);
        assert_eq!(hostapd.lacks(), Some("no_hostapd"), "the socket is left, and nobody listens");
    }

    #[tokio::test]
    async fn a_daemon_that_is_away_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = ControlSockets(folder.path().into()).ask("wlan0", "PING").await.unwrap_err();
        assert_eq!(error.details["reason"], "hostapd_away");
        assert!(must("FAIL".into(), "switch").is_err() && must("OK".into(), "switch").is_ok());
    }
}
