//! Stamps: which of a device's messages says how things stand now, by the device's own clock.
//!
//! A `state`, `attr` or `topology` that is older than the newest one taken is stale: somebody plays it again, or it lay somewhere. It is kept as
//! history and changes nothing. Nobody may be shut out by a wrong clock, so a clock is believed anew when it shows that it runs:
//!
//! - a message without a time, or from before 2020 (a clock that was never set), is taken as it comes, in the order of arrival;
//! - a clock that was ahead and comes near ours was set right: it is believed at once;
//! - any other clock that was set back, or jumped ahead, is believed when three messages in a row, over a minute at least, move as
//!   time does. A single message, played again as often as you like, does not move; every message taken begins the count anew.
//!
//! What this cannot tell apart: somebody with the device's own credentials who plays a whole recording at its own pace while the
//! device is silent.

use serde::{Deserialize, Serialize};
use talkwire_proto::envelope::Envelope;
use talkwire_proto::limits;

/// So many messages in a row must move as time does before a clock that jumped is believed.
const RUN: u32 = 3;
/// Over so long a time at least, in milliseconds.
const RUN_MS: i64 = 60_000;
/// A run may be off by this, in milliseconds, and a tenth of the time that passed.
const SLACK_MS: i64 = 2_000;
/// A clock that is as near to ours as this was set, in milliseconds.
const NEAR_MS: i64 = limits::TS_BEHIND_MS;
/// A change of capabilities goes through a device's outbox and may be overtaken by an `attr` by so much, in milliseconds.
const OVERTAKEN_MS: i64 = 60_000;

/// What a message speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// How the device is.
    State,
    /// Who it is.
    Attr,
    /// What it sees of the network.
    Topology,
}

/// Whether a message says how things stand now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Current,
    /// It is older than what is known, or its time cannot be true.
    Stale,
}

/// The newest time taken of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    /// The device's time, in Unix milliseconds.
    ts_ms: i64,
    /// Whether it was more than five minutes ahead of ours.
    ahead: bool,
}

/// Messages in a row that were not taken, and move as time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first_ts_ms: i64,
    first_ms: i64,
    last_ts_ms: i64,
    count: u32,
}

/// The newest times of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stamps {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attr: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topology: Option<Stamp>,
    #[serde(skip)]
    run: Option<Run>,
}

/// The device's time, if its clock was ever set.
fn told_ms(envelope: &Envelope) -> Option<i64> {
    envelope.ts_ms.filter(|ts| *ts >= limits::TS_FIRST_MS)
}

impl Stamps {
    /// Takes a message of a family that arrived at `now_ms`. `kept`: a broker had kept it, so it says nothing of the device's clock.
    pub fn take(&mut self, family: Family, envelope: &Envelope, now_ms: i64, kept: bool) -> Standing {
        let Some(ts_ms) = told_ms(envelope) else { return Standing::Current };
        let stamp = Stamp { ts_ms, ahead: envelope.ts_ahead };
        let newest = match family {
            Family::State => self.state,
            Family::Attr => self.attr,
            Family::Topology => self.topology,
        };
        let follows = match newest {
            None => true,
            Some(newest) if newest.ahead => {
                if stamp.ahead {
                    ts_ms >= newest.ts_ms
                } else {
                    (now_ms - ts_ms).abs() <= NEAR_MS
                }
            }
            Some(newest) => !stamp.ahead && ts_ms >= newest.ts_ms,
        };
        if !follows {
            if kept || !self.runs(ts_ms, now_ms) {
                return Standing::Stale;
            }
            // The clock was set: what it showed before orders nothing any more.
            for newest in [&mut self.state, &mut self.attr, &mut self.topology] {
                *newest = newest.map(|_| stamp);
            }
        }
        self.run = None;
        match family {
            Family::State => self.state = Some(stamp),
            Family::Attr => self.attr = Some(stamp),
            Family::Topology => self.topology = Some(stamp),
        }
        Standing::Current
    }

    /// Whether a change of capabilities is older than the `attr` that says them all.
    pub fn of_change(&self, envelope: &Envelope) -> Standing {
        match (self.attr, told_ms(envelope)) {
            (Some(attr), Some(ts_ms)) if ts_ms + OVERTAKEN_MS < attr.ts_ms => Standing::Stale,
            _ => Standing::Current,
        }
    }

    /// Counts a message that was not taken; true when enough of them moved as time does.
    fn runs(&mut self, ts_ms: i64, now_ms: i64) -> bool {
        let moves = |run: &Run| {
            let passed = now_ms - run.first_ms;
            ts_ms >= run.last_ts_ms && (ts_ms - run.first_ts_ms - passed).abs() <= SLACK_MS + passed / 10
        };
        let run = match self.run.filter(moves) {
            Some(run) => Run { last_ts_ms: ts_ms, count: run.count.saturating_add(1), ..run },
            None => Run { first_ts_ms: ts_ms, first_ms: now_ms, last_ts_ms: ts_ms, count: 1 },
        };
        self.run = Some(run);
        run.count >= RUN && now_ms - run.first_ms >= RUN_MS
    }
}
