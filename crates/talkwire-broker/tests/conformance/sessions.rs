//! What outlives a connection, and for whom.

use crate::client::{WAYS, Way};
use crate::house::{House, MOMENT};
use crate::packets::{Connect, Message, Packet, property};
use std::time::Duration;

const V5: Way = Way { version: 5, web_socket: false };

#[tokio::test]
async fn a_session_keeps_its_subscriptions_and_what_came_meanwhile_in_order() {
    let house = House::new().await;
    for way in WAYS {
        let connect = Connect::new("anna").resuming();
        let (mut client, present) = house.connects(way, &connect).await;
        assert!(!present);
        client.subscribes("s/#", 2).await;
        client.leaves().await;
        house.says("s/0", "lost", 0).await;
        for (n, qos) in [(1, 1), (2, 2), (3, 1)] {
            house.says(&format!("s/{n}"), "kept", qos).await;
        }
        let (mut client, present) = house.connects(way, &connect).await;
        assert!(present);
        for (n, qos) in [(1, 1), (2, 2), (3, 1)] {
            let message = client.receives().await;
            assert_eq!((&*message.topic, message.qos), (&*format!("s/{n}"), qos));
        }
        house.says("s/live", "x", 1).await;
        assert_eq!(client.hears().await.0, "s/live");
        client.leaves().await;
        let (client, present) = house.connects(way, &Connect::new("anna")).await;
        assert!(!present, "a new session was asked for");
        client.leaves().await;
        let (client, present) = house.connects(way, &connect).await;
        assert!(!present, "the old session was to be forgotten");
        client.leaves().await;
        house.connects(way, &Connect::new("anna")).await.0.leaves().await;
    }
}

#[tokio::test]
async fn a_clean_session_leaves_nothing_behind() {
    let house = House::new().await;
    for way in WAYS {
        let mut client = house.client(way, "anna").await;
        client.subscribes("s", 1).await;
        client.leaves().await;
        house.says("s", "x", 1).await;
        let mut client = house.client(way, "anna").await;
        client.subscribes("end", 1).await;
        house.says("end", "x", 1).await;
        assert_eq!(client.hears().await.0, "end");
        client.leaves().await;
    }
}

#[tokio::test]
async fn the_newer_connection_takes_over_and_the_older_is_told() {
    let house = House::new().await;
    for way in WAYS {
        let mut older = house.client(way, "anna").await;
        let mut newer = house.client(way, "anna").await;
        older.is_closed_with(0x8E).await;
        newer.pings().await;
        house.gate.was_told("disconnected anna TakenOver").await;
        assert!(house.broker.handle().is_connected("anna"));
        newer.leaves().await;
    }
}

#[tokio::test]
async fn a_taken_over_session_goes_on_where_it_was() {
    let house = House::new().await;
    for way in WAYS {
        let connect = Connect::new("anna").resuming();
        let (mut older, _) = house.connects(way, &connect).await;
        older.subscribes("s", 1).await;
        house.says("s", "unacknowledged", 1).await;
        assert!(matches!(older.next().await, Packet::Publish(_)));
        let (mut newer, present) = house.connects(way, &connect).await;
        assert!(present);
        assert_eq!(newer.hears().await.1, "unacknowledged");
        newer.leaves().await;
        house.connects(way, &Connect::new("anna")).await.0.leaves().await;
    }
}

#[tokio::test]
async fn nobody_else_may_resume_a_session() {
    let house = House::new().await;
    let connect = Connect::new("anna").resuming().user("anna");
    house.connects(V5, &connect).await.0.leaves().await;
    let mut thief = house.stranger(V5).await;
    let answer = thief.connect(&Connect::new("anna").resuming().user("thief")).await;
    assert!(matches!(answer, Packet::Connack { code: 0x87, .. }), "{answer:?}");
}

#[tokio::test]
async fn a_session_ends_when_its_time_is_over() {
    let house = House::new().await;
    let connect = Connect::new("anna").with(property::SESSION_EXPIRY, &1u32.to_be_bytes());
    let connect = Connect { clean: false, ..connect };
    let (client, _) = house.connects(V5, &connect).await;
    client.leaves().await;
    let (client, present) = house.connects(V5, &connect).await;
    assert!(present, "the session was gone too early");
    tokio::time::sleep(Duration::from_millis(2200)).await;
    client.leaves().await;
    let (client, present) = house.connects(V5, &connect).await;
    assert!(present, "a session does not age while its client is there");
    client.leaves().await;
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let (_, present) = house.connects(V5, &connect).await;
    assert!(!present, "the session outlived its time");
}

#[tokio::test]
async fn the_broker_grants_no_longer_life_than_its_limit_and_says_so() {
    let house = House::with(|limits| limits.session_expiry_max = Duration::from_secs(60)).await;
    let mut client = house.stranger(V5).await;
    let connect = Connect::new("anna").with(property::SESSION_EXPIRY, &[0xFF; 4]);
    let Packet::Connack { properties, .. } = client.connect(&connect).await else { panic!() };
    assert_eq!(properties[&property::SESSION_EXPIRY], 60u32.to_be_bytes());
}

#[tokio::test]
async fn a_message_that_expired_in_the_queue_is_not_delivered() {
    let house = House::new().await;
    let connect = Connect::new("anna").resuming();
    let (mut client, _) = house.connects(V5, &connect).await;
    client.subscribes("s", 1).await;
    client.leaves().await;
    let mut sender = house.friend("sender").await;
    let lasting = |text: &str, n: u32| Message::new("s", text, 1).with(property::MESSAGE_EXPIRY, &n.to_be_bytes());
    sender.delivers(lasting("short", 1)).await;
    sender.delivers(lasting("long", 100)).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let (mut client, _) = house.connects(V5, &connect).await;
    let message = client.receives().await;
    assert_eq!(message.text(), "long");
    let left: [u8; 4] = message.properties[&property::MESSAGE_EXPIRY][..].try_into().unwrap();
    assert!((95..=98).contains(&u32::from_be_bytes(left)));
    client.hears_nothing_for(MOMENT).await;
}

#[tokio::test]
async fn what_the_house_sends_for_a_time_does_not_reach_who_comes_back_later() {
    let house = House::new().await;
    for way in WAYS {
        let connect = Connect::new("anna").resuming();
        let (mut client, _) = house.connects(way, &connect).await;
        client.subscribes("s", 1).await;
        client.leaves().await;
        for (text, time) in [("late", Some(Duration::from_secs(1))), ("lasting", None)] {
            house.broker.handle().publish_for("s", text, 1, false, time).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(2100)).await;
        let (mut client, _) = house.connects(way, &connect).await;
        assert_eq!(client.hears().await.1, "lasting");
        client.leaves().await;
        house.connects(way, &Connect::new("anna")).await.0.leaves().await;
    }
}

#[tokio::test]
async fn a_full_queue_loses_the_oldest() {
    let house = House::with(|limits| limits.max_queued_per_session = 3).await;
    let connect = Connect::new("anna").resuming();
    let (mut client, _) = house.connects(V5, &connect).await;
    client.subscribes("s", 1).await;
    client.leaves().await;
    for n in 1..=5 {
        house.says("s", &n.to_string(), 1).await;
    }
    let (mut client, _) = house.connects(V5, &connect).await;
    for n in 3..=5 {
        assert_eq!(client.hears().await.1, n.to_string());
    }
    client.hears_nothing_for(MOMENT).await;
}
