//! The memory: what the hub decided, kept in SQLite.
