//! The core: all rooms of the rules together, one input in, effects out.

mod changesets;
mod commands;
mod devices;
mod members;
mod proof;
mod rooms;
mod sessions;
mod web;

use crate::audit::Chains;
use crate::catalogue::Catalogue;
use crate::changeset::{self, Changeset};
use crate::chat::{Member, Room};
use crate::command::{Command, Life};
use crate::device::Device;
use crate::effect::{Effect, Notice, Publish, QuarantineRow, Save};
use crate::ids::Ids;
use crate::input::{Ask, Input, Origin};
use crate::refusal::Refusal;
use crate::session::{self, Session};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use talkwire_proto::{DeviceKey, Inbound, limits};

/// What the store remembers when the server starts.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// All devices.
    pub devices: Vec<Device>,
    /// Commands that have not ended, and those of the last day.
    pub commands: Vec<Command>,
    /// Sessions that have not ended.
    pub sessions: Vec<Session>,
    /// Change sets that have not ended, and those of the last day.
    pub changesets: Vec<Changeset>,
    /// All rooms.
    pub rooms: Vec<Room>,
    /// Members of rooms.
    pub members: Vec<Member>,
    /// The assistant's messages of sessions that have not ended, in their newest form.
    pub living: Vec<talkwire_proto::chat::ChatMessage>,
    /// The newest message ids, oldest first.
    pub message_ids: Vec<String>,
    /// Ends of the audit chains: tenant, last row, its hash, last row with a signed head.
    pub audit_ends: Vec<(String, u64, String, u64)>,
    /// Settings by name.
    pub settings: BTreeMap<String, Value>,
}

/// A message that waits for the mind.
#[derive(Debug, Clone)]
struct Talk {
    room: String,
    text: String,
    asked_by: String,
    place: Option<(String, String)>,
}

/// A chat message of which pieces have come.
#[derive(Debug, Clone)]
struct Pieces {
    first_ms: i64,
    asked: bool,
    from: Origin,
    send: talkwire_proto::chat::ChatSend,
    texts: BTreeMap<u32, String>,
}

/// All the rules' state. Deterministic: the same inputs give the same effects.
#[derive(Debug)]
pub struct Core {
    catalogue: Arc<Catalogue>,
    ids: Ids,
    key: SigningKey,
    devices: BTreeMap<DeviceKey, Device>,
    saved_ms: BTreeMap<DeviceKey, i64>,
    /// Devices that were connected when the server stopped, and until when a diagnosis waits for them.
    returning: BTreeMap<DeviceKey, i64>,
    life: Life,
    sessions: BTreeMap<String, Session>,
    sets: BTreeMap<String, Changeset>,
    rooms: BTreeMap<String, Room>,
    members: BTreeMap<(String, String), Member>,
    /// Through which connection a member came.
    came_by: BTreeMap<(String, String), String>,
    recent_messages: VecDeque<String>,
    known_messages: BTreeMap<String, (u64, i64)>,
    replies: BTreeMap<String, talkwire_proto::chat::ChatMessage>,
    talks: BTreeMap<String, Talk>,
    pieces: BTreeMap<(String, String), Pieces>,
    clients: BTreeMap<String, Origin>,
    clients_told: Option<(i64, u64)>,
    chains: Chains,
    settings: BTreeMap<String, Value>,
    /// When the rules last looked at what is due.
    ticked_ms: i64,
    /// What is due next among sets, sessions and the rest that takes a search; looked up again when one of them changed.
    alarm_ms: Option<i64>,
    out: Vec<Effect>,
}

