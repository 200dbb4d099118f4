//! What clients can make the broker keep; alone in its process, so that the figures are the broker's.

#![cfg(target_os = "linux")]
#![allow(dead_code)]

#[path = "conformance/client.rs"]
mod client;
#[path = "conformance/house.rs"]
mod house;
#[path = "conformance/packets.rs"]
mod packets;

use client::Way;
use house::House;
use packets::Connect;
use std::time::Duration;
use tokio::sync::Mutex;

/// One measurement at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

const TCP: Way = Way { version: 5, web_socket: false };
const WEB_SOCKET: Way = Way { version: 5, web_socket: true };

#[tokio::test]
async fn what_a_slow_reader_does_not_take_is_bounded() {
    let _alone = ALONE.lock().await;
    let house = House::with(|limits| {
        limits.max_lane = 16;
        limits.max_queued_per_session = 32;
        limits.max_queued_bytes = 4 * 1024 * 1024;
        limits.stall_timeout = Duration::from_secs(60);
    })
    .await;
    let (mut slow, _) = house.connects(TCP, &Connect::new("slow").resuming()).await;
    slow.subscribes("flood", 1).await;
    // 400 messages of 100 KiB, each in memory of its own: 40 MB if they were kept.
    let before = resident_bytes();
    for n in 0..400 {
        let text = format!("{n}:{}", "x".repeat(100 * 1024));
        house.says("flood", &text, 1).await;
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 20 * 1024 * 1024, "grown by {grown} bytes");
    // It still gets the newest when it reads again.
    let mut last = String::new();
    while !last.starts_with("399:") {
        last = slow.hears().await.1;
    }
}

#[tokio::test]
async fn strangers_cost_little_and_hinder_nobody() {
    let _alone = ALONE.lock().await;
    let house = House::with(|limits| limits.connect_timeout = Duration::from_secs(60)).await;
    house.friend("warm").await.leaves().await;
    let count = 2_000;
    let before = resident_bytes();
    let mut strangers = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stranger = house.stranger(TCP).await;
        stranger.send(&[0x10, 0xFF, 0x1F, 0, 4]).await;
        strangers.push(stranger);
    }
    for way in [TCP, WEB_SOCKET] {
        house.client(way, "anna").await.pings().await;
    }
    let each = resident_bytes().saturating_sub(before) / count;
    // Both ends of the socket are in this process.
    assert!(each < 6 * 1024, "{each} bytes for each stranger");
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("needs Linux");
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number of pages") * 4096
}
