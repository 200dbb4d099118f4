//! Who gets in, and what a client is told that does not.

use crate::client::{Client, WAYS, Way};
use crate::house::House;
use crate::packets::{Connect, Message, Packet, packet, property, string};
use talkwire_broker::ProtocolVersion;

const V5: Way = Way { version: 5, web_socket: false };
const V4: Way = Way { version: 4, web_socket: false };

fn code(answer: &Packet) -> u8 {
    match answer {
        Packet::Connack { code, present: false, .. } => *code,
        other => panic!("expected CONNACK without a session, got {other:?}"),
    }
}

#[tokio::test]
async fn both_versions_connect_and_ping_over_both_transports() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.client(way, "anna").await;
        client.pings().await;
        client.leaves().await;
        let version = if way.version == 5 { ProtocolVersion::V5 } else { ProtocolVersion::V311 };
        house.gate.was_told(&format!("connect anna {version:?} None")).await;
    }
}

#[tokio::test]
async fn each_refusal_of_the_gate_has_its_code_in_each_version() {
    let house = House::new().await;
    for (name, old, new) in [("wrong", 4, 0x86), ("nobody", 5, 0x87), ("crowd", 3, 0x97), ("name", 2, 0x85)] {
        for way in WAYS {
            let mut client = house.stranger(way).await;
            let answer = client.connect(&Connect::new("anna").user(name)).await;
            assert_eq!(code(&answer), if way.version == 5 { new } else { old }, "{name} {way:?}");
            client.is_closed().await;
        }
    }
}

#[tokio::test]
async fn the_limits_are_told_at_the_door() {
    let house = House::with(|limits| limits.max_inflight = 7).await;
    let mut client = house.stranger(V5).await;
    let Packet::Connack { properties, .. } = client.connect(&Connect::new("anna")).await else {
        panic!("not let in");
    };
    assert_eq!(properties[&property::RECEIVE_MAXIMUM], 7u16.to_be_bytes());
    assert_eq!(properties[&property::MAXIMUM_PACKET_SIZE], (258 * 1024u32).to_be_bytes());
    assert_eq!(properties.get(&property::TOPIC_ALIAS_MAXIMUM).map_or(&[0, 0][..], |v| v), [0, 0]);
}

#[tokio::test]
async fn a_client_without_an_identifier_gets_one() {
    let house = House::new().await;
    let mut client = house.stranger(V5).await;
    let Packet::Connack { properties, code: 0, .. } = client.connect(&Connect::new("")).await else {
        panic!("not let in");
    };
    let assigned = std::str::from_utf8(&properties[&property::ASSIGNED_CLIENT_ID][2..]).unwrap();
    assert!(assigned.len() > 8, "{assigned}");
    assert!(house.broker.handle().is_connected(assigned));

    let (mut old, _) = house.connects(V4, &Connect::new("")).await;
    old.pings().await;
    let mut keeping = house.stranger(V4).await;
    let answer = keeping.connect(&Connect { clean: false, ..Connect::new("") }).await;
    assert_eq!(code(&answer), 2);
}

#[tokio::test]
async fn identifiers_that_the_engine_would_not_take_work_and_reach_the_gate_unchanged() {
    let house = House::new().await;
    let long = "i".repeat(256);
    for id in ["home/router-1", "客户端", "..", "~odd", "cert:me", "a\\b", &long] {
        for way in WAYS {
            let will = Message::new("gone", "bye", 0);
            let (mut client, _) = house.connects(way, &Connect::new(id).will(will)).await;
            client.subscribes("t", 1).await;
            client.delivers(Message::new("t", "x", 1)).await;
            assert_eq!(client.hears().await, ("t".into(), "x".into()));
            assert_eq!(house.gate.seen().last().unwrap().client_id, *id);
            assert!(house.broker.handle().is_connected(id));
            client.leaves().await;
        }
    }
}

#[tokio::test]
async fn other_protocol_levels_are_told_that_they_are_not_spoken() {
    let house = House::new().await;
    let connect = |name: &str, level: u8| {
        let mut body = string(name);
        body.extend([level, 2, 0, 60]);
        body.extend(string("old"));
        packet(0x10, &body)
    };
    for (bytes, version, expected) in [(connect("MQIsdp", 3), 4, 1), (connect("MQTT", 3), 4, 1), (connect("MQTT", 6), 5, 0x84)] {
        let mut client = Client::open(Way { version, ..V5 }, house.addr(false)).await;
        client.send(&bytes).await;
        assert_eq!(code(&client.next().await), expected);
        client.is_closed().await;
    }
}

#[tokio::test]
async fn a_will_to_a_topic_that_nobody_may_use_is_refused_with_the_connection() {
    let house = House::new().await;
    let long = "t".repeat(201);
    for topic in ["a/+", "$SYS/x", &long, &["l"; 33].join("/")] {
        let mut client = house.stranger(V5).await;
        let connect = Connect::new("anna").will(Message::new(topic, "bye", 0));
        assert_eq!(code(&client.connect(&connect).await), 0x90, "{topic}");
    }
}

#[tokio::test]
async fn enhanced_authentication_is_declined() {
    let house = House::new().await;
    let mut client = house.stranger(V5).await;
    let answer = client.connect(&Connect::new("anna").with(0x15, &string("SCRAM"))).await;
    assert_eq!(code(&answer), 0x8C);
}
