//! A device with a key takes only what was sealed with it, and lately, and says nothing in clear.
#![cfg(feature = "fernet")]

mod bench;

use bench::Exchange;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use talkwire_device::{Device, DeviceConfig, FernetKey, ToolSupport, tool_fn};
use talkwire_link::{Events, Link, LinkConfig, LinkEvent, Qos};

const TOPIC: &str = "rtk/v1/acme/home/aabbccddeeff";

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The next message on a topic tail, opened.
async fn hear(events: &mut Events, key: &FernetKey, tail: &str) -> Value {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await.expect("within 10 s").expect("open");
        if let LinkEvent::Message(message) = event
            && message.topic == format!("{TOPIC}/{tail}")
        {
            let text = key.decrypt(&message.payload, now_s(), Some(60)).expect("sealed with the key, just now");
            return serde_json::from_slice(&text).expect("JSON");
        }
    }
}

#[tokio::test]
async fn clear_old_and_forged_commands_are_counted_and_not_run() {
    let exchange = Exchange::start().await;
    let data = tempfile::tempdir().unwrap();
    let key = FernetKey::new([5; 32]);
    let (link, mut events) = Link::connect(LinkConfig::new("127.0.0.1", exchange.port, "controller")).unwrap();
    link.subscribe(format!("{TOPIC}/#"), Qos::AtLeastOnce);
    while !link.is_up() {
        events.next().await;
    }
    let config = DeviceConfig { fernet_key: Some(key.clone()), ..exchange.device(data.path()) };
    let tool = tool_fn("clients.list", ToolSupport::plain(), |call| async move { Ok(json!(call.id)) });
    let device = Device::builder(config).tool(tool).start().await.unwrap();
    assert_eq!(hear(&mut events, &key, "lwt").await["status"], "online");
    assert_eq!(hear(&mut events, &key, "attr").await["device_type"], "lamp");
    let command = |id: &str| json!({"id": id, "op": "clients.list"}).to_string();
    let send = |payload: String| link.publish(format!("{TOPIC}/cmd/req"), payload, Qos::AtLeastOnce, false);
    send(command("clear")).await.unwrap();
    send(key.encrypt(command("old").as_bytes(), now_s() - 301, [1; 16])).await.unwrap();
    send(FernetKey::new([6; 32]).encrypt(command("forged").as_bytes(), now_s(), [1; 16])).await.unwrap();
    send(key.encrypt(command("good").as_bytes(), now_s(), [1; 16])).await.unwrap();
    assert_eq!(hear(&mut events, &key, "cmd/ack").await["id"], "good");
    assert_eq!(hear(&mut events, &key, "cmd/res").await["result"], "good");
    assert_eq!((&device.counters()["undecryptable"], &device.counters()["commands"]), (&json!(3), &json!(1)));
    // The will was sealed when the connection was made.
    drop(device);
    assert_eq!(hear(&mut events, &key, "lwt").await["reason"], "unexpected_disconnect");
}
