//! The three tasks of a running device: listen, keep changes, tell the state.

use crate::core::Core;
use crate::counters::add;
use crate::desk;
use std::sync::Arc;
use std::time::Duration;
use talkwire_link::{Events, LinkError, LinkEvent};

/// How soon a report is tried again that could not be sent.
const REPORT_AGAIN: Duration = Duration::from_secs(5);

/// Answers the link: says who and how the device is at each connect, and takes commands.
pub(crate) async fn listen(core: Arc<Core>, mut events: Events) {
    while let Some(event) = events.next().await {
        match event {
            LinkEvent::Up { .. } => {
                core.voice.online();
                core.voice.attr(core.catalog.attr(&core.config));
                core.voice.state(&core.state_report());
                core.voice.post().wake();
                core.lost_since.send_replace(None);
                core.keeper_moved.notify_one();
            }
            LinkEvent::Down { .. } => {
                add(&core.counters.connection_errors, 1);
                let now = core.clock.now().steady;
                core.lost_since.send_if_modified(|since| since.is_none() && since.replace(now).is_none());
                core.keeper_moved.notify_one();
            }
            LinkEvent::Message(message) => match core.voice.post().seal().open(&message.payload) {
                Ok(text) => desk::take(&core, &text),
                Err(error) => {
                    add(&core.counters.messages_received, 1);
                    add(&core.counters.sealed_wrong, 1);
                    tracing::warn!(%error, "command not opened");
                }
            },
            LinkEvent::Missed { count } => {
                add(&core.counters.missed, count);
                tracing::warn!(count, "commands came faster than they were read");
            }
        }
    }
}

/// Restores what is due and reports it.
pub(crate) async fn keep(core: Arc<Core>) {
    loop {
        let wake_in = {
            let mut keeper = core.keeper.lock().await;
            let lost_since = *core.lost_since.borrow();
            keeper.lost_since(lost_since);
            keeper.tick().await;
            keeper.put_back().await;
            keeper.wake_in()
        };
        let reporting = core.clone();
        tokio::spawn(async move { report(&reporting).await });
        tokio::select! {
            () = core.keeper_moved.notified() => {}
            () = tokio::time::sleep(wake_in.unwrap_or(Duration::from_secs(3600))) => {}
        }
    }
}

/// Sends what must be heard, and waits until it is. A report that cannot be sent now is tried again.
pub(crate) async fn report(core: &Arc<Core>) {
    let reports = core.keeper.lock().await.reports();
    for report in reports {
        let sent = core.voice.event_now(report.event_type, report.severity, &report.data).await;
        core.keeper.lock().await.reported(&report.key, sent.is_ok()).await;
        match sent {
            Ok(()) | Err(LinkError::Closed) => {}
            Err(error) => {
                tracing::warn!(%error, event = report.event_type, "event not sent; it will be tried again");
                let core = core.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(REPORT_AGAIN).await;
                    core.keeper_moved.notify_one();
                });
            }
        }
    }
}

/// Says the state every period.
pub(crate) async fn tell_state(core: Arc<Core>) {
    let mut period = tokio::time::interval(core.config.state_period.max(Duration::from_millis(100)));
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    period.tick().await;
    loop {
        period.tick().await;
        if core.lost_since.borrow().is_none() {
            core.voice.state(&core.state_report());
        }
    }
}
