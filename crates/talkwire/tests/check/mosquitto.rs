//! The same check at somebody else's broker: Mosquitto with accounts and an ACL, when it is installed.

use crate::device::{Device, ID};
use crate::every_check::{options, report};
use crate::exchange::{PASSWORD, free_address};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use talkwire::check::Status;
use talkwire::check::access::Credentials;
use talkwire::check::target::Secret;

/// A running Mosquitto.
pub struct Mosquitto(Child);

impl Mosquitto {
    /// Starts it and waits until it listens.
    pub async fn start(program: &str, folder: &Path, settings: &str, port: u16) -> Self {
        let file = folder.join("mosquitto.conf");
        std::fs::write(&file, settings).unwrap();
        let running = Self(Command::new(program).arg("-c").arg(file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "Mosquitto does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        running
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says that a test cannot run here, and why.
pub fn skip(name: &str, why: &str) {
    eprintln!("SKIPPED: the check at Mosquitto, {name}: {why}");
    if let Some(path) = std::env::var_os("TALKWIRE_SKIPPED") {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("the list of skipped tests can be written");
        writeln!(file, "check, at Mosquitto, {name}: {why}").expect("the list of skipped tests can be written");
    }
}

/// The program, in the path or where Debian puts it.
pub fn program(name: &str) -> Option<String> {
    let known = |path: &String| Path::new(path).is_file();
    let folders = std::env::var("PATH").unwrap_or_default();
    folders.split(':').chain(["/usr/sbin", "/usr/bin"]).map(|folder| format!("{folder}/{name}")).find(known)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_device_passes_at_mosquitto_with_accounts() {
    let (Some(mosquitto), Some(passwd)) = (program("mosquitto"), program("mosquitto_passwd")) else {
        return skip("with accounts", "it is not installed (`apt install mosquitto`)");
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let port = free_address().port();
    std::fs::write(file("acl"), "user check\ntopic readwrite #\npattern readwrite rtk/v1/+/+/%u/#\n").unwrap();
    std::fs::write(file("passwords"), "").unwrap();
    for account in ["check", ID] {
        assert!(Command::new(&passwd).arg("-b").arg(file("passwords")).args([account, PASSWORD]).output().unwrap().status.success());
    }
    let settings = format!(
        "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {}\nacl_file {}\npersistence false\nuser root\n",
        file("passwords").display(),
        file("acl").display()
    );
    let _running = Mosquitto::start(&mosquitto, folder.path(), &settings, port).await;

    let mut options = options(port);
    (options.target.username, options.target.password) = (Some("check".into()), Some(Secret(PASSWORD.into())));
    options.credentials = Some(Credentials { username: ID.into(), password: Secret(PASSWORD.into()) });
    let _device = Device::start(options.proxy.unwrap().port(), Some(PASSWORD), &[]);
    let report = report(&options).await;
    let not_passed: Vec<_> = report.findings.iter().filter(|finding| finding.status != Status::Passed).map(|finding| finding.id).collect();
    assert_eq!(not_passed, ["P04", "P05", "S01", "S06", "S07"], "{}", report.text());
}
