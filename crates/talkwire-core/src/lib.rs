//! The rules: devices, commands, sessions, change sets, chat, access and audit, without clock, I/O or async.
//!
//! [`Core`] takes one [`Input`] with the time of its arrival and returns [`Effect`]s; whoever calls it saves, then publishes, then notifies.

pub mod access;
pub mod audit;
pub mod catalogue;
pub mod changeset;
pub mod chat;
pub mod command;
pub mod core;
pub mod delivery;
pub mod device;
pub mod effect;
pub mod ids;
pub mod input;
pub mod language;
pub mod moves;
pub mod receipt;
pub mod refusal;
pub mod session;
pub mod stamps;
pub mod topology;
pub mod wayback;

pub use crate::core::Core;
pub use access::{Principal, Role};
pub use catalogue::Catalogue;
pub use effect::{Effect, Notice, Publish, Save};
pub use input::{Ask, Input, Origin};
pub use language::Language;
pub use refusal::Refusal;
