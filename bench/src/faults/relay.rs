//! A cable between a device and its broker, which can be cut and mended.

use anyhow::Result;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Passes bytes on in both directions while it is whole.
pub struct Relay {
    /// Where one connects instead of to the broker.
    pub addr: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    over: AtomicBool,
    ends: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Leads to `to`.
    pub fn start(to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (addr, state) = (listener.local_addr()?, Arc::<State>::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                // Dropping it is what a cut cable does.
                let Some(far) = (!shared.cut.load(Ordering::Relaxed)).then(|| TcpStream::connect(to).ok()).flatten() else { continue };
                let _ = (near.set_nodelay(true), far.set_nodelay(true));
                for (from, into) in [(near.try_clone(), far.try_clone()), (far.try_clone(), near.try_clone())] {
                    if let (Ok(from), Ok(into)) = (from, into) {
                        std::thread::spawn(move || pass(from, into));
                    }
                }
                shared.ends.lock().unwrap_or_else(PoisonError::into_inner).extend([near, far]);
            }
        });
        Ok(Self { addr, state })
    }

    /// Cuts it, waits, and mends it.
    pub fn cut_for(&self, span: Duration) {
        self.state.cut.store(true, Ordering::Relaxed);
        self.close();
        std::thread::sleep(span);
        self.state.cut.store(false, Ordering::Relaxed);
    }

    fn close(&self) {
        for end in self.state.ends.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // It may be closed already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        self.close();
        // Wakes the listener, so that its thread ends.
        let _ = TcpStream::connect(self.addr);
    }
}

fn pass(mut from: TcpStream, mut into: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if into.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), into.shutdown(Shutdown::Both));
}
