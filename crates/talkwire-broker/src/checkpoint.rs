//! The checkpoint of one connection: every packet in and out passes here, whole and in order.
//!
//! Inbound, a PUBLISH is shown to the gate, and only when the gate has spoken does the engine see a stub of it, which
//! makes the engine acknowledge. Outbound, deliveries are checked and what MQTT 3.1.1 does not know is taken out.

use crate::connection::Connection;
use crate::engine::{Shared, gate_publish};
use crate::gate::{BoxFuture, DisconnectCause, ProtocolVersion, PublishRefusal};
use crate::packet::{self, reason};
use crate::wire::Wire;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::FuturesOrdered;
use mqtt5::broker::transport::WebSocketTransport;
use mqtt5::packet::publish::PublishPacket;
use mqtt5::{FixedHeader, PacketType, PropertyId, PropertyValue};
use std::collections::{HashSet, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Above this, what was written is sent at once instead of with the next read.
const SEND_AT_BYTES: usize = 16 * 1024;
/// Above this, the engine waits until the client has taken some.
const FULL_AT_BYTES: usize = 64 * 1024;
/// Payloads up to this size get memory of their own, so that a small one does not hold a large buffer.
const COPY_UP_TO_BYTES: usize = 4096;
/// The engine gives up clients without keep-alive after 300 s; a ping of ours in between prevents that.
const PING_FOR_SILENT_EVERY: Duration = Duration::from_secs(120);
const LINGER_FOR: Duration = Duration::from_secs(1);
/// The will of a client's earlier connection is waited for this long at most.
const EARLIER_ENDS_WITHIN: Duration = Duration::from_secs(2);

/// The end of an earlier connection, waited for within bounds.
type Farewell = dyn Future<Output = Result<(), Elapsed>> + Send + Sync;

pub(crate) struct Checkpoint {
    wire: Option<Wire>,
    connection: Arc<Connection>,
    shared: Arc<Shared>,
    open: bool,
    ended: bool,
    linger: bool,
    inbound: BytesMut,
    /// What the engine reads now.
    passing: Bytes,
    /// What it reads next, before anything that waits for the gate.
    express: VecDeque<Bytes>,
    /// Only ever reached through `get_mut`; the lock makes the answers of the gate shareable as the engine asks.
    waiting: Mutex<FuturesOrdered<BoxFuture<Step>>>,
    /// For each ping that the engine has not answered: is it ours?
    pings: VecDeque<bool>,
    /// QoS 2 identifiers that the gate has seen and the client has not released.
    held: HashSet<u16>,
    /// QoS 2 deliveries that were kept from the client and are finished in its name.
    withheld: HashSet<u16>,
    /// Ready when the client's earlier connection is over: its will comes before what the client says now.
    earlier: Option<Pin<Box<Farewell>>>,
    /// The client's first words were looked for.
    begun: bool,
    outbound: BytesMut,
    dirty: bool,
    urgent: bool,
    stalled: Option<Pin<Box<Sleep>>>,
    /// When the last byte came.
    heard_at: Instant,
    /// While the client takes nothing: until when it must give a sign of life.
    quiet: Option<Pin<Box<Sleep>>>,
    silent: Option<Pin<Box<Sleep>>>,
    alive: mpsc::Sender<()>,
}

/// A packet about which everything is decided.
enum Step {
    Pass(Bytes),
    Publish { stub: Bytes, publish: Option<PublishPacket> },
    Refuse { qos: u8, packet_id: Option<u16>, refusal: PublishRefusal },
}

impl Checkpoint {
    pub(crate) fn new(wire: Wire, connection: Arc<Connection>, shared: Arc<Shared>, connect: Bytes, inbound: BytesMut, alive: mpsc::Sender<()>) -> Self {
        let silent = connection.keep_alive.is_zero().then(|| Box::pin(sleep(PING_FOR_SILENT_EVERY)));
        Self {
            wire: Some(wire),
            connection,
            shared,
            open: false,
            ended: false,
            linger: false,
            inbound,
            passing: connect,
            express: VecDeque::new(),
            waiting: Mutex::new(FuturesOrdered::new()),
            pings: VecDeque::new(),
            held: HashSet::new(),
            withheld: HashSet::new(),
            earlier: None,
            begun: false,
            outbound: BytesMut::new(),
            dirty: false,
            urgent: false,
            stalled: None,
            heard_at: Instant::now(),
            quiet: None,
            silent,
            alive,
        }
    }

    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.passing.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Some(packet) = self.express.pop_front() {
                self.passing = packet;
                continue;
            }
            if let Poll::Ready(Some(step)) = Pin::new(self.waiting()).poll_next(cx) {
                self.take(step).map_err(|reason| self.fail(cx, reason))?;
                continue;
            }
            if !self.open || self.waiting().len() >= usize::from(self.shared.limits.max_inflight) {
                return Poll::Pending;
            }
            ready!(self.poll_earlier(cx));
            if self.parse().map_err(|reason| self.fail(cx, reason))? {
                continue;
            }
            if self.ended {
                return match self.waiting().is_empty() {
                    true => Poll::Ready(Ok(())),
                    false => Poll::Pending,
                };
            }
            let Some(wire) = &mut self.wire else {
                return Poll::Ready(Ok(()));
            };
            match wire.poll_fill(cx, &mut self.inbound)? {
                Poll::Ready(count) => self.heard(count),
                Poll::Pending => {
                    ready!(self.poll_silence(cx));
                }
            }
        }
    }

    /// Ready when the client's earlier connections are over, or it took too long.
    fn poll_earlier(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.begun {
            self.begun = true;
            let wait = self.connection.after_earlier();
            self.earlier = wait.map(|wait| Box::pin(tokio::time::timeout(EARLIER_ENDS_WITHIN, wait)) as Pin<Box<_>>);
        }
        if let Some(earlier) = &mut self.earlier {
            if ready!(earlier.as_mut().poll(cx)).is_err() {
                tracing::warn!(peer = %self.connection.peer, "the will of this client's earlier connection is late");
            }
            self.earlier = None;
        }
        Poll::Ready(())
    }

    /// Ready when a ping was put in place of a client that need not send any.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(silent) = &mut self.silent else {
            return Poll::Pending;
        };
        ready!(silent.as_mut().poll(cx));
        silent.as_mut().reset(Instant::now() + PING_FOR_SILENT_EVERY);
        self.ping();
        Poll::Ready(())
    }

    fn waiting(&mut self) -> &mut FuturesOrdered<BoxFuture<Step>> {
        self.waiting.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn ping(&mut self) {
        self.pings.push_back(true);
        self.express.push_back(packet::PING);
    }

    /// Takes one packet from the buffer; false when there is no whole one.
    fn parse(&mut self) -> Result<bool, u8> {
        let frame = packet::frame(&self.inbound, self.shared.limits.max_packet_bytes)?;
        let Some(frame) = frame.filter(|frame| self.inbound.len() >= frame.end) else {
            return Ok(false);
        };
        let bytes = self.inbound.split_to(frame.end).freeze();
        if self.inbound.is_empty() && self.inbound.capacity() > COPY_UP_TO_BYTES {
            self.inbound = BytesMut::new();
        }
        match bytes[0] >> 4 {
            packet::PUBLISH => self.show(&bytes, frame.body)?,
            packet::SUBSCRIBE if self.connection.version == ProtocolVersion::V311 && !packet::asks_for_known_qualities(&bytes[frame.body..]) => {
                return Err(reason::MALFORMED);
            }
            packet::SUBSCRIBE | packet::UNSUBSCRIBE | packet::DISCONNECT => {
                self.queue(Step::Pass(bytes));
            }
            kind @ (packet::PUBACK | packet::PUBREC | packet::PUBREL | packet::PUBCOMP) => {
                let id = packet::packet_id(&bytes).ok_or(reason::MALFORMED)?;
                if kind == packet::PUBREL {
                    self.held.remove(&id);
                }
                self.express.push_back(bytes);
            }
            packet::PINGREQ => {
                self.pings.push_back(false);
                self.express.push_back(bytes);
            }
            _ => return Err(reason::PROTOCOL_ERROR),
        }
        Ok(true)
    }

    fn queue(&mut self, step: Step) {
        self.waiting().push_back(Box::pin(std::future::ready(step)));
    }

    /// Shows a publish to the gate.
    fn show(&mut self, bytes: &Bytes, body: usize) -> Result<(), u8> {
        let mut publish = decode(bytes, body, self.connection.version)?;
        let (qos, packet_id) = (publish.qos as u8, publish.packet_id);
        let stub = packet::stub(qos, packet_id, self.connection.version);
        if qos == 2 && packet_id.is_some_and(|id| !self.held.insert(id)) {
            let publish = None;
            self.queue(Step::Publish { stub, publish });
            return Ok(());
        }
        let refuse = move |refusal| Step::Refuse { qos, packet_id, refusal };
        if !packet::topic_fits(&publish.topic_name, &self.shared.limits) {
            self.queue(refuse(PublishRefusal::TopicInvalid));
            return Ok(());
        }
        if publish.topic_name.starts_with('$') {
            self.queue(refuse(PublishRefusal::NotAuthorized));
            return Ok(());
        }
        // Packets are read only after CONNACK, so the identity is there.
        let identity = self.connection.identity().ok_or(reason::PROTOCOL_ERROR)?;
        if publish.payload.len() <= COPY_UP_TO_BYTES {
            publish.payload = Bytes::copy_from_slice(&publish.payload);
        }
        let verdict = self.shared.gate.publish(gate_publish(&publish, identity, false));
        let shared = Arc::clone(&self.shared);
        self.waiting().push_back(Box::pin(async move {
            match shared.settle(publish, verdict.await).await {
                Ok(publish) => Step::Publish { stub, publish },
                Err(refusal) => refuse(refusal),
            }
        }));
        Ok(())
    }

    fn take(&mut self, step: Step) -> Result<(), u8> {
        match step {
            Step::Pass(packet) => self.passing = packet,
            Step::Publish { stub, publish } => {
                self.connection.hand_over(publish);
                self.passing = stub;
            }
            Step::Refuse { qos, packet_id, refusal } => {
                if let Some(id) = packet_id {
                    if self.connection.version == ProtocolVersion::V311 {
                        tracing::info!(peer = %self.connection.peer, ?refusal, "closed: publish refused");
                        return Err(reason::PROTOCOL_ERROR);
                    }
                    self.held.remove(&id);
                    self.send(&packet::refusal(qos, id, refusal));
                }
                // The engine counts the silence of a client by the packets that it sees.
                self.ping();
            }
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) {
        self.outbound.extend_from_slice(bytes);
        self.dirty = true;
    }

    /// Tells an MQTT 5 client why, and ends the connection.
    fn fail(&mut self, cx: &mut Context<'_>, reason: u8) -> io::Error {
        if self.connection.version == ProtocolVersion::V5 && self.open && !self.linger {
            self.send(&packet::disconnect(reason));
        }
        self.linger = true;
        let _ = self.poll_drain(cx);
        let what = format!("connection ended with reason 0x{reason:02x}");
        io::Error::new(io::ErrorKind::InvalidData, what)
    }

    fn poll_kick(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.connection.kicked(cx.waker()) {
            Some(reason) => Err(self.fail(cx, reason)),
            None => Ok(()),
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (true, Some(wire)) = (self.dirty, &mut self.wire) else {
            return Poll::Ready(Ok(()));
        };
        let before = self.outbound.len();
        match wire.poll_drain(cx, &mut self.outbound) {
            Poll::Ready(sent) => {
                self.stalled = None;
                self.quiet = None;
                self.dirty = false;
                self.urgent = false;
                if self.outbound.capacity() > FULL_AT_BYTES {
                    self.outbound = BytesMut::new();
                }
                Poll::Ready(sent)
            }
            Poll::Pending => {
                let limit = self.shared.limits.stall_timeout;
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
                if self.outbound.len() < before {
                    stalled.as_mut().reset(Instant::now() + limit);
                }
                if stalled.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                self.poll_quiet(cx)
            }
        }
    }

    fn heard(&mut self, count: usize) {
        self.heard_at = Instant::now();
        self.ended = count == 0;
    }

    /// An error when the client, which takes nothing, has broken its promise too: the engine does not read while it waits to write, and so
    /// would not notice in time.
    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let patience = self.connection.keep_alive * 3 / 2;
        if patience.is_zero() || !self.open || self.ended {
            return Poll::Pending;
        }
        loop {
            if self.inbound.len() >= FULL_AT_BYTES {
                // There is no room to hear more, so nothing can be concluded from silence.
                return Poll::Pending;
            }
            let Some(wire) = &mut self.wire else { return Poll::Pending };
            match wire.poll_fill(cx, &mut self.inbound)? {
                Poll::Ready(count) => {
                    self.heard(count);
                    // Whoever reads has perhaps looked already, and must look again.
                    cx.waker().wake_by_ref();
                }
                Poll::Pending => break,
            }
            if self.ended {
                return Poll::Pending;
            }
        }
        let until = self.heard_at + patience;
        let quiet = self.quiet.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if quiet.deadline() != until {
            quiet.as_mut().reset(until);
        }
        ready!(quiet.as_mut().poll(cx));
        tracing::debug!(peer = %self.connection.peer, "silent for longer than promised, and takes nothing");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Lets the engine's packets out, but for those that the client must not see.
    fn release(&mut self, mut packets: &[u8]) {
        while let Ok(Some(frame)) = packet::frame(packets, usize::MAX) {
            let Some((packet, rest)) = packets.split_at_checked(frame.end) else {
                break;
            };
            self.release_one(packet, frame);
            packets = rest;
        }
    }

    fn release_one(&mut self, packet: &[u8], frame: packet::Frame) {
        let old = self.connection.version == ProtocolVersion::V311;
        match packet[0] >> 4 {
            packet::CONNACK => self.answered(packet, frame),
            packet::PUBLISH if !self.may_receive(packet, frame) => {
                return self.withhold(packet, frame);
            }
            packet::PUBREL => {
                if let Some(id) = packet::packet_id(packet)
                    && self.withheld.remove(&id)
                {
                    self.express.push_back(packet::ack(packet::PUBCOMP, id));
                    return;
                }
            }
            packet::PINGRESP if self.pings.pop_front() == Some(true) => return,
            packet::DISCONNECT => {
                if packet.get(frame.body) == Some(&reason::TAKEN_OVER) {
                    self.connection.note_cause(DisconnectCause::TakenOver);
                }
                self.linger = true;
                self.urgent = true;
                if old {
                    return;
                }
            }
            _ => {}
        }
        let acknowledges = matches!(packet[0] >> 4, packet::PUBACK | packet::PUBREC | packet::PUBREL | packet::PUBCOMP | packet::UNSUBACK);
        match packet {
            // MQTT 3.1.1 acknowledgements carry an identifier and nothing else.
            [kind, _, high, low, _, ..] if old && acknowledges => {
                self.send(&[*kind, 2, *high, *low]);
            }
            _ => self.send(packet),
        }
    }

    fn answered(&mut self, packet: &[u8], frame: packet::Frame) {
        let resumed = packet.get(frame.body).is_some_and(|flags| flags & 1 == 1);
        self.open = packet.get(frame.body + 1) == Some(&0);
        self.urgent = !self.open;
        self.linger = !self.open;
        if let (true, Some(identity)) = (self.open, self.connection.identity()) {
            let held = self.shared.recall_held(&identity.session);
            if resumed {
                self.held = held;
            }
        }
    }

    fn may_receive(&self, packet: &[u8], frame: packet::Frame) -> bool {
        let (Some(who), Some(topic)) = (self.connection.identity(), packet::publish_topic(packet, frame)) else {
            return false;
        };
        (self.shared.gate).may_receive(&who.client_id, &who.principal, topic)
    }

    /// Finishes a delivery in the client's name that the client may not have.
    fn withhold(&mut self, packet: &[u8], frame: packet::Frame) {
        let qos = (packet[0] >> 1) & 3;
        let topic = packet::publish_topic(packet, frame).map_or(0, str::len);
        let at = frame.body + 2 + topic;
        let (true, Some(id)) = (qos > 0, packet.get(at..at + 2)) else {
            return;
        };
        let id = u16::from_be_bytes([id[0], id[1]]);
        let kind = if qos == 1 {
            packet::PUBACK
        } else {
            self.withheld.insert(id);
            packet::PUBREC
        };
        self.express.push_back(packet::ack(kind, id));
    }
}

fn decode(bytes: &Bytes, body: usize, version: ProtocolVersion) -> Result<PublishPacket, u8> {
    let level = match version {
        ProtocolVersion::V311 => 4,
        ProtocolVersion::V5 => 5,
    };
    let header = FixedHeader::new(PacketType::Publish, bytes[0] & 0x0F, 0);
    let publish = PublishPacket::decode_body_with_version(&mut bytes.slice(body..), &header, level).map_err(|_| reason::MALFORMED)?;
    if publish.properties.get_topic_alias().is_some() {
        return Err(reason::TOPIC_ALIAS_INVALID);
    }
    if publish.packet_id == Some(0) || publish.properties.get_subscription_identifier().is_some() {
        return Err(reason::PROTOCOL_ERROR);
    }
    if !mqtt5::is_valid_topic_name(&publish.topic_name) {
        return Err(reason::TOPIC_INVALID);
    }
    if let Some(PropertyValue::Utf8String(topic)) = publish.properties.get(PropertyId::ResponseTopic)
        && !mqtt5::is_valid_topic_name(topic)
    {
        return Err(reason::PROTOCOL_ERROR);
    }
    Ok(publish)
}

impl AsyncRead for Checkpoint {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.poll_kick(cx)?;
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        let taken = this.poll_inbound(cx);
        // Answers of our own, found on the way, should not wait for another packet.
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        ready!(taken)?;
        let count = this.passing.len().min(buf.remaining());
        buf.put_slice(&this.passing[..count]);
        this.passing.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Checkpoint {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_kick(cx)?;
        if this.outbound.len() > FULL_AT_BYTES && !this.connection.gives_way() {
            ready!(this.poll_drain(cx))?;
        }
        this.release(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Small packets are left for the next read, which sends them together; the engine reads after each batch.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.poll_kick(cx)?;
        if !this.urgent && this.outbound.len() < SEND_AT_BYTES {
            return Poll::Ready(Ok(()));
        }
        match this.poll_drain(cx) {
            Poll::Pending if this.connection.gives_way() => Poll::Ready(Ok(())),
            Poll::Pending if !this.urgent && this.outbound.len() <= FULL_AT_BYTES => Poll::Ready(Ok(())),
            drained => drained,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        match &mut this.wire {
            Some(wire) => wire.poll_close(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl WebSocketTransport for Checkpoint {
    fn peer_addr(&self) -> mqtt5::Result<SocketAddr> {
        Ok(self.connection.peer)
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        self.shared.forget(&self.connection);
        self.connection.end();
        if let Some(identity) = self.connection.identity() {
            let held = std::mem::take(&mut self.held);
            self.shared.remember_held(&identity.session, held);
        }
        let (true, Some(mut wire)) = (self.dirty || self.linger, self.wire.take()) else {
            return;
        };
        let mut rest = std::mem::take(&mut self.outbound);
        let alive = self.alive.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                linger(&mut wire, &mut rest).await;
                drop(alive);
            });
        }
    }
}

/// Sends the last words and reads until the client has closed, so that no reset overtakes them.
pub(crate) async fn linger(wire: &mut Wire, rest: &mut BytesMut) {
    let farewell = async {
        poll_fn(|cx| wire.poll_drain(cx, rest)).await?;
        poll_fn(|cx| wire.poll_close(cx)).await?;
        let mut ignored = BytesMut::new();
        while poll_fn(|cx| wire.poll_fill(cx, &mut ignored)).await? > 0 {
            ignored.clear();
        }
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(LINGER_FOR, farewell).await;
}
