//! The first packets of a connection: who we are, what the broker answers, what we want to hear.

use super::OutsideConfig;
use crate::gate::ProtocolVersion;
use crate::packet::frame;
use bytes::{Buf, BytesMut};
use mqtt5::packet::MqttPacket;
use mqtt5::packet::connack::ConnAckPacket;
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::packet::subscribe::{RetainHandling, SubscribePacket, SubscriptionOptions, TopicFilter};
use mqtt5::{ConnectOptions, FixedHeader, Packet, PropertyId, PropertyValue, QoS, WillMessage};
use std::time::Duration;

/// MQTT as both sides agreed on it for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreed {
    /// How many of our messages may be on their way at once.
    pub(super) window: usize,
    /// Largest packet that the broker takes, in bytes.
    pub(super) max_packet: usize,
    pub(super) keep_alive: Duration,
    pub(super) retained: bool,
    pub(super) resumed: bool,
}

/// So many of our messages at most wait for their acknowledgement; brokers that name no bound get fewer.
const WINDOW: usize = 256;
const WINDOW_UNTOLD: usize = 64;
/// One SUBSCRIBE carries at most so many filters: what the narrowest broker takes (AWS IoT Core).
const FILTERS: usize = 8;

pub(super) fn level(version: ProtocolVersion) -> u8 {
    match version {
        ProtocolVersion::V311 => 4,
        ProtocolVersion::V5 => 5,
    }
}

/// The CONNECT packet.
pub(super) fn connect(config: &OutsideConfig, version: ProtocolVersion) -> mqtt5::Result<BytesMut> {
    let mut options = ConnectOptions::new(config.client_id.clone()).protocol_options;
    (options.keep_alive, options.clean_start) = (config.keep_alive, false);
    options.username.clone_from(&config.username);
    options.password.clone_from(&config.password);
    options.will = config.will.as_ref().map(|will| {
        let mut message = WillMessage::new(will.topic.clone(), will.payload.to_vec());
        message.qos = QoS::AtLeastOnce;
        message.retain = will.retain && config.profile.keeps(will.payload.len());
        message
    });
    if version == ProtocolVersion::V311 {
        return encode(&ConnectPacket::new_v311(options));
    }
    let expiry = config.session_expiry.min(config.profile.max_session_expiry);
    options.properties.session_expiry_interval = Some(u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX));
    options.properties.receive_maximum = Some(config.receive_maximum.min(config.profile.receive_maximum).max(1));
    encode(&ConnectPacket::new(options))
}

/// A packet as bytes.
pub(super) fn encode(packet: &impl MqttPacket) -> mqtt5::Result<BytesMut> {
    let mut out = BytesMut::new();
    packet.encode(&mut out)?;
    Ok(out)
}

/// The next whole packet at the front of `input`; `None` while it is not complete.
pub(super) fn next_packet(input: &mut BytesMut, max_bytes: usize, version: ProtocolVersion) -> Result<Option<Packet>, String> {
    let Some(frame) = frame(input, max_bytes).map_err(|reason| format!("the broker sent a packet that cannot be read (0x{reason:02X})"))? else {
        return Ok(None);
    };
    if input.len() < frame.end {
        return Ok(None);
    }
    let mut packet = input.split_to(frame.end).freeze();
    let wrong = |error: mqtt5::MqttError| format!("the broker sent a packet that cannot be read: {error}");
    let header = FixedHeader::decode(&mut &packet[..frame.body]).map_err(wrong)?;
    packet.advance(frame.body);
    Packet::decode_from_body_with_version(header.packet_type, &header, &mut packet, level(version)).map(Some).map_err(wrong)
}

/// What a CONNACK comes to. `Err`: why the broker does not let us in, and whether another version may help.
pub(super) fn read_connack(config: &OutsideConfig, connack: &ConnAckPacket) -> Result<Agreed, (String, bool)> {
    let code = u8::from(connack.reason_code);
    if code != 0 {
        return Err((format!("the broker refuses the connection: {} (0x{code:02X})", connack_words(code)), code == 0x84));
    }
    let byte = |id: PropertyId| match connack.properties.get(id) {
        Some(PropertyValue::Byte(value)) => Some(*value),
        _ => None,
    };
    let told = connack.properties.get_receive_maximum().map(usize::from);
    let window = if connack.protocol_version == 5 { told.unwrap_or(usize::from(u16::MAX)).min(WINDOW) } else { WINDOW_UNTOLD };
    Ok(Agreed {
        window: window.max(1),
        max_packet: connack.properties.get_maximum_packet_size().map_or(usize::MAX, |bytes| bytes as usize),
        keep_alive: connack.properties.get_server_keep_alive().map_or(config.keep_alive, |seconds| Duration::from_secs(seconds.into())),
        retained: byte(PropertyId::RetainAvailable) != Some(0),
        resumed: connack.session_present,
    })
}

fn connack_words(code: u8) -> &'static str {
    match code {
        0x84 => "it does not speak this version of MQTT",
        0x85 => "it does not take the client id; set another with `client_id` under [broker]",
        0x86 => "user name or password is wrong; look at the URL, or at `username` and `password` under [broker]",
        0x87 => "not authorised; allow this client in the broker's access rules",
        0x88 | 0x89 => "it is not available now",
        0x8A => "this client is banned",
        0x95 => "the connection request is too large",
        0x97 | 0x9F => "its quota or rate limit is used up",
        0x9A => "it keeps no retained messages; set `profile` under [broker]",
        0x9B => "it does not take the quality of service of our will; set `profile` under [broker]",
        0x9C | 0x9D => "it sends us to another server; put that one into the URL",
        _ => "no reason that we know",
    }
}

/// SUBSCRIBE packets for all filters, each with the filters that it asks for.
pub(super) fn subscriptions(filters: &[String], version: ProtocolVersion, mut id: impl FnMut() -> u16) -> mqtt5::Result<Vec<(u16, Vec<String>, BytesMut)>> {
    let options = SubscriptionOptions {
        qos: QoS::AtLeastOnce,
        no_local: version == ProtocolVersion::V5,
        retain_as_published: false,
        retain_handling: RetainHandling::SendAtSubscribe,
    };
    let packet = |filters: &[String]| {
        let id = id();
        let empty = if version == ProtocolVersion::V5 { SubscribePacket::new(id) } else { SubscribePacket::new_v311(id) };
        let packet = filters.iter().fold(empty, |packet, filter| packet.add_filter_with_options(TopicFilter::with_options(filter.clone(), options)));
        Ok((id, filters.to_vec(), encode(&packet)?))
    };
    filters.chunks(FILTERS).map(packet).collect()
}
