//! A tiny writer and reader of MQTT packets, so that odd ones can be made and nothing is hidden.

use std::collections::BTreeMap;

/// MQTT 5 property identifiers that the tests use.
pub mod property {
    pub const MESSAGE_EXPIRY: u8 = 0x02;
    pub const CONTENT_TYPE: u8 = 0x03;
    pub const SUBSCRIPTION_ID: u8 = 0x0B;
    pub const SESSION_EXPIRY: u8 = 0x11;
    pub const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub const WILL_DELAY: u8 = 0x18;
    pub const RECEIVE_MAXIMUM: u8 = 0x21;
    pub const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub const TOPIC_ALIAS: u8 = 0x23;
    pub const USER: u8 = 0x26;
    pub const MAXIMUM_PACKET_SIZE: u8 = 0x27;
}

/// Property values by identifier, as raw bytes; user properties are concatenated.
pub type Properties = BTreeMap<u8, Vec<u8>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    Connack { present: bool, code: u8, properties: Properties },
    Publish(Message),
    Puback { id: u16, code: u8 },
    Pubrec { id: u16, code: u8 },
    Pubrel { id: u16, code: u8 },
    Pubcomp { id: u16, code: u8 },
    Suback { id: u16, codes: Vec<u8> },
    Unsuback { id: u16, codes: Vec<u8> },
    Pingresp,
    Disconnect { code: u8 },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    pub id: u16,
    pub properties: Properties,
}

impl Message {
    pub fn new(topic: &str, payload: &str, qos: u8) -> Self {
        let (topic, payload) = (topic.to_owned(), payload.as_bytes().to_vec());
        Self { topic, payload, qos, id: u16::from(qos > 0), ..Self::default() }
    }

    pub fn retained(mut self) -> Self {
        self.retain = true;
        self
    }

    pub fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    pub fn with(mut self, property: u8, value: &[u8]) -> Self {
        self.properties.insert(property, value.to_vec());
        self
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }

    pub fn encode(&self, version: u8) -> Vec<u8> {
        let mut body = string(&self.topic);
        if self.qos > 0 {
            body.extend(self.id.to_be_bytes());
        }
        if version == 5 {
            body.extend(properties(&self.properties));
        }
        body.extend(&self.payload);
        let flags = u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain);
        packet(0x30 | flags, &body)
    }
}

#[derive(Debug, Clone, Default)]
pub struct Connect {
    pub id: String,
    pub clean: bool,
    pub keep_alive: u16,
    pub username: Option<String>,
    pub will: Option<Message>,
    pub properties: Properties,
}

