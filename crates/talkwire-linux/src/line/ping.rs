//! Pings without a program: a raw socket where the kernel allows it, else its ping socket.

use super::icmp::{self, Incoming};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Each pinger of the process has its own number, so that answers are not mixed up.
static NUMBER: AtomicU16 = AtomicU16::new(0);

/// A socket that sends echo requests.
pub(crate) struct Pinger {
    socket: UdpSocket,
    /// A raw socket sees the header of IP, and all messages of the machine.
    raw: bool,
    id: u16,
}

/// The answers to a series of pings.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Series {
    pub(crate) sent: usize,
    /// Times of the answers in milliseconds, in the order of sending.
    pub(crate) times_ms: Vec<f64>,
}

/// Whether pings can be sent at all.
pub(crate) fn permitted() -> bool {
    open().is_ok()
}

/// Whether answers of routers on the way can be seen, which the ping socket hides.
pub(super) fn raw_permitted() -> bool {
    open().is_ok_and(|(_, raw)| raw)
}

fn open() -> io::Result<(Socket, bool)> {
    Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))
        .map(|socket| (socket, true))
        .or_else(|_| Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)).map(|socket| (socket, false)))
}

impl Pinger {
    /// Opens a socket.
    ///
    /// # Errors
    /// When neither kind is permitted: the first needs CAP_NET_RAW, the second a group within `net.ipv4.ping_group_range`.
    pub(crate) fn open() -> io::Result<Self> {
        let (socket, raw) = open()?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(std::net::UdpSocket::from(socket))?;
        let id = (std::process::id() as u16).wrapping_mul(31).wrapping_add(NUMBER.fetch_add(1, Ordering::Relaxed));
        Ok(Self { socket, raw, id })
    }

    /// How far a packet may go.
    pub(super) fn set_hops(&self, hops: u8) -> io::Result<()> {
        self.socket.set_ttl(u32::from(hops))
    }

    pub(super) async fn send(&self, target: Ipv4Addr, seq: u16, payload: usize) -> io::Result<()> {
        self.socket.send_to(&icmp::echo(self.id, seq, payload), SocketAddr::from((target, 0))).await.map(drop)
    }

    /// The next message about one of our requests, and who said it.
    pub(super) async fn next(&self) -> io::Result<(Incoming, Ipv4Addr)> {
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = self.socket.recv_from(&mut buffer).await?;
            let SocketAddr::V4(from) = from else { continue };
            // The kernel numbers a ping socket itself and delivers only what is ours.
            match icmp::parse(buffer.get(..length).unwrap_or_default(), self.raw) {
                Some(incoming) if !self.raw || incoming.id == self.id => return Ok((incoming, *from.ip())),
                _ => {}
            }
        }
    }

    /// Pings a target `count` times, `apart` each, and waits `patience` for the last answer. What cannot be sent is lost.
    pub(crate) async fn series(&self, target: Ipv4Addr, count: u16, apart: Duration, patience: Duration, payload: usize) -> Series {
        let began = Instant::now();
        let mut sent_at: HashMap<u16, Instant> = HashMap::new();
        let mut times: HashMap<u16, f64> = HashMap::new();
        let mut heard = |incoming: Incoming, from: Ipv4Addr, sent_at: &HashMap<u16, Instant>| {
            if incoming.said == icmp::Said::Reply
                && (from == target || !self.raw)
                && let Some(at) = sent_at.get(&incoming.seq)
            {
                times.entry(incoming.seq).or_insert(at.elapsed().as_secs_f64() * 1000.0);
            }
            times.len()
        };
        for seq in 0..count {
            sent_at.insert(seq, Instant::now());
            // A machine without a route refuses to send: that is a loss, as it is for its people.
            let _ = self.send(target, seq, payload).await;
            let next = began + apart * u32::from(seq + 1);
            if seq + 1 == count {
                break;
            }
            loop {
                tokio::select! {
                    () = sleep_until(next) => break,
                    Ok((incoming, from)) = self.next() => { heard(incoming, from, &sent_at); }
                }
            }
        }
        let end = Instant::now() + patience;
        let mut answered = heard(Incoming { said: icmp::Said::Expired, id: 0, seq: 0 }, target, &sent_at);
        while answered < usize::from(count) {
            match timeout_at(end, self.next()).await {
                Ok(Ok((incoming, from))) => answered = heard(incoming, from, &sent_at),
                Ok(Err(_)) => sleep_until((Instant::now() + Duration::from_millis(5)).min(end)).await,
                Err(_) => break,
            }
        }
        let times_ms = (0..count).filter_map(|seq| times.get(&seq).copied()).collect();
        Series { sent: usize::from(count), times_ms }
    }
}
