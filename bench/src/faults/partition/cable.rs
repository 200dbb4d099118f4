//! A cable to a server that can go dead: both ends keep their sockets, nothing is closed, and nothing comes through any more.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// How a cable is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// It takes what is sent and throws it away.
    Swallows,
    /// It takes nothing any more, so that what is sent piles up.
    Clogs,
}

impl Death {
    /// In turn.
    pub fn of(number: u64) -> Self {
        if number.is_multiple_of(2) { Self::Swallows } else { Self::Clogs }
    }
}

/// A server's receiving end is kept this small, so that little piles up before it is noticed.
const NARROW_BYTES: u32 = 4 * 1024;

#[derive(Debug, Default)]
struct Marks {
    /// When the last byte was handed to the server, and to the client.
    up: Option<Instant>,
    down: Option<Instant>,
    /// When each connection began.
    began: Vec<Instant>,
}

/// A cable. New connections carry, also after its death: it is mended at once.
#[derive(Clone)]
pub struct Cable {
    /// Where the client connects.
    pub addr: SocketAddr,
    marks: Arc<Mutex<Marks>>,
    death: watch::Sender<Option<Death>>,
}

impl Cable {
    /// Lays one to a server.
    pub async fn lay(to: SocketAddr) -> Result<Self> {
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port for a cable")?;
        let cable = Self { addr: door.local_addr()?, marks: Arc::default(), death: watch::Sender::new(None) };
        let carried = cable.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = door.accept().await {
                carried.marks().began.push(Instant::now());
                let mut death = carried.death.subscribe();
                death.mark_unchanged();
                tokio::spawn(carry(near, to, carried.clone(), death));
            }
        });
        Ok(cable)
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All present connections are dead from now on.
    pub fn die(&self, how: Death) {
        self.death.send_replace(Some(how));
    }

    /// When the last byte was handed to the server.
    pub fn last_up(&self) -> Option<Instant> {
        self.marks().up
    }

    /// When the last byte was handed to the client.
    pub fn last_down(&self) -> Option<Instant> {
        self.marks().down
    }

    /// When the connection with this number began.
    pub fn began(&self, number: usize) -> Option<Instant> {
        self.marks().began.get(number).copied()
    }
}

async fn carry(near: TcpStream, to: SocketAddr, cable: Cable, mut death: watch::Receiver<Option<Death>>) {
    let connect = async {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(NARROW_BYTES)?;
        socket.connect(to).await
    };
    let Ok(far) = connect.await else { return };
    // Small packets must not wait for each other.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
    let up = pour(&mut near_in, &mut far_out, || cable.marks().up = Some(Instant::now()));
    let down = pour(&mut far_in, &mut near_out, || cable.marks().down = Some(Instant::now()));
    tokio::select! {
        biased;
        _ = death.changed() => {}
        () = up => return,
        () = down => return,
    }
    if *death.borrow() == Some(Death::Swallows) {
        tokio::join!(swallow(&mut near_in), swallow(&mut far_in));
    }
    // All four ends are kept for as long as the trial lasts.
    std::future::pending::<()>().await;
}

async fn pour(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin), passed: impl Fn()) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        passed();
    }
}

async fn swallow(from: &mut (impl AsyncReadExt + Unpin)) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(1..) = from.read(&mut buffer).await {}
}
