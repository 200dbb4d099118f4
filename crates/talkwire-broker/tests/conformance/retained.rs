//! The last message of a topic, kept for those who come later.

use crate::client::WAYS;
use crate::house::{House, MOMENT};
use crate::packets::{self, Message, Packet, Properties, property};

#[tokio::test]
async fn a_retained_message_is_set_replaced_and_cleared() {
    let house = House::new().await;
    for way in WAYS {
        let mut sender = house.client(way, "sender").await;
        for text in ["one", "two"] {
            sender.delivers(Message::new("r/t", text, 1).retained()).await;
        }
        let mut reader = house.client(way, "reader").await;
        reader.subscribes("r/+", 1).await;
        let kept = reader.receives().await;
        assert_eq!((kept.text(), kept.retain, kept.qos), ("two", true, 1));

        sender.delivers(Message::new("r/t", "three", 1).retained()).await;
        let live = reader.receives().await;
        assert_eq!((live.text(), live.retain), ("three", false));

        sender.delivers(Message::new("r/t", "", 1).retained()).await;
        assert_eq!(reader.receives().await.text(), "");
        let mut late = house.client(way, "late").await;
        late.subscribes("r/#", 1).await;
        sender.delivers(Message::new("r/t", "live", 1)).await;
        assert_eq!(late.hears().await.1, "live");
        for client in [sender, reader, late] {
            client.leaves().await;
        }
    }
}

#[tokio::test]
async fn the_quality_of_a_kept_message_is_the_lower_of_both() {
    let house = House::new().await;
    let mut sender = house.friend("sender").await;
    for qos in 0..=2 {
        sender.delivers(Message::new(&format!("q/{qos}"), "x", qos).retained()).await;
    }
    for granted in 0..=2 {
        let mut reader = house.friend("reader").await;
        for sent in 0..=2 {
            reader.subscribes(&format!("q/{sent}"), granted).await;
            assert_eq!(reader.receives().await.qos, sent.min(granted));
        }
    }
}

#[tokio::test]
async fn retain_handling_and_retain_as_published_are_kept() {
    let house = House::new().await;
    house.broker.publish("r", "kept", 1, true).await.unwrap();
    let mut reader = house.friend("reader").await;
    let never = 0x20;
    assert_eq!(reader.asks_for(&[("r", 1 | never)]).await, [1]);
    let only_if_new = 0x10;
    assert_eq!(reader.asks_for(&[("r", 1 | only_if_new)]).await, [1]);
    reader.hears_nothing_for(MOMENT).await;

    let as_published = 0x08;
    assert_eq!(reader.asks_for(&[("r", 1 | as_published)]).await, [1]);
    assert_eq!(reader.hears().await.1, "kept");
    house.broker.publish("r", "live", 1, true).await.unwrap();
    let live = reader.receives().await;
    assert_eq!((live.text(), live.retain), ("live", true));
}

#[tokio::test]
async fn a_kept_message_expires_and_tells_how_long_it_still_has() {
    let house = House::new().await;
    let mut sender = house.friend("sender").await;
    let for_seconds = |topic: &str, n: u32| Message::new(topic, "x", 1).retained().with(property::MESSAGE_EXPIRY, &n.to_be_bytes());
    sender.delivers(for_seconds("e/short", 1)).await;
    sender.delivers(for_seconds("e/long", 100)).await;
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let mut reader = house.friend("reader").await;
    reader.subscribes("e/+", 1).await;
    let kept = reader.receives().await;
    assert_eq!(kept.topic, "e/long");
    let left: [u8; 4] = kept.properties[&property::MESSAGE_EXPIRY][..].try_into().unwrap();
    let left = u32::from_be_bytes(left);
    assert!((95..=98).contains(&left), "{left}");
    reader.hears_nothing_for(MOMENT).await;
}

#[tokio::test]
async fn as_many_messages_are_kept_as_allowed_and_the_next_is_refused() {
    let house = House::with(|limits| limits.max_retained = 2).await;
    let mut sender = house.friend("sender").await;
    sender.delivers(Message::new("a", "x", 1).retained()).await;
    sender.delivers(Message::new("b", "x", 1).retained()).await;
    sender.publish(&Message::new("c", "x", 1).retained()).await;
    assert_eq!(sender.next().await, Packet::Puback { id: 1, code: 0x97 });
    sender.delivers(Message::new("a", "y", 1).retained()).await;
    sender.delivers(Message::new("b", "", 1).retained()).await;
    sender.delivers(Message::new("c", "x", 1).retained()).await;
}

#[tokio::test]
async fn kept_messages_carry_the_subscription_identifier() {
    let house = House::new().await;
    house.broker.publish("s", "kept", 1, true).await.unwrap();
    let mut reader = house.friend("reader").await;
    let given = Properties::from([(property::SUBSCRIPTION_ID, vec![42])]);
    reader.send(&packets::subscribe(5, 9, &[("s", 1)], &given)).await;
    assert_eq!(reader.next().await, Packet::Suback { id: 9, codes: vec![1] });
    assert_eq!(reader.receives().await.properties[&property::SUBSCRIPTION_ID], [42]);
    house.says("s", "live", 1).await;
    assert_eq!(reader.receives().await.properties[&property::SUBSCRIPTION_ID], [42]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_kept_messages_at_once_never_wait_for_each_other_for_ever() {
    const ROUNDS: u16 = 60;
    const IN_FLIGHT: u16 = 32;
    let house = House::new().await;
    let mut senders = Vec::new();
    for number in 0..12 {
        let mut sender = house.friend(&format!("sender-{number}")).await;
        senders.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                let messages: Vec<u8> =
                    (1..=IN_FLIGHT).flat_map(|id| Message::new(&format!("k/{number}/{id}"), &round.to_string(), 1).retained().id(id).encode(5)).collect();
                sender.send(&messages).await;
                for id in 1..=IN_FLIGHT {
                    assert_eq!(sender.next().await, Packet::Puback { id, code: 0 });
                }
            }
            sender.leaves().await;
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
}
