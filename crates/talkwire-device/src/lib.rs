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
mod keeper;
mod letter;
mod memory;
mod outbox;
mod post;
mod rate;
mod run;
mod seal;
mod section;
mod tool;
#[cfg(test)]
mod trial;
mod voice;

pub use act::{Act, Applied};
pub use config::{Attributes, Broker, DeviceConfig, OutboxConfig, OutboxPlace, Rates, StateReport};
pub use device::{Builder, Device, Running};
pub use error::DeviceError;
pub use section::{canonical, section_hash};
pub use talkwire_link::{Backoff, Password, Tls};
pub use talkwire_proto::capability::ToolSupport;
pub use talkwire_proto::event::Severity;
pub use talkwire_proto::state::Health;
pub use talkwire_proto::{Code, DeviceKey, FernetKey};
pub use tool::{Args, BoxFuture, Call, FnTool, Progress, Tool, ToolError, tool_fn};
