//! A tool of a vendor's own, from its program to the receipt: `[exec]` of a real device, an entry for the catalogue, every door.

use crate::harness::{House, PATIENCE, config};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;
use talkwire::serve;
use tempfile::TempDir;

/// A fan whose speed is in a file: one program says it, one sets it, one puts it back.
fn fan(dir: &Path) {
    let program = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\ncd {}\n{text}\n", dir.display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    };
    std::fs::write(dir.join("speed"), "30\n").unwrap();
    let read = program("fan-read", r#"echo "{\"number\": $1, \"percent\": $(cat speed)}""#);
    let get = program("fan-get", r#"echo "{\"percent\": $(cat speed)}""#);
    // The fan that is told to turn at 66 % does so, and complains.
    let set = program("fan-set", r#"echo "$1" > speed; [ "$1" != 66 ]"#);
    let restore = program("fan-restore", r#"sed 's/.*"percent":\([0-9]*\).*/\1/' > speed.new && mv speed.new speed"#);
    let text = format!(
        "[exec.\"fan.read\"]\nclass = \"read\"\nabout = \"Speed of a fan\"\nrun = [{read:?}, \"{{number}}\"]\n\
         args.number = {{ type = \"integer\", min = 1, max = 4, required = true }}\n\n\
         [exec.\"fan.set_speed\"]\nclass = \"act\"\nabout = \"Set the speed of the fan\"\nrun = [{set:?}, \"{{percent}}\"]\ncapture = [{get:?}]\nrestore = [{restore:?}]\n\
         args.percent = {{ type = \"integer\", min = 0, max = 100, required = true }}\n"
    );
    std::fs::write(dir.join("device.toml"), text).unwrap();
}

/// How a change set can end.
const ENDS: [&str; 4] = ["committed", "rolled_back", "rollback_failed", "expired"];

fn talkwire(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_talkwire")).current_dir(dir).args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

struct Device(Child);

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `talkwire device` with the fan, connected.
async fn device(house: &House, dir: &Path) -> Device {
    let broker = format!("mqtt://{}", house.mqtt());
    let data = dir.join("device-data");
    let child = Command::new(env!("CARGO_BIN_EXE_talkwire"))
        .args(["device", "--config"])
        .arg(dir.join("device.toml"))
        .args(["--broker", &broker, "--device-id", "fan-1", "--data"])
        .arg(&data)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let device = Device(child);
    until(house, "/api/v1/devices/home/living/fan-1", |device| device["online"] == json!(true) && !device["tools"]["fan.read"].is_null()).await;
    device
}

async fn until(house: &House, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let (_, value) = house.owner("GET", path, json!({})).await;
        if fits(&value) {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE * 3, "{path} did not become what was waited for: {value}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

fn speed(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("speed")).unwrap().trim().to_owned()
}

fn to(op: &str, args: Value) -> Value {
    json!({"tenant": "home", "site": "living", "device_id": "fan-1", "op": op, "args": args})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_catalogue_has_is_refused_with_the_way_to_add_it() {
    let dir = tempfile::tempdir().unwrap();
    fan(dir.path());
    let house = House::new().await;
    let _device = device(&house, dir.path()).await;
    for (path, body) in [
        ("/api/v1/commands", to("fan.read", json!({"number": 1}))),
        ("/api/v1/changesets", json!({"operations": [to("fan.set_speed", json!({"percent": 1}))], "reason": "x"})),
    ] {
        let (status, refused) = house.owner("POST", path, body).await;
        assert_eq!((status, &refused["code"]), (404, &json!("E_UNKNOWN_OP")), "{refused}");
        let text = refused["detail"].as_str().unwrap();
        assert!(text.contains("--print-catalog") && text.contains("serve --catalog"), "{text}");
    }
    let (_, refused) = house.owner("POST", "/api/v1/commands", to("toaster.brown", json!({}))).await;
    assert!(refused["detail"].as_str().unwrap().contains("/api/v1/tools"), "{refused}");
    house.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_of_ones_own_is_called_and_a_change_is_proposed_approved_kept_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    fan(dir.path());
    let undecided = talkwire(dir.path(), &["device", "--config", "device.toml", "--print-catalog"]);
    assert_eq!(said(&undecided).matches("permission = \"admin\"").count(), 2, "the most careful class, as long as nobody decides: {}", said(&undecided));
    let wrong = talkwire(dir.path(), &["device", "--config", "device.toml", "--print-catalog", "--class", "fan.set_speed=read"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    assert!(said(&wrong).contains("fan.set_speed"), "{}", said(&wrong));
    let printed = talkwire(dir.path(), &["device", "--config", "device.toml", "--print-catalog", "--class", "fan.read=read", "--class", "fan.set_speed=act"]);
    assert!(printed.status.success(), "{}", said(&printed));
    std::fs::create_dir_all(dir.path().join("catalog/tools")).unwrap();
    for (name, output) in [("undecided", &undecided), ("fan", &printed)] {
        std::fs::write(dir.path().join("catalog/tools/fan.toml"), &output.stdout).unwrap();
        let data = tempfile::tempdir().unwrap();
        let mut settings = config(data.path());
        settings.catalog = Some(dir.path().join("catalog"));
        let running = serve::start(&settings).await.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        if name == "undecided" {
            running.stop().await;
        } else {
            let house = House { running, dir: data };
            from_a_to_z(&house, &dir).await;
            house.running.stop().await;
        }
    }
}

async fn from_a_to_z(house: &House, dir: &TempDir) {
    let _device = device(house, dir.path()).await;
    let (_, tools) = house.guest("GET", "/api/v1/tools", json!({})).await;
    let listed = tools["items"].as_array().unwrap().iter().find(|tool| tool["op"] == json!("fan.read")).unwrap().clone();
    assert_eq!((&listed["class"], &listed["args_schema"]["properties"]["number"]["maximum"]), (&json!("read"), &json!(4.0)));
    // HTTP: its typed argument is checked before it is sent.
    let (status, command) = house.owner("POST", "/api/v1/commands?wait=true", to("fan.read", json!({"number": 2}))).await;
    assert_eq!((status, &command["result"]), (200, &json!({"number": 2, "percent": 30})), "{command}");
    let (status, refused) = house.owner("POST", "/api/v1/commands", to("fan.read", json!({"number": 9}))).await;
    assert_eq!((status, &refused["code"]), (400, &json!("E_INVALID_ARGS")), "{refused}");
    // The command line.
    let (server, token) = (format!("http://{}", house.http()), house.token());
    let line = |args: &[&str]| {
        let whole = [args, &["--server", &server, "--token", &token]].concat();
        let output = talkwire(dir.path(), &whole);
        (output.status.success(), said(&output))
    };
    let (done, text) = line(&["call", "home/living/fan-1", "fan.read", "number=3"]);
    assert!(done && text.contains("\"percent\": 30") && text.contains("\"number\": 3"), "{text}");
    let (done, text) = line(&["tools", "home/living/fan-1"]);
    assert!(done && text.contains("fan.set_speed") && text.contains("Set the speed of the fan"), "{text}");
    // An Act is never called by itself.
    let (status, refused) = house.owner("POST", "/api/v1/commands", to("fan.set_speed", json!({"percent": 80}))).await;
    assert_eq!((status, &refused["code"]), (403, &json!("E_ACT_NEEDS_CHANGESET")), "{refused}");
    // Proposed by the command line, approved, kept.
    let (done, text) = line(&["call", "home/living/fan-1", "fan.set_speed", "percent=80", "--json"]);
    assert!(done, "{text}");
    let set: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(speed(dir.path()), "30", "nothing happens before a yes");
    let id = set["changeset_id"].as_str().unwrap();
    assert!(line(&["changesets", "approve", id]).0);
    let path = format!("/api/v1/changesets/{id}");
    let set = until(house, &path, |set| ENDS.iter().any(|end| set["status"] == json!(end))).await;
    assert_eq!((&set["status"], speed(dir.path()).as_str()), (&json!("committed"), "80"), "{set}");
    assert!(!set["receipt"].is_null(), "{set}");
    // A second one fails half-way: the device puts back what it captured.
    let body = json!({"operations": [to("fan.set_speed", json!({"percent": 66}))], "reason": "too loud"});
    let (status, second) = house.owner("POST", "/api/v1/changesets", body).await;
    assert_eq!(status, 201, "{second}");
    let path = format!("/api/v1/changesets/{}", second["changeset_id"].as_str().unwrap());
    let (status, approved) = house.owner("POST", &format!("{path}/approve"), json!({"plan_hash": second["plan_hash"]})).await;
    assert_eq!(status, 200, "{approved}");
    let set = until(house, &path, |set| ENDS.iter().any(|end| set["status"] == json!(end))).await;
    assert_eq!((&set["status"], speed(dir.path()).as_str()), (&json!("rolled_back"), "80"), "{set}");
}
