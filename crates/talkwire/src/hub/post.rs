//! What goes out after a commit, in order.

use talkwire_core::Publish;
use talkwire_core::effect::History;
use talkwire_proto::chat::SessionAnswer;
use talkwire_store::{MessageWindow, Reader};

/// Something to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Post {
    /// This message; with its number when it is kept until a broker that is not ours has it.
    Publish(Publish, Option<u64>),
    /// The messages that a client asked for.
    History(History),
}

impl Post {
    /// The message for the wire; history is read from the store.
    pub fn publish(self, reader: &Reader) -> Option<(Publish, Option<u64>)> {
        match self {
            Self::Publish(publish, kept) => Some((publish, kept)),
            Self::History(history) => {
                let window = match (history.after, history.before) {
                    (Some(change), _) => MessageWindow::AfterChange(change),
                    (None, Some(seq)) => MessageWindow::BeforeSeq(seq),
                    (None, None) => MessageWindow::Newest,
                };
                let (messages, more) = reader
                    .messages(&history.session.session_id, window, history.limit as usize)
                    .inspect_err(|error| tracing::error!(%error, "chat history cannot be read"))
                    .ok()?;
                let answer = SessionAnswer { request_id: history.request_id, session: Some(history.session), sessions: None, messages: Some(messages), more };
                // Whoever asked asks again.
                Some((Publish::json(history.topic, &answer), None))
            }
        }
    }
}
