//! The bounds that a client meets.

use crate::client::{WAYS, Way};
use crate::house::{House, MOMENT};
use crate::packets::{self, Connect, Message, Packet, property};
use std::time::Duration;

const V5: Way = Way { version: 5, web_socket: false };

#[tokio::test]
async fn a_payload_of_256_kib_passes_and_a_larger_packet_ends_the_connection() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.client(way, "anna").await;
        client.subscribes("t", 1).await;
        let text = "x".repeat(256 * 1024);
        client.delivers(Message::new("t", &text, 1)).await;
        assert_eq!(client.receives().await.text(), text);
        // The header alone is enough; nobody waits for the rest.
        client.send(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).await;
        client.is_closed_with(0x95).await;
    }
}

#[tokio::test]
async fn topics_that_are_too_long_or_too_deep_are_refused() {
    let house = House::new().await;
    let long = "t".repeat(201);
    let deep = vec!["l"; 33].join("/");
    for topic in [&*long, &deep] {
        for way in WAYS {
            let mut client = house.client(way, "anna").await;
            let refused = if way.version == 5 { 0x87 } else { 0x80 };
            assert_eq!(client.asks_for(&[(topic, 1)]).await, [refused]);
            client.publish(&Message::new(topic, "x", 1)).await;
            if way.version == 5 {
                assert_eq!(client.next().await, Packet::Puback { id: 1, code: 0x90 });
                client.leaves().await;
            } else {
                client.is_closed().await;
            }
        }
    }
    let mut client = house.friend("anna").await;
    client.delivers(Message::new(&"t".repeat(200), "x", 1)).await;
    client.delivers(Message::new(&vec!["l"; 32].join("/"), "x", 1)).await;
    assert_eq!(house.gate.seen().len(), 2);
}

#[tokio::test]
async fn the_servers_own_topics_are_not_for_clients() {
    let house = House::new().await;
    let mut client = house.friend("anna").await;
    for topic in ["$SYS/x", "$share/g/x", "$x"] {
        client.publish(&Message::new(topic, "x", 1)).await;
        assert_eq!(client.next().await, Packet::Puback { id: 1, code: 0x87 });
    }
    assert!(house.gate.seen().is_empty());
}

#[tokio::test]
async fn an_identifier_beyond_256_bytes_is_refused() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.stranger(way).await;
        let answer = client.connect(&Connect::new(&"i".repeat(257))).await;
        let expected = if way.version == 5 { 0x85 } else { 2 };
        assert!(matches!(answer, Packet::Connack { code, .. } if code == expected), "{answer:?}");
        client.is_closed().await;
    }
}

#[tokio::test]
async fn more_unreleased_messages_than_the_receive_maximum_end_the_connection() {
    let house = House::with(|limits| limits.max_inflight = 4).await;
    for way in WAYS {
        let mut client = house.client(way, "anna").await;
        for id in 1..=4 {
            client.publish(&Message::new("t", "x", 2).id(id)).await;
            assert_eq!(client.next().await, Packet::Pubrec { id, code: 0 });
        }
        client.publish(&Message::new("t", "x", 2).id(5)).await;
        client.is_closed_with(0x93).await;
    }
}

#[tokio::test]
async fn the_broker_keeps_to_the_receive_maximum_of_the_client() {
    let house = House::new().await;
    let connect = Connect::new("anna").with(property::RECEIVE_MAXIMUM, &2u16.to_be_bytes());
    let (mut client, _) = house.connects(V5, &connect).await;
    client.subscribes("t", 1).await;
    for n in 0..4 {
        house.says("t", &n.to_string(), 1).await;
    }
    let mut ids = Vec::new();
    for _ in 0..2 {
        let Packet::Publish(message) = client.next().await else { panic!() };
        ids.push(message.id);
    }
    client.hears_nothing_for(MOMENT).await;
    for id in ids {
        client.send(&packets::ack(0x40, id)).await;
    }
    assert_eq!(client.hears().await.1, "2");
    assert_eq!(client.hears().await.1, "3");
}

