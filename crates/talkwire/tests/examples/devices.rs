//! Each device at a broker with accounts, through the check's proxy.

use crate::exchange::{Exchange, PASSWORD, free_address};
use crate::program::{Program, node, python};
use crate::tls_door::{Certificates, Door};
use crate::{need, root, sketches, spec, table};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use talkwire::check::access::Credentials;
use talkwire::check::inspect::Step;
use talkwire::check::target::Secret;
use talkwire::check::{Options, Report, Target, inspect};
use talkwire_device::{Attributes, Broker, Device, DeviceConfig, FernetKey, Health, StateReport, Tls, ToolSupport, tool_fn};

/// How a device is told to say its state, so that two are seen soon.
const STATE_EVERY_S: u64 = 6;

struct Trial {
    exchange: Exchange,
    options: Options,
    lock: Option<(Door, Certificates)>,
}

impl Trial {
    async fn with_accounts(key: &str) -> Self {
        let mut trial = Self::over(Exchange::with_accounts().await, key);
        let (target, id) = (&mut trial.options.target, trial.options.key.device_id.to_string());
        (target.username, target.password) = (Some("check".into()), Some(Secret(PASSWORD.into())));
        trial.options.credentials = Some(Credentials { username: id, password: Secret(PASSWORD.into()) });
        trial
    }

    /// The same through TLS; `asks`: clients must show a certificate. Or why not.
    async fn locked(mut self, asks: bool) -> Result<Self, String> {
        let certificates = Certificates::make()?;
        let door = Door::before(self.exchange.port, &certificates, asks).await;
        let target = &mut self.options.target;
        (target.port, target.tls, target.ca_file) = (door.port, true, Some(certificates.file("ca.crt")));
        target.identity = asks.then(|| (certificates.file("client.crt"), certificates.file("client.key")));
        self.options.require_tls = true;
        self.lock = Some((door, certificates));
        Ok(self)
    }

    /// A file of the lock's.
    fn file(&self, name: &str) -> std::path::PathBuf {
        self.lock.as_ref().unwrap().1.file(name)
    }

    async fn open(key: &str) -> Self {
        Self::over(Exchange::open().await, key)
    }

    fn over(exchange: Exchange, key: &str) -> Self {
        let target = Target::parse(&format!("127.0.0.1:{}", exchange.port)).unwrap();
        let options = Options::new(key.parse().unwrap(), target);
        let seconds = Duration::from_secs;
        let options =
            Options { proxy: Some(free_address()), watch: seconds(61), outage: seconds(6), rounds: 8, patience: seconds(30), open_broker: true, ..options };
        Self { exchange, options, lock: None }
    }

    fn proxy(&self) -> SocketAddr {
        self.options.proxy.unwrap()
    }

    /// Runs the check; the device is started as soon as the proxy listens.
    async fn check<D>(self, start: impl AsyncFnOnce() -> D) -> Report {
        let options = self.options.clone();
        let (ready, listening) = tokio::sync::oneshot::channel();
        let mut ready = Some(ready);
        let inspecting = tokio::spawn(async move {
            let tell = move |step: Step| {
                if step.done == 1 {
                    ready.take().map(|ready| ready.send(()));
                }
            };
            inspect(&options, tell).await
        });
        listening.await.expect("the check begins");
        let device = start().await;
        let evidence = inspecting.await.unwrap().unwrap();
        drop(device);
        let shown = self.options.target.shown();
        self.exchange.stop().await;
        Report::judge(&evidence, &shown)
    }
}

