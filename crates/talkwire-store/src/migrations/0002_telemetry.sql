-- One row per device, metric and unit ('' when the samples have none).
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL,
    metric TEXT NOT NULL,
    unit TEXT NOT NULL,
    UNIQUE (device, metric, unit)
) STRICT;

-- `n` tells samples of the same millisecond apart. `value` is NULL when the sample is a structure, `body` when it is one figure.
CREATE TABLE sample (
    series INTEGER NOT NULL,
    ts_ms INTEGER NOT NULL,
    n INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    value REAL,
    body TEXT,
    PRIMARY KEY (series, ts_ms, n)
) STRICT, WITHOUT ROWID;

-- What is left of samples that were cut: one row per minute and one per hour.
CREATE TABLE fold (
    series INTEGER NOT NULL,
    width_ms INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    sum REAL NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (series, width_ms, start_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    severity TEXT NOT NULL,
    ts_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    flagged INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX event_of_device ON event (device, id);

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    payload BLOB NOT NULL,
    count INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    UNIQUE (topic, reason)
) STRICT;
CREATE INDEX quarantine_last ON quarantine (last_ms, id);
