//! What was heard of a device: each message with its time, and what it means.

use bytes::Bytes;
use std::time::Duration;
use talkwire_proto::command::{Ack, Answer};
use talkwire_proto::envelope::Envelope;
use talkwire_proto::inbound::DeviceBody;
use talkwire_proto::{DeviceKey, Inbound, limits};

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
    /// The payload.
    pub payload: Bytes,
    /// What it means, or why it means nothing.
    pub read: Result<(Envelope, DeviceBody), String>,
}

impl Heard {
    /// Reads what came on `topic`; `None` when it is not under the device's tree, or is a command to it.
    pub fn read(key: &DeviceKey, topic: &str, payload: Bytes, retain: bool, acknowledged: bool, at: Duration, arrived_ms: i64) -> Option<Self> {
        let tail = topic.strip_prefix(&format!("rtk/v1/{key}/"))?;
        if tail == "cmd/req" {
            return None;
        }
        let read = match Inbound::decode(topic, &payload, arrived_ms, limits::MESSAGE_BYTES) {
            Ok(Inbound::Device(_, envelope, body)) => Ok((*envelope, body)),
            Ok(_) => Err("not a device's message".into()),
            Err(why) => Err(why.to_string()),
        };
        Some(Self { at, arrived_ms, tail: tail.into(), retain, acknowledged, payload, read })
    }

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
