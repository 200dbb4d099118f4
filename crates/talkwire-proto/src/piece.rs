//! Messages larger than one publish may be: cut into pieces, and whole again only when every piece is there (`PROTOCOL.md` §7).

use crate::envelope::BadEnvelope;
use crate::fields::Fields;
use crate::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which piece of a split message something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chunk {
    /// From 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
    /// SHA-256 of the whole text, as lower-case hex.
    pub sha256: String,
}

/// A piece of a message that the server sends, in place of the message on the same topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Piece {
    /// Id of the whole message.
    pub id: String,
    /// Which piece; the hash is of the whole message's JSON text.
    pub chunk: Chunk,
    /// A part of the whole message's JSON text.
    pub data: String,
}

/// On `chat/status` while a split message is not whole: which pieces to send again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PiecesWanted {
    /// Id of the whole message.
    pub id: String,
    /// `sending`: the message is not taken yet.
    pub status: String,
    /// The pieces that are missing, rising.
    pub missing: Vec<u32>,
}

impl PiecesWanted {
    /// Asks for `missing` pieces of the message `id`.
    pub fn new(id: impl Into<String>, missing: Vec<u32>) -> Self {
        Self { id: id.into(), status: "sending".into(), missing }
    }
}

impl Chunk {
    pub(crate) fn read(object: &Map<String, Value>) -> Result<Self, BadEnvelope> {
        let fields = Fields(object);
        let number = |name: &str| {
            let count = fields.count(&[name]).map_err(|wrong| wrong.under("chunk"))?;
            let count = count.ok_or_else(|| BadEnvelope::Missing(format!("chunk.{name}")))?;
            Ok::<_, BadEnvelope>(u32::try_from(count).unwrap_or(u32::MAX))
        };
        let (index, count) = (number("index")?, number("count")?);
        if count == 0 || count > limits::PIECES || index >= count {
            return Err(BadEnvelope::Value(format!("`chunk.index` must be below `chunk.count`, and that at most {}", limits::PIECES)));
        }
        let sha256 = fields.text(&["sha256"]).map_err(|wrong| wrong.under("chunk"))?;
        let sha256 = sha256.ok_or_else(|| BadEnvelope::Missing("chunk.sha256".into()))?.to_ascii_lowercase();
        if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadEnvelope::Value("field `chunk.sha256` must be 64 hex digits".into()));
        }
        Ok(Self { index, count, sha256 })
    }
}

/// Cuts a text into parts of at most `most` bytes, never inside a character. The parts joined are the text.
pub fn cut(text: &str, most: usize) -> Vec<&str> {
    let most = most.max(4);
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > most {
        let (part, after) = rest.split_at(rest.floor_char_boundary(most));
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Chunk, String> {
        Chunk::read(value.as_object().unwrap()).map_err(|reason| reason.to_string())
    }

    #[test]
    fn a_chunk_is_read_and_one_that_cannot_be_says_why() {
        let hash = "A".repeat(64);
        assert_eq!(read(json!({"index": 1, "count": 2, "sha256": hash})), Ok(Chunk { index: 1, count: 2, sha256: "a".repeat(64) }));
        let bounds = "`chunk.index` must be below `chunk.count`, and that at most 1024";
        for (index, count) in [(0, 0), (2, 2), (0, 1025), (0, u64::MAX)] {
            assert_eq!(read(json!({"index": index, "count": count, "sha256": hash})), Err(bounds.into()));
        }
        assert_eq!(read(json!({"index": 0, "count": 1})), Err("field `chunk.sha256` is missing".into()));
        assert_eq!(read(json!({"index": 0, "count": 1, "sha256": "abc"})), Err("field `chunk.sha256` must be 64 hex digits".into()));
        assert_eq!(read(json!({"index": "0"})), Err("field `chunk.index` must be a whole number that is not negative, not a string".into()));
        assert_eq!(read(json!({"index": 0})), Err("field `chunk.count` is missing".into()));
    }

    proptest! {
        #[test]
        fn the_parts_joined_are_the_text_and_none_is_too_long(text in "\\PC{0,300}", most in 0usize..50) {
            let parts = cut(&text, most);
            prop_assert_eq!(parts.concat(), text.as_str());
            prop_assert!(parts.iter().all(|part| part.len() <= most.max(4)));
        }
    }
}
