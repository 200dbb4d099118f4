//! Devices whose payloads are encrypted with a key of their own, at our broker and at somebody else's.

use crate::harness::{Client, House, config, eventually};
use crate::mosquitto::Mosquitto;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use talkwire::config::{Config, OutsideBroker};
use talkwire::serve;
use talkwire_device::{Broker, Device, DeviceConfig, DeviceError, FernetKey, Running, ToolSupport, tool_fn};
use talkwire_link::LinkConfig;

const KEY: &str = "home/lab/020000000077";

/// `talkwire keys …`, which must go well: what it prints.
fn keys(data: &Path, words: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_talkwire")).arg("keys").args(words).args(["--json", "--data"]).arg(data).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn key(told: &Value) -> FernetKey {
    told["key"].as_str().unwrap().parse().unwrap()
}

async fn device(port: u16, data: &Path, fernet_key: Option<FernetKey>) -> Running {
    let config = DeviceConfig::new(KEY.parse().unwrap(), "router", Broker::open("127.0.0.1", port));
    let config = DeviceConfig { data_dir: data.into(), fernet_key, ..config };
    let tool = tool_fn("clients.list", ToolSupport::plain(), |_| async { Ok(json!({"clients": []})) });
    let running = Device::builder(config).tool(tool).start().await.unwrap();
    running.online().await;
    running
}

/// The server has seen what changed in the file.
async fn taken_up(house: &House, devices: usize, changing: usize) {
    eventually("the keys are read anew", || async {
        let (_, system) = house.owner("GET", "/api/v1/system", json!({})).await;
        (system["device_keys"] == json!({"devices": devices, "changing": changing})).then_some(Value::Null)
    })
    .await;
}

/// A command goes to the device and its answer comes back.
async fn answers(house: &House) {
    let body = json!({"tenant": "home", "site": "lab", "device_id": "020000000077", "op": "clients.list"});
    eventually("the device answers", || async {
        let (status, command) = house.owner("POST", "/api/v1/commands?wait=true", body.clone()).await;
        (status == 200 && command["result"]["clients"] == json!([])).then_some(command)
    })
    .await;
}

/// Listens until an answer to a command came by, and checks that everything about the device was unreadable.
async fn nothing_is_in_clear(ear: &mut Client) {
    let heard = Mutex::new(Vec::new());
    ear.until("the answer", |topic, value| {
        assert!(value.is_null(), "{topic} is in clear: {value}");
        heard.lock().unwrap().push(topic.rsplit('/').next().unwrap_or_default().to_owned());
        topic.ends_with("/cmd/res")
    })
    .await;
    let heard = heard.into_inner().unwrap();
    assert!(["lwt", "attr", "state", "req", "ack"].iter().all(|tail| heard.iter().any(|other| other == tail)), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_given_changed_and_taken_away_while_the_server_runs() {
    let (house, data) = (House::new().await, tempfile::tempdir().unwrap());
    let dir = house.dir.path();
    let old = key(&keys(dir, &["add", KEY]));
    let mut ear = house.client("ear").await;
    ear.subscribe(&format!("rtk/v1/{KEY}/#")).await;
    taken_up(&house, 1, 0).await;
    let running = device(house.mqtt().port(), data.path(), Some(old)).await;
    answers(&house).await;
    nothing_is_in_clear(&mut ear).await;

    let new = key(&keys(dir, &["rotate", KEY]));
    taken_up(&house, 1, 1).await;
    answers(&house).await;
    running.shutdown().await;
    let running = device(house.mqtt().port(), data.path(), Some(new.clone())).await;
    answers(&house).await;
    assert_eq!(keys(dir, &["list"])["items"], json!([{"device": KEY, "keys": 2}]));
    assert_eq!(keys(dir, &["remove", "--old", KEY])["removed"], json!(1));
    taken_up(&house, 1, 0).await;
    answers(&house).await;
    running.shutdown().await;

    keys(dir, &["remove", KEY]);
    taken_up(&house, 0, 0).await;
    let running = device(house.mqtt().port(), data.path(), None).await;
    answers(&house).await;
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_broker_that_is_not_ours_the_wire_shows_nothing_either() {
    let Some(broker) = Mosquitto::start("sealed payloads").await else { return };
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = key(&keys(dir.path(), &["add", KEY]));
    let mut ear = Client::connect(LinkConfig::new("127.0.0.1", broker.port, "ear")).await;
    ear.subscribe(&format!("rtk/v1/{KEY}/#")).await;
    let outside = OutsideBroker { url: Some(format!("mqtt://127.0.0.1:{}", broker.port)), ..OutsideBroker::default() };
    let with_broker = Config { broker: outside, ..config(dir.path()) };
    let house = House { running: serve::start(&with_broker).await.unwrap(), dir };
    let running = device(broker.port, data.path(), Some(key)).await;
    answers(&house).await;
    nothing_is_in_clear(&mut ear).await;
    // A forgery in the device's name goes to quarantine.
    let forged = FernetKey::new([3; 32]).encrypt(b"{\"health\":\"critical\"}", 1_800_000_000, [1; 16]);
    ear.say(&format!("rtk/v1/{KEY}/state"), forged).await.unwrap();
    eventually("it is put aside", || async {
        let (_, aside) = house.guest("GET", "/api/v1/quarantine", json!({})).await;
        aside["items"].as_array().unwrap().iter().find(|row| row["reason"].as_str().is_some_and(|why| why.contains("another key"))).cloned()
    })
    .await;
    running.shutdown().await;
}

#[test]
fn keys_says_what_is_wrong_and_shows_a_key_once() {
    let data = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_talkwire")).arg("keys").args(words).arg("--data").arg(data.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, printed, told) = run(&["add", KEY]);
    assert!(code == Some(0) && printed.trim().parse::<FernetKey>().is_ok() && told.contains("fernet_key_file"), "{told}");
    let (_, listed, _) = run(&["list"]);
    assert_eq!(listed.trim(), KEY);
    let out = data.path().join("new.key");
    let (code, printed, _) = run(&["rotate", KEY, "--out", out.to_str().unwrap()]);
    let key = std::fs::read_to_string(&out).unwrap();
    assert!(code == Some(0) && !printed.contains(key.trim()) && key.trim().parse::<FernetKey>().is_ok());
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&out).unwrap().permissions()) & 0o777, 0o600);
    for (words, hint) in [
        (vec!["add", KEY], "keys rotate"),
        (vec!["rotate", KEY], "remove --old"),
        (vec!["rotate", "home/lab/other"], "keys add"),
        (vec!["remove", "home/lab/other"], "keys list"),
        (vec!["add", "home/lab/third", "--out", out.to_str().unwrap()], "must not exist"),
        (vec!["add", "nonsense"], "--help"),
    ] {
        let (code, printed, told) = run(&words);
        assert!(code != Some(0) && printed.is_empty() && told.contains(hint), "{words:?}: {told}");
    }
    assert_eq!(run(&["list"]).1.lines().count(), 1, "what was refused left nothing behind");
}

#[tokio::test]
async fn a_device_with_a_key_takes_no_commands_to_a_group() {
    let config = DeviceConfig::new(KEY.parse().unwrap(), "router", Broker::open("127.0.0.1", 1));
    let data = tempfile::tempdir().unwrap();
    let groups = vec!["upstairs".parse().unwrap()];
    let config = DeviceConfig { data_dir: data.path().into(), fernet_key: Some(FernetKey::new([1; 32])), groups, ..config };
    let refused = Device::builder(config).start().await.err().unwrap();
    assert!(matches!(&refused, DeviceError::Key(why) if why.contains("group")), "{refused}");
}
