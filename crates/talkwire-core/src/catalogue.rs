//! The tool catalogue: class, permission, risk, times, arguments and rollback of each tool. The only source of a tool's class.

mod added;

use crate::language::Text3;
use crate::refusal::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use talkwire_proto::{Code, op};
use toml::Spanned;

/// What a tool does to the world (`spec/rtk-diagnostics-protocol.md`, tool classes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Changes nothing.
    Read,
    /// Probes, and disturbs for a moment.
    Test,
    /// Changes configuration or state.
    Act,
    /// Manages change sets.
    Manage,
}

/// What somebody needs to be allowed to use a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Look.
    Read,
    /// Probe.
    Test,
    /// Change configuration, after a person's yes.
    Config,
    /// Change the system itself, after an administrator's yes.
    Admin,
}

/// How much can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Nobody notices.
    #[default]
    Low,
    /// Some are disturbed for a moment.
    Medium,
    /// Everybody is disturbed, or it cannot be undone by itself.
    High,
}

impl Risk {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What is left to put back after an Act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Restores {
    /// The configuration section that it replaced.
    #[default]
    Section,
    /// Nothing: it is done once and leaves no configuration behind, as a restart does.
    Nothing,
}

/// What one argument may be. Anything outside is refused before it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgSpec {
    /// `integer`, `number`, `string`, `boolean`, `strings` (list of strings) or `objects` (list of objects).
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it must be given.
    #[serde(default)]
    pub required: bool,
    /// Smallest number.
    #[serde(default)]
    pub min: Option<f64>,
    /// Largest number.
    #[serde(default)]
    pub max: Option<f64>,
    /// Most characters of a string, or of each string of a list; 64 when not said.
    #[serde(default)]
    pub max_length: Option<usize>,
    /// The only values allowed.
    #[serde(default)]
    pub one_of: Vec<Value>,
    /// `word` (default: letters, digits and `_ . : - /` without `..`), `host`, `mac`, `text`.
    #[serde(default)]
    pub form: Option<String>,
    /// Unit, for example `s`, `ms`, `dBm`.
    #[serde(default)]
    pub unit: Option<String>,
    /// What it means.
    #[serde(default)]
    pub about: String,
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolEntry {
    /// Canonical name.
    pub op: String,
    /// What it does to the world.
    pub class: Class,
    /// What is needed to use it.
    pub permission: Permission,
    /// How much can go wrong.
    #[serde(default)]
    pub risk: Risk,
    /// What is left to put back (Act tools).
    #[serde(default)]
    pub restores: Restores,
    /// Typical time to a result, in milliseconds.
    pub typical_ms: u64,
    /// When the controller gives up, in milliseconds.
    pub timeout_ms: u64,
    /// `low`, `medium` or `high` use of the device or line.
    #[serde(default)]
    pub resource: String,
    /// Tools that can stand in for it, best first.
    #[serde(default)]
    pub alternatives: Vec<String>,
    /// Its name for people.
    pub title: Text3,
    /// What people feel while it runs (Act tools).
    #[serde(default)]
    pub impact: Text3,
    /// Newest version that we speak.
    #[serde(default = "version_one")]
    pub version: String,
    /// Arguments by name.
    #[serde(default)]
    pub args: BTreeMap<String, ArgSpec>,
    /// JSON Schema of the result, with units in the field names.
    #[serde(default)]
    pub result: Value,
}

fn version_one() -> String {
    "1.0".into()
}

impl ToolEntry {
    /// Checks arguments against the entry: nothing missing, nothing unknown, everything in range.
    ///
    /// # Errors
    /// `E_INVALID_ARGS` with the argument's name and what it must be.
    pub fn check(&self, args: &Map<String, Value>) -> Result<(), Refusal> {
        let wrong = |name: &str, why: String| Refusal::new(Code::InvalidArgs, format!("{}: argument `{name}` {why}", self.op)).with("argument", name);
        if let Some(unknown) = args.keys().find(|name| !self.args.contains_key(*name)) {
            let known: Vec<_> = self.args.keys().map(String::as_str).collect();
            let hint = if known.is_empty() { "the tool takes none".to_owned() } else { format!("the tool takes {}", known.join(", ")) };
            return Err(wrong(unknown, format!("is not known; {hint}")));
        }
        for (name, spec) in &self.args {
            match args.get(name) {
                None | Some(Value::Null) if spec.required => return Err(wrong(name, format!("is missing; it must be {}", spec.words()))),
                None | Some(Value::Null) => {}
                Some(value) if spec.allows(value) => {}
                Some(_) => return Err(wrong(name, format!("must be {}", spec.words()))),
            }
        }
        Ok(())
    }

    /// The arguments as a JSON Schema object.
    pub fn args_schema(&self) -> Value {
        let properties: Map<String, Value> = self.args.iter().map(|(name, spec)| (name.clone(), spec.schema())).collect();
        let required: Vec<_> = self.args.iter().filter(|(_, spec)| spec.required).map(|(name, _)| name).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }
}

impl ArgSpec {
    fn allows(&self, value: &Value) -> bool {
        if !self.one_of.is_empty() {
            return self.one_of.contains(value);
        }
        let in_range = |n: f64| n.is_finite() && self.min.is_none_or(|min| n >= min) && self.max.is_none_or(|max| n <= max);
        match (self.kind.as_str(), value) {
            ("integer", Value::Number(number)) => number.as_f64().is_some_and(|n| n.fract() == 0.0 && in_range(n)),
            ("number", Value::Number(number)) => number.as_f64().is_some_and(in_range),
            ("boolean", Value::Bool(_)) => true,
            ("string", Value::String(text)) => self.allows_text(text),
            ("strings", Value::Array(list)) => list.len() <= 32 && list.iter().all(|item| item.as_str().is_some_and(|text| self.allows_text(text))),
            ("objects", Value::Array(list)) => list.len() <= 64 && list.iter().all(Value::is_object) && value.to_string().len() <= 16_384,
            _ => false,
        }
    }

