//! A broker that does what a test says, packet by packet, in either version of the protocol.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// What is waited for must come within this time.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// So long nothing may come where silence is wanted.
const SILENCE: Duration = Duration::from_millis(250);

/// The broker's door.
pub struct Script {
    pub port: u16,
    door: TcpListener,
}

/// One connection.
pub struct Session {
    stream: TcpStream,
    /// 5, or 4 for MQTT 3.1.1.
    pub level: u8,
    /// Messages that came before the subscription.
    early: VecDeque<(u8, Vec<u8>)>,
    /// A filter that is not granted.
    refused: Option<String>,
}

/// A message from the client.
pub struct Published {
    pub topic: String,
    pub payload: Vec<u8>,
    pub id: u16,
    pub dup: bool,
    pub retain: bool,
}

impl Script {
    pub async fn open() -> Self {
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { port: door.local_addr().unwrap().port(), door }
    }

    async fn accept(&self) -> Session {
        let (stream, _) = timeout(PATIENCE, self.door.accept()).await.expect("a connection comes").unwrap();
        let mut session = Session { stream, level: 0, early: VecDeque::new(), refused: None };
        let (first, body) = session.next().await.expect("CONNECT");
        assert_eq!(first, 0x10);
        session.level = body[6];
        assert_eq!(body[7] & 0b10, 0, "the session is never started anew");
        session
    }

    /// Lets the next connection in and grants its subscriptions.
    pub async fn greet(&self, resumed: bool) -> Session {
        self.grant(resumed, None).await
    }

    /// The same, but one filter is refused.
    pub async fn greet_refusing(&self, filter: &str) -> Session {
        self.grant(false, Some(filter)).await
    }

    async fn grant(&self, resumed: bool, refused: Option<&str>) -> Session {
        // A client that was stopped meanwhile may have left a connection behind; the next one is meant.
        loop {
            let mut session = self.accept().await;
            session.refused = refused.map(str::to_owned);
            let connack: &[u8] = if session.level == 5 { &[0x20, 3, u8::from(resumed), 0, 0] } else { &[0x20, 2, u8::from(resumed), 0] };
            if session.stream.write_all(connack).await.is_err() {
                continue;
            }
            // Messages of the connection before come first; they are left for the test.
            while let Some((first, body)) = session.read().await {
                if first == 0x82 {
                    session.answer_subscribe(&body).await;
                    return session;
                }
                session.early.push_back((first, body));
            }
        }
    }

    /// Answers a connection of this level with these bytes, or closes it.
    pub async fn turn_away(&self, level: u8, answer: Option<[u8; 4]>) {
        let mut session = self.accept().await;
        assert_eq!(session.level, level);
        if let Some(answer) = answer {
            session.stream.write_all(&answer).await.unwrap();
        }
    }
}

impl Session {
    pub const DUP: u8 = 8;
    pub const RETAIN: u8 = 1;

    async fn send(&mut self, first: u8, body: &[u8]) {
        let mut packet = vec![first];
        let mut length = body.len();
        loop {
            let more = length >= 128;
            packet.push((length % 128) as u8 | if more { 128 } else { 0 });
            length /= 128;
            if !more {
                break;
            }
        }
        packet.extend_from_slice(body);
        self.stream.write_all(&packet).await.unwrap();
    }

    async fn answer_subscribe(&mut self, subscribe: &[u8]) {
        let is_five = self.level == 5;
        let mut body = subscribe[..2].to_vec();
        if is_five {
            body.push(0);
        }
        let mut rest = &subscribe[if is_five { 3 } else { 2 }..];
        while let [high, low, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let refused = self.refused.as_ref().is_some_and(|refused| refused.as_bytes() == &after[..length]);
            body.push(if !refused {
                1
            } else if is_five {
                0x87
            } else {
                0x80
            });
            rest = &after[length + 1..];
        }
        self.send(0x90, &body).await;
    }

    /// The next packet; subscriptions that come before it are granted.
    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            match self.read().await {
                Some((0x82, body)) => self.answer_subscribe(&body).await,
                other => return other,
            }
        }
    }

    async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        timeout(PATIENCE, async {
            let first = self.stream.read_u8().await.ok()?;
            let (mut length, mut shift) = (0usize, 0);
            loop {
                let byte = self.stream.read_u8().await.ok()?;
                length |= usize::from(byte & 127) << shift;
                shift += 7;
                if byte < 128 {
                    break;
                }
            }
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).await.ok()?;
            Some((first, body))
        })
        .await
        .expect("a packet comes")
    }

    /// Hands a message to the client with QoS 1 and marks.
    pub async fn publish(&mut self, topic: &str, payload: &str, id: u16, marks: u8) {
        let mut body = (topic.len() as u16).to_be_bytes().to_vec();
        body.extend_from_slice(topic.as_bytes());
        body.extend_from_slice(&id.to_be_bytes());
        if self.level == 5 {
            body.push(0);
        }
        body.extend_from_slice(payload.as_bytes());
        self.send(0x32 | marks, &body).await;
    }

    pub async fn puback(&mut self, id: u16) {
        self.send(0x40, &id.to_be_bytes()).await;
    }

    pub async fn next_puback(&mut self) -> u16 {
        let (first, body) = self.next().await.expect("PUBACK");
        assert_eq!(first, 0x40, "PUBACK");
        u16::from_be_bytes([body[0], body[1]])
    }

    /// The next acknowledgement; messages of the client that come before it are acknowledged in turn.
    pub async fn next_puback_beside_messages(&mut self) -> u16 {
        loop {
            let (first, body) = match self.early.pop_front() {
                Some(early) => early,
                None => self.next().await.expect("PUBACK"),
            };
            match first >> 4 {
                4 => return u16::from_be_bytes([body[0], body[1]]),
                3 => {
                    let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                    self.puback(u16::from_be_bytes([body[end], body[end + 1]])).await;
                }
                _ => {}
            }
        }
    }

    pub async fn next_publish(&mut self) -> Published {
        let (first, body) = match self.early.pop_front() {
            Some(early) => early,
            None => self.next().await.expect("PUBLISH"),
        };
        assert_eq!(first >> 4, 3, "PUBLISH");
        let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
        let payload = end + 2 + usize::from(self.level == 5);
        Published {
            topic: String::from_utf8(body[2..end].to_vec()).unwrap(),
            payload: body[payload..].to_vec(),
            id: u16::from_be_bytes([body[end], body[end + 1]]),
            dup: first & Self::DUP != 0,
            retain: first & Self::RETAIN != 0,
        }
    }

    /// Whether nothing comes for a while.
    pub async fn is_silent(&mut self) -> bool {
        timeout(SILENCE, self.stream.peek(&mut [0])).await.is_err()
    }

    /// Whether the client says DISCONNECT and closes.
    pub async fn says_goodbye(&mut self) -> bool {
        self.next().await.is_some_and(|(first, _)| first == 0xE0) && self.next().await.is_none()
    }
}
