//! Devices: what they say of themselves, and what is kept of it.

use super::Core;
use crate::changeset::{self, Report};
use crate::device::Device;
use crate::effect::{Effect, EventRow, Flag, Notice, Sample, Save};
use crate::stamps::{Family, Standing};
use serde_json::{Value, json};
use talkwire_proto::attr::Attr;
use talkwire_proto::capability::{CapabilityUpdate, ToolSupport};
use talkwire_proto::command::CommandEnvelope;
use talkwire_proto::envelope::Envelope;
use talkwire_proto::event::Severity;
use talkwire_proto::inbound::DeviceBody;
use talkwire_proto::lwt::Presence;
use talkwire_proto::telemetry::Telemetry;
use talkwire_proto::text::shown;
use talkwire_proto::{DeviceKey, DeviceTail, Site, Tenant, chatroom, limits};

/// A device's row is written at least this often while it only sends samples, in milliseconds.
const SAVE_EVERY_MS: i64 = 60_000;
/// So long after a start a diagnosis waits for the devices that were connected before, in milliseconds.
pub(super) const RETURN_MS: i64 = 30_000;

impl Core {
    pub(super) fn device_message(&mut self, now_ms: i64, key: DeviceKey, envelope: Envelope, body: DeviceBody, kept: bool) {
        let is_new = !self.devices.contains_key(&key);
        self.ensure_device(now_ms, &key);
        if self.standing(now_ms, &key, &envelope, &body, kept) == Standing::Stale {
            return self.keep_stale(now_ms, &key, &envelope, &body);
        }
        // A will speaks for a device that is gone; so may one whose words we do not know.
        let may_be_gone =
            matches!(&body, DeviceBody::Lwt(lwt) if lwt.status == Presence::Offline) || matches!(&body, DeviceBody::Newer(tail) if *tail == DeviceTail::Lwt);
        // What a broker kept from before says how the device was; only its `lwt` says that it is there.
        let says_nothing = kept && !matches!(&body, DeviceBody::Lwt(_));
        if is_new
            && says_nothing
            && let Some(device) = self.devices.get_mut(&key)
        {
            device.online = false;
        }
        let went_online = !may_be_gone && !says_nothing && self.set_presence(now_ms, &key, true);
        if let Some(device) = self.devices.get_mut(&key).filter(|_| !kept) {
            device.last_seen_ms = now_ms;
            device.diagnostics.messages_received += 1;
            device.diagnostics.clock_ahead += u64::from(envelope.ts_ahead);
            device.diagnostics.told_late += u64::from(envelope.ts_behind && matches!(&body, DeviceBody::Telemetry(..) | DeviceBody::Event(..)));
            device.diagnostics.clock_unset += u64::from(envelope.ts_unset);
        }
        if went_online {
            self.device_came_back(now_ms, &key);
        }
        match body {
            DeviceBody::Lwt(lwt) => {
                if lwt.status == Presence::Offline
                    && self.set_presence(now_ms, &key, false)
                    && lwt.reason.as_deref() != Some("normal_shutdown")
                    && let Some(device) = self.devices.get_mut(&key)
                {
                    device.diagnostics.connection_errors += 1;
                }
                self.save_device(now_ms, &key);
            }
            DeviceBody::Attr(attr) => self.take_attr(now_ms, &key, attr, envelope.raw),
            DeviceBody::State(state) => {
                if let Some(device) = self.devices.get_mut(&key) {
                    device.health = state.health;
                    device.state = envelope.raw;
                }
                self.save_device(now_ms, &key);
            }
            DeviceBody::Telemetry(metric, telemetry) => self.keep_samples(now_ms, &key, &envelope, &metric, telemetry),
            DeviceBody::Event(name, event) => {
                let mut severity = event.severity;
                if name == "changeset.rolled_back" {
                    self.device_restored(now_ms, &key, &event.data);
                    // That a rehearsal was taken back is what it was for.
                    let rehearsed = event.data.get("changeset_id").and_then(Value::as_str).is_some_and(|id| changeset::rehearsed_set(id).is_some());
                    severity = if rehearsed { Severity::Info } else { severity };
                }
                self.keep_event(now_ms, &key, &envelope, name, severity, Value::Object(event.data));
            }
            DeviceBody::Ack(ack) => {
                let change = self.life.ack(now_ms, &key, ack);
                self.command_answered(now_ms, &key, change);
            }
            DeviceBody::Answer(answer) => {
                let change = self.life.answer(now_ms, &key, answer);
                self.command_answered(now_ms, &key, change);
            }
            DeviceBody::Topology(part, topology) => {
                let left_out = self.hearsay.take(now_ms, &key, &part, &topology);
                if let Some(device) = self.devices.get_mut(&key) {
                    device.diagnostics.topology_left_out += left_out.nodes + left_out.links;
                }
                self.keep_event(now_ms, &key, &envelope, format!("topology.{part}"), Severity::Info, envelope.raw.clone());
            }
            DeviceBody::Diagnostics(test) => self.keep_event(now_ms, &key, &envelope, format!("diagnostics.{test}"), Severity::Info, envelope.raw.clone()),
            DeviceBody::Newer(tail) => {
                let name = format!("message.newer.{}", tail.to_string().replace('/', "."));
                self.keep_event(now_ms, &key, &envelope, name, Severity::Warning, envelope.raw.clone());
            }
            DeviceBody::Capability(update) => {
                self.take_capabilities(now_ms, &key, &update);
                self.save_device(now_ms, &key);
            }
        }
        if self.saved_ms.get(&key).is_none_or(|at| now_ms - at >= SAVE_EVERY_MS) {
            self.save_device(now_ms, &key);
        }
    }

