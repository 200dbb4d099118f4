//! Retention: old samples are folded into minutes and hours, then everything old is dropped, a bounded slice at a time.

use crate::error::{Doing, StoreError};
use crate::reader::audit::tenants;
use crate::reader::telemetry::FoldWidth;
use rusqlite::{Connection, OptionalExtension, params};

const DAY_MS: i64 = 86_400_000;
/// Samples are kept as they came for this time, in milliseconds.
pub const RAW_MS: i64 = 7 * DAY_MS;
/// Their minutes and hours are kept for this time, in milliseconds.
pub const FOLDED_MS: i64 = 90 * DAY_MS;
/// Events, commands, sessions and change sets are kept for this time, in milliseconds.
pub const HISTORY_MS: i64 = 90 * DAY_MS;
/// Rows of the audit are kept at least for this time, in milliseconds.
pub const AUDIT_MS: i64 = 90 * DAY_MS;

/// At most so many samples, and so many rows of each other table, per slice.
const ROWS: i64 = 2_000;
/// At most so many series are looked at per slice.
const SERIES: i64 = 1_000;

/// What a slice dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Samples, after their figures were folded.
    pub samples: u64,
    /// Minutes and hours.
    pub folds: u64,
    /// Series of which nothing was left.
    pub series: u64,
    /// Events, commands, sessions and change sets.
    pub history: u64,
    /// Rows of the audit.
    pub audit: u64,
    /// Whether there is more to do at once.
    pub more: bool,
}

/// How far the walk through the series came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sweep {
    after: i64,
}

pub(crate) fn slice(db: &Connection, now_ms: i64, sweep: Sweep) -> Result<(Pruned, Sweep), StoreError> {
    let mut pruned = Pruned::default();
    let sweep = samples(db, now_ms, sweep, &mut pruned).doing(|| "folding old samples")?;
    history(db, now_ms - HISTORY_MS, &mut pruned)?;
    audit(db, now_ms - AUDIT_MS, &mut pruned).doing(|| "cutting the audit")?;
    Ok((pruned, sweep))
}

