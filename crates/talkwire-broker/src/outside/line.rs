//! One connection from CONNECT to its end: messages in, stored, acknowledged in order; messages out, until acknowledged.

use super::driver::{Ended, Memory};
use super::handshake::{Agreed, connect, encode, next_packet, read_connack, subscriptions};
use super::{Arrived, Shared, Stream, count};
use crate::gate::ProtocolVersion;
use crate::packet::{self, PING, PUBACK, ack};
use bytes::{Buf, Bytes, BytesMut};
use mqtt5::packet::publish::PublishPacket;
use mqtt5::{Packet, QoS};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Connection and first answer together take at most this long.
const GREETED_WITHIN: Duration = Duration::from_secs(10);
/// A message that the house does not take now is offered again after this time.
const OFFER_AGAIN: Duration = Duration::from_millis(50);
/// A message that could not be stored is offered again after this time.
const STORE_AGAIN: Duration = Duration::from_millis(500);
/// So many messages wait for the house before nothing more is read.
const ARRIVED: usize = 1_024;
/// Nothing more is put into the outgoing bytes beyond this.
const OUT_BYTES: usize = 256 * 1024;
/// How much of a message over the limit is kept.
const SHOWN_BYTES: usize = 4 * 1024;

struct Line<'a> {
    shared: &'a Shared,
    memory: &'a mut Memory,
    version: ProtocolVersion,
    agreed: Agreed,
    input: BytesMut,
    out: BytesMut,
    /// Bytes of a message over the limit that are still to come.
    skip: usize,
    /// Read, and not yet taken by the house; oldest first.
    arrived: VecDeque<Arrived>,
    /// Taken by the house, and not yet stored; oldest first.
    storing: VecDeque<(Arrived, oneshot::Receiver<bool>)>,
    offer_at: Option<Instant>,
    /// SUBSCRIBE packets that are not answered.
    asked: Vec<(u16, Vec<String>)>,
    up_at: Option<Instant>,
    acknowledged: bool,
    heard_at: Instant,
}

/// Runs one connection until it ends.
pub(super) async fn run(shared: &Shared, memory: &mut Memory, version: ProtocolVersion) -> Ended {
    let by = Instant::now() + GREETED_WITHIN;
    let stream = match timeout_at(by, shared.config.dial.dial()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Ended { why: format!("{} cannot be reached: {error}", shared.config.name), ..Ended::default() },
        Err(_) => return Ended { why: format!("{} does not answer within 10 s", shared.config.name), ..Ended::default() },
    };
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut input = BytesMut::new();
    let agreed = match timeout_at(by, greet(shared, version, &mut reader, &mut writer, &mut input)).await {
        Ok(Ok(agreed)) => agreed,
        Ok(Err((why, foreign_version))) => return Ended { why, foreign_version, ..Ended::default() },
        Err(_) => return Ended { why: format!("{} does not answer CONNECT within 10 s", shared.config.name), ..Ended::default() },
    };
    count(&shared.counters.connections);
    shared.tell(|status| (status.version, status.resumed, status.refused_filters) = (Some(version), agreed.resumed, Vec::new()));
    shared.inbox.greeted(agreed.resumed);
    let mut line = Line {
        shared,
        memory,
        version,
        agreed,
        input,
        out: BytesMut::new(),
        skip: 0,
        arrived: VecDeque::new(),
        storing: VecDeque::new(),
        offer_at: None,
        asked: Vec::new(),
        up_at: None,
        acknowledged: false,
        heard_at: Instant::now(),
    };
    let ended = line.talk(&mut reader, &mut writer).await;
    let lasted = line.up_at.map_or(Duration::ZERO, |at| at.elapsed());
    let (why, stopped) = match ended {
        Ok(()) => ("stopped".into(), true),
        Err(why) => (why, false),
    };
    Ended { why, greeted: true, foreign_version: false, acknowledged: line.acknowledged, lasted, stopped }
}

