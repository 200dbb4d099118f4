//! A TCP proxy between the device and the broker: it reads the device's first packet, holds its way out, and cuts it off.

use super::evidence::Stranger;
use super::sniff::{Connect, Opening, opening};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use talkwire_link::stranger::{self, Met};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is done with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passed through.
    Open,
    /// The device hears the broker, the broker does not hear the device.
    Held,
    /// Cut, and new ones are refused; the first encrypted one meets a stranger in the broker's place.
    Closed,
}

/// A connection that came.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When, since the check began.
    pub at: Duration,
    /// Whether it was refused, because the proxy was closed.
    pub refused: bool,
    /// What it began with.
    pub opening: Opening,
}

impl Arrival {
    fn is_of(&self, device_id: &str) -> bool {
        match &self.opening {
            Opening::Plain(connect) => {
                connect.client_id.contains(device_id) || connect.will.as_ref().is_some_and(|will| will.topic.contains(&format!("/{device_id}/")))
            }
            _ => false,
        }
    }
}

#[derive(Debug)]
struct Shared {
    broker: (String, u16),
    began: Instant,
    arrivals: Mutex<Vec<Arrival>>,
    mode: watch::Sender<Mode>,
    stranger: Mutex<Option<Stranger>>,
    /// Whether a stranger stands in for the broker already, or did.
    tried: AtomicBool,
}

/// A running proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where devices connect.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::AbortHandle,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.mode.send_replace(Mode::Closed);
    }
}

impl Proxy {
    /// Listens, and passes connections through to the broker.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(address: SocketAddr, broker: (String, u16), began: Instant) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            broker,
            began,
            arrivals: Mutex::default(),
            mode: watch::Sender::new(Mode::Open),
            stranger: Mutex::default(),
            tried: AtomicBool::new(false),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone())).abort_handle();
        Ok(Self { address, shared, accepting })
    }

    /// What is done with connections from now on.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// What an encrypted device did when it met a stranger while the proxy was closed.
    pub fn stranger(&self) -> Option<Stranger> {
        self.shared.stranger.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When `device_id`, or somebody who did not say who it is, tried in vain to come through, from `since` on.
    pub fn attempts(&self, device_id: &str, since: Duration) -> Vec<Duration> {
        let arrivals = self.shared.arrivals();
        let may_be = |arrival: &&Arrival| !matches!(arrival.opening, Opening::Plain(_)) || arrival.is_of(device_id);
        arrivals.iter().filter(|arrival| arrival.refused && arrival.at >= since).filter(may_be).map(|arrival| arrival.at).collect()
    }

    /// Whether `device_id` itself came through, as its CONNECT says.
    pub fn knows(&self, device_id: &str) -> bool {
        self.shared.arrivals().iter().any(|arrival| !arrival.refused && arrival.is_of(device_id))
    }

    /// The newest connection that passed through and said who it is: encrypted, or with its CONNECT. That of `device_id`, when
    /// several came.
    pub fn came(&self, device_id: &str) -> Option<(Duration, Option<Connect>)> {
        let arrivals = self.shared.arrivals();
        let is_known = |arrival: &&Arrival| !arrival.refused && matches!(arrival.opening, Opening::Encrypted | Opening::Plain(_));
        let is_its = |arrival: &&Arrival| match &arrival.opening {
            Opening::Plain(connect) => {
                connect.client_id.contains(device_id) || connect.will.as_ref().is_some_and(|will| will.topic.contains(&format!("/{device_id}/")))
            }
            _ => false,
        };
        let known: Vec<&Arrival> = arrivals.iter().filter(is_known).collect();
        let arrival = known.iter().copied().rev().find(|arrival| is_its(arrival)).or_else(|| known.last().copied())?;
        let connect = match &arrival.opening {
            Opening::Plain(connect) => Some((**connect).clone()),
            _ => None,
        };
        Some((arrival.at, connect))
    }
}

