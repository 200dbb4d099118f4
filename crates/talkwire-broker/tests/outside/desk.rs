//! The house in a test: it writes down what it is offered and says when that is stored.

use crate::script::PATIENCE;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use talkwire_broker::{Arrived, Inbox, OutsideConfig, Profile, TcpDial};
use tokio::sync::oneshot;

/// A configuration for a broker on this port.
pub fn config(port: u16) -> OutsideConfig {
    OutsideConfig {
        dial: Arc::new(TcpDial { host: "127.0.0.1".into(), port }),
        name: format!("127.0.0.1:{port}"),
        client_id: "hub".into(),
        username: None,
        password: None,
        keep_alive: Duration::from_secs(30),
        session_expiry: Duration::from_secs(3600),
        receive_maximum: 16,
        max_packet_bytes: 10_000,
        filters: vec!["rtk/v1/#".into(), "chat/send".into()],
        will: None,
        profile: Profile::named("any").unwrap(),
    }
}

#[derive(Default)]
struct Book {
    arrived: Vec<Arrived>,
    open: Vec<Option<oneshot::Sender<bool>>>,
    sessions: Vec<bool>,
    refuses: bool,
    gone: Vec<u64>,
}

/// What the house saw.
#[derive(Clone, Default)]
pub struct Desk(Arc<Mutex<Book>>);

impl Desk {
    pub fn inbox(&self) -> Arc<dyn Inbox> {
        Arc::new(self.clone())
    }

    /// From now on nothing, or everything, is taken.
    pub fn refuse(&self, refuses: bool) {
        self.0.lock().unwrap().refuses = refuses;
    }

    /// The n-th message that was taken is stored, or could not be.
    pub fn stored(&self, n: usize, stored: bool) {
        self.0.lock().unwrap().open[n].take().unwrap().send(stored).unwrap();
    }

    pub async fn wait_for(&self, count: usize) {
        let all = async {
            while self.0.lock().unwrap().arrived.len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("the messages arrive");
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.0.lock().unwrap().arrived.clone()
    }

    pub fn texts(&self) -> Vec<String> {
        self.arrived().iter().map(|arrived| String::from_utf8_lossy(&arrived.payload).into_owned()).collect()
    }

    pub fn again(&self) -> Vec<bool> {
        self.arrived().iter().map(|arrived| arrived.again).collect()
    }

    /// Numbers of messages that the broker has, or that were given up.
    pub fn gone(&self) -> Vec<u64> {
        self.0.lock().unwrap().gone.clone()
    }

    pub fn sessions(&self) -> Vec<bool> {
        self.0.lock().unwrap().sessions.clone()
    }
}

impl Inbox for Desk {
    fn offer(&self, arrived: &Arrived) -> Option<oneshot::Receiver<bool>> {
        let mut book = self.0.lock().unwrap();
        if book.refuses {
            return None;
        }
        let (done, stored) = oneshot::channel();
        book.arrived.push(arrived.clone());
        book.open.push(Some(done));
        Some(stored)
    }

    fn greeted(&self, resumed: bool) {
        self.0.lock().unwrap().sessions.push(resumed);
    }

    fn up(&self) {}

    fn down(&self, _why: &str) {}

    fn gone(&self, n: u64) {
        self.0.lock().unwrap().gone.push(n);
    }
}
