//! The command line: sentences that help, exit codes that mean something.

use crate::harness::House;
use serde_json::json;
use std::process::{Command, Output, Stdio};
use talkwire_store::Sqlite;

fn talkwire(args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    run_in(dir.path(), args)
}

fn run_in(dir: &std::path::Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_talkwire")).current_dir(dir).args(args).env_remove("TALKWIRE_DATA").output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_command_shows_an_example_in_its_help() {
    for command in [
        "demo",
        "serve",
        "home",
        "ask",
        "devices",
        "sessions",
        "changesets",
        "receipt",
        "audit",
        "config",
        "broker",
        "check",
        "device",
        "tools",
        "call",
        "keys",
    ] {
        let output = talkwire(&[command, "--help"]);
        assert!(output.status.success());
        assert!(said(&output).contains("Example"), "{command} --help shows no example");
    }
    for command in ["run", "check"] {
        assert!(said(&talkwire(&["home", command, "--help"])).contains("Example"));
    }
}

#[test]
fn a_device_that_is_meant_wrongly_ends_with_2_and_says_what_to_write() {
    let dir = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        std::fs::write(dir.path().join("device.toml"), text).unwrap();
        run_in(dir.path(), &["device", "--config", "device.toml", "--print-config", "--device-id", "edge-1"])
    };
    for (output, hint) in [
        (talkwire(&["device", "--bogus"]), "--help"),
        (talkwire(&["device", "--config", "nowhere.toml"]), "nowhere.toml"),
        (talkwire(&["device", "--device-id", "edge-1", "--broker", "http://hub:hunter2@broker.example"]), "mqtt://host"),
        (talkwire(&["device", "--device-id", "edge-1", "--broker", "mqtt://hub:hunter2@broker.example:port"]), "mqtt://host"),
        (talkwire(&["device", "--device-id", "../../etc/passwd"]), "device.device_id"),
        (file("[broker]\nurl = 5\n"), "line 2"),
        (file("[exec.'fan.read']\nclass = 'read'\nrun = ['fan; reboot']\n"), "line 1"),
    ] {
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(hint) && !said(&output).contains("hunter2"), "{}", said(&output));
    }
    let example = talkwire(&["device", "--example-config"]);
    let printed = file(&said(&example));
    assert_eq!((example.status.code(), printed.status.code()), (Some(0), Some(0)), "{}", said(&printed));
    assert!(said(&printed).contains("home/living/edge-1"), "{}", said(&printed));
}

#[test]
fn a_taken_port_is_named_with_the_flag_that_helps() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = holder.local_addr().unwrap().to_string();
    for (flag, others) in [("--http", ["--mqtt", "--ws"]), ("--mqtt", ["--http", "--ws"]), ("--ws", ["--http", "--mqtt"])] {
        let mut args = vec!["serve", flag, &addr];
        for other in others {
            args.extend([other, "127.0.0.1:0"]);
        }
        let output = talkwire(&args);
        assert_eq!(output.status.code(), Some(1));
        let text = said(&output);
        assert!(text.contains("E_PORT_TAKEN") && text.contains(&addr) && text.contains("taken") && text.contains(flag), "{text}");
    }
}

#[test]
fn a_broker_that_is_there_already_is_offered_when_its_port_is_taken() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".env"), format!("MQTT_BROKER=localhost\nMQTT_PORT={port}\n")).unwrap();
    let text = said(&run_in(dir.path(), &["serve", "--http", "127.0.0.1:0", "--ws", "127.0.0.1:0"]));
    assert!(text.contains("E_PORT_TAKEN") && text.contains(&format!("serve --broker mqtt://localhost:{port}")), "{text}");
}

