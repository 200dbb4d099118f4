//! B11–B18: the shape of telemetry and events, topics, quality of service, retain, schema, time.

use super::{failed, none_wrong, passed, skipped};
use crate::check::evidence::Evidence;
use crate::check::heard::Heard;
use crate::check::report::Verdict;
use talkwire_proto::inbound::DeviceBody;
use talkwire_proto::{Topic, limits};

/// How far a device's clock may be off, in milliseconds.
const CLOCK_MS: i64 = 30_000;

/// B11.
pub fn telemetry(evidence: &Evidence) -> Verdict {
    let mut wrong = Vec::new();
    let mut count = 0;
    for heard in evidence.live("telemetry") {
        count += 1;
        match heard.body() {
            Some(DeviceBody::Telemetry(metric, sample)) if sample.value.is_some() && sample.unit.as_deref().is_none_or(str::is_empty) => {
                wrong.push(format!("{metric} has a value and no unit"));
            }
            Some(_) => {}
            None => wrong.push(format!("{}: {}", heard.tail, heard.read.as_ref().err().cloned().unwrap_or_default())),
        }
    }
    if count == 0 {
        return skipped("no telemetry came while the device was watched; watch longer with --watch SECONDS");
    }
    none_wrong(&wrong, format!("{count} samples"))
}

/// B12.
pub fn events(evidence: &Evidence) -> Verdict {
    let mut wrong = Vec::new();
    let mut names = Vec::new();
    for heard in evidence.live("evt") {
        match (heard.body(), heard.envelope()) {
            (Some(DeviceBody::Event(name, _)), Some(envelope)) => {
                names.push(name.clone());
                let said = envelope.fields().text(&["event_type"]).ok().flatten();
                match said {
                    None => wrong.push(format!("{name}: event_type is missing")),
                    Some(said) if said != *name => wrong.push(format!("the topic says {name}, event_type says {said}")),
                    Some(_) => {}
                }
                if !envelope.raw.get("data").is_some_and(serde_json::Value::is_object) {
                    wrong.push(format!("{name}: data is not an object"));
                }
                if envelope.schema.name != format!("evt.{name}") {
                    wrong.push(format!("{name}: schema is {}", envelope.schema));
                }
            }
            _ => wrong.push(format!("{}: {}", heard.tail, heard.read.as_ref().err().cloned().unwrap_or_default())),
        }
    }
    if names.is_empty() && wrong.is_empty() {
        return skipped(
            "no event came while the device was watched: cause one (restart the device, pull a cable), or name an op that causes one with --event-op",
        );
    }
    names.dedup();
    none_wrong(&wrong, format!("seen: {}", names.join(", ")))
}

fn is_known(evidence: &Evidence, heard: &Heard) -> bool {
    format!("rtk/v1/{}/{}", evidence.key, heard.tail).parse::<Topic>().is_ok()
}

/// B13.
pub fn topics(evidence: &Evidence) -> Verdict {
    if evidence.heard.is_empty() {
        return skipped("nothing was heard");
    }
    let wrong: Vec<String> = evidence.heard.iter().filter(|heard| !is_known(evidence, heard)).map(|heard| format!("{:?} is not one", heard.tail)).collect();
    let mut families: Vec<&str> = evidence.heard.iter().map(Heard::family).collect();
    families.sort_unstable();
    families.dedup();
    none_wrong(&wrong, families.join(", "))
}

/// B14.
pub fn qos(evidence: &Evidence) -> Verdict {
    let must = ["lwt", "attr", "state", "evt", "cmd", "topology", "capability"];
    let judged: Vec<&Heard> = evidence.heard.iter().filter(|heard| must.contains(&heard.family())).collect();
    if judged.is_empty() {
        return skipped("nothing was heard that must have QoS 1");
    }
    let wrong: Vec<String> = judged.iter().filter(|heard| !heard.acknowledged).map(|heard| format!("{} has QoS 0", heard.tail)).collect();
    none_wrong(&wrong, format!("{} messages", judged.len()))
}

