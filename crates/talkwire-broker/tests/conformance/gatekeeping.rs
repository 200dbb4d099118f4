//! What is acknowledged, when, and what the gate keeps away.

use crate::client::{WAYS, Way};
use crate::house::{House, MOMENT};
use crate::packets::{self, Connect, Message, Packet};

const V5: Way = Way { version: 5, web_socket: false };
const V4: Way = Way { version: 4, web_socket: false };

#[tokio::test]
async fn nothing_is_acknowledged_or_routed_while_the_gate_thinks() {
    let house = House::new().await;
    for way in WAYS {
        let mut reader = house.friend("reader").await;
        reader.subscribes("hold/#", 2).await;
        let mut sender = house.client(way, "sender").await;
        let before = house.gate.seen().len();
        sender.publish(&Message::new("hold/a", "x", 1).id(1)).await;
        house.gate.has_seen(before + 1).await;
        sender.hears_nothing_for(MOMENT).await;
        reader.hears_nothing_for(MOMENT).await;
        house.gate.release(1);
        assert_eq!(sender.next().await, Packet::Puback { id: 1, code: 0 });
        assert_eq!(reader.hears().await.0, "hold/a");

        sender.publish(&Message::new("hold/b", "x", 2).id(2)).await;
        house.gate.has_seen(before + 2).await;
        sender.hears_nothing_for(MOMENT).await;
        house.gate.release(1);
        assert_eq!(sender.next().await, Packet::Pubrec { id: 2, code: 0 });
        sender.send(&packets::ack(0x62, 2)).await;
        assert_eq!(sender.next().await, Packet::Pubcomp { id: 2, code: 0 });
        assert_eq!(reader.hears().await.0, "hold/b");
        sender.leaves().await;
        reader.leaves().await;
    }
}

#[tokio::test]
async fn one_client_may_have_many_messages_at_the_gate_and_they_are_answered_in_order() {
    let house = House::with(|limits| limits.max_inflight = 8).await;
    let mut sender = house.friend("sender").await;
    let mut all = Vec::new();
    for id in 1..=12 {
        all.extend(Message::new("hold/a", &id.to_string(), 1).id(id).encode(5));
    }
    sender.send(&all).await;
    let seen = house.gate.has_seen(8).await;
    let texts: Vec<_> = seen.iter().map(|p| String::from_utf8_lossy(&p.payload)).collect();
    assert_eq!(texts, ["1", "2", "3", "4", "5", "6", "7", "8"]);
    sender.hears_nothing_for(MOMENT).await;
    assert_eq!(house.gate.seen().len(), 8, "more at the gate than the receive maximum");
    house.gate.release(12);
    for id in 1..=12 {
        assert_eq!(sender.next().await, Packet::Puback { id, code: 0 });
    }
}

