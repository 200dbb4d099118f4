//! Which filters match which topics, for whom, and shared by whom.

use crate::client::{WAYS, Way};
use crate::house::House;
use crate::packets::Message;
use std::collections::BTreeSet;

const V5: Way = Way { version: 5, web_socket: false };

#[tokio::test]
async fn wildcards_match_as_the_standard_says() {
    let house = House::new().await;
    let cases = [
        ("a/b", "a/b", true),
        ("a/b", "a/c", false),
        ("a/+", "a/b", true),
        ("a/+", "a/", true),
        ("a/+", "a", false),
        ("a/+", "a/b/c", false),
        ("+/+", "/b", true),
        ("+", "a", true),
        ("+", "a/b", false),
        ("a/#", "a", true),
        ("a/#", "a/b/c", true),
        ("a/#", "ab", false),
        ("#", "a/b", true),
        ("+/b/#", "a/b", true),
        ("聊天/+/消息", "聊天/大厅/消息", true),
        ("聊天/+/消息", "聊天/大厅", false),
        ("A/b", "a/b", false),
        ("#", "$SYS/uptime", false),
        ("+/uptime", "$SYS/uptime", false),
        ("$SYS/#", "$SYS/uptime", true),
    ];
    for (number, (filter, topic, matches)) in cases.into_iter().enumerate() {
        let mut client = house.friend(&format!("reader-{number}")).await;
        client.subscribes(filter, 1).await;
        client.subscribes("the/end", 1).await;
        house.says(topic, "x", 1).await;
        house.says("the/end", "x", 1).await;
        let mut heard = vec![client.hears().await.0];
        while heard.last().unwrap() != "the/end" {
            heard.push(client.hears().await.0);
        }
        assert_eq!(heard[0] == topic, matches, "{filter} and {topic}");
        client.leaves().await;
    }
}

#[tokio::test]
async fn each_filter_of_a_request_gets_its_answer() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.client(way, "anna").await;
        let answers = client.asks_for(&[("a", 0), ("forbidden/#", 1), ("b/+", 1), ("c/#/d", 1), ("d", 2)]).await;
        let expected = match way.version {
            5 => [0, 0x87, 1, 0x8F, 2],
            _ => [0, 0x80, 1, 0x80, 2],
        };
        assert_eq!(answers, expected, "{way:?}");
        client.leaves().await;
    }
    house.gate.was_told("subscribed anna b/+ 1").await;
    assert!(!house.gate.events().iter().any(|event| event.contains("forbidden")));
}

#[tokio::test]
async fn after_an_unsubscribe_nothing_comes() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.client(way, "anna").await;
        client.subscribes("a", 1).await;
        client.subscribes("b", 1).await;
        client.unsubscribes("a").await;
        house.says("a", "x", 1).await;
        house.says("b", "x", 1).await;
        assert_eq!(client.hears().await.0, "b");
        client.leaves().await;
    }
    house.gate.was_told("unsubscribed anna a").await;
}

#[tokio::test]
async fn a_second_subscription_to_the_same_filter_replaces_the_first() {
    let house = House::new().await;
    let mut client = house.friend("anna").await;
    client.subscribes("a", 0).await;
    client.subscribes("a", 1).await;
    house.says("a", "one", 1).await;
    house.says("a", "two", 1).await;
    let message = client.receives().await;
    assert_eq!((message.text(), message.qos), ("one", 1));
    assert_eq!(client.hears().await.1, "two");
}

#[tokio::test]
async fn no_local_keeps_ones_own_words_away() {
    let house = House::new().await;
    let mut client = house.friend("anna").await;
    let no_local = 0x04;
    assert_eq!(client.asks_for(&[("a", 1 | no_local)]).await, [1]);
    client.delivers(Message::new("a", "mine", 1)).await;
    house.friend("ben").await.delivers(Message::new("a", "his", 1)).await;
    assert_eq!(client.hears().await.1, "his");
}

#[tokio::test]
async fn a_shared_subscription_gives_each_message_to_one_member() {
    let house = House::new().await;
    for way in WAYS {
        let mut members = Vec::new();
        for n in 0..3 {
            let mut member = house.client(way, &format!("member-{n}")).await;
            member.subscribes("$share/工人/w/#", 1).await;
            member.subscribes(&format!("end/{n}"), 1).await;
            members.push(member);
        }
        let mut alone = house.client(way, "alone").await;
        alone.subscribes("w/#", 1).await;
        for n in 0..30 {
            house.says("w/t", &n.to_string(), 1).await;
            assert_eq!(alone.hears().await.1, n.to_string());
        }
        let mut all = Vec::new();
        for (n, mut member) in members.into_iter().enumerate() {
            house.says(&format!("end/{n}"), "", 1).await;
            let mut share = 0;
            loop {
                let (topic, text) = member.hears().await;
                if topic.starts_with("end") {
                    break;
                }
                share += 1;
                all.push(text);
            }
            assert!(share > 0, "member {n} got nothing");
            member.leaves().await;
        }
        assert_eq!(all.len(), 30);
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 30);
        alone.leaves().await;
    }
}

#[tokio::test]
async fn shared_subscriptions_get_no_kept_messages_and_malformed_ones_are_refused() {
    let house = House::new().await;
    house.broker.publish("w", "kept", 1, true).await.unwrap();
    let mut client = house.friend("anna").await;
    for filter in ["$share/g", "$share//w", "$share/g/", "$share/+/w", "$share/a#/w"] {
        let answer = client.asks_for(&[(filter, 1)]).await;
        assert!(answer[0] >= 0x80, "{filter}: {answer:02x?}");
    }
    client.subscribes("$share/g/w", 1).await;
    house.says("w", "live", 1).await;
    assert_eq!(client.hears().await.1, "live");
}

#[tokio::test]
async fn a_gate_is_asked_about_the_whole_shared_filter() {
    let house = House::new().await;
    let mut client = house.client(V5, "anna").await;
    assert_eq!(client.asks_for(&[("$share/g/forbidden/#", 1)]).await, [0x87]);
}
