//! The check's own MQTT client: hears everything that the device says, and sends commands.

use super::evidence::{Purpose, Sent};
use super::heard::{Ear, Heard};
use super::target::Target;
use serde_json::{Map, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use talkwire_link::{Backoff, Events, Link, LinkConfig, LinkEvent, Message, Qos};
use talkwire_proto::command::{CommandEnvelope, Expect, Request};
use talkwire_proto::{DeviceKey, FernetKey};
use tokio::sync::Notify;

/// How long the broker may take to let us in.
const LET_IN: Duration = Duration::from_secs(10);
/// How long the broker may take to acknowledge a command.
const TAKEN: Duration = Duration::from_secs(10);
/// The metric with which the device's rights are tried; it is none of the device's.
pub const PROBE: &str = "talkwire_check";
/// What the client ids of a check begin with, and the id of the tree that no device has; servers make no device of it.
pub const PREFIX: &str = "talkwire-check-";

/// Unix milliseconds now.
pub fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Connects, or says why the broker does not let it.
///
/// # Errors
/// The broker's or the network's reason, in words.
pub async fn let_in(config: LinkConfig) -> Result<(Link, Events), String> {
    let (link, mut events) = Link::connect(config).map_err(|error| error.to_string())?;
    let end = tokio::time::Instant::now() + LET_IN;
    loop {
        match tokio::time::timeout_at(end, events.next()).await {
            Ok(Some(LinkEvent::Up { .. })) => return Ok((link, events)),
            Ok(Some(LinkEvent::Down { why })) => return Err(why),
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return Err(format!("no answer within {} s", LET_IN.as_secs())),
        }
    }
}

#[derive(Default)]
struct Log {
    heard: Vec<Heard>,
    /// Messages outside the device's tree, and those with which rights are tried.
    others: Vec<Message>,
}

/// A command as text.
pub fn request(op: &str, args: Map<String, Value>, id: &str) -> String {
    let request = Request {
        id: id.into(),
        op: op.into(),
        args,
        timeout_ms: Some(15_000),
        expect: Expect::Result,
        trace: None,
        authorization: None,
        version: "1.0".into(),
    };
    request.encode(CommandEnvelope::Both, unix_ms()).to_string()
}

/// The token of a text that says it is `age` old.
///
/// # Errors
/// When the system gives no random bytes.
pub fn sealed(key: &FernetKey, text: &str, age: Duration) -> Result<String, String> {
    let mut iv = [0; 16];
    getrandom::fill(&mut iv).map_err(|error| format!("the system gives no random bytes: {error}"))?;
    let made_s = u64::try_from(unix_ms() / 1000).unwrap_or(0).saturating_sub(age.as_secs());
    Ok(key.encrypt(text.as_bytes(), made_s, iv))
}

/// The client.
pub struct Tap {
    ear: Ear,
    link: Link,
    began: Instant,
    log: Arc<Mutex<Log>>,
    news: Arc<Notify>,
    sent: Mutex<Vec<Sent>>,
    ids: Mutex<(String, u32)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tap {
    /// Connects and subscribes to the device's tree and to `other`, a tree that no device has.
    ///
    /// # Errors
    /// Why the broker does not let it in.
    pub async fn connect(target: &Target, ear: Ear, name: &str, other: &DeviceKey, began: Instant) -> Result<Self, String> {
        let backoff = Backoff { min: Duration::from_millis(200), max: Duration::from_secs(2) };
        let config = LinkConfig { backoff, event_queue: 10_000, ..target.link(name) };
        let (link, mut events) = let_in(config).await?;
        link.subscribe(format!("rtk/v1/{}/#", ear.key), Qos::AtLeastOnce);
        link.subscribe(format!("rtk/v1/{other}/#"), Qos::AtLeastOnce);
        let (log, news) = (Arc::<Mutex<Log>>::default(), Arc::new(Notify::new()));
        let (hearing, told, of) = (log.clone(), news.clone(), ear.clone());
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if let LinkEvent::Message(message) = event {
                    let now = (began.elapsed(), unix_ms());
                    let heard = of.read(&message.topic, message.payload.clone(), message.retain, message.qos != Qos::AtMostOnce, now);
                    let mut log = lock(&hearing);
                    match heard {
                        // An empty retained message is the clearing of one.
                        Some(heard) if heard.tail != format!("telemetry/{PROBE}") && !heard.payload.is_empty() => log.heard.push(heard),
                        _ => log.others.push(message),
                    }
                    drop(log);
                    told.notify_waiters();
                }
            }
        });
        Ok(Self { ear, link, began, log, news, sent: Mutex::default(), ids: Mutex::new((name.to_owned(), 0)) })
    }

    /// Time since the check began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Everything heard so far.
    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.log).heard.clone()
    }

    /// Topics outside the device's tree on which something arrived, and those of the rights' trial.
    pub fn other_topics(&self) -> Vec<String> {
        lock(&self.log).others.iter().map(|message| message.topic.clone()).collect()
    }

    /// Everything sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        lock(&self.sent).clone()
    }

    /// Waits until `look` finds something in what was heard.
    pub async fn until<T>(&self, limit: Duration, mut look: impl FnMut(&[Heard]) -> Option<T>) -> Option<T> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if let Some(found) = look(&lock(&self.log).heard) {
                return Some(found);
            }
            if tokio::time::timeout_at(end, news).await.is_err() {
                return look(&lock(&self.log).heard);
            }
        }
    }

    /// A new command id.
    pub fn fresh_id(&self) -> String {
        let mut ids = lock(&self.ids);
        ids.1 += 1;
        format!("{}-{}", ids.0, ids.1)
    }

    /// The device's key, when its payloads are encrypted.
    pub fn fernet(&self) -> Option<&FernetKey> {
        self.ear.fernet.as_ref()
    }

    /// Sends a command in the form that every device reads.
    pub async fn send(&self, purpose: Purpose, op: &str, args: Map<String, Value>, id: &str) -> Sent {
        self.send_bytes(purpose, op, id, request(op, args, id)).await
    }

    /// Sends bytes to the device's command topic, sealed with its key when it has one.
    pub async fn send_bytes(&self, purpose: Purpose, op: &str, id: &str, payload: String) -> Sent {
        match self.fernet().map(|key| sealed(key, &payload, Duration::ZERO)).transpose() {
            Ok(token) => self.send_as_it_is(purpose, op, id, token.unwrap_or(payload)).await,
            Err(why) => self.note(Sent { purpose, id: id.into(), op: op.into(), at: self.now(), refused: Some(why) }),
        }
    }

    /// Sends bytes to the device's command topic, whatever they are.
    pub async fn send_as_it_is(&self, purpose: Purpose, op: &str, id: &str, payload: String) -> Sent {
        let at = self.now();
        let sent = self.link.publish(format!("rtk/v1/{}/cmd/req", self.ear.key), payload.into_bytes(), Qos::AtLeastOnce, false);
        let refused = match tokio::time::timeout(TAKEN, sent).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no acknowledgement from the broker within 10 s".into()),
        };
        self.note(Sent { purpose, id: id.into(), op: op.into(), at, refused })
    }

    fn note(&self, sent: Sent) -> Sent {
        lock(&self.sent).push(sent.clone());
        sent
    }

    /// Publishes to another device's command topic; whether the broker took it.
    pub async fn command_other(&self, other: &DeviceKey) -> bool {
        let payload = format!("{{\"id\":\"{}\",\"op\":\"device.status\",\"args\":{{}}}}", self.fresh_id());
        let sent = self.link.publish(format!("rtk/v1/{other}/cmd/req"), payload.into_bytes(), Qos::AtLeastOnce, false);
        matches!(tokio::time::timeout(TAKEN, sent).await, Ok(Ok(())))
    }

    /// Ends the connection.
    pub async fn close(&self) {
        self.link.close(Duration::from_secs(1)).await;
    }
}
