//! MQTT in WebSocket frames: where, how, and what is no MQTT.

use crate::client::{Client, PATIENCE, Way};
use crate::house::House;
use crate::packets::{Connect, Message, Packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;

const WS: Way = Way { version: 5, web_socket: true };

async fn upgrade(house: &House, path: &str, headers: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(house.addr(true)).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let head = async {
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, head).await.unwrap();
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    (stream, answer)
}

#[tokio::test]
async fn both_paths_are_served_and_others_are_not_found() {
    let house = House::new().await;
    for path in ["/", "/mqtt", "/mqtt?token=x"] {
        let mut client = Client::open_at(WS, house.addr(true), path).await;
        client.connect(&Connect::new("anna")).await;
        client.pings().await;
    }
    let (_, answer) = upgrade(&house, "/other", "").await;
    assert!(answer.starts_with("http/1.1 404"), "{answer}");
}

#[tokio::test]
async fn the_subprotocol_is_agreed_on_and_may_be_missing() {
    let house = House::new().await;
    let offer = "Sec-WebSocket-Protocol: chat, mqtt\r\n";
    let (_, answer) = upgrade(&house, "/", offer).await;
    assert!(answer.contains("\r\nsec-websocket-protocol: mqtt\r\n"), "{answer}");
    let (_, answer) = upgrade(&house, "/", "Sec-WebSocket-Protocol: chat\r\n").await;
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    assert!(!answer.contains("sec-websocket-protocol"), "{answer}");
}

#[tokio::test]
async fn the_gate_learns_where_a_browser_comes_from() {
    let house = House::new().await;
    let (mut stream, _) = upgrade(&house, "/", "Origin: http://localhost:5000\r\n").await;
    let packet = Connect::new("tab").encode(4);
    let mut frame = vec![0x82, 0x80 | u8::try_from(packet.len()).unwrap(), 0, 0, 0, 0];
    frame.extend(packet);
    stream.write_all(&frame).await.unwrap();
    house.gate.was_told("connect tab V311 Some(\"http://localhost:5000\")").await;
}

#[tokio::test]
async fn a_text_frame_ends_the_connection() {
    let house = House::new().await;
    let mut client = house.client(WS, "anna").await;
    client.send_frame(Frame::text("hello")).await;
    client.is_closed().await;
    let mut stranger = house.stranger(WS).await;
    stranger.send_frame(Frame::text("hello")).await;
    stranger.is_closed().await;
    house.gate.was_told("disconnected anna Lost").await;
}

#[tokio::test]
async fn empty_frames_and_pings_of_the_transport_are_no_packets() {
    let house = House::new().await;
    let mut client = house.client(WS, "anna").await;
    client.send_frame(Frame::binary(Vec::new())).await;
    client.send_frame(Frame::Ping("x".into())).await;
    client.pings().await;
    client.send_frame(Frame::Pong("x".into())).await;
    client.delivers(Message::new("t", "x", 1)).await;
}

#[tokio::test]
async fn a_packet_longer_than_its_frame_waits_for_the_rest() {
    let house = House::new().await;
    let mut client = house.client(WS, "anna").await;
    client.subscribes("t", 1).await;
    let bytes = Message::new("t", &"x".repeat(4096), 1).encode(5);
    client.send(&bytes[..3]).await;
    for part in bytes[3..].chunks(100) {
        client.send(part).await;
    }
    assert_eq!(client.next().await, Packet::Puback { id: 1, code: 0 });
    assert_eq!(client.receives().await.payload.len(), 4096);
    client.send(&bytes[..3]).await;
    client.vanishes();
    house.gate.was_told("disconnected anna Lost").await;
}

#[tokio::test]
async fn frames_that_break_off_lie_or_are_unmasked_end_the_connection_only() {
    let house = House::new().await;
    let witness = house.friend("witness").await;
    let frames: [&[u8]; 5] = [
        // Claims an exabyte.
        &[0x82, 0xFF, 0x0F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
        // Not masked.
        &[0x82, 0x02, 0xC0, 0x00],
        // A reserved opcode.
        &[0x83, 0x80, 0, 0, 0, 0],
        // A continuation of nothing.
        &[0x80, 0x82, 0, 0, 0, 0, 0xC0, 0x00],
        // A fragmented ping.
        &[0x09, 0x80, 0, 0, 0, 0],
    ];
    for frame in frames {
        let (mut stream, _) = upgrade(&house, "/", "").await;
        stream.write_all(frame).await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "{frame:02x?} left the connection open");
    }
    let (mut stream, _) = upgrade(&house, "/", "").await;
    stream.write_all(&[0x82, 0xFE, 0x10]).await.unwrap();
    drop(stream);
    let mut witness = witness;
    witness.pings().await;
}

#[tokio::test]
async fn a_message_in_a_thousand_fragments_is_one_message() {
    let house = House::new().await;
    let (mut stream, _) = upgrade(&house, "/", "").await;
    let packet = Connect::new(&"i".repeat(200)).encode(4);
    let last = packet.len() - 1;
    for (n, byte) in packet.iter().enumerate() {
        let opcode = if n == 0 { 2 } else { 0 };
        let end = if n == last { 0x80 } else { 0 };
        stream.write_all(&[opcode | end, 0x81, 0, 0, 0, 0, *byte]).await.unwrap();
    }
    let mut answer = [0; 6];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, [0x82, 4, 0x20, 2, 0, 0]);
}

#[tokio::test]
async fn a_half_open_upgrade_keeps_nobody_waiting() {
    let house = House::new().await;
    let mut halves = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(house.addr(true)).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        halves.push(stream);
    }
    house.client(WS, "anna").await.pings().await;
}