async fn greet(
    shared: &Shared,
    version: ProtocolVersion,
    reader: &mut ReadHalf<Box<dyn Stream>>,
    writer: &mut WriteHalf<Box<dyn Stream>>,
    input: &mut BytesMut,
) -> Result<Agreed, (String, bool)> {
    let hello = connect(&shared.config, version).map_err(|error| (format!("the connection request cannot be written: {error}"), false))?;
    let broken = |error: std::io::Error| (format!("the connection broke before the broker answered: {error}"), true);
    writer.write_all(&hello).await.map_err(broken)?;
    writer.flush().await.map_err(broken)?;
    loop {
        match next_packet(input, shared.config.max_packet_bytes, version).map_err(|why| (why, true))? {
            Some(Packet::ConnAck(connack)) => return read_connack(&shared.config, &connack),
            Some(other) => return Err((format!("the broker answered CONNECT with {}", other.packet_type_name()), true)),
            None => {}
        }
        if reader.read_buf(input).await.map_err(broken)? == 0 {
            return Err(("the broker closed the connection without an answer".into(), true));
        }
    }
}

impl Line<'_> {
    /// `Ok`: we said goodbye. `Err`: why the connection ended.
    async fn talk(&mut self, reader: &mut ReadHalf<Box<dyn Stream>>, writer: &mut WriteHalf<Box<dyn Stream>>) -> Result<(), String> {
        self.begin()?;
        let mut stop = self.shared.stop.subscribe();
        let mut ping_at = Instant::now() + self.agreed.keep_alive;
        let mut unflushed = false;
        loop {
            self.read_packets()?;
            // What arrives while we leave stays with the broker.
            let stopping = *stop.borrow();
            if !stopping {
                self.offer();
            }
            self.send()?;
            unflushed |= !self.out.is_empty();
            let nothing_left = self.memory.in_flight.is_empty() && self.shared.backlog.len() == 0 && self.storing.is_empty();
            if stopping && nothing_left && !unflushed {
                let goodbye = [packet::DISCONNECT << 4, 0];
                writer.write_all(&goodbye).await.map_err(|error| error.to_string())?;
                return writer.shutdown().await.map_err(|error| error.to_string());
            }
            let silent_until = self.heard_at + self.agreed.keep_alive * 3 / 2;
            let reads = self.arrived.len() < ARRIVED;
            let sends = self.up_at.is_some() && self.memory.in_flight.len() < self.agreed.window && self.out.len() < OUT_BYTES;
            let (out, offer_at) = (&mut self.out, self.offer_at);
            tokio::select! {
                read = reader.read_buf(&mut self.input), if reads => {
                    if read.map_err(|error| format!("the connection broke: {error}"))? == 0 {
                        return Err("the broker closed the connection".into());
                    }
                    self.heard_at = Instant::now();
                }
                wrote = async { if out.is_empty() { writer.flush().await.map(|()| true) } else { writer.write_buf(out).await.map(|_| false) } }, if unflushed => {
                    unflushed = !wrote.map_err(|error| format!("the connection broke: {error}"))?;
                }
                stored = front(&mut self.storing), if !self.storing.is_empty() => self.stored(stored),
                () = self.shared.backlog.filled(), if sends => {}
                () = sleep_until(offer_at.unwrap_or(ping_at)), if offer_at.is_some() => self.offer_at = None,
                () = sleep_until(ping_at), if !self.agreed.keep_alive.is_zero() => {
                    self.out.extend_from_slice(&PING);
                    ping_at = Instant::now() + self.agreed.keep_alive;
                }
                () = sleep_until(silent_until), if reads && !self.agreed.keep_alive.is_zero() => return Err("the broker fell silent".into()),
                _ = stop.wait_for(|stop| *stop), if !stopping => {}
            }
        }
    }

    /// What was sent on the connection before goes first, then the subscriptions.
    fn begin(&mut self) -> Result<(), String> {
        let waiting = std::mem::take(&mut self.memory.in_flight);
        for (old, message) in waiting {
            // In a resumed session the identifier still stands for the message; in a new one it stands for nothing.
            let id = if self.agreed.resumed { old } else { self.memory.next_id() };
            self.put(&message, id, self.agreed.resumed)?;
            self.memory.in_flight.push_back((id, message));
        }
        let memory = &mut *self.memory;
        let packets = subscriptions(&self.shared.config.filters, self.version, || memory.next_id()).map_err(|error| error.to_string())?;
        for (id, filters, bytes) in packets {
            self.asked.push((id, filters));
            self.out.extend_from_slice(&bytes);
        }
        Ok(())
    }

    fn read_packets(&mut self) -> Result<(), String> {
        loop {
            let skipped = self.skip.min(self.input.len());
            self.input.advance(skipped);
            self.skip -= skipped;
            if self.skip > 0 || self.take_oversized()? {
                return Ok(());
            }
            if self.skip > 0 {
                continue;
            }
            match next_packet(&mut self.input, self.shared.config.max_packet_bytes, self.version)? {
                None => return Ok(()),
                Some(packet) => self.take(packet)?,
            }
        }
    }

    /// A message over the limit ends up in quarantine instead of ending the connection again and again. Returns whether
    /// more of it must come first.
    fn take_oversized(&mut self) -> Result<bool, String> {
        let limit = self.shared.config.max_packet_bytes;
        let is_publish = self.input.first().is_some_and(|first| first >> 4 == packet::PUBLISH);
        if !is_publish || packet::frame(&self.input, limit) != Err(packet::reason::PACKET_TOO_LARGE) {
            return Ok(false);
        }
        let Ok(Some(frame)) = packet::frame(&self.input, usize::MAX) else { return Ok(false) };
        if self.input.len() < limit.min(frame.end) {
            return Ok(true);
        }
        let first = self.input[0];
        let (qos, again, kept) = ((first >> 1) & 3, first & 8 != 0, first & 1 != 0);
        let body = &self.input[frame.body..];
        let wrong = || "the broker sent a packet that cannot be read".to_owned();
        let topic_end = 2 + usize::from(u16::from_be_bytes([*body.first().ok_or_else(wrong)?, *body.get(1).ok_or_else(wrong)?]));
        let topic = String::from_utf8_lossy(body.get(2..topic_end).ok_or_else(wrong)?).into_owned();
        let id_bytes = body.get(topic_end..topic_end + 2).ok_or_else(wrong)?;
        let packet_id = if qos == 0 { 0 } else { u16::from_be_bytes([id_bytes[0], id_bytes[1]]) };
        let mut from = topic_end + if qos == 0 { 0 } else { 2 };
        if self.version == ProtocolVersion::V5 {
            from = after_properties(body, from).ok_or_else(wrong)?;
        }
        let payload = Bytes::copy_from_slice(body.get(from..(from + SHOWN_BYTES).min(body.len())).ok_or_else(wrong)?);
        let bytes = frame.end - frame.body - from;
        self.arrived.push_back(Arrived { topic, payload, bytes, packet_id, again, kept });
        self.skip = frame.end;
        Ok(false)
    }

    fn take(&mut self, packet: Packet) -> Result<(), String> {
        match packet {
            Packet::Publish(publish) => self.take_publish(publish),
            Packet::PubAck(puback) => {
                let code = u8::from(puback.reason_code);
                self.acknowledged = true;
                let Some(at) = self.memory.in_flight.iter().position(|(id, _)| *id == puback.packet_id) else { return Ok(()) };
                let Some((_, message)) = self.memory.in_flight.remove(at) else { return Ok(()) };
                self.shared.gone(message.kept);
                if code < 0x80 {
                    count(&self.shared.counters.published);
                } else {
                    count(&self.shared.counters.refused);
                    tracing::error!(
                        topic = message.topic,
                        reason = format!("0x{code:02X}"),
                        "E_BROKER_REFUSED: the broker refused a message; allow the topic in its access rules"
                    );
                }
                Ok(())
            }
            Packet::SubAck(suback) => {
                let Some(at) = self.asked.iter().position(|(id, _)| *id == suback.packet_id) else { return Ok(()) };
                let (_, filters) = self.asked.swap_remove(at);
                let refused: Vec<_> = filters.into_iter().zip(&suback.reason_codes).filter(|(_, code)| !code.is_success()).map(|(filter, _)| filter).collect();
                if !refused.is_empty() {
                    tracing::error!(?refused, "E_BROKER_REFUSED: the broker refused subscriptions; allow them in its access rules");
                    self.shared.tell(|status| status.refused_filters.extend(refused));
                }
                if self.asked.is_empty() && self.up_at.is_none() {
                    self.up_at = Some(Instant::now());
                    self.shared.tell(|status| (status.connected, status.why) = (true, String::new()));
                    self.shared.inbox.up();
                }
                Ok(())
            }
            Packet::Disconnect(goodbye) => Err(format!("the broker ended the connection (0x{:02X})", u8::from(goodbye.reason_code))),
            _ => Ok(()),
        }
    }

    fn take_publish(&mut self, publish: PublishPacket) -> Result<(), String> {
        if publish.qos == QoS::ExactlyOnce {
            return Err("the broker sent a message with QoS 2, which was not asked for".into());
        }
        count(&self.shared.counters.received);
        if publish.dup {
            count(&self.shared.counters.redelivered);
        }
        self.arrived.push_back(Arrived {
            bytes: publish.payload.len(),
            topic: publish.topic_name,
            payload: publish.payload,
            packet_id: publish.packet_id.unwrap_or(0),
            again: publish.dup,
            kept: publish.retain,
        });
        Ok(())
    }

    /// Offers what arrived, in order, until the house takes no more.
    fn offer(&mut self) {
        if self.offer_at.is_some() {
            return;
        }
        while let Some(first) = self.arrived.front() {
            let Some(stored) = self.shared.inbox.offer(first) else {
                self.offer_at = Some(Instant::now() + OFFER_AGAIN);
                return;
            };
            if let Some(taken) = self.arrived.pop_front().filter(|taken| taken.packet_id != 0) {
                self.storing.push_back((taken, stored));
            }
        }
    }

    /// The oldest is stored, or could not be: then it and what came after it are offered again, in their order.
    fn stored(&mut self, stored: bool) {
        if stored {
            if let Some((arrived, _)) = self.storing.pop_front() {
                self.out.extend_from_slice(&ack(PUBACK, arrived.packet_id));
            }
            return;
        }
        while let Some((arrived, _)) = self.storing.pop_back() {
            self.arrived.push_front(Arrived { again: true, ..arrived });
        }
        self.offer_at = Some(Instant::now() + STORE_AGAIN);
    }

    fn send(&mut self) -> Result<(), String> {
        while self.up_at.is_some() && self.memory.in_flight.len() < self.agreed.window && self.out.len() < OUT_BYTES {
            let Some(message) = self.shared.backlog.pop() else { return Ok(()) };
            if message.qos == 0 {
                self.put(&message, 0, false)?;
                self.shared.gone(message.kept);
                count(&self.shared.counters.published);
                continue;
            }
            let id = self.memory.next_id();
            let bytes = message.topic.len() + message.payload.len() + 16;
            if bytes > self.agreed.max_packet {
                count(&self.shared.counters.refused);
                self.shared.gone(message.kept);
                tracing::error!(
                    topic = message.topic,
                    bytes,
                    limit = self.agreed.max_packet,
                    "E_BROKER_LIMIT: the message is larger than the broker takes; it is given up"
                );
                continue;
            }
            self.put(&message, id, false)?;
            self.memory.in_flight.push_back((id, message));
        }
        Ok(())
    }

    fn put(&mut self, message: &super::Outgoing, id: u16, again: bool) -> Result<(), String> {
        let qos = if message.qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        let new = if self.version == ProtocolVersion::V5 { PublishPacket::new } else { PublishPacket::new_v311 };
        let mut publish = new(message.topic.as_str(), message.payload.clone(), qos);
        if let (Some(until), ProtocolVersion::V5) = (message.until, self.version) {
            let left = until.saturating_duration_since(Instant::now());
            publish = publish.with_message_expiry_interval(crate::packet::expiry_seconds(left));
        }
        (publish.packet_id, publish.retain, publish.dup) = ((id != 0).then_some(id), message.retain && self.agreed.retained, again);
        self.out.extend_from_slice(&encode(&publish).map_err(|error| error.to_string())?);
        Ok(())
    }
}

/// Where the payload begins, behind the properties of MQTT 5 that begin at `from`.
fn after_properties(body: &[u8], from: usize) -> Option<usize> {
    let mut length = 0;
    for (index, byte) in body.get(from..)?.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(from + index + 1 + length).filter(|end| *end <= body.len());
        }
    }
    None
}

/// Whether the oldest message that the house took is stored.
async fn front(storing: &mut VecDeque<(Arrived, oneshot::Receiver<bool>)>) -> bool {
    match storing.front_mut() {
        Some((_, stored)) => stored.await.unwrap_or(false),
        None => std::future::pending().await,
    }
}
