//! The details a person tells along with the complaint.

use serde::{Deserialize, Serialize};

use super::{
    lexicon::{Hit, Lexicon},
    text::Word,
};

/// Words between "I pay for" and its figure.
const PLAN_REACH: usize = 5;

/// Whom the trouble meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// One device, while others work or nothing is said of them.
    OneDevice,
    /// Everybody.
    All,
}

/// Details in the catalogue's words ("evening", "bedroom", "laptop"), whatever language they were told in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Slots {
    /// Time of day, weather or occasion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Room or floor.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub where_: Option<String>,
    /// One device or all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
    /// Kind of device that is complained of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What was being done: game, video_call, streaming and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// What was changed lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
    /// The rate that is paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_mbps: Option<f64>,
}

pub(super) fn fill(lexicon: &Lexicon, words: &[Word], hits: &[Hit]) -> Slots {
    let named = |group: &str| {
        let member = |h: &&Hit| lexicon.name(h.concept).strip_prefix(group).is_some_and(|rest| rest.starts_with('.'));
        let first = hits.iter().filter(member).min_by_key(|h| (h.start, usize::MAX - h.end))?;
        lexicon.name(first.concept).rsplit('.').next().map(str::to_owned)
    };
    let has = |names: &[&str]| hits.iter().any(|h| names.contains(&lexicon.name(h.concept)));
    let who = if has(&["only_device", "others_fine"]) {
        Some(Who::OneDevice)
    } else if has(&["all_devices"]) {
        Some(Who::All)
    } else {
        None
    };
    Slots {
        when: named("when"),
        where_: named("place"),
        who,
        device: named("device"),
        application: named("app"),
        changed: named("changed"),
        plan_mbps: plan(lexicon, words, hits),
    }
}

fn plan(lexicon: &Lexicon, words: &[Word], hits: &[Hit]) -> Option<f64> {
    let paid = hits.iter().filter(|h| lexicon.name(h.concept) == "plan");
    paid.filter_map(|hit| {
        let reach = hit.start..words.len().min(hit.end + PLAN_REACH);
        reach.into_iter().find_map(|at| rate(words, at))
    })
    .next()
}

/// The rate written at a word, in Mbps.
fn rate(words: &[Word], at: usize) -> Option<f64> {
    let unit = words.get(at + 1).map_or("", |w| w.text.as_str());
    let scale = match unit {
        "g" | "gb" | "gbps" | "gig" | "gigabit" => 1000.0,
        _ => 1.0,
    };
    match words[at].text.as_str() {
        "gigabit" | "gig" => Some(1000.0),
        _ => words[at].number.map(|n| n * scale).filter(|mbps| (10.0..=100_000.0).contains(mbps)),
    }
}
