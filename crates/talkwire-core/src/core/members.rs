//! Members of chat rooms: who came, through which connection, and under which name.

use super::Core;
use crate::access::Principal;
use crate::chat::{Member, folded_name, speaker};
use crate::effect::Save;
use crate::input::Origin;
use talkwire_proto::chat::Role;

/// Most members that are remembered; those who left longest ago are forgotten first.
const MEMBERS: usize = 20_000;

impl Core {
    /// Role and name of whoever speaks. A guest may not wear the name of an account that is connected.
    pub(super) fn speaker_now(&self, principal: &Principal, claimed: Option<&str>) -> (Role, String) {
        let (role, name) = speaker(principal, claimed);
        let folded = folded_name(&name);
        let taken = role == Role::Guest
            && self.clients.values().any(|client| matches!(&client.principal, Principal::Person { name, .. } if folded_name(name) == folded));
        (role, if taken { format!("{name} (guest)") } else { name })
    }

    /// The name of a member who is there.
    pub(super) fn present_name(&self, room: &str, client_id: &str) -> Option<String> {
        self.members.get(&(room.to_owned(), client_id.to_owned())).filter(|member| member.present).map(|member| member.username.clone())
    }

    pub(super) fn join(&mut self, now_ms: i64, from: &Origin, room: &str, client_id: &str, username: Option<&str>) {
        let (_, name) = self.speaker_now(&from.principal, username);
        let slot = (room.to_owned(), client_id.to_owned());
        let before = self.members.get(&slot).filter(|member| member.present).map(|member| (member.join_ms, member.message_count));
        if before.is_none() && self.members.len() >= MEMBERS && !self.members.contains_key(&slot) {
            let gone = self.members.values().filter(|member| !member.present).min_by_key(|member| member.join_ms);
            let Some(gone) = gone.map(|member| (member.room.clone(), member.client_id.clone())) else { return };
            self.members.remove(&gone);
        }
        let (join_ms, message_count) = before.unwrap_or((now_ms, 0));
        let member = Member { room: room.into(), client_id: client_id.into(), username: name.clone(), join_ms, message_count, present: true };
        self.members.insert(slot.clone(), member.clone());
        self.came_by.insert(slot, from.client_id.clone());
        self.save(Save::Member(member));
        if before.is_none() {
            self.notice(now_ms, room, &format!("{name} 加入了聊天室"), None, None);
        }
    }

    /// A member leaves. Only the connection through which it came can say so.
    pub(super) fn leave(&mut self, now_ms: i64, from: &Origin, room: &str, client_id: &str) {
        let slot = (room.to_owned(), client_id.to_owned());
        if self.came_by.get(&slot).is_some_and(|came_by| *came_by != from.client_id) {
            return;
        }
        self.take_leave(now_ms, &slot);
    }

    /// A connection is gone, and with it everybody who came through it.
    pub(super) fn leave_all(&mut self, now_ms: i64, connection: &str) {
        let slots: Vec<_> = self.came_by.iter().filter(|(_, came_by)| *came_by == connection).map(|(slot, _)| slot.clone()).collect();
        for slot in slots {
            self.take_leave(now_ms, &slot);
        }
    }

    fn take_leave(&mut self, now_ms: i64, slot: &(String, String)) {
        self.came_by.remove(slot);
        let Some(member) = self.members.get_mut(slot).filter(|member| member.present) else { return };
        member.present = false;
        let member = member.clone();
        self.notice(now_ms, &slot.0, &format!("{} 離開了聊天室", member.username), None, None);
        self.save(Save::Member(member));
    }

    pub(super) fn count_message(&mut self, room: &str, client_id: &str) {
        if let Some(member) = self.members.get_mut(&(room.to_owned(), client_id.to_owned())) {
            member.message_count += 1;
            let member = member.clone();
            self.save(Save::Member(member));
        }
    }
}