/// B15.
pub fn retained(evidence: &Evidence) -> Verdict {
    let Some(kept) = &evidence.kept else { return skipped("nobody asked the broker what it keeps") };
    let allowed = ["lwt", "attr", "state"];
    let wrong = |list: &[Heard]| -> Vec<String> {
        list.iter().filter(|heard| heard.retain && !allowed.contains(&heard.tail.as_str())).map(|heard| format!("{} is retained", heard.tail)).collect()
    };
    let wrong = [wrong(kept), wrong(&evidence.heard)].concat();
    none_wrong(&wrong, format!("the broker keeps {} messages", kept.len()))
}

/// B16.
pub fn readable(evidence: &Evidence) -> Verdict {
    if evidence.heard.is_empty() {
        return skipped("nothing was heard");
    }
    let known = evidence.heard.iter().filter(|heard| is_known(evidence, heard));
    let wrong: Vec<String> = known.filter_map(|heard| Some(format!("{}: {}", heard.tail, heard.read.as_ref().err()?))).collect();
    none_wrong(&wrong, format!("{} messages", evidence.heard.len()))
}

/// The families that a schema may name on a tail: the protocol's, and `cmd.error` beside `cmd.result`.
fn families(heard: &Heard) -> Vec<String> {
    match heard.body() {
        Some(DeviceBody::Telemetry(metric, _)) => vec![format!("telemetry.{metric}")],
        Some(DeviceBody::Event(name, _)) => vec![format!("evt.{name}")],
        Some(DeviceBody::Ack(_)) => vec!["cmd.ack".into()],
        Some(DeviceBody::Answer(_)) => vec!["cmd.result".into(), "cmd.error".into(), "cmd.progress".into()],
        _ => vec![heard.tail.replace('/', ".")],
    }
}

/// B17.
pub fn tagged(evidence: &Evidence) -> Verdict {
    let mut wrong = Vec::new();
    let mut count = 0;
    for heard in &evidence.heard {
        let Some(envelope) = heard.envelope() else { continue };
        count += 1;
        if envelope.schema_inferred {
            wrong.push(format!("{}: schema is missing", heard.tail));
        } else if envelope.schema_unknown {
            wrong.push(format!("{}: schema {} is newer than this program", heard.tail, envelope.schema));
        } else if !families(heard).contains(&envelope.schema.name) && (heard.family() != "cmd" || !envelope.schema.name.ends_with(".result")) {
            wrong.push(format!("{}: schema is {}", heard.tail, envelope.schema));
        }
        if envelope.ts_ms.is_none() {
            wrong.push(format!("{}: ts is missing", heard.tail));
        }
    }
    if count == 0 { skipped("nothing could be read") } else { none_wrong(&wrong, format!("{count} messages")) }
}

/// B18.
pub fn clock(evidence: &Evidence) -> Verdict {
    // A will carries the time of its connect, and what waited in an outbox the time when it happened.
    let live = evidence.heard.iter().filter(|heard| !heard.retain && heard.tail != "lwt" && !around_cut(evidence, heard));
    let off: Vec<i64> = live.filter_map(|heard| Some(heard.envelope()?.ts_ms? - heard.arrived_ms)).collect();
    let Some(worst) = off.iter().copied().max_by_key(|off| off.abs()) else { return skipped("no live message carried a time") };
    let detail = format!("at most {:.1} s {}", worst.abs() as f64 / 1000.0, if worst > 0 { "ahead" } else { "behind" });
    if worst > limits::TS_AHEAD_MS || worst.abs() > CLOCK_MS { failed(detail) } else { passed(detail) }
}

fn around_cut(evidence: &Evidence, heard: &Heard) -> bool {
    evidence.cut.as_ref().is_some_and(|cut| heard.at >= cut.at)
}
