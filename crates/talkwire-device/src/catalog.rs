//! The tools of one device by their canonical names, what is declared of them, and how many calls of each may run.

use crate::config::DeviceConfig;
use crate::judge::Change;
use crate::keeper::MANAGE_OPS;
use crate::tool::{AnyTool, ToolError};
use crate::{act::AnyAct, error::DeviceError};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use talkwire_proto::capability::ToolSupport;
use talkwire_proto::id::mac_digits;
use talkwire_proto::op::canonical;
use tokio::sync::Semaphore;

/// Ops that the SDK answers, unless the author does.
pub(crate) const CAPABILITIES: &str = "device.get_capabilities";
pub(crate) const STATUS: &str = "device.status";
/// A list of commands in one.
pub(crate) const BATCH: &str = "batch.execute";
/// How many calls of a tool run at once when it declares no `concurrent_limit`.
const CALLS: usize = 8;
/// How many alternatives an error names.
const ALTERNATIVES: usize = 5;

#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) tool: Arc<dyn AnyTool>,
    pub(crate) places: Arc<Semaphore>,
}

pub(crate) struct Catalog {
    tools: BTreeMap<String, Slot>,
    /// What is declared, by the names that the author uses.
    declared: Mutex<BTreeMap<String, ToolSupport>>,
    /// What each tool said when it was asked last, by its canonical name: whether it is supported, and the reason why not.
    judged: Mutex<BTreeMap<String, Judged>>,
}

type Judged = (bool, Option<String>);

fn judged(support: &ToolSupport) -> Judged {
    (support.supported, support.reason.clone())
}

impl Catalog {
    pub(crate) fn new(tools: Vec<Arc<dyn AnyTool>>, acts: &BTreeMap<String, Arc<dyn AnyAct>>) -> Result<Self, DeviceError> {
        let mut catalog = Self { tools: BTreeMap::new(), declared: Mutex::default(), judged: Mutex::default() };
        let mut declared = BTreeMap::new();
        for tool in tools {
            let (op, support) = (tool.op().to_owned(), tool.support());
            let name = canonical(&op).to_owned();
            if is_reserved(&name) {
                return Err(DeviceError::ReservedOp(name));
            }
            let limit = support.limitations.get("concurrent_limit").and_then(Value::as_u64).map_or(CALLS, |limit| usize::try_from(limit).unwrap_or(CALLS));
            let slot = Slot { tool, places: Arc::new(Semaphore::new(limit.clamp(1, 1024))) };
            if acts.contains_key(&name) || catalog.tools.insert(name.clone(), slot).is_some() {
                return Err(DeviceError::DoubleOp(name));
            }
            declared.insert(op, support);
        }
        let own = |support: ToolSupport| ToolSupport { version: Some("1.0".into()), ..support };
        for op in [CAPABILITIES, STATUS, BATCH] {
            if !catalog.tools.contains_key(op) {
                declared.insert(op.into(), own(ToolSupport::plain()));
            }
        }
        if !acts.is_empty() {
            declared.extend(acts.values().map(|act| (act.op().to_owned(), act.support())));
            declared.extend(MANAGE_OPS.map(|op| (op.to_owned(), own(ToolSupport::plain()))));
        }
        catalog.judged = Mutex::new(declared.iter().map(|(op, support)| (canonical(op).to_owned(), judged(support))).collect());
        catalog.declared = Mutex::new(declared);
        Ok(catalog)
    }

    fn declared(&self) -> MutexGuard<'_, BTreeMap<String, ToolSupport>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tool behind a name or alias.
    pub(crate) fn tool(&self, op: &str) -> Option<Slot> {
        self.tools.get(canonical(op)).cloned()
    }

    /// Refuses what the device says is not available now.
    pub(crate) fn check_available(&self, op: &str) -> Result<(), ToolError> {
        let name = canonical(op);
        match self.declared().iter().find(|(declared, support)| canonical(declared) == name && !support.supported) {
            None => Ok(()),
            Some((_, support)) => {
                let reason = support.reason.clone().unwrap_or_else(|| "not_available".into());
                Err(ToolError::not_available(&reason, format!("{op} is not available now: {reason}")))
            }
        }
    }

