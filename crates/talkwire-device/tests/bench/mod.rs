//! A workbench: a broker, a controller that speaks to one device, and a lamp whose configuration can be changed.
#![allow(dead_code)]

pub mod ledger;
pub mod proxy;

use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use talkwire_broker::{BrokerConfig, Gate, Limits, Listener, OpenGate};
use talkwire_device::{Act, Applied, Args, Backoff, Broker, Device, DeviceConfig, ToolError};
use talkwire_link::{Events, Link, LinkConfig, LinkEvent, Qos};

pub const KEY: &str = "acme/home/aabbccddeeff";

pub struct Exchange {
    pub port: u16,
    limits: Limits,
    gate: Arc<dyn Gate>,
    broker: Option<talkwire_broker::Broker>,
}

impl Exchange {
    pub async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    pub async fn start_with(limits: Limits) -> Self {
        Self::start_all(limits, Arc::new(OpenGate)).await
    }

    /// A broker whose gate is the test's.
    pub async fn start_gated(gate: Arc<dyn Gate>) -> Self {
        Self::start_all(Limits::default(), gate).await
    }

    async fn start_all(limits: Limits, gate: Arc<dyn Gate>) -> Self {
        let mut exchange = Self { port: 0, limits, gate, broker: None };
        exchange.run().await;
        exchange
    }

    /// Starts the broker, again on the same port when it ran before.
    pub async fn run(&mut self) {
        let listeners = vec![Listener::tcp(([127, 0, 0, 1], self.port).into())];
        let config = BrokerConfig { listeners, limits: self.limits.clone() };
        let broker = talkwire_broker::Broker::start(config, self.gate.clone()).await.expect("a broker");
        self.port = broker.addresses()[0].addr.port();
        self.broker = Some(broker);
    }

    pub async fn stop(&mut self) {
        self.broker.take().expect("running").stop().await;
    }

    pub fn device(&self, data: &std::path::Path) -> DeviceConfig {
        let config = DeviceConfig::new(KEY.parse().expect("a key"), "lamp", Broker::open("127.0.0.1", self.port));
        let backoff = Backoff { min: Duration::from_millis(50), max: Duration::from_millis(200) };
        DeviceConfig { data_dir: data.to_path_buf(), backoff, ..config }
    }

    pub async fn controller(&self, key: &str) -> Controller {
        let backoff = Backoff { min: Duration::from_millis(50), max: Duration::from_millis(200) };
        let (link, events) = Link::connect(LinkConfig { backoff, ..LinkConfig::new("127.0.0.1", self.port, "controller") }).expect("a link");
        link.subscribe(format!("rtk/v1/{key}/#"), Qos::AtLeastOnce);
        let mut controller = Controller { link, events, key: key.into(), heard: VecDeque::new() };
        controller.up().await;
        controller
    }
}

pub struct Controller {
    pub link: Link,
    events: Events,
    key: String,
    heard: VecDeque<(String, Value)>,
}

impl Controller {
    pub async fn up(&mut self) {
        loop {
            match tokio::time::timeout(Duration::from_secs(10), self.events.next()).await.expect("up within 10 s").expect("open") {
                LinkEvent::Up { .. } => return,
                LinkEvent::Message(message) => self.keep(&message),
                _ => {}
            }
        }
    }

    fn keep(&mut self, message: &talkwire_link::Message) {
        let tail = message.topic.splitn(6, '/').last().expect("a tail").to_owned();
        if tail != "cmd/req" {
            self.heard.push_back((tail, serde_json::from_slice(&message.payload).expect("JSON from the device")));
        }
    }

