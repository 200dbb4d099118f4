//! A chat client: what is typed is said in the room, what is said in the room is printed.
//!
//! `cargo run --bin chat -- 127.0.0.1:1883 Alice`

use serde_json::{Value, json};
use talkwire_link::{Link, LinkConfig, LinkEvent, Qos};
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [broker, name] = words.as_slice() else { return Err("usage: chat HOST:PORT NAME".into()) };
    let (host, port) = broker.rsplit_once(':').ok_or("the broker must look like 127.0.0.1:1883")?;
    let client_id = format!("chat-{name}-{}", std::process::id());
    let (link, mut events) = Link::connect(LinkConfig::new(host, port.parse()?, client_id.clone()))?;
    link.subscribe("chatroom/messages/out", Qos::AtLeastOnce);
    link.subscribe("chatroom/system", Qos::AtLeastOnce);
    let say = |topic: &str, body: Value| link.publish(topic, body.to_string(), Qos::AtLeastOnce, false);
    let mut typed = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(LinkEvent::Up { .. }) => say("chatroom/users/join", json!({"client_id": client_id, "username": name})).forget(),
                Some(LinkEvent::Down { why }) => eprintln!("({why})"),
                Some(LinkEvent::Message(message)) => {
                    let said: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
                    let text = said["content"].as_str().or(said["message"].as_str()).unwrap_or_default();
                    println!("{}: {text}", said["username"].as_str().unwrap_or("*"));
                }
                Some(LinkEvent::Missed { count }) => eprintln!("({count} messages were missed)"),
                None => break,
            },
            line = typed.next_line() => match line? {
                Some(text) if text.trim().is_empty() => {}
                Some(text) => say("chatroom/messages/in", json!({"client_id": client_id, "username": name, "message": text})).await?,
                None => break,
            },
        }
    }
    say("chatroom/users/leave", json!({"client_id": client_id})).forget();
    link.close(std::time::Duration::from_secs(1)).await;
    Ok(())
}