impl Core {
    /// Builds the core from what the store remembers. `seed` and `key` are drawn by the caller.
    ///
    /// Devices start offline: nobody is connected yet. Deadlines hold as they were.
    pub fn new(catalogue: Arc<Catalogue>, seed: [u8; 32], key: SigningKey, memory: Memory, now_ms: i64) -> Self {
        let mut core = Self {
            catalogue,
            ids: Ids::new(seed),
            key,
            devices: memory.devices.into_iter().map(|device| (device.key.clone(), device)).collect(),
            saved_ms: BTreeMap::new(),
            returning: BTreeMap::new(),
            life: Life::default(),
            sessions: memory.sessions.into_iter().map(|session| (session.session_id.clone(), session)).collect(),
            sets: memory.changesets.into_iter().map(|set| (set.changeset_id.clone(), set)).collect(),
            rooms: memory.rooms.into_iter().map(|room| (room.room.clone(), room)).collect(),
            members: memory.members.into_iter().map(|member| ((member.room.clone(), member.client_id.clone()), member)).collect(),
            came_by: BTreeMap::new(),
            recent_messages: VecDeque::new(),
            known_messages: BTreeMap::new(),
            replies: memory.living.into_iter().map(|message| (message.id.clone(), message)).collect(),
            talks: BTreeMap::new(),
            pieces: BTreeMap::new(),
            clients: BTreeMap::new(),
            clients_told: None,
            chains: Chains::default(),
            settings: memory.settings,
            ticked_ms: now_ms,
            alarm_ms: None,
            out: Vec::new(),
        };
        for command in memory.commands {
            core.life.resume(command);
        }
        for (tenant, n, hash, head_n) in memory.audit_ends {
            core.chains.resume(&tenant, n, hash, head_n);
        }
        for id in memory.message_ids {
            core.remember_message(id, 0, now_ms);
        }
        for member in core.members.values_mut() {
            member.present = false;
        }
        for device in core.devices.values_mut().filter(|device| device.online) {
            device.online = false;
            device.presence_since_ms = now_ms;
            core.returning.insert(device.key.clone(), now_ms + devices::RETURN_MS);
        }
        core
    }

    /// What must be done right after a start: the room `main`, devices marked as not connected, sessions and sets taken up.
    pub fn start(&mut self, now_ms: i64) -> Vec<Effect> {
        if !self.rooms.contains_key("main") {
            self.create_room(now_ms, "main".into(), "main".into(), true, "system".into(), true);
        }
        for key in self.devices.keys().cloned().collect::<Vec<_>>() {
            self.save_device(now_ms, &key);
        }
        let active: Vec<_> =
            self.sessions.values().filter(|session| session.status == session::SessionStatus::Active).map(|session| session.session_id.clone()).collect();
        for session_id in active {
            self.think(&session_id);
        }
        self.tick(now_ms);
        self.publish_settings();
        self.take()
    }

    /// Takes one input that happened at `now_ms` (Unix milliseconds) and returns what is to be done.
    pub fn handle(&mut self, now_ms: i64, input: Input) -> Vec<Effect> {
        match input {
            Input::Message { from, inbound, bytes: _ } => match inbound {
                Inbound::Device(key, envelope, body) => self.device_message(now_ms, key, *envelope, body, false),
                Inbound::Room(room, tail, input) => self.room_message(now_ms, &from, room.as_str(), tail, input),
                Inbound::Web(input) => self.web_message(now_ms, &from, input),
            },
            Input::Kept(Inbound::Device(key, envelope, body)) => self.device_message(now_ms, key, *envelope, body, true),
            // Only what devices say of themselves is kept.
            Input::Kept(_) => {}
            Input::Unreadable { from, topic, payload, why } => self.unreadable(now_ms, &from, topic, payload, &why),
            Input::Probe { from, key, id, op } => {
                let device = key.to_string();
                self.audit(now_ms, key.tenant.as_str(), &from.principal.label(), "command.probe", &id, json!({"device": device, "op": op}));
            }
            Input::ClientUp(origin) => {
                self.clients.insert(origin.client_id.clone(), origin);
            }
            Input::ClientDown { client_id } => {
                self.clients.remove(&client_id);
                self.pieces.retain(|(client, _), _| *client != client_id);
                self.leave_all(now_ms, &client_id);
            }
            Input::Ask { request, who, ask } => {
                if let Some(answer) = self.ask(now_ms, &who, ask) {
                    self.out.push(Effect::Reply(request, answer));
                }
            }
            Input::Understood { message_id, understood } => self.understood(now_ms, &message_id, understood),
            Input::Moves { session_id, moves } => self.apply_moves(now_ms, &session_id, moves),
            Input::Tick => self.tick(now_ms),
        }
        self.take()
    }

