//! A broker, a controller that speaks to one device, and the device with its configuration.

use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use talkwire_broker::{Broker, BrokerConfig, Limits, Listener, OpenGate};
use talkwire_device::{DeviceConfig, Running};
use talkwire_link::{Events, Link, LinkConfig, LinkEvent, Qos};
use talkwire_linux::{Root, Settings, run_with};

pub const KEY: &str = "acme/home/attic-router";

pub struct Desk {
    link: Link,
    events: Events,
    broker: Broker,
    heard: Vec<(String, Value)>,
}

impl Desk {
    pub async fn open() -> Self {
        let listeners = vec![Listener::tcp(([127, 0, 0, 1], 0).into())];
        let broker = Broker::start(BrokerConfig { listeners, limits: Limits::default() }, Arc::new(OpenGate)).await.unwrap();
        let (link, events) = Link::connect(LinkConfig::new("127.0.0.1", broker.addresses()[0].addr.port(), "controller")).unwrap();
        link.subscribe(format!("rtk/v1/{KEY}/#"), Qos::AtLeastOnce);
        Self { link, events, broker, heard: Vec::new() }
    }

    pub fn port(&self) -> u16 {
        self.broker.addresses()[0].addr.port()
    }

    pub async fn close(self) {
        self.broker.stop().await;
    }

    /// The next message on a topic tail that fits; others are kept for later.
    pub async fn hear(&mut self, tail: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(at) = self.heard.iter().position(|(topic, value)| topic.ends_with(tail) && fits(value)) {
                return self.heard.remove(at).1;
            }
            match tokio::time::timeout_at(deadline, self.events.next()).await {
                Ok(Some(LinkEvent::Message(message))) if !message.topic.ends_with("/cmd/req") => {
                    self.heard.push((message.topic.clone(), serde_json::from_slice(&message.payload).expect("JSON")));
                }
                Ok(Some(_)) => {}
                _ => panic!("nothing fitting on {tail}; heard {:#?}", self.heard),
            }
        }
    }

    pub async fn ask(&mut self, id: &str, op: &str, args: Value) -> Value {
        let request = json!({"id": id, "op": op, "args": args, "schema": format!("cmd.{op}/1.0"), "ts": 1});
        self.link.publish(format!("rtk/v1/{KEY}/cmd/req"), request.to_string(), Qos::AtLeastOnce, false).await.unwrap();
        self.hear("/cmd/res", |answer| answer["id"] == id && answer["status"] != "running").await
    }
}

pub async fn device(root: &Root, settings: &str, port: u16, data: &Path) -> Running {
    device_with(root, settings, port, data, |config| config).await
}

pub async fn device_with(root: &Root, settings: &str, port: u16, data: &Path, change: impl FnOnce(DeviceConfig) -> DeviceConfig) -> Running {
    let head = format!(
        "[broker]\nurl = 'mqtt://127.0.0.1:{port}'\n[device]\ntenant = 'acme'\nsite = 'home'\ndevice_id = 'attic-router'\ndata = '{}'\n",
        data.display()
    );
    let settings = Settings::parse(Path::new("device.toml"), &(head + settings)).unwrap();
    let config = change(settings.device(root).unwrap());
    run_with(root, &settings, config).await.unwrap()
}
