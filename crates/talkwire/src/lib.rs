//! The house: one event loop, the doors, the configuration and the command line.

pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod gate;
pub mod http;
pub mod hub;
pub mod identity;
pub mod lone_broker;
pub mod mind;
pub mod network;
mod outside;
pub mod payload_keys;
pub mod probe;
pub mod serve;
mod tools_folder;

pub use talkwire_link::broker_url;
