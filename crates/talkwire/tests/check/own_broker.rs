//! At Talkwire's own broker: the owner checks, nobody else may send a command, and the audit knows.

use crate::device::{Device, ID};
use crate::exchange::{Exchange, PASSWORD};
use serde_json::Value;
use std::net::SocketAddr;
use talkwire::check::access::Credentials;
use talkwire::check::target::Secret;
use talkwire::check::{Options, Report, Status, Target, inspect};
use talkwire::config::{Config, OutsideBroker};
use talkwire::serve::{self, Running};

/// What the server answers its owner.
async fn asked(running: &Running, data: &std::path::Path, path: &str) -> Value {
    let url = format!("http://{}{path}", running.address("http").unwrap());
    let token = std::fs::read_to_string(data.join("owner.token")).unwrap();
    let ask = move || ureq::get(url).header("Authorization", format!("Bearer {}", token.trim())).call().unwrap().body_mut().read_json().unwrap();
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// Nothing of a check stays in the server but the device itself.
async fn has_only_the_device(running: &Running, data: &std::path::Path) {
    let devices = asked(running, data, "/api/v1/devices").await;
    let ids: Vec<_> = devices["items"].as_array().unwrap().iter().map(|device| device["device_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [ID], "{devices:#}");
    let quarantine = asked(running, data, "/api/v1/quarantine").await;
    let of_a_check = |row: &Value| row["topic"].as_str().unwrap().contains("talkwire-check-");
    assert!(!quarantine["items"].as_array().unwrap().iter().any(of_a_check), "{quarantine:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trying_what_the_broker_lets_a_device_do_makes_no_device() {
    let (exchange, data) = (Exchange::open().await, tempfile::tempdir().unwrap());
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let broker = OutsideBroker { url: Some(format!("mqtt://127.0.0.1:{}", exchange.port)), ..OutsideBroker::default() };
    let running = serve::start(&Config { data: data.path().into(), http: free, mqtt: vec![free], ws: free, broker, ..Config::default() }).await.unwrap();
    let _device = Device::start(exchange.port, None, &[]);
    let target = Target::parse(&format!("mqtt://127.0.0.1:{}", exchange.port)).unwrap();
    let mut options = Options { rounds: 3, ..Options::new(format!("acme/home/{ID}").parse().unwrap(), target).quick() };
    for credentials in [None, Some(Credentials { username: "x".into(), password: Secret(PASSWORD.into()) })] {
        options.credentials = credentials;
        let report = Report::judge(&inspect(&options, |_| {}).await.unwrap(), "test");
        // It was tried in earnest, and the server heard it.
        assert_eq!(report.finding("S04").unwrap().status, Status::Failed, "{}", report.text());
        has_only_the_device(&running, data.path()).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_checks_a_device_at_the_embedded_broker_and_a_guest_cannot_command() {
    let data = tempfile::tempdir().unwrap();
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let running = serve::start(&Config { data: data.path().into(), http: free, mqtt: vec![free], ws: free, ..Config::default() }).await.unwrap();
    let mqtt = running.address("mqtt").unwrap();
    let _device = Device::start(mqtt.port(), None, &[]);
    let target = Target::parse(&format!("mqtt://{mqtt}")).unwrap();
    let options = Options { rounds: 3, ..Options::new(format!("acme/home/{ID}").parse().unwrap(), target.clone()).quick() };

    let guest = Report::judge(&inspect(&options, |_| {}).await.unwrap(), "test");
    assert_eq!(guest.finding("B09").unwrap().status, Status::Skipped, "{}", guest.text());
    assert!(guest.finding("B09").unwrap().detail.contains("cmd/req"));
    assert!(guest.sum().contains("NO COMMAND WAS TESTED") && guest.sum().contains("--data DIR"), "{}", guest.text());
    assert_eq!(guest.finding("S04").unwrap().status, Status::Failed, "anybody may speak for a device here: {}", guest.text());
    has_only_the_device(&running, data.path()).await;
    assert_eq!(guest.finding("B06").unwrap().status, Status::Passed, "what needs no command is checked all the same");

    let token = std::fs::read_to_string(data.path().join("owner.token")).unwrap();
    let target = Target { username: Some("owner".into()), password: Some(Secret(token.trim().into())), ..target };
    let owner = Report::judge(&inspect(&Options { target, open_broker: true, ..options }, |_| {}).await.unwrap(), "test");
    for id in ["B09", "B10", "C01", "C03", "C04"] {
        assert_eq!(owner.finding(id).unwrap().status, Status::Passed, "{}", owner.text());
    }
    assert_eq!((owner.count(Status::Failed), owner.notes().len()), (0, 0), "{}", owner.text());

    let audit = asked(&running, data.path(), "/api/v1/audit?limit=200").await;
    let probes = audit["items"].as_array().unwrap().iter().filter(|row| row["action"] == "command.probe").count();
    assert!(probes >= 3, "{audit:#}");
    running.stop().await;
}
