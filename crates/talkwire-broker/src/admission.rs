//! Between the accepted socket and the first packet: strangers get little memory and little time.

use crate::checkpoint::Checkpoint;
use crate::connection::Connection;
use crate::engine::Shared;
use crate::gate::ProtocolVersion;
use crate::packet::{self, reason};
use crate::wire::Wire;
use bytes::{Bytes, BytesMut};
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::{FixedHeader, Packet, PacketType};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const PROTOCOL_NAME: &[u8] = b"\0\x04MQTT";
const OLD_PROTOCOL_NAME: &[u8] = b"\0\x06MQIsdp";

/// Reads the CONNECT packet; `None` when the client was answered or left.
pub(crate) async fn admit(
    mut wire: Wire,
    peer: SocketAddr,
    origin: Option<String>,
    shared: &Arc<Shared>,
    alive: mpsc::Sender<()>,
) -> Option<(Checkpoint, Arc<Connection>)> {
    let mut inbound = BytesMut::new();
    let packet = match read_connect(&mut wire, &mut inbound, shared.limits.max_connect_bytes).await {
        Ok(packet) => packet,
        Err(error) => {
            tracing::debug!(%peer, %error, "no CONNECT");
            return None;
        }
    };
    match examine(&packet, shared) {
        Ok(Applicant { packet, connect, version, sent_id }) => {
            let connection = Arc::new(Connection::new(peer, origin, version, sent_id, connect.will, Duration::from_secs(connect.keep_alive.into())));
            let shared = Arc::clone(shared);
            let checkpoint = Checkpoint::new(wire, Arc::clone(&connection), shared, packet, inbound, alive);
            Some((checkpoint, connection))
        }
        Err(answer) => {
            let mut answer = BytesMut::from(&answer[..]);
            crate::checkpoint::linger(&mut wire, &mut answer).await;
            None
        }
    }
}

/// A CONNECT packet that may be shown to the engine.
struct Applicant {
    packet: Bytes,
    connect: ConnectPacket,
    version: ProtocolVersion,
    sent_id: String,
}

async fn read_connect(wire: &mut Wire, inbound: &mut BytesMut, max_bytes: usize) -> io::Result<Bytes> {
    loop {
        if inbound.first().is_some_and(|first| *first != packet::CONNECT << 4) {
            return Err(wrong("the first packet is no CONNECT"));
        }
        let frame = packet::frame(inbound, max_bytes).map_err(|_| wrong("the length of CONNECT is malformed or too large"))?;
        if let Some(frame) = frame
            && inbound.len() >= frame.end
        {
            return Ok(inbound.split_to(frame.end).freeze());
        }
        if poll_fn(|cx| wire.poll_fill(cx, inbound)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The packet as the engine may see it, or the bytes of the answer.
fn examine(packet: &Bytes, shared: &Shared) -> Result<Applicant, Bytes> {
    let nothing = Bytes::new;
    let frame = packet::frame(packet, packet.len()).ok().flatten().ok_or_else(nothing)?;
    let body = packet.slice(frame.body..);
    let version = version_of(&body)?;
    let header = FixedHeader::new(PacketType::Connect, 0, length(body.len()));
    let decoded = Packet::decode_from_body_with_version(PacketType::Connect, &header, &mut body.clone(), 5);
    let Ok(Packet::Connect(connect)) = decoded else {
        return Err(match version {
            ProtocolVersion::V5 => packet::connack_refusal(version, reason::MALFORMED),
            ProtocolVersion::V311 => nothing(),
        });
    };
    let refuse = |reason| Err(packet::connack_refusal(version, reason));
    let limits = &shared.limits;
    if connect.client_id.len() > limits.max_client_id_bytes {
        return refuse(reason::CLIENT_ID_INVALID);
    }
    if let Some(will) = &connect.will {
        let topic = &will.topic;
        if !packet::topic_fits(topic, limits) || topic.starts_with('$') || !mqtt5::is_valid_topic_name(topic) {
            return refuse(reason::TOPIC_INVALID);
        }
    }
    let session = shared.session_name(&connect.client_id);
    let packet = if session == connect.client_id { packet.clone() } else { renamed(&body, version, &connect.client_id, &session).ok_or_else(nothing)? };
    Ok(Applicant { packet, version, sent_id: connect.client_id.clone(), connect: *connect })
}

fn version_of(body: &[u8]) -> Result<ProtocolVersion, Bytes> {
    let unsupported = |version| Err(packet::connack_refusal(version, reason::UNSUPPORTED_VERSION));
    if body.starts_with(OLD_PROTOCOL_NAME) {
        return unsupported(ProtocolVersion::V311);
    }
    match body.strip_prefix(PROTOCOL_NAME).and_then(<[u8]>::first) {
        Some(4) => Ok(ProtocolVersion::V311),
        Some(5) => Ok(ProtocolVersion::V5),
        Some(0..4) => unsupported(ProtocolVersion::V311),
        Some(_) => unsupported(ProtocolVersion::V5),
        None => Err(Bytes::new()),
    }
}

/// The CONNECT packet with the engine's session name in place of the client identifier.
fn renamed(body: &[u8], version: ProtocolVersion, old: &str, new: &str) -> Option<Bytes> {
    let mut at = PROTOCOL_NAME.len() + 4;
    if version == ProtocolVersion::V5 {
        // Properties are framed as a packet is, but for the first byte.
        let properties = packet::frame(&body[at - 1..], usize::MAX).ok().flatten()?;
        at = at - 1 + properties.end;
    }
    let rest = body.get(at + 2 + old.len()..)?;
    let mut changed = BytesMut::from(body.get(..at)?);
    changed.extend_from_slice(&u16::try_from(new.len()).ok()?.to_be_bytes());
    changed.extend_from_slice(new.as_bytes());
    changed.extend_from_slice(rest);
    let mut packet = BytesMut::new();
    FixedHeader::new(PacketType::Connect, 0, length(changed.len())).encode(&mut packet).ok()?;
    packet.extend_from_slice(&changed);
    Some(packet.freeze())
}

fn length(bytes: usize) -> u32 {
    // A CONNECT is bounded by `max_connect_bytes`, far below the type's end.
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
