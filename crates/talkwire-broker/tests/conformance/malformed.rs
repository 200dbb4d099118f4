//! Bytes that are no MQTT, or MQTT in the wrong place. Nothing of it may hurt others.

use crate::client::{WAYS, Way};
use crate::house::House;
use crate::packets::{self, Connect, Message, Packet, Properties, packet, string};

const V5: Way = Way { version: 5, web_socket: false };

#[tokio::test]
async fn a_stranger_that_does_not_begin_with_connect_is_closed_without_a_word() {
    let house = House::new().await;
    let firsts: [&[u8]; 6] =
        [&[0xC0, 0], &Message::new("t", "x", 1).encode(4), &[0x20, 2, 0, 0], &[0x11, 0], &[0xFF, 0xFF, 0xFF, 0x7F], b"GET / HTTP/1.1\r\n\r\n"];
    for first in firsts {
        for way in WAYS {
            let mut client = house.stranger(way).await;
            client.send(first).await;
            client.is_closed().await;
        }
    }
    assert!(house.gate.events().is_empty());
    house.friend("anna").await.pings().await;
}

#[tokio::test]
async fn lengths_that_are_overlong_or_not_minimal_end_the_connection() {
    let house = House::new().await;
    for way in WAYS {
        for bytes in [&[0x30, 0x80, 0x80, 0x80, 0x80, 0x01][..], &[0x30, 0xFF, 0xFF, 0xFF, 0xFF], &[0xC0, 0x80, 0x00]] {
            let mut client = house.client(way, "anna").await;
            client.send(bytes).await;
            client.is_closed_with(0x81).await;
        }
    }
}

#[tokio::test]
async fn packets_that_only_a_server_sends_end_the_connection() {
    let house = House::new().await;
    for way in WAYS {
        for bytes in [
            packet(0x20, &[0, 0, 0]),
            packet(0x90, &[0, 1, 0]),
            packet(0xB0, &[0, 1]),
            packet(0xD0, &[]),
            packet(0x00, &[]),
            packet(0xF0, &[]),
            Connect::new("anna").encode(way.version),
        ] {
            let mut client = house.client(way, "anna").await;
            client.send(&bytes).await;
            client.is_closed_with(0x82).await;
        }
    }
}

#[tokio::test]
async fn acknowledgements_of_nothing_do_no_harm() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.client(way, "anna").await;
        client.send(&packet(0x40, &[0, 9])).await;
        client.send(&packet(0x70, &[0, 9])).await;
        client.send(&packet(0x50, &[0, 9])).await;
        assert_eq!(client.next().await, Packet::Pubrel { id: 9, code: 0 });
        client.pings().await;
        client.leaves().await;
    }
}

#[tokio::test]
async fn malformed_publishes_end_the_connection_and_never_reach_the_gate() {
    let house = House::new().await;
    let with_topic = |topic: &[u8]| {
        let mut body = vec![0, u8::try_from(topic.len()).unwrap()];
        body.extend(topic);
        body.push(0);
        packet(0x30, &body)
    };
    let zero_id = Message::new("t", "x", 1).id(0).encode(5);
    let empty = Message::new("", "x", 0).encode(5);
    let bad = [
        (packet(0x36, &[0, 1, b't', 0, 1, 0]), 0x81),
        (packet(0x38, &[0, 1, b't', 0]), 0x81),
        (packet(0x30, &[0, 9, b't']), 0x81),
        (packet(0x30, &[]), 0x81),
        (packet(0x32, &[0, 1, b't', 0]), 0x81),
        (with_topic(&[0xC3, 0x28]), 0x81),
        (with_topic(b"a\0b"), 0x81),
        (with_topic(b"a/+"), 0x90),
        (with_topic(b"a/#"), 0x90),
        (packet(0x30, &[0, 1, b't', 0xFF, 0xFF, 0xFF, 0xFF]), 0x81),
        (zero_id, 0x82),
        (empty, 0x90),
    ];
    for (bytes, reason) in bad {
        let mut client = house.client(V5, "anna").await;
        client.send(&bytes).await;
        assert_eq!(client.read().await, Some(Packet::Disconnect { code: reason }), "{bytes:02x?}");
        client.is_closed().await;
    }
    assert!(house.gate.seen().is_empty());
}

