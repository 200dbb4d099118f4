//! B01–B08: connection, will, presence, identity, state.

use super::{failed, no_proxy, none_wrong, passed, skipped};
use crate::check::evidence::Evidence;
use crate::check::heard::Heard;
use crate::check::report::Verdict;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use talkwire_proto::inbound::DeviceBody;
use talkwire_proto::lwt::Presence;
use talkwire_proto::state::Health;

/// The longest time between two states, with room for the way.
const STATE_EVERY: Duration = Duration::from_secs(310);
/// More states than this in a minute are noise.
const STATES_A_MINUTE: usize = 12;
/// How soon the broker must have said the will after the cut.
const WILL_WITHIN: Duration = Duration::from_secs(5);

/// How far apart the words of one greeting may be.
const GREETING: Duration = Duration::from_secs(5);
/// By how many seconds an up-time may be off, because it was rounded, or came late.
const UPTIME_S: f64 = 3.0;
/// By how many seconds an up-time must fall to count: a state may tell figures of its last round, a minute ago at most.
const FALL_S: f64 = 60.0;

fn presence(heard: &Heard) -> Option<Presence> {
    match heard.body() {
        Some(DeviceBody::Lwt(lwt)) => Some(lwt.status),
        _ => None,
    }
}

/// How often the device greeted once more than it should: once before the cut, once after it. A broker that says nothing of a client
/// which another one of the same id throws out shows it in this way alone.
fn greeted_again(evidence: &Evidence) -> usize {
    let attrs: Vec<Duration> = evidence.live("attr").map(|heard| heard.at).collect();
    let with_attr = |at: Duration| attrs.iter().any(|attr| attr.abs_diff(at) <= GREETING);
    let greetings = evidence.live("lwt").filter(|heard| presence(heard) == Some(Presence::Online) && with_attr(heard.at)).map(|heard| heard.at);
    let Some(cut) = &evidence.cut else { return greetings.count().saturating_sub(1) };
    let (before, after): (Vec<Duration>, Vec<Duration>) = greetings.filter(|at| *at < cut.at || *at >= cut.reopened).partition(|at| *at < cut.at);
    before.len().saturating_sub(1) + after.len().saturating_sub(1)
}

/// Whether the up-time fell and soon after was as high as before: a restart makes it fall, and nothing but another device's rise again.
fn two_uptimes(evidence: &Evidence) -> bool {
    let end = evidence.cut.as_ref().map_or(Duration::MAX, |cut| cut.at);
    // A repeated command is answered as it was, with the up-time of then.
    let mut answered = BTreeSet::new();
    let mut uptime = |heard: &Heard| match heard.body()? {
        DeviceBody::State(state) => state.uptime_s,
        DeviceBody::Answer(answer) if answered.insert(answer.id.clone()) => figure(answer.result.as_ref()?.get("uptime_s")),
        _ => None,
    };
    // What was kept or stuck in the outage comes late.
    let live = evidence.heard.iter().filter(|heard| !heard.retain && heard.at < end);
    let samples: Vec<(f64, f64)> = live.filter_map(|heard| Some((heard.at.as_secs_f64(), uptime(heard)?))).collect();
    let fell = |place: &usize| samples[*place].1 < samples[place - 1].1 - FALL_S;
    let rises = |place: usize| samples[place..].iter().any(|(at, up)| up - samples[place].1 > at - samples[place].0 + UPTIME_S);
    (1..samples.len()).filter(fell).any(rises)
}

/// B01.
pub fn stays(evidence: &Evidence) -> Verdict {
    let live = evidence.heard.iter().filter(|heard| !heard.retain).count();
    if live == 0 {
        return skipped("nothing was heard of the device while it was watched");
    }
    let lost = evidence.heard.iter().filter(|heard| !heard.retain && presence(heard) == Some(Presence::Offline) && !evidence.in_outage(heard.at)).count();
    let (again, two) = (greeted_again(evidence), two_uptimes(evidence));
    if lost > 0 || again > 0 || two {
        let mut seen = Vec::new();
        if lost > 0 {
            seen.push(format!("the broker said `offline` {lost} times"));
        }
        if again > 0 {
            seen.push(format!("the device said `online` and attr {again} times more, as on a new connection"));
        }
        if two {
            seen.push("uptime_s jumped back and forth, as if two devices spoke".into());
        }
        let cause = if two || lost.max(again) > 1 { "; likely cause: two clients use this id, and each throws the other out" } else { "" };
        return failed(format!("{}, although nobody cut the connection{cause}", seen.join("; ")));
    }
    if let Some(connect) = &evidence.connect {
        if connect.client_id.is_empty() {
            return failed("it connects with an empty client id, so the broker cannot keep its session");
        }
        if connect.keep_alive.is_zero() || connect.keep_alive > Duration::from_secs(300) {
            return failed(format!("its keep-alive is {} s, so a silent loss is seen late or never", connect.keep_alive.as_secs()));
        }
        return passed(format!(
            "client id {:?}, MQTT level {}, keep-alive {} s; {live} messages heard",
            connect.client_id,
            connect.level,
            connect.keep_alive.as_secs()
        ));
    }
    passed(format!("{live} messages heard, no loss of the connection"))
}

