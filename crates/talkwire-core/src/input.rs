//! What can happen: one closed list.

use crate::access::Principal;
use crate::effect::RequestId;
use crate::moves::Move;
use crate::session::IntentView;
use serde_json::{Map, Value};
use talkwire_proto::{DeviceKey, Inbound, Malformed};

/// Through which connection something came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who the connection belongs to.
    pub principal: Principal,
    /// The MQTT client id; names the private topics of answers.
    pub client_id: String,
}

/// What the mind made of a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Understood {
    /// Intent, language, confidence.
    pub view: IntentView,
    /// What to say at once: the opening of a diagnosis, or the whole answer when it is no complaint.
    pub words: String,
}

/// Something that a door asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Send a Read or Test command.
    Command {
        /// The device.
        key: DeviceKey,
        /// The tool or an alias.
        op: String,
        /// Its arguments.
        args: Map<String, Value>,
        /// Another time-out than the catalogue's, in milliseconds.
        timeout_ms: Option<u64>,
    },
    /// Stop waiting for a command.
    CancelCommand(String),
    /// Diagnose a complaint.
    OpenSession {
        /// The sentence.
        text: String,
        /// The tenant and site, when there are several.
        place: Option<(String, String)>,
        /// How the sentence was understood.
        understood: Understood,
    },
    /// Stop a diagnosis.
    CancelSession(String),
    /// Put a change forward by hand.
    Propose {
        /// The changes: device, tool, arguments.
        operations: Vec<(DeviceKey, String, Map<String, Value>)>,
        /// Why.
        reason: String,
    },
    /// Say yes to the exact plan.
    Approve {
        /// The set.
        changeset_id: String,
        /// Its plan's hash as the person saw it.
        plan_hash: String,
    },
    /// Say no.
    Reject(String),
    /// Put everything back.
    Rollback(String),
    /// End a set that cannot be undone: somebody saw to its devices by hand.
    Settle(String),
    /// Speak in a room.
    Say {
        /// The room.
        room: String,
        /// The client's UUID, so that a resend is recognised.
        id: Option<String>,
        /// What is said.
        text: String,
        /// The message that it answers.
        reply_to: Option<String>,
    },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A message came and was understood.
    Message {
        /// From whom.
        from: Origin,
        /// What.
        inbound: Inbound,
        /// Its size, in bytes.
        bytes: usize,
    },
    /// A broker that is not ours handed over what it had kept (retained): how things stood, not a sign of life.
    Kept(Inbound),
    /// A message came that cannot be read.
    Unreadable {
        /// From whom.
        from: Origin,
        /// Where it was published.
        topic: String,
        /// Its first bytes.
        payload: Vec<u8>,
        /// Why.
        why: Malformed,
    },
    /// The owner asks a device directly, for a check, past the commands' own life; only what changes nothing comes this far.
    Probe {
        /// Who.
        from: Origin,
        /// The device.
        key: DeviceKey,
        /// The command's id.
        id: String,
        /// The op.
        op: String,
    },
    /// A client connected.
    ClientUp(Origin),
    /// A client is gone.
    ClientDown {
        /// Which one.
        client_id: String,
    },
    /// A door asks.
    Ask {
        /// Under which the answer is handed out.
        request: RequestId,
        /// Who.
        who: Principal,
        /// What.
        ask: Ask,
    },
    /// The mind understood a sentence.
    Understood {
        /// The message that was waiting.
        message_id: String,
        /// How.
        understood: Understood,
    },
    /// The mind has moves for a session.
    Moves {
        /// The session.
        session_id: String,
        /// The moves, in order.
        moves: Vec<Move>,
    },
    /// Time passed; something may be due.
    Tick,
}