fn words(trial: &Trial, id: &str) -> Vec<String> {
    let port = trial.proxy().port().to_string();
    let [ca, certificate, key] = ["ca.crt", "client.crt", "client.key"].map(|name| trial.file(name).display().to_string());
    let state = STATE_EVERY_S.to_string();
    let words = ["--port", &port, "--tenant", "acme", "--site", "home", "--id", id, "--username", id, "--password", PASSWORD, "--state-every", &state];
    let tls = ["--ca", &ca, "--cert", &certificate, "--key", &key];
    words.iter().chain(&tls).map(|word| (*word).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdks_device() {
    let mut trial = need!("the SDK's device", Trial::with_accounts("acme/home/0200000000a1").await.locked(false).await);
    let (data, key) = (tempfile::tempdir().unwrap(), FernetKey::new([42; 32]));
    trial.options.fernet = Some(key.clone());
    let broker = Broker::tls("127.0.0.1", trial.proxy().port(), Tls::ca(trial.file("ca.crt"))).login("0200000000a1", PASSWORD);
    let text = |text: &str| Some(text.to_owned());
    let attributes = Attributes { manufacturer: text("Example"), model: text("rust-sensor"), firmware_version: text("1.0.0"), ..Attributes::default() };
    let config = DeviceConfig::new(trial.options.key.clone(), "sensor", broker);
    let config = DeviceConfig { data_dir: data.path().into(), attributes, fernet_key: Some(key), state_period: Duration::from_secs(STATE_EVERY_S), ..config };
    let read = tool_fn("sensor.read", ToolSupport::plain(), |_call| async { Ok(serde_json::json!({"temperature_c": 21.5})) });
    let figures = serde_json::json!({"cpu_usage": 1.0, "memory_usage": 2.0}).as_object().unwrap().clone();
    let report = trial
        .check(async || {
            let device = Device::builder(config).tool(read).state(move || StateReport { health: Health::Ok, figures: figures.clone() }).start().await.unwrap();
            device.event("system.start", talkwire_device::Severity::Info, serde_json::json!({"reason": "power_on"}));
            let speaking = device.device();
            tokio::spawn(async move {
                speaking.online().await;
                speaking.telemetry("temperature", 21.5, "celsius");
            });
            device
        })
        .await;
    table::is_clean(&report);
    table::compare("Rust SDK", &report);
}

/// Built beside this program whenever the whole workspace is.
fn rust_example() -> Result<std::path::PathBuf, String> {
    let beside = Path::new(env!("CARGO_BIN_EXE_talkwire")).with_file_name("device");
    if beside.is_file() { Ok(beside) } else { Err("examples/rust is not built; `cargo build -p talkwire-example`".into()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_example() {
    let program = need!("the Rust example", rust_example());
    let trial = need!("the Rust example", Trial::open("demo/home/fan-1").await.locked(true).await);
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.arg(trial.proxy().to_string()).args(["ca.crt", "client.crt", "client.key"].map(|name| trial.file(name))).current_dir(folder.path());
    let report = trial.check(async || Program::start(&mut command)).await;
    table::is_clean(&report);
    table::compare("examples/rust", &report);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_device() {
    let python = need!("the Python device", python());
    let trial = need!("the Python device", Trial::with_accounts("acme/home/0200000000aa").await.locked(true).await);
    let mut command = python.command();
    command.arg(root().join("examples/python/device.py")).args(words(&trial, "0200000000aa"));
    let report = trial.check(async || Program::start(&mut command)).await;
    table::is_clean(&report);
    table::compare("Python", &report);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_device() {
    let node = need!("the Node device", node());
    let trial = need!("the Node device", Trial::with_accounts("acme/home/0200000000ab").await.locked(true).await);
    let mut command = node.command();
    command.arg(root().join("examples/node/device.js")).args(words(&trial, "0200000000ab"));
    let report = trial.check(async || Program::start(&mut command)).await;
    table::is_clean(&report);
    table::compare("Node", &report);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_esp32_sketch_compiled_for_this_machine() {
    let folder = need!("the ESP32 sketch", sketches());
    let trial = Trial::with_accounts("acme/home/0200000000ac").await;
    let mut command = Command::new(folder.join("device"));
    command.env("BROKER_URI", format!("mqtt://{}", trial.proxy())).env("PLACE", "acme/home").env("DEVICE_ID", "0200000000ac");
    command.env("BROKER_NAME", "0200000000ac").env("BROKER_PASSWORD", PASSWORD).env("STATE_EVERY_MS", (STATE_EVERY_S * 1000).to_string());
    let report = trial.check(async || Program::start(&mut command)).await;
    table::is_clean(&report);
    table::compare("ESP32 sketch", &report);
}

/// Its CPU and memory are those of this whole machine, whatever else runs on it.
#[tokio::test(flavor = "multi_thread")]
async fn this_linux_machine_as_a_device() {
    let trial = need!("talkwire device", Trial::with_accounts("acme/home/0200000000a5").await.locked(false).await);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let password = file("password", PASSWORD);
    std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let settings = format!(
        "[broker]\nurl = \"mqtts://{}\"\nca_file = {:?}\nusername = \"0200000000a5\"\npassword_file = {password:?}\n\n[device]\ntenant = \"acme\"\nsite = \"home\"\ndevice_id = \"0200000000a5\"\ndata = {:?}\nstate_period_s = 10\n",
        trial.proxy(),
        trial.file("ca.crt"),
        folder.path().join("data")
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_talkwire"));
    command.args(["device", "--config"]).arg(file("device.toml", &settings));
    let report = trial.check(async || Program::start(&mut command)).await;
    table::compare_but(&["P03", "P04"], "talkwire device", &report);
}

/// What the guide's own device does and does not; nothing in it is ours.
#[tokio::test(flavor = "multi_thread")]
async fn the_guides_own_device() {
    let guide = need!("the guide's device", spec::document("rtk-integration-guide.md"));
    let python = need!("the guide's device", python());
    let blocks = tempfile::tempdir().unwrap();
    for (n, block) in spec::blocks(&guide, "python").into_iter().enumerate() {
        std::fs::write(blocks.path().join(format!("{n:02}.py")), block).unwrap();
    }
    let mut trial = Trial::open("your-org/main-office/aabbccddeeff").await;
    trial.options.back_within = Duration::from_secs(20);
    let mut command = python.command();
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents/drivers/device.py");
    command.arg(driver).arg(blocks.path()).arg(trial.proxy().port().to_string());
    let report = trial.check(async || Program::start(&mut command)).await;
    table::compare("guide's device", &report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_a_simulated_home() {
    let trial = Trial::open("home/living/020000000002").await;
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_talkwire"));
    command
        .args(["home", "run"])
        .arg(root().join("homes/evening.toml"))
        .args(["--speed", "10", "--broker", &trial.proxy().to_string(), "--data"])
        .arg(data.path());
    let report = trial.check(async || Program::start(&mut command)).await;
    table::compare("simulated", &report);
}
