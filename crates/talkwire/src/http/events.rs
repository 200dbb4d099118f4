//! `GET /api/v1/events`: what changes, as server-sent events.

use super::Shared;
use super::who::Who;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{Stream, unfold};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use talkwire_core::effect::Notice;
use tokio::sync::broadcast::error::RecvError;

fn named(notice: Notice) -> (&'static str, Value) {
    match notice {
        Notice::Device(device) => ("device", super::devices::brief(&device)),
        Notice::Command(command) => ("command", json!(command)),
        Notice::Session(session) => ("session", json!(session)),
        Notice::Changeset(set) => ("changeset", json!(set)),
        Notice::Message(message) => ("message", json!(message)),
        Notice::Event(event) => ("event", super::devices::event(event)),
    }
}

pub async fn stream(State(house): State<Shared>, _who: Who) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let start = (house.hub.notices(), house.stopping.clone());
    let events = unfold(start, |(mut notices, mut stopping)| async move {
        let next = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return None,
            next = notices.recv() => next,
        };
        let event = match next {
            Ok(notice) => {
                let (name, data) = named(notice);
                Event::default().event(name).data(data.to_string())
            }
            // A slow reader is told how many it missed, and asks for the state itself.
            Err(RecvError::Lagged(missed)) => Event::default().event("lagged").data(json!({"missed": missed}).to_string()),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(event), (notices, stopping)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
