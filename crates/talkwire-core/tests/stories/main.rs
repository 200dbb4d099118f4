//! Stories at the door of the rules, with invented time, real wire payloads and a store in memory; and models that they are compared with.

mod approvals;
mod changesets;
mod chat;
mod commands;
mod devices;
mod done_once;
mod house;
mod models;
mod rehearsal;
mod replay;
mod sessions;
mod topology;
mod trust;
mod web;
