//! The loop that keeps the connection: connects, subscribes, receives, and waits between attempts.

use crate::config::LinkConfig;
use crate::error::LinkError;
use crate::events::LinkEvent;
use crate::link::{Phase, Shared};
use crate::message::{Message, Qos};
use crate::pulse::Pulse;
use rumqttc::{AsyncClient, ConnAck, ConnectionError, Event, EventLoop, Packet, Publish, StateError, SubscribeFilterInput};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection that held this long counts as a good one: the next attempts start from the shortest wait again.
const STEADY: Duration = Duration::from_secs(10);

pub(crate) async fn drive(mut eventloop: EventLoop, client: AsyncClient, shared: Arc<Shared>) {
    let mut failures = 0u32;
    let mut connected_at: Option<Instant> = None;
    let mut last_why = String::new();
    let mut pulse = Pulse::default();
    let mut subscribing: Option<tokio::task::JoinHandle<()>> = None;
    loop {
        let (reason, quarrel) = match pulse.next(&mut eventloop, &client, &shared).await {
            Some(Ok(event)) => {
                match event {
                    Event::Incoming(Packet::ConnAck(connack)) => {
                        connected_at = Some(Instant::now());
                        last_why.clear();
                        eventloop.options.set_clean_start(shared.config.clean_start).clear_session_store();
                        shared.accept_limit(connack.properties.as_ref().and_then(|properties| properties.max_packet_size));
                        shared.enter(Phase::Connected);
                        subscribing = Some(tokio::spawn(come_up(connack, client.clone(), shared.clone())));
                    }
                    Event::Incoming(Packet::Publish(publish)) => shared.events.push(LinkEvent::Message(read(publish))),
                    Event::Incoming(Packet::Disconnect(goodbye)) => last_why = format!("the broker ended the connection: {:?}", goodbye.reason_code),
                    _ => {}
                }
                continue;
            }
            Some(Err(ConnectionError::RequestsDone | ConnectionError::DisconnectTimeout)) => break,
            Some(Err(error)) => {
                // A session whose state the broker and we do not agree about is given up, or it would end every connection.
                let quarrel = matches!(error, ConnectionError::SessionStateMismatch { .. } | ConnectionError::MqttState(StateError::ProtocolViolation(_)));
                (explain(&error, &shared.config), quarrel)
            }
            None => {
                eventloop.clean();
                (silent(&shared.config, Pulse::patience(&eventloop)), false)
            }
        };
        if let Some(task) = subscribing.take() {
            task.abort();
            // Waited for, so that it cannot say "up" after this.
            let _ = task.await;
        }
        shared.enter(Phase::Down);
        if *shared.closing.borrow() {
            break;
        }
        failures = if connected_at.is_some_and(|at| at.elapsed() >= STEADY) { 1 } else { failures.saturating_add(1) };
        let why = if connected_at.is_some() && !last_why.is_empty() { std::mem::take(&mut last_why) } else { reason };
        if connected_at.take().is_some() || why != last_why {
            tracing::info!(%why, "link down");
            shared.events.push(LinkEvent::Down { why: why.clone() });
        }
        last_why = why;
        let mut closing = shared.closing.subscribe();
        tokio::select! {
            () = tokio::time::sleep(shared.config.backoff.jittered(failures)) => {}
            _ = closing.wait_for(|closing| *closing) => break,
        }
        if quarrel {
            tracing::info!("starting an empty session");
            eventloop.reset_session_state();
            eventloop.options.set_clean_start(true);
        }
        if let Err(error) = shared.config.renew(&mut eventloop.options) {
            tracing::warn!(%error, "the last ones are used");
        }
    }
    shared.enter(Phase::Down);
}

fn silent(config: &LinkConfig, patience: Duration) -> String {
    format!("{}:{}: nothing has come from the broker for {} s, nor did it answer; the connection is made anew", config.host, config.port, patience.as_secs())
}

/// The reason of a failed attempt in words, with what to do about the frequent ones.
fn explain(error: &ConnectionError, config: &LinkConfig) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    let advice = [
        ("UnknownIssuer", "the broker's certificate is not signed by an authority that we trust; give the file of its CA"),
        ("NotValidForName", "the broker's certificate is for another name; connect by a name that it carries"),
        ("NotValidYet", "the broker's certificate is not valid yet; is the clock of this machine right?"),
        ("Expired", "the broker's certificate has expired; is the clock of this machine right?"),
        ("CertificateRequired", "the broker asks for a client certificate; give one with its key"),
        ("BadUserNamePassword", "the broker refused user name or password"),
        ("NotAuthorized", "the broker refused user name or password, or this client id"),
        ("Connection refused", "nothing listens there; is the broker running, and the port right?"),
        ("InvalidContentType", "the broker does not speak TLS on this port"),
    ];
    match advice.iter().find(|(word, _)| text.contains(word)) {
        Some((_, advice)) => format!("{}:{}: {text}; {advice}", config.host, config.port),
        None => format!("{}:{}: {text}", config.host, config.port),
    }
}

/// Asks for every subscription; when they are granted, the link is up.
async fn come_up(connack: ConnAck, client: AsyncClient, shared: Arc<Shared>) {
    let filters: Vec<_> = shared.filters().iter().map(|(filter, qos)| (filter.clone(), *qos)).collect();
    if !filters.is_empty() {
        match subscribe(&client, filters).await {
            Ok(()) => {}
            Err(error @ LinkError::Refused(_)) => tracing::warn!(%error, "subscription refused"),
            // The connection went away meanwhile; the next one starts over.
            Err(_) => return,
        }
    }
    if *shared.closing.borrow() {
        return;
    }
    shared.enter(Phase::Up);
    shared.events.push(LinkEvent::Up { session_present: connack.session_present });
}

pub(crate) async fn subscribe(client: &AsyncClient, filters: Vec<(String, Qos)>) -> Result<(), LinkError> {
    let inputs = filters.iter().map(|(filter, qos)| SubscribeFilterInput::new(filter.clone(), qos.wire()));
    let notice = client.subscribe_many_tracked(inputs).await.map_err(|_| LinkError::Closed)?;
    let suback = notice.wait_async().await.map_err(|_| LinkError::Down)?;
    let refused = filters.iter().zip(&suback.return_codes).filter(|(_, code)| !matches!(code, rumqttc::SubscribeReasonCode::Success(_)));
    let refused: Vec<_> = refused.map(|((filter, _), code)| format!("{filter}: {code:?}")).collect();
    if refused.is_empty() { Ok(()) } else { Err(LinkError::Refused(refused.join(", "))) }
}

fn read(publish: Publish) -> Message {
    Message { topic: String::from_utf8_lossy(&publish.topic).into_owned(), qos: Qos::read(publish.qos), retain: publish.retain, payload: publish.payload }
}
