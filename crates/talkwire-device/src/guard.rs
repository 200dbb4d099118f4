//! The rule of silence, pure: who holds the device, until when, and when what was there must come back.
//!
//! ```text
//!         arm              commit
//! Free ────────▶ Armed ───────────▶ Free
//!                  │ deadline, connection lost, restart, request
//!                  ▼
//!               Undoing ──────────▶ Free
//!                  └─▶ failed: again after 1 s, 2 s, … 60 s, until it is done
//! ```

use crate::clock::Now;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Why a change is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// Nobody confirmed in time.
    Deadline,
    /// The controller was out of reach for too long.
    ConnectionLost,
    /// The process stopped, or started with the change unconfirmed.
    Restart,
    /// The controller asked for it.
    Requested,
    /// Applying failed.
    ApplyFailed,
}

/// Why the guard does not let something happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another change set holds the device, until then.
    Held { by: String, deadline_ms: i64 },
    /// The set is being undone, or its deadline has passed.
    TooLate,
    /// The set does not hold the device.
    NotHolding,
}

/// Who holds the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hold {
    Free,
    Armed { changeset_id: String, deadline: Duration, deadline_ms: i64, loss_after: Duration },
    Undoing { changeset_id: String, reason: Reason, deadline_ms: i64, failures: u32, retry_at: Duration },
}

/// The longest wait between two attempts to restore.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The state machine of the one change set that may be pending on a device.
#[derive(Debug)]
pub(crate) struct Guard {
    hold: Hold,
    lost_since: Option<Duration>,
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self { hold: Hold::Free, lost_since: None }
    }

    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }

    pub(crate) fn enter(&mut self, hold: Hold) {
        self.hold = hold;
    }

    /// The hold with one more operation of a set, whose deadline only ever moves later by this.
    pub(crate) fn armed(&self, now: Now, changeset_id: &str, timeout: Duration, loss_after: Duration) -> Result<Hold, Refusal> {
        let (mut deadline, mut deadline_ms) = (now.steady + timeout, now.unix_ms + millis(timeout));
        match &self.hold {
            Hold::Free => {}
            Hold::Armed { changeset_id: holder, deadline: at, deadline_ms: at_ms, .. } if holder == changeset_id => {
                if *at <= now.steady {
                    return Err(Refusal::TooLate);
                }
                if *at > deadline {
                    (deadline, deadline_ms) = (*at, *at_ms);
                }
            }
            other => return Err(other.refuse(changeset_id)),
        }
        Ok(Hold::Armed { changeset_id: changeset_id.into(), deadline, deadline_ms, loss_after })
    }

    /// The hold with the deadline moved to `timeout` from now, earlier or later.
    pub(crate) fn extended(&self, now: Now, changeset_id: &str, timeout: Duration) -> Result<Hold, Refusal> {
        match &self.hold {
            Hold::Armed { changeset_id: holder, deadline, loss_after, .. } if holder == changeset_id && *deadline > now.steady => Ok(Hold::Armed {
                changeset_id: changeset_id.into(),
                deadline: now.steady + timeout,
                deadline_ms: now.unix_ms + millis(timeout),
                loss_after: *loss_after,
            }),
            other => Err(other.refuse(changeset_id)),
        }
    }

    /// Whether the set may be confirmed now.
    pub(crate) fn may_commit(&self, now: Now, changeset_id: &str) -> Result<(), Refusal> {
        match &self.hold {
            Hold::Armed { changeset_id: holder, deadline, .. } if holder == changeset_id && *deadline > now.steady => Ok(()),
            other => Err(other.refuse(changeset_id)),
        }
    }

    /// Starts undoing whatever holds the device. What is being undone already goes on for its first reason.
    pub(crate) fn undo(&mut self, now: Now, reason: Reason) {
        if let Hold::Armed { changeset_id, deadline_ms, .. } = &self.hold {
            let (changeset_id, deadline_ms) = (changeset_id.clone(), *deadline_ms);
            self.hold = Hold::Undoing { changeset_id, reason, deadline_ms, failures: 0, retry_at: now.steady };
        }
    }

    /// An attempt to restore failed: the next one is later.
    pub(crate) fn undo_failed(&mut self, now: Now) {
        if let Hold::Undoing { failures, retry_at, .. } = &mut self.hold {
            *retry_at = now.steady + Duration::from_secs(1).saturating_mul(1 << (*failures).min(6)).min(RETRY_MAX);
            *failures += 1;
        }
    }

    /// The controller is out of reach since that moment, or is not.
    pub(crate) fn lost_since(&mut self, since: Option<Duration>) {
        self.lost_since = since;
    }

    /// What must be undone at this moment, if anything.
    pub(crate) fn due(&self, now: Now) -> Option<Reason> {
        match &self.hold {
            Hold::Free => None,
            Hold::Armed { deadline, .. } if *deadline <= now.steady => Some(Reason::Deadline),
            Hold::Armed { loss_after, .. } => self.lost_since.filter(|since| *since + *loss_after <= now.steady).map(|_| Reason::ConnectionLost),
            Hold::Undoing { reason, retry_at, .. } => (*retry_at <= now.steady).then_some(*reason),
        }
    }

    /// When to look again.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        match &self.hold {
            Hold::Free => None,
            Hold::Armed { deadline, loss_after, .. } => Some(self.lost_since.map_or(*deadline, |since| (since + *loss_after).min(*deadline))),
            Hold::Undoing { retry_at, .. } => Some(*retry_at),
        }
    }
}

