//! R01–R05: what happens when the connection is cut by the proxy.

use super::{failed, no_proxy, passed, skipped};
use crate::check::evidence::{Cut, Evidence, Purpose};
use crate::check::report::Verdict;
use std::time::Duration;
use talkwire_proto::inbound::DeviceBody;
use talkwire_proto::lwt::Presence;

/// The guide's longest distance between attempts, with room for the way.
const BACK_WITHIN: Duration = Duration::from_secs(125);

fn with_cut(evidence: &Evidence, rule: impl FnOnce(&Cut) -> Verdict) -> Verdict {
    evidence.cut.as_ref().map_or_else(|| no_proxy(evidence), rule)
}

/// R01.
pub fn returns(evidence: &Evidence) -> Verdict {
    with_cut(evidence, |cut| match cut.returned {
        None => failed("the device did not come back"),
        Some(at) if at.saturating_sub(cut.reopened) > BACK_WITHIN => {
            failed(format!("back only {} s after the network", at.saturating_sub(cut.reopened).as_secs()))
        }
        Some(at) => passed(format!(
            "after an outage of {:.1} s it was back within {:.1} s",
            (cut.reopened - cut.at).as_secs_f64(),
            at.saturating_sub(cut.reopened).as_secs_f64()
        )),
    })
}

/// R02.
pub fn backoff(evidence: &Evidence) -> Verdict {
    with_cut(evidence, |cut| {
        let outage = cut.reopened.saturating_sub(cut.at);
        // From half a second on, each wait twice the one before: 0.5, 1, 2, 4 … fits this; a fixed short distance does not.
        let most = 3 + (outage.as_secs_f64() + 1.0).log2().ceil() as usize;
        if cut.attempts.is_empty() {
            return if cut.returned.is_some() {
                passed(format!("no attempt within the {:.1} s of the outage, then back", outage.as_secs_f64()))
            } else {
                failed("not one attempt to reconnect was seen")
            };
        }
        let detail = format!("{} attempts in {:.1} s", cut.attempts.len(), outage.as_secs_f64());
        // A fixed distance of seconds, as the guide's loop has it, is no storm.
        let calm = cut.attempts.len() <= most.max(outage.as_secs_f64().ceil() as usize);
        if calm { passed(detail) } else { failed(detail) }
    })
}

fn answered_after(evidence: &Evidence, purpose: Purpose, lost: &str) -> Verdict {
    with_cut(evidence, |cut| {
        let Some(exchange) = evidence.exchange(purpose) else { return skipped("not tried: the device did not come back (see R01)") };
        if let Some(why) = &exchange.sent.refused {
            return skipped(format!("the broker did not take the command: {why} (see B09)"));
        }
        let Some(returned) = cut.returned else { return skipped("the device did not come back (see R01)") };
        match exchange.answers.iter().find(|(after, _)| exchange.sent.at + *after >= cut.reopened) {
            Some((after, _)) => {
                passed(format!("its result came {:.1} s after the reconnect", (exchange.sent.at + *after).saturating_sub(returned).as_secs_f64()))
            }
            None => failed(lost),
        }
    })
}

/// R03.
pub fn buffer(evidence: &Evidence) -> Verdict {
    answered_after(evidence, Purpose::Held, "a result that was on its way when the connection was cut never came")
}

/// R04.
pub fn session(evidence: &Evidence) -> Verdict {
    let clean = evidence.connect.as_ref().filter(|connect| connect.clean && connect.level < 5);
    match answered_after(evidence, Purpose::Outage, "a command that was sent meanwhile got lost") {
        Verdict::Failed(why) if clean.is_some() => failed(format!("{why}: the device connects with clean_session=true")),
        verdict => verdict,
    }
}

/// R05.
pub fn greets(evidence: &Evidence) -> Verdict {
    with_cut(evidence, |cut| {
        let Some(returned) = cut.returned else { return skipped("the device did not come back (see R01)") };
        let after = |tail: &str| evidence.heard.iter().any(|heard| heard.at >= cut.reopened && !heard.retain && heard.tail == tail);
        let online =
            evidence.heard.iter().any(|heard| heard.at >= cut.reopened && matches!(heard.body(), Some(DeviceBody::Lwt(lwt)) if lwt.status == Presence::Online));
        if !online {
            return failed(format!("`online` was not said after it was back at {:.1} s", returned.as_secs_f64()));
        }
        passed(if after("state") { "it said `online` and its state" } else { "it said `online`" })
    })
}
