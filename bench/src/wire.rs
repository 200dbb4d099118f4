//! MQTT 3.1.1 at its barest, over TCP or WebSocket: a load must cost less than what it measures.

use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A packet from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The connection stands, or not.
    Connack(u8),
    /// A QoS 1 publish is acknowledged.
    Puback(u16),
    /// A subscription is answered.
    Suback,
    /// A message. `id` is 0 at QoS 0.
    Publish {
        /// Its topic.
        topic: String,
        /// What it says.
        payload: Vec<u8>,
        /// To be acknowledged, unless 0.
        id: u16,
        /// Kept from before the subscription.
        retain: bool,
    },
    /// Anything else.
    Other,
}

/// How bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    /// Straight on TCP.
    Tcp,
    /// In binary WebSocket frames.
    WebSocket,
}

/// Who says hello, and with what in the hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hello<'a> {
    /// The client id.
    pub client_id: &'a str,
    /// Name and password.
    pub login: Option<(&'a str, &'a str)>,
    /// Whether the broker shall keep the session when the connection ends.
    pub keeps_session: bool,
    /// How often something is promised to be said, in seconds; 0: nothing is promised.
    pub keep_alive_s: u16,
    /// Topic and payload that the broker says, with QoS 1 and retained, when the connection is lost.
    pub will: Option<(&'a str, &'a str)>,
}

/// A connection to a broker.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    road: Road,
    /// Bytes as they came.
    raw: Vec<u8>,
    /// MQTT bytes not yet read as packets.
    input: Vec<u8>,
    /// MQTT bytes not yet sent.
    output: Vec<u8>,
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn packet(out: &mut Vec<u8>, first: u8, body: &[u8]) {
    out.push(first);
    let mut length = body.len();
    loop {
        let more = length >= 128;
        out.push((length % 128) as u8 | if more { 128 } else { 0 });
        length /= 128;
        if !more {
            break;
        }
    }
    out.extend_from_slice(body);
}

/// One packet from the front of `input`, and how many bytes it took; `None` when it is not whole yet.
fn parse(input: &[u8]) -> Result<Option<(Packet, usize)>> {
    let Some(&first) = input.first() else { return Ok(None) };
    let (mut length, mut at) = (0usize, 1);
    loop {
        let Some(&byte) = input.get(at) else { return Ok(None) };
        length |= usize::from(byte & 127) << (7 * (at - 1));
        at += 1;
        if byte < 128 {
            break;
        }
        if at > 4 {
            bail!("the broker sent a length of more than four bytes");
        }
    }
    let Some(body) = input.get(at..at + length) else { return Ok(None) };
    let id = |at: usize| body.get(at..at + 2).map(|id| u16::from_be_bytes([id[0], id[1]])).context("a packet from the broker is cut off");
    let packet = match first >> 4 {
        2 => Packet::Connack(body.get(1).copied().unwrap_or(255)),
        3 => {
            let end = 2 + usize::from(id(0)?);
            let topic = String::from_utf8_lossy(body.get(2..end).context("a topic from the broker is cut off")?).into_owned();
            let has_id = first & 0b0110 != 0;
            let payload = body[if has_id { end + 2 } else { end }..].to_vec();
            Packet::Publish { topic, payload, id: if has_id { id(end)? } else { 0 }, retain: first & 1 == 1 }
        }
        4 => Packet::Puback(id(0)?),
        9 => Packet::Suback,
        _ => Packet::Other,
    };
    Ok(Some((packet, at + length)))
}

impl Wire {
    /// Connects and introduces itself.
    pub async fn connect(addr: SocketAddr, road: Road, client_id: &str) -> Result<Self> {
        Self::connect_as(addr, road, client_id, None).await
    }

    /// Connects with a name and a password.
    pub async fn connect_as(addr: SocketAddr, road: Road, client_id: &str, login: Option<(&str, &str)>) -> Result<Self> {
        Self::greet(addr, road, &Hello { client_id, login, ..Hello::default() }).await
    }

    /// Connects, and says all that there is to say.
    pub async fn greet(addr: SocketAddr, road: Road, hello: &Hello<'_>) -> Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let mut wire = Self { stream, road, raw: Vec::with_capacity(4_096), input: Vec::new(), output: Vec::new() };
        if road == Road::WebSocket {
            wire.upgrade(addr).await?;
        }
        let mut body = Vec::new();
        text(&mut body, "MQTT");
        let flag = |set: bool, bits: u8| if set { bits } else { 0 };
        // Level 4; a will is retained and has QoS 1.
        let flags = flag(!hello.keeps_session, 2) | flag(hello.login.is_some(), 0b1100_0000) | flag(hello.will.is_some(), 0b0010_1100);
        body.extend_from_slice(&[4, flags]);
        body.extend_from_slice(&hello.keep_alive_s.to_be_bytes());
        text(&mut body, hello.client_id);
        for (first, second) in [hello.will, hello.login].into_iter().flatten() {
            text(&mut body, first);
            text(&mut body, second);
        }
        packet(&mut wire.output, 0x10, &body);
        wire.flush().await?;
        match wire.next().await? {
            Packet::Connack(0) => Ok(wire),
            other => bail!("the broker answered CONNECT with {other:?}"),
        }
    }

