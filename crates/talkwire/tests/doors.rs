//! Stories at the doors: a real server, real MQTT clients, real HTTP requests, a real database.

#[path = "doors/bad_input.rs"]
mod bad_input;
#[path = "doors/chat.rs"]
mod chat;
#[path = "doors/command_line.rs"]
mod command_line;
#[path = "doors/diagnosis.rs"]
mod diagnosis;
#[path = "doors/durable.rs"]
mod durable;
#[path = "doors/harness.rs"]
mod harness;
#[path = "doors/mosquitto.rs"]
mod mosquitto;
#[path = "doors/network.rs"]
mod network;
#[path = "doors/outage.rs"]
mod outage;
#[path = "doors/outside.rs"]
mod outside;
#[path = "doors/rehearsal.rs"]
mod rehearsal;
#[path = "doors/replay.rs"]
mod replay;
#[allow(dead_code, reason = "the broker's own tests use all of it")]
#[path = "../../talkwire-broker/tests/outside/script.rs"]
mod script;
#[path = "doors/sealed.rs"]
mod sealed;
#[path = "doors/speedtest.rs"]
mod speedtest;
#[path = "doors/topology.rs"]
mod topology;
#[path = "doors/vendor.rs"]
mod vendor;
