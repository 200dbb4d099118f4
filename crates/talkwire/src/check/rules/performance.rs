//! P01–P05: delay, processor, memory, traffic.

use super::basics::figure;
use super::{failed, ms, passed, skipped};
use crate::check::evidence::{Evidence, Purpose};
use crate::check::heard::Heard;
use crate::check::report::Verdict;
use std::time::Duration;
use talkwire_proto::inbound::DeviceBody;

/// The guide's figures.
const DELAY: Duration = Duration::from_millis(100);
const CPU_PERCENT: f64 = 20.0;
const MESSAGES_A_MINUTE: usize = 60;
/// "Within reason", as a figure.
const MEMORY_PERCENT: f64 = 90.0;
/// A rise of so many points of percent that goes on through all samples counts as a leak.
const LEAK_POINTS: f64 = 2.0;
/// Fewer samples show no trend.
const SAMPLES: usize = 5;
/// A shorter time shows neither what comes in a minute nor that nothing grows.
const LONG_ENOUGH: Duration = Duration::from_secs(60);

/// What was seen for too short a time may fail, but not pass.
fn passed_if_long(seen: Duration, detail: String) -> Verdict {
    if seen >= LONG_ENOUGH {
        return passed(detail);
    }
    skipped(format!(
        "the device was seen for {} s, at least {} s are needed; leave --quick out, or add --watch {} (so far: {detail})",
        seen.as_secs(),
        LONG_ENOUGH.as_secs(),
        LONG_ENOUGH.as_secs() + 1
    ))
}

/// P01: from the command to its acknowledgement, there and back, the middle one of many.
pub fn latency(evidence: &Evidence) -> Verdict {
    let mut times: Vec<Duration> = evidence.exchanges(Purpose::Harmless).iter().filter_map(|exchange| exchange.acks.first().map(|(after, _)| *after)).collect();
    if times.is_empty() {
        return skipped("no command was acknowledged (see B09)");
    }
    times.sort_unstable();
    let middle = times[times.len() / 2];
    let last = times[times.len() - 1];
    let detail = format!("command and acknowledgement took {} in the middle, {} at most, of {}", ms(middle), ms(last), times.len());
    if middle > DELAY { failed(detail) } else { passed(detail) }
}

/// A figure of every state in order; of every result of the harmless command too, when `results`.
fn samples(evidence: &Evidence, name: &str, results: bool) -> Vec<f64> {
    let of = |heard: &Heard| match heard.body()? {
        DeviceBody::Answer(_) if !results => None,
        DeviceBody::State(_) => figure(heard.envelope()?.body.get(name)),
        DeviceBody::Answer(answer) => figure(answer.result.as_ref()?.get(name)),
        _ => None,
    };
    evidence.heard.iter().filter_map(of).collect()
}

/// P02: the middle of all samples, so that one busy moment is none. Its own program's share, when the device says it.
pub fn cpu(evidence: &Evidence) -> Verdict {
    let mut own = samples(evidence, "process_cpu_usage", true);
    if !own.is_empty() {
        own.sort_by(f64::total_cmp);
        let middle = own[own.len() / 2];
        let detail = format!("the device's own program: {middle:.1} % in the middle, {:.1} % at most, of {} samples", own[own.len() - 1], own.len());
        return if middle >= CPU_PERCENT { failed(detail) } else { passed(detail) };
    }
    // The check's own commands come in bursts: states tell more of an ordinary day, when there are some.
    let states = samples(evidence, "cpu_usage", false);
    let mut samples = if states.len() >= 3 { states } else { samples(evidence, "cpu_usage", true) };
    if samples.is_empty() {
        return skipped("neither state nor the command's result says cpu_usage (see B07)");
    }
    samples.sort_by(f64::total_cmp);
    let middle = samples[samples.len() / 2];
    let detail = format!("cpu_usage, {middle:.1} % in the middle, {:.1} % at most, of {} samples", samples[samples.len() - 1], samples.len());
    if middle >= CPU_PERCENT {
        failed(format!(
            "{detail}; this is the whole machine's, and whose work it is cannot be seen: the device does not say its own program's share (process_cpu_usage)"
        ))
    } else {
        passed(detail)
    }
}

