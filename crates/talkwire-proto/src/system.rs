//! `system/…` and `connection/…`: parameters of the assistant, and the true state of every link (`spec/mqtt-websocket.md`, `PROTOCOL.md` §7).

use crate::chat::{ChatError, client_id};
use crate::envelope::{BadEnvelope, parse_object};
use crate::fields::Fields;
use crate::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `system/send`: a parameter is set, or asked for when `value` is missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SystemSend {
    /// Comes back in the answer.
    #[serde(default)]
    pub request_id: Option<String>,
    /// What the client calls itself: the answer goes to its private topics.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The parameter, for example `language`; missing: all.
    #[serde(default)]
    pub name: Option<String>,
    /// Its new value.
    #[serde(default)]
    pub value: Option<Value>,
}

/// One parameter: the system prompt, the language, the model, a setting of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Parameter {
    /// Its name, for example `language`.
    pub name: String,
    /// What holds now.
    pub value: Value,
    /// What held before anybody changed it.
    pub default: Value,
    /// `text`, `choice`, `number` or `flag`.
    pub kind: String,
    /// The values of a `choice`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub choices: Vec<Value>,
    /// Least value of a `number`, least characters of a `text`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub min: Option<f64>,
    /// Greatest value of a `number`, most characters of a `text`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max: Option<f64>,
    /// Who may change it: `anyone`, `member` or `admin`.
    pub changed_by: String,
    /// Whether the reader may.
    pub may_change: bool,
}

/// `system/receive`: the answer to one `system/send`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SystemAnswer {
    /// From the request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// The parameters asked for, or the one that was set.
    pub parameters: Vec<Parameter>,
    /// Why nothing was set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ChatError>,
}

/// `system/status`: a parameter has changed; all that hold now.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SystemStatus {
    /// All of them.
    pub parameters: Vec<Parameter>,
    /// Unix milliseconds of the change.
    pub ts: i64,
}

/// `connection/…`: a true state, retained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionState {
    /// `connected`, `degraded` or `disconnected`.
    pub status: String,
    /// More, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// Unix milliseconds since when.
    pub since: i64,
    /// How many clients, devices or the like stand behind it.
    #[serde(default)]
    pub count: u64,
}

impl SystemSend {
    /// Reads a request; names the field that is wrong. No payload asks for everything.
    pub fn decode(bytes: &[u8], max_bytes: usize) -> Result<Self, BadEnvelope> {
        let object = if bytes.is_empty() { Map::new() } else { parse_object(bytes, max_bytes)? };
        let fields = Fields(&object);
        let send = Self {
            request_id: fields.name(&["request_id", "id"], limits::ID_BYTES)?,
            client_id: client_id(fields)?,
            name: fields.name(&["name"], limits::WORD_CHARS)?,
            value: fields.any(&["value"]).map(|(_, value)| value.clone()),
        };
        if send.value.is_some() && send.name.is_none() { Err(BadEnvelope::Missing("name".into())) } else { Ok(send) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn send(text: &str) -> Result<SystemSend, String> {
        SystemSend::decode(text.as_bytes(), limits::MESSAGE_BYTES).map_err(|reason| reason.to_string())
    }

    #[test]
    fn a_parameter_is_set_or_asked_for() {
        let set = send(r#"{"request_id": "r1", "client_id": "web-1", "name": "language", "value": "zh-TW"}"#).unwrap();
        assert_eq!((set.name.as_deref(), set.value), (Some("language"), Some(json!("zh-TW"))));
        let all = send("").unwrap();
        assert_eq!(all, SystemSend { request_id: None, client_id: None, name: None, value: None });
        assert_eq!(send("{}").unwrap(), all);
    }

    #[test]
    fn a_request_that_is_wrong_names_the_field() {
        assert_eq!(send(r#"{"value": 5}"#), Err("field `name` is missing".into()));
        assert_eq!(send(r#"{"name": 5}"#), Err("field `name` must be a string, not a number".into()));
        assert_eq!(send(r#"{"client_id": "a/b"}"#), Err("field `client_id` must not contain `/`, `+` or `#`".into()));
    }
}