impl Connect {
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), clean: true, keep_alive: 60, ..Self::default() }
    }

    pub fn resuming(mut self) -> Self {
        self.clean = false;
        self.properties.entry(property::SESSION_EXPIRY).or_insert_with(|| 300u32.to_be_bytes().to_vec());
        self
    }

    pub fn with(mut self, property: u8, value: &[u8]) -> Self {
        self.properties.insert(property, value.to_vec());
        self
    }

    pub fn will(mut self, will: Message) -> Self {
        self.will = Some(will);
        self
    }

    pub fn user(mut self, name: &str) -> Self {
        self.username = Some(name.to_owned());
        self
    }

    pub fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    pub fn encode(&self, version: u8) -> Vec<u8> {
        let mut flags = u8::from(self.clean) << 1;
        if let Some(will) = &self.will {
            flags |= 0x04 | will.qos << 3 | u8::from(will.retain) << 5;
        }
        flags |= u8::from(self.username.is_some()) << 7;
        let mut body = string("MQTT");
        body.extend([version, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        if version == 5 {
            body.extend(properties(&self.properties));
        }
        body.extend(string(&self.id));
        if let Some(will) = &self.will {
            if version == 5 {
                body.extend(properties(&will.properties));
            }
            body.extend(string(&will.topic));
            body.extend(u16::try_from(will.payload.len()).unwrap().to_be_bytes());
            body.extend(&will.payload);
        }
        body.extend(self.username.as_deref().map(string).unwrap_or_default());
        packet(0x10, &body)
    }
}

pub fn subscribe(version: u8, id: u16, filters: &[(&str, u8)], given: &Properties) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == 5 {
        body.extend(properties(given));
    }
    for (filter, options) in filters {
        body.extend(string(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

pub fn unsubscribe(version: u8, id: u16, filter: &str) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == 5 {
        body.push(0);
    }
    body.extend(string(filter));
    packet(0xA2, &body)
}

/// PUBACK 0x40, PUBREC 0x50, PUBREL 0x62, PUBCOMP 0x70.
pub fn ack(kind: u8, id: u16) -> Vec<u8> {
    packet(kind, &id.to_be_bytes())
}

pub fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(varint(body.len()));
    out.extend(body);
    out
}

pub fn string(text: &str) -> Vec<u8> {
    let mut out = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    out.extend(text.as_bytes());
    out
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = (value & 0x7F) as u8;
        value >>= 7;
        out.push(if value > 0 { low | 0x80 } else { low });
        if value == 0 {
            return out;
        }
    }
}

fn properties(given: &Properties) -> Vec<u8> {
    let mut inner = Vec::new();
    for (id, value) in given {
        inner.push(*id);
        inner.extend(value);
    }
    let mut out = varint(inner.len());
    out.extend(inner);
    out
}

/// Takes one whole packet from the front of `bytes`.
pub fn decode(bytes: &mut Vec<u8>, version: u8) -> Option<Packet> {
    let (length, used) = read_varint(bytes.get(1..)?)?;
    let end = 1 + used + length;
    if bytes.len() < end {
        return None;
    }
    let packet: Vec<u8> = bytes.drain(..end).collect();
    Some(parse(packet[0], &packet[1 + used..], version))
}

fn parse(first: u8, body: &[u8], version: u8) -> Packet {
    let id = || u16::from_be_bytes([body[0], body[1]]);
    // An old client would choke on anything beyond the identifier.
    let code = || {
        assert!(version == 5 || body.len() == 2, "MQTT 3.1.1 acknowledgement with {body:02x?}");
        body.get(2).copied().unwrap_or(0)
    };
    match first >> 4 {
        2 => Packet::Connack { present: body[0] == 1, code: body[1], properties: if version == 5 { read_properties(&body[2..]).0 } else { Properties::new() } },
        3 => {
            let topic_end = 2 + usize::from(id());
            let qos = first >> 1 & 3;
            let mut rest = &body[topic_end..];
            let mut message = Message {
                topic: String::from_utf8(body[2..topic_end].to_vec()).unwrap(),
                qos,
                retain: first & 1 == 1,
                dup: first & 8 == 8,
                ..Message::default()
            };
            if qos > 0 {
                message.id = u16::from_be_bytes([rest[0], rest[1]]);
                rest = &rest[2..];
            }
            if version == 5 {
                let (properties, used) = read_properties(rest);
                message.properties = properties;
                rest = &rest[used..];
            }
            message.payload = rest.to_vec();
            Packet::Publish(message)
        }
        4 => Packet::Puback { id: id(), code: code() },
        5 => Packet::Pubrec { id: id(), code: code() },
        6 => Packet::Pubrel { id: id(), code: code() },
        7 => Packet::Pubcomp { id: id(), code: code() },
        9 => Packet::Suback { id: id(), codes: codes(body, version) },
        11 if version == 5 => Packet::Unsuback { id: id(), codes: codes(body, version) },
        11 => Packet::Unsuback { id: id(), codes: body[2..].to_vec() },
        13 => Packet::Pingresp,
        14 => {
            assert_eq!(version, 5, "a server sends no DISCONNECT in MQTT 3.1.1");
            Packet::Disconnect { code: body.first().copied().unwrap_or(0) }
        }
        other => panic!("a server sends no packet of type {other}"),
    }
}

fn codes(body: &[u8], version: u8) -> Vec<u8> {
    let skip = if version == 5 { read_properties(&body[2..]).1 } else { 0 };
    body[2 + skip..].to_vec()
}

fn read_varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

fn read_properties(bytes: &[u8]) -> (Properties, usize) {
    let (length, used) = read_varint(bytes).unwrap();
    let mut rest = &bytes[used..used + length];
    let mut found = Properties::new();
    while let Some((&id, value)) = rest.split_first() {
        let text = |at: usize| 2 + usize::from(u16::from_be_bytes([value[at], value[at + 1]]));
        let size = match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => 1,
            0x13 | 0x21 | 0x22 | 0x23 => 2,
            0x02 | 0x11 | 0x18 | 0x27 => 4,
            0x0B => read_varint(value).unwrap().1,
            0x26 => text(0) + text(text(0)),
            _ => text(0),
        };
        found.entry(id).or_default().extend(&value[..size]);
        rest = &value[size..];
    }
    (found, used + length)
}
