//! What devices told: events, metrics, samples, and what is left of old samples.

use super::Reader;
use crate::error::{Doing, StoreError};
use crate::page::{Page, before, bounded};
use crate::words::{device_key, flag, from_text, severity, unsigned};
use rusqlite::{Connection, Params, Row, params};
use talkwire_core::effect::{EventRow, Sample};
use talkwire_proto::DeviceKey;

/// How much time a fold covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldWidth {
    /// One minute.
    Minute,
    /// One hour.
    Hour,
}

impl FoldWidth {
    /// In milliseconds.
    pub fn ms(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
        }
    }
}

/// What is left of the samples of a minute or an hour once they were cut.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// Where it starts, in Unix milliseconds.
    pub start_ms: i64,
    /// The lowest figure.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// All together; the mean is this through `count`.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
    /// Their unit.
    pub unit: Option<String>,
}

/// How many of a device's last events are looked through for those of one family.
pub const EVENTS_SEARCHED: i64 = 20_000;

const EVENT: &str = "SELECT e.id, k.tenant, k.site, k.device_id, e.event_type, e.severity, e.data, e.ts_ms, e.received_ms, e.flagged FROM event e JOIN device_key k ON k.id = e.device";

impl Reader {
    /// Events of a device, newest arrival first.
    pub fn events(&self, device: &DeviceKey, limit: usize, after: Option<&str>) -> Result<Page<EventRow>, StoreError> {
        let (before, limit) = (before(after)?, bounded(limit));
        let sql = format!(
            "{EVENT} WHERE e.id < ?1 AND e.device = (SELECT id FROM device_key WHERE tenant = ?3 AND site = ?4 AND device_id = ?5) ORDER BY e.id DESC LIMIT ?2"
        );
        let values = params![before, limit as i64 + 1, device.tenant.as_str(), device.site.as_str(), device.device_id.as_str()];
        self.read(|db| Ok(Page::cut(event_rows(db, &sql, values)?, limit)))
    }

    /// Events of all devices, newest arrival first.
    pub fn events_recent(&self, limit: usize, after: Option<&str>) -> Result<Page<EventRow>, StoreError> {
        let (before, limit) = (before(after)?, bounded(limit));
        // CROSS JOIN keeps the order: walk the newest events, look each device up.
        let sql = format!("{} WHERE e.id < ?1 ORDER BY e.id DESC LIMIT ?2", EVENT.replace(" JOIN ", " CROSS JOIN "));
        self.read(|db| Ok(Page::cut(event_rows(db, &sql, params![before, limit as i64 + 1])?, limit)))
    }

    /// Those of a device's last [`EVENTS_SEARCHED`] events that `pick` wants by their type and arrival, newest first, at most a thousand.
    /// It is asked no further once it answers `None`.
    pub fn events_picked(&self, device: &DeviceKey, mut pick: impl FnMut(&str, i64) -> Option<bool>) -> Result<Vec<EventRow>, StoreError> {
        let heads = "SELECT id, event_type, received_ms FROM event
             WHERE device = (SELECT id FROM device_key WHERE tenant = ?1 AND site = ?2 AND device_id = ?3) ORDER BY id DESC LIMIT ?4";
        let names = params![device.tenant.as_str(), device.site.as_str(), device.device_id.as_str(), EVENTS_SEARCHED];
        self.read(|db| {
            let mut found = Vec::new();
            let doing = || format!("looking through the events of {device}");
            let mut statement = db.prepare_cached(heads).doing(doing)?;
            let mut rows = statement.query(names).doing(doing)?;
            while let Some(row) = rows.next().doing(doing)? {
                let (id, received_ms): (i64, i64) = (row.get(0).doing(doing)?, row.get(2).doing(doing)?);
                let event_type = row.get_ref(1).doing(doing)?.as_str().map_err(|source| StoreError::unreadable("an event", source))?;
                match pick(event_type, received_ms) {
                    Some(true) => found.extend(event_rows(db, &format!("{EVENT} WHERE e.id = ?1"), [id])?.into_iter().map(|(_, event)| event)),
                    Some(false) => {}
                    None => break,
                }
                if found.len() == bounded(usize::MAX) {
                    break;
                }
            }
            Ok(found)
        })
    }