/// B02.
pub fn will(evidence: &Evidence) -> Verdict {
    let Some(cut) = &evidence.cut else { return no_proxy(evidence) };
    let lwt = format!("rtk/v1/{}/lwt", evidence.key);
    if let Some(connect) = &evidence.connect {
        match &connect.will {
            None => return failed("its CONNECT carries no will"),
            Some(will) if will.topic != lwt => return failed(format!("its will goes to {:?}, not to {lwt}", will.topic)),
            Some(will) if will.qos == 0 || !will.retain => {
                return failed(format!("its will has QoS {} and {}", will.qos, if will.retain { "is retained" } else { "is not retained" }));
            }
            Some(_) => {}
        }
    }
    let said = evidence.heard.iter().find(|heard| heard.at >= cut.at && presence(heard) == Some(Presence::Offline));
    match said {
        Some(heard) if heard.at - cut.at <= WILL_WITHIN => passed(format!("heard {} ms after the cut", (heard.at - cut.at).as_millis())),
        Some(heard) => failed(format!("heard only {} s after the cut", (heard.at - cut.at).as_secs())),
        None => failed("the connection was cut and nobody said `offline` on lwt"),
    }
}

/// B03.
pub fn lwt(evidence: &Evidence) -> Verdict {
    let Some(kept) = &evidence.kept else { return skipped("nobody asked the broker what it keeps") };
    match kept.iter().find(|heard| heard.tail == "lwt") {
        None => failed("a new subscriber gets no lwt"),
        Some(heard) => match (presence(heard), &heard.read) {
            (Some(Presence::Online), _) => passed("a new subscriber gets `online`"),
            (Some(Presence::Offline), _) => failed("a new subscriber gets `offline` while the device is there"),
            (None, read) => failed(format!("the kept lwt cannot be read: {}", read.as_ref().err().cloned().unwrap_or_default())),
        },
    }
}

fn kept(evidence: &Evidence, tail: &str) -> Verdict {
    let Some(kept) = &evidence.kept else { return skipped("nobody asked the broker what it keeps") };
    if kept.iter().any(|heard| heard.tail == tail) {
        return passed(format!("a new subscriber gets {tail} at once"));
    }
    match evidence.heard.iter().any(|heard| heard.tail == tail) {
        true => failed(format!("{tail} was published, but a new subscriber does not get it: it is not retained")),
        false => failed(format!("no {tail} was seen")),
    }
}

/// B04.
pub fn attr_kept(evidence: &Evidence) -> Verdict {
    kept(evidence, "attr")
}

/// B05.
pub fn attr_complete(evidence: &Evidence) -> Verdict {
    let Some(heard) = evidence.newest("attr") else { return skipped("no attr was seen (see B04)") };
    let Some(DeviceBody::Attr(attr)) = heard.body() else { return failed("attr cannot be read (see B16)") };
    let texts =
        [("device_type", &attr.device_type), ("manufacturer", &attr.manufacturer), ("model", &attr.model), ("firmware_version", &attr.firmware_version)];
    let mut missing: Vec<&str> = texts.iter().filter(|(_, text)| text.as_deref().is_none_or(str::is_empty)).map(|(name, _)| *name).collect();
    if attr.tools.is_none() && attr.features.is_empty() {
        missing.push("capabilities");
    }
    if !missing.is_empty() {
        return failed(format!("missing: {}", missing.join(", ")));
    }
    let can = attr.tools.as_ref().map_or_else(|| format!("{} features", attr.features.len()), |tools| format!("{} tools", tools.len()));
    passed(format!(
        "{} {} {}, {can}",
        attr.manufacturer.as_deref().unwrap_or_default(),
        attr.model.as_deref().unwrap_or_default(),
        attr.firmware_version.as_deref().unwrap_or_default()
    ))
}

/// B06.
pub fn state_kept(evidence: &Evidence) -> Verdict {
    kept(evidence, "state")
}

