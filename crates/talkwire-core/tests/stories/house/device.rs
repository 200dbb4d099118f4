//! A device of the stories: runs each command id once, keeps a change journal, and goes back by itself in silence.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use talkwire_core::Principal;
use talkwire_core::ids::{canonical_json, sha256_hex};
use talkwire_core::input::Origin;
use talkwire_proto::DeviceKey;
use talkwire_proto::command::Request;

/// Topic tail and payload.
pub type Said = (String, Value);

pub struct Pending {
    pub id: String,
    pub deadline: i64,
    before: Vec<Value>,
}

pub struct FakeDevice {
    pub key: DeviceKey,
    pub config: Value,
    pub journal: bool,
    pub connected: bool,
    pub pending: Option<Pending>,
    /// How ended sets ended.
    pub ended: BTreeMap<String, &'static str>,
    /// How often each Act id was carried out.
    pub runs: BTreeMap<String, u32>,
    /// Ops refused, with the code.
    pub refuse: BTreeMap<String, &'static str>,
    /// Ops that get no answer.
    pub mute: Vec<String>,
    /// While true, restoring fails.
    pub stuck: bool,
    /// Captures its section in words of its own, in which no argument is found.
    pub own_words: bool,
    /// What was captured before each Act, by the Act's id.
    captured: BTreeMap<String, Value>,
    /// Every op taken, in order.
    pub taken: Vec<String>,
    answers: BTreeMap<String, Value>,
    lost_since: Option<i64>,
    unsent: Vec<Said>,
}

pub fn hash(config: &Value) -> String {
    sha256_hex(canonical_json(config).as_bytes())
}

impl FakeDevice {
    pub fn new(name: &str) -> Self {
        Self {
            key: super::key_of(name),
            config: json!({"channel": 6, "power_dbm": 20}),
            journal: true,
            connected: true,
            pending: None,
            ended: BTreeMap::new(),
            runs: BTreeMap::new(),
            refuse: BTreeMap::new(),
            mute: Vec::new(),
            stuck: false,
            own_words: false,
            captured: BTreeMap::new(),
            taken: Vec::new(),
            answers: BTreeMap::new(),
            lost_since: None,
            unsent: Vec::new(),
        }
    }

    pub fn origin(&self) -> Origin {
        Origin { principal: Principal::Device { key: self.key.clone() }, client_id: self.key.device_id.to_string() }
    }

    pub fn attr(&self) -> Value {
        let tool = json!({"version": "1.0"});
        let act = json!({"version": "1.0", "rollback_supported": self.journal});
        json!({"device_type": "access_point", "name": self.key.device_id, "model": "Lamp 3", "capabilities": {"tools": {
            "device.status": tool, "network.interface_status": tool, "network.speedtest_full": tool,
            "wifi.set_channel": act, "wifi.set_power": act, "device.restart": act}}})
    }

    /// Takes a command and says what it says.
    pub fn take(&mut self, now: i64, payload: &[u8]) -> Vec<Said> {
        let request = Request::decode(payload, now).expect("we send what can be read");
        if !self.connected {
            return Vec::new();
        }
        self.taken.push(request.op.clone());
        if self.mute.contains(&request.op) {
            return Vec::new();
        }
        let mut said = vec![("cmd/ack".to_owned(), json!({"id": request.id, "status": "received"}))];
        let is_manage = request.op.starts_with("changeset.");
        let answer = match self.answers.get(&request.id).filter(|_| !is_manage) {
            Some(answer) => answer.clone(),
            None => match self.run(now, &request) {
                Ok(result) => json!({"id": request.id, "status": "completed", "result": result}),
                Err((code, details)) => json!({"id": request.id, "status": "failed", "error": {"code": code, "message": code, "details": details}}),
            },
        };
        self.answers.insert(request.id.clone(), answer.clone());
        said.push(("cmd/res".to_owned(), answer));
        said
    }

    fn run(&mut self, now: i64, request: &Request) -> Result<Value, (&'static str, Value)> {
        if let Some(code) = self.refuse.get(&request.op) {
            return Err((code, Value::Null));
        }
        let set = request.args.get("changeset_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        match request.op.as_str() {
            "changeset.prepare" => {
                self.admit(&set)?;
                let operations = request.args["operations"].as_array().unwrap();
                Ok(
                    json!({"operations": operations.iter().map(|one| json!({"op": one["op"], "previous": self.config, "previous_hash": hash(&self.config)})).collect::<Vec<_>>()}),
                )
            }
            "changeset.commit" => {
                if self.ended.get(&set) == Some(&"committed") {
                    return Ok(json!({"committed": true}));
                }
                if self.pending.as_ref().is_none_or(|pending| pending.id != set || pending.deadline <= now) {
                    return Err(self.unknown(&set));
                }
                self.pending = None;
                self.ended.insert(set, "committed");
                Ok(json!({"committed": true, "config_hash": hash(&self.config)}))
            }
            "changeset.rollback" => {
                if self.ended.get(&set) == Some(&"rolled_back") {
                    return Ok(json!({"rolled_back": true}));
                }
                if self.pending.as_ref().is_none_or(|pending| pending.id != set) {
                    return Err(self.unknown(&set));
                }
                if self.stuck {
                    return Err(("E_LLM_ROLLBACK_FAILED", Value::Null));
                }
                self.restore();
                Ok(json!({"rolled_back": true, "restored_hash": hash(&self.config)}))
            }
            "changeset.extend" => match self.pending.as_mut().filter(|pending| pending.id == set && pending.deadline > now) {
                Some(pending) => {
                    pending.deadline = now + request.args["timeout_s"].as_i64().unwrap() * 1000;
                    Ok(json!({"deadline_ms": pending.deadline}))
                }
                None => Err(self.unknown(&set)),
            },
            "changeset.status" => Ok(match (&self.pending, self.ended.get(&set)) {
                (Some(pending), _) if pending.id == set => json!({"state": "pending", "deadline_ms": pending.deadline, "config_hash": hash(&self.config)}),
                (_, Some(state)) => json!({"state": state}),
                _ => json!({"state": "unknown"}),
            }),
            "wifi.set_channel" | "wifi.set_power" => self.change(now, request, &set),
            "device.restart" if !set.is_empty() => self.change(now, request, &set),
            _ => Ok(json!({"op": request.op, "uptime_s": 5})),
        }
    }

