//! Stable error codes. Each has a page in `docs/errors/`.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)*) => {
        /// What a peer may see of an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }
        impl Code {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// The code's text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
            /// The class of the error in HTTP's numbers, used at the HTTP door alone.
            pub fn http_class(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }
        }
    };
}

codes! {
    /// The assistant's context could not be set up: start the session anew.
    LlmContextInitFailed = "E_LLM_CONTEXT_INIT_FAILED", 500;
    /// The tool is missing, busy or failed: an alternative is used, or the step is skipped and said so.
    LlmToolNotAvailable = "E_LLM_TOOL_NOT_AVAILABLE", 409;
    /// The session is over its time: open a new one.
    LlmSessionTimeout = "E_LLM_SESSION_TIMEOUT", 408;
    /// The device has an older or narrower tool: it is used as far as it goes.
    LlmCapabilityMismatch = "E_LLM_CAPABILITY_MISMATCH", 409;
    /// Whoever asks may not do this: a person with the permission must approve.
    LlmPermissionDenied = "E_LLM_PERMISSION_DENIED", 403;
    /// Another change set holds the device.
    LlmChangesetConflict = "E_LLM_CHANGESET_CONFLICT", 409;
    /// Undoing failed on a device: somebody must look.
    LlmRollbackFailed = "E_LLM_ROLLBACK_FAILED", 500;
    /// A device did not go back by itself when that was rehearsed: the change is refused, unless an administrator goes on.
    RollbackUnproven = "E_ROLLBACK_UNPROVEN", 409;
    /// A message that cannot be read.
    Malformed = "E_MALFORMED", 400;
    /// A message over the limit of bytes.
    TooLarge = "E_TOO_LARGE", 413;
    /// A request whose fields are wrong or missing.
    BadRequest = "E_BAD_REQUEST", 400;
    /// Arguments that the tool's catalogue entry does not allow.
    InvalidArgs = "E_INVALID_ARGS", 400;
    /// A tool that neither the catalogue nor the device knows.
    UnknownOp = "E_UNKNOWN_OP", 404;
    /// Nothing there under this name.
    NotFound = "E_NOT_FOUND", 404;
    /// The door wants to know who asks.
    AuthRequired = "E_AUTH_REQUIRED", 401;
    /// Known, but not allowed.
    Forbidden = "E_FORBIDDEN", 403;
    /// A change to a device is proposed as a change set, never sent directly.
    ActNeedsChangeset = "E_ACT_NEEDS_CHANGESET", 403;
    /// The approval names another plan than the one proposed.
    PlanHashMismatch = "E_PLAN_HASH_MISMATCH", 409;
    /// The change set is not in a state that allows this.
    ChangesetState = "E_CHANGESET_STATE", 409;
    /// It was approved too late.
    ApprovalExpired = "E_APPROVAL_EXPIRED", 409;
    /// The device is not connected.
    DeviceOffline = "E_DEVICE_OFFLINE", 409;
    /// The device is at its limit of commands.
    Busy = "E_BUSY", 409;
    /// The device did not answer in time.
    Timeout = "E_TIMEOUT", 504;
    /// The device answered that it failed.
    Device = "E_DEVICE", 502;
    /// Too many requests: wait and try again.
    RateLimited = "E_RATE_LIMITED", 429;
    /// The session runs as many tools as it may.
    SessionBusy = "E_SESSION_BUSY", 409;
    /// The disk refuses: nothing is acknowledged until it takes again.
    StoreUnavailable = "E_STORE_UNAVAILABLE", 503;
    /// The same key was used for another request.
    IdempotencyConflict = "E_IDEMPOTENCY_CONFLICT", 409;
    /// A result from a device that was not asked, or for a command that nobody sent.
    ForeignResult = "E_FOREIGN_RESULT", 403;
    /// A chat message that is blank or over 4,000 characters.
    ChatMessage = "E_CHAT_MESSAGE", 400;
    /// Pieces of a chat message are missing or do not fit together.
    ChatChunk = "E_CHAT_CHUNK", 400;
    /// A configuration that cannot be used.
    Config = "E_CONFIG", 500;
    /// A port that somebody else holds.
    PortTaken = "E_PORT_TAKEN", 500;
    /// Listening beyond this machine without access control.
    OpenRefused = "E_OPEN_REFUSED", 500;
    /// The change journal of a device cannot be written: the change is refused.
    JournalUnavailable = "E_JOURNAL_UNAVAILABLE", 503;
    /// A receipt or audit row that does not verify.
    NotGenuine = "E_NOT_GENUINE", 400;
    /// The command or step was cancelled before it ended.
    Cancelled = "E_CANCELLED", 409;
    /// No client of the network has this address.
    ClientNotFound = "E_CLIENT_NOT_FOUND", 404;
    /// The broker that is used instead of our own is not connected.
    BrokerAway = "E_BROKER_AWAY", 503;
    /// Something is beyond what that broker takes.
    BrokerLimit = "E_BROKER_LIMIT", 500;
    /// That broker refuses the connection, a subscription or a message.
    BrokerRefused = "E_BROKER_REFUSED", 502;
    /// A defect of Talkwire.
    Internal = "E_INTERNAL", 500;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