    fn take(&mut self) -> Vec<Effect> {
        // Samples and events change nothing that could be due; everything else may.
        let quiet = |effect: &Effect| matches!(effect, Effect::Save(Save::Sample(_) | Save::Event(_)) | Effect::Notify(Notice::Event(_)));
        if self.out.is_empty() || !self.out.iter().all(quiet) {
            self.alarm_ms = self.next_alarm();
        }
        std::mem::take(&mut self.out)
    }

    fn ask(&mut self, now_ms: i64, who: &crate::Principal, ask: Ask) -> Option<Result<Value, Refusal>> {
        Some(match ask {
            Ask::Command { key, op, args, timeout_ms } => {
                let wanted = commands::Wanted { key, op, args, timeout_ms, ..commands::Wanted::default_for(who) };
                self.submit(now_ms, wanted).map(|id| json!(self.life.command(&id)))
            }
            Ask::CancelCommand(id) => self.cancel_command(now_ms, who, &id),
            Ask::OpenSession { text, place, understood } => {
                self.open_session(now_ms, who, &text, place, understood, None).map(|id| json!(self.sessions.get(&id)))
            }
            Ask::CancelSession(id) => self.cancel_session(now_ms, who, &id),
            Ask::Propose { operations, reason } => self.propose_by_hand(now_ms, who, operations, &reason),
            Ask::Approve { changeset_id, plan_hash } => self.approve(now_ms, who, &changeset_id, &plan_hash),
            Ask::Reject(id) => self.reject(now_ms, who, &id),
            Ask::Rollback(id) => self.roll_back(now_ms, who, &id),
            Ask::Settle(id) => self.settle(now_ms, who, &id),
            Ask::Say { room, id, text, reply_to } => {
                let from = Origin { principal: who.clone(), client_id: String::new() };
                if let Err(refusal) = self.room_for(now_ms, &room, who, false) {
                    return Some(Err(refusal));
                }
                self.say(now_ms, &from, &room, id, None, &text, reply_to).map(|message| json!(message))
            }
        })
    }

    fn tick(&mut self, now_ms: i64) {
        self.ticked_ms = now_ms;
        for change in self.life.due(now_ms) {
            self.command_changed(now_ms, change);
        }
        self.tick_changesets(now_ms);
        self.tick_returning(now_ms);
        self.tick_sessions(now_ms);
        self.tick_pieces(now_ms);
        for head in self.chains.due_heads(now_ms, &self.key, false) {
            self.save(Save::AuditHead(head));
        }
        let clients = self.clients.len() as u64;
        if self.clients_told.is_none_or(|(at, told)| told != clients && now_ms >= at + 1_000) {
            self.clients_told = Some((now_ms, clients));
            self.publish_connection("connection/client", "connected", now_ms, clients, None);
        }
    }

    /// Signs the heads of all chains that have new rows, for an orderly stop.
    pub fn stop(&mut self, now_ms: i64) -> Vec<Effect> {
        for head in self.chains.due_heads(now_ms, &self.key, true) {
            self.save(Save::AuditHead(head));
        }
        self.take()
    }

    /// When something is due by itself next, in Unix milliseconds.
    pub fn next_deadline(&self) -> Option<i64> {
        let at = self.life.next_deadline().into_iter().chain(self.alarm_ms).min()?;
        // What was due at the last tick and still waits for something else is looked at once a second.
        Some(if at <= self.ticked_ms { self.ticked_ms + 1_000 } else { at })
    }

