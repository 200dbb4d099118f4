//! What the broker says for a client that vanishes, and when it keeps silent.

use crate::client::{WAYS, Way};
use crate::house::{House, MOMENT};
use crate::packets::{Connect, Message, Packet, packet, property};
use std::time::{Duration, Instant};

const V5: Way = Way { version: 5, web_socket: false };

fn with_will(id: &str) -> Connect {
    Connect::new(id).will(Message::new("lwt/x", "gone", 1).retained())
}

#[tokio::test]
async fn a_client_that_vanishes_is_spoken_for_through_the_gate_and_the_will_is_kept() {
    let house = House::new().await;
    for way in WAYS {
        let mut watcher = house.friend("watcher").await;
        watcher.subscribes("lwt/+", 1).await;
        let (client, _) = house.connects(way, &with_will("anna").user("anna")).await;
        client.vanishes();
        let heard = watcher.receives().await;
        assert_eq!((heard.text(), heard.qos, heard.retain), ("gone", 1, false));
        assert_eq!(heard.properties.get(&property::USER), None);
        let seen = house.gate.seen().pop().unwrap();
        assert!(seen.is_will && seen.retain);
        assert_eq!((&*seen.client_id, seen.principal.as_deref(), seen.qos), ("anna", Some("anna"), 1));
        assert_eq!((&*seen.topic, &seen.payload[..]), ("lwt/x", &b"gone"[..]));
        let mut late = house.client(way, "late").await;
        late.subscribes("lwt/x", 1).await;
        let kept = late.receives().await;
        assert_eq!((kept.text(), kept.retain), ("gone", true));
        house.broker.publish("lwt/x", "", 1, true).await.unwrap();
        watcher.leaves().await;
        late.vanishes();
    }
}

#[tokio::test]
async fn a_goodbye_takes_the_will_back() {
    let house = House::new().await;
    for way in WAYS {
        let (client, _) = house.connects(way, &with_will("anna")).await;
        client.leaves().await;
        house.gate.was_told("disconnected anna Clean").await;
    }
    assert!(house.gate.seen().is_empty());
}

#[tokio::test]
async fn a_goodbye_with_the_will_leaves_it() {
    let house = House::new().await;
    let (mut client, _) = house.connects(V5, &with_will("anna")).await;
    client.send(&packet(0xE0, &[0x04])).await;
    assert!(house.gate.has_seen(1).await[0].is_will);
}

#[tokio::test]
async fn silence_beyond_one_and_a_half_keep_alives_is_a_lost_client() {
    let house = House::new().await;
    for way in WAYS {
        let (mut client, _) = house.connects(way, &with_will("anna").keep_alive(1)).await;
        let before = house.gate.seen().len();
        client.is_closed().await;
        assert!(house.gate.has_seen(before + 1).await[before].is_will);
    }
    house.gate.was_told("disconnected anna Lost").await;
}

#[tokio::test]
async fn refused_and_swallowed_messages_are_signs_of_life_too() {
    let house = House::new().await;
    let (mut client, _) = house.connects(V5, &Connect::new("anna").keep_alive(1)).await;
    for _ in 0..8 {
        client.publish(&Message::new("refuse/me", "x", 1)).await;
        assert_eq!(client.next().await, Packet::Puback { id: 1, code: 0x87 });
        tokio::time::sleep(Duration::from_millis(350)).await;
    }
    client.pings().await;
}

#[tokio::test]
async fn a_broken_protocol_is_a_lost_client() {
    let house = House::new().await;
    let (mut client, _) = house.connects(V5, &with_will("anna")).await;
    client.send(&[0xF0, 0]).await;
    client.is_closed_with(0x82).await;
    assert!(house.gate.has_seen(1).await[0].is_will);
}

#[tokio::test]
async fn a_will_that_the_gate_refuses_or_rewrites_is_not_heard_as_it_was() {
    let house = House::new().await;
    let mut watcher = house.friend("watcher").await;
    watcher.subscribes("#", 1).await;
    for topic in ["refuse/me", "swallow/me", "rewrite/me"] {
        let connect = Connect::new("anna").will(Message::new(topic, "gone", 1));
        house.connects(V5, &connect).await.0.vanishes();
        house.gate.was_told("disconnected anna Lost").await;
    }
    assert_eq!(watcher.hears().await, ("elsewhere".into(), "rewritten".into()));
    assert_eq!(house.gate.seen().len(), 3);
    house.says("end", "x", 1).await;
    assert_eq!(watcher.hears().await.0, "end");
}

