//! Somebody in the room who only listens: a small MQTT 3.1.1 client, so that what is on the wire is seen byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

type Heard = Arc<(Mutex<Vec<(String, String)>>, Condvar)>;

/// A subscribed client.
pub struct Listener {
    socket: TcpStream,
    heard: Heard,
}

impl Listener {
    /// Connects and subscribes at quality of service 0; from the return on, nothing is missed.
    pub fn start(port: u16, filter: &str) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let connect = [&text("MQTT")[..], &[4, 2, 0, 60], &text(&format!("listener-{port}"))].concat();
        socket.write_all(&packet(0x10, &connect)).unwrap();
        assert_eq!(read_packet(&mut socket).unwrap(), (0x20, vec![0, 0]), "the connection was refused");
        socket.write_all(&packet(0x82, &[&[0, 1][..], &text(filter), &[0]].concat())).unwrap();
        assert_eq!(read_packet(&mut socket).unwrap(), (0x90, vec![0, 1, 0]), "the subscription was refused");
        let heard = Heard::default();
        let (mut reading, hearing) = (socket.try_clone().unwrap(), heard.clone());
        std::thread::spawn(move || {
            while let Some((kind, body)) = read_packet(&mut reading) {
                if kind & 0xF0 == 0x30 {
                    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
                    let payload = String::from_utf8(body[2 + length..].to_vec()).unwrap();
                    hearing.0.lock().unwrap().push((topic, payload));
                    hearing.1.notify_all();
                }
            }
        });
        Self { socket, heard }
    }

    /// Publishes at quality of service 0.
    pub fn publish(&self, topic: &str, payload: &str) {
        (&self.socket).write_all(&packet(0x30, &[&text(topic)[..], payload.as_bytes()].concat())).unwrap();
    }

    /// The payload of the first message, heard already or soon, that is wanted.
    pub fn wait(&self, what: &str, limit: Duration, wanted: impl Fn(&str, &str) -> bool) -> String {
        let began = Instant::now();
        let mut heard = self.heard.0.lock().unwrap();
        loop {
            if let Some((_, payload)) = heard.iter().find(|(topic, payload)| wanted(topic, payload)) {
                return payload.clone();
            }
            let left = limit.checked_sub(began.elapsed()).unwrap_or_else(|| panic!("not heard within {limit:?}: {what}; heard: {heard:#?}"));
            heard = self.heard.1.wait_timeout(heard, left).unwrap().0;
        }
    }
}

fn text(value: &str) -> Vec<u8> {
    [&u16::try_from(value.len()).unwrap().to_be_bytes()[..], value.as_bytes()].concat()
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut left = body.len();
    loop {
        let low = u8::try_from(left % 128).unwrap();
        left /= 128;
        bytes.push(if left > 0 { low | 128 } else { low });
        if left == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

fn read_packet(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = || {
        let mut one = [0];
        socket.read_exact(&mut one).ok().map(|()| one[0])
    };
    let kind = byte()?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let part = byte()?;
        length |= usize::from(part & 127) << shift;
        shift += 7;
        if part < 128 {
            break;
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).ok()?;
    Some((kind, body))
}
