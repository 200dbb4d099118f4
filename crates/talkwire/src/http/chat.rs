//! Rooms and their messages, and `GET /mqtt/status` of the chat document.

use super::problem::{Body, Params, Path, Problem};
use super::who::{Who, ok};
use super::{Answer, Shared, read};
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use talkwire_core::{Ask, Principal};
use talkwire_proto::envelope::iso_text;
use talkwire_store::MessageWindow;

pub async fn rooms(State(house): State<Shared>, Who(who): Who) -> Answer {
    let label = who.label();
    let value = house.hub.read(move |core| {
        let visible: Vec<_> = core.rooms().filter(|room| room.is_public || room.owner == label).map(|room| json!({"room": room.room, "name": room.name, "created_ms": room.created_ms, "is_public": room.is_public, "message_count": room.message_count})).collect();
        json!({"items": visible, "next": null})
    });
    ok(value.await?)
}

async fn may_read(house: &Shared, who: &Principal, room: &str) -> Result<(), Problem> {
    let (label, wanted) = (who.label(), room.to_owned());
    let visible = house.hub.read(move |core| json!(core.rooms().any(|room| room.room == wanted && (room.is_public || room.owner == label)))).await?;
    if visible == json!(true) { Ok(()) } else { Err(Problem::not_found(format!("no room {room} is known"))) }
}

#[derive(Debug, Default, Deserialize)]
pub struct Window {
    after: Option<u64>,
    before: Option<u64>,
    limit: Option<usize>,
}

pub async fn messages(State(house): State<Shared>, Path(room): Path<String>, Params(window): Params<Window>, Who(who): Who) -> Answer {
    may_read(&house, &who, &room).await?;
    let range = match (window.after, window.before) {
        (Some(change), _) => MessageWindow::AfterChange(change),
        (None, Some(seq)) => MessageWindow::BeforeSeq(seq),
        (None, None) => MessageWindow::Newest,
    };
    let limit = window.limit.unwrap_or(50).clamp(1, 200);
    let (items, more) = read(&house, move |reader| reader.messages(&room, range, limit)).await?;
    ok(json!({"items": items, "more": more, "next": null}))
}

#[derive(Debug, Deserialize)]
pub struct Said {
    #[serde(default)]
    id: Option<String>,
    text: String,
    #[serde(default)]
    reply_to: Option<String>,
}

pub async fn say(State(house): State<Shared>, Path(room): Path<String>, Who(who): Who, Body(said): Body<Said>) -> Answer {
    may_read(&house, &who, &room).await?;
    ok(house.hub.ask(who, Ask::Say { room, id: said.id, text: said.text, reply_to: said.reply_to }).await?)
}

/// Exactly the shape of `spec/chatroom-mqtt.md`, with true counts.
pub async fn mqtt_status(State(house): State<Shared>) -> Answer {
    let offset = 0;
    let counts = read(&house, |reader| reader.chat_counts()).await?;
    let users = house.hub.read(move |core| {
        let main = core.members().filter(|member| member.room == "main");
        json!(main.map(|member| json!({"client_id": member.client_id, "username": member.username, "join_time": iso_text(member.join_ms, offset), "message_count": member.message_count})).collect::<Vec<_>>())
    });
    let users = users.await?;
    let tcp = house.listeners.iter().find(|(kind, _)| kind == "mqtt").map(|(_, addr)| *addr);
    let running = house.broker.is_some() && tcp.is_some();
    ok(json!({
        "success": true,
        "mqtt_status": {
            "is_connected": running && !house.hub.health().is_degraded(),
            "is_running": running,
            "broker_info": tcp.map_or("".into(), |addr| format!("{}:{}", if addr.ip().is_loopback() { "localhost".into() } else { addr.ip().to_string() }, addr.port())),
            "mqtt_users_count": users.as_array().map_or(0, Vec::len),
            "messages_received": counts.received,
            "messages_sent": counts.sent,
            "connect_time": iso_text(house.clock.start_ms(), offset),
            "last_message_time": counts.last_ms.map_or(Value::Null, |at| json!(iso_text(at, offset))),
            "active_topics": ["chatroom/messages/in", "chatroom/messages/out", "chatroom/users/join", "chatroom/users/leave", "chatroom/system"],
            "mqtt_users": users,
        },
        "timestamp": iso_text(house.clock.now_ms(), offset),
    }))
}
