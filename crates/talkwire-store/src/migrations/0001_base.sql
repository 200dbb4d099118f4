-- Names of devices, kept once: every other table refers to the number.
CREATE TABLE device_key (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    site TEXT NOT NULL,
    device_id TEXT NOT NULL,
    UNIQUE (tenant, site, device_id)
) STRICT;

CREATE TABLE device (
    device INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

-- `seq` is the order of arrival. `ended_ms` is 0 while `is_open` is 1.
CREATE TABLE command (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    device INTEGER NOT NULL,
    is_open INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX command_of_device ON command (device, seq);
CREATE INDEX command_open ON command (seq) WHERE is_open = 1;
CREATE INDEX command_ended ON command (ended_ms) WHERE is_open = 0;

CREATE TABLE session (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    is_open INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX session_open ON session (seq) WHERE is_open = 1;
CREATE INDEX session_ended ON session (ended_ms) WHERE is_open = 0;

CREATE TABLE changeset (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX changeset_status ON changeset (status, seq);
CREATE INDEX changeset_open ON changeset (seq) WHERE is_open = 1;
CREATE INDEX changeset_ended ON changeset (ended_ms) WHERE is_open = 0;

CREATE TABLE receipt (
    changeset_id TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE room (
    room TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE member (
    room TEXT NOT NULL,
    client_id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (room, client_id)
) STRICT, WITHOUT ROWID;

-- A newer form of a message has the same room and seq, and a higher change.
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    room TEXT NOT NULL,
    seq INTEGER NOT NULL,
    change INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    role TEXT NOT NULL,
    ts_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (room, seq)
) STRICT;
CREATE INDEX message_change ON message (room, change);
CREATE INDEX message_named ON message (message_id);
CREATE INDEX message_role ON message (role, ts_ms);

CREATE TABLE audit (
    tenant TEXT NOT NULL,
    n INTEGER NOT NULL,
    ts_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (tenant, n)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'rows of the audit are never changed');
END;

CREATE TABLE audit_head (
    tenant TEXT NOT NULL,
    n INTEGER NOT NULL,
    ts_ms INTEGER NOT NULL,
    hash TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (tenant, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
