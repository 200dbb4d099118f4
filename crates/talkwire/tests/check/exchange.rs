//! Brokers for the tests: one that is open, one with accounts.

use std::net::SocketAddr;
use std::sync::Arc;
use talkwire_broker::{
    BoxFuture, Broker, BrokerConfig, ConnectRefusal, ConnectRequest, ConnectVerdict, Gate, Limits, Listener, OpenGate, Publish, PublishRefusal, PublishVerdict,
};

/// The password of every account.
pub const PASSWORD: &str = "correct horse";

/// A running broker.
pub struct Exchange {
    broker: Option<Broker>,
    pub port: u16,
}

impl Exchange {
    /// Everybody may do everything.
    pub async fn open() -> Self {
        Self::start(Arc::new(OpenGate)).await
    }

    /// The account `check` may do everything; any other name is a device id and may use its own tree.
    pub async fn with_accounts() -> Self {
        Self::start(Arc::new(Accounts)).await
    }

    async fn start(gate: Arc<dyn Gate>) -> Self {
        let config = BrokerConfig { listeners: vec![Listener::tcp(([127, 0, 0, 1], 0).into())], limits: Limits::default() };
        let broker = Broker::start(config, gate).await.unwrap();
        let port = broker.addresses()[0].addr.port();
        Self { broker: Some(broker), port }
    }

    pub async fn stop(mut self) {
        self.broker.take().unwrap().stop().await;
    }
}

/// An address that nobody listens on.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

struct Accounts;

fn may(principal: &str, topic: &str) -> bool {
    principal == "check" || topic.split('/').nth(4) == Some(principal)
}

impl Gate for Accounts {
    fn connect(&self, request: ConnectRequest) -> BoxFuture<ConnectVerdict> {
        let verdict = match request.username {
            Some(principal) if request.password.as_deref() == Some(PASSWORD.as_bytes()) => ConnectVerdict::Accept { principal },
            _ => ConnectVerdict::Refuse(ConnectRefusal::BadCredentials),
        };
        Box::pin(std::future::ready(verdict))
    }
    fn may_subscribe(&self, _: &str, principal: &str, filter: &str) -> bool {
        may(principal, filter)
    }
    fn publish(&self, publish: Publish) -> BoxFuture<PublishVerdict> {
        let allowed = publish.principal.as_deref().is_some_and(|principal| may(principal, &publish.topic));
        let verdict = if allowed { PublishVerdict::Route } else { PublishVerdict::Refuse(PublishRefusal::NotAuthorized) };
        Box::pin(std::future::ready(verdict))
    }
}
