//! One MQTT message and its quality of service.

use bytes::Bytes;

/// How surely a message arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// Sent once, never repeated.
    AtMostOnce,
    /// Repeated until it is acknowledged.
    AtLeastOnce,
    /// Arrives exactly once, for two round trips.
    ExactlyOnce,
}

impl Qos {
    pub(crate) fn wire(self) -> rumqttc::QoS {
        match self {
            Self::AtMostOnce => rumqttc::QoS::AtMostOnce,
            Self::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
            Self::ExactlyOnce => rumqttc::QoS::ExactlyOnce,
        }
    }

    pub(crate) fn read(qos: rumqttc::QoS) -> Self {
        match qos {
            rumqttc::QoS::AtMostOnce => Self::AtMostOnce,
            rumqttc::QoS::AtLeastOnce => Self::AtLeastOnce,
            rumqttc::QoS::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

/// A message with its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it goes, or came from.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// How surely.
    pub qos: Qos,
    /// To send: whether the broker keeps it. Received: whether it is a kept one.
    pub retain: bool,
}

impl Message {
    /// Bytes that count against the packet limit: payload, topic, and room for the header.
    pub(crate) fn packet_bytes(&self) -> usize {
        self.payload.len() + self.topic.len() + 16
    }
}
