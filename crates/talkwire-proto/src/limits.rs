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
/// Longest text of a device that people are shown as a name, in characters.
pub const LABEL_CHARS: usize = 128;
/// Longest reason or error text that is kept from a device, in characters.
pub const REASON_CHARS: usize = 1_000;
/// Longest id of a command, trace, session or message, in bytes.
pub const ID_BYTES: usize = 128;
/// Longest name in a schema tag, in bytes: a family in front of a word and `.result` behind it.
pub const SCHEMA_BYTES: usize = WORD_CHARS + 32;
/// Longest id of a chat message, in bytes; a UUID has 36.
pub const MESSAGE_ID_BYTES: usize = 64;
/// Longest time that a command may take, in milliseconds: a day.
pub const TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;
/// Most commands in one `batch.execute`.
pub const BATCH_ITEMS: usize = 64;
/// Most pieces of one split message.
pub const PIECES: u32 = 1_024;
/// How far ahead of arrival a `ts` may lie before it is flagged, in milliseconds.
pub const TS_AHEAD_MS: i64 = 5 * 60 * 1000;
/// How far behind arrival a `ts` may lie before the message counts as late, in milliseconds.
pub const TS_BEHIND_MS: i64 = 5 * 60 * 1000;
/// The first instant that a clock which was ever set shows, in Unix milliseconds: the year 2020. An earlier `ts` is read as none.
pub const TS_FIRST_MS: i64 = 1_577_836_800_000;
/// How much of a bad message quarantine keeps, in bytes.
pub const QUARANTINE_BYTES: usize = 4 * 1024;
/// Within this time a device acknowledges a command, in milliseconds.
pub const ACK_MS: u64 = 1_000;
