//! A client that says exactly what it is told to, over TCP or WebSocket, in MQTT 3.1.1 or 5.

use crate::packets::{self, Connect, Message, Packet, Properties};
use futures_util::{SinkExt, StreamExt};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

pub const PATIENCE: Duration = Duration::from_secs(5);

/// A protocol version on a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    pub version: u8,
    pub web_socket: bool,
}

pub const WAYS: [Way; 4] =
    [Way { version: 4, web_socket: false }, Way { version: 5, web_socket: false }, Way { version: 4, web_socket: true }, Way { version: 5, web_socket: true }];

pub struct Client {
    pub version: u8,
    io: Io,
    buffer: Vec<u8>,
    /// Read while something else was waited for.
    aside: VecDeque<Packet>,
}

enum Io {
    Tcp(TcpStream),
    WebSocket(Box<WebSocketStream<TcpStream>>),
}

impl Client {
    /// Opens the transport and says nothing.
    pub async fn open(way: Way, addr: SocketAddr) -> Self {
        Self::open_at(way, addr, "/").await
    }

    pub async fn open_at(way: Way, addr: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        let io = if way.web_socket {
            let mut request = format!("ws://{addr}{path}").into_client_request().unwrap();
            let headers = request.headers_mut();
            headers.insert("Sec-WebSocket-Protocol", "mqtt".parse().unwrap());
            let (stream, response) = tokio_tungstenite::client_async(request, stream).await.unwrap();
            assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "mqtt");
            Io::WebSocket(Box::new(stream))
        } else {
            Io::Tcp(stream)
        };
        Self { version: way.version, io, buffer: Vec::new(), aside: VecDeque::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        match &mut self.io {
            Io::Tcp(stream) => stream.write_all(bytes).await.unwrap(),
            Io::WebSocket(stream) => {
                let frame = tungstenite::Message::binary(bytes.to_vec());
                stream.send(frame).await.unwrap();
            }
        }
    }

    pub async fn send_frame(&mut self, frame: tungstenite::Message) {
        match &mut self.io {
            Io::WebSocket(stream) => stream.send(frame).await.unwrap(),
            Io::Tcp(_) => panic!("no frames on TCP"),
        }
    }

    /// Reads what is there; false at the end.
    async fn fill(&mut self) -> bool {
        match &mut self.io {
            Io::Tcp(stream) => {
                let mut chunk = [0; 4096];
                match stream.read(&mut chunk).await {
                    Ok(count) => {
                        self.buffer.extend(&chunk[..count]);
                        count > 0
                    }
                    Err(_) => false,
                }
            }
            Io::WebSocket(stream) => loop {
                match stream.next().await {
                    Some(Ok(tungstenite::Message::Binary(data))) => {
                        self.buffer.extend(&data[..]);
                        return true;
                    }
                    Some(Ok(tungstenite::Message::Close(_)) | Err(_)) | None => return false,
                    Some(Ok(tungstenite::Message::Text(_))) => panic!("text frame from the broker"),
                    Some(Ok(_)) => {}
                }
            },
        }
    }

    /// The next packet, or `None` when the broker closed.
    pub async fn read(&mut self) -> Option<Packet> {
        match self.aside.pop_front() {
            Some(packet) => Some(packet),
            None => self.read_new().await,
        }
    }

    async fn read_new(&mut self) -> Option<Packet> {
        timeout(PATIENCE, async {
            loop {
                if let Some(packet) = packets::decode(&mut self.buffer, self.version) {
                    return Some(packet);
                }
                if !self.fill().await {
                    return None;
                }
            }
        })
        .await
        .expect("the broker said nothing in time")
    }

    pub async fn next(&mut self) -> Packet {
        self.read().await.expect("the broker closed the connection")
    }

    /// Nothing may come for a moment; for what has no event to wait for.
    pub async fn hears_nothing_for(&mut self, time: Duration) {
        if let Ok(read) = timeout(time, self.read()).await {
            panic!("expected silence, got {read:?}");
        }
    }

    /// The broker closes, after nothing but what MQTT 5 may say: DISCONNECT with this reason.
    pub async fn is_closed_with(&mut self, reason: u8) {
        if self.version == 5 {
            assert_eq!(self.read().await, Some(Packet::Disconnect { code: reason }));
        }
        self.is_closed().await;
    }

    pub async fn is_closed(&mut self) {
        assert_eq!(self.read().await, None, "the connection is to be closed");
    }

    pub async fn connect(&mut self, connect: &Connect) -> Packet {
        let bytes = connect.encode(self.version);
        self.send(&bytes).await;
        self.next().await
    }

    pub async fn publish(&mut self, message: &Message) {
        let bytes = message.encode(self.version);
        self.send(&bytes).await;
    }

    /// Publishes and finishes the handshake of its quality of service.
    pub async fn delivers(&mut self, message: Message) {
        let id = message.id;
        self.publish(&message).await;
        match message.qos {
            0 => {}
            1 => assert_eq!(self.next().await, Packet::Puback { id, code: 0 }),
            _ => {
                assert_eq!(self.next().await, Packet::Pubrec { id, code: 0 });
                self.send(&packets::ack(0x62, id)).await;
                assert_eq!(self.next().await, Packet::Pubcomp { id, code: 0 });
            }
        }
    }

    /// The next message, acknowledged in full.
    pub async fn receives(&mut self) -> Message {
        let Packet::Publish(message) = self.next().await else {
            panic!("expected a message");
        };
        let id = message.id;
        match message.qos {
            0 => {}
            1 => self.send(&packets::ack(0x40, id)).await,
            _ => {
                self.send(&packets::ack(0x50, id)).await;
                self.waits_for(&Packet::Pubrel { id, code: 0 }).await;
                self.send(&packets::ack(0x70, id)).await;
            }
        }
        message
    }

    /// Reads on until this packet; what comes before is for later.
    async fn waits_for(&mut self, wanted: &Packet) {
        loop {
            match self.read_new().await.expect("an open connection") {
                packet if packet == *wanted => return,
                other => self.aside.push_back(other),
            }
        }
    }

    /// The topic and text of the next message.
    pub async fn hears(&mut self) -> (String, String) {
        let message = self.receives().await;
        let text = message.text().to_owned();
        (message.topic, text)
    }

    pub async fn subscribes(&mut self, filter: &str, qos: u8) {
        assert_eq!(self.asks_for(&[(filter, qos)]).await, [qos]);
    }

    /// The answers to a SUBSCRIBE; retained messages must not come before them.
    pub async fn asks_for(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        let bytes = packets::subscribe(self.version, 9, filters, &Properties::new());
        self.send(&bytes).await;
        match self.next().await {
            Packet::Suback { id: 9, codes } => codes,
            other => panic!("expected SUBACK, got {other:?}"),
        }
    }

    pub async fn unsubscribes(&mut self, filter: &str) {
        let bytes = packets::unsubscribe(self.version, 8, filter);
        self.send(&bytes).await;
        let codes = if self.version == 5 { vec![0] } else { vec![] };
        assert_eq!(self.next().await, Packet::Unsuback { id: 8, codes });
    }

    pub async fn pings(&mut self) {
        self.send(&[0xC0, 0]).await;
        assert_eq!(self.next().await, Packet::Pingresp);
    }

    /// Says goodbye; what is still on its way is not looked at.
    pub async fn leaves(mut self) {
        self.send(&[0xE0, 0]).await;
        while self.read().await.is_some() {}
    }

    /// The socket goes without a word.
    pub fn vanishes(self) {}
}
