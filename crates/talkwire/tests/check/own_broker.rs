//! At Talkwire's own broker: the owner checks, nobody else may send a command, and the audit knows.

use crate::device::{Device, ID};
use serde_json::Value;
use std::net::SocketAddr;
use talkwire::check::target::Secret;
use talkwire::check::{Options, Report, Status, Target, inspect};
use talkwire::config::Config;
use talkwire::serve;

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
    assert_eq!(guest.finding("B06").unwrap().status, Status::Passed, "what needs no command is checked all the same");

    let token = std::fs::read_to_string(data.path().join("owner.token")).unwrap();
    let target = Target { username: Some("owner".into()), password: Some(Secret(token.trim().into())), ..target };
    let owner = Report::judge(&inspect(&Options { target, ..options }, |_| {}).await.unwrap(), "test");
    for id in ["B09", "B10", "C01", "C03", "C04"] {
        assert_eq!(owner.finding(id).unwrap().status, Status::Passed, "{}", owner.text());
    }
    assert_eq!(owner.count(Status::Failed), 0, "{}", owner.text());

    let url = format!("http://{}/api/v1/audit?limit=200", running.address("http").unwrap());
    let audit: Value = tokio::task::spawn_blocking(move || {
        ureq::get(url).header("Authorization", format!("Bearer {}", token.trim())).call().unwrap().body_mut().read_json().unwrap()
    })
    .await
    .unwrap();
    let probes = audit["items"].as_array().unwrap().iter().filter(|row| row["action"] == "command.probe").count();
    assert!(probes >= 3, "{audit:#}");
    running.stop().await;
}
