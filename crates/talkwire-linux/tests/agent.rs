//! The agent on the SDK, against a real broker: what it says of the machine, and how it answers.

mod bench;

use bench::Machine;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use talkwire_broker::{BrokerConfig, Limits, Listener, OpenGate};
use talkwire_device::{Broker, DeviceConfig};
use talkwire_link::{Events, Link, LinkConfig, LinkEvent, Qos};
use talkwire_linux::{LinuxError, Root, run_on};

const KEY: &str = "acme/home/attic-router";

async fn hear(events: &mut Events, tail: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            if let LinkEvent::Message(message) = events.next().await.expect("open")
                && message.topic.ends_with(tail)
            {
                let value = serde_json::from_slice(&message.payload).expect("JSON");
                if fits(&value) {
                    return value;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("nothing fitting on {tail}"))
}

#[tokio::test]
async fn a_router_says_what_it_is_and_answers() {
    let listeners = vec![Listener::tcp(([127, 0, 0, 1], 0).into())];
    let broker = talkwire_broker::Broker::start(BrokerConfig { listeners, limits: Limits::default() }, Arc::new(OpenGate)).await.unwrap();
    let port = broker.addresses()[0].addr.port();
    let (link, mut events) = Link::connect(LinkConfig::new("127.0.0.1", port, "controller")).unwrap();
    link.subscribe(format!("rtk/v1/{KEY}/#"), Qos::AtLeastOnce);

    let machine = Machine::router();
    machine.remove("proc/net/arp");
    let data = tempfile::tempdir().unwrap();
    let config = DeviceConfig::new(KEY.parse().unwrap(), "router", Broker::open("127.0.0.1", port));
    let running = run_on(&machine.root(), DeviceConfig { data_dir: data.path().into(), ..config }).await.unwrap();

    let attr = hear(&mut events, "/attr", |_| true).await;
    let said = ["name", "model", "firmware_version", "mac_address"].map(|name| attr[name].clone());
    assert_eq!(said, ["attic-router", "Acme Router 9", "Acme Linux 24", "020000000001"].map(Value::from));
    assert_eq!(attr["manufacturer"], "not told by this machine", "a device tree that names no maker, and a processor that names none either");
    assert_eq!(attr["identity_from"], json!({"manufacturer": "nothing", "model": "device_tree"}));
    let capabilities = &attr["capabilities"];
    assert_eq!(capabilities["features"], json!(["ethernet", "wifi"]));
    assert_eq!(capabilities["tools"]["network.interface_status"]["supported"], true);
    let lacking = &capabilities["tools"]["clients.list"];
    assert_eq!((&lacking["supported"], &lacking["reason"]), (&json!(false), &json!("no_neighbour_table")));
    let state = hear(&mut events, "/state", |_| true).await;
    assert_eq!((&state["health"], &state["memory_usage"], &state["uptime_s"]), (&json!("ok"), &json!(60.0), &json!(360_000)));

    for (id, op) in [("1", "network.interface_status"), ("2", "clients.list"), ("3", "device.status")] {
        let request = json!({"id": id, "op": op, "args": {}, "schema": format!("cmd.{op}/1.0"), "ts": 1});
        link.publish(format!("rtk/v1/{KEY}/cmd/req"), request.to_string(), Qos::AtLeastOnce, false).await.unwrap();
    }
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(hear(&mut events, "/cmd/res", |answer| answer["status"] != "running").await);
    }
    let answer = |id: &str| answers.iter().find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("no answer to {id} in {answers:?}"));
    assert_eq!(answer("1")["result"]["total"], 5);
    assert_eq!(answer("2")["error"]["code"], "E_LLM_TOOL_NOT_AVAILABLE");
    assert_eq!(answer("3")["result"]["network_status"], "connected");

    running.shutdown().await;
    assert_eq!(hear(&mut events, "/lwt", |lwt| lwt["status"] == "offline").await["reason"], "shutdown");
    broker.stop().await;
}

#[tokio::test]
async fn what_is_no_linux_is_refused() {
    let empty = Machine::empty();
    let config = || DeviceConfig::new(KEY.parse().unwrap(), "router", Broker::open("127.0.0.1", 1));
    let error = run_on(&Root::new(empty.0.path()), config()).await.err().expect("refused");
    assert!(matches!(error, LinuxError::NoProc(_)) && error.to_string().contains("/proc mounted"), "{error}");
}
