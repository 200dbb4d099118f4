-- Messages on their way to a broker that is not ours, until it has acknowledged them. `n` is their order.
CREATE TABLE outgoing (
    n INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    retain INTEGER NOT NULL
) STRICT;
