//! The exchange: an embedded MQTT broker that asks a [`Gate`] about every connection and every message.
//!
//! A publish is acknowledged only after [`Gate::publish`] resolved, so the house decides what "acknowledged" means.
//! [`Outside`] keeps the same promise as a client on somebody else's broker.
//! The engine underneath is a detail of this crate; no type of it appears here.

mod admission;
mod broker;
mod checkpoint;
mod config;
mod connection;
mod engine;
mod error;
mod gate;
mod listener;
mod outside;
mod packet;
mod rumqttd_toml;
mod wire;

pub use broker::{Address, Broker, BrokerHandle};
pub use config::{BrokerConfig, Limits, Listener, ListenerKind};
pub use error::BrokerError;
pub use gate::{
    BoxFuture, ConnectRefusal, ConnectRequest, ConnectVerdict, DisconnectCause, Gate, OpenGate, ProtocolVersion, Publish, PublishRefusal, PublishVerdict, Will,
};
pub use outside::{Arrived, Dial, Inbox, Limit, Outside, OutsideConfig, OutsideCounts, OutsideHandle, OutsideStatus, Profile, Stream, TcpDial};
pub use rumqttd_toml::{RumqttdToml, RumqttdTomlError};
