//! Diagnosis flows as data: what to gather, what to conclude, what to change, how to prove it (`docs/flows.md`).

mod bad;
mod expression;
mod files;
mod library;

pub use bad::BadFlow;
pub use expression::{Expression, Scope};
pub use library::Library;

use serde::Deserialize;
use std::collections::BTreeMap;
use talkwire_core::language::Text3;

/// On which devices a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The way out of the house.
    Router,
    /// Everything with a radio for clients.
    EachAp,
    /// Computers that can measure.
    ClientAgent,
    /// Router and access points.
    Each,
}

/// One thing to gather.
#[derive(Debug)]
pub struct GatherStep {
    /// Its name; steps are called `key@device`, further samples `key@device#2`.
    pub key: String,
    /// The tool.
    pub tool: String,
    /// Where.
    pub target: Target,
    /// Its arguments.
    pub args: serde_json::Map<String, serde_json::Value>,
    /// Only if this holds.
    pub when: Option<Expression>,
    /// How many samples.
    pub samples: usize,
    /// More than the first sample only if this holds; `dev` is the device.
    pub repeat_when: Option<Expression>,
    /// Other steps that must have ended.
    pub needs: Vec<String>,
    /// Starts together with this step.
    pub along: Option<String>,
    /// Nothing else may run meanwhile.
    pub alone: bool,
    /// Left out without a word when the device cannot.
    pub optional: bool,
    /// Oldest version of the tool that is enough.
    pub min_version: Option<String>,
    /// What it does, for people.
    pub about: Text3,
}

/// Evidence that speaks for a cause.
#[derive(Debug)]
pub struct Hypothesis {
    /// The cause.
    pub cause: String,
    /// The list that is walked, with each item as `it`.
    pub for_each: Option<String>,
    /// Holds, holds not, or cannot be said.
    pub condition: Expression,
    /// 0–1.
    pub confidence: Expression,
    /// What the verdict shows.
    pub cites: Vec<String>,
    /// The decisive evidence: when it is missing, that is said instead of a guess.
    pub needs: Vec<String>,
    /// The device concerned.
    pub device: Option<Expression>,
    /// Causes that are only its symptoms.
    pub explains: Vec<String>,
    /// Only in these flows.
    pub only_in: Vec<String>,
    /// `channels`, `talkers`, `rooms` or `speeds`.
    pub chart: Option<String>,
}

/// A change that can help against a cause.
#[derive(Debug)]
pub struct Remedy {
    /// The cause.
    pub cause: String,
    /// Only if this holds.
    pub when: Option<Expression>,
    /// What it does, for people.
    pub title: Text3,
    /// The changes.
    pub operations: Vec<RemedyOperation>,
    /// How it is proved, best first.
    pub verify: Vec<Verify>,
}

/// One change of a remedy.
#[derive(Debug)]
pub struct RemedyOperation {
    /// The tool.
    pub op: String,
    /// The device.
    pub device: Expression,
    /// Its arguments.
    pub args: BTreeMap<String, Expression>,
    /// The arguments that put back what is there now.
    pub undo_args: BTreeMap<String, Expression>,
    /// What changes.
    pub label: Text3,
    /// The value now.
    pub before: Text3,
    /// The value wanted.
    pub after: Text3,
}

/// A measurement before and after.
#[derive(Debug)]
pub struct Verify {
    /// What is measured, for example `cspd.dn`.
    pub metric: String,
    /// Its value in the evidence of one answer; `it` is the item of the verdict.
    pub value: Expression,
    /// The tool.
    pub tool: String,
    /// The device.
    pub device: Expression,
    /// Its arguments.
    pub args: BTreeMap<String, Expression>,
    /// Only if this holds.
    pub when: Option<Expression>,
    /// Unit of the value.
    pub unit: String,
    /// `up` or `down`.
    pub direction: String,
    /// Smallest gain in the unit.
    pub min_gain: Option<Expression>,
    /// Smallest gain in percent.
    pub min_gain_percent: Option<f64>,
    /// How many samples; their median counts.
    pub samples: usize,
    /// How many rounds of waiting come before measuring again.
    pub settle: usize,
    /// The promise, with `{before}` and `{goal}`.
    pub expect: Text3,
    /// What the step does, for people.
    pub about: Text3,
}

/// Something odd that no cause explains.
#[derive(Debug)]
pub struct Doubt {
    /// When it is there.
    pub when: Expression,
    /// What it shows.
    pub cites: Vec<String>,
    /// One sentence.
    pub text: Text3,
}

/// Evidence without which nothing can be called healthy.
#[derive(Debug)]
pub struct Decisive {
    /// Its name.
    pub name: String,
    /// Only where this holds: a site without radios needs no scan of the air.
    pub when: Option<Expression>,
}

/// A flow.
#[derive(Debug)]
pub struct Flow {
    /// Its name, which is the intent's.
    pub name: String,
    /// Its name for people.
    pub title: Text3,
    /// The first sentence of an answer.
    pub opening: Text3,
    /// What it gathers.
    pub gather: Vec<String>,
    /// Without these nothing can be called healthy.
    pub decisive: Vec<Decisive>,
    /// What must not be there for a healthy verdict.
    pub doubts: Vec<Doubt>,
    /// What is said when nothing is wrong.
    pub healthy: Text3,
    /// The same, where nobody at the site has a radio.
    pub healthy_without_radio: Option<Text3>,
    /// What is shown then.
    pub healthy_cites: Vec<String>,
}

/// `it.util_ext` of `env` is `env.util_ext`.
pub(crate) fn canonical_name(name: &str, for_each: Option<&str>) -> String {
    match (name.strip_prefix("it."), for_each) {
        (Some(field), Some(section)) => format!("{section}.{field}"),
        _ => name.to_owned(),
    }
}
