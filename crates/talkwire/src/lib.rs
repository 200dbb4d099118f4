//! The house: one event loop, the doors, the configuration and the command line.

pub mod clock;
pub mod config;
pub mod identity;
pub mod mind;
pub mod hub;
pub mod gate;
pub mod http;
pub mod serve;
pub mod demo;
pub mod lone_broker;
pub mod cli;
