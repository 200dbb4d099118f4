//! What the broker does, as it is visible on the wire; a bad engine upgrade fails here first.

mod client;
mod connecting;
mod delivery;
mod gatekeeping;
mod house;
mod lifecycle;
mod limits;
mod malformed;
mod packets;
mod real_client;
mod retained;
mod sessions;
mod slow_reader;
mod subscriptions;
mod websocket;
mod wills;
