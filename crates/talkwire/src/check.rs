//! `talkwire check`: the integration guide's verification list, run against one device at any broker.
//!
//! [`inspect()`] is an MQTT client of its own that gathers [`Evidence`]; the rules judge it without a clock or a network; the
//! [`Report`] is what people and programs read. The table of checks is [`ITEMS`].

pub mod access;
pub mod ask;
pub mod evidence;
pub mod heard;
pub mod inspect;
pub mod item;
pub mod page;
pub mod proxy;
pub mod report;
pub mod rules;
pub mod sniff;
pub mod tap;
pub mod target;

pub use evidence::Evidence;
pub use inspect::{CannotRun, Options, inspect, inspect_until};
pub use item::{ITEMS, Item};
pub use report::{Finding, Report, Status};
pub use target::Target;