    fn ensure_device(&mut self, now_ms: i64, key: &DeviceKey) {
        if !self.devices.contains_key(key) {
            self.devices.insert(key.clone(), Device::unknown(key.clone(), now_ms));
            self.audit(now_ms, key.tenant.as_str(), &format!("device:{key}"), "device.joined", &key.to_string(), Value::Null);
        }
    }

    /// Returns whether the presence changed.
    fn set_presence(&mut self, now_ms: i64, key: &DeviceKey, online: bool) -> bool {
        let Some(device) = self.devices.get_mut(key).filter(|device| device.online != online) else { return false };
        device.online = online;
        device.presence_since_ms = now_ms;
        self.save_device(now_ms, key);
        if online && self.returning.remove(key).is_some() {
            self.think_where_all_are_back();
        }
        true
    }

    /// Devices that did not come back are waited for no longer.
    pub(super) fn tick_returning(&mut self, now_ms: i64) {
        let before = self.returning.len();
        self.returning.retain(|_, until_ms| now_ms < *until_ms);
        if self.returning.len() < before {
            self.think_where_all_are_back();
        }
    }

    /// Whether devices of this place are still on their way back after a start.
    pub(super) fn is_settling(&self, tenant: &Tenant, site: &Site) -> bool {
        self.returning.keys().any(|key| key.tenant == *tenant && key.site == *site)
    }

    fn device_came_back(&mut self, now_ms: i64, key: &DeviceKey) {
        for change in self.life.resend_to(now_ms, key) {
            self.command_changed(now_ms, change);
        }
        for changeset_id in self.open_sets_of(key) {
            self.report(now_ms, &changeset_id, Report::Back(key.clone()));
        }
    }

    fn device_restored(&mut self, now_ms: i64, key: &DeviceKey, data: &serde_json::Map<String, Value>) {
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        let Some(id) = text("changeset_id").filter(|id| id.len() <= limits::ID_BYTES) else { return };
        let (reason, hash) = (text("reason").unwrap_or_else(|| "deadline".into()), text("restored_hash"));
        let (changeset_id, of_undo) = changeset::set_of(&id);
        let rehearsed = changeset::rehearsed_set(&id);
        let changeset_id = rehearsed.unwrap_or(changeset_id);
        // Only a device of the set can say anything of it.
        if self.sets.get(changeset_id).is_none_or(|set| !set.operations.iter().any(|operation| operation.key == *key)) {
            return;
        }
        let detail = json!({"reason": shown(&reason, limits::LABEL_CHARS), "restored_hash": hash.as_deref().map(|hash| shown(hash, limits::LABEL_CHARS))});
        self.audit(now_ms, key.tenant.as_str(), &format!("device:{key}"), "changeset.restored_by_device", &id, detail);
        let what = if rehearsed.is_some() {
            Report::Rehearsed { key: key.clone(), id: id.clone(), hash }
        } else if of_undo {
            Report::UndoLapsed(key.clone())
        } else {
            Report::SelfRestored { key: key.clone(), reason, hash }
        };
        self.report(now_ms, changeset_id, what);
    }

