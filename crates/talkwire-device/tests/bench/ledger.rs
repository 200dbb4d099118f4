//! A gate that writes down every message that the broker acknowledged, in order, and every connection.

use serde_json::Value;
use std::sync::Mutex;
use std::time::Duration;
use talkwire_broker::{BoxFuture, ConnectRequest, ConnectVerdict, Gate, Publish, PublishRefusal, PublishVerdict};
use tokio::sync::watch;

pub struct Ledger {
    messages: watch::Sender<Vec<Publish>>,
    pub connects: Mutex<Vec<ConnectRequest>>,
    /// Refuses a message before it is written down.
    refuse: fn(&Publish, usize) -> Option<PublishRefusal>,
    asked: Mutex<usize>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::refusing(|_, _| None)
    }
}

impl Ledger {
    /// `refuse` gets each message of a device's events and how many came before it.
    pub fn refusing(refuse: fn(&Publish, usize) -> Option<PublishRefusal>) -> Self {
        Self { messages: watch::Sender::new(Vec::new()), connects: Mutex::default(), refuse, asked: Mutex::new(0) }
    }

    /// Field `n` of every event's data, in the order of arrival.
    pub fn events(&self) -> Vec<u64> {
        numbers(&self.messages.borrow())
    }

    /// Field `value` of every telemetry, in the order of arrival.
    pub fn telemetry(&self) -> Vec<u64> {
        let telemetry = |publish: &Publish| publish.topic.contains("/telemetry/").then(|| json(publish)["value"].as_u64().expect("a number"));
        self.messages.borrow().iter().filter_map(telemetry).collect()
    }

    /// Waits until the events fit.
    pub async fn until(&self, wanted: impl Fn(&[u64]) -> bool) -> Vec<u64> {
        let mut messages = self.messages.subscribe();
        let reached = tokio::time::timeout(Duration::from_secs(60), messages.wait_for(|messages| wanted(&numbers(messages)))).await;
        reached.unwrap_or_else(|_| panic!("not within 60 s; there are {:?}", self.events())).expect("open");
        self.events()
    }
}

fn json(publish: &Publish) -> Value {
    serde_json::from_slice(&publish.payload).expect("JSON")
}

fn numbers(messages: &[Publish]) -> Vec<u64> {
    messages.iter().filter(|publish| publish.topic.contains("/evt/")).filter_map(|publish| json(publish)["data"]["n"].as_u64()).collect()
}

/// The first time that each number is there.
pub fn first_times(numbers: &[u64]) -> Vec<u64> {
    let mut seen = std::collections::HashSet::new();
    numbers.iter().copied().filter(|number| seen.insert(*number)).collect()
}

impl Gate for Ledger {
    fn connect(&self, request: ConnectRequest) -> BoxFuture<ConnectVerdict> {
        self.connects.lock().expect("lock").push(request);
        Box::pin(std::future::ready(ConnectVerdict::Accept { principal: String::new() }))
    }

    fn may_subscribe(&self, _: &str, _: &str, _: &str) -> bool {
        true
    }

    fn publish(&self, publish: Publish) -> BoxFuture<PublishVerdict> {
        let mut verdict = PublishVerdict::Route;
        if publish.topic.contains("/evt/") {
            let mut asked = self.asked.lock().expect("lock");
            if let Some(refusal) = (self.refuse)(&publish, *asked) {
                verdict = PublishVerdict::Refuse(refusal);
            }
            *asked += 1;
        }
        if verdict == PublishVerdict::Route {
            self.messages.send_modify(|messages| messages.push(publish));
        }
        Box::pin(std::future::ready(verdict))
    }
}