    async fn upgrade(&mut self, addr: SocketAddr) -> Result<()> {
        let ask = format!(
            "GET /mqtt HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGFsa3dpcmUtYmVuY2g9PQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        );
        self.stream.write_all(ask.as_bytes()).await?;
        loop {
            if self.stream.read_buf(&mut self.raw).await? == 0 {
                bail!("the server closed instead of upgrading to WebSocket");
            }
            if let Some(end) = self.raw.windows(4).position(|four| four == b"\r\n\r\n") {
                if !self.raw.starts_with(b"HTTP/1.1 101") {
                    bail!("the server does not upgrade: {}", String::from_utf8_lossy(&self.raw[..end.min(80)]));
                }
                self.raw.drain(..end + 4);
                return Ok(());
            }
        }
    }

    /// Subscribes, and waits for the answer; messages that come before it are dropped.
    pub async fn subscribe(&mut self, filter: &str, qos: u8) -> Result<()> {
        self.ask_for(filter, qos);
        self.flush().await?;
        while self.next().await? != Packet::Suback {}
        Ok(())
    }

    /// Puts a subscription into the outgoing bytes.
    pub fn ask_for(&mut self, filter: &str, qos: u8) {
        let mut body = vec![0, 1];
        text(&mut body, filter);
        body.push(qos);
        packet(&mut self.output, 0x82, &body);
    }

    /// Puts a publish into the outgoing bytes. `id` 0 is QoS 0.
    pub fn publish(&mut self, topic: &str, payload: &[u8], id: u16, retain: bool) {
        let mut body = Vec::with_capacity(topic.len() + payload.len() + 4);
        text(&mut body, topic);
        if id != 0 {
            body.extend_from_slice(&id.to_be_bytes());
        }
        body.extend_from_slice(payload);
        packet(&mut self.output, 0x30 | if id == 0 { 0 } else { 2 } | u8::from(retain), &body);
    }

    /// Puts a sign of life into the outgoing bytes.
    pub fn ping(&mut self) {
        packet(&mut self.output, 0xC0, &[]);
    }

    /// Puts an acknowledgement into the outgoing bytes.
    pub fn puback(&mut self, id: u16) {
        packet(&mut self.output, 0x40, &id.to_be_bytes());
    }

    /// Sends what was put.
    pub async fn flush(&mut self) -> Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        if self.road == Road::WebSocket {
            let mut frame = vec![0x82];
            match self.output.len() {
                n if n < 126 => frame.push(0x80 | n as u8),
                n if n < 65_536 => {
                    frame.push(0x80 | 126);
                    frame.extend_from_slice(&(n as u16).to_be_bytes());
                }
                n => {
                    frame.push(0x80 | 127);
                    frame.extend_from_slice(&(n as u64).to_be_bytes());
                }
            }
            // A mask of zeros is a mask.
            frame.extend_from_slice(&[0; 4]);
            frame.append(&mut self.output);
            self.output = frame;
        }
        self.stream.write_all(&self.output).await?;
        self.output.clear();
        Ok(())
    }

    /// A packet that has come already, without waiting.
    pub fn ready(&mut self) -> Result<Option<Packet>> {
        if self.road == Road::WebSocket {
            self.unwrap_frames();
        }
        let Some((packet, length)) = parse(if self.road == Road::Tcp { &self.raw } else { &self.input })? else { return Ok(None) };
        if self.road == Road::Tcp {
            self.raw.drain(..length)
        } else {
            self.input.drain(..length)
        };
        Ok(Some(packet))
    }

    /// The next packet.
    pub async fn next(&mut self) -> Result<Packet> {
        loop {
            if let Some(packet) = self.ready()? {
                return Ok(packet);
            }
            if self.stream.read_buf(&mut self.raw).await? == 0 {
                bail!("the broker closed the connection");
            }
        }
    }

    /// Frames from a server are not masked.
    fn unwrap_frames(&mut self) {
        loop {
            let Some(&[first, second]) = self.raw.first_chunk::<2>() else { return };
            let (length, at) = match second & 127 {
                126 => match self.raw.get(2..4) {
                    Some(bytes) => (usize::from(u16::from_be_bytes([bytes[0], bytes[1]])), 4),
                    None => return,
                },
                127 => match self.raw.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
                    Some(bytes) => (u64::from_be_bytes(bytes) as usize, 10),
                    None => return,
                },
                n => (usize::from(n), 2),
            };
            if self.raw.len() < at + length {
                return;
            }
            // Continuation, text and binary carry data; ping and pong none.
            if first & 15 <= 2 {
                self.input.extend_from_slice(&self.raw[at..at + length]);
            }
            self.raw.drain(..at + length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_when_it_is_whole() {
        let mut bytes = Vec::new();
        let mut body = Vec::new();
        text(&mut body, "a/b");
        body.extend_from_slice(&[0, 7]);
        body.extend_from_slice(&[b'x'; 200]);
        packet(&mut bytes, 0x32, &body);
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]).unwrap(), None, "{cut}");
        }
        let wanted = Packet::Publish { topic: "a/b".into(), payload: vec![b'x'; 200], id: 7, retain: false };
        assert_eq!(parse(&bytes).unwrap(), Some((wanted, bytes.len())));
        assert_eq!(parse(&[0x40, 2, 1, 2]).unwrap(), Some((Packet::Puback(258), 4)));
        assert!(parse(&[0x30, 255, 255, 255, 255, 1]).is_err());
    }
}
