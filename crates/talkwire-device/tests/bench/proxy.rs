//! A cable between device and broker that can be cut after any byte, or go dead without a word.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone)]
pub struct Cable {
    pub port: u16,
    /// After how many bytes (up, down) each next connection is cut; empty: never.
    cuts: Arc<Mutex<Vec<(usize, usize)>>>,
    dead: watch::Sender<bool>,
}

impl Cable {
    pub async fn to(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let cable = Self { port: listener.local_addr().expect("an address").port(), cuts: Arc::default(), dead: watch::Sender::new(false) };
        let carried = cable.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let cut = carried.cuts.lock().expect("lock").pop();
                tokio::spawn(carry(near, broker, cut.unwrap_or((usize::MAX, usize::MAX)), carried.dead.subscribe()));
            }
        });
        cable
    }

    /// Cuts the next connections after these numbers of bytes, up and down.
    pub fn cut(&self, mut cuts: Vec<(usize, usize)>) {
        cuts.reverse();
        *self.cuts.lock().expect("lock") = cuts;
    }

    /// How many cuts are still to be made.
    pub fn left(&self) -> usize {
        self.cuts.lock().expect("lock").len()
    }

    /// Every present connection stays open and carries nothing any more; new ones work.
    pub fn die(&self) {
        self.dead.send_replace(true);
        self.dead.send_replace(false);
    }
}

async fn carry(near: TcpStream, broker: u16, (up, down): (usize, usize), dead: watch::Receiver<bool>) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", broker)).await else { return };
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let (upward, downward) = (std::pin::pin!(pour(near_in, far_out, up)), std::pin::pin!(pour(far_in, near_out, down)));
    tokio::select! {
        () = upward => {}
        () = downward => {}
        // Both directions are kept, and never carried on: the cable is dead, and nobody is told.
        () = died(dead) => std::future::pending().await,
    }
}

async fn died(mut dead: watch::Receiver<bool>) {
    if dead.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn pour(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, limit: usize) {
    let (mut left, mut buffer) = (limit, [0; 4096]);
    while left > 0 {
        let Ok(count) = from.read(&mut buffer).await else { return };
        if count == 0 {
            return;
        }
        let count = count.min(left);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        left -= count;
    }
}
