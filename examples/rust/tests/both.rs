//! Both programs against a broker: the device answers and keeps its promise, the chat client hears and is heard.

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use talkwire_broker::{Broker, BrokerConfig, Limits, Listener, OpenGate};
use talkwire_link::{Events, Link, LinkConfig, LinkEvent, Qos};

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn broker() -> (Broker, u16) {
    let config = BrokerConfig { listeners: vec![Listener::tcp(([127, 0, 0, 1], 0).into())], limits: Limits::default() };
    let broker = Broker::start(config, Arc::new(OpenGate)).await.unwrap();
    let port = broker.addresses()[0].addr.port();
    (broker, port)
}

async fn listen(port: u16, filter: &str) -> (Link, Events) {
    let (link, mut events) = Link::connect(LinkConfig::new("127.0.0.1", port, "test")).unwrap();
    link.subscribe(filter, Qos::AtLeastOnce);
    while !matches!(events.next().await, Some(LinkEvent::Up { .. })) {}
    (link, events)
}

async fn hear(events: &mut Events, end: &str) -> Value {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await.expect("in time").expect("open");
        if let LinkEvent::Message(message) = event
            && message.topic.ends_with(end)
        {
            return serde_json::from_slice(&message.payload).unwrap();
        }
    }
}

#[tokio::test]
async fn the_device_is_there_answers_and_says_goodbye() {
    let (_broker, port) = broker().await;
    let (link, mut events) = listen(port, "rtk/v1/demo/home/fan-1/#").await;
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program(Command::new(env!("CARGO_BIN_EXE_device")).arg(format!("127.0.0.1:{port}")).current_dir(&folder).spawn().unwrap());
    assert_eq!(hear(&mut events, "/lwt").await["status"], "online");
    assert_eq!(hear(&mut events, "/attr").await["capabilities"]["tools"]["fan.set_speed"]["rollback_supported"], true);
    let ask = |id: &str, op: &str, args: Value| {
        let body = json!({"id": id, "op": op, "args": args}).to_string();
        link.publish("rtk/v1/demo/home/fan-1/cmd/req", body, Qos::AtLeastOnce, false).forget();
    };
    ask("1", "fan.set_speed", json!({"speed": 60, "changeset_id": "s", "auto_rollback_timeout": 60}));
    assert_eq!(hear(&mut events, "/cmd/res").await["status"], "completed");
    ask("2", "changeset.rollback", json!({"changeset_id": "s"}));
    hear(&mut events, "/cmd/res").await;
    ask("3", "fan.read", json!({}));
    assert_eq!(hear(&mut events, "/cmd/res").await["result"], json!({"speed": 0}), "what nobody confirmed came back");
    assert!(Command::new("kill").args(["-INT", &program.0.id().to_string()]).status().unwrap().success());
    let goodbye = hear(&mut events, "/lwt").await;
    assert_eq!((&goodbye["status"], &goodbye["reason"]), (&json!("offline"), &json!("shutdown")));
    assert!(program.0.wait().unwrap().success());
}

#[tokio::test]
async fn what_is_typed_is_said_and_what_is_said_is_printed() {
    let (_broker, port) = broker().await;
    let (link, mut events) = listen(port, "chatroom/#").await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
    let mut program = Program(command.args([&format!("127.0.0.1:{port}"), "王小明"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    assert_eq!(hear(&mut events, "/users/join").await["username"], "王小明");
    let mut typed = program.0.stdin.take().unwrap();
    writeln!(typed, "網路好慢").unwrap();
    assert_eq!(hear(&mut events, "/messages/in").await["message"], "網路好慢");
    let reply = json!({"type": "ai_response", "username": "智能助手", "content": "我來看看"}).to_string();
    link.publish("chatroom/messages/out", reply, Qos::AtLeastOnce, false).await.unwrap();
    let mut printed = std::io::BufReader::new(program.0.stdout.take().unwrap());
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut printed, &mut line).map(|_| line)
    });
    let line = tokio::time::timeout(Duration::from_secs(20), line).await.expect("in time").unwrap().unwrap();
    assert_eq!(line, "智能助手: 我來看看\n");
    drop(typed);
    hear(&mut events, "/users/leave").await;
    assert!(program.0.wait().unwrap().success());
}
