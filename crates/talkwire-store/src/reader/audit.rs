//! The audit: newest first for people, in order for those who check it.

use super::Reader;
use crate::error::{Doing, StoreError};
use crate::page::{Page, before, bounded};
use crate::words::{from_text, signed, unsigned};
use rusqlite::{Connection, Params, Row, params};
use talkwire_core::audit::{AuditHead, AuditRow};

const ROW: &str = "SELECT tenant, n, ts_ms, actor, action, subject, detail, prev_hash, hash FROM audit";

impl Reader {
    /// Rows of a tenant's audit, newest first.
    pub fn audit(&self, tenant: &str, limit: usize, after: Option<&str>) -> Result<Page<AuditRow>, StoreError> {
        let (before, limit) = (before(after)?, bounded(limit));
        let sql = format!("{ROW} WHERE tenant = ?1 AND n < ?2 ORDER BY n DESC LIMIT ?3");
        let rows = self.audit_rows(&sql, params![tenant, before, limit as i64 + 1])?;
        Ok(Page::cut(rows.into_iter().map(|row| (row.n.to_string(), row)).collect(), limit))
    }

    /// Rows of a tenant's audit from row `n` on, oldest first: what a check reads.
    pub fn audit_rows_from(&self, tenant: &str, n: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.audit_rows(&format!("{ROW} WHERE tenant = ?1 AND n >= ?2 ORDER BY n LIMIT ?3"), params![tenant, signed(n), signed(limit as u64)])
    }

    /// Signed heads of a tenant's audit, oldest first. After a cut the first one is the checkpoint: the row before the oldest that is kept.
    pub fn audit_heads(&self, tenant: &str) -> Result<Vec<AuditHead>, StoreError> {
        let sql = "SELECT tenant, n, hash, ts_ms, signature FROM audit_head WHERE tenant = ?1 ORDER BY n";
        let head = |row: &Row<'_>| {
            let n: i64 = row.get(1)?;
            Ok(AuditHead { tenant: row.get(0)?, n: unsigned(n), hash: row.get(2)?, ts_ms: row.get(3)?, signature: row.get(4)? })
        };
        self.read(|db| {
            let rows = || -> rusqlite::Result<Vec<AuditHead>> { db.prepare_cached(sql)?.query_map([tenant], head)?.collect() };
            rows().doing(|| format!("reading the heads of the audit of {tenant}"))
        })
    }

    /// Tenants that have an audit.
    pub fn tenants(&self) -> Result<Vec<String>, StoreError> {
        self.read(|db| tenants(db).doing(|| "listing tenants of the audit"))
    }

    fn audit_rows(&self, sql: &str, values: impl Params) -> Result<Vec<AuditRow>, StoreError> {
        let doing = || "reading the audit";
        self.read(|db| {
            let mut statement = db.prepare_cached(sql).doing(doing)?;
            let mut rows = statement.query(values).doing(doing)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next().doing(doing)? {
                let (mut read, detail) = audit_row(row).doing(doing)?;
                read.detail = from_text(&format!("row {} of the audit of {}", read.n, read.tenant), &detail)?;
                found.push(read);
            }
            Ok(found)
        })
    }
}

fn audit_row(row: &Row<'_>) -> rusqlite::Result<(AuditRow, String)> {
    let n: i64 = row.get(1)?;
    let read = AuditRow {
        tenant: row.get(0)?,
        n: unsigned(n),
        ts_ms: row.get(2)?,
        actor: row.get(3)?,
        action: row.get(4)?,
        subject: row.get(5)?,
        detail: serde_json::Value::Null,
        prev_hash: row.get(7)?,
        hash: row.get(8)?,
    };
    Ok((read, row.get(6)?))
}

/// Tenants that have an audit. Jumps from one to the next, however many rows each has.
pub(crate) fn tenants(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "WITH RECURSIVE found (tenant) AS (
                   SELECT min(tenant) FROM audit
                   UNION ALL SELECT (SELECT min(tenant) FROM audit WHERE audit.tenant > found.tenant) FROM found WHERE found.tenant IS NOT NULL
               ) SELECT tenant FROM found WHERE tenant IS NOT NULL";
    db.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
}
