//! The sockets: bound all or none, and one task for each client.

use crate::admission::admit;
use crate::broker::Address;
use crate::config::{Listener, ListenerKind};
use crate::engine::Engine;
use crate::error::BrokerError;
use crate::wire::Wire;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::task::JoinSet;

/// A bound socket with the address that the system gave it.
pub(crate) struct Bound {
    pub(crate) address: Address,
    socket: TcpListener,
}

/// Binds every listener; a single failure fails them all.
pub(crate) async fn bind(listeners: &[Listener]) -> Result<Vec<Bound>, BrokerError> {
    let mut bound = Vec::with_capacity(listeners.len());
    for &Listener { addr, kind } in listeners {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BrokerError::AddressTaken { addr, kind },
            _ => BrokerError::Bind { addr, kind, source },
        };
        let socket = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = socket.local_addr().map_err(failed)?;
        bound.push(Bound { address: Address { addr, kind }, socket });
    }
    Ok(bound)
}

/// Accepts until the broker stops; returns the clients that are still there.
pub(crate) async fn accept(
    bound: Bound,
    engine: Arc<Engine>,
    places: Arc<Semaphore>,
    alive: mpsc::Sender<()>,
    mut shutdown: broadcast::Receiver<()>,
) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = bound.socket.accept() => accepted,
            Some(_) = clients.join_next() => continue,
            _ = shutdown.recv() => return clients,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a client now");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%peer, "refused: as many connections as allowed");
            continue;
        };
        let engine = Arc::clone(&engine);
        let alive = alive.clone();
        let kind = bound.address.kind;
        let shutdown = engine.shutdown.subscribe();
        clients.spawn(async move {
            serve(stream, peer, kind, &engine, alive, shutdown).await;
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, kind: ListenerKind, engine: &Engine, alive: mpsc::Sender<()>, shutdown: broadcast::Receiver<()>) {
    let mut stopped = shutdown.resubscribe();
    let limit = engine.shared.limits.connect_timeout;
    let admitted = tokio::select! {
        admitted = tokio::time::timeout(limit, meet(stream, peer, kind, engine, alive)) => admitted,
        _ = stopped.recv() => return,
    };
    match admitted {
        Ok(Some((checkpoint, connection))) => {
            // In memory of its own, so that strangers do not pay for it.
            Box::pin(engine.serve(connection, checkpoint, shutdown)).await;
        }
        Ok(None) => {}
        Err(_) => tracing::debug!(%peer, "no CONNECT in time"),
    }
}

async fn meet(
    stream: TcpStream,
    peer: SocketAddr,
    kind: ListenerKind,
    engine: &Engine,
    alive: mpsc::Sender<()>,
) -> Option<(crate::checkpoint::Checkpoint, Arc<crate::connection::Connection>)> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "small packets may be late");
    }
    let (wire, origin) = match kind {
        ListenerKind::Tcp => (Wire::Tcp(stream), None),
        ListenerKind::WebSocket => match Box::pin(Wire::upgrade(stream, &engine.shared.limits)).await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(%peer, %error, "no WebSocket");
                return None;
            }
        },
    };
    admit(wire, peer, origin, &engine.shared, alive).await
}
