//! What can go wrong on the pipe.

use crate::config::LinkConfig;
use std::path::Path;

/// Why the link could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The configuration cannot be used.
    #[error("link configuration: {0}")]
    Config(String),
    /// As many messages as [`LinkConfig::queue`] allows wait for their acknowledgement.
    #[error("{0} messages already wait for the broker; try again when it has taken some")]
    Full(usize),
    /// A QoS 0 message while the broker is away; it would be old when it arrived.
    #[error("not connected; a message without acknowledgement is not kept")]
    Down,
    /// The message is larger than this side or the broker takes.
    #[error("message of {bytes} bytes on {topic:?} is over the limit of {limit}")]
    TooLarge {
        /// Where it was going.
        topic: String,
        /// Its payload and topic.
        bytes: usize,
        /// The smaller of our limit and the broker's.
        limit: usize,
    },
    /// A topic with a wildcard, or an empty one.
    #[error("{0:?} is not a topic to publish to")]
    Topic(String),
    /// The broker refused the message.
    #[error("the broker refused the message: {0}")]
    Refused(String),
    /// The broker has no room for the message now (MQTT 5 reason 0x97); it may be sent again later.
    #[error("the broker has no room now; the message may be sent again later")]
    NoRoom,
    /// The connection was lost, and with it perhaps a message that was asked to go over it only ([`crate::Link::publish_once`]).
    #[error("the connection was lost before the broker acknowledged the message")]
    SessionLost,
    /// The link was closed first.
    #[error("the link is closed")]
    Closed,
}

impl LinkError {
    pub(crate) fn full(config: &LinkConfig) -> Self {
        Self::Full(config.queue)
    }

    pub(crate) fn file(what: &str, path: &Path, why: &str) -> Self {
        Self::Config(format!("the {what} in {} cannot be used: {why}", path.display()))
    }
}
