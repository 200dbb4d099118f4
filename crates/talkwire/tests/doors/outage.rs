//! The broker is away, the server has said yes, and is killed: what it said yes to goes out all the same, once it and the broker are back.

use crate::harness::{Client, eventually, request};
use crate::mosquitto::Mosquitto;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use talkwire_link::{Backoff, LinkConfig, Qos};

const DEVICE: &str = "rtk/v1/home/lab/aabbccddeeff";

/// `talkwire serve` in a process of its own.
struct Server {
    child: Child,
    http: SocketAddr,
    token: String,
}

impl Server {
    async fn start(data: &Path, broker: u16) -> Self {
        let ready = data.join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let mut command = Command::new(env!("CARGO_BIN_EXE_talkwire"));
        command.args(["serve", "--http", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--broker", &format!("mqtt://127.0.0.1:{broker}")]);
        command.arg("--data").arg(data).arg("--ready-file").arg(&ready).current_dir(data).env_remove("TALKWIRE_BROKER");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let told = eventually("the server is ready", || async { std::fs::read(&ready).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) }).await;
        let listeners = told["listeners"].as_array().unwrap();
        let http = listeners.iter().find(|listener| listener["kind"] == "http").unwrap();
        let token = std::fs::read_to_string(data.join("owner.token")).unwrap().trim().to_owned();
        Self { child, http: http["address"].as_str().unwrap().parse().unwrap(), token }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        request(self.http, method, path, body, Some(format!("Bearer {}", self.token)), &[]).await
    }

    async fn is_connected(&self, wanted: bool) {
        eventually("the broker is there, or is known to be away", || async {
            let (status, _) = self.ask("GET", "/readyz", json!({})).await;
            ((status == 200) == wanted).then_some(Value::Null)
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn client(port: u16, name: &str) -> Client {
    let backoff = Backoff { min: Duration::from_millis(200), max: Duration::from_secs(1) };
    Client::connect(LinkConfig { backoff, ..LinkConfig::new("127.0.0.1", port, name) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_while_the_broker_is_away_survives_a_kill_of_the_server() {
    let Some(mut broker) = Mosquitto::start("accepted while the broker is away").await else { return };
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), broker.port).await;
    server.is_connected(true).await;
    let (mut device, mut person) = (client(broker.port, "router-1").await, client(broker.port, "phone").await);
    device.subscribe(&format!("{DEVICE}/cmd/req")).await;
    person.subscribe("chatroom/messages/out").await;
    let attr = json!({"schema": "attr/1.0", "ts": 1, "capabilities": {"device_type": "router", "tools": {"device.status": {"supported": true}}}});
    let online = json!({"schema": "lwt/1.0", "ts": 1, "status": "online"});
    device.link.publish(format!("{DEVICE}/attr"), attr.to_string(), Qos::AtLeastOnce, true).await.unwrap();
    device.link.publish(format!("{DEVICE}/lwt"), online.to_string(), Qos::AtLeastOnce, true).await.unwrap();
    eventually("the device is known", || async {
        let (_, one) = server.ask("GET", "/api/v1/devices/home/lab/aabbccddeeff", json!({})).await;
        (one["online"] == true && one["device_type"] == "router").then_some(one)
    })
    .await;
    broker.settle().await;

    broker.kill();
    server.is_connected(false).await;
    let command = json!({"tenant": "home", "site": "lab", "device_id": "aabbccddeeff", "op": "device.status", "timeout_ms": 120_000});
    let (status, command) = server.ask("POST", "/api/v1/commands", command).await;
    assert_eq!(status, 200, "{command}");
    let id = command["id"].as_str().unwrap().to_owned();
    for n in 0..20 {
        let (status, said) = server.ask("POST", "/api/v1/rooms/main/messages", json!({"text": format!("word {n}")})).await;
        assert_eq!(status, 200, "{said}");
    }
    drop(server);

    assert!(broker.run().await);
    let server = Server::start(data.path(), broker.port).await;
    server.is_connected(true).await;
    for n in 0..20 {
        let (_, said) = person
            .until("what was said", |topic, value| topic == "chatroom/messages/out" && value["content"].as_str().is_some_and(|text| text.starts_with("word")))
            .await;
        assert_eq!(said["content"], json!(format!("word {n}")), "in their order, each once");
    }
    let (_, came) = device.until("the command", |topic, value| topic.ends_with("/cmd/req") && value["id"] == json!(id)).await;
    assert_eq!(came["op"], json!("device.status"));
    device.say_json(&format!("{DEVICE}/cmd/res"), json!({"id": id, "status": "completed", "result": {"health": "ok"}})).await.unwrap();
    eventually("the command is done", || async {
        let (_, command) = server.ask("GET", &format!("/api/v1/commands/{id}"), json!({})).await;
        (command["status"] == "completed").then_some(command)
    })
    .await;

    // What the broker has is forgotten: another kill sends nothing again.
    let began = Instant::now();
    let waiting = || talkwire_store::Reader::open(data.path()).unwrap().outgoing().unwrap();
    while waiting() > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "{} messages are kept that the broker has", waiting());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(server);
    let server = Server::start(data.path(), broker.port).await;
    server.is_connected(true).await;
    let again = person.hears(Duration::from_secs(2), |_, value| value["content"].as_str().is_some_and(|text| text.starts_with("word"))).await;
    assert!(!again, "what arrived is not said twice");
}