#[tokio::test]
async fn the_broker_sends_no_packet_larger_than_the_client_takes() {
    let house = House::new().await;
    let connect = Connect::new("anna").with(property::MAXIMUM_PACKET_SIZE, &100u32.to_be_bytes());
    let (mut client, _) = house.connects(V5, &connect).await;
    client.subscribes("t", 1).await;
    house.says("t", &"x".repeat(200), 1).await;
    house.says("t", "small", 1).await;
    assert_eq!(client.hears().await.1, "small");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_a_free_place_is_taken_again() {
    let house = House::with(|limits| limits.max_connections = 3).await;
    let one = house.friend("one").await;
    let _half_open = house.stranger(V5).await;
    let _two = house.friend("two").await;
    let mut refused = house.stranger(V5).await;
    refused.is_closed().await;
    one.leaves().await;
    house.gate.was_told("disconnected one Clean").await;
    for _ in 0..100 {
        let mut again = house.stranger(V5).await;
        again.send(&Connect::new("three").encode(5)).await;
        if let Some(Packet::Connack { code: 0, .. }) = again.read().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place of a client that left stayed taken");
}

#[tokio::test]
async fn a_client_has_so_many_subscriptions() {
    let house = House::with(|limits| limits.max_subscriptions = 2).await;
    let mut client = house.friend("anna").await;
    assert_eq!(client.asks_for(&[("a", 0), ("b", 0), ("c", 0)]).await, [0, 0, 0x97]);
    client.unsubscribes("a").await;
    assert_eq!(client.asks_for(&[("c", 0)]).await, [0]);
}

#[tokio::test]
async fn topic_aliases_are_not_offered_and_their_use_is_an_error() {
    let house = House::new().await;
    let mut client = house.friend("anna").await;
    let message = Message::new("t", "x", 1).with(property::TOPIC_ALIAS, &[0, 1]);
    client.publish(&message).await;
    client.is_closed_with(0x94).await;
}

#[tokio::test]
async fn strangers_who_say_nothing_or_too_little_are_closed_in_time() {
    let house = House::with(|limits| limits.connect_timeout = Duration::from_millis(300)).await;
    let mut silent = Vec::new();
    for way in WAYS {
        silent.push(house.stranger(way).await);
    }
    for client in &mut silent {
        client.send(&[0x10, 60, 0, 4]).await;
    }
    // Nobody else waits meanwhile.
    house.friend("anna").await.pings().await;
    for client in &mut silent {
        client.is_closed().await;
    }
}

#[tokio::test]
async fn a_stranger_cannot_make_the_broker_keep_much() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.stranger(way).await;
        client.send(&[0x10, 0xFF, 0xFF, 0x7F]).await;
        client.is_closed().await;
    }
    let mut client = house.stranger(V5).await;
    let will = Message::new("t", &"x".repeat(17 * 1024), 0);
    client.send(&Connect::new("anna").will(will).encode(5)).await;
    client.is_closed().await;
}

#[tokio::test]
async fn so_many_sessions_are_kept_and_those_that_leave_nothing_are_not_counted() {
    let house = House::with(|limits| limits.max_sessions = 2).await;
    for way in [WAYS[0], WAYS[1]] {
        let id = format!("kept-{}", way.version);
        house.connects(way, &Connect::new(&id).resuming()).await.0.leaves().await;
    }
    for way in WAYS {
        let mut refused = house.stranger(way).await;
        let answer = refused.connect(&Connect::new("more").resuming()).await;
        let expected = if way.version == 5 { 0x97 } else { 3 };
        assert!(matches!(answer, Packet::Connack { code, .. } if code == expected), "{answer:?}");
        house.client(way, "passing").await.leaves().await;
    }
    assert!(house.connects(V5, &Connect::new("kept-5").resuming()).await.1);
}

#[tokio::test]
async fn limits_of_nothing_still_serve() {
    let house = House::with(|limits| {
        limits.max_inflight = 0;
        limits.max_outbound_inflight = 0;
        limits.max_lane = 0;
    })
    .await;
    let mut client = house.friend("anna").await;
    client.subscribes("t", 1).await;
    client.delivers(Message::new("t", "x", 1)).await;
    assert_eq!(client.hears().await.1, "x");
}
