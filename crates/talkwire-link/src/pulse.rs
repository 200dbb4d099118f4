//! The pulse of a connection. The client pings only when it has said nothing for a while, so whoever talks all the time would never learn that
//! nobody listens: after a keep-alive without a word from the broker something is asked of it, and after one and a half the connection is given up.

use crate::link::Shared;
use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, Packet, RetainForwardRule, SubscribeFilterInput};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// When the broker was last heard on the present connection.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// `None` while there is no connection, or no keep-alive.
    heard: Option<Heard>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    at: Instant,
    keep_alive: Duration,
    asked: bool,
}

impl Pulse {
    /// The next event of the client; `None`: the broker has been silent for too long, and the connection must be dropped.
    pub(crate) async fn next(&mut self, eventloop: &mut EventLoop, client: &AsyncClient, shared: &Shared) -> Option<Result<Event, ConnectionError>> {
        let event = {
            let mut poll = std::pin::pin!(eventloop.poll());
            loop {
                let Some(heard) = &mut self.heard else { break poll.await };
                let wake_at = heard.at + if heard.asked { heard.keep_alive * 3 / 2 } else { heard.keep_alive };
                tokio::select! {
                    biased;
                    event = &mut poll => break event,
                    () = sleep_until(wake_at) => {}
                }
                if heard.asked {
                    self.heard = None;
                    return None;
                }
                heard.asked = true;
                ask(client, shared);
            }
        };
        match &event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                // The broker may have set another one.
                let keep_alive = eventloop.options.keep_alive();
                self.heard = (!keep_alive.is_zero()).then(|| Heard { at: Instant::now(), keep_alive, asked: false });
            }
            Ok(Event::Incoming(_)) => {
                if let Some(heard) = &mut self.heard {
                    (heard.at, heard.asked) = (Instant::now(), false);
                }
            }
            Ok(_) => {}
            Err(_) => self.heard = None,
        }
        Some(event)
    }

    /// For how long the broker may be silent.
    pub(crate) fn patience(eventloop: &EventLoop) -> Duration {
        eventloop.options.keep_alive() * 3 / 2
    }
}

/// Asks for something that changes nothing and is always answered. A queue without room is full of what is not answered either.
fn ask(client: &AsyncClient, shared: &Shared) {
    let known = shared.filters().iter().next().map(|(filter, qos)| SubscribeFilterInput::new(filter.clone(), qos.wire()));
    let asked = match known {
        Some(filter) => client.try_subscribe_many([filter.retain_forward_rule(RetainForwardRule::Never)]),
        None => client.try_unsubscribe("-"),
    };
    if let Err(error) = asked {
        tracing::debug!(%error, "the broker could not be asked for a sign of life");
    }
}
