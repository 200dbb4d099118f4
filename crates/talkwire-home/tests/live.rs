//! A home on a real broker: its devices answer commands, a change is undone by silence, and what was kept outlives a crash.

use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use talkwire_device::Broker;
use talkwire_home::{Connected, Connection, HomeFile, House, connect};

const AP: &str = "020000000002";
const ROUTER: &str = "020000000001";
const LAPTOP: &str = "02000000a001";
const SPEED: f64 = 60.0;

struct Exchange {
    port: u16,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Exchange {
    /// `None`, loudly, when Mosquitto or its command-line client is missing.
    async fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let dir = tempfile::tempdir().expect("a folder");
        let config = dir.path().join("mosquitto.conf");
        std::fs::write(&config, format!("listener {port} 127.0.0.1\nallow_anonymous true\n")).expect("a config");
        let client = Command::new("mosquitto_rr").arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let child = ["mosquitto", "/usr/sbin/mosquitto"]
            .iter()
            .find_map(|name| Command::new(name).arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok());
        let (Ok(_), Some(child)) = (client, child) else {
            eprintln!("SKIPPED: mosquitto or mosquitto_rr is not installed; the home was not tested against a broker");
            return None;
        };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(Self { port, child, _dir: dir });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("mosquitto did not start");
    }

    async fn home(&self, data: &Path) -> Connected {
        let path = format!("{}/../../homes/evening.toml", env!("CARGO_MANIFEST_DIR"));
        let house = House::new(HomeFile::load(path).expect("a home"), 1).expect("a house");
        let connection = Connection { broker: Broker::open("127.0.0.1", self.port), data_dir: data.into(), speed: SPEED };
        let home = connect(house, connection).await.expect("a live home");
        // Each device answers once before the story begins.
        for device in [AP, ROUTER, LAPTOP] {
            for _ in 0..20 {
                if self.try_ask(device, "device.status", json!({}), 1).await.is_some() {
                    break;
                }
            }
        }
        home
    }

    async fn try_ask(&self, device: &str, op: &str, args: Value, wait_s: u32) -> Option<Value> {
        let tree = format!("rtk/v1/home/living/{device}/cmd");
        let id = format!("{op}-{}", TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port());
        let message = json!({"id": id, "op": op, "args": args, "timeout_ms": 60_000}).to_string();
        let port = self.port.to_string();
        let output = tokio::task::spawn_blocking(move || {
            Command::new("mosquitto_rr")
                .args([
                    "-V",
                    "5",
                    "-p",
                    &port,
                    "-q",
                    "1",
                    "-W",
                    &wait_s.to_string(),
                    "-t",
                    &format!("{tree}/req"),
                    "-e",
                    &format!("{tree}/res"),
                    "-m",
                    &message,
                ])
                .output()
        });
        let output = output.await.expect("joined").expect("mosquitto_rr runs");
        serde_json::from_slice(&output.stdout).ok()
    }

    async fn ask(&self, device: &str, op: &str, args: Value) -> Value {
        self.try_ask(device, op, args, 15).await.unwrap_or_else(|| panic!("no answer to {op}"))
    }

    async fn channel(&self) -> Value {
        let seen = self.ask(AP, "wifi.get_environment", json!({"band": "2.4GHz"})).await;
        seen["result"]["radios"][0]["channel"].clone()
    }

    async fn download(&self) -> f64 {
        self.ask(LAPTOP, "speed_test", json!({"duration": 10})).await["result"]["download_mbps"].as_f64().expect("a rate")
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_helps_is_kept_or_undone_by_silence_and_survives_a_crash() {
    let Some(exchange) = Exchange::start().await else { return };
    let data = tempfile::tempdir().expect("a folder");
    let home = exchange.home(data.path()).await;

    assert_eq!(exchange.channel().await, 6);
    let slow = exchange.download().await;
    let change = |id: &str, channel: u16, timeout: u32| json!({"interface": "wlan0", "channel": channel, "changeset_id": id, "auto_rollback_timeout": timeout});
    let done = exchange.ask(AP, "wifi.set_channel", change("set-0001", 1, 60)).await;
    assert_eq!((&done["status"], &done["result"]["channel"]), (&json!("completed"), &json!(1)), "{done}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let fast = exchange.download().await;
    assert!(slow < 30.0 && fast > 60.0, "{slow} -> {fast}");
    let kept = exchange.ask(AP, "changeset.commit", json!({"changeset_id": "set-0001"})).await;
    assert_eq!(kept["status"], "completed", "{kept}");

    exchange.ask(AP, "wifi.set_channel", change("set-0002", 11, 1)).await;
    assert_eq!(exchange.channel().await, 11);
    for _ in 0..40 {
        if exchange.channel().await == 1 {
            break;
        }
    }
    assert_eq!(exchange.channel().await, 1, "silence did not undo the change");

    let refused = exchange.ask(AP, "wifi.set_channel", change("set-0003", 14, 60)).await;
    assert_eq!(refused["error"]["code"], "E_INVALID_ARGS", "{refused}");

    exchange.ask(AP, "wifi.set_channel", change("set-0004", 6, 60)).await;
    drop(home);
    let home = exchange.home(data.path()).await;
    assert_eq!(exchange.channel().await, 1, "the crash left an unconfirmed change or lost a confirmed one");
    home.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarting_router_is_away_and_comes_back() {
    let Some(exchange) = Exchange::start().await else { return };
    let data = tempfile::tempdir().expect("a folder");
    let home = exchange.home(data.path()).await;
    home.with(|house| house.call(ROUTER, "device.restart", &json!({})).outcome.expect("it restarts"));
    assert!(!home.with(|house| house.reachable(ROUTER)));
    for _ in 0..100 {
        if home.with(|house| house.reachable(ROUTER)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut answer = None;
    for _ in 0..20 {
        answer = exchange.try_ask(ROUTER, "system.get_hardware_info", json!({}), 1).await;
        if answer.as_ref().is_some_and(|answer| answer["status"] == "completed") {
            break;
        }
    }
    let info = answer.expect("the router answers again");
    assert_eq!(info["result"]["boots_7d"], 1, "{info}");
    home.shutdown().await;
}
