//! `talkwire check` against real devices: a good one passes, and for every check there is a bad one that fails it.

#[path = "check/command_line.rs"]
mod command_line;
#[path = "check/device.rs"]
mod device;
#[path = "check/encrypted.rs"]
mod encrypted;
#[path = "check/every_check.rs"]
mod every_check;
#[path = "check/exchange.rs"]
mod exchange;
#[path = "check/mosquitto.rs"]
mod mosquitto;
#[path = "check/open_broker.rs"]
mod open_broker;
#[path = "check/own_broker.rs"]
mod own_broker;
#[path = "check/tls_door.rs"]
mod tls_door;
#[path = "check/two_clients.rs"]
mod two_clients;
