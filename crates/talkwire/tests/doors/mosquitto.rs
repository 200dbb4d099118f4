//! A Mosquitto of our own on a free port, with persistence, that can be killed and started again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What Mosquitto keeps, it writes after every change: a kill -9 costs it at most what it was just doing.
const CONFIG: &str = "allow_anonymous true\npersistence true\nautosave_interval 1\nautosave_on_changes true\nmax_queued_messages 0\nmax_inflight_messages 20\n";

pub struct Mosquitto {
    pub port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl Mosquitto {
    /// `None`, loudly, when it is not installed.
    pub async fn start(test: &str) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut broker = Self { port, dir: tempfile::tempdir().unwrap(), child: None };
        let folder = broker.dir.path().display();
        let text = format!("listener {port} 127.0.0.1\npersistence_location {folder}/\n{CONFIG}");
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
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("mosquitto did not start");
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

/// Says that a test cannot run here, and why.
pub fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED: {test}: {why}");
    if let Some(path) = std::env::var_os("TALKWIRE_SKIPPED") {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "doors, {test}: {why}").unwrap();
    }
}
