//! The house on somebody else's broker: Mosquitto when it is installed, and a broker that does exactly what a test says.

use crate::harness::{Client, House, config, eventually};
use crate::mosquitto::Mosquitto;
use crate::script::{Script, Session};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use talkwire::config::{Config, OutsideBroker};
use talkwire::serve;
use talkwire_link::{LinkConfig, Qos};
use talkwire_store::Reader;
use tempfile::TempDir;

const DEVICE: &str = "rtk/v1/home/lab/aabbccddeeff";

fn on(dir: TempDir, port: u16) -> (TempDir, Config) {
    let broker = OutsideBroker { url: Some(format!("mqtt://127.0.0.1:{port}")), ..OutsideBroker::default() };
    let config = Config { broker, ..config(dir.path()) };
    (dir, config)
}

async fn open(dir: TempDir, port: u16) -> House {
    let (dir, config) = on(dir, port);
    House { running: serve::start(&config).await.unwrap(), dir }
}

/// A house whose broker is connected.
async fn ready(dir: TempDir, port: u16) -> House {
    let house = open(dir, port).await;
    eventually("the broker is connected", || async { (house.guest("GET", "/readyz", json!({})).await.0 == 200).then_some(Value::Null) }).await;
    house
}

async fn stop(house: House) -> TempDir {
    house.running.stop().await;
    house.dir
}

async fn client(port: u16, name: &str) -> Client {
    Client::connect(LinkConfig::new("127.0.0.1", port, name)).await
}

fn event(n: usize) -> String {
    let ts = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    json!({"schema": "evt.lab.tick/1.0", "ts": ts, "data": {"n": n}}).to_string()
}

/// The numbers of the stored events, sorted.
fn numbers(dir: &TempDir) -> Vec<u64> {
    let reader = Reader::open(dir.path()).unwrap();
    let key = "home/lab/aabbccddeeff".parse().unwrap();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = reader.events(&key, 500, after.as_deref()).unwrap();
        all.extend(page.items.iter().filter_map(|event| event.data["n"].as_u64()));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    all.sort_unstable();
    all
}

