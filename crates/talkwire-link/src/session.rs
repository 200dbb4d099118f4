//! Resuming the broker's session at the first connection of a process.
//!
//! The client resumes only a session of which it has a record of its own. A fresh process has none, but it owes nothing to the
//! broker either (whoever must not lose a message keeps it outside, see `talkwire-device`), so an empty record is a true one.

use rumqttc::{PersistedAckMode, PersistedSession, SessionStore, SessionStoreError, SessionStoreKey};
use std::future::Future;
use std::pin::Pin;

type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, SessionStoreError>> + Send + 'a>>;

/// A store that knows one record: nothing is under way. It is taken away after the first connection.
#[derive(Debug)]
pub(crate) struct Resume(pub(crate) PersistedAckMode);

impl SessionStore for Resume {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> Work<'a, Option<PersistedSession>> {
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().into(),
            clean_start: false,
            session_expiry_interval: None,
            outgoing_inflight_upper_limit: None,
            ack_mode: self.0,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(async move { Ok(Some(session)) })
    }

    fn save<'a>(&'a self, _: &'a SessionStoreKey, _: &'a PersistedSession) -> Work<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> Work<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
