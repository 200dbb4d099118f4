//! The way out: messages wait for the connection, then for their acknowledgement, and are sent again after a lost session.

use crate::error::LinkError;
use crate::link::Shared;
use crate::message::{Message, Qos};
use rumqttc::{AsyncClient, PubAckReason, PublishNotice, PublishNoticeError, PublishOptions};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// The fate of one message. Awaiting it means: acknowledged by the broker (QoS 0: handed to the network).
///
/// Dropping the handle does not take the message back.
#[derive(Debug)]
#[must_use = "await the handle to learn whether the broker took the message, or call `forget`"]
pub struct PublishHandle(pub(crate) oneshot::Receiver<Result<(), LinkError>>);

impl PublishHandle {
    /// Lets the message go its way unwatched.
    pub fn forget(self) {}
}

impl Future for PublishHandle {
    type Output = Result<(), LinkError>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|received| received.unwrap_or(Err(LinkError::Closed)))
    }
}

/// A message with its place among the waiting ones, which is given back when this is dropped.
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    pub(crate) done: oneshot::Sender<Result<(), LinkError>>,
    pub(crate) place: OwnedSemaphorePermit,
    /// For a message that goes over one connection only: how many connections were lost before it.
    pub(crate) once: Option<u64>,
}

/// Hands messages to the client in order, each once the link is up.
pub(crate) async fn send_all(mut waiting: mpsc::UnboundedReceiver<Outgoing>, client: AsyncClient, shared: Arc<Shared>) {
    while let Some(outgoing) = waiting.recv().await {
        match hand_over(&outgoing.message, outgoing.once, &client, &shared).await {
            Ok(notice) => drop(tokio::spawn(follow(outgoing, notice, client.clone(), shared.clone()))),
            Err(error) => finish(outgoing, Err(error)),
        }
    }
}

async fn hand_over(message: &Message, once: Option<u64>, client: &AsyncClient, shared: &Shared) -> Result<PublishNotice, LinkError> {
    match once {
        None => shared.wait_up().await?,
        Some(losses) if losses != shared.losses() => return Err(LinkError::SessionLost),
        Some(_) => {}
    }
    let limit = shared.packet_limit();
    if message.packet_bytes() > limit {
        return Err(LinkError::TooLarge { topic: message.topic.clone(), bytes: message.packet_bytes(), limit });
    }
    let options = PublishOptions::new(message.qos.wire()).retain(message.retain);
    client.publish_tracked(message.topic.clone(), message.payload.clone(), options).await.map_err(|error| match error {
        rumqttc::ClientError::InvalidRequest(_) => LinkError::Topic(message.topic.clone()),
        _ => LinkError::Closed,
    })
}

async fn follow(outgoing: Outgoing, notice: PublishNotice, client: AsyncClient, shared: Arc<Shared>) {
    let mut notice = notice;
    let result = loop {
        match notice.wait_completion_async().await {
            Ok(()) => break Ok(()),
            Err(PublishNoticeError::V5PubAck(PubAckReason::NoMatchingSubscribers)) => break Ok(()),
            Err(PublishNoticeError::V5PubAck(PubAckReason::QuotaExceeded)) => break Err(LinkError::NoRoom),
            Err(PublishNoticeError::V5PubAck(reason)) => break Err(LinkError::Refused(format!("{reason:?}"))),
            Err(PublishNoticeError::V5PubRec(reason)) => break Err(LinkError::Refused(format!("{reason:?}"))),
            Err(error @ PublishNoticeError::RetainNotSupported) => break Err(LinkError::Refused(error.to_string())),
            Err(_) if outgoing.message.qos == Qos::AtMostOnce => break Err(LinkError::Down),
            Err(_) if outgoing.once.is_some() => break Err(LinkError::SessionLost),
            // The session with the broker was lost, and the message with it: it is sent again in the next one.
            Err(_) => match hand_over(&outgoing.message, None, &client, &shared).await {
                Ok(next) => notice = next,
                Err(error) => break Err(error),
            },
        }
    };
    finish(outgoing, result);
}

fn finish(outgoing: Outgoing, result: Result<(), LinkError>) {
    let Outgoing { done, place, .. } = outgoing;
    drop(place);
    // Nobody need wait for the result.
    let _ = done.send(result);
}
