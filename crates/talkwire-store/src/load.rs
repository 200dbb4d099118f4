//! What a restart takes up again.

use crate::error::{Doing, StoreError};
use crate::reader::audit::tenants;
use crate::words::{from_text, unsigned};
use rusqlite::{Connection, OptionalExtension, Params, params};
use serde::de::DeserializeOwned;
use serde_json::Value;
use talkwire_core::audit::GENESIS;
use talkwire_core::changeset::Changeset;
use talkwire_core::chat::{Member, Room};
use talkwire_core::command::Command;
use talkwire_core::delivery::Delivered;
use talkwire_core::device::Device;
use talkwire_core::effect::{Outgoing, Publish};
use talkwire_core::session::{CLEANUP_MS, Session};

/// Commands and change sets that ended within this time are loaded, so that late and repeated answers are recognised.
const ENDED_MS: i64 = 24 * 3_600_000;
/// At most so many ended commands.
const ENDED_COMMANDS: i64 = 20_000;
/// At most so many names of messages.
const MESSAGE_IDS: i64 = 10_000;

/// What the rules need after a restart. Lists are in the order of arrival.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// All devices.
    pub devices: Vec<Device>,
    /// Commands that have not ended, and the newest of those that ended within a day.
    pub commands: Vec<Command>,
    /// Sessions that are active, and those that ended within two hours.
    pub sessions: Vec<Session>,
    /// Change sets that have not ended, and those that ended within a day.
    pub changesets: Vec<Changeset>,
    /// All rooms.
    pub rooms: Vec<Room>,
    /// All members of them.
    pub members: Vec<Member>,
    /// Room and id of the newest messages, by which a resend is recognised.
    pub message_ids: Vec<(String, String)>,
    /// Where each tenant's audit stands.
    pub audit: Vec<AuditEnd>,
    /// The newest deliveries of a broker that is not ours, oldest first.
    pub deliveries: Vec<Delivered>,
    /// Messages that a broker that is not ours has not acknowledged, oldest first.
    pub outgoing: Vec<Outgoing>,
    /// All settings.
    pub settings: Vec<(String, Value)>,
}

/// Where a tenant's audit stands, as [`talkwire_core::audit::Chains::resume`] takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEnd {
    /// Whose chain.
    pub tenant: String,
    /// Its last row.
    pub n: u64,
    /// That row's hash.
    pub hash: String,
    /// The last row with a signed head; 0: none.
    pub head_n: u64,
}

pub(crate) fn load(db: &Connection, now_ms: i64) -> Result<Loaded, StoreError> {
    // One transaction, so that all lists are of the same instant.
    let db = &*db.unchecked_transaction().doing(|| "beginning to load")?;
    let day_ago = now_ms.saturating_sub(ENDED_MS);
    Ok(Loaded {
        devices: documents(db, "devices", "SELECT body FROM device ORDER BY device", [])?,
        commands: documents(
            db,
            "commands",
            "SELECT body FROM command WHERE seq IN (SELECT seq FROM command WHERE is_open = 1 UNION ALL
             SELECT seq FROM (SELECT seq FROM command WHERE is_open = 0 AND ended_ms >= ?1 ORDER BY ended_ms DESC LIMIT ?2)) ORDER BY seq",
            params![day_ago, ENDED_COMMANDS],
        )?,
        sessions: unended(db, "session", now_ms.saturating_sub(CLEANUP_MS))?,
        changesets: unended(db, "changeset", day_ago)?,
        rooms: documents(db, "rooms", "SELECT body FROM room ORDER BY room", [])?,
        members: documents(db, "members", "SELECT body FROM member ORDER BY room, client_id", [])?,
        message_ids: message_ids(db).doing(|| "loading names of messages")?,
        audit: audit_ends(db)?,
        deliveries: deliveries(db).doing(|| "loading deliveries")?,
        outgoing: outgoing(db).doing(|| "loading messages on their way")?,
        settings: settings(db)?,
    })
}

fn unended<T: DeserializeOwned>(db: &Connection, table: &str, since_ms: i64) -> Result<Vec<T>, StoreError> {
    let sql = format!(
        "SELECT body FROM {table} WHERE seq IN (SELECT seq FROM {table} WHERE is_open = 1 UNION ALL
         SELECT seq FROM {table} WHERE is_open = 0 AND ended_ms >= ?1) ORDER BY seq"
    );
    documents(db, table, &sql, params![since_ms])
}

fn documents<T: DeserializeOwned>(db: &Connection, what: &str, sql: &str, values: impl Params) -> Result<Vec<T>, StoreError> {
    let doing = || format!("loading {what}");
    let mut statement = db.prepare(sql).doing(doing)?;
    let mut rows = statement.query(values).doing(doing)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(doing)? {
        let body = row.get_ref(0).doing(doing)?;
        found.push(from_text(what, body.as_str().map_err(|source| StoreError::unreadable(what, source))?)?);
    }
    Ok(found)
}

fn message_ids(db: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT room, message_id FROM (SELECT id, room, message_id FROM message ORDER BY id DESC LIMIT ?1) ORDER BY id";
    db.prepare(sql)?.query_map([MESSAGE_IDS], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn deliveries(db: &Connection) -> rusqlite::Result<Vec<Delivered>> {
    let row = |row: &rusqlite::Row<'_>| Ok(Delivered { n: unsigned(row.get(0)?), packet_id: row.get(1)?, fingerprint: u128::from_be_bytes(row.get(2)?) });
    db.prepare("SELECT n, packet_id, fingerprint FROM delivery ORDER BY n")?.query_map([], row)?.collect()
}

fn outgoing(db: &Connection) -> rusqlite::Result<Vec<Outgoing>> {
    let row = |row: &rusqlite::Row<'_>| {
        let publish = Publish { topic: row.get(1)?, payload: row.get(2)?, qos: 1, retain: row.get(3)?, useful_ms: None };
        Ok(Outgoing { n: unsigned(row.get(0)?), publish })
    };
    db.prepare("SELECT n, topic, payload, retain FROM outgoing ORDER BY n")?.query_map([], row)?.collect()
}

fn audit_ends(db: &Connection) -> Result<Vec<AuditEnd>, StoreError> {
    let end = |tenant: &String| -> rusqlite::Result<AuditEnd> {
        let last = |sql: &str| db.query_row(sql, [tenant], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).optional();
        let row = last("SELECT n, hash FROM audit WHERE tenant = ?1 ORDER BY n DESC LIMIT 1")?;
        let head = last("SELECT n, hash FROM audit_head WHERE tenant = ?1 ORDER BY n DESC LIMIT 1")?;
        let head_n = head.map_or(0, |(n, _)| unsigned(n));
        let (n, hash) = row.unwrap_or_else(|| (0, GENESIS.into()));
        Ok(AuditEnd { tenant: tenant.clone(), n: unsigned(n), hash, head_n })
    };
    let tenants = tenants(db).doing(|| "listing tenants of the audit")?;
    tenants.iter().map(|tenant| end(tenant).doing(|| format!("loading the end of the audit of {tenant}"))).collect()
}

/// All settings by name.
pub(crate) fn settings(db: &Connection) -> Result<Vec<(String, Value)>, StoreError> {
    let rows = || -> rusqlite::Result<Vec<(String, String)>> {
        db.prepare_cached("SELECT name, body FROM setting ORDER BY name")?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let rows = rows().doing(|| "reading settings")?;
    rows.into_iter().map(|(name, body)| from_text(&format!("setting {name}"), &body).map(|value| (name, value))).collect()
}
