//! B09, B10 and C01–C05: acknowledgement, result, and what must not go wrong.

use super::{failed, ms, none_wrong, passed, skipped, some};
use crate::check::evidence::{Evidence, Exchange, Purpose};
use crate::check::report::Verdict;
use serde_json::Value;
use std::time::Duration;
use talkwire_proto::batch;
use talkwire_proto::command::{Answer, Outcome};

/// What lets a check send commands.
pub const TO_COMMAND: &str =
    "add --data DIR (the server's data folder) at Talkwire's own broker, elsewhere --username NAME --password PASSWORD of an account that may";
/// The guide's time for an acknowledgement.
const ACK_WITHIN: Duration = Duration::from_secs(1);

/// The exchange, or why there is none.
fn tried(evidence: &Evidence, purpose: Purpose) -> Result<Exchange<'_>, Verdict> {
    let exchange = evidence.exchange(purpose).ok_or_else(|| skipped("not tried: the device did not answer the harmless command (see B09, B10)"))?;
    match &exchange.sent.refused {
        Some(why) => Err(not_taken(why)),
        None => Ok(exchange),
    }
}

/// Why a command could not be sent, and what to add.
fn not_taken(why: &str) -> Verdict {
    skipped(format!("the broker did not take the command: {why}; to publish on …/cmd/req, {TO_COMMAND}"))
}

/// The outcome as it stands on the wire.
fn word(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Completed) => "completed",
        Some(Outcome::Partial) => "partial",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::Timeout) => "timeout",
        Some(Outcome::Cancelled) => "cancelled",
        None => "nothing",
    }
}

fn words(answer: &Answer) -> String {
    answer.error.as_ref().map(|error| format!("{}: {}", error.code, error.message)).unwrap_or_default()
}

/// B09.
pub fn ack(evidence: &Evidence) -> Verdict {
    let mut slowest = Duration::ZERO;
    let mut count = 0;
    for exchange in evidence.exchanges(Purpose::Harmless) {
        if let Some(why) = &exchange.sent.refused {
            return not_taken(why);
        }
        let Some((after, ack)) = exchange.acks.first() else { return failed(format!("{} was not acknowledged", exchange.sent.op)) };
        if !ack.accepted {
            return failed(format!("{} was rejected: {}", exchange.sent.op, ack.reason.as_deref().unwrap_or("no reason given")));
        }
        if let Some((answered, _)) = exchange.answers.first().filter(|(answered, _)| answered < after) {
            return failed(format!("the result came {} before the acknowledgement", ms(*after - *answered)));
        }
        slowest = slowest.max(*after);
        count += 1;
    }
    if count == 0 {
        return skipped("no command was sent");
    }
    let detail = format!("{count} commands, the slowest after {}", ms(slowest));
    if slowest > ACK_WITHIN { failed(detail) } else { passed(detail) }
}

/// B10.
pub fn result(evidence: &Evidence) -> Verdict {
    let exchange = match tried(evidence, Purpose::Harmless) {
        Ok(exchange) => exchange,
        Err(verdict) => return verdict,
    };
    let Some((after, answer)) = exchange.answers.first() else { return failed(format!("{} got no result", exchange.sent.op)) };
    match (answer.outcome, &answer.result) {
        (Some(Outcome::Completed), Some(Value::Object(_))) => passed(format!("{} completed after {}", exchange.sent.op, ms(*after))),
        (Some(Outcome::Completed), _) => failed(format!("{} completed, but result is not an object", exchange.sent.op)),
        (outcome, _) => failed(format!("{} ended as {}: {}", exchange.sent.op, word(outcome), words(answer))),
    }
}

/// Whether a command was turned away in the way that the protocol wants.
fn turned_away(exchange: &Exchange<'_>) -> Verdict {
    let rejected = exchange.acks.iter().find(|(_, ack)| !ack.accepted);
    match (exchange.answers.first(), rejected) {
        (None, Some((_, ack))) if ack.reason.is_some() => passed(format!("rejected: {}", ack.reason.as_deref().unwrap_or_default())),
        (None, Some(_)) => failed("rejected without a reason"),
        (None, None) => failed(format!("{} got no answer", exchange.sent.op)),
        (Some((_, answer)), _) => match (answer.outcome, &answer.error) {
            (Some(Outcome::Completed | Outcome::Partial), _) => failed(format!("{} was answered as {}", exchange.sent.op, word(answer.outcome))),
            (_, Some(_)) => passed(words(answer)),
            (_, None) => failed(format!("{} failed without saying why: error is missing", exchange.sent.op)),
        },
    }
}