#[tokio::test]
async fn a_delayed_will_waits_and_a_return_takes_it_back() {
    let house = House::new().await;
    let will = Message::new("lwt/x", "gone", 1).with(property::WILL_DELAY, &1u32.to_be_bytes());
    let connect = Connect::new("anna").resuming().will(will);
    house.connects(V5, &connect).await.0.vanishes();
    house.gate.was_told("disconnected anna Lost").await;
    assert!(house.gate.seen().is_empty(), "the will came without its delay");
    let (client, present) = house.connects(V5, &connect).await;
    assert!(present);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(house.gate.seen().is_empty(), "the will came although the client had come back");
    client.vanishes();
    let seen = house.gate.has_seen(1).await;
    assert!(seen[0].is_will);
    assert_eq!(seen[0].client_id, "anna");
    let mut watcher = house.friend("watcher").await;
    watcher.subscribes("lwt/x", 1).await;
    watcher.hears_nothing_for(MOMENT).await;
}

#[tokio::test]
async fn wills_carry_their_properties() {
    let house = House::new().await;
    let mut watcher = house.friend("watcher").await;
    watcher.subscribes("lwt/x", 1).await;
    let user = [crate::packets::string("k"), crate::packets::string("v")].concat();
    let will = Message::new("lwt/x", "gone", 1).with(property::USER, &user);
    house.connects(V5, &Connect::new("anna").will(will.clone())).await.0.vanishes();
    assert_eq!(watcher.receives().await.properties, will.properties);
}

#[tokio::test]
async fn the_will_of_a_connection_that_is_replaced_comes_before_what_the_new_one_says() {
    let house = House::new().await;
    for way in WAYS {
        let mut watcher = house.friend("watcher").await;
        watcher.subscribes("+/lwt", 1).await;
        // The gate holds the will until it is released, and lets the rest through at once.
        let connect = Connect::new("anna").will(Message::new("hold/lwt", "gone", 1));
        let (_older, _) = house.connects(way, &connect).await;
        let before = house.gate.seen().len();
        let (mut newer, _) = house.connects(way, &Connect::new("anna")).await;
        newer.publish(&Message::new("x/lwt", "here", 1)).await;
        let seen = house.gate.has_seen(before + 1).await;
        assert!(seen[before].is_will, "the new connection was heard first");
        watcher.hears_nothing_for(MOMENT).await;
        house.gate.release(1);
        assert_eq!(watcher.hears().await, ("hold/lwt".into(), "gone".into()));
        assert_eq!(watcher.hears().await, ("x/lwt".into(), "here".into()));
        newer.leaves().await;
        watcher.leaves().await;
    }
}

#[tokio::test]
async fn a_replaced_connection_that_takes_nothing_any_more_holds_its_will_up_no_longer() {
    let house = House::new().await;
    let mut watcher = house.friend("watcher").await;
    watcher.subscribes("lwt/x", 1).await;
    let mut sender = house.friend("sender").await;
    for way in WAYS {
        let (mut stuck, _) = house.connects(way, &with_will("anna").keep_alive(60)).await;
        stuck.subscribes("flood", 1).await;
        let text = "x".repeat(200 * 1024);
        // More than what the sockets between them hold.
        for _ in 0..60 {
            sender.delivers(Message::new("flood", &text, 1)).await;
        }
        let (mut newer, _) = house.connects(way, &Connect::new("anna")).await;
        newer.publish(&Message::new("lwt/x", "here", 1)).await;
        assert_eq!((watcher.hears().await.1, watcher.hears().await.1), ("gone".into(), "here".into()));
        newer.leaves().await;
        drop(stuck);
    }
}

#[tokio::test]
async fn a_silent_client_that_takes_nothing_either_is_lost_as_soon_as_any_other() {
    let house = House::new().await;
    let mut watcher = house.friend("watcher").await;
    watcher.subscribes("lwt/x", 1).await;
    let (mut stuck, _) = house.connects(V5, &with_will("anna").keep_alive(3)).await;
    stuck.subscribes("flood", 1).await;
    let last_byte = Instant::now();
    let mut sender = house.friend("sender").await;
    let text = "x".repeat(200 * 1024);
    tokio::time::sleep(Duration::from_millis(3_200)).await;
    // More than what the sockets between them hold: from now on the broker waits for the client to take some.
    for _ in 0..40 {
        sender.delivers(Message::new("flood", &text, 1)).await;
    }
    assert_eq!(watcher.hears().await.1, "gone");
    let delay = last_byte.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_millis(6_500)).contains(&delay), "the will came after {delay:?}");
}
