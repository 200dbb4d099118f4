//! Chat rooms: messages in and out, joining and leaving, and when the assistant is asked.

use super::sessions::Place;
use super::{Core, Talk};
use crate::access::Principal;
use crate::chat::{ASSISTANT, Room, check_text, mentions_assistant, without_mention};
use crate::effect::{Effect, Notice, Publish, Save};
use crate::input::{Origin, Understood};
use crate::language::Language;
use crate::refusal::Refusal;
use serde_json::json;
use talkwire_proto::chat::{ChatMessage, ChatStatus, Part, Role};
use talkwire_proto::chatroom::{RoomInput, RoomOutput, shown_name};
use talkwire_proto::envelope::iso_text;
use talkwire_proto::topic::{RoomTail, WebTopic};
use talkwire_proto::{Code, RoomName, Topic};

/// How many message ids are remembered, so that a resend is recognised.
const KNOWN_MESSAGES: usize = 10_000;
/// Most rooms.
pub(super) const ROOMS: usize = 10_000;
/// Most messages that wait for the mind.
const TALKS: usize = 1_000;
/// How many living messages of the assistant are held for newer forms.
const REPLIES: usize = 2_000;

impl Core {
    pub(super) fn create_room(&mut self, now_ms: i64, room: String, name: String, is_public: bool, owner: String, assistant_always: bool) {
        let made = Room {
            room: room.clone(),
            name,
            created_ms: now_ms,
            is_public,
            owner,
            assistant_always,
            place: None,
            last_seq: 0,
            last_change: 0,
            message_count: 0,
        };
        self.save(Save::Room(Box::new(made.clone())));
        self.rooms.insert(room, made);
    }

    /// The room, made when it is a public one that nobody used before.
    pub(super) fn room_for(&mut self, now_ms: i64, name: &str, who: &Principal, make: bool) -> Result<(), Refusal> {
        if let Some(room) = self.rooms.get(name) {
            return if room.is_public || room.owner == who.label() {
                Ok(())
            } else {
                Err(Refusal::new(Code::NotFound, format!("no conversation {name} is known")))
            };
        }
        let name: RoomName = name.parse().map_err(|error: talkwire_proto::id::BadId| Refusal::new(Code::BadRequest, error.to_string()))?;
        if !make {
            return Err(Refusal::new(Code::NotFound, format!("no conversation {name} is known; create it first")));
        }
        if self.rooms.len() >= ROOMS {
            return Err(Refusal::new(Code::RateLimited, "there are too many rooms; delete one first"));
        }
        self.create_room(now_ms, name.to_string(), name.to_string(), true, "system".into(), false);
        Ok(())
    }

    pub(super) fn room_message(&mut self, now_ms: i64, from: &Origin, room: &str, tail: RoomTail, input: RoomInput) {
        let client_id = input.client_id.clone().filter(|id| !id.is_empty()).unwrap_or_else(|| from.client_id.clone());
        if let Err(refusal) = self.room_for(now_ms, room, &from.principal, true) {
            return self.refuse_room(now_ms, room, &client_id, &refusal);
        }
        match tail {
            RoomTail::UsersJoin => self.join(now_ms, from, room, &client_id, input.username.as_deref()),
            RoomTail::UsersLeave => self.leave(now_ms, from, room, &client_id),
            RoomTail::MessagesIn => {
                let known = self.present_name(room, &client_id);
                if known.is_none() {
                    self.join(now_ms, from, room, &client_id, input.username.as_deref());
                }
                let claimed = input.username.or(known);
                if let Err(refusal) = self.say(now_ms, from, room, None, claimed.as_deref(), &input.message.unwrap_or_default(), input.reply_to) {
                    return self.refuse_room(now_ms, room, &client_id, &refusal);
                }
                self.count_message(room, &client_id);
            }
            RoomTail::MessagesOut | RoomTail::System => {}
        }
    }

