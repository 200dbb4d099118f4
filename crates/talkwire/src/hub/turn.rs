//! One turn of the loop: events in, one batch out.

use super::event::{Event, How, Stored, Waiter};
use super::writer::{Batch, Done};
use crate::mind::{mind, understand_sentence};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use talkwire_core::delivery::{Delivery, Window, names_its_instant};
use talkwire_core::effect::RequestId;
use talkwire_core::{Ask, Core, Effect, Input, Refusal, Save};
use talkwire_proto::{Inbound, Malformed};
use tokio::sync::oneshot;

/// A mind that keeps answering itself is stopped after so many thoughts in a row.
const THOUGHTS: usize = 64;

/// What a turn has gathered.
#[derive(Default)]
pub struct Turn {
    batch: Batch,
    waiting: BTreeMap<RequestId, oneshot::Sender<Result<Value, Refusal>>>,
    requests: u64,
    window: Window,
}

impl Turn {
    /// With the deliveries that the store remembers.
    pub fn new(window: Window) -> Self {
        Self { window, ..Self::default() }
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Tells whoever waits for this turn that nothing can be stored now.
    pub fn refuse(&mut self, why: &str) {
        self.batch.refuse(why);
    }

    /// The batch, with rows that were overwritten within it left out.
    pub fn finish(&mut self) -> Batch {
        let mut batch = std::mem::take(&mut self.batch);
        batch.saves = newest_only(std::mem::take(&mut batch.saves));
        batch
    }

    /// Takes one event.
    pub fn take_event(&mut self, core: &mut Core, now_ms: i64, event: Event) {
        match event {
            Event::Message { from, topic, read, payload, how, done } => {
                if let How::Delivered(delivery) = &how
                    && self.recognises(delivery, &read, now_ms)
                {
                    // Stored with this batch or an earlier one: acknowledged after this one at the latest.
                    self.batch.done.extend(done.map(|done| waiting(done, Stored::Yes)));
                    return;
                }
                let input = match read {
                    Ok(inbound) if how == How::Kept => Input::Kept(inbound),
                    Ok(inbound) => Input::Message { from, inbound, bytes: payload.len() },
                    Err(why) => Input::Unreadable { from, topic, payload: payload.to_vec(), why },
                };
                let withheld = self.take_effects(core, now_ms, |core, now_ms| core.handle(now_ms, input));
                self.batch.received += 1;
                if let Some(done) = done {
                    self.batch.done.push(waiting(done, if withheld { Stored::Withheld } else { Stored::Yes }));
                }
            }
            Event::Probe(from, probe, done) => {
                let input = Input::Probe { from, key: probe.key, id: probe.id, op: probe.op };
                self.take_effects(core, now_ms, |core, now_ms| core.handle(now_ms, input));
                self.batch.done.push(Done::Message(done));
            }
            Event::ClientUp(origin) => drop(self.take_effects(core, now_ms, |core, now_ms| core.handle(now_ms, Input::ClientUp(origin)))),
            Event::ClientDown(client_id) => drop(self.take_effects(core, now_ms, |core, now_ms| core.handle(now_ms, Input::ClientDown { client_id }))),
            Event::Ask(who, ask, reply) => self.take_ask(core, now_ms, who, ask, reply),
            Event::Complain { who, text, place, reply } => {
                let devices: Vec<_> = core.devices().collect();
                let understood = understand_sentence(&text, &devices, now_ms);
                self.take_ask(core, now_ms, who, Ask::OpenSession { text, place, understood }, reply);
            }
            Event::Read(read, reply) => {
                let value = read(core);
                self.batch.done.push(Done::Read(reply, value));
            }
            Event::SessionBegun => {
                self.window.begin_session();
                self.batch.saves.push(Save::SessionBegun);
            }
            Event::Stop => {}
        }
    }

    /// Whether a delivery was stored before; if not, it is remembered from now on, in the same batch as its message.
    fn recognises(&mut self, delivery: &Delivery, read: &Result<Inbound, Malformed>, now_ms: i64) -> bool {
        let instant = read.as_ref().is_ok_and(|inbound| names_its_instant(inbound, now_ms));
        let known = self.window.knows(delivery, instant);
        if known {
            self.batch.repeated += 1;
        } else {
            self.batch.saves.push(Save::Delivered(self.window.remember(delivery)));
        }
        known
    }

    fn take_ask(&mut self, core: &mut Core, now_ms: i64, who: talkwire_core::Principal, ask: Ask, reply: oneshot::Sender<Result<Value, Refusal>>) {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.waiting.insert(request, reply);
        self.take_effects(core, now_ms, |core, now_ms| core.handle(now_ms, Input::Ask { request, who, ask }));
    }

    /// Runs the rules and, as far as they ask for it, the mind. Returns whether what came is to be withheld from others.
    pub fn take_effects(&mut self, core: &mut Core, now_ms: i64, act: impl FnOnce(&mut Core, i64) -> Vec<Effect>) -> bool {
        let mut effects: std::collections::VecDeque<Effect> = act(core, now_ms).into();
        let (mut thoughts, mut withheld) = (0, false);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Save(save) => self.batch.saves.push(save),
                Effect::Publish(publish) => self.batch.publishes.push(publish),
                Effect::Notify(notice) => self.batch.notices.push(notice),
                Effect::History(history) => self.batch.histories.push(history),
                Effect::Reply(request, answer) => {
                    if let Some(reply) = self.waiting.remove(&request) {
                        self.batch.done.push(Done::Ask(reply, answer));
                    }
                }
                Effect::Understand { message_id, text } => {
                    let devices: Vec<_> = core.devices().collect();
                    let understood = understand_sentence(&text, &devices, now_ms);
                    effects.extend(core.handle(now_ms, Input::Understood { message_id, understood }));
                }
                Effect::Withhold => withheld = true,
                Effect::Think(session_id) => {
                    let again = effects.iter().any(|later| matches!(later, Effect::Think(id) if *id == session_id));
                    if again {
                        continue;
                    }
                    thoughts += 1;
                    if thoughts > THOUGHTS {
                        tracing::warn!(session_id, "the mind answers itself; it goes on with the next event");
                        continue;
                    }
                    let moves = core.brief(&session_id, now_ms, |brief| mind().next(brief)).unwrap_or_default();
                    if !moves.is_empty() {
                        effects.extend(core.handle(now_ms, Input::Moves { session_id, moves }));
                    }
                }
            }
        }
        withheld
    }
}

