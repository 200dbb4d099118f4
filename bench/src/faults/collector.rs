//! A subscriber that writes everything down, stays subscribed while it is away, and comes back by itself.

use crate::load::on_one_thread;
use crate::wire::{Hello, Packet, Road, Wire};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const COMES_BACK_AFTER: Duration = Duration::from_millis(100);
const LOOKS_EVERY: Duration = Duration::from_millis(100);

/// One message as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its topic.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// The broker had kept it from before the subscription.
    pub retain: bool,
    /// When it came.
    pub at: Instant,
}

/// The subscriber, on a thread of its own.
pub struct Collector {
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Subscribes with QoS 1, with a session that the broker keeps. Returns when the subscription stands.
    pub fn open(addr: SocketAddr, client_id: &str, filter: &str) -> Result<Self> {
        let (heard, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let (heard, stop, client_id, filter) = (heard.clone(), stop.clone(), client_id.to_owned(), filter.to_owned());
            move || {
                let work = on_one_thread(async move {
                    while !stop.load(Ordering::Relaxed) {
                        // Whatever ends it, it comes back.
                        let _ = listen(addr, &client_id, &filter, &heard, &stop, &tell).await;
                        tokio::time::sleep(COMES_BACK_AFTER).await;
                    }
                    Ok(())
                });
                if let Err(error) = work {
                    eprintln!("a collecting subscriber stopped: {error:#}");
                }
            }
        });
        let collector = Self { heard, stop, thread: Some(thread) };
        told.recv_timeout(Duration::from_secs(30)).context("the collecting subscriber could not subscribe")?;
        Ok(collector)
    }

    /// Looks at what was heard so far, in the order in which it came.
    pub fn look<T>(&self, look: impl FnOnce(&[Heard]) -> T) -> T {
        look(&self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks again and again until `wanted` finds what it looks for, or the time is over.
    pub fn wait_for<T>(&self, within: Duration, mut wanted: impl FnMut(&[Heard]) -> Option<T>) -> Option<T> {
        let until = Instant::now() + within;
        loop {
            let found = self.look(&mut wanted);
            if found.is_some() || Instant::now() > until {
                return found;
            }
            std::thread::sleep(LOOKS_EVERY);
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It looks at the sign to stop at least every second.
            let _ = thread.join();
        }
    }
}

async fn listen(
    addr: SocketAddr,
    client_id: &str,
    filter: &str,
    heard: &Mutex<Vec<Heard>>,
    stop: &AtomicBool,
    tell: &std::sync::mpsc::Sender<()>,
) -> Result<()> {
    let mut wire = Wire::greet(addr, Road::Tcp, &Hello { client_id, keeps_session: true, ..Hello::default() }).await?;
    // What the broker kept meanwhile comes before the answer to the subscription, so that is not waited for here.
    wire.ask_for(filter, 1);
    wire.flush().await?;
    loop {
        let packet = match tokio::time::timeout(Duration::from_secs(1), wire.next()).await {
            Ok(packet) => Some(packet?),
            Err(_) => None,
        };
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        match packet {
            Some(Packet::Publish { topic, payload, id, retain }) => {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(Heard { topic, payload, retain, at: Instant::now() });
                if id != 0 {
                    wire.puback(id);
                    wire.flush().await?;
                }
            }
            // Nobody need wait for it any more.
            Some(Packet::Suback) => drop(tell.send(())),
            _ => {}
        }
    }
}