#[tokio::test]
async fn a_client_that_waits_for_the_gate_still_hears_and_is_not_given_up() {
    let house = House::new().await;
    let (mut client, _) = house.connects(V5, &Connect::new("anna").keep_alive(1)).await;
    client.subscribes("t", 1).await;
    client.publish(&Message::new("hold/a", "x", 1)).await;
    for n in 0..5 {
        client.pings().await;
        house.says("t", &n.to_string(), 1).await;
        assert_eq!(client.hears().await.1, n.to_string());
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    house.gate.release(1);
    assert_eq!(client.next().await, Packet::Puback { id: 1, code: 0 });
}

#[tokio::test]
async fn a_message_whose_sender_left_at_once_is_still_asked_about_and_routed() {
    let house = House::new().await;
    let mut reader = house.friend("reader").await;
    reader.subscribes("hold/#", 1).await;
    for way in WAYS {
        let mut sender = house.client(way, "sender").await;
        let mut last = Message::new("hold/a", "last words", 0).encode(way.version);
        last.extend([0xE0, 0]);
        sender.send(&last).await;
        drop(sender);
        house.gate.release(1);
        assert_eq!(reader.hears().await.1, "last words");
    }
}

#[tokio::test]
async fn a_refused_message_is_answered_with_its_reason_in_version_5() {
    let house = House::new().await;
    let mut reader = house.friend("reader").await;
    reader.subscribes("#", 1).await;
    for way in [V5, WAYS[3]] {
        let mut sender = house.client(way, "sender").await;
        for (why, code) in [("me", 0x87), ("quota", 0x97), ("topic", 0x90), ("payload", 0x99)] {
            let topic = format!("refuse/{why}");
            sender.publish(&Message::new(&topic, "x", 0)).await;
            sender.publish(&Message::new(&topic, "x", 1).id(5)).await;
            assert_eq!(sender.next().await, Packet::Puback { id: 5, code });
            sender.publish(&Message::new(&topic, "x", 2).id(5)).await;
            assert_eq!(sender.next().await, Packet::Pubrec { id: 5, code });
            // The identifier is free again.
            sender.delivers(Message::new("fine", why, 2).id(5)).await;
            assert_eq!(reader.hears().await, ("fine".into(), why.into()));
        }
        sender.leaves().await;
    }
}

#[tokio::test]
async fn a_refused_message_closes_a_connection_of_version_3_1_1_unacknowledged() {
    let house = House::new().await;
    for way in [V4, WAYS[2]] {
        for qos in 1..=2 {
            let mut sender = house.client(way, "sender").await;
            sender.publish(&Message::new("refuse/me", "x", qos)).await;
            sender.is_closed().await;
        }
        let mut sender = house.client(way, "sender").await;
        sender.publish(&Message::new("refuse/me", "x", 0)).await;
        sender.pings().await;
        sender.leaves().await;
    }
}

#[tokio::test]
async fn a_swallowed_message_is_acknowledged_and_goes_nowhere() {
    let house = House::new().await;
    let mut reader = house.friend("reader").await;
    reader.subscribes("#", 1).await;
    for way in WAYS {
        let mut sender = house.client(way, "sender").await;
        for qos in 0..=2 {
            sender.delivers(Message::new("swallow/me", "x", qos).retained()).await;
        }
        sender.delivers(Message::new("end", "x", 1)).await;
        assert_eq!(reader.hears().await.0, "end");
        sender.leaves().await;
    }
}

#[tokio::test]
async fn a_rewritten_message_is_acknowledged_and_heard_as_the_gate_says() {
    let house = House::new().await;
    for way in WAYS {
        let mut reader = house.friend("reader").await;
        reader.subscribes("#", 2).await;
        let mut sender = house.client(way, "sender").await;
        for qos in 0..=2 {
            sender.delivers(Message::new("rewrite/me", "x", qos)).await;
            let message = reader.receives().await;
            assert_eq!((&*message.topic, message.text(), message.qos), ("elsewhere", "rewritten", qos));
        }
        sender.delivers(Message::new("rewrite/keep", "x", 1)).await;
        assert_eq!(reader.hears().await.1, "rewritten");
        let mut late = house.friend("late").await;
        late.subscribes("elsewhere", 1).await;
        assert!(late.receives().await.retain);
        house.broker.publish("elsewhere", "", 1, true).await.unwrap();
        for client in [reader, sender] {
            client.leaves().await;
        }
    }
}

#[tokio::test]
async fn what_a_client_may_not_receive_is_withheld_and_the_rest_flows() {
    let house = House::with(|limits| limits.max_outbound_inflight = 2).await;
    for n in 0..3 {
        house.broker.publish(&format!("secret/{n}"), "kept", 1, true).await.unwrap();
    }
    for way in WAYS {
        let mut reader = house.client(way, "reader").await;
        reader.subscribes("#", 2).await;
        for qos in [0, 1, 2, 2, 1, 2, 1] {
            house.says("secret/live", "x", qos).await;
        }
        house.says("open", "x", 1).await;
        assert_eq!(reader.hears().await.0, "open");
        reader.leaves().await;
    }
    let mut owner = house.friend("owner").await;
    owner.subscribes("secret/1", 1).await;
    assert_eq!(owner.hears().await.1, "kept");
}

#[tokio::test]
async fn the_gate_sees_who_sends_what_and_never_the_houses_own_words() {
    let house = House::new().await;
    let (mut sender, _) = house.connects(V5, &Connect::new("anna").user("anna@site")).await;
    sender.delivers(Message::new("t/a", "x", 2).retained()).await;
    house.says("t/b", "own", 1).await;
    let seen = house.gate.seen();
    assert_eq!(seen.len(), 1);
    let p = &seen[0];
    assert_eq!((&*p.client_id, p.principal.as_deref(), &*p.topic), ("anna", Some("anna@site"), "t/a"));
    assert_eq!((&p.payload[..], p.qos, p.retain, p.is_will), (&b"x"[..], 2, true, false));
}

#[tokio::test]
async fn the_house_can_end_a_connection() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.client(way, "anna").await;
        assert!(house.broker.disconnect("anna").await);
        client.is_closed_with(0x98).await;
        house.gate.was_told("disconnected anna Kicked").await;
        assert!(!house.broker.disconnect("anna").await);
    }
}

#[tokio::test]
async fn the_house_cannot_publish_nonsense() {
    let house = House::new().await;
    for topic in ["", "a/+", "#", "a\0b", &"x".repeat(201)] {
        assert!(house.broker.publish(topic, "x", 0, false).await.is_err(), "{topic}");
    }
    assert!(house.broker.publish("a", "x", 3, false).await.is_err());
}
