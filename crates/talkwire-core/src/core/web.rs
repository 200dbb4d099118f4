//! The web chat's requests: messages (whole or in pieces), conversations, system parameters, connection states.

use super::rooms::ROOMS;
use super::{Core, Pieces};
use crate::access::{Principal, Role};
use crate::chat::Room;
use crate::effect::{Effect, History, Publish, Save};
use crate::ids::sha256_hex;
use crate::input::Origin;
use crate::refusal::Refusal;
use serde_json::{Value, json};
use talkwire_proto::chat::{ChatError, ChatSend, ChatStatus, ConnectionState, PiecesWanted, SessionAnswer, SessionAsk, SessionView, SystemSend, WebInput};
use talkwire_proto::topic::WebTopic;
use talkwire_proto::{Code, Topic, limits};

/// Missing pieces are asked for after this time, in milliseconds…
pub(super) const PIECES_ASK_MS: i64 = 5_000;
/// …and the message is given up after this time.
pub(super) const PIECES_MS: i64 = 60_000;
/// Most messages in pieces at a time…
const PARTIAL: usize = 256;
/// …and of one client.
const PARTIAL_OF_CLIENT: usize = 8;

/// System parameters, what they may be, and who may change them (administrators).
const PARAMETERS: [(&str, &str); 5] = [
    ("language", "zh-TW, zh-CN, en or auto"),
    ("assistant_main", "always or mention"),
    ("system_prompt", "a text of at most 8,000 characters"),
    ("model", "rules"),
    ("utc_offset_minutes", "a whole number from -840 to 840"),
];

impl Core {
    pub(super) fn web_message(&mut self, now_ms: i64, from: &Origin, input: WebInput) {
        match input {
            WebInput::Send(send) if send.chunk.is_some() => self.take_piece(now_ms, from, send),
            WebInput::Send(send) => self.take_chat(now_ms, from, send),
            WebInput::Create(ask) => self.create_conversation(now_ms, from, ask),
            WebInput::Delete(ask) => self.delete_conversation(now_ms, from, ask),
            WebInput::List(ask) => self.list(from, ask),
            WebInput::System(send) => self.system_parameter(now_ms, from, send),
        }
    }

    fn take_chat(&mut self, now_ms: i64, from: &Origin, send: ChatSend) {
        let id = send.id.clone();
        if !id.is_empty() && self.is_known_message(&id) {
            return self.answer_to(from, WebTopic::ChatStatus, &ChatStatus { id, status: "sent".into(), error: None });
        }
        let allowed = self.room_for(now_ms, &send.session_id, &from.principal, false);
        let said = allowed.and_then(|()| self.say(now_ms, from, &send.session_id, Some(id.clone()), None, &send.text, send.reply_to));
        match said {
            Ok(message) => self.answer_to(from, WebTopic::ChatStatus, &ChatStatus { id: message.id, status: "sent".into(), error: None }),
            Err(refusal) => {
                let error = ChatError { id: Some(id.clone()).filter(|id| !id.is_empty()), code: refusal.code.to_string(), message: refusal.message.clone() };
                self.answer_to(from, WebTopic::ChatStatus, &ChatStatus { id: id.clone(), status: "failed".into(), error: Some(error) });
                self.web_error(from, Some(id), &refusal);
            }
        }
    }

    fn take_piece(&mut self, now_ms: i64, from: &Origin, send: ChatSend) {
        let Some(chunk) = send.chunk.clone() else { return };
        let slot = (from.client_id.clone(), send.id.clone());
        if !send.id.is_empty() && self.is_known_message(&send.id) {
            return self.answer_to(from, WebTopic::ChatStatus, &ChatStatus { id: send.id, status: "sent".into(), error: None });
        }
        let of_client = self.pieces.keys().filter(|(client, _)| *client == slot.0).count();
        let full = self.pieces.len() >= PARTIAL || of_client >= PARTIAL_OF_CLIENT;
        if send.id.is_empty() || (full && !self.pieces.contains_key(&slot)) {
            let refusal = Refusal::new(Code::ChatChunk, "a message in pieces needs an `id`, and too many are under way; send it again later");
            return self.web_error(from, Some(send.id), &refusal);
        }
        let pieces = self.pieces.entry(slot.clone()).or_insert_with(|| Pieces {
            first_ms: now_ms,
            asked: false,
            from: from.clone(),
            send: ChatSend { text: String::new(), ..send.clone() },
            texts: Default::default(),
        });
        let fits = pieces.send.chunk.as_ref().is_some_and(|first| first.count == chunk.count && first.sha256 == chunk.sha256);
        pieces.texts.insert(chunk.index, send.text);
        let size: usize = pieces.texts.values().map(String::len).sum();
        let hopeless = !fits || size > limits::MESSAGE_BYTES;
        if pieces.texts.len() < chunk.count as usize && !hopeless {
            return;
        }
        let Some(pieces) = self.pieces.remove(&slot) else { return };
        let whole: String = pieces.texts.into_values().collect();
        if hopeless || !sha256_hex(whole.as_bytes()).eq_ignore_ascii_case(&chunk.sha256) {
            let refusal = Refusal::new(Code::ChatChunk, "the pieces do not make the message that was announced; send it again");
            return self.web_error(from, Some(send.id), &refusal);
        }
        self.take_chat(now_ms, from, ChatSend { text: whole, chunk: None, ..pieces.send });
    }