    fn next_alarm(&self) -> Option<i64> {
        let sets = self.sets.values().filter_map(changeset::next_deadline).min();
        let lost = self.next_loss_ms();
        let sessions = self.sessions.values().filter(|session| session.ended_at.is_none()).map(|session| session.created_at + session::DURATION_MS).min();
        let returning = self.returning.values().copied().min();
        let pieces = self.pieces.values().map(|pieces| pieces.first_ms + if pieces.asked { web::PIECES_MS } else { web::PIECES_ASK_MS }).min();
        let clients = self.clients_told.filter(|(_, told)| *told != self.clients.len() as u64).map(|(at, _)| at + 1_000);
        [sets, lost, sessions, returning, pieces, clients, self.chains.next_head_ms()].into_iter().flatten().min()
    }

    fn unreadable(&mut self, now_ms: i64, from: &Origin, topic: String, payload: Vec<u8>, why: &talkwire_proto::Malformed) {
        if let Ok(talkwire_proto::Topic::Device(key, _)) = topic.parse()
            && let Some(device) = self.devices.get_mut(&key)
        {
            device.diagnostics.malformed += 1;
            self.save_device_soon(now_ms, &key);
        }
        let reason = format!("{}: {why}", why.code());
        let refusal = Refusal::new(why.code(), why.to_string());
        if topic.starts_with("chat") {
            self.refuse_chat(now_ms, from, &topic, None, &refusal);
        } else if topic.starts_with("system/") {
            self.refuse_parameter(from, &refusal);
        }
        let payload = payload[..payload.len().min(limits::QUARANTINE_BYTES)].to_vec();
        let topic = topic.chars().take(limits::TOPIC_BYTES).collect();
        self.save(Save::Quarantine(QuarantineRow { topic, reason, payload, received_ms: now_ms }));
    }

    fn save(&mut self, save: Save) {
        self.out.push(Effect::Save(save));
    }

    fn publish(&mut self, publish: Publish) {
        self.out.push(Effect::Publish(publish));
    }

    fn audit(&mut self, now_ms: i64, tenant: &str, actor: &str, action: &str, subject: &str, detail: Value) {
        let row = self.chains.append(now_ms, tenant, actor, action, subject, detail);
        self.save(Save::Audit(row));
    }

    /// All devices.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }

    /// One device.
    pub fn device(&self, key: &DeviceKey) -> Option<&Device> {
        self.devices.get(key)
    }

    /// A session that is still in memory.
    pub fn session(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// A change set that is still in memory.
    pub fn changeset(&self, id: &str) -> Option<&Changeset> {
        self.sets.get(id)
    }

    /// A command that is still in memory.
    pub fn command(&self, id: &str) -> Option<&Command> {
        self.life.command(id)
    }

    /// All rooms.
    pub fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.rooms.values()
    }

    /// Members of rooms who are there now.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.present)
    }

    /// How many MQTT clients are connected.
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// The tools.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What the mind needs for its next moves in a session; `None` when the session is over.
    pub fn brief<T>(&self, session_id: &str, now_ms: i64, then: impl FnOnce(&crate::moves::Brief<'_>) -> T) -> Option<T> {
        let session = self.sessions.get(session_id).filter(|session| session.status == session::SessionStatus::Active)?;
        let devices: Vec<_> = self.devices.values().filter(|device| device.key.tenant == session.tenant && device.key.site == session.site).collect();
        let changeset = session.changeset_id.as_ref().and_then(|id| self.sets.get(id));
        let here = |set: &&Changeset| set.tenant == session.tenant && set.site == session.site && set.was_futile_at(now_ms);
        let futile: Vec<_> = self.sets.values().filter(here).collect();
        Some(then(&crate::moves::Brief { session, devices: &devices, changeset, futile: &futile, catalogue: &self.catalogue, now_ms }))
    }
}
