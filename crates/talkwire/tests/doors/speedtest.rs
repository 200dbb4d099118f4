//! The other end of a device's speed test: reachable by any name, and bounded.

use crate::harness::{House, config};
use talkwire::config::Config;
use talkwire::serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request as it stands and gives the whole answer.
async fn raw(addr: std::net::SocketAddr, request: &str, body: usize) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(&vec![7; body]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn length(answer: &str) -> usize {
    answer.split_once("\r\n\r\n").map_or(0, |(_, body)| body.chars().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_elsewhere_measures_in_both_directions_and_reaches_nothing_else() {
    let house = House::new().await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: controller.example:5000\r\nConnection: close\r\n\r\n");
    let down = raw(house.http(), &get("/api/v1/speedtest/down?bytes=100000"), 0).await;
    assert!(down.starts_with("HTTP/1.1 200") && length(&down) > 50_000, "{}", down.lines().next().unwrap());
    let post = "POST /api/v1/speedtest/up HTTP/1.1\r\nHost: controller.example\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n";
    let up = raw(house.http(), post, 300_000).await;
    assert!(up.ends_with(r#"{"bytes":300000}"#), "{up}");
    for path in ["/api/v1/speedtest/down?bytes=99999999999", "/api/v1/speedtest/down?bytes=0", "/api/v1/speedtest/down?bytes=;reboot"] {
        assert!(raw(house.http(), &get(path), 0).await.starts_with("HTTP/1.1 400"), "{path}");
    }
    let large = "POST /api/v1/speedtest/up HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n";
    assert!(raw(house.http(), large, 0).await.starts_with("HTTP/1.1 413"));
    assert!(raw(house.http(), &get("/api/v1/devices"), 0).await.starts_with("HTTP/1.1 403"), "all else is for this machine only");
    house.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_its_own_serves_nothing_but_the_speed_test() {
    let dir = tempfile::tempdir().unwrap();
    let running = serve::start(&Config { speedtest: Some("127.0.0.1:0".parse().unwrap()), ..config(dir.path()) }).await.unwrap();
    let addr = running.address("speedtest").unwrap();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(raw(addr, &get("/api/v1/speedtest/down?bytes=10"), 0).await.starts_with("HTTP/1.1 200"));
    for path in ["/", "/api/v1/devices", "/metrics"] {
        assert!(raw(addr, &get(path), 0).await.starts_with("HTTP/1.1 404"), "{path}");
    }
    running.stop().await;
}