    pub(super) fn tick_pieces(&mut self, now_ms: i64) {
        let (mut wanted, mut given_up) = (Vec::new(), Vec::new());
        self.pieces.retain(|(_, id), pieces| {
            let count = pieces.send.chunk.as_ref().map_or(0, |chunk| chunk.count);
            let missing = || (0..count).filter(|index| !pieces.texts.contains_key(index)).collect::<Vec<u32>>();
            if now_ms - pieces.first_ms >= PIECES_MS {
                given_up.push((pieces.from.clone(), id.clone(), missing().len()));
                return false;
            }
            if !pieces.asked && now_ms - pieces.first_ms >= PIECES_ASK_MS {
                wanted.push((pieces.from.clone(), PiecesWanted::new(id.clone(), missing())));
                pieces.asked = true;
            }
            true
        });
        for (from, pieces) in wanted {
            self.answer_to(&from, WebTopic::ChatStatus, &pieces);
        }
        for (from, id, missing) in given_up {
            let text = format!("{missing} pieces did not come; the message is not shown, send it again");
            self.web_error(&from, Some(id), &Refusal::new(Code::ChatChunk, text));
        }
    }

    fn create_conversation(&mut self, now_ms: i64, from: &Origin, ask: SessionAsk) {
        if self.rooms.len() >= ROOMS {
            let refusal = Refusal::new(Code::RateLimited, "there are too many conversations; delete one first");
            return self.web_error(from, ask.request_id, &refusal);
        }
        let id = format!("c-{}", self.ids.ulid(now_ms));
        let is_public = !from.principal.is_person();
        self.create_room(now_ms, id.clone(), id.clone(), is_public, from.principal.label(), true);
        if let Some(name) = &ask.name {
            self.rename_room(&id, name);
        }
        let answer = SessionAnswer { request_id: ask.request_id, session: self.rooms.get(&id).map(room_view), ..SessionAnswer::default() };
        self.answer_to(from, WebTopic::SessionCreated, &answer);
    }

    fn delete_conversation(&mut self, now_ms: i64, from: &Origin, ask: SessionAsk) {
        let allowed =
            if from.principal.is_person() { Ok(()) } else { Err(Refusal::new(Code::AuthRequired, "only a signed-in person may delete a conversation")) };
        match allowed.and_then(|()| self.delete_room(now_ms, ask.session_id.as_deref().unwrap_or_default(), &from.principal)) {
            Ok(room) => self.answer_to(
                from,
                WebTopic::SessionDeleted,
                &SessionAnswer { request_id: ask.request_id, session: Some(room_view(&room)), ..SessionAnswer::default() },
            ),
            Err(refusal) => self.web_error(from, ask.request_id, &refusal),
        }
    }

    fn list(&mut self, from: &Origin, ask: SessionAsk) {
        let visible = |room: &&Room| room.is_public || room.owner == from.principal.label();
        let Some(wanted) = &ask.session_id else {
            let sessions = self.rooms.values().filter(visible).take(200).map(room_view).collect();
            return self.answer_to(
                from,
                WebTopic::SessionListed,
                &SessionAnswer { request_id: ask.request_id, sessions: Some(sessions), ..SessionAnswer::default() },
            );
        };
        let Some(room) = self.rooms.get(wanted).filter(visible) else {
            return self.web_error(from, ask.request_id, &Refusal::new(Code::NotFound, "no such conversation; list them without `session_id`"));
        };
        let history = History {
            topic: self.answer_topic(from, WebTopic::SessionListed).to_string(),
            request_id: ask.request_id,
            session: room_view(room),
            after: ask.after,
            before: ask.before,
            limit: ask.limit.unwrap_or(50).clamp(1, 200),
        };
        self.out.push(Effect::History(history));
    }

    fn system_parameter(&mut self, now_ms: i64, from: &Origin, send: SystemSend) {
        let answer = match (&send.name, &send.value) {
            (Some(name), Some(value)) => self
                .set_parameter(now_ms, &from.principal, name, value.clone())
                .map(|()| json!({"request_id": send.request_id, "name": name, "value": value, "status": "ok"})),
            (Some(name), None) if PARAMETERS.iter().any(|(known, _)| known == name) => {
                Ok(json!({"request_id": send.request_id, "name": name, "value": self.settings.get(name), "status": "ok"}))
            }
            (Some(name), None) => Err(unknown_parameter(name)),
            (None, _) => Ok(json!({"request_id": send.request_id, "values": self.parameters(), "status": "ok"})),
        };
        let answer = answer.unwrap_or_else(
            |refusal| json!({"request_id": send.request_id, "name": send.name, "status": "error", "error": {"code": refusal.code, "message": refusal.message}}),
        );
        self.answer_to(from, WebTopic::SystemReceive, &answer);
    }

