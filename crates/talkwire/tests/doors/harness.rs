//! A house on free ports with a folder of its own, and people and devices at its doors.

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use talkwire::config::Config;
use talkwire::serve::{self, Running};
use talkwire_link::{Events, Link, LinkConfig, LinkEvent, Message, Qos};
use tempfile::TempDir;

/// What is waited for must come within this time.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub struct House {
    pub running: Running,
    pub dir: TempDir,
}

impl House {
    pub async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    pub async fn open(dir: TempDir) -> Self {
        let running = serve::start(&config(dir.path())).await.unwrap();
        Self { running, dir }
    }

    /// Stops in order and starts again on the same folder.
    pub async fn restart(self) -> Self {
        self.running.stop().await;
        Self::open(self.dir).await
    }

    pub fn http(&self) -> SocketAddr {
        self.running.address("http").unwrap()
    }

    pub fn mqtt(&self) -> SocketAddr {
        self.running.address("mqtt").unwrap()
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("owner.token")).unwrap().trim().to_owned()
    }

    /// A request as the owner: status and body.
    pub async fn owner(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        request(self.http(), method, path, body, Some(format!("Bearer {}", self.token())), &[]).await
    }

    /// A request as nobody in particular.
    pub async fn guest(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        request(self.http(), method, path, body, None, &[]).await
    }

    /// An anonymous MQTT client.
    pub async fn client(&self, name: &str) -> Client {
        Client::connect(LinkConfig::new(self.mqtt().ip().to_string(), self.mqtt().port(), name)).await
    }

    /// An MQTT client with the owner's token.
    pub async fn owner_client(&self, name: &str) -> Client {
        let mut config = LinkConfig::new(self.mqtt().ip().to_string(), self.mqtt().port(), name);
        config.username = Some("owner".into());
        config.password = Some(self.token().into());
        Client::connect(config).await
    }
}

pub fn config(dir: &Path) -> Config {
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Config { data: dir.into(), http: free, mqtt: vec![free], ws: free, ..Config::default() }
}

pub async fn request(addr: SocketAddr, method: &str, path: &str, body: Value, bearer: Option<String>, headers: &[(&str, &str)]) -> (u16, Value) {
    let (url, method) = (format!("http://{addr}{path}"), method.to_owned());
    let headers: Vec<(String, String)> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60))).build().into();
        let mut all = headers;
        all.extend(bearer.map(|bearer| ("Authorization".to_owned(), bearer)));
        let mut response = if method == "GET" {
            let request = all.iter().fold(agent.get(&url), |request, (name, value)| request.header(name, value));
            request.call().unwrap()
        } else {
            let request = all.iter().fold(agent.post(&url), |request, (name, value)| request.header(name, value));
            request.send_json(&body).unwrap()
        };
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    })
    .await
    .unwrap()
}

/// An MQTT client that remembers nothing but what it waits for.
pub struct Client {
    pub link: Link,
    events: Events,
}

impl Client {
    pub async fn connect(config: LinkConfig) -> Self {
        let (link, mut events) = Link::connect(config).unwrap();
        loop {
            match tokio::time::timeout(PATIENCE, events.next()).await.expect("the broker lets us in").unwrap() {
                LinkEvent::Up { .. } => return Self { link, events },
                LinkEvent::Down { why } => panic!("turned away: {why}"),
                _ => {}
            }
        }
    }

    /// Subscribes; messages retained before come first.
    pub async fn subscribe(&mut self, filter: &str) {
        self.link.subscribe(filter, Qos::AtLeastOnce);
        // The broker answers in order: once our own message came back, the subscription stands.
        let mark = format!("test/mark/{}", filter.replace(['#', '+', '/'], "_"));
        self.link.subscribe(mark.clone(), Qos::AtLeastOnce);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            self.link.publish(mark.clone(), "", Qos::AtLeastOnce, false).await.unwrap();
            if tokio::time::timeout(Duration::from_millis(300), self.next_on(&mark)).await.is_ok() {
                return;
            }
        }
        panic!("the subscription to {filter} did not come to stand");
    }

    async fn next_on(&mut self, topic: &str) -> Message {
        loop {
            if let Some(LinkEvent::Message(message)) = self.events.next().await
                && message.topic == topic
            {
                return message;
            }
        }
    }

    /// Publishes with QoS 1 and waits for the PUBACK.
    pub async fn say(&self, topic: &str, payload: impl Into<Vec<u8>>) -> Result<(), String> {
        let sent = self.link.publish(topic, payload.into(), Qos::AtLeastOnce, false);
        tokio::time::timeout(PATIENCE, sent).await.expect("an acknowledgement or a refusal comes").map_err(|error| error.to_string())
    }

    pub async fn say_json(&self, topic: &str, payload: Value) -> Result<(), String> {
        self.say(topic, payload.to_string()).await
    }

    /// The next message that fits.
    pub async fn until(&mut self, what: &str, fits: impl Fn(&str, &Value) -> bool) -> (String, Value) {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(LinkEvent::Message(message)) = self.events.next().await {
                    let value: Value = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
                    if fits(&message.topic, &value) {
                        return (message.topic, value);
                    }
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("{what} did not come"))
    }

    /// Whether a message that fits comes within a short time.
    pub async fn hears(&mut self, wait: Duration, fits: impl Fn(&str, &Value) -> bool) -> bool {
        tokio::time::timeout(wait, async {
            loop {
                if let Some(LinkEvent::Message(message)) = self.events.next().await {
                    let value: Value = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
                    if fits(&message.topic, &value) {
                        return;
                    }
                }
            }
        })
        .await
        .is_ok()
    }
}

/// Asks again until the answer fits.
pub async fn eventually<F, R>(what: &str, mut ask: F) -> Value
where
    F: FnMut() -> R,
    R: Future<Output = Option<Value>>,
{
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = ask().await {
            return value;
        }
        assert!(Instant::now() < end, "{what} did not come to pass");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A device that joins with one tool and answers it, by hand: what is sent is exactly what stands here.
pub struct HandDevice {
    pub client: Client,
    pub base: String,
}

impl HandDevice {
    pub async fn join(house: &House, id: &str) -> Self {
        let base = format!("rtk/v1/home/lab/{id}");
        let mut client = house.client(&format!("router-{id}")).await;
        client.subscribe(&format!("{base}/cmd/req")).await;
        let attr = json!({"schema": "attr/1.0", "ts": 1, "device_id": id, "capabilities": {"device_type": "router", "tools": {
            "device.status": {"supported": true}, "speed_test": {"supported": true}, "wifi.set_channel": {"supported": true, "rollback_supported": true},
            "wifi.get_environment": {"supported": false, "reason": "no_radio"}}}});
        client.say_json(&format!("{base}/lwt"), json!({"schema": "lwt/1.0", "ts": 1, "status": "online"})).await.unwrap();
        client.say_json(&format!("{base}/attr"), attr).await.unwrap();
        Self { client, base }
    }

    /// The next command.
    pub async fn command(&mut self) -> Value {
        let topic = format!("{}/cmd/req", self.base);
        self.client.until("a command", |on, _| on == topic).await.1
    }

    pub async fn result(&self, id: &Value, result: Value) {
        self.client
            .say_json(&format!("{}/cmd/res", self.base), json!({"schema": "cmd.result/1.0", "ts": 1, "id": id, "status": "completed", "result": result}))
            .await
            .unwrap();
    }
}
