//! What changed: who came, left and moved, from one picture of a device to its next, and by the events that say so.

use super::words::{self, Seen};
use super::{Place, Report};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use talkwire_proto::event::Severity;

/// Most changes of a place.
const MOST: usize = 500;
/// An event and the next picture tell the same move when they come within this time, in milliseconds.
const SAME_MS: i64 = 5 * 60_000;

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Change {
    /// Arrival, in Unix milliseconds.
    pub at_ms: i64,
    /// `joined`, `left`, `moved`, `told` (in the device's own words) or `event`.
    pub what: &'static str,
    /// Whom it is about.
    pub device_id: String,
    pub name: Option<String>,
    /// Where it was.
    pub from: Option<String>,
    /// Where it is.
    pub to: Option<String>,
    pub event_type: Option<String>,
    pub severity: Option<Severity>,
    /// The device that said so.
    pub source: String,
}

/// Changes since `from_ms`, newest first.
pub(super) fn of(place: &Place, from_ms: i64) -> Vec<Change> {
    let mut found: Vec<Change> = place.events.iter().map(event).collect();
    let mut of_source: BTreeMap<(&str, &str), Vec<&Report>> = BTreeMap::new();
    for report in &place.reports {
        of_source.entry((&report.source, &report.part)).or_default().push(report);
    }
    for reports in of_source.values_mut() {
        reports.sort_by_key(|report| report.at_ms);
        for pair in reports.windows(2) {
            found.extend(between(pair[0], pair[1]));
        }
    }
    found.retain(|change| change.at_ms >= from_ms);
    found.sort_by(|one, other| other.at_ms.cmp(&one.at_ms).then_with(|| one.device_id.cmp(&other.device_id)));
    // Several devices see the same move: the first that told it is heard.
    let mut heard: Vec<Change> = Vec::new();
    for change in found.into_iter().rev() {
        let mut of_it =
            heard.iter().rev().take_while(|one| change.at_ms - one.at_ms <= SAME_MS).filter(|one| one.what != "event" && one.device_id == change.device_id);
        if of_it.next().is_none_or(|one| (one.what, &one.to) != (change.what, &change.to)) {
            heard.push(change);
        }
    }
    heard.reverse();
    heard.truncate(MOST);
    heard
}

fn event(told: &super::Told) -> Change {
    let moved = told.event_type.contains("roam").then(|| words::roam(&told.data)).flatten();
    let (what, device_id, from, to) = match moved {
        Some((client, from, to)) => ("moved", client, from, Some(to)),
        None => ("event", told.source.clone(), None, None),
    };
    let (event_type, severity) = (Some(told.event_type.clone()), Some(told.severity));
    Change { at_ms: told.at_ms, what, device_id, name: None, from, to, event_type, severity, source: told.source.clone() }
}

/// A picture as it is compared: who is there, and on what.
struct Picture {
    nodes: BTreeMap<String, Seen>,
    above: BTreeMap<String, String>,
}

impl Picture {
    fn of(report: &Report) -> Self {
        let nodes = words::nodes(&report.data).filter_map(|(id, seen)| Some((id?, seen))).collect();
        Self { nodes, above: words::links(&report.data).map(|link| (link.to, link.from)).collect() }
    }

    fn is_here(&self, id: &str) -> bool {
        self.nodes.get(id).map_or_else(|| self.above.contains_key(id), |seen| seen.online != Some(false))
    }
}

fn between(old: &Report, new: &Report) -> Vec<Change> {
    let (before, after) = (Picture::of(old), Picture::of(new));
    let everybody: BTreeSet<&String> = before.nodes.keys().chain(before.above.keys()).chain(after.nodes.keys()).chain(after.above.keys()).collect();
    let mut found = Vec::new();
    for id in everybody {
        let (from, to) = (before.above.get(id).cloned(), after.above.get(id).cloned());
        let what = match (before.is_here(id), after.is_here(id)) {
            (false, true) => "joined",
            (true, false) => "left",
            (true, true) if from.is_some() && to.is_some() && from != to => "moved",
            _ => continue,
        };
        let name = after.nodes.get(id).or(before.nodes.get(id)).and_then(|seen| seen.name.clone());
        let (event_type, severity, source) = (None, None, new.source.clone());
        found.push(Change { at_ms: new.at_ms, what, device_id: id.clone(), name, from, to, event_type, severity, source });
    }
    let own_words = words::told(&new.data).iter().filter_map(|told| {
        let text = told.as_str().or_else(|| ["description", "change_type", "type"].iter().find_map(|name| told.get(name).and_then(Value::as_str)))?;
        let name = Some(talkwire_proto::text::shown(text, 160)).filter(|text| !text.is_empty())?;
        let about = ["device_id", "mac_address", "mac"].iter().find_map(|field| told.get(field).and_then(Value::as_str));
        let device_id = about.map_or_else(|| new.source.clone(), |id| talkwire_proto::text::shown(id, 64));
        Some(Change {
            at_ms: new.at_ms,
            what: "told",
            device_id,
            name: None,
            from: None,
            to: None,
            event_type: Some(name),
            severity: None,
            source: new.source.clone(),
        })
    });
    found.extend(own_words);
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;
    use crate::network::Told;
    use serde_json::json;

    /// When, what, who, from where, to where.
    type Brief<'a> = (i64, &'a str, &'a str, Option<&'a str>, Option<&'a str>);

    fn brief(changes: &[Change]) -> Vec<Brief<'_>> {
        changes.iter().map(|change| (change.at_ms, change.what, change.device_id.as_str(), change.from.as_deref(), change.to.as_deref())).collect()
    }

    #[test]
    fn who_moves_leaves_and_comes_is_read_from_one_picture_to_the_next() {
        let (router, ap) = ("020000000001", "020000000002");
        let mut gone = report(router, 300_000, ap);
        gone.data["discovered_devices"][2]["online"] = json!(false);
        gone.data["connections"].as_array_mut().unwrap().pop();
        let reports = vec![report(router, 100_000, router), report(router, 200_000, ap), gone, report(router, 400_000, ap), report(router, 500_000, ap)];
        let place = Place { reports, ..Place::default() };
        let phone = "02000000a001";
        let expected =
            [(400_000, "joined", phone, None, Some(ap)), (300_000, "left", phone, Some(ap), None), (200_000, "moved", phone, Some(router), Some(ap))];
        assert_eq!(brief(&of(&place, 0)), expected);
        assert_eq!(brief(&of(&place, 250_000)), expected[..2]);
    }

    #[test]
    fn a_roam_that_an_event_and_a_picture_tell_is_one_and_other_events_stand_for_themselves() {
        let (router, ap, phone) = ("020000000001", "020000000002", "02000000a001");
        let data = json!({"client_mac": "02:00:00:00:a0:01", "from_ap": router, "to_ap": ap, "reason": "better_signal"});
        let told = |event_type: &str, at_ms: i64, data: Value| Told { source: ap.into(), event_type: event_type.into(), severity: Severity::Info, at_ms, data };
        let events = vec![told("wifi.roam_triggered", 150_000, data), told("network.link_change", 160_000, json!({"interface": "lan1"}))];
        let place = Place { reports: vec![report(router, 100_000, router), report(router, 200_000, ap)], events, ..Place::default() };
        let found = of(&place, 0);
        assert_eq!(brief(&found), [(160_000, "event", ap, None, None), (150_000, "moved", phone, Some(router), Some(ap))]);
        assert_eq!(found[1].source, ap);
    }
}