    fn change(&mut self, now: i64, request: &Request, set: &str) -> Result<Value, (&'static str, Value)> {
        if self.journal {
            if set.is_empty() {
                return Err(("E_ACT_NEEDS_CHANGESET", Value::Null));
            }
            self.admit(set)?;
            let timeout = request.args["auto_rollback_timeout"].as_i64().unwrap();
            let pending = self.pending.get_or_insert_with(|| Pending { id: set.into(), deadline: 0, before: Vec::new() });
            pending.deadline = pending.deadline.max(now + timeout * 1000);
            pending.before.push(self.config.clone());
        }
        *self.runs.entry(request.id.clone()).or_default() += 1;
        let previous = self.config.clone();
        self.captured.insert(request.id.clone(), previous.clone());
        let own: Map<_, _> =
            request.args.iter().filter(|(name, _)| matches!(name.as_str(), "channel" | "power_dbm")).map(|(a, b)| (a.clone(), b.clone())).collect();
        self.config.as_object_mut().unwrap().extend(own);
        if let Some(kept) = request.args.get("restores") {
            self.config = self.captured.get(kept.as_str().unwrap()).cloned().ok_or(("E_NOT_FOUND", Value::Null))?;
        }
        let shown = if self.own_words { json!({"running": previous}) } else { previous.clone() };
        let mut result = json!({"applied": self.config, "previous": shown});
        if self.journal {
            result["config_hash"] = json!(hash(&self.config));
            result["previous_hash"] = json!(hash(&previous));
        }
        Ok(result)
    }

    fn admit(&self, set: &str) -> Result<(), (&'static str, Value)> {
        match &self.pending {
            Some(pending) if pending.id != set => Err(("E_LLM_CHANGESET_CONFLICT", json!({"changeset_id": pending.id, "deadline_ms": pending.deadline}))),
            _ if self.ended.contains_key(set) => Err(self.unknown(set)),
            _ => Ok(()),
        }
    }

    fn unknown(&self, set: &str) -> (&'static str, Value) {
        match self.ended.get(set) {
            Some(state) => ("E_CHANGESET_STATE", json!({"state": state})),
            None => ("E_NOT_FOUND", Value::Null),
        }
    }

    fn restore(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.config = pending.before[0].clone();
            self.ended.insert(pending.id, "rolled_back");
        }
    }

    fn restore_alone(&mut self, reason: &str) -> Vec<Said> {
        let id = self.pending.as_ref().map(|pending| pending.id.clone()).unwrap_or_default();
        self.restore();
        let event = json!({"severity": "warning", "data": {"changeset_id": id, "reason": reason, "restored_hash": hash(&self.config)}});
        let said = vec![("evt/changeset.rolled_back".to_owned(), event)];
        if self.connected {
            return said;
        }
        self.unsent.extend(said);
        Vec::new()
    }

    /// Time passes on the device.
    pub fn tick(&mut self, now: i64) -> Vec<Said> {
        if self.stuck {
            return Vec::new();
        }
        match &self.pending {
            Some(pending) if pending.deadline <= now => self.restore_alone("deadline"),
            Some(_) if self.lost_since.is_some_and(|since| since + 30_000 <= now) => self.restore_alone("connection_lost"),
            _ => Vec::new(),
        }
    }

    pub fn cut(&mut self, now: i64) {
        self.connected = false;
        self.lost_since.get_or_insert(now);
    }

    /// Connected again; returns what could not be said meanwhile.
    pub fn back(&mut self, now: i64) -> Vec<Said> {
        let mut said = self.tick(now);
        self.connected = true;
        self.lost_since = None;
        said.splice(0..0, std::mem::take(&mut self.unsent));
        said
    }

    /// Power off and on: what was pending is restored before anything else; commands and answers are remembered by the journal.
    pub fn reboot(&mut self, now: i64) {
        self.cut(now);
        if self.pending.is_some() {
            self.restore_alone("restart");
        }
    }
}