/// B07.
pub fn state_figures(evidence: &Evidence) -> Verdict {
    let Some(heard) = evidence.newest("state") else { return skipped("no state was seen (see B06)") };
    let Some(DeviceBody::State(state)) = heard.body() else { return failed("state cannot be read (see B16)") };
    let figures = [("uptime_s", state.uptime_s), ("cpu_usage", state.cpu_usage), ("memory_usage", state.memory_usage)];
    let mut wrong: Vec<String> = figures.iter().filter(|(_, figure)| figure.is_none()).map(|(name, _)| format!("{name} is missing")).collect();
    if state.health == Health::Unknown {
        wrong.push("health is missing".into());
    }
    let percent =
        |name: &str, figure: Option<f64>| figure.filter(|figure| !(0.0..=100.0).contains(figure)).map(|figure| format!("{name} is {figure}, not a percentage"));
    wrong.extend(percent("cpu_usage", state.cpu_usage));
    wrong.extend(percent("memory_usage", state.memory_usage));
    wrong.extend(state.uptime_s.filter(|seconds| *seconds < 0.0).map(|seconds| format!("uptime_s is {seconds}")));
    let shown = |figure: Option<f64>| figure.unwrap_or_default();
    none_wrong(
        &wrong,
        format!("{}, up {} s, CPU {} %, memory {} %", health_word(state.health), shown(state.uptime_s), shown(state.cpu_usage), shown(state.memory_usage)),
    )
}

fn health_word(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Warning => "warning",
        Health::Error => "error",
        Health::Unknown => "unknown",
    }
}

/// B08.
pub fn cadence(evidence: &Evidence) -> Verdict {
    let times: Vec<Duration> = evidence.live("state").map(|heard| heard.at).collect();
    let crowded = times.iter().map(|from| times.iter().filter(|at| **at >= *from && **at < *from + Duration::from_secs(60)).count()).max().unwrap_or_default();
    if crowded > STATES_A_MINUTE {
        return failed(format!("{crowded} states within a minute"));
    }
    let longest = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max();
    if let Some(gap) = longest {
        let detail = format!("{} states, at most {} s apart", times.len(), gap.as_secs());
        return if gap > STATE_EVERY { failed(detail) } else { passed(detail) };
    }
    // The kept state tells by its time how long nothing came.
    let oldest = evidence.kept.iter().flatten().find(|heard| heard.tail == "state").and_then(|heard| Some(heard.arrived_ms - heard.envelope()?.ts_ms?));
    if let Some(age_ms) = oldest.filter(|age_ms| times.is_empty() && *age_ms > STATE_EVERY.as_millis() as i64) {
        return failed(format!("the kept state is {} s old and no newer one came", age_ms / 1000));
    }
    let silence = evidence.watched.saturating_sub(times.last().copied().unwrap_or_default());
    if silence > STATE_EVERY {
        return failed(format!("no state for {} s", silence.as_secs()));
    }
    skipped(format!("watched for {} s, too short to see two states; leave --quick out, or watch longer with --watch 320", evidence.watched.as_secs()))
}

/// The figure of a state or a result, in percent.
pub(crate) fn figure(value: Option<&Value>) -> Option<f64> {
    value.and_then(Value::as_f64).filter(|figure| figure.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::rules::tests::{seen, states};
    use serde_json::json;

    fn is_two(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Failed(detail) if detail.contains("two clients use this id"))
    }

    #[test]
    fn an_up_time_that_goes_back_and_forth_is_that_of_two_devices() {
        let up = |seconds: fn(u64) -> u64| stays(&seen(61, states(12, move |n| json!({"uptime_s": seconds(n)}))));
        assert!(is_two(&up(|n| if n % 2 == 0 { 500 + n } else { 20 + n })));
        assert!(matches!(up(|n| n), Verdict::Passed(_)));
        // One that restarts, one that counts minutes.
        assert!(matches!(up(|n| if n < 6 { 500 + n } else { n - 6 }), Verdict::Passed(_)));
        assert!(matches!(up(|n| n / 5 * 60), Verdict::Passed(_)));
    }

    #[test]
    fn a_device_that_greets_again_and_again_was_thrown_out() {
        let greeting = |at: u64| [(at, "lwt", json!({"status": "online"})), (at, "attr", json!({"model": "S1"}))];
        let greeted = |times: &[u64]| stays(&seen(61, times.iter().flat_map(|at| greeting(*at)).collect()));
        assert!(matches!(greeted(&[1]), Verdict::Passed(_)));
        assert!(matches!(greeted(&[1, 20]), Verdict::Failed(detail) if !detail.contains("two clients")));
        assert!(is_two(&greeted(&[1, 20, 30])));
        // Presence that is repeated alone is no new connection.
        assert!(matches!(stays(&seen(61, (0..5).map(|n| (n * 10, "lwt", json!({"status": "online"}))).collect())), Verdict::Passed(_)));
    }
}