    fn take_attr(&mut self, now_ms: i64, key: &DeviceKey, attr: Attr, raw: Value) {
        let before = self.before_attr(key);
        let Some(device) = self.devices.get_mut(key) else { return };
        let says_who = attr.device_type.is_some() || attr.model.is_some() || attr.tools.is_some();
        if let Some(device_type) = attr.device_type {
            device.device_type = chatroom::shown_name(&device_type);
        }
        if let Some(name) = attr.name.map(|name| chatroom::shown_name(&name)).filter(|name| !name.is_empty()) {
            device.name = name;
        }
        device.model = attr.model.map(|model| chatroom::shown_name(&model)).or(device.model.take());
        if !attr.features.is_empty() {
            device.features = attr.features;
        }
        if attr.command_envelope.is_some() || attr.update.is_none() {
            device.envelope = CommandEnvelope::from_word(attr.command_envelope.as_deref());
        }
        if let Some(tools) = attr.tools {
            device.tools = tools;
        }
        // An `attr` that only carries a capability update says nothing of who the device is.
        if attr.update.is_none() || says_who || device.attr.is_null() {
            device.attr = raw;
        }
        if let Some(before) = before {
            self.after_attr(now_ms, key, &before);
        }
        if let Some(update) = attr.update {
            self.take_capabilities(now_ms, key, &update);
        }
        self.save_device(now_ms, key);
    }

    fn take_capabilities(&mut self, now_ms: i64, key: &DeviceKey, update: &CapabilityUpdate) {
        for change in &update.changes {
            self.forget_way_back(now_ms, key, &change.tool);
        }
        let Some(device) = self.devices.get_mut(key) else { return };
        for change in &update.changes {
            let declares = matches!((change.change_type.as_str(), &change.new_value), ("availability" | "supported", Value::Bool(_)));
            let known = device.tool(&change.tool).and_then(|(name, support)| support.map(|_| name));
            let tool = match known.and_then(|name| device.tools.get_mut(&name)) {
                Some(tool) => tool,
                None if declares => device.tools.entry(change.tool.clone()).or_insert_with(ToolSupport::plain),
                // A tool that was never declared cannot have got another version or limit.
                None => continue,
            };
            match (change.change_type.as_str(), &change.new_value) {
                ("version", Value::String(version)) => tool.version = Some(version.clone()),
                ("availability" | "supported", Value::Bool(flag)) => tool.supported = *flag,
                ("limitations" | "limits", Value::Object(limits)) => tool.limitations.extend(limits.clone()),
                ("rollback_supported", Value::Bool(false)) => tool.rollback_supported = Some(false),
                _ => {}
            }
            tool.reason.clone_from(&change.reason);
        }
    }

    fn keep_samples(&mut self, now_ms: i64, key: &DeviceKey, envelope: &Envelope, metric: &str, telemetry: Telemetry) {
        // A clock that is wrong beyond doubt neither orders samples nor makes them look old enough to be dropped.
        let ts_ms = envelope.ts_ms.filter(|_| !envelope.ts_ahead && !envelope.ts_unset).unwrap_or(now_ms);
        let sample = |metric: String, value: Option<f64>, unit: Option<String>, body: Option<Value>| Sample {
            key: key.clone(),
            metric,
            ts_ms,
            received_ms: now_ms,
            value,
            unit,
            body,
        };
        if telemetry.value.is_some() {
            self.save(Save::Sample(sample(metric.into(), telemetry.value, telemetry.unit.clone(), None)));
        }
        for (name, value) in &telemetry.figures {
            self.save(Save::Sample(sample(format!("{metric}.{name}"), Some(*value), None, None)));
        }
        if telemetry.value.is_none() && telemetry.figures.is_empty() {
            self.save(Save::Sample(sample(metric.into(), None, telemetry.unit, Some(envelope.raw.clone()))));
        }
    }