    /// Names of the metrics that a device has told, in order of the alphabet.
    pub fn metrics(&self, device: &DeviceKey) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT s.metric FROM series s JOIN device_key k ON k.id = s.device WHERE k.tenant = ?1 AND k.site = ?2 AND k.device_id = ?3 ORDER BY s.metric";
        let names = params![device.tenant.as_str(), device.site.as_str(), device.device_id.as_str()];
        self.read(|db| {
            let rows = || -> rusqlite::Result<Vec<String>> { db.prepare_cached(sql)?.query_map(names, |row| row.get(0))?.collect() };
            rows().doing(|| format!("listing metrics of {device}"))
        })
    }

    /// Samples of a metric with `from_ms <= ts_ms <= to_ms`, newest first.
    pub fn telemetry(&self, device: &DeviceKey, metric: &str, from_ms: i64, to_ms: i64, limit: usize, after: Option<&str>) -> Result<Page<Sample>, StoreError> {
        let limit = bounded(limit);
        let place = after.map(Place::parse).transpose()?;
        self.read(|db| {
            let mut found = Vec::new();
            for (series, unit) in series(db, device, metric)? {
                found.extend(samples(db, device, metric, series, &unit, (from_ms, to_ms), limit, place)?);
            }
            // Nearly always there is one series; a device that changed the unit has several.
            found.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
            Ok(Page::cut(found.into_iter().map(|(place, sample)| (place.to_text(), sample)).collect(), limit))
        })
    }

    /// What is left of samples that were cut, newest first, with `from_ms <= start_ms <= to_ms`.
    pub fn telemetry_folded(
        &self,
        device: &DeviceKey,
        metric: &str,
        width: FoldWidth,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> Result<Vec<Fold>, StoreError> {
        let limit = bounded(limit);
        self.read(|db| {
            let mut found = Vec::new();
            for (series, unit) in series(db, device, metric)? {
                found.extend(folds(db, series, &unit, width, (from_ms, to_ms), limit).doing(|| format!("reading old telemetry {metric} of {device}"))?);
            }
            found.sort_by_key(|fold: &Fold| std::cmp::Reverse(fold.start_ms));
            found.truncate(limit);
            Ok(found)
        })
    }

    /// The figures of a metric with `from_ms <= ts_ms <= to_ms`, one for each `step_ms` that has any, newest first; from the samples
    /// themselves, and from the minutes that are left of those that were cut.
    pub fn telemetry_thinned(&self, device: &DeviceKey, metric: &str, from_ms: i64, to_ms: i64, step_ms: i64) -> Result<Vec<Fold>, StoreError> {
        let step_ms = step_ms.max(1);
        self.read(|db| {
            let mut found = Vec::new();
            for (series, unit) in series(db, device, metric)? {
                found.extend(thinned(db, series, &unit, (from_ms, to_ms), step_ms).doing(|| format!("thinning telemetry {metric} of {device}"))?);
            }
            found.sort_by_key(|fold: &Fold| std::cmp::Reverse(fold.start_ms));
            found.truncate(bounded(usize::MAX));
            Ok(found)
        })
    }
}

fn event_rows(db: &Connection, sql: &str, values: impl Params) -> Result<Vec<(String, EventRow)>, StoreError> {
    let doing = || "listing events";
    let mut statement = db.prepare_cached(sql).doing(doing)?;
    let mut rows = statement.query(values).doing(doing)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(doing)? {
        found.push(event_row(row)?);
    }
    Ok(found)
}

fn event_row(row: &Row<'_>) -> Result<(String, EventRow), StoreError> {
    let text =
        |at: usize| row.get_ref(at).doing(|| "listing events").and_then(|cell| cell.as_str().map_err(|source| StoreError::unreadable("an event", source)));
    let number = |at: usize| row.get::<_, i64>(at).doing(|| "listing events");
    let id = number(0)?;
    let event = EventRow {
        key: device_key(text(1)?, text(2)?, text(3)?)?,
        event_type: text(4)?.into(),
        severity: severity(text(5)?)?,
        data: from_text(&format!("event {id}"), text(6)?)?,
        ts_ms: number(7)?,
        received_ms: number(8)?,
        flag: flag(number(9)?),
    };
    Ok((id.to_string(), event))
}

fn series(db: &Connection, device: &DeviceKey, metric: &str) -> Result<Vec<(i64, String)>, StoreError> {
    let sql = "SELECT s.id, s.unit FROM series s JOIN device_key k ON k.id = s.device
               WHERE k.tenant = ?1 AND k.site = ?2 AND k.device_id = ?3 AND s.metric = ?4";
    let names = params![device.tenant.as_str(), device.site.as_str(), device.device_id.as_str(), metric];
    let rows = || -> rusqlite::Result<Vec<(i64, String)>> { db.prepare_cached(sql)?.query_map(names, |row| Ok((row.get(0)?, row.get(1)?)))?.collect() };
    rows().doing(|| format!("looking for series {metric} of {device}"))
}

/// Where a sample stands among all samples of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    ts_ms: i64,
    series: i64,
    n: i64,
}