async fn wait_for_numbers(house: &House, count: u64) {
    let wanted: Vec<u64> = (0..count).collect();
    eventually("every event is stored", || async { (numbers(&house.dir).len() >= wanted.len()).then_some(Value::Null) }).await;
    assert_eq!(numbers(&house.dir), wanted, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_and_a_person_on_mosquitto_talk_with_the_house() {
    let Some(broker) = Mosquitto::start("a device and a person on mosquitto").await else { return };
    let house = ready(tempfile::tempdir().unwrap(), broker.port).await;
    let mut device = client(broker.port, "router-1").await;
    device.subscribe(&format!("{DEVICE}/cmd/req")).await;
    let attr = json!({"schema": "attr/1.0", "ts": 1, "capabilities": {"device_type": "router", "tools": {"device.status": {"supported": true}}}});
    device.link.publish(format!("{DEVICE}/lwt"), json!({"schema": "lwt/1.0", "ts": 1, "status": "online"}).to_string(), Qos::AtLeastOnce, true).await.unwrap();
    device.link.publish(format!("{DEVICE}/attr"), attr.to_string(), Qos::AtLeastOnce, true).await.unwrap();
    eventually("the device is known", || async {
        let (_, one) = house.guest("GET", "/api/v1/devices/home/lab/aabbccddeeff", json!({})).await;
        (one["online"] == true && one["device_type"] == "router").then_some(one)
    })
    .await;
    let asked = house.owner(
        "POST",
        "/api/v1/commands?wait=true",
        json!({"tenant": "home", "site": "lab", "device_id": "aabbccddeeff", "op": "device.status", "args": {}}),
    );
    let answered = async {
        let (_, request) = device.until("the command", |topic, _| topic.ends_with("/cmd/req")).await;
        let id = &request["id"];
        device.say_json(&format!("{DEVICE}/cmd/ack"), json!({"id": id, "status": "received"})).await.unwrap();
        device.say_json(&format!("{DEVICE}/cmd/res"), json!({"id": id, "status": "completed", "result": {"health": "ok"}})).await.unwrap();
    };
    let ((status, command), ()) = tokio::join!(asked, answered);
    assert_eq!((status, &command["status"]), (200, &json!("completed")), "{command}");

    let mut person = client(broker.port, "phone").await;
    person.subscribe("chatroom/messages/out").await;
    person.say_json("chatroom/messages/in", json!({"client_id": "phone", "username": "小明", "message": "哈囉"})).await.unwrap();
    person.until("the message", |topic, value| topic == "chatroom/messages/out" && value["content"] == "哈囉" && value["username"] == "小明").await;
    let (_, status) = house.guest("GET", "/mqtt/status", json!({})).await;
    let status = &status["mqtt_status"];
    assert_eq!((&status["is_connected"], &status["broker_info"]), (&json!(true), &json!(format!("127.0.0.1:{}", broker.port))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_while_the_house_is_away_is_there_when_it_is_back() {
    let Some(broker) = Mosquitto::start("published while the house is away").await else { return };
    let dir = stop(ready(tempfile::tempdir().unwrap(), broker.port).await).await;
    let device = client(broker.port, "router-1").await;
    for n in 0..60 {
        device.say(&format!("{DEVICE}/evt/lab.tick"), event(n)).await.unwrap();
    }
    let house = ready(dir, broker.port).await;
    wait_for_numbers(&house, 60).await;
    let (_, system) = house.owner("GET", "/api/v1/system", json!({})).await;
    assert_eq!((&system["broker"]["session_resumed"], &system["broker"]["protocol"]), (&json!(true), &json!("5")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_mosquitto_kept_is_lost_or_stored_twice_when_it_is_killed() {
    let Some(mut broker) = Mosquitto::start("mosquitto is killed").await else { return };
    let house = ready(tempfile::tempdir().unwrap(), broker.port).await;
    let device = client(broker.port, "router-1").await;
    for n in 0..100 {
        device.say(&format!("{DEVICE}/evt/lab.tick"), event(n)).await.unwrap();
    }
    broker.settle().await;
    broker.kill();
    eventually("the loss is noticed", || async {
        let (status, body) = house.guest("GET", "/readyz", json!({})).await;
        (status == 503 && body["trouble"].as_str().is_some_and(|trouble| trouble.starts_with("E_BROKER_AWAY"))).then_some(body)
    })
    .await;
    assert!(broker.run().await);
    for n in 100..150 {
        device.say(&format!("{DEVICE}/evt/lab.tick"), event(n)).await.unwrap();
    }
    wait_for_numbers(&house, 150).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_older_protocol_the_promise_is_the_same() {
    let Some(broker) = Mosquitto::start("the older protocol").await else { return };
    let door = broker.older_door().await;
    let dir = stop(ready(tempfile::tempdir().unwrap(), door).await).await;
    let device = client(broker.port, "router-1").await;
    for n in 0..30 {
        device.say(&format!("{DEVICE}/evt/lab.tick"), event(n)).await.unwrap();
    }
    let house = ready(dir, door).await;
    wait_for_numbers(&house, 30).await;
    let (_, system) = house.owner("GET", "/api/v1/system", json!({})).await;
    assert_eq!((&system["broker"]["session_resumed"], &system["broker"]["protocol"]), (&json!(true), &json!("3.1.1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_broker_lets_the_house_in_with_trust_and_password_and_says_what_is_wrong_without() {
    let Some(broker) = Mosquitto::start_guarded("tls and password").await else { return };
    let with = |login: &str, ca: Option<&str>| OutsideBroker {
        url: Some(format!("mqtts://{login}@127.0.0.1:{}", broker.port)),
        ca: ca.map(|file| broker.folder().join(file)),
        ..OutsideBroker::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let good = Config { broker: with("hub:p%40ss", Some("ca.crt")), ..config(dir.path()) };
    let house = House { running: serve::start(&good).await.unwrap(), dir };
    eventually("it is let in", || async { (house.guest("GET", "/readyz", json!({})).await.0 == 200).then_some(Value::Null) }).await;
    for (broker, wanted) in [(with("hub:wrong", Some("ca.crt")), "(0x8"), (with("hub:p%40ss", Some("broker.crt")), "TLS")] {
        let dir = tempfile::tempdir().unwrap();
        let bad = Config { broker, ..config(dir.path()) };
        let house = House { running: serve::start(&bad).await.unwrap(), dir };
        eventually("the reason is told", || async {
            let (_, body) = house.guest("GET", "/readyz", json!({})).await;
            body["trouble"].as_str().is_some_and(|trouble| trouble.contains("E_BROKER_AWAY") && trouble.contains(wanted)).then_some(body.clone())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_house_waits_for_a_broker_that_comes_later_and_says_so() {
    let script = Script::open().await;
    let house = open(tempfile::tempdir().unwrap(), script.port).await;
    let (status, body) = house.guest("GET", "/readyz", json!({})).await;
    assert!(status == 503 && body["trouble"].as_str().unwrap().starts_with("E_BROKER_AWAY"), "{body}");
    let (_, shown) = house.guest("GET", "/mqtt/status", json!({})).await;
    assert_eq!((&shown["mqtt_status"]["is_connected"], &shown["mqtt_status"]["is_running"]), (&json!(false), &json!(true)));
    assert_eq!(house.guest("GET", "/healthz", json!({})).await.0, 200);
    let mut session = script.greet(false).await;
    let said = session.next_publish().await;
    assert!(said.topic.starts_with("connection/") && said.retain, "it tells that it is there");
    eventually("it is ready", || async { (house.guest("GET", "/readyz", json!({})).await.0 == 200).then_some(Value::Null) }).await;
}

/// Reads the house's own messages until its next acknowledgement.
async fn acknowledged(session: &mut Session) -> u16 {
    session.next_puback_beside_messages().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_again_is_stored_once_also_after_a_restart() {
    let script = Script::open().await;
    let house = open(tempfile::tempdir().unwrap(), script.port).await;
    let mut session = script.greet(false).await;
    let (topic, first, second) = (format!("{DEVICE}/evt/lab.tick"), event(0), event(1));
    session.publish(&topic, &first, 5, 0).await;
    assert_eq!(acknowledged(&mut session).await, 5);
    assert_eq!(numbers(&house.dir), [0], "stored before it was acknowledged");
    drop(session);
    let mut session = script.greet(true).await;
    session.publish(&topic, &first, 5, Session::DUP).await;
    assert_eq!(acknowledged(&mut session).await, 5, "acknowledged again");
    // After a crash the broker may have forgotten that it handed the message over.
    session.publish(&topic, &first, 9, 0).await;
    session.publish(&topic, &second, 10, 0).await;
    assert_eq!((acknowledged(&mut session).await, acknowledged(&mut session).await), (9, 10));
    assert_eq!(numbers(&house.dir), [0, 1]);
    drop(session);
    let dir = stop(house).await;
    let house = open(dir, script.port).await;
    let mut session = script.greet(true).await;
    session.publish(&topic, &second, 10, Session::DUP).await;
    assert_eq!(acknowledged(&mut session).await, 10);
    assert_eq!(numbers(&house.dir), [0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_words_said_twice_are_two_messages() {
    let script = Script::open().await;
    let house = open(tempfile::tempdir().unwrap(), script.port).await;
    let mut session = script.greet(false).await;
    let said = json!({"client_id": "phone", "username": "小明", "message": "好"}).to_string();
    for (id, marks) in [(3, 0), (4, 0), (4, Session::DUP)] {
        session.publish("chatroom/messages/in", &said, id, marks).await;
        assert_eq!(acknowledged(&mut session).await, id);
    }
    let (_, room) = house.guest("GET", "/api/v1/rooms/main/messages", json!({})).await;
    let count = room["items"].as_array().unwrap().iter().filter(|message| message["text"] == "好").count();
    assert_eq!(count, 2, "said twice, handed over three times");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_kept_says_how_a_device_was_and_only_its_lwt_that_it_is_there() {
    let script = Script::open().await;
    let house = open(tempfile::tempdir().unwrap(), script.port).await;
    let mut session = script.greet(false).await;
    let online = || async { house.guest("GET", "/api/v1/devices/home/lab/aabbccddeeff", json!({})).await.1["online"].clone() };
    let attr = json!({"schema": "attr/1.0", "ts": 1, "capabilities": {"device_type": "router", "tools": {}}}).to_string();
    session.publish(&format!("{DEVICE}/attr"), &attr, 1, Session::RETAIN).await;
    assert_eq!(acknowledged(&mut session).await, 1);
    assert_eq!(online().await, json!(false));
    session.publish(&format!("{DEVICE}/lwt"), &json!({"schema": "lwt/1.0", "ts": 1, "status": "online"}).to_string(), 2, Session::RETAIN).await;
    assert_eq!(acknowledged(&mut session).await, 2);
    assert_eq!(online().await, json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_message_is_put_aside_acknowledged_and_stops_nothing() {
    let script = Script::open().await;
    let house = open(tempfile::tempdir().unwrap(), script.port).await;
    let mut session = script.greet(false).await;
    let huge = "x".repeat(400_000);
    for (id, payload) in [(1, "{"), (2, huge.as_str())] {
        session.publish(&format!("{DEVICE}/state"), payload, id, 0).await;
        assert_eq!(acknowledged(&mut session).await, id);
    }
    session.publish(&format!("{DEVICE}/evt/lab.tick"), &event(0), 3, 0).await;
    assert_eq!(acknowledged(&mut session).await, 3);
    assert_eq!(numbers(&house.dir), [0]);
    let (_, aside) = house.guest("GET", "/api/v1/quarantine", json!({})).await;
    let reasons: Vec<_> = aside["items"].as_array().unwrap().iter().filter_map(|row| row["reason"].as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("400000")), "{reasons:?}");
}