    fn keep_event(&mut self, now_ms: i64, key: &DeviceKey, envelope: &Envelope, event_type: String, severity: Severity, data: Value) {
        let flag = match () {
            () if envelope.schema_unknown => Some(Flag::Newer),
            () if envelope.ts_ahead => Some(Flag::Ahead),
            () if envelope.ts_unset => Some(Flag::Unset),
            () if envelope.ts_behind => Some(Flag::Late),
            () => None,
        };
        self.tell_event(EventRow { key: key.clone(), event_type, severity, data, ts_ms: envelope.ts_ms.unwrap_or(now_ms), received_ms: now_ms, flag });
    }

    pub(super) fn tell_event(&mut self, event: EventRow) {
        self.save(Save::Event(event.clone()));
        self.out.push(Effect::Notify(Notice::Event(event)));
    }

    /// Whether a message says how the device is now.
    fn standing(&mut self, now_ms: i64, key: &DeviceKey, envelope: &Envelope, body: &DeviceBody, kept: bool) -> Standing {
        let Some(device) = self.devices.get_mut(key) else { return Standing::Current };
        match body {
            DeviceBody::State(_) => device.stamps.take(Family::State, envelope, now_ms, kept),
            DeviceBody::Topology(..) => device.stamps.take(Family::Topology, envelope, now_ms, kept),
            // An `attr` that only carries a change of capabilities says nothing of the rest.
            DeviceBody::Attr(attr) if attr.update.is_none() || attr.tools.is_some() => device.stamps.take(Family::Attr, envelope, now_ms, kept),
            DeviceBody::Attr(_) | DeviceBody::Capability(_) => device.stamps.of_change(envelope),
            _ => Standing::Current,
        }
    }

    /// Keeps a message that is older than what is known: as history, and not as a sign of life. Nobody is told that it is so now.
    fn keep_stale(&mut self, now_ms: i64, key: &DeviceKey, envelope: &Envelope, body: &DeviceBody) {
        if let Some(device) = self.devices.get_mut(key) {
            device.diagnostics.messages_received += 1;
            device.diagnostics.clock_ahead += u64::from(envelope.ts_ahead);
            device.diagnostics.stale += 1;
        }
        let what = match body {
            DeviceBody::State(_) => "state",
            DeviceBody::Attr(_) => "attr",
            DeviceBody::Topology(..) => "topology",
            _ => "capability.update",
        };
        let (event_type, data) = (format!("message.stale.{what}"), envelope.raw.clone());
        let (ts_ms, severity, flag) = (envelope.ts_ms.unwrap_or(now_ms), Severity::Warning, Some(Flag::Stale));
        self.tell_event(EventRow { key: key.clone(), event_type, severity, data, ts_ms, received_ms: now_ms, flag });
        self.out.push(Effect::Withhold);
        self.save_device_soon(now_ms, key);
    }

    /// Saves the device unless that was done within the last second: counters that others can drive up must not cost a row each.
    pub(super) fn save_device_soon(&mut self, now_ms: i64, key: &DeviceKey) {
        if self.saved_ms.get(key).is_none_or(|at| now_ms - at >= 1_000) {
            self.save_device(now_ms, key);
        }
    }

    pub(super) fn save_device(&mut self, now_ms: i64, key: &DeviceKey) {
        if let Some(device) = self.devices.get(key) {
            let device = Box::new(device.clone());
            self.saved_ms.insert(key.clone(), now_ms);
            self.out.push(Effect::Save(Save::Device(device.clone())));
            self.out.push(Effect::Notify(Notice::Device(device)));
        }
    }
}