#[tokio::test]
async fn malformed_requests_end_the_connection() {
    let house = House::new().await;
    for way in WAYS {
        let nothing_asked = if way.version == 5 { vec![0, 1, 0] } else { vec![0, 1] };
        for bytes in [
            packet(0x82, &nothing_asked),
            packet(0x80, &[0, 1, 0, 0, 1, b't', 0]),
            packet(0x82, &[0]),
            packet(0xA2, &nothing_asked),
            packet(0xC1, &[]),
            packets::subscribe(way.version, 1, &[("t", 0xC0)], &Properties::new()),
            packets::subscribe(way.version, 1, &[("t", 3)], &Properties::new()),
        ] {
            let mut client = house.client(way, "anna").await;
            client.send(&bytes).await;
            assert_eq!(client.read().await, None, "{way:?} {bytes:02x?}");
        }
    }
}

#[tokio::test]
async fn malformed_connects_are_not_let_in() {
    let house = House::new().await;
    let body = |flags: u8, id: &[u8]| {
        let mut body = string("MQTT");
        body.extend([5, flags, 0, 60, 0]);
        body.extend(id);
        packet(0x10, &body)
    };
    for bytes in [
        body(0x03, &[0, 1, b'a']),
        body(0x1A, &[0, 1, b'a']),
        body(0x02, &[0, 9, b'a']),
        body(0x02, &[0, 2, 0xC3, 0x28]),
        body(0x02, &[0, 1, 0]),
        body(0x06, &[0, 1, b'a']),
        packet(0x10, &[]),
        packet(0x10, &string("NOPE")),
    ] {
        let mut client = house.stranger(V5).await;
        client.send(&bytes).await;
        match client.read().await {
            None => {}
            Some(Packet::Connack { code, .. }) => {
                assert!(code >= 0x80, "{bytes:02x?}");
                client.is_closed().await;
            }
            other => panic!("{bytes:02x?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn packets_in_pieces_and_many_in_one_piece_are_understood() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.stranger(way).await;
        for byte in Connect::new("anna").encode(way.version) {
            client.send(&[byte]).await;
        }
        assert!(matches!(client.next().await, Packet::Connack { code: 0, .. }));
        client.subscribes("t", 1).await;
        for byte in Message::new("t", "slowly", 1).encode(way.version) {
            client.send(&[byte]).await;
        }
        assert_eq!(client.next().await, Packet::Puback { id: 1, code: 0 });
        assert_eq!(client.hears().await.1, "slowly");
        let mut many = Vec::new();
        for id in 1..=20 {
            many.extend(Message::new("n", "x", 1).id(id).encode(way.version));
            many.extend([0xC0, 0]);
        }
        client.send(&many).await;
        let (mut acks, mut pongs) = (0, 0);
        while acks + pongs < 40 {
            match client.next().await {
                Packet::Puback { id, code: 0 } if id == acks + 1 => acks += 1,
                Packet::Pingresp => pongs += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((acks, pongs), (20, 20));
        client.leaves().await;
    }
}

#[tokio::test]
async fn noise_of_a_thousand_kinds_harms_nobody() {
    let house = House::new().await;
    let mut witness = house.friend("witness").await;
    witness.subscribes("t", 1).await;
    // A small generator with a fixed seed, so that a failure repeats.
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..500 {
        let way = WAYS[round % 2];
        let mut client = house.client(way, "noise").await;
        let mut bytes = Message::new("t/n", "x", 1).encode(way.version);
        for _ in 0..=random() % 3 {
            let at = usize::try_from(random()).unwrap() % bytes.len();
            bytes[at] = (random() & 0xFF) as u8;
        }
        bytes.extend((0..random() % 20).map(|_| (random() & 0xFF) as u8));
        client.send(&bytes).await;
        client.vanishes();
    }
    house.says("t", "still here", 1).await;
    assert_eq!(witness.hears().await.1, "still here");
}
