//! A client that does not read must not cost much, nor cost others anything.

use crate::client::WAYS;
use crate::house::House;
use crate::packets::Message;
use std::time::{Duration, Instant};

#[tokio::test]
async fn others_are_served_while_one_does_not_read_and_it_is_given_up_in_the_end() {
    let house = House::with(|limits| {
        limits.max_lane = 16;
        limits.stall_timeout = Duration::from_millis(700);
    })
    .await;
    for way in WAYS {
        let mut slow = house.client(way, "slow").await;
        slow.subscribes("flood", 1).await;
        let mut quick = house.friend("quick").await;
        quick.subscribes("flood", 1).await;
        let mut sender = house.friend("sender").await;
        let text = "x".repeat(200 * 1024);
        let begun = Instant::now();
        for _ in 0..200 {
            sender.delivers(Message::new("flood", &text, 1)).await;
            assert_eq!(quick.receives().await.payload.len(), text.len());
        }
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(20), "the slow reader held the others up: {took:?}");
        house.gate.was_told("disconnected slow Lost").await;
        quick.leaves().await;
        sender.leaves().await;
        drop(slow);
    }
}

#[tokio::test]
async fn unreliable_messages_beyond_the_lane_are_dropped_and_reliable_ones_kept() {
    let house = House::with(|limits| {
        limits.max_lane = 8;
        limits.max_outbound_inflight = 4;
    })
    .await;
    let mut reader = house.friend("reader").await;
    reader.subscribes("q0", 0).await;
    reader.subscribes("q1", 1).await;
    for n in 0..100 {
        house.says("q1", &n.to_string(), 1).await;
    }
    for n in 0..100 {
        assert_eq!(reader.hears().await.1, n.to_string());
    }
    reader.pings().await;
}