    /// Changes whether a tool is available. Returns what was before, or `None` when the device has no such tool.
    pub(crate) fn set_available(&self, op: &str, available: bool, reason: Option<&str>) -> Option<bool> {
        let name = canonical(op);
        let mut declared = self.declared();
        let support = declared.iter_mut().find(|(declared, _)| canonical(declared) == name).map(|(_, support)| support)?;
        support.reason = reason.filter(|_| !available).map(str::to_owned);
        Some(std::mem::replace(&mut support.supported, available))
    }

    /// Asks each tool, or the one with this canonical name, whether it is supported now. What it says counts from the moment at which it
    /// changes, so that what the author said by [`Catalog::set_available`] in between stays.
    pub(crate) fn judge(&self, acts: &BTreeMap<String, Arc<dyn AnyAct>>, only: Option<&str>) -> Vec<Change> {
        let is_asked = |name: &&String| only.is_none_or(|only| only == name.as_str());
        let tools = self.tools.keys().filter(is_asked).filter_map(|name| Some((name.clone(), self.tools.get(name)?.tool.support())));
        let acts = acts.keys().filter(is_asked).filter_map(|name| Some((name.clone(), acts.get(name)?.support())));
        // Asked before anything is locked: to know, they may look at the machine.
        let said: Vec<(String, ToolSupport)> = tools.chain(acts).collect();
        let mut last = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let mut declared = self.declared();
        let mut changes = Vec::new();
        for (name, support) in said {
            let now = judged(&support);
            if last.insert(name.clone(), now.clone()).as_ref() == Some(&now) {
                continue;
            }
            if let Some((op, entry)) = declared.iter_mut().find(|(op, _)| canonical(op) == name) {
                let before = std::mem::replace(entry, support);
                changes.push(Change { op: op.clone(), before: before.supported, now: now.0, reason: now.1 });
            }
        }
        changes
    }

    /// Other available tools of the same family.
    pub(crate) fn alternatives(&self, op: &str) -> Vec<String> {
        let name = canonical(op);
        let Some(family) = name.split_once('.').map(|(family, _)| format!("{family}.")) else { return Vec::new() };
        let declared = self.declared();
        let others = declared.iter().filter(|(other, support)| support.supported && canonical(other) != name && other.starts_with(&family));
        others.map(|(op, _)| op.clone()).take(ALTERNATIVES).collect()
    }

    /// `capabilities` as `attr` carries it.
    pub(crate) fn capabilities(&self, config: &DeviceConfig) -> Value {
        json!({
            "device_type": config.device_type,
            "llm_integration": {"supported": true, "version": "1.0"},
            "features": config.attributes.features,
            "command_envelope": "both",
            "tools": *self.declared(),
        })
    }

    /// The body of `attr`.
    pub(crate) fn attr(&self, config: &DeviceConfig) -> Map<String, Value> {
        let attributes = &config.attributes;
        let mac = attributes.mac_address.clone().or_else(|| mac_digits(config.key.device_id.as_str()));
        let mut body = Map::new();
        body.insert("schema".into(), json!("attr/1.0"));
        body.insert("device_id".into(), json!(config.key.device_id));
        body.insert("device_type".into(), json!(config.device_type));
        let fields = [
            ("name", &attributes.name),
            ("manufacturer", &attributes.manufacturer),
            ("model", &attributes.model),
            ("firmware_version", &attributes.firmware_version),
            ("hardware_version", &attributes.hardware_version),
            ("serial_number", &attributes.serial_number),
            ("mac_address", &mac),
        ];
        body.extend(fields.into_iter().filter_map(|(name, text)| text.as_ref().map(|text| (name.into(), json!(text)))));
        body.extend(attributes.extra.clone());
        body.insert("capabilities".into(), self.capabilities(config));
        body
    }
}

fn is_reserved(op: &str) -> bool {
    op == BATCH || MANAGE_OPS.contains(&op)
}

/// The Acts by their canonical names.
pub(crate) fn acts_by_name(acts: Vec<Arc<dyn AnyAct>>) -> Result<BTreeMap<String, Arc<dyn AnyAct>>, DeviceError> {
    let mut by_name = BTreeMap::new();
    for act in acts {
        let name = canonical(act.op()).to_owned();
        if is_reserved(&name) {
            return Err(DeviceError::ReservedOp(name));
        }
        if by_name.insert(name.clone(), act).is_some() {
            return Err(DeviceError::DoubleOp(name));
        }
    }
    Ok(by_name)
}
