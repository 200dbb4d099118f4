//! What a server whose clock ran ahead left behind: moments beyond the reach of any deadline, drawn back at the next start.
//!
//! Deadlines are stored as moments, so that they hold over a restart. A server that starts before its clock is set, or with a
//! clock that was set wrongly, stores moments of another year; started with the right clock it would wait for them for ever.
//! Moments that are too early need nothing: what they stand for is due at once.

use crate::changeset::{APPROVAL_MS, Changeset};
use crate::command::Command;
use crate::device::Device;
use crate::session::Session;

/// The pauses before something is tried again are shorter, in milliseconds.
const PAUSE_MS: i64 = 60_000;

fn at_most(moment: &mut Option<i64>, latest: i64) {
    *moment = moment.map(|at| at.min(latest));
}

/// No deadline is farther off than it can be, and nothing happened in the future. Returns whether anything was.
pub(super) fn of_set(set: &mut Changeset, now_ms: i64) -> bool {
    let before = (set.created_ms, set.approve_before_ms, set.deadline_ms, set.retry_ms);
    let window = i64::try_from(set.rollback_s).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000);
    set.created_ms = set.created_ms.min(now_ms);
    set.approve_before_ms = set.approve_before_ms.min(now_ms + APPROVAL_MS);
    at_most(&mut set.approved_ms, now_ms);
    at_most(&mut set.deadline_ms, now_ms.saturating_add(window));
    at_most(&mut set.retry_ms, now_ms + PAUSE_MS);
    set.operations.iter_mut().for_each(|operation| at_most(&mut operation.deadline_ms, now_ms.saturating_add(window)));
    before != (set.created_ms, set.approve_before_ms, set.deadline_ms, set.retry_ms)
}

/// See [`of_set`]. A command waits for its turn for twice its time at most.
pub(super) fn of_command(command: &mut Command, now_ms: i64) {
    let time = i64::try_from(command.timeout_ms).unwrap_or(i64::MAX / 2).saturating_mul(2);
    at_most(&mut command.deadline_ms, now_ms.saturating_add(time));
    at_most(&mut command.resend_ms, now_ms + PAUSE_MS);
}

/// See [`of_set`].
pub(super) fn of_session(session: &mut Session, now_ms: i64) {
    session.created_at = session.created_at.min(now_ms);
}

/// See [`of_set`].
pub(super) fn of_device(device: &mut Device, now_ms: i64) {
    device.presence_since_ms = device.presence_since_ms.min(now_ms);
    device.last_seen_ms = device.last_seen_ms.min(now_ms);
}
