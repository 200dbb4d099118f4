-- The newest deliveries of a broker that is not ours, by which one that comes again is recognised. `slot` is `n` modulo the window.
CREATE TABLE delivery (
    slot INTEGER PRIMARY KEY,
    n INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,
    fingerprint BLOB NOT NULL
) STRICT;
