//! A Mosquitto of our own on a free port, with persistence, that can be killed and started again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What Mosquitto keeps, it writes after every change: a kill -9 costs it at most what it was just doing.
const CONFIG: &str = "persistence true\nautosave_interval 1\nautosave_on_changes true\nmax_queued_messages 0\nmax_inflight_messages 20\n";

pub struct Mosquitto {
    pub port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl Mosquitto {
    /// `None`, loudly, when it is not installed.
    pub async fn start(test: &str) -> Option<Self> {
        Self::start_with(test, |_| Some("allow_anonymous true\n".into())).await
    }

    /// The same with TLS (trust `ca.crt` in its folder) and the user `hub` with the password `p@ss`.
    pub async fn start_guarded(test: &str) -> Option<Self> {
        Self::start_with(test, |folder| {
            let run = |program: &str, line: &str| {
                let mut command = Command::new(program);
                command.args(line.split_whitespace()).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
                command.status().is_ok_and(|status| status.success())
            };
            std::fs::write(folder.join("san"), "subjectAltName=IP:127.0.0.1\n").unwrap();
            let made = run("openssl", "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=authority -days 1")
                && run("openssl", "req -newkey rsa:2048 -nodes -keyout broker.key -out broker.csr -subj /CN=broker")
                && run("openssl", "x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out broker.crt -days 1 -extfile san")
                && run("mosquitto_passwd", "-b -c passwords hub p@ss");
            for file in std::fs::read_dir(folder).unwrap() {
                std::fs::set_permissions(file.unwrap().path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
            }
            let file = |name: &str| folder.join(name).display().to_string();
            made.then(|| {
                let (ca, cert, key, passwords) = (file("ca.crt"), file("broker.crt"), file("broker.key"), file("passwords"));
                format!("cafile {ca}\ncertfile {cert}\nkeyfile {key}\nallow_anonymous false\npassword_file {passwords}\n")
            })
        })
        .await
    }

    async fn start_with(test: &str, more: impl FnOnce(&Path) -> Option<String>) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut broker = Self { port, dir: tempfile::tempdir().unwrap(), child: None };
        let folder = broker.dir.path().display();
        let Some(more) = more(broker.dir.path()) else {
            skip(test, "openssl or mosquitto_passwd is not installed (`apt install openssl mosquitto`)");
            return None;
        };
        let text = format!("listener {port} 127.0.0.1\n{more}persistence_location {folder}/\n{CONFIG}");
        std::fs::write(broker.dir.path().join("mosquitto.conf"), text).unwrap();
        if !broker.run().await {
            skip(test, "mosquitto is not installed (`apt install mosquitto`)");
            return None;
        }
        Some(broker)
    }

    /// Starts it with what it kept. False when there is none to start.
    pub async fn run(&mut self) -> bool {
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().find(|path| Path::new(path).exists());
        let Some(program) = program else { return false };
        let mut command = Command::new(program);
        command.arg("-c").arg(self.dir.path().join("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        // Otherwise it would give up root for a user who may not write here.
        std::fs::set_permissions(self.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        self.child = Some(command.spawn().unwrap());
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("mosquitto did not start");
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// A door to it behind which it speaks MQTT 3.1.1 only.
    pub async fn older_door(&self) -> u16 {
        let (door, port) = (tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(), self.port);
        let number = door.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((client, _)) = door.accept().await {
                tokio::spawn(pass_older(client, port));
            }
        });
        number
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Waits until what it kept has not been written for a while, so that it has written everything.
    pub async fn settle(&self) {
        let written = || std::fs::metadata(self.dir.path().join("mosquitto.db")).and_then(|file| file.modified()).ok();
        let mut last = written();
        let mut quiet = 0;
        while quiet < 10 || last.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = written();
            quiet = if now == last { quiet + 1 } else { 0 };
            last = now;
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Turns MQTT 5 away as a broker of 2014 does, and passes everything else on.
async fn pass_older(mut client: TcpStream, port: u16) {
    let mut hello = [0; 10];
    if client.read_exact(&mut hello).await.is_err() {
        return;
    }
    // The length of our CONNECT takes one or two bytes; the level stands behind the protocol's name.
    let level = hello.iter().position(|byte| *byte == b'Q').and_then(|at| hello.get(at + 3));
    if level == Some(&5) {
        let _ = client.write_all(&[0x20, 2, 0, 1]).await;
        return;
    }
    let Ok(mut broker) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    if broker.write_all(&hello).await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
    }
}

/// Says that a test cannot run here, and why.
pub fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED: {test}: {why}");
    if let Some(path) = std::env::var_os("TALKWIRE_SKIPPED") {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "doors, {test}: {why}").unwrap();
    }
}