/// P03.
pub fn memory(evidence: &Evidence) -> Verdict {
    let samples = samples(evidence, "memory_usage", true);
    let Some(most) = samples.iter().copied().max_by(f64::total_cmp) else {
        return skipped("neither state nor the command's result says memory_usage (see B07)");
    };
    let detail = format!("{most:.1} % at most");
    if most >= MEMORY_PERCENT { failed(detail) } else { passed(detail) }
}

/// P04.
pub fn leak(evidence: &Evidence) -> Verdict {
    let samples = samples(evidence, "memory_usage", true);
    if samples.len() < SAMPLES {
        return skipped(format!("{} samples of memory_usage are too few; answer device.status with it, or watch longer with --watch SECONDS", samples.len()));
    }
    let third = samples.len() / 3;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let thirds = [mean(&samples[..third]), mean(&samples[third..samples.len() - third]), mean(&samples[samples.len() - third..])];
    let rise = thirds[2] - thirds[0];
    let seen = evidence.seen_for(None);
    let detail = format!("{:.1} % to {:.1} % over {} samples in {} s", thirds[0], thirds[2], samples.len(), seen.as_secs());
    let steady = thirds[0] < thirds[1] && thirds[1] < thirds[2];
    if steady && rise >= LEAK_POINTS { failed(format!("it rises steadily: {detail}")) } else { passed_if_long(seen, detail) }
}

/// P05: acknowledgements and results answer us, so they are not its own.
pub fn traffic(evidence: &Evidence) -> Verdict {
    // What waited during the outage comes at once, and is not held against the device.
    let own = evidence.heard.iter().filter(|heard| !heard.retain && heard.family() != "cmd" && evidence.cut.as_ref().is_none_or(|cut| heard.at < cut.at));
    let times: Vec<(Duration, usize)> = own.map(|heard| (heard.at, heard.payload.len())).collect();
    if evidence.heard.is_empty() {
        return skipped("nothing was heard");
    }
    let minute = Duration::from_secs(60);
    let in_minute = |from: Duration| times.iter().filter(move |(at, _)| *at >= from && *at < from + minute);
    let most = times.iter().map(|(from, _)| in_minute(*from).count()).max().unwrap_or_default();
    let bytes: usize = times.iter().map(|(_, bytes)| bytes).sum();
    let seen = evidence.seen_for(evidence.cut.as_ref().map(|cut| cut.at));
    let detail = format!("{most} messages in the busiest minute, {bytes} bytes in {} s", seen.as_secs());
    if most > MESSAGES_A_MINUTE { failed(detail) } else { passed_if_long(seen, detail) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::rules::tests::{seen, states};
    use serde_json::json;

    #[test]
    fn what_was_seen_for_too_short_a_time_is_not_passed_but_may_fail() {
        let steady = |seconds| seen(seconds, states(10, |_| json!({"memory_usage": 40.0})));
        for rule in [leak, traffic] {
            assert!(matches!(rule(&steady(13)), Verdict::Skipped(why) if why.contains("13 s") && why.contains("--watch 61")));
            assert!(matches!(rule(&steady(61)), Verdict::Passed(_)));
        }
        assert!(matches!(leak(&seen(13, states(10, |n| json!({"memory_usage": 40 + n})))), Verdict::Failed(_)));
        assert!(matches!(traffic(&seen(13, (0..70).map(|n| (n / 10, "state", json!({}))).collect())), Verdict::Failed(_)));
    }

    #[test]
    fn a_busy_machine_is_not_held_against_a_program_that_does_nothing() {
        let busy = |more: Option<f64>| seen(61, states(10, |_| json!({"cpu_usage": 80.0, "process_cpu_usage": more})));
        assert!(matches!(cpu(&busy(Some(0.5))), Verdict::Passed(detail) if detail.contains("own program: 0.5 %")));
        assert!(matches!(cpu(&busy(Some(30.0))), Verdict::Failed(detail) if detail.contains("own program: 30.0 %")));
        assert!(matches!(cpu(&busy(None)), Verdict::Failed(detail) if detail.contains("the whole machine's")));
    }
}
