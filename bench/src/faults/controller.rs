//! Somebody at a broker who publishes, commands a device and listens, without a thread of the caller's.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use talkwire_link::{Backoff, Link, LinkConfig, LinkError, LinkEvent, Qos};
use tokio::runtime::Runtime;

/// Something that was heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// On which topic.
    pub topic: String,
    /// What.
    pub body: Value,
    /// When.
    pub at: Instant,
}

/// A client of MQTT 5 that remembers everything that it hears.
pub struct Controller {
    link: Link,
    heard: Arc<Mutex<Vec<Heard>>>,
    runtime: Option<Runtime>,
}

impl Controller {
    /// Connects, and goes on connecting.
    pub fn connect(broker: SocketAddr, client_id: &str, filters: &[String]) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let backoff = Backoff { min: Duration::from_millis(50), max: Duration::from_millis(300) };
        let config = LinkConfig { backoff, clean_start: true, event_queue: 100_000, ..LinkConfig::new(broker.ip().to_string(), broker.port(), client_id) };
        let link = runtime.block_on(async {
            let (link, mut events) = Link::connect(config)?;
            for filter in filters {
                link.subscribe(filter.clone(), Qos::AtLeastOnce);
            }
            let heard = heard.clone();
            tokio::spawn(async move {
                while let Some(event) = events.next().await {
                    if let LinkEvent::Message(message) = event {
                        let body = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
                        heard.lock().unwrap_or_else(PoisonError::into_inner).push(Heard { topic: message.topic, body, at: Instant::now() });
                    }
                }
            });
            Ok::<_, LinkError>(link)
        })?;
        let controller = Self { link, heard, runtime: Some(runtime) };
        let began = Instant::now();
        while !controller.link.is_up() {
            if began.elapsed() > Duration::from_secs(10) {
                bail!("{client_id} cannot connect to {broker}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(controller)
    }

    fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything heard so far on topics that end so, oldest first.
    pub fn all(&self, tail: &str) -> Vec<Heard> {
        self.heard().iter().filter(|heard| heard.topic.ends_with(tail)).cloned().collect()
    }

    /// Publishes with QoS 1: what the broker answered, or `None` when it answered nothing in time.
    pub fn publish(&self, topic: &str, body: &Value, within: Duration) -> Option<Result<(), LinkError>> {
        let runtime = self.runtime.as_ref()?;
        let handle = self.link.publish_once(
            talkwire_link::Message { topic: topic.into(), payload: body.to_string().into(), qos: Qos::AtLeastOnce, retain: false },
            self.link.connection(),
        );
        runtime.block_on(async { tokio::time::timeout(within, handle).await.ok() })
    }

    /// Waits until something is heard that `wanted` looks for, now or before.
    pub fn hear<T>(&self, what: &str, within: Duration, wanted: impl Fn(&Heard) -> Option<T>) -> Result<T> {
        let began = Instant::now();
        let mut looked = 0;
        loop {
            {
                let heard = self.heard();
                if let Some(found) = heard[looked..].iter().find_map(&wanted) {
                    return Ok(found);
                }
                looked = heard.len();
            }
            if began.elapsed() > within {
                bail!("{what} was not heard within {} ms", within.as_millis());
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Sends a command to a device of `home/bench`, which has so long for it.
    pub fn order(&self, device: &str, id: &str, op: &str, args: &Value, time: Duration) -> Result<()> {
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let body = json!({"schema": format!("cmd.{op}/1.0"), "id": id, "op": op, "args": args, "timeout_ms": time_ms, "expect": "result",
            "payload": {"id": id, "op": op, "args": args, "timeout_ms": time_ms}});
        let topic = format!("rtk/v1/home/bench/{device}/cmd/req");
        self.publish(&topic, &body, Duration::from_secs(5)).context("a command was not taken by the broker")??;
        Ok(())
    }

    /// The newest result of a command, among what was heard after the first `since` things.
    pub fn result(&self, device: &str, id: &str, since: usize, within: Duration) -> Result<Heard> {
        let began = Instant::now();
        let end = format!("/{device}/cmd/res");
        loop {
            let answer = self.heard()[since..]
                .iter()
                .rev()
                .find(|heard| heard.topic.ends_with(&end) && heard.body["id"] == id && heard.body["status"] != "in_progress")
                .cloned();
            if let Some(answer) = answer {
                return Ok(answer);
            }
            if began.elapsed() > within {
                bail!("{id} was not answered within {} ms", within.as_millis());
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// What was heard after the first `since` things.
    pub fn since(&self, since: usize) -> Vec<Heard> {
        self.heard()[since..].to_vec()
    }

    /// How many things were heard.
    pub fn count(&self) -> usize {
        self.heard().len()
    }

    /// Sends a command and waits for its result.
    pub fn ask(&self, device: &str, id: &str, op: &str, args: &Value, within: Duration) -> Result<Value> {
        let since = self.count();
        self.order(device, id, op, args, Duration::from_secs(10))?;
        self.result(device, id, since, within).map(|heard| heard.body).with_context(|| format!("{op} failed"))
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
