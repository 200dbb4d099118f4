//! What was heard of a device: each message with its time, and what it means.

use bytes::Bytes;
use std::time::Duration;
use talkwire_proto::command::{Ack, Answer};
use talkwire_proto::envelope::Envelope;
use talkwire_proto::fernet::TTL_S;
use talkwire_proto::inbound::DeviceBody;
use talkwire_proto::{DeviceKey, FernetKey, Inbound, limits};

/// One message under the device's tree.
#[derive(Debug, Clone)]
pub struct Heard {
    /// When, since the check began.
    pub at: Duration,
    /// When, in Unix milliseconds.
    pub arrived_ms: i64,
    /// The topic behind the device id, for example `cmd/ack`.
    pub tail: String,
    /// Whether the broker had kept it.
    pub retain: bool,
    /// Whether it came with QoS 1 or 2.
    pub acknowledged: bool,
    /// Whether it was sealed with the device's key.
    pub sealed: bool,
    /// The payload as it was on the wire.
    pub payload: Bytes,
    /// What it means, or why it means nothing.
    pub read: Result<(Envelope, DeviceBody), String>,
}

/// Whose messages are read, and with which key when their payloads are encrypted.
#[derive(Debug, Clone)]
pub struct Ear {
    /// The device.
    pub key: DeviceKey,
    /// What opens its payloads; `None`: they are in clear.
    pub fernet: Option<FernetKey>,
}

impl Ear {
    /// Reads what came on `topic` at `at`, which was `arrived_ms`; `None` when it is not under the device's tree, or is a command to it.
    pub fn read(&self, topic: &str, payload: Bytes, retain: bool, acknowledged: bool, (at, arrived_ms): (Duration, i64)) -> Option<Heard> {
        let tail = topic.strip_prefix(&format!("rtk/v1/{}/", self.key))?;
        if tail == "cmd/req" {
            return None;
        }
        // What the broker kept, and a will, is as old as it is.
        let opened = self.fernet.as_ref().map(|key| {
            let now_s = u64::try_from(arrived_ms / 1000).unwrap_or(0);
            key.decrypt(&payload, now_s, (!retain && tail != "lwt").then_some(TTL_S))
        });
        let sealed = matches!(opened, Some(Ok(_)));
        let read = match opened.transpose() {
            Err(why) => Err(format!("it is not sealed with the device's key: {why}")),
            Ok(text) => match Inbound::decode(topic, text.as_deref().unwrap_or(&payload), arrived_ms, limits::MESSAGE_BYTES) {
                Ok(Inbound::Device(_, envelope, body)) => Ok((*envelope, body)),
                Ok(_) => Err("not a device's message".into()),
                Err(why) => Err(why.to_string()),
            },
        };
        Some(Heard { at, arrived_ms, tail: tail.into(), retain, acknowledged, sealed, payload, read })
    }
}

impl Heard {
    /// The first level of the tail, for example `evt`.
    pub fn family(&self) -> &str {
        self.tail.split('/').next().unwrap_or_default()
    }

    /// What it says, when it can be read.
    pub fn body(&self) -> Option<&DeviceBody> {
        self.read.as_ref().ok().map(|(_, body)| body)
    }

    /// The envelope, when it can be read.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.read.as_ref().ok().map(|(envelope, _)| envelope)
    }

    /// The acknowledgement, when it is one.
    pub fn ack(&self) -> Option<&Ack> {
        match self.body() {
            Some(DeviceBody::Ack(ack)) => Some(ack),
            _ => None,
        }
    }

    /// The answer, when it is one.
    pub fn answer(&self) -> Option<&Answer> {
        match self.body() {
            Some(DeviceBody::Answer(answer)) => Some(answer),
            _ => None,
        }
    }
}
