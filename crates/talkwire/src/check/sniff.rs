//! Reads the CONNECT packet that a device sends through the proxy: MQTT 3.1, 3.1.1 and 5.

use std::time::Duration;

/// What a device asks the broker for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connect {
    /// MQTT protocol level: 3, 4 or 5.
    pub level: u8,
    /// Its client id.
    pub client_id: String,
    /// Whether it starts with an empty session.
    pub clean: bool,
    /// How often it proves that it is there; zero is never.
    pub keep_alive: Duration,
    /// Its will.
    pub will: Option<Will>,
    /// Whether it names itself.
    pub has_username: bool,
}

/// A will on its way to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where it will be published.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// 0 to 2.
    pub qos: u8,
    /// Whether it will be kept.
    pub retain: bool,
}

/// The first bytes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Too few bytes yet.
    More,
    /// A TLS handshake.
    Encrypted,
    /// A CONNECT packet.
    Plain(Box<Connect>),
    /// Something else.
    Strange,
}

/// Understands the first bytes of a connection.
pub fn opening(bytes: &[u8]) -> Opening {
    match bytes.first() {
        None => Opening::More,
        Some(0x16) => Opening::Encrypted,
        Some(0x10) => match packet(&bytes[1..]) {
            Some(Some(body)) => connect(body).map_or(Opening::Strange, |connect| Opening::Plain(Box::new(connect))),
            Some(None) => Opening::More,
            None => Opening::Strange,
        },
        Some(_) => Opening::Strange,
    }
}

/// The packet's body behind its length; `Some(None)` when it is not whole yet.
fn packet(bytes: &[u8]) -> Option<Option<&[u8]>> {
    let Some((length, used)) = varint(bytes) else { return if bytes.len() < 4 { Some(None) } else { None } };
    Some(bytes.get(used..used + length))
}

fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0usize;
    for (place, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, place + 1));
        }
    }
    None
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }
    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }
    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }
    fn field(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }
    fn text(&mut self) -> Option<String> {
        self.field().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
    fn properties(&mut self) -> Option<()> {
        let (length, used) = varint(self.0)?;
        self.take(used + length).map(|_| ())
    }
}

fn connect(body: &[u8]) -> Option<Connect> {
    let mut reader = Reader(body);
    reader.field()?;
    let (level, flags, keep_alive) = (reader.byte()?, reader.byte()?, reader.number()?);
    if level == 5 {
        reader.properties()?;
    }
    let client_id = reader.text()?;
    let will = if flags & 0x04 != 0 {
        if level == 5 {
            reader.properties()?;
        }
        Some(Will { topic: reader.text()?, payload: reader.field()?.to_vec(), qos: (flags >> 3) & 3, retain: flags & 0x20 != 0 })
    } else {
        None
    };
    Some(Connect { level, client_id, clean: flags & 0x02 != 0, keep_alive: Duration::from_secs(keep_alive.into()), will, has_username: flags & 0x80 != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_length(mut body: Vec<u8>) -> Vec<u8> {
        let mut packet = vec![0x10, u8::try_from(body.len()).unwrap()];
        packet.append(&mut body);
        packet
    }

    fn text(value: &str) -> Vec<u8> {
        [&u16::try_from(value.len()).unwrap().to_be_bytes()[..], value.as_bytes()].concat()
    }

    #[test]
    fn a_connect_with_a_will_is_read_in_both_versions() {
        for level in [4u8, 5] {
            let none: &[u8] = if level == 5 { &[0] } else { &[] };
            let body = [&text("MQTT")[..], &[level, 0b1010_1100, 0, 60], none, &text("router-a"), none, &text("a/lwt"), &text("{}"), &text("user")].concat();
            let bytes = with_length(body);
            let wanted = Connect {
                level,
                client_id: "router-a".into(),
                clean: false,
                keep_alive: Duration::from_secs(60),
                will: Some(Will { topic: "a/lwt".into(), payload: b"{}".to_vec(), qos: 1, retain: true }),
                has_username: true,
            };
            assert_eq!(opening(&bytes), Opening::Plain(Box::new(wanted)));
            for cut in 0..bytes.len() {
                assert_eq!(opening(&bytes[..cut]), Opening::More, "{cut}");
            }
        }
    }

    #[test]
    fn tls_and_strange_bytes_are_told_apart_and_lies_about_lengths_do_no_harm() {
        assert_eq!(opening(&[0x16, 3, 1]), Opening::Encrypted);
        assert_eq!(opening(b"GET / HTTP/1.1"), Opening::Strange);
        assert_eq!(opening(&[0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Opening::Strange);
        assert_eq!(opening(&[0x10, 4, 0, 200, 1, 1]), Opening::Strange);
    }
}
