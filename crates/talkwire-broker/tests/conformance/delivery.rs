//! Messages from one client to another, in every version, transport and quality of service.

use crate::client::{WAYS, Way};
use crate::house::House;
use crate::packets::{self, Connect, Message, Packet, property, string};

#[tokio::test]
async fn every_quality_of_service_crosses_versions_and_transports() {
    let house = House::new().await;
    for from in WAYS {
        for to in WAYS {
            let mut sender = house.client(from, "sender").await;
            let mut reader = house.client(to, "reader").await;
            reader.subscribes("t/#", 2).await;
            for qos in 0..=2 {
                let text = format!("{from:?} {to:?} {qos}");
                sender.delivers(Message::new("t/a", &text, qos)).await;
                let got = reader.receives().await;
                assert_eq!((got.text(), got.qos, got.retain, got.dup), (&*text, qos, false, false));
            }
            sender.leaves().await;
            reader.leaves().await;
        }
    }
}

#[tokio::test]
async fn a_delivery_has_the_lower_of_both_qualities() {
    let house = House::new().await;
    let mut sender = house.friend("sender").await;
    for granted in 0..=2 {
        let mut reader = house.friend("reader").await;
        reader.subscribes("t", granted).await;
        for sent in 0..=2 {
            sender.delivers(Message::new("t", "x", sent)).await;
            assert_eq!(reader.receives().await.qos, sent.min(granted));
        }
        reader.leaves().await;
    }
}

#[tokio::test]
async fn messages_of_one_sender_keep_their_order() {
    let house = House::new().await;
    let mut sender = house.friend("sender").await;
    let mut reader = house.friend("reader").await;
    reader.subscribes("t", 1).await;
    let mut all = Vec::new();
    for n in 1..=50u16 {
        all.extend(Message::new("t", &n.to_string(), 1).id(n).encode(5));
    }
    sender.send(&all).await;
    for n in 1..=50 {
        assert_eq!(sender.next().await, Packet::Puback { id: n, code: 0 });
        assert_eq!(reader.receives().await.text(), n.to_string());
    }
}

#[tokio::test]
async fn an_exactly_once_message_that_is_repeated_arrives_and_is_asked_about_once() {
    let house = House::new().await;
    for way in WAYS {
        let mut sender = house.client(way, "sender").await;
        let mut reader = house.friend("reader").await;
        reader.subscribes("t", 2).await;
        let before = house.gate.seen().len();
        let mut message = Message::new("t", "once", 2);
        sender.publish(&message).await;
        assert_eq!(sender.next().await, Packet::Pubrec { id: 1, code: 0 });
        message.dup = true;
        sender.publish(&message).await;
        assert_eq!(sender.next().await, Packet::Pubrec { id: 1, code: 0 });
        sender.send(&packets::ack(0x62, 1)).await;
        assert_eq!(sender.next().await, Packet::Pubcomp { id: 1, code: 0 });
        sender.delivers(Message::new("t", "after", 2)).await;
        assert_eq!(reader.hears().await.1, "once");
        assert_eq!(reader.hears().await.1, "after");
        assert_eq!(house.gate.seen().len() - before, 2);
        sender.leaves().await;
        reader.leaves().await;
    }
}

#[tokio::test]
async fn an_exactly_once_message_that_is_repeated_over_a_new_connection_is_asked_about_once() {
    let house = House::new().await;
    let way = Way { version: 5, web_socket: false };
    let (mut sender, _) = house.connects(way, &Connect::new("sender").resuming()).await;
    let mut message = Message::new("t", "once", 2);
    sender.publish(&message).await;
    assert_eq!(sender.next().await, Packet::Pubrec { id: 1, code: 0 });
    sender.vanishes();
    house.gate.was_told("disconnected sender Lost").await;

    let (mut sender, present) = house.connects(way, &Connect::new("sender").resuming()).await;
    assert!(present);
    message.dup = true;
    sender.publish(&message).await;
    assert_eq!(sender.next().await, Packet::Pubrec { id: 1, code: 0 });
    assert_eq!(house.gate.seen().len(), 1);
}

#[tokio::test]
async fn a_release_of_nothing_is_completed_and_said_to_be_unknown() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.client(way, "anna").await;
        client.send(&packets::ack(0x62, 77)).await;
        let code = if way.version == 5 { 0x92 } else { 0 };
        assert_eq!(client.next().await, Packet::Pubcomp { id: 77, code });
        client.leaves().await;
    }
}

#[tokio::test]
async fn topics_and_payloads_in_any_script_arrive_as_they_were() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.client(way, "小明").await;
        client.subscribes("聊天/+", 1).await;
        client.delivers(Message::new("聊天/房间", "你好 👋", 1)).await;
        assert_eq!(client.hears().await, ("聊天/房间".into(), "你好 👋".into()));
        client.leaves().await;
    }
}

#[tokio::test]
async fn properties_reach_the_reader_and_nothing_is_added() {
    let house = House::new().await;
    let mut sender = house.friend("sender").await;
    let mut reader = house.friend("reader").await;
    reader.subscribes("t", 1).await;
    let user = [string("key"), string("value")].concat();
    let message = Message::new("t", "x", 1)
        .with(property::CONTENT_TYPE, &string("text/plain"))
        .with(property::USER, &user)
        .with(0x08, &string("answers/here"))
        .with(0x09, &string("correlation"));
    sender.delivers(message.clone()).await;
    assert_eq!(reader.receives().await.properties, message.properties);

    let mut old = house.client(Way { version: 4, web_socket: false }, "old").await;
    old.delivers(Message::new("t", "x", 1)).await;
    assert_eq!(reader.receives().await.properties, packets::Properties::new());
}

#[tokio::test]
async fn an_unacknowledged_delivery_comes_again_after_a_reconnect_and_says_so() {
    let house = House::new().await;
    for way in WAYS {
        let connect = Connect::new("reader").resuming();
        let (mut reader, _) = house.connects(way, &connect).await;
        reader.subscribes("t", 1).await;
        house.says("t", "x", 1).await;
        let Packet::Publish(first) = reader.next().await else { panic!("no message") };
        assert!(!first.dup);
        reader.vanishes();
        let (mut reader, present) = house.connects(way, &connect).await;
        assert!(present);
        let again = reader.receives().await;
        assert!(again.dup);
        assert_eq!(again.text(), "x");
        reader.unsubscribes("t").await;
        reader.leaves().await;
        house.connects(way, &Connect::new("reader")).await.0.leaves().await;
    }
}