fn samples(db: &Connection, now_ms: i64, sweep: Sweep, pruned: &mut Pruned) -> rusqlite::Result<Sweep> {
    let sql = "SELECT id FROM series WHERE id > ?1 ORDER BY id LIMIT ?2";
    let series: Vec<i64> = db.prepare_cached(sql)?.query_map(params![sweep.after, SERIES], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut left = ROWS;
    for (at, id) in series.iter().enumerate() {
        let took = fold_series(db, *id, now_ms, left)?;
        left -= took;
        pruned.samples += took.unsigned_abs();
        if left <= 0 {
            // The rest of this series, and those after it, wait for the next slice.
            pruned.more = true;
            return Ok(Sweep { after: if at == 0 { sweep.after } else { series[at - 1] } });
        }
        pruned.folds += db.prepare_cached("DELETE FROM fold WHERE series = ?1 AND width_ms = ?2 AND start_ms < ?3").and_then(|mut delete| {
            [FoldWidth::Minute, FoldWidth::Hour].iter().try_fold(0, |sum, width| Ok(sum + delete.execute(params![id, width.ms(), now_ms - FOLDED_MS])? as u64))
        })?;
        let empty =
            "DELETE FROM series WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM sample WHERE series = ?1) AND NOT EXISTS (SELECT 1 FROM fold WHERE series = ?1)";
        pruned.series += db.prepare_cached(empty)?.execute([id])? as u64;
    }
    let walked_all = (series.len() as i64) < SERIES;
    pruned.more |= !walked_all;
    Ok(if walked_all { Sweep::default() } else { Sweep { after: series.last().copied().unwrap_or(0) } })
}

/// Folds and drops the oldest samples of a series, about `most` of them; tells how many.
fn fold_series(db: &Connection, series: i64, now_ms: i64, most: i64) -> rusqlite::Result<i64> {
    let cutoff = now_ms - RAW_MS;
    let nth = "SELECT ts_ms FROM sample WHERE series = ?1 AND ts_ms < ?2 ORDER BY ts_ms, n LIMIT 1 OFFSET ?3";
    // All samples of the last millisecond go along, so that none is folded twice.
    let last: Option<i64> = db.prepare_cached(nth)?.query_row(params![series, cutoff, most - 1], |row| row.get(0)).optional()?;
    let until = last.unwrap_or(cutoff - 1);
    let fold = "INSERT INTO fold (series, width_ms, start_ms, min, max, sum, count)
        SELECT series, ?3, ts_ms - ((ts_ms % ?3) + ?3) % ?3 AS start, min(value), max(value), sum(value), count(*)
        FROM sample WHERE series = ?1 AND ts_ms <= ?2 AND value IS NOT NULL GROUP BY start
        ON CONFLICT (series, width_ms, start_ms) DO UPDATE SET
            min = min(min, excluded.min), max = max(max, excluded.max), sum = ifnull(sum + excluded.sum, sum), count = count + excluded.count";
    for width in [FoldWidth::Minute, FoldWidth::Hour] {
        db.prepare_cached(fold)?.execute(params![series, until, width.ms()])?;
    }
    let dropped = db.prepare_cached("DELETE FROM sample WHERE series = ?1 AND ts_ms <= ?2")?.execute(params![series, until])?;
    // Samples of a clock that runs far ahead would stay for ever; they go by their arrival, and are not folded into the future.
    let ahead = db.prepare_cached("DELETE FROM sample WHERE series = ?1 AND ts_ms > ?2 AND received_ms < ?3")?.execute(params![series, now_ms, cutoff])?;
    Ok((dropped + ahead) as i64)
}

fn history(db: &Connection, cutoff: i64, pruned: &mut Pruned) -> Result<(), StoreError> {
    let receipts = "DELETE FROM receipt WHERE changeset_id IN (SELECT id FROM changeset WHERE is_open = 0 AND ended_ms < ?1 ORDER BY ended_ms LIMIT ?2)";
    db.prepare_cached(receipts).and_then(|mut delete| delete.execute(params![cutoff, ROWS])).doing(|| "dropping old receipts")?;
    for table in ["command", "session", "changeset"] {
        let sql = format!("DELETE FROM {table} WHERE seq IN (SELECT seq FROM {table} WHERE is_open = 0 AND ended_ms < ?1 ORDER BY ended_ms LIMIT ?2)");
        let dropped = db.prepare_cached(&sql).and_then(|mut delete| delete.execute(params![cutoff, ROWS])).doing(|| format!("dropping old rows of {table}"))?;
        pruned.history += dropped as u64;
        pruned.more |= dropped as i64 == ROWS;
    }
    // Events stand in the order of arrival: look at the oldest only.
    let sql = "DELETE FROM event WHERE id IN (SELECT id FROM (SELECT id, received_ms FROM event ORDER BY id LIMIT ?2) WHERE received_ms < ?1)";
    let dropped = db.prepare_cached(sql).and_then(|mut delete| delete.execute(params![cutoff, ROWS])).doing(|| "dropping old events")?;
    pruned.history += dropped as u64;
    pruned.more |= dropped as i64 == ROWS;
    Ok(())
}

/// Cuts each tenant's chain at a signed head whose row is old, and keeps that head: it vouches for what was before.
fn audit(db: &Connection, cutoff: i64, pruned: &mut Pruned) -> rusqlite::Result<()> {
    for tenant in tenants(db)? {
        let first: i64 = db.prepare_cached("SELECT min(n) FROM audit WHERE tenant = ?1")?.query_row([&tenant], |row| row.get(0))?;
        // The last row stays: a chain without rows could not be continued or checked.
        let old = "FROM audit_head h JOIN audit a ON a.tenant = h.tenant AND a.n = h.n
                   WHERE h.tenant = ?1 AND h.n >= ?2 AND a.hash = h.hash AND a.ts_ms < ?3
                   AND EXISTS (SELECT 1 FROM audit later WHERE later.tenant = h.tenant AND later.n > h.n)";
        let within = format!("SELECT max(h.n) {old} AND h.n < ?2 + ?4");
        let nearest = format!("SELECT min(h.n) {old} AND h.n >= ?2 + ?4");
        let find = |sql: &str| db.prepare_cached(sql)?.query_row(params![tenant, first, cutoff, ROWS], |row| row.get::<_, Option<i64>>(0));
        let Some(head) = find(&within)?.map_or_else(|| find(&nearest), |n| Ok(Some(n)))? else { continue };
        let dropped = db.prepare_cached("DELETE FROM audit WHERE tenant = ?1 AND n <= ?2")?.execute(params![tenant, head])?;
        db.prepare_cached("DELETE FROM audit_head WHERE tenant = ?1 AND n < ?2")?.execute(params![tenant, head])?;
        pruned.audit += dropped as u64;
        pruned.more |= find(&within)?.is_some() || find(&nearest)?.is_some();
    }
    Ok(())
}
