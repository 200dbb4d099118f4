//! The other end: the SDK with which a device joins.