#[test]
fn an_address_that_is_none_is_said_once_and_without_its_password() {
    for command in
        [&["serve", "--broker"][..], &["check", "edge-1", "--tenant", "a", "--site", "b", "--broker"], &["device", "--device-id", "edge-1", "--broker"]]
    {
        let text = said(&talkwire(&[command, &["http://hub:hunter2@x:1"]].concat()));
        assert_eq!(text.matches("neither mqtt nor mqtts").count(), 1, "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_help_shows_no_password_of_the_environment() {
    for command in ["serve", "device", "check", "demo"] {
        let output = Command::new(env!("CARGO_BIN_EXE_talkwire")).args([command, "--help"]).env("TALKWIRE_BROKER", "mqtt://hub:hunter2@h").output().unwrap();
        assert!(said(&output).contains("TALKWIRE_BROKER") && !said(&output).contains("hunter2"), "{command}");
    }
}

#[test]
fn a_catalogue_that_weakens_a_tool_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("own/tools")).unwrap();
    let entry = "\n[[tool]]\nop = \"wifi.set_channel\"\nclass = \"read\"\npermission = \"read\"\ntypical_ms = 1\ntimeout_ms = 1000\ntitle = { zh-TW = \"x\", zh-CN = \"x\", en = \"x\" }\n";
    std::fs::write(dir.path().join("own/tools/mine.toml"), entry).unwrap();
    let free = ["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--catalog", "own"];
    for command in ["serve", "demo"] {
        let output = run_in(dir.path(), &[&[command][..], &free].concat());
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("mine.toml, line 2") && text.contains("wifi.set_channel") && text.contains("class is \"act\""), "{text}");
    }
}

#[test]
fn a_broken_configuration_points_at_the_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("talkwire.toml"), "http = \"127.0.0.1:5000\"\nmqtt = 1883\n").unwrap();
    let output = run_in(dir.path(), &["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    assert!(text.contains("talkwire.toml") && text.contains("line 2"), "{text}");
    assert_eq!(text.matches("line 2").count(), 1, "said once: {text}");
}

#[test]
fn listening_beyond_this_machine_is_refused_with_what_to_do() {
    let output = talkwire(&["serve", "--http", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("127.0.0.1"), "{}", said(&output));
}

#[test]
fn an_absent_server_is_exit_code_three() {
    let output = talkwire(&["devices", "--server", "http://127.0.0.1:9"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("talkwire demo"), "{}", said(&output));
    assert_eq!(talkwire(&["devices", "--nonsense"]).status.code(), Some(2));
}

#[test]
fn a_home_file_that_is_wrong_is_refused_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("home.toml"), "[site]\nsite = \"x\"\nroms = 3\n").unwrap();
    let output = run_in(dir.path(), &["home", "check", "home.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output).matches("unknown field `roms`").count(), 1, "{}", said(&output));
}

#[test]
fn the_default_configuration_is_printed_commented_and_as_json() {
    assert!(said(&talkwire(&["config"])).contains("# Address of the console"));
    let json: serde_json::Value = serde_json::from_slice(&talkwire(&["config", "--json"]).stdout).unwrap();
    assert_eq!(json["http"], "127.0.0.1:5000");
}

#[test]
fn a_receipt_that_is_none_is_exit_code_one() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.json"), "{\"schema\":\"talkwire.receipt/1.0\",\"signature\":{\"public_key\":\"00\",\"value\":\"00\"}}").unwrap();
    let output = run_in(dir.path(), &["receipt", "verify", "r.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("E_NOT_GENUINE"), "{}", said(&output));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_talkwire")).arg("config").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_talkwire")).arg("config").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "half an answer is none");
    assert!(said(&output).contains("cannot be written"), "{}", said(&output));
}

#[test]
fn a_device_is_named_by_its_three_parts() {
    let output = talkwire(&["devices", "router"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("tenant/site/device_id"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_that_was_emptied_is_found_by_the_heads_beside_the_database() {
    let house = House::new().await;
    house.client("d").await.say_json("rtk/v1/home/lab/aabbccddee01/lwt", json!({"status": "online"})).await.unwrap();
    house.running.stop().await;
    let data = house.dir.path().to_str().unwrap().to_owned();
    let verify = || talkwire(&["audit", "verify", "--data", &data]);
    assert!(verify().status.success(), "{}", said(&verify()));
    for name in ["talkwire.db", "talkwire.db-wal", "talkwire.db-shm"] {
        let _ = std::fs::remove_file(house.dir.path().join(name));
    }
    drop(Sqlite::open(house.dir.path(), Default::default()).unwrap());
    let output = verify();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("a head was signed at row"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_answer_is_printed_once() {
    let house = House::new().await;
    let device = house.client("fan").await;
    device.say_json("rtk/v1/home/flat/fan-1/lwt", json!({"status": "online"})).await.unwrap();
    let (server, token) = (format!("http://{}", house.http()), house.token());
    let output = tokio::task::spawn_blocking(move || talkwire(&["ask", "is fan-1 online?", "--server", &server, "--token", &token])).await.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).matches("fan-1 is online").count(), 1, "{}", said(&output));
}
