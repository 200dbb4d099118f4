//! What can go wrong while the broker starts or is asked to publish.

use crate::ListenerKind;
use std::net::SocketAddr;

/// An error of the broker as a whole; what a client does wrong is answered to the client.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No listener was configured.
    #[error("the broker has no listener, give it an address with `--mqtt ADDR` or `--ws ADDR`")]
    NoListener,
    /// The address belongs to another program.
    #[error("{addr} is taken by another program; stop that one, choose another address with `{}`{}", flag(*.kind), instead(*.kind, *.addr))]
    AddressTaken {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What would have been served there.
        kind: ListenerKind,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}, choose another address with `{}`", flag(*.kind))]
    Bind {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What would have been served there.
        kind: ListenerKind,
        /// What the system said.
        source: std::io::Error,
    },
    /// The topic of an in-process publish is empty, has a wildcard or exceeds a limit.
    #[error("`{topic}` is no topic that can be published to")]
    TopicInvalid {
        /// The topic as given.
        topic: String,
    },
    /// The quality of service of an in-process publish is none of 0, 1 and 2.
    #[error("there is no quality of service {qos}, use 0, 1 or 2")]
    QosInvalid {
        /// The value as given.
        qos: u8,
    },
}

/// What else can be done on the port of an MQTT broker that is there already.
fn instead(kind: ListenerKind, addr: SocketAddr) -> String {
    match kind {
        ListenerKind::Tcp if addr.ip().is_loopback() || addr.ip().is_unspecified() => {
            format!(", or, when it is the MQTT broker that you want to use, start with `serve --broker mqtt://localhost:{}`", addr.port())
        }
        ListenerKind::Tcp => format!(", or, when it is the MQTT broker that you want to use, start with `serve --broker mqtt://{addr}`"),
        ListenerKind::WebSocket => String::new(),
    }
}

fn flag(kind: ListenerKind) -> &'static str {
    match kind {
        ListenerKind::Tcp => "--mqtt ADDR",
        ListenerKind::WebSocket => "--ws ADDR",
    }
}