impl Hold {
    fn refuse(&self, changeset_id: &str) -> Refusal {
        match self {
            Self::Armed { changeset_id: holder, deadline_ms, .. } | Self::Undoing { changeset_id: holder, deadline_ms, .. } if holder != changeset_id => {
                Refusal::Held { by: holder.clone(), deadline_ms: *deadline_ms }
            }
            Self::Free => Refusal::NotHolding,
            _ => Refusal::TooLate,
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { steady: Duration::from_secs(seconds), unix_ms: 1_000_000 + i64::try_from(seconds).unwrap() * 1000 }
    }
    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }
    fn armed() -> Guard {
        let mut guard = Guard::new();
        guard.enter(guard.armed(at(0), "a", s(300), s(30)).unwrap());
        guard
    }

    #[test]
    fn the_deadline_undoes_and_a_jump_of_the_wall_clock_does_not_move_it() {
        let guard = armed();
        assert_eq!(guard.wake_at(), Some(s(300)));
        let jumped = Now { steady: s(299), unix_ms: i64::MAX / 2 };
        assert_eq!(guard.due(jumped), None);
        let back = Now { steady: s(300), unix_ms: 0 };
        assert_eq!(guard.due(back), Some(Reason::Deadline));
    }

    #[test]
    fn a_short_loss_of_the_connection_is_forgiven_and_a_long_one_undoes() {
        let mut guard = armed();
        guard.lost_since(Some(s(10)));
        assert_eq!(guard.due(at(39)), None);
        guard.lost_since(None);
        assert_eq!(guard.due(at(200)), None);
        guard.lost_since(Some(s(200)));
        assert_eq!(guard.wake_at(), Some(s(230)));
        assert_eq!(guard.due(at(230)), Some(Reason::ConnectionLost));
    }

    #[test]
    fn a_second_set_is_told_who_holds_the_device_and_until_when() {
        let refused = armed().armed(at(1), "b", s(10), s(30)).unwrap_err();
        assert_eq!(refused, Refusal::Held { by: "a".into(), deadline_ms: 1_300_000 });
    }

    #[test]
    fn the_deadline_of_a_set_is_the_latest_of_its_operations_and_moves_by_extend() {
        let mut guard = armed();
        guard.enter(guard.armed(at(1), "a", s(10), s(30)).unwrap());
        assert_eq!(guard.wake_at(), Some(s(300)));
        guard.enter(guard.extended(at(2), "a", s(5)).unwrap());
        assert_eq!(guard.wake_at(), Some(s(7)));
        assert_eq!(guard.extended(at(7), "a", s(5)), Err(Refusal::TooLate));
        assert_eq!(guard.may_commit(at(7), "a"), Err(Refusal::TooLate));
        assert_eq!(guard.may_commit(at(6), "a"), Ok(()));
    }

    #[test]
    fn a_failed_restore_is_tried_again_later_and_later_and_for_ever() {
        let mut guard = armed();
        guard.undo(at(5), Reason::Requested);
        let mut now = at(5);
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(guard.due(now), Some(Reason::Requested));
            guard.undo_failed(now);
            let next = now.steady + s(wait);
            assert_eq!(guard.wake_at(), Some(next));
            now = Now { steady: next, ..now };
        }
        assert!(matches!(guard.armed(now, "a", s(1), s(1)), Err(Refusal::TooLate)));
    }
}