/// C01.
pub fn unknown_op(evidence: &Evidence) -> Verdict {
    tried(evidence, Purpose::UnknownOp).map_or_else(|verdict| verdict, |exchange| turned_away(&exchange))
}

/// C02.
pub fn bad_args(evidence: &Evidence) -> Verdict {
    if let Err(verdict) = tried(evidence, Purpose::UnknownOp) {
        return verdict;
    }
    // A broker that reads commands itself refuses some of them before they reach the device.
    let reached: Vec<_> = evidence.exchanges(Purpose::BadArgs).into_iter().filter(|exchange| exchange.sent.refused.is_none()).collect();
    let mut details = Vec::new();
    for exchange in &reached {
        match turned_away(exchange) {
            Verdict::Passed(detail) => details.push(detail),
            Verdict::Failed(why) => return failed(format!("with wrong arguments: {why}")),
            skipped => return skipped,
        }
    }
    if details.is_empty() {
        skipped("the broker itself refused the wrong arguments, so the device never saw them; check at a plain broker")
    } else {
        passed(some(&details))
    }
}

/// C03.
pub fn duplicate(evidence: &Evidence) -> Verdict {
    let (first, repeat, other) = match (tried(evidence, Purpose::First), tried(evidence, Purpose::Repeat), tried(evidence, Purpose::Other)) {
        (Ok(first), Ok(repeat), Ok(other)) => (first, repeat, other),
        (Err(verdict), ..) | (_, Err(verdict), _) | (.., Err(verdict)) => return verdict,
    };
    let result = |exchange: &Exchange<'_>| exchange.answers.last().map(|(_, answer)| answer.result.clone().unwrap_or(Value::Null));
    // The first exchange hears the repeat's answer too: what it got at first is what counts.
    let (Some((_, stored)), Some(repeated)) = (first.answers.first(), result(&repeat)) else {
        return failed(if first.answers.is_empty() { "the command got no result" } else { "the repeat got no result" });
    };
    let stored = stored.result.clone().unwrap_or(Value::Null);
    if stored != repeated {
        return failed("the repeat was run again: its result differs from the stored one");
    }
    match result(&other) {
        Some(fresh) if fresh != stored => passed("the repeat got the stored result; another id got another one"),
        _ => skipped(format!("cannot be told: {} gives the same result under every id; name an op whose result changes with --command", first.sent.op)),
    }
}

/// C04.
pub fn batch(evidence: &Evidence) -> Verdict {
    let exchange = match tried(evidence, Purpose::Batch) {
        Ok(exchange) => exchange,
        Err(verdict) => return verdict,
    };
    let Some((_, answer)) = exchange.answers.first() else { return failed("batch.execute got no answer") };
    let results = match batch::results(answer) {
        Ok(results) => results,
        Err(why) => return failed(format!("{why} {}", words(answer)).trim().to_owned()),
    };
    let id = |n: usize| format!("{}.{n}", exchange.sent.id);
    let mut wrong = Vec::new();
    for n in 0..3 {
        match results.iter().find(|result| result.command_id == id(n)) {
            None => wrong.push(format!("item {n} has no result of its own")),
            Some(result) if (n == 2) != (result.outcome == Outcome::Failed) => wrong.push(format!("item {n} ended as {}", word(Some(result.outcome)))),
            Some(_) => {}
        }
    }
    none_wrong(&wrong, "two items done, the unknown one failed, each under its own id")
}

/// C05.
pub fn malformed(evidence: &Evidence) -> Verdict {
    if evidence.cut.as_ref().is_some_and(|cut| cut.returned.is_none()) {
        return skipped("the device did not come back (see R01)");
    }
    let exchange = match tried(evidence, Purpose::Nonsense).and_then(|_| tried(evidence, Purpose::AfterNonsense)) {
        Ok(exchange) => exchange,
        Err(verdict) => return verdict,
    };
    match exchange.answers.first() {
        Some((after, _)) => passed(format!("the next command was answered after {}", ms(*after))),
        None => failed("after it the device answered no command any more"),
    }
}