impl Place {
    fn to_text(self) -> String {
        format!("{}.{}.{}", self.ts_ms, self.series, self.n)
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        let numbers: Option<Vec<i64>> = text.split('.').map(|part| part.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[ts_ms, series, n]) => Ok(Self { ts_ms, series, n }),
            _ => Err(StoreError::Cursor(text.chars().take(64).collect())),
        }
    }

    /// The first sample of a series that may follow this place: at `ts_ms` only those with a number below `n`.
    fn bound(self, series: i64) -> (i64, i64) {
        match series.cmp(&self.series) {
            std::cmp::Ordering::Less => (self.ts_ms, i64::MAX),
            std::cmp::Ordering::Equal => (self.ts_ms, self.n),
            std::cmp::Ordering::Greater => (self.ts_ms, i64::MIN),
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one query, each of its values once")]
fn samples(
    db: &Connection,
    device: &DeviceKey,
    metric: &str,
    series: i64,
    unit: &str,
    (from_ms, to_ms): (i64, i64),
    limit: usize,
    after: Option<Place>,
) -> Result<Vec<(Place, Sample)>, StoreError> {
    let doing = || format!("reading telemetry {metric} of {device}");
    let (ts_ms, n) = after.map_or((i64::MAX, i64::MAX), |place| place.bound(series));
    let sql = "SELECT ts_ms, n, received_ms, value, body FROM sample
               WHERE series = ?1 AND ts_ms BETWEEN ?2 AND ?3 AND (ts_ms, n) < (?4, ?5) ORDER BY ts_ms DESC, n DESC LIMIT ?6";
    let mut statement = db.prepare_cached(sql).doing(doing)?;
    let mut rows = statement.query(params![series, from_ms, to_ms.min(ts_ms), ts_ms, n, limit as i64 + 1]).doing(doing)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(doing)? {
        let place = Place { ts_ms: row.get(0).doing(doing)?, series, n: row.get(1).doing(doing)? };
        let body: Option<String> = row.get(4).doing(doing)?;
        let sample = Sample {
            key: device.clone(),
            metric: metric.into(),
            ts_ms: place.ts_ms,
            received_ms: row.get(2).doing(doing)?,
            value: row.get(3).doing(doing)?,
            unit: (!unit.is_empty()).then(|| unit.to_owned()),
            body: body.map(|body| from_text(&format!("a sample of {device} {metric}"), &body)).transpose()?,
        };
        found.push((place, sample));
    }
    Ok(found)
}

fn folds(db: &Connection, series: i64, unit: &str, width: FoldWidth, (from_ms, to_ms): (i64, i64), limit: usize) -> rusqlite::Result<Vec<Fold>> {
    let sql =
        "SELECT start_ms, min, max, sum, count FROM fold WHERE series = ?1 AND width_ms = ?2 AND start_ms BETWEEN ?3 AND ?4 ORDER BY start_ms DESC LIMIT ?5";
    let fold = |row: &Row<'_>| {
        let count: i64 = row.get(4)?;
        let unit = (!unit.is_empty()).then(|| unit.to_owned());
        Ok(Fold { start_ms: row.get(0)?, min: row.get(1)?, max: row.get(2)?, sum: row.get(3)?, count: unsigned(count), unit })
    };
    db.prepare_cached(sql)?.query_map(params![series, width.ms(), from_ms, to_ms, limit as i64], fold)?.collect()
}

fn thinned(db: &Connection, series: i64, unit: &str, (from_ms, to_ms): (i64, i64), step_ms: i64) -> rusqlite::Result<Vec<Fold>> {
    let sql = "SELECT start * ?4, min(low), max(high), sum(whole), sum(many) FROM (
                   SELECT ts_ms / ?4 AS start, value AS low, value AS high, value AS whole, 1 AS many FROM sample
                   WHERE series = ?1 AND ts_ms BETWEEN ?2 AND ?3 AND value IS NOT NULL
                   UNION ALL
                   SELECT start_ms / ?4, min, max, sum, count FROM fold WHERE series = ?1 AND width_ms = ?5 AND start_ms BETWEEN ?2 AND ?3)
               GROUP BY start ORDER BY start DESC";
    let fold = |row: &Row<'_>| {
        let count: i64 = row.get(4)?;
        let unit = (!unit.is_empty()).then(|| unit.to_owned());
        Ok(Fold { start_ms: row.get(0)?, min: row.get(1)?, max: row.get(2)?, sum: row.get(3)?, count: unsigned(count), unit })
    };
    db.prepare_cached(sql)?.query_map(params![series, from_ms, to_ms, step_ms, FoldWidth::Minute.ms()], fold)?.collect()
}
