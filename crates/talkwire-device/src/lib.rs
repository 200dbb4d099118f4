//! The other end: the SDK with which a device joins Talkwire.
//!
//! A device is a [`DeviceConfig`], some [`Tool`]s that look and measure, and some [`Act`]s that change something.
//! [`Device::builder`] puts them together; from then on the SDK connects, says who the device is, acknowledges and answers
//! commands, and keeps the change journal.
//!
//! # The promise about changes
//! Before an [`Act`] is applied, what it replaces and the deadline are on the disk. Unless `changeset.commit` comes in time,
//! the SDK restores it: when the deadline passes, when the connection is lost for longer than the set allows, when the process
//! stops or starts, or on `changeset.rollback`. A restore that fails is tried again until it is done, and reported. A command id
//! is run at most once, also over a restart.
//!
//! What was confirmed stays: where a machine forgets at a boot what an Act set, the Act names it ([`Act::lasting`]) and the SDK, told which
//! boot this is ([`Builder::boot`]), puts it back after the next one. What nobody confirmed is never put back.
//!
//! # What the machine has now
//! `support` of each [`Tool`] and [`Act`] is asked again every minute, and at once when something turns out to be missing. What changed is
//! published, with the reason.
//!
//! # What is said arrives
//! Events, answers and reports go through an outbox on the disk (feature `outbox`): they survive kill -9 from the moment that
//! [`Device::kept`] returns, are sent in order, class by class, and are deleted when the broker acknowledged them. After a lost connection a
//! message may come twice. Telemetry goes at once and unacknowledged, and through the outbox while the device is offline or over its rate
//! ([`Rates`]). A full outbox drops the oldest telemetry first ([`OutboxConfig`]); a full disk stops nothing. Whatever the network or
//! the disk does, no call of [`Device`] waits for it.
//!
//! The counters (`messages_sent`, `messages_received`, `connection_errors`, `last_heartbeat`, `uptime`, `memory_usage`, `outbox_waiting`,
//! `outbox_dropped`, …) are published as `diagnostics` in every state, and answered by `device.status`.
//!
//! # Protection
//! [`Broker::tls`] with [`Tls`] (feature `tls`): an authority's file or the system's, and a client certificate. [`Broker::login`],
//! [`Broker::token`], [`Broker::token_file`]. `DeviceConfig::fernet_key` (feature `fernet`) encrypts payloads, for controllers that ask for it.
//!
//! # A complete device
//! ```no_run
#![doc = include_str!("../examples/thermostat.rs")]
//! ```

mod act;
mod catalog;
mod clock;
mod config;
mod core;
mod counters;
mod desk;
mod device;
mod disk;
mod error;
mod guard;
mod journal;
mod judge;
mod keeper;
mod letter;
mod memory;
mod outbox;
mod post;
mod rate;
mod run;
mod seal;
mod section;
mod standing;
mod tool;
#[cfg(test)]
mod trial;
mod voice;

pub use act::{Act, Applied};
pub use config::{Attributes, Broker, DeviceConfig, OutboxConfig, OutboxPlace, Rates, StateReport};
pub use device::{Builder, Device, Running};
pub use error::DeviceError;
pub use section::{canonical, section_hash};
pub use talkwire_link::{Backoff, BrokerUrl, Password, Tls, broker_url};
pub use talkwire_proto::capability::ToolSupport;
pub use talkwire_proto::event::Severity;
pub use talkwire_proto::state::Health;
pub use talkwire_proto::{Code, DeviceKey, FernetKey};
pub use tool::{Args, BoxFuture, Call, FnTool, Progress, Tool, ToolError, tool_fn};
