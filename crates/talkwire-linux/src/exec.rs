//! Commands as tools: an entry of `[exec]` maps an op to a program with typed arguments, without a shell and without Rust.

mod act;
mod argument;
mod entry;
mod template;
mod tool;

use crate::permission::may_run;
use crate::root::Root;
use argument::ArgKind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use talkwire_device::{Args, ToolError, ToolSupport};
use template::Template;

pub(crate) use act::ExecAct;
pub(crate) use argument::is_host;
pub(crate) use entry::HEAD;
pub(crate) use tool::ExecTool;

/// Longest time of one program.
const LONGEST_S: f64 = 600.0;
/// Most bytes of output that an entry may ask for.
const MOST_BYTES: usize = 1024 * 1024;
/// Most words of one command.
const WORDS: usize = 64;

/// What a command does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecClass {
    /// Changes nothing.
    Read,
    /// Probes, and disturbs for a moment.
    Test,
    /// Changes something: runs only inside a change set, and needs `capture` and `restore`.
    Act,
}

impl ExecClass {
    /// The word of the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Test => "test",
            Self::Act => "act",
        }
    }
}

impl std::str::FromStr for ExecClass {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Read, Self::Test, Self::Act]
            .into_iter()
            .find(|class| class.word() == word)
            .ok_or_else(|| format!("{word:?} is no class; write read, test or act"))
    }
}

/// How what a program says becomes the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecResult {
    /// It says JSON; an object is the result, anything else stands in `value`.
    #[default]
    Json,
    /// `{"text": …}`.
    Text,
    /// `{"lines": […], "total": n}`.
    Lines,
}

/// One entry of `[exec]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecEntry {
    /// What it does to the world.
    pub class: ExecClass,
    /// What it is for, in one line.
    #[serde(default)]
    pub about: String,
    /// Program (an absolute path) and its arguments; `{name}` stands for an argument of the call.
    pub run: Vec<String>,
    /// Act only: says the section that runs now, as JSON, and changes nothing.
    #[serde(default)]
    pub capture: Vec<String>,
    /// Act only: reads a captured section on its standard input and makes it run again.
    #[serde(default)]
    pub restore: Vec<String>,
    /// Act only: whether the machine forgets at a boot what the program changed, so that what was confirmed is then put back by `restore`.
    #[serde(default)]
    pub lost_at_boot: bool,
    /// Arguments by name.
    #[serde(default)]
    pub args: BTreeMap<String, ArgKind>,
    /// How what it says becomes the result.
    #[serde(default)]
    pub result: ExecResult,
    /// How long each program may take, in seconds.
    #[serde(default = "usual_time_s")]
    pub timeout_s: f64,
    /// Most bytes that it may say.
    #[serde(default = "usual_bytes")]
    pub max_output_bytes: usize,
    /// How many calls may run at once.
    #[serde(default = "usual_calls")]
    pub concurrent: u32,
}

fn usual_time_s() -> f64 {
    10.0
}

fn usual_bytes() -> usize {
    64 * 1024
}

fn usual_calls() -> u32 {
    2
}

