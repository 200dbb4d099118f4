//! The words: topics, payloads, tool names and error codes.
//!
//! One file per message family. [`Inbound::decode`] turns a topic and its bytes into one value, or says which field is wrong.

pub mod attr;
pub mod batch;
pub mod capability;
pub mod chat;
pub mod chatroom;
pub mod code;
pub mod command;
pub mod envelope;
pub mod event;
pub mod fernet;
pub mod fields;
pub mod id;
pub mod inbound;
mod json;
pub mod limits;
pub mod lwt;
pub mod op;
pub mod piece;
pub mod schema;
pub mod state;
pub mod system;
pub mod telemetry;
pub mod text;
mod time;
pub mod topic;
pub mod topology;

pub use code::Code;
pub use fernet::FernetKey;
pub use id::{DeviceId, DeviceKey, GroupId, RoomName, Site, Tenant};
pub use inbound::{Inbound, Malformed};
pub use topic::{DeviceTail, Topic};