fn waiting(waiter: Waiter, stored: Stored) -> Done {
    match waiter {
        Waiter::Stored(done) => Done::Message(done),
        Waiter::Router(done) => Done::Router(done, stored),
    }
}

/// Rows that a later one of the same batch replaces are left out; the order of the others stays.
fn newest_only(saves: Vec<Save>) -> Vec<Save> {
    let mut seen = HashSet::new();
    let mut kept: Vec<Save> = saves.into_iter().rev().filter(|save| name(save).is_none_or(|name| seen.insert(name))).collect();
    kept.reverse();
    kept
}

fn name(save: &Save) -> Option<(u8, String)> {
    Some(match save {
        Save::Device(device) => (0, device.key.to_string()),
        Save::Command(command) => (1, command.id.clone()),
        Save::Session(session) => (2, session.session_id.clone()),
        Save::Changeset(set) => (3, set.changeset_id.clone()),
        Save::Message(message) => (4, message.id.clone()),
        Save::Room(room) => (5, room.room.clone()),
        Save::Member(member) => (6, format!("{}/{}", member.room, member.client_id)),
        Save::Setting(name, _) => (7, name.clone()),
        Save::Sample(_)
        | Save::Event(_)
        | Save::Delivered(_)
        | Save::SessionBegun
        | Save::Outgoing(_)
        | Save::OutgoingGone(_)
        | Save::Receipt { .. }
        | Save::RoomGone(_)
        | Save::Audit(_)
        | Save::AuditHead(_)
        | Save::Quarantine(_) => return None,
    })
}