    fn allows_text(&self, text: &str) -> bool {
        let length = text.chars().count();
        let common = length >= 1 && length <= self.max_length.unwrap_or(64) && !text.chars().any(char::is_control);
        common
            && match self.form.as_deref().unwrap_or("word") {
                "text" => true,
                "mac" => talkwire_proto::id::mac_digits(text).is_some(),
                "host" => {
                    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_')) && !text.starts_with('-') && !text.contains("..")
                }
                _ => {
                    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-' | '/' | '@'))
                        && !text.contains("..")
                        && !text.starts_with(['-', '/'])
                }
            }
    }

    fn words(&self) -> String {
        if !self.one_of.is_empty() {
            return format!("one of {}", self.one_of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        }
        let unit = self.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
        let range = match (self.min, self.max) {
            (Some(min), Some(max)) => format!(" from {min} to {max}{unit}"),
            (Some(min), None) => format!(" of at least {min}{unit}"),
            (None, Some(max)) => format!(" of at most {max}{unit}"),
            (None, None) => String::new(),
        };
        match self.kind.as_str() {
            "integer" => format!("a whole number{range}"),
            "number" => format!("a number{range}"),
            "boolean" => "true or false".into(),
            "strings" => format!("a list of at most 32 texts ({})", self.form.as_deref().unwrap_or("word")),
            "objects" => "a list of objects".into(),
            _ => format!("a text ({}) of at most {} characters", self.form.as_deref().unwrap_or("word"), self.max_length.unwrap_or(64)),
        }
    }

    fn schema(&self) -> Value {
        let text = || json!({"type": "string", "minLength": 1, "maxLength": self.max_length.unwrap_or(64)});
        let mut schema = match self.kind.as_str() {
            "strings" => json!({"type": "array", "maxItems": 32, "items": text()}),
            "objects" => json!({"type": "array", "maxItems": 64, "items": {"type": "object"}}),
            "string" => text(),
            other => json!({"type": other}),
        };
        if let Some(min) = self.min {
            schema["minimum"] = json!(min);
        }
        if let Some(max) = self.max {
            schema["maximum"] = json!(max);
        }
        if !self.one_of.is_empty() {
            schema = json!({"enum": self.one_of});
        }
        if let Some(unit) = &self.unit {
            schema["x-unit"] = json!(unit);
        }
        if !self.about.is_empty() {
            schema["description"] = json!(self.about);
        }
        schema
    }
}

/// All tools by canonical name.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    tools: BTreeMap<String, ToolEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolFile {
    tool: Vec<Spanned<ToolEntry>>,
}

/// Why a catalogue file is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadCatalogue {
    /// Not the TOML that is wanted.
    #[error("tool file {file} cannot be read: {source}")]
    Parse {
        /// Which file.
        file: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// An entry that cannot be taken: a name that is not the canonical one or appears twice, or an entry that weakens a built-in tool.
    #[error("tool file {file}, line {line}: {op:?} {why}")]
    Op {
        /// Which file.
        file: String,
        /// The line where the entry begins.
        line: usize,
        /// Which op.
        op: String,
        /// What is wrong, and what to do.
        why: String,
    },
}

impl Catalogue {
    /// Reads tool files given as (name, text). Checked: canonical names, no doubles.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadCatalogue> {
        let mut tools = BTreeMap::new();
        for (file, text) in files {
            for (line, entry) in entries(file, text)? {
                if tools.contains_key(&entry.op) {
                    return Err(BadCatalogue::Op { file: file.into(), line, op: entry.op, why: "is there twice".into() });
                }
                tools.insert(entry.op.clone(), entry);
            }
        }
        Ok(Self { tools })
    }

    /// The catalogue that is built in.
    pub fn builtin() -> Self {
        // The files are part of the program, and a test parses them.
        Self::parse(BUILTIN).expect("the built-in catalogue parses")
    }

    /// The entry of an op, by canonical name or alias.
    pub fn tool(&self, op: &str) -> Option<&ToolEntry> {
        self.tools.get(op::canonical(op))
    }

    /// All entries, by name.
    pub fn tools(&self) -> impl Iterator<Item = &ToolEntry> {
        self.tools.values()
    }
}

/// The entries of one file with the lines where they begin.
fn entries(file: &str, text: &str) -> Result<Vec<(usize, ToolEntry)>, BadCatalogue> {
    let parsed: ToolFile = toml::from_str(text).map_err(|source| BadCatalogue::Parse { file: file.into(), source: Box::new(source) })?;
    let placed = parsed.tool.into_iter().map(|entry| {
        let line = text.get(..entry.span().start).map_or(1, |before| before.matches('\n').count() + 1);
        let entry = entry.into_inner();
        if op::canonical(&entry.op) == entry.op {
            return Ok((line, entry));
        }
        let why = format!("is an alias; use the canonical name {}", op::canonical(&entry.op));
        Err(BadCatalogue::Op { file: file.into(), line, op: entry.op, why })
    });
    placed.collect()
}

const BUILTIN: [(&str, &str); 4] = [
    ("read.toml", include_str!("../../../catalog/tools/read.toml")),
    ("test.toml", include_str!("../../../catalog/tools/test.toml")),
    ("act.toml", include_str!("../../../catalog/tools/act.toml")),
    ("manage.toml", include_str!("../../../catalog/tools/manage.toml")),
];