    /// The next message on a topic tail that fits; others are kept for later.
    pub async fn hear(&mut self, tail: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut seen = 0;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            while seen < self.heard.len() {
                if self.heard[seen].0 == tail && fits(&self.heard[seen].1) {
                    return self.heard.remove(seen).expect("there").1;
                }
                seen += 1;
            }
            match tokio::time::timeout_at(deadline, self.events.next()).await {
                Ok(Some(LinkEvent::Message(message))) => self.keep(&message),
                Ok(Some(_)) => {}
                _ => panic!("nothing fitting on {tail} within 10 s; heard {:#?}", self.heard),
            }
        }
    }

    /// Everything that arrives within the time, on one topic tail.
    pub async fn collect(&mut self, tail: &str, time: Duration) -> Vec<Value> {
        let deadline = tokio::time::Instant::now() + time;
        while let Ok(Some(event)) = tokio::time::timeout_at(deadline, self.events.next()).await {
            if let LinkEvent::Message(message) = event {
                self.keep(&message);
            }
        }
        let (found, rest) = std::mem::take(&mut self.heard).into_iter().partition(|(at, _)| at == tail);
        self.heard = rest;
        let found: VecDeque<_> = found;
        found.into_iter().map(|(_, value)| value).collect()
    }

    pub async fn send(&self, message: &Value) {
        self.send_raw(message.to_string()).await;
    }

    pub async fn send_raw(&self, text: impl Into<String>) {
        self.link.publish(format!("rtk/v1/{}/cmd/req", self.key), text.into(), Qos::AtLeastOnce, false).await.expect("sent");
    }

    /// Sends a command and waits for acknowledgement and answer.
    pub async fn ask(&mut self, id: &str, op: &str, args: Value) -> Value {
        self.send(&json!({"id": id, "op": op, "args": args, "schema": format!("cmd.{op}/1.0"), "ts": 1})).await;
        let ack = self.hear("cmd/ack", |ack| ack["id"] == id).await;
        assert_eq!(ack["status"], "received");
        self.answer(id).await
    }

    pub async fn answer(&mut self, id: &str) -> Value {
        self.hear("cmd/res", |answer| answer["id"] == id && answer["status"] != "running").await
    }
}

/// A lamp's brightness: the configuration section `{"level": n}`.
#[derive(Clone, Default)]
pub struct Lamp {
    pub level: Arc<Mutex<i64>>,
    pub applied: Arc<AtomicUsize>,
    pub restored: Arc<AtomicUsize>,
    pub stuck: Arc<AtomicBool>,
    pub apply_breaks: Arc<AtomicBool>,
}

impl Lamp {
    pub fn level(&self) -> i64 {
        *self.level.lock().expect("lock")
    }

    pub async fn becomes(&self, level: i64) {
        for _ in 0..500 {
            if self.level() == level {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the level stays {} and does not become {level}", self.level());
    }
}

impl Act for Lamp {
    fn op(&self) -> &str {
        "lamp.set_level"
    }
    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        let names: Vec<_> = args.keys().map(String::as_str).collect();
        assert_eq!(names, ["level"], "the journal's arguments are not the author's");
        let level = args["level"].as_i64().filter(|level| (0..=100).contains(level));
        level.map(|level| json!({"level": level})).ok_or_else(|| ToolError::invalid_args("args.level must be 0 to 100"))
    }
    async fn capture(&self, _: &Args) -> Result<Value, ToolError> {
        Ok(json!({"level": self.level()}))
    }
    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        self.applied.fetch_add(1, Ordering::SeqCst);
        *self.level.lock().expect("lock") = args["level"].as_i64().expect("checked");
        assert!(!self.apply_breaks.load(Ordering::SeqCst), "the lamp breaks while it changes");
        let mut result = Map::new();
        result.insert("flicker_ms".into(), json!(3));
        Ok(Applied { result, section: json!({"level": self.level()}) })
    }
    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        self.restored.fetch_add(1, Ordering::SeqCst);
        if self.stuck.load(Ordering::SeqCst) {
            return Err(ToolError::failed("the lamp is stuck"));
        }
        *self.level.lock().expect("lock") = previous["level"].as_i64().expect("a level");
        Ok(json!({"level": self.level()}))
    }
}

pub fn lamp_device(config: DeviceConfig, lamp: &Lamp) -> talkwire_device::Builder {
    Device::builder(config).act(lamp.clone())
}
