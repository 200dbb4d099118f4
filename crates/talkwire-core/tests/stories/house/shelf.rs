//! The store of the stories: applies what is saved, and gives it back through JSON as a store on disk does.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use talkwire_core::Save;
use talkwire_core::audit::{AuditHead, AuditRow};
use talkwire_core::changeset::Changeset;
use talkwire_core::chat::{Member, Room};
use talkwire_core::command::Command;
use talkwire_core::core::Memory;
use talkwire_core::device::Device;
use talkwire_core::effect::{EventRow, QuarantineRow, Sample};
use talkwire_core::session::Session;
use talkwire_proto::chat::ChatMessage;

#[derive(Default)]
pub struct Shelf {
    pub devices: BTreeMap<String, Device>,
    pub commands: BTreeMap<String, Command>,
    pub sessions: BTreeMap<String, Session>,
    pub sets: BTreeMap<String, Changeset>,
    pub rooms: BTreeMap<String, Room>,
    pub members: BTreeMap<(String, String), Member>,
    /// By room and place.
    pub messages: BTreeMap<(String, u64), ChatMessage>,
    pub audit: Vec<AuditRow>,
    pub heads: Vec<AuditHead>,
    pub samples: Vec<Sample>,
    pub events: Vec<EventRow>,
    pub quarantine: Vec<QuarantineRow>,
    pub receipts: BTreeMap<String, Value>,
    pub settings: BTreeMap<String, Value>,
}

fn reread<T: Serialize + DeserializeOwned>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    values.into_iter().map(|value| serde_json::from_str(&serde_json::to_string(&value).unwrap()).unwrap()).collect()
}

impl Shelf {
    pub fn save(&mut self, save: Save) {
        match save {
            Save::Device(device) => drop(self.devices.insert(device.key.to_string(), *device)),
            Save::Sample(sample) => self.samples.push(sample),
            Save::Event(event) => self.events.push(event),
            Save::Command(command) => drop(self.commands.insert(command.id.clone(), *command)),
            Save::Session(session) => drop(self.sessions.insert(session.session_id.clone(), *session)),
            Save::Changeset(set) => drop(self.sets.insert(set.changeset_id.clone(), *set)),
            Save::Receipt { changeset_id, receipt } => drop(self.receipts.insert(changeset_id, receipt)),
            Save::Message(message) => {
                assert!(message.seq > 0, "a message without a place");
                let place = (message.session_id.clone(), message.seq);
                let before = self.messages.insert(place, (*message).clone());
                if let Some(before) = before {
                    assert_eq!(before.id, message.id, "two messages at one place");
                    assert!(message.rev > before.rev && message.change > before.change, "a newer form must count as newer");
                }
            }
            Save::Room(room) => drop(self.rooms.insert(room.room.clone(), *room)),
            Save::RoomGone(room) => {
                self.rooms.remove(&room);
                self.messages.retain(|(of, _), _| *of != room);
                self.members.retain(|(of, _), _| *of != room);
            }
            Save::Member(member) => drop(self.members.insert((member.room.clone(), member.client_id.clone()), member)),
            Save::Audit(row) => self.audit.push(row),
            Save::AuditHead(head) => self.heads.push(head),
            Save::Quarantine(row) => self.quarantine.push(row),
            Save::Delivered(_) | Save::SessionBegun | Save::Outgoing(_) | Save::OutgoingGone(_) => {}
            Save::Setting(name, value) => drop(self.settings.insert(name, value)),
        }
    }

    pub fn memory(&self) -> Memory {
        let mut ends: BTreeMap<&str, (u64, String)> = BTreeMap::new();
        for row in &self.audit {
            ends.insert(&row.tenant, (row.n, row.hash.clone()));
        }
        let head = |tenant: &str| self.heads.iter().filter(|head| head.tenant == tenant).map(|head| head.n).max().unwrap_or(0);
        let living: Vec<_> = self.sessions.values().filter_map(|session| session.message_id.clone()).collect();
        Memory {
            devices: reread(self.devices.values().cloned()),
            commands: reread(self.commands.values().cloned()),
            sessions: reread(self.sessions.values().cloned()),
            changesets: reread(self.sets.values().cloned()),
            rooms: reread(self.rooms.values().cloned()),
            members: reread(self.members.values().cloned()),
            living: reread(self.messages.values().filter(|message| living.contains(&message.id)).cloned()),
            message_ids: self.messages.values().map(|message| message.id.clone()).collect(),
            audit_ends: ends.into_iter().map(|(tenant, (n, hash))| (tenant.to_owned(), n, hash, head(tenant))).collect(),
            settings: self.settings.clone(),
        }
    }
}
