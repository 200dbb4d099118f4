//! A broker on ports of its own, with a gate whose answers are spelled in the topics.

use crate::client::{Client, PATIENCE, Way};
use crate::packets::{Connect, Packet};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use talkwire_broker::{
    BoxFuture, Broker, BrokerConfig, ConnectRefusal, ConnectRequest, ConnectVerdict, DisconnectCause, Gate, Limits, Listener, ListenerKind, Publish,
    PublishRefusal, PublishVerdict,
};
use tokio::sync::{Notify, Semaphore};

pub struct House {
    pub broker: Broker,
    pub gate: Arc<TestGate>,
}

impl House {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut limits = Limits::default();
        change(&mut limits);
        let listeners = vec![Listener::tcp(any), Listener::web_socket(any)];
        let config = BrokerConfig { listeners, limits };
        let gate = Arc::new(TestGate::default());
        let broker = Broker::start(config, gate.clone()).await.unwrap();
        Self { broker, gate }
    }

    pub fn addr(&self, web_socket: bool) -> SocketAddr {
        let kind = if web_socket { ListenerKind::WebSocket } else { ListenerKind::Tcp };
        self.broker.addresses().iter().find(|a| a.kind == kind).unwrap().addr
    }

    pub async fn stranger(&self, way: Way) -> Client {
        Client::open(way, self.addr(way.web_socket)).await
    }

    /// A client with a new session.
    pub async fn client(&self, way: Way, id: &str) -> Client {
        self.connects(way, &Connect::new(id)).await.0
    }

    /// A client of MQTT 5 over TCP, where the way does not matter.
    pub async fn friend(&self, id: &str) -> Client {
        self.client(Way { version: 5, web_socket: false }, id).await
    }

    /// A client that is let in, and whether it found its session.
    pub async fn connects(&self, way: Way, connect: &Connect) -> (Client, bool) {
        let mut client = self.stranger(way).await;
        match client.connect(connect).await {
            Packet::Connack { present, code: 0, .. } => (client, present),
            other => panic!("not let in: {other:?}"),
        }
    }

    pub async fn says(&self, topic: &str, payload: &str, qos: u8) {
        let payload = payload.to_owned();
        self.broker.publish(topic, payload, qos, false).await.unwrap();
    }
}

/// Answers by topic: `swallow`, `refuse/REASON`, `rewrite`, `hold` (until released); all else is routed.
#[derive(Default)]
pub struct TestGate {
    pub seen: Mutex<Vec<Publish>>,
    events: Mutex<Vec<String>>,
    changed: Notify,
    released: Arc<Released>,
}

struct Released(Semaphore);

impl Default for Released {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl TestGate {
    /// Lets so many held messages through.
    pub fn release(&self, count: usize) {
        self.released.0.add_permits(count);
    }

    pub fn seen(&self) -> Vec<Publish> {
        self.seen.lock().unwrap().clone()
    }

    pub async fn has_seen(&self, count: usize) -> Vec<Publish> {
        self.until(|| Some(self.seen()).filter(|seen| seen.len() >= count)).await
    }

    pub async fn was_told(&self, event: &str) {
        self.until(|| self.events().iter().any(|known| known == event).then_some(())).await;
    }

    pub fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }

    async fn until<T>(&self, mut check: impl FnMut() -> Option<T>) -> T {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = check() {
                    return found;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(found) => found,
            Err(_) => panic!("the gate saw only {:?} {:?}", self.events(), self.seen()),
        }
    }

    fn tell(&self, event: String) {
        self.events.lock().unwrap().push(event);
        self.changed.notify_waiters();
    }
}

impl Gate for TestGate {
    fn connect(&self, request: ConnectRequest) -> BoxFuture<ConnectVerdict> {
        let refusal = match request.username.as_deref() {
            Some("wrong") => Some(ConnectRefusal::BadCredentials),
            Some("nobody") => Some(ConnectRefusal::NotAuthorized),
            Some("crowd") => Some(ConnectRefusal::QuotaExceeded),
            Some("name") => Some(ConnectRefusal::ClientIdInvalid),
            _ => None,
        };
        let principal = request.username.clone().unwrap_or_else(|| "guest".into());
        self.tell(format!("connect {} {:?} {:?}", request.client_id, request.version, request.origin));
        Box::pin(async move {
            // A gate that has to think must not break anything.
            tokio::task::yield_now().await;
            refusal.map_or(ConnectVerdict::Accept { principal }, ConnectVerdict::Refuse)
        })
    }

    fn may_subscribe(&self, _: &str, _: &str, filter: &str) -> bool {
        !filter.contains("forbidden")
    }

    fn may_receive(&self, client_id: &str, _: &str, topic: &str) -> bool {
        client_id == "owner" || !topic.contains("secret")
    }

    fn publish(&self, publish: Publish) -> BoxFuture<PublishVerdict> {
        let topic = publish.topic.clone();
        self.seen.lock().unwrap().push(publish);
        self.changed.notify_waiters();
        let released = Arc::clone(&self.released);
        Box::pin(async move {
            match topic.split('/').collect::<Vec<_>>()[..] {
                ["swallow", ..] => PublishVerdict::Swallow,
                ["refuse", why, ..] => PublishVerdict::Refuse(match why {
                    "quota" => PublishRefusal::QuotaExceeded,
                    "topic" => PublishRefusal::TopicInvalid,
                    "payload" => PublishRefusal::PayloadInvalid,
                    _ => PublishRefusal::NotAuthorized,
                }),
                ["rewrite", ..] => {
                    PublishVerdict::Rewrite { payload: Bytes::from_static(b"rewritten"), topic: Some("elsewhere".into()), retain: topic.ends_with("keep") }
                }
                ["hold", ..] => {
                    released.0.acquire().await.unwrap().forget();
                    PublishVerdict::Route
                }
                _ => PublishVerdict::Route,
            }
        })
    }

    fn connected(&self, client_id: &str, principal: &str) {
        self.tell(format!("connected {client_id} {principal}"));
    }

    fn subscribed(&self, client_id: &str, _: &str, filter: &str, qos: u8) {
        self.tell(format!("subscribed {client_id} {filter} {qos}"));
    }

    fn unsubscribed(&self, client_id: &str, _: &str, filter: &str) {
        self.tell(format!("unsubscribed {client_id} {filter}"));
    }

    fn disconnected(&self, client_id: &str, _: &str, cause: DisconnectCause) {
        self.tell(format!("disconnected {client_id} {cause:?}"));
    }
}

pub const MOMENT: Duration = Duration::from_millis(150);
