//! TLS and client certificates against Mosquitto, with an authority made for the test.
#![cfg(feature = "tls")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use talkwire_link::{Backoff, Events, Link, LinkConfig, LinkEvent, Qos, Tls};
use tokio::time::timeout;

struct Broker {
    port: u16,
    dir: tempfile::TempDir,
    child: Child,
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

fn openssl(dir: &Path, line: &str) -> bool {
    let run = Command::new("openssl").args(line.split_whitespace()).current_dir(dir).stderr(Stdio::null()).stdout(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// An authority, and certificates of it for the broker (good for a day and for 127.0.0.1) and for a client.
fn certificates(dir: &Path) -> bool {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    std::fs::write(dir.join("san"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n").expect("written");
    let authority = |name: &str| openssl(dir, &format!("req -x509 {key} -keyout {name}.key -out {name}.crt -subj /CN={name} -days 1"));
    let signed = |name: &str| {
        openssl(dir, &format!("req -new {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"))
            && openssl(dir, &format!("x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt -days 1 -extfile san"))
    };
    authority("ca") && authority("stranger") && signed("server") && signed("client")
}

/// Says, also to `cargo xtask test`, what could not be tried here.
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
    if let Some(file) = std::env::var_os("TALKWIRE_SKIPPED") {
        let line = format!("link: {why}\n");
        let noted = std::fs::OpenOptions::new().append(true).create(true).open(file).and_then(|mut file| std::io::Write::write_all(&mut file, line.as_bytes()));
        noted.expect("the file of TALKWIRE_SKIPPED can be written");
    }
}

impl Broker {
    /// `None`, loudly, when Mosquitto or OpenSSL is missing.
    async fn start() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        if !certificates(dir.path()) {
            skipped("openssl is not installed; TLS was not tested");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let file = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\nuse_identity_as_username true\n",
            file("ca.crt"),
            file("server.crt"),
            file("server.key")
        );
        std::fs::write(dir.path().join("mosquitto.conf"), config).expect("a config");
        let spawned = ["mosquitto", "/usr/sbin/mosquitto"].iter().find_map(|name| {
            let mut command = Command::new(name);
            command.arg("-c").arg(dir.path().join("mosquitto.conf")).stderr(Stdio::null()).stdout(Stdio::null()).spawn().ok()
        });
        let Some(child) = spawned else {
            skipped("mosquitto is not installed; TLS was not tested against a broker");
            return None;
        };
        let broker = Self { port, dir, child };
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(broker);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("mosquitto did not start");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn connect(&self, tls: Tls) -> (Link, Events) {
        let backoff = Backoff { min: Duration::from_millis(50), max: Duration::from_millis(200) };
        Link::connect(LinkConfig { tls: Some(tls), backoff, ..LinkConfig::new("127.0.0.1", self.port, "secure") }).expect("a link")
    }
}

async fn first(events: &mut Events) -> LinkEvent {
    timeout(Duration::from_secs(10), events.next()).await.expect("an event within 10 s").expect("open")
}

#[tokio::test]
async fn a_client_with_a_certificate_gets_in_and_talks_and_reads_a_renewed_one() {
    let Some(broker) = Broker::start().await else { return };
    let mutual = Tls::ca(broker.file("ca.crt")).identity(broker.file("client.crt"), broker.file("client.key"));
    let (link, mut events) = broker.connect(mutual);
    link.subscribe("t/#", Qos::AtLeastOnce);
    assert!(matches!(first(&mut events).await, LinkEvent::Up { .. }));
    link.publish("t/a", "secret", Qos::AtLeastOnce, false).await.expect("acknowledged");
    assert!(matches!(first(&mut events).await, LinkEvent::Message(message) if message.payload == "secret"));
    link.close(Duration::from_secs(1)).await;

    // Certificates that come right while the program runs are used at the next attempt.
    std::fs::copy(broker.file("stranger.crt"), broker.file("trusted.crt")).expect("copied");
    let (_link, mut events) = broker.connect(Tls::ca(broker.file("trusted.crt")).identity(broker.file("client.crt"), broker.file("client.key")));
    let LinkEvent::Down { why } = first(&mut events).await else { panic!("a broker of a stranger's authority is not trusted") };
    assert!(why.contains("give the file of its CA"), "{why}");
    std::fs::copy(broker.file("ca.crt"), broker.file("trusted.crt")).expect("copied");
    assert!(matches!(first(&mut events).await, LinkEvent::Up { .. }));
}

#[tokio::test]
async fn who_has_no_certificate_or_speaks_in_clear_is_not_let_in_and_is_told_why() {
    let Some(broker) = Broker::start().await else { return };
    let (_link, mut events) = broker.connect(Tls::ca(broker.file("ca.crt")));
    let LinkEvent::Down { why } = first(&mut events).await else { panic!("let in without a certificate") };
    assert!(why.contains("client certificate"), "{why}");
    let (_link, mut events) = Link::connect(LinkConfig::new("127.0.0.1", broker.port, "clear")).expect("a link");
    assert!(matches!(first(&mut events).await, LinkEvent::Down { .. }));
    let system = Tls { system_roots: true, ..Tls::default() };
    if let Ok((_link, mut events)) = Link::connect(LinkConfig { tls: Some(system), ..LinkConfig::new("127.0.0.1", broker.port, "system") }) {
        assert!(matches!(first(&mut events).await, LinkEvent::Down { .. }), "the system does not know the test's authority");
    }
}