    /// Takes a message into a room, shows it to everybody there, and asks the mind when the assistant is meant.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn say(
        &mut self,
        now_ms: i64,
        from: &Origin,
        room: &str,
        id: Option<String>,
        claimed: Option<&str>,
        text: &str,
        reply_to: Option<String>,
    ) -> Result<ChatMessage, Refusal> {
        let text = check_text(text)?;
        let (role, username) = self.speaker_now(&from.principal, claimed);
        let id = id.filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')).unwrap_or_else(|| self.ids.uuid());
        let known = self.known_messages.get(&id).copied();
        let message = ChatMessage {
            id,
            in_reply_to: reply_to.clone(),
            session_id: room.into(),
            role,
            username,
            text: text.clone(),
            parts: Vec::new(),
            ts: now_ms,
            seq: 0,
            rev: 0,
            change: 0,
        };
        if let Some((seq, ts)) = known {
            // Said before: a resend is answered with the place that it has, and is not said twice.
            return Ok(ChatMessage { seq, ts, ..message });
        }
        let message = self.post(now_ms, message)?;
        let to_assistant = reply_to.is_some_and(|id| self.replies.contains_key(&id));
        let always = self.rooms.get(room).is_some_and(|room| room.assistant_always);
        if matches!(role, Role::User | Role::Guest) && (always || to_assistant || mentions_assistant(&text)) {
            let talk = Talk {
                room: room.into(),
                text: text.clone(),
                asked_by: from.principal.label(),
                place: self.rooms.get(room).and_then(|room| room.place.clone()),
            };
            if self.talks.len() >= TALKS {
                self.talks.pop_first();
            }
            self.talks.insert(message.id.clone(), talk);
            self.out.push(Effect::Understand { message_id: message.id.clone(), text: without_mention(&text) });
        }
        Ok(message)
    }

    /// Gives a message its place and publishes it.
    fn post(&mut self, now_ms: i64, mut message: ChatMessage) -> Result<ChatMessage, Refusal> {
        let room =
            self.rooms.get_mut(&message.session_id).ok_or_else(|| Refusal::new(Code::NotFound, format!("no conversation {} is known", message.session_id)))?;
        room.last_seq += 1;
        room.last_change += 1;
        room.message_count += 1;
        (message.seq, message.change) = (room.last_seq, room.last_change);
        let room = room.clone();
        self.remember_message(message.id.clone(), message.seq, message.ts);
        self.save(Save::Room(Box::new(room.clone())));
        self.show(&room, &message);
        if !message.text.is_empty() {
            self.publish_room_message(now_ms, &room, &message.id.clone(), message.seq, message.role, &message.username, &message.text);
        }
        Ok(message)
    }

    /// Saves and publishes a message, or its newer form, on the web chat's topics.
    fn show(&mut self, room: &Room, message: &ChatMessage) {
        let boxed = Box::new(message.clone());
        self.save(Save::Message(boxed.clone()));
        self.out.push(Effect::Notify(Notice::Message(boxed)));
        for topic in self.topics_for(room, WebTopic::ChatReceive) {
            self.publish(Publish::json(topic, message));
        }
    }

    /// Where a message of a room goes: the bare topic, or the private ones of its owner's connections.
    pub(super) fn topics_for(&self, room: &Room, topic: WebTopic) -> Vec<Topic> {
        if room.is_public {
            return vec![Topic::Web(topic)];
        }
        self.clients
            .values()
            .filter(|client| client.principal.is_person() && client.principal.label() == room.owner)
            .map(|client| Topic::Client(client.client_id.clone(), topic))
            .collect()
    }

    #[allow(clippy::too_many_arguments)]
    fn publish_room_message(&mut self, now_ms: i64, room: &Room, id: &str, seq: u64, role: Role, username: &str, text: &str) {
        if !room.is_public {
            return;
        }
        let kind = match role {
            Role::Assistant => "ai_response",
            Role::System => "system_message",
            _ => "user_message",
        };
        let output = RoomOutput {
            kind: kind.into(),
            username: Some(username.into()),
            content: Some(text.into()),
            message: None,
            timestamp: iso_text(now_ms, self.offset_minutes()),
            message_id: Some(id.into()),
            client_id: None,
            code: None,
            ts: now_ms,
            seq: Some(seq),
        };
        self.publish_in_room(&room.room, RoomTail::MessagesOut, &output);
    }

    fn publish_in_room(&mut self, room: &str, tail: RoomTail, output: &RoomOutput) {
        if let Ok(name) = room.parse() {
            self.publish(Publish::json(Topic::Room(name, tail), output));
        }
    }

    /// A notice of the room: to everybody, or to one client with a code.
    pub(super) fn notice(&mut self, now_ms: i64, room: &str, text: &str, client_id: Option<&str>, code: Option<Code>) {
        let output = RoomOutput {
            kind: "system_message".into(),
            username: None,
            content: None,
            message: Some(text.into()),
            timestamp: iso_text(now_ms, self.offset_minutes()),
            message_id: None,
            client_id: client_id.map(str::to_owned),
            code: code.map(|code| code.to_string()),
            ts: now_ms,
            seq: None,
        };
        self.publish_in_room(room, RoomTail::System, &output);
    }

    fn refuse_room(&mut self, now_ms: i64, room: &str, client_id: &str, refusal: &Refusal) {
        self.notice(now_ms, room, &refusal.message, Some(client_id), Some(refusal.code));
    }

    /// Refuses a chat message that could not be read, on the topic where its sender listens.
    pub(super) fn refuse_chat(&mut self, now_ms: i64, from: &Origin, topic: &str, id: Option<String>, refusal: &Refusal) {
        match topic.parse() {
            Ok(Topic::Room(room, _)) => self.refuse_room(now_ms, room.as_str(), &from.client_id.clone(), refusal),
            _ => self.web_error(from, id, refusal),
        }
    }

    /// Local time's distance from UTC in minutes, for the chat document's timestamps.
    fn offset_minutes(&self) -> i64 {
        self.settings.get("utc_offset_minutes").and_then(serde_json::Value::as_i64).unwrap_or(0)
    }

    pub(super) fn remember_message(&mut self, id: String, seq: u64, ts: i64) {
        self.known_messages.insert(id.clone(), (seq, ts));
        self.recent_messages.push_back(id);
        if self.recent_messages.len() > KNOWN_MESSAGES
            && let Some(oldest) = self.recent_messages.pop_front()
        {
            self.known_messages.remove(&oldest);
        }
    }

    pub(super) fn is_known_message(&self, id: &str) -> bool {
        self.known_messages.contains_key(id)
    }

    /// The mind understood a sentence: diagnose, or answer.
    pub(super) fn understood(&mut self, now_ms: i64, message_id: &str, understood: Understood) {
        let Some(talk) = self.talks.remove(message_id) else { return };
        let language = understood.view.language;
        if understood.view.intent == "other" {
            return self.answer(now_ms, &talk.room, message_id, understood.words, Vec::new()).map_or((), |_| ());
        }
        let who = asker(&talk.asked_by);
        let intent = understood.view.intent.clone();
        let place = Place { room: talk.room.clone(), request_message_id: message_id.into() };
        let opening = understood.words.clone();
        match self.open_session(now_ms, &who, &talk.text, talk.place.clone(), understood, Some(place)) {
            Ok(session_id) => {
                let parts = self.sessions.get(&session_id).map(|session| self.session_parts(session)).unwrap_or_default();
                let message = self.answer(now_ms, &talk.room, message_id, opening, parts);
                if let (Some(message), Some(session)) = (message, self.sessions.get_mut(&session_id)) {
                    session.message_id = Some(message);
                    self.keep_session(now_ms, &session_id);
                }
                self.web_status(&talk.room, ChatStatus { id: message_id.into(), status: "processing".into(), error: None });
            }
            Err(refusal) => {
                let (words, options) = self.place_question(language, &talk.text, &refusal);
                let parts = if options.is_empty() { vec![Part::Understanding { intent, confidence: 1.0 }] } else { vec![Part::Choices { options }] };
                self.answer(now_ms, &talk.room, message_id, words, parts);
            }
        }
    }

    fn place_question(&self, language: Language, text: &str, refusal: &Refusal) -> (String, Vec<String>) {
        let sites = self.sites();
        if sites.is_empty() {
            let words = language.pick(
                "還沒有裝置可以問。先用 `talkwire home run FILE` 接上一個練習的家，或用 `talkwire demo` 看看。",
                "还没有设备可以问。先用 `talkwire home run FILE` 接上一个练习的家，或用 `talkwire demo` 看看。",
                "There is no device to ask yet. Connect a practice home with `talkwire home run FILE`, or try `talkwire demo`.",
            );
            return (words.into(), Vec::new());
        }
        if refusal.details.contains_key("sites") {
            let words = language.pick("是哪一個地點呢？", "是哪一个地点呢？", "Which place is it?");
            let options = sites.iter().take(12).map(|(_, site)| format!("{site}: {text}")).collect();
            return (words.into(), options);
        }
        (format!("{} ({})", refusal.message, refusal.code), Vec::new())
    }

    /// The assistant speaks in a room; returns the message's id.
    fn answer(&mut self, now_ms: i64, room: &str, in_reply_to: &str, text: String, parts: Vec<Part>) -> Option<String> {
        let id = self.ids.uuid();
        let message = ChatMessage {
            id: id.clone(),
            in_reply_to: Some(in_reply_to.into()),
            session_id: room.into(),
            role: Role::Assistant,
            username: ASSISTANT.into(),
            text,
            parts,
            ts: now_ms,
            seq: 0,
            rev: 0,
            change: 0,
        };
        let message = self.post(now_ms, message).ok()?;
        if self.replies.len() >= REPLIES
            && let Some(oldest) = self.replies.iter().min_by_key(|(_, message)| message.ts).map(|(id, _)| id.clone())
        {
            self.replies.remove(&oldest);
        }
        self.replies.insert(id.clone(), message);
        Some(id)
    }

    /// The assistant's message of a session in its newest form; published when it differs.
    pub(super) fn refresh_message(&mut self, _now_ms: i64, session_id: &str) {
        let Some(session) = self.sessions.get(session_id) else { return };
        let (Some(message_id), Some(room)) = (session.message_id.clone(), session.room.clone()) else { return };
        let parts = self.session_parts(session);
        let text = if session.closing.is_empty() { session.opening.clone() } else { format!("{}\n\n{}", session.opening, session.closing) };
        // A message that is not in memory belongs to a session that ended long ago: its form stays.
        let known = self.replies.get(&message_id).cloned();
        let Some(mut message) = known.filter(|message| message.parts != parts || message.text != text) else { return };
        let Some(room) = self.rooms.get_mut(&room) else { return };
        room.last_change += 1;
        // The number of the change also orders the forms: it never starts again.
        (message.parts, message.text, message.rev, message.change) = (parts, text, room.last_change, room.last_change);
        let room = room.clone();
        self.save(Save::Room(Box::new(room.clone())));
        self.show(&room, &message);
        self.replies.insert(message_id, message);
    }

    /// What the assistant says in the course of a session, for clients of the chat room's own topics.
    pub(super) fn speak_in_room(&mut self, now_ms: i64, session_id: &str, text: &str) {
        let Some(room) = self.sessions.get(session_id).and_then(|session| session.room.clone()).and_then(|room| self.rooms.get(&room).cloned()) else { return };
        if !text.is_empty() {
            let id = self.ids.uuid();
            self.publish_room_message(now_ms, &room, &id, room.last_seq, Role::Assistant, ASSISTANT, text);
        }
    }

    pub(super) fn rename_room(&mut self, room: &str, name: &str) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.name = shown_name(name);
            let room = room.clone();
            self.save(Save::Room(Box::new(room)));
        }
    }

    pub(super) fn delete_room(&mut self, now_ms: i64, room: &str, who: &Principal) -> Result<Room, Refusal> {
        self.room_for(now_ms, room, who, false)?;
        if room == "main" {
            return Err(Refusal::new(Code::Forbidden, "the room main always stays"));
        }
        let gone = self.rooms.remove(room).ok_or_else(|| Refusal::new(Code::NotFound, "no such conversation"))?;
        self.members.retain(|(of, _), _| of != room);
        self.came_by.retain(|(of, _), _| of != room);
        self.save(Save::RoomGone(room.into()));
        self.audit(now_ms, "system", &who.label(), "room.deleted", room, json!({"messages": gone.message_count}));
        Ok(gone)
    }
}

/// Whoever asked, for a session: it counts as a guest unless the label is a person's. Diagnosing needs no more.
fn asker(label: &str) -> Principal {
    match label.split_once(':') {
        Some(("person", name)) => Principal::Person { name: name.into(), role: crate::access::Role::Viewer },
        Some((_, name)) => Principal::Guest { name: name.into() },
        None => Principal::Guest { name: label.into() },
    }
}
