//! Starting, stopping, starting again.

use crate::client::{Client, WAYS};
use crate::house::{House, TestGate};
use crate::packets::{Connect, Message, Packet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use talkwire_broker::{Broker, BrokerConfig, BrokerError, Limits, Listener, ListenerKind, OpenGate};

#[tokio::test]
async fn stopping_tells_everybody_and_is_quick_even_with_those_who_do_not_listen() {
    let house = House::new().await;
    let mut clients = Vec::new();
    for way in WAYS {
        let id = format!("{way:?}");
        let will = Message::new("lwt", &id, 1);
        clients.push(house.connects(way, &Connect::new(&id).will(will)).await.0);
    }
    let _stranger = house.stranger(WAYS[0]).await;
    let _half = house.stranger(WAYS[2]).await;
    let mut stuck = house.friend("stuck").await;
    stuck.publish(&Message::new("hold/for-ever", "x", 1)).await;
    let mut deaf = house.friend("deaf").await;
    deaf.subscribes("flood", 1).await;
    for _ in 0..100 {
        house.says("flood", &"x".repeat(200 * 1024), 1).await;
    }
    house.gate.has_seen(1).await;
    let gate = Arc::clone(&house.gate);
    let begun = Instant::now();
    house.broker.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for client in &mut clients {
        client.is_closed_with(0x8B).await;
    }
    let wills = gate.seen().iter().filter(|publish| publish.is_will).count();
    assert_eq!(wills, clients.len(), "each will passes the gate before the stop is over");
    for way in WAYS {
        gate.was_told(&format!("disconnected {way:?} Stopped")).await;
    }
}

#[tokio::test]
async fn the_same_ports_serve_again_at_once() {
    let mut listeners = BrokerConfig::default().listeners;
    for listener in &mut listeners {
        listener.addr.set_port(0);
    }
    for round in 0..3 {
        let config = BrokerConfig { listeners: listeners.clone(), limits: Limits::default() };
        let broker = Broker::start(config, Arc::new(OpenGate)).await.unwrap();
        for (listener, address) in listeners.iter_mut().zip(broker.addresses()) {
            assert_ne!(address.addr.port(), 0);
            assert!(round == 0 || *listener == Listener { addr: address.addr, kind: address.kind });
            listener.addr = address.addr;
            let web_socket = address.kind == ListenerKind::WebSocket;
            for way in WAYS.into_iter().filter(|way| way.web_socket == web_socket) {
                let mut client = Client::open(way, address.addr).await;
                let answer = client.connect(&Connect::new("anna")).await;
                assert!(matches!(answer, Packet::Connack { code: 0, .. }));
                client.delivers(Message::new("t", "x", 1)).await;
            }
        }
        broker.stop().await;
    }
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_way_out_and_no_other_is_kept() {
    let house = House::new().await;
    let taken = house.addr(true);
    let free = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let listeners = vec![Listener::tcp(free), Listener::web_socket(taken)];
    let config = BrokerConfig { listeners, limits: Limits::default() };
    let error = Broker::start(config, Arc::new(TestGate::default())).await.err().unwrap();
    assert!(matches!(error, BrokerError::AddressTaken { .. }));
    let said = error.to_string();
    assert!(said.contains(&taken.to_string()) && said.contains("--ws ADDR"), "{said}");
    std::net::TcpListener::bind(free).expect("the free port was given back");
}

#[tokio::test]
async fn an_address_that_is_not_ours_and_no_address_at_all_are_said() {
    let foreign: SocketAddr = "203.0.113.1:1883".parse().unwrap();
    for (listeners, expected) in [(vec![Listener::tcp(foreign)], "203.0.113.1:1883"), (vec![], "no listener")] {
        let config = BrokerConfig { listeners, limits: Limits::default() };
        let error = Broker::start(config, Arc::new(OpenGate)).await.err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn everything_listens_on_loopback_unless_told_otherwise() {
    let addresses: Vec<_> = BrokerConfig::default().listeners.iter().map(|l| l.addr.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:1883", "127.0.0.1:8884", "127.0.0.1:8885"]);
}

#[tokio::test]
async fn a_dropped_broker_lets_go_of_its_clients_and_ports() {
    let house = House::new().await;
    let addr = house.addr(false);
    let mut client = house.friend("anna").await;
    drop(house);
    client.is_closed().await;
    for _ in 0..100 {
        if std::net::TcpListener::bind(addr).is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the port stayed taken");
}
