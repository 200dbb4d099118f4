//! A device whose payloads are encrypted with its key.

use crate::harness::{House, eventually};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use talkwire_device::{Broker, Device, DeviceConfig, FernetKey, ToolSupport, tool_fn};

#[tokio::test(flavor = "multi_thread")]
async fn the_server_understands_an_encrypted_device_and_the_wire_shows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let key = FernetKey::new([42; 32]);
    let file = dir.path().join("device-keys.toml");
    std::fs::write(&file, format!("\"home/lab/020000000077\" = \"{}\"\n", key.encode())).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let house = House::open(dir).await;
    let mut ear = house.client("ear").await;
    ear.subscribe("rtk/v1/home/lab/020000000077/#").await;

    let data = tempfile::tempdir().unwrap();
    let broker = Broker::open("127.0.0.1", house.mqtt().port());
    let config = DeviceConfig::new("home/lab/020000000077".parse().unwrap(), "router", broker);
    let config = DeviceConfig { data_dir: data.path().into(), fernet_key: Some(key), ..config };
    let tool = tool_fn("clients.list", ToolSupport::plain(), |_| async { Ok(json!({"clients": []})) });
    let device = Device::builder(config).tool(tool).start().await.unwrap();
    device.online().await;
    eventually("the device with its tool", async || {
        let (_, one) = house.guest("GET", "/api/v1/devices/home/lab/020000000077", json!({})).await;
        (one["online"] == json!(true) && one.to_string().contains("clients.list")).then_some(one)
    })
    .await;
    let body = json!({"tenant": "home", "site": "lab", "device_id": "020000000077", "op": "clients.list"});
    let (status, command) = house.owner("POST", "/api/v1/commands?wait=true", body).await;
    assert_eq!((status, &command["result"]["clients"]), (200, &json!([])), "{command}");
    let heard = std::cell::RefCell::new(Vec::new());
    ear.until("the answer", |topic, value| {
        assert!(value.is_null(), "{topic} is in clear: {value}");
        heard.borrow_mut().push(topic.rsplit('/').next().unwrap_or_default().to_owned());
        topic.ends_with("/cmd/res")
    })
    .await;
    let heard = heard.into_inner();
    assert!(["lwt", "attr", "state", "ack"].iter().all(|tail| heard.iter().any(|other| other == tail)), "{heard:?}");
}