impl Shared {
    fn arrivals(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((device, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let refused = *shared.mode.borrow() == Mode::Closed;
        let place = {
            let mut arrivals = shared.arrivals();
            // A device without any back-off shall not fill the memory.
            if arrivals.len() >= 100_000 {
                continue;
            }
            arrivals.push(Arrival { at: shared.began.elapsed(), refused, opening: Opening::More });
            arrivals.len() - 1
        };
        if refused {
            tokio::spawn(turn_away(device, place, shared.clone()));
        } else {
            tokio::spawn(pass(device, place, shared.clone()));
        }
    }
}

/// Reads who it is, as far as it says so at once, and hangs up.
async fn turn_away(mut device: TcpStream, place: usize, shared: Arc<Shared>) {
    let mut first = vec![0u8; 4096];
    let Ok(Ok(count)) = tokio::time::timeout(Duration::from_millis(300), device.peek(&mut first)).await else { return };
    let began = opening(&first[..count]);
    if began == Opening::Encrypted && !shared.tried.swap(true, Ordering::AcqRel) {
        if let Some(arrival) = shared.arrivals().get_mut(place) {
            arrival.opening = began;
        }
        let met = match stranger::meet(device).await {
            Met::Refused(how) => Stranger::Refused(how),
            Met::Unclear(why) => Stranger::Unclear(why),
            Met::Spoke(said) => Stranger::Trusted { named: matches!(opening(&said), Opening::Plain(connect) if connect.has_username) },
        };
        *shared.stranger.lock().unwrap_or_else(PoisonError::into_inner) = Some(met);
        return;
    }
    if let Ok(count) = device.read(&mut first).await
        && let Some(arrival) = shared.arrivals().get_mut(place)
    {
        arrival.opening = opening(&first[..count]);
    }
}

async fn pass(device: TcpStream, place: usize, shared: Arc<Shared>) {
    let Ok(broker) = TcpStream::connect((shared.broker.0.as_str(), shared.broker.1)).await else { return };
    let _ = device.set_nodelay(true);
    let _ = broker.set_nodelay(true);
    let ((from_device, to_device), (from_broker, to_broker)) = (device.into_split(), broker.into_split());
    let mut mode = shared.mode.subscribe();
    let closed = async {
        let _ = mode.wait_for(|mode| *mode == Mode::Closed).await;
    };
    // The first that ends ends all: the sockets are dropped, which cuts both sides.
    tokio::select! {
        () = closed => {}
        () = up(from_device, to_broker, place, &shared) => {}
        () = down(from_broker, to_device) => {}
    }
}

async fn up(mut device: OwnedReadHalf, mut broker: OwnedWriteHalf, place: usize, shared: &Shared) {
    let mut mode = shared.mode.subscribe();
    let mut first = Vec::new();
    let mut buffer = [0u8; 8192];
    loop {
        if mode.wait_for(|mode| *mode != Mode::Held).await.is_err() {
            return;
        }
        let read = tokio::select! {
            read = device.read(&mut buffer) => read,
            // Held: what comes from now on stays in the device's socket.
            _ = mode.wait_for(|mode| *mode == Mode::Held) => continue,
        };
        let Ok(count @ 1..) = read else { return };
        let piece = &buffer[..count];
        if shared.arrivals().get(place).is_some_and(|arrival| arrival.opening == Opening::More) && first.len() < 64 * 1024 {
            first.extend_from_slice(piece);
            let read = opening(&first);
            if let Some(arrival) = shared.arrivals().get_mut(place) {
                arrival.opening = read;
            }
        }
        if broker.write_all(piece).await.is_err() {
            return;
        }
    }
}

async fn down(mut broker: OwnedReadHalf, mut device: OwnedWriteHalf) {
    let mut buffer = [0u8; 8192];
    while let Ok(count @ 1..) = broker.read(&mut buffer).await {
        if device.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
