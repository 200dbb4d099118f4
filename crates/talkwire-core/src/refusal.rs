//! A typed no: the code that the peer sees and one sentence that says what to do.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use talkwire_proto::Code;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// Stable code with a page in `docs/errors/`.
    pub code: Code,
    /// One sentence, with what to do when that is known.
    pub message: String,
    /// Particulars for programs.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub details: Map<String, Value>,
}

impl Refusal {
    /// A refusal without particulars.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Map::new() }
    }

    /// The same with one particular more.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }
}
