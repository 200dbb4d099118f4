//! The built server, in a folder of its own.

use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running `talkwire serve`.
pub struct House {
    child: Child,
    folder: tempfile::TempDir,
    http: String,
    /// Its MQTT port.
    pub mqtt: u16,
}

impl House {
    /// On ports that are free.
    pub fn anywhere() -> Self {
        Self::start(0)
    }

    /// With MQTT on this port, or why that cannot be.
    pub fn on_port(port: u16) -> Result<Self, String> {
        TcpListener::bind(("127.0.0.1", port)).map_err(|error| format!("port {port}, which the printed program calls, is not free ({error})"))?;
        Ok(Self::start(port))
    }

    fn start(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready.json");
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_talkwire"));
        command.arg("serve").arg("--data").arg(folder.path().join("data")).arg("--ready-file").arg(&ready);
        command.args(["--http", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--mqtt", &format!("127.0.0.1:{port}")]);
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut house = Self { child: command.spawn().unwrap(), folder, http: String::new(), mqtt: port };
        let said = house.until_some("the server is ready", Duration::from_secs(20), || serde_json::from_slice::<Value>(&fs::read(&ready).ok()?).ok());
        let address = |kind: &str| {
            let listeners = said["listeners"].as_array().unwrap();
            listeners.iter().find(|listener| listener["kind"] == kind).and_then(|listener| listener["address"].as_str()).unwrap().to_owned()
        };
        house.http = format!("http://{}", address("http"));
        house.mqtt = address("mqtt").rsplit(':').next().unwrap().parse().unwrap();
        house
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file there.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn token(&self) -> String {
        let token = fs::read_to_string(self.folder().join("data/owner.token")).unwrap();
        format!("Bearer {}", token.trim())
    }

    /// Reads as the owner.
    pub fn get(&self, path: &str) -> Value {
        let mut answer = ureq::get(format!("{}{path}", self.http))
            .header("Authorization", self.token())
            .call()
            .unwrap_or_else(|error| panic!("GET {path}: {error}\n{}", self.log()));
        answer.body_mut().read_json().unwrap()
    }

    /// Asks as the owner.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let request = ureq::post(format!("{}{path}", self.http)).header("Authorization", self.token()).config().http_status_as_error(false).build();
        request.send_json(body).unwrap_or_else(|error| panic!("POST {path}: {error}\n{}", self.log())).body_mut().read_json().unwrap()
    }

    /// Waits until something is true.
    pub fn until(&self, what: &str, limit: Duration, mut look: impl FnMut() -> bool) {
        self.until_some(what, limit, || look().then_some(()));
    }

    /// Waits until there is something.
    pub fn until_some<T>(&self, what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(began.elapsed() < limit, "not within {limit:?}: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