    /// Refuses a request for system parameters that could not be read, where its sender waits for the answer.
    pub(super) fn refuse_parameter(&mut self, from: &Origin, refusal: &Refusal) {
        let answer = json!({"status": "error", "error": {"code": refusal.code, "message": refusal.message}});
        self.answer_to(from, WebTopic::SystemReceive, &answer);
    }

    fn set_parameter(&mut self, now_ms: i64, who: &Principal, name: &str, value: Value) -> Result<(), Refusal> {
        if !who.is_person() || who.role() < Role::Admin {
            let code = if who.is_person() { Code::LlmPermissionDenied } else { Code::AuthRequired };
            self.audit(now_ms, "system", &who.label(), "setting.refused", name, json!({"code": code}));
            return Err(Refusal::new(code, "only an administrator may change system parameters; open the console, or sign in"));
        }
        let (_, words) = PARAMETERS.iter().find(|(known, _)| *known == name).ok_or_else(|| unknown_parameter(name))?;
        let fits = match (name, &value) {
            ("language", Value::String(text)) => ["zh-TW", "zh-CN", "en", "auto"].contains(&text.as_str()),
            ("assistant_main", Value::String(text)) => ["always", "mention"].contains(&text.as_str()),
            ("system_prompt", Value::String(text)) => text.chars().count() <= 8_000,
            ("model", Value::String(text)) => text == "rules",
            ("utc_offset_minutes", Value::Number(number)) => number.as_i64().is_some_and(|minutes| minutes.abs() <= 840),
            _ => false,
        };
        if !fits {
            return Err(Refusal::new(Code::BadRequest, format!("`{name}` must be {words}")));
        }
        if name == "assistant_main"
            && let Some(room) = self.rooms.get_mut("main")
        {
            room.assistant_always = value == json!("always");
            let room = room.clone();
            self.save(Save::Room(Box::new(room)));
        }
        let shown = if name == "system_prompt" { json!("(text)") } else { value.clone() };
        self.audit(now_ms, "system", &who.label(), "setting.changed", name, shown);
        self.settings.insert(name.into(), value.clone());
        self.save(Save::Setting(name.into(), value));
        self.publish_settings();
        Ok(())
    }

    fn parameters(&self) -> Value {
        PARAMETERS
            .iter()
            .map(|(name, _)| ((*name).to_owned(), self.settings.get(*name).cloned().unwrap_or(Value::Null)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    pub(super) fn publish_settings(&mut self) {
        let mut values = self.parameters();
        values["system_prompt"] = Value::Null;
        self.publish(Publish::json(Topic::Web(WebTopic::SystemStatus), &json!({"values": values})).retained());
    }

    /// A true state, retained for whoever comes later.
    pub(super) fn publish_connection(&mut self, topic: &str, status: &str, since: i64, count: u64, detail: Option<String>) {
        self.publish(Publish::json(topic, &ConnectionState { status: status.into(), detail, since, count }).retained());
    }

    fn answer_topic(&self, from: &Origin, topic: WebTopic) -> Topic {
        if from.principal.is_person() && !from.client_id.is_empty() { Topic::Client(from.client_id.clone(), topic) } else { Topic::Web(topic) }
    }

    fn answer_to(&mut self, from: &Origin, topic: WebTopic, value: &impl serde::Serialize) {
        let topic = self.answer_topic(from, topic);
        self.publish(Publish::json(topic, value));
    }

    pub(super) fn web_error(&mut self, from: &Origin, id: Option<String>, refusal: &Refusal) {
        let error = ChatError { id: id.filter(|id| !id.is_empty()), code: refusal.code.to_string(), message: refusal.message.clone() };
        self.answer_to(from, WebTopic::ChatError, &error);
    }

    /// Where a message of a room stands, told on the room's topics.
    pub(super) fn web_status(&mut self, room: &str, status: ChatStatus) {
        let topics = self.rooms.get(room).map(|room| self.topics_for(room, WebTopic::ChatStatus)).unwrap_or_default();
        for topic in topics {
            self.publish(Publish::json(topic, &status));
        }
    }
}

fn unknown_parameter(name: &str) -> Refusal {
    let known: Vec<_> = PARAMETERS.iter().map(|(name, _)| *name).collect();
    Refusal::new(Code::BadRequest, format!("no system parameter is called {:?}; known are {}", name.chars().take(64).collect::<String>(), known.join(", ")))
}

fn room_view(room: &Room) -> SessionView {
    SessionView { session_id: room.room.clone(), name: room.name.clone(), created_at: room.created_ms, message_count: room.message_count }
}