impl ExecEntry {
    /// Says what is wrong with an entry, and what to do.
    pub(crate) fn check(&self, op: &str) -> Result<(), String> {
        check_op(op)?;
        if !(0.05..=LONGEST_S).contains(&self.timeout_s) {
            return Err(format!("timeout_s is {}, but must be from 0.05 to {LONGEST_S}", self.timeout_s));
        }
        if !(1..=MOST_BYTES).contains(&self.max_output_bytes) {
            return Err(format!("max_output_bytes is {}, but must be from 1 to {MOST_BYTES}", self.max_output_bytes));
        }
        if !(1..=64).contains(&self.concurrent) {
            return Err(format!("concurrent is {}, but must be from 1 to 64", self.concurrent));
        }
        for (name, kind) in &self.args {
            if name.is_empty() || name.len() > 32 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("the argument {name:?} must have 1-32 letters, digits and _"));
            }
            kind.check().map_err(|why| format!("args.{name}: {why}"))?;
        }
        let mut used = self.check_command("run", &self.run)?;
        match self.class {
            ExecClass::Act => {
                if self.capture.is_empty() || self.restore.is_empty() {
                    return Err("class act needs `capture` and `restore`, so that the change can be taken back".into());
                }
                used.extend(self.check_command("capture", &self.capture)?);
                if let Some(name) = self.check_command("restore", &self.restore)?.first() {
                    return Err(format!("restore: {{{name}}} is not known when a change is taken back; the captured section comes on standard input"));
                }
            }
            _ if !self.capture.is_empty() || !self.restore.is_empty() => return Err("only class act has `capture` and `restore`".into()),
            _ if self.lost_at_boot => return Err("only class act has `lost_at_boot`".into()),
            _ => {}
        }
        match self.args.keys().find(|name| !used.contains(*name)) {
            Some(name) => Err(format!("args.{name} is never used; put {{{name}}} into run, or take it away")),
            None => Ok(()),
        }
    }

    /// The arguments that a command uses.
    fn check_command(&self, key: &str, words: &[String]) -> Result<BTreeSet<String>, String> {
        let at = |why: String| format!("{key}: {why}");
        let Some(program) = words.first() else { return Err(at("is empty; give a program and its arguments".into())) };
        if words.len() > WORDS {
            return Err(at(format!("has more than {WORDS} words")));
        }
        if !Path::new(program).is_absolute() || program.contains(['{', '}']) || program.split('/').any(|part| part == "..") {
            return Err(at(format!("the program {program:?} must be an absolute path without `..` and placeholders")));
        }
        let mut used = BTreeSet::new();
        for word in &words[1..] {
            for name in Template::parse(word).map_err(at)?.names() {
                let kind = self.args.get(name).ok_or_else(|| at(format!("{{{name}}} in {word:?} is no argument; describe it as args.{name}")))?;
                if !kind.is_always_there() {
                    return Err(at(format!("{{{name}}} may be absent; give args.{name} `required = true` or a `default`")));
                }
                used.insert(name.to_owned());
            }
        }
        Ok(used)
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_s)
    }

    /// The words of a command with the arguments of a call.
    fn words(&self, words: &[String], args: &Args) -> Result<Vec<String>, ToolError> {
        if let Some(unknown) = args.keys().find(|name| !self.args.contains_key(*name)) {
            let known: Vec<_> = self.args.keys().map(String::as_str).collect();
            let hint = if known.is_empty() { "the tool takes none".to_owned() } else { format!("the tool takes {}", known.join(", ")) };
            return Err(ToolError::invalid_args(format!("args.{unknown} is not known; {hint}")).with("argument", unknown.as_str()));
        }
        let templates: Vec<Template> = words.iter().skip(1).filter_map(|word| Template::parse(word).ok()).collect();
        let mut texts = BTreeMap::new();
        for (name, kind) in &self.args {
            let is_used = templates.iter().any(|template| template.names().any(|used| used == name));
            if is_used || args.contains_key(name) {
                let text = kind.text(args.get(name)).map_err(|why| ToolError::invalid_args(format!("args.{name} {why}")).with("argument", name.as_str()))?;
                texts.extend(text.map(|text| (name.as_str(), text)));
            }
        }
        // The configuration was checked at the start, so a template that cannot be filled is a fault of ours.
        templates.iter().map(|template| template.fill(&texts).ok_or_else(|| ToolError::failed("a template cannot be filled"))).collect()
    }

    fn support(&self, root: &Root) -> ToolSupport {
        let mut support = ToolSupport { version: Some("1.0".into()), ..ToolSupport::plain() };
        support.limitations.insert("concurrent_limit".into(), self.concurrent.into());
        support.limitations.insert("timeout_s".into(), self.timeout_s.into());
        let programs = [&self.run, &self.capture, &self.restore].into_iter().filter_map(|words| words.first());
        if let Some(reason) = programs.filter_map(|program| lacks(root, program)).next() {
            (support.supported, support.reason) = (false, Some(reason.into()));
        }
        support
    }
}

/// Why a program cannot be run, as a stable word.
fn lacks(root: &Root, program: &str) -> Option<&'static str> {
    let path = root.path(program.trim_start_matches('/'));
    match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Some("program_refused"),
        Ok(meta) if meta.is_file() => (!may_run(&path)).then_some("program_refused"),
        _ => Some("program_missing"),
    }
}

fn check_op(op: &str) -> Result<(), String> {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    match op.split_once('.') {
        Some((family, name)) if op.len() <= 64 && is_word(family) && is_word(name) && family != "changeset" => Ok(()),
        _ => Err("the op must look like family.name, with small letters, digits and _".into()),
    }
}

#[cfg(test)]
mod tests;
