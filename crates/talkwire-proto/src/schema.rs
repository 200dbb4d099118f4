//! JSON Schemas of every message that Talkwire sends or asks of its clients; `docs/schemas/` holds them as files.

mod device;

use crate::{chat, chatroom, system};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

/// Every schema with its name: the file is `docs/schemas/{name}.json`.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("lwt", of::<device::LwtMessage>("rtk/v1/{tenant}/{site}/{device_id}/lwt")),
        ("attr", of::<device::AttrMessage>("rtk/v1/{tenant}/{site}/{device_id}/attr")),
        ("state", of::<device::StateMessage>("rtk/v1/{tenant}/{site}/{device_id}/state")),
        ("telemetry", of::<device::TelemetryMessage>("rtk/v1/{tenant}/{site}/{device_id}/telemetry/{metric}")),
        ("event", of::<device::EventMessage>("rtk/v1/{tenant}/{site}/{device_id}/evt/{event_type}")),
        ("cmd.req", of::<device::RequestMessage>("rtk/v1/{tenant}/{site}/{device_id}/cmd/req")),
        ("cmd.ack", of::<device::AckMessage>("rtk/v1/{tenant}/{site}/{device_id}/cmd/ack")),
        ("cmd.res", of::<device::AnswerMessage>("rtk/v1/{tenant}/{site}/{device_id}/cmd/res")),
        ("topology.update", of::<device::TopologyMessage>("rtk/v1/{tenant}/{site}/{device_id}/topology/update")),
        ("capability.update", of::<device::CapabilityMessage>("rtk/v1/{tenant}/{site}/{device_id}/capability/update")),
        ("chatroom.messages.in", of::<chatroom::RoomInput>("chatroom/messages/in, chatroom/users/join, chatroom/users/leave")),
        ("chatroom.messages.out", of::<chatroom::RoomOutput>("chatroom/messages/out, chatroom/system")),
        ("mqtt.status", of::<chatroom::StatusAnswer>("GET /mqtt/status")),
        ("chat.send", of::<chat::ChatSend>("chat/send")),
        ("chat.receive", of::<chat::ChatMessage>("chat/receive")),
        ("chat.piece", of::<chat::Piece>("chat/receive and chat/session/listed, in place of a message over the client's limit")),
        ("chat.status", of::<chat::ChatStatus>("chat/status")),
        ("chat.pieces_wanted", of::<chat::PiecesWanted>("chat/status, while a split message is not whole")),
        ("chat.session.ask", of::<chat::SessionAsk>("chat/session/create, chat/session/delete, chat/session/list")),
        ("chat.session.answer", of::<chat::SessionAnswer>("chat/session/created, chat/session/deleted, chat/session/listed")),
        ("chat.error", of::<chat::ChatError>("chat/error")),
        ("system.send", of::<system::SystemSend>("system/send")),
        ("system.receive", of::<system::SystemAnswer>("system/receive")),
        ("system.status", of::<system::SystemStatus>("system/status")),
        ("connection", of::<system::ConnectionState>("connection/client, connection/ai-core, connection/system")),
    ]
}

/// The schema of `T`, with the place where it travels in `$comment`.
fn of<T: JsonSchema>(place: &str) -> Value {
    let mut schema = SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<T>();
    schema.insert("$comment".into(), place.into());
    schema.to_value()
}
