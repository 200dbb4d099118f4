//! Addresses and names: pools that fill, servers that race, resolvers that stay silent.

/// Used addresses after `days`, when `new_per_day` unknown devices appear and a lease lasts `lease_days`.
pub fn pool_used(fixed: f64, new_per_day: f64, lease_days: f64, days: f64) -> f64 {
    fixed + new_per_day * days.min(lease_days)
}

/// The day on which the pool is full, if it ever is.
pub fn full_on_day(pool: f64, fixed: f64, new_per_day: f64, lease_days: f64) -> Option<f64> {
    let day = (pool - fixed) / new_per_day;
    (day <= lease_days).then_some(day)
}

/// Does a foreign server win a new client? Times are those of the offers in milliseconds; a renewal never asks it.
pub fn rogue_wins(renewal: bool, own_offer_ms: f64, rogue_offer_ms: f64) -> bool {
    !renewal && rogue_offer_ms < own_offer_ms
}

/// The offer of a server that first pings an address which nobody ever had.
pub const PING_CHECK_MS: f64 = 3000.0;

/// What a program waits for one uncached name, in milliseconds: each silent server before the first good one costs `wait_ms`.
pub fn lookup_ms(alive: &[bool], wait_ms: f64, answer_ms: f64) -> Option<f64> {
    let silent = alive.iter().position(|alive| *alive)?;
    Some(silent as f64 * wait_ms + answer_ms)
}
