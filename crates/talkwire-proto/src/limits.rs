//! How long, deep and many: the bounds of everything that is read from the wire (`PROTOCOL.md` §2).

/// Largest message accepted by default, in bytes. Never configured below [`WEB_MESSAGE_BYTES`].
pub const MESSAGE_BYTES: usize = 256 * 1024;
/// The message size of the WebSocket document's broker configuration, in bytes.
pub const WEB_MESSAGE_BYTES: usize = 20_480;
/// Deepest nesting of a JSON payload.
pub const NESTING: usize = 16;
/// Longest topic, in bytes.
pub const TOPIC_BYTES: usize = 200;
/// Most levels of a topic.
pub const TOPIC_LEVELS: usize = 32;
/// Longest tenant, site or group.
pub const NAME_CHARS: usize = 32;
/// Longest device id that is not a MAC address.
pub const DEVICE_ID_CHARS: usize = 64;
/// Longest metric, event, test or tool name.
pub const WORD_CHARS: usize = 96;
/// Longest chat message, in characters.
pub const CHAT_CHARS: usize = 4_000;
/// Longest name that a person shows in a room, in characters.
pub const USERNAME_CHARS: usize = 40;
/// How far ahead of arrival a `ts` may lie before it is flagged, in milliseconds.
pub const TS_AHEAD_MS: i64 = 5 * 60 * 1000;
/// How much of a bad message quarantine keeps, in bytes.
pub const QUARANTINE_BYTES: usize = 4 * 1024;
/// Within this time a device acknowledges a command, in milliseconds.
pub const ACK_MS: u64 = 1_000;
