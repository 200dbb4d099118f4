//! The web chat's messages: the minimum, the whole, and what is refused.

use super::*;
use proptest::prelude::*;

fn send(text: &str) -> Result<ChatSend, String> {
    ChatSend::decode(text.as_bytes(), limits::MESSAGE_BYTES).map_err(|reason| reason.to_string())
}

fn ask(text: &str) -> Result<SessionAsk, String> {
    SessionAsk::decode(text.as_bytes(), limits::MESSAGE_BYTES).map_err(|reason| reason.to_string())
}

#[test]
fn the_document_s_greeting_is_read_with_as_little_as_it_says() {
    let said = send(r#"{"text": "Hello, AI!"}"#).unwrap();
    let ChatSend { id, session_id, text, ts, client_id, reply_to, chunk } = said;
    assert_eq!((id.as_str(), session_id.as_str(), text.as_str()), ("", "main", "Hello, AI!"));
    assert_eq!((ts, client_id, reply_to, chunk), (None, None, None, None));
}

#[test]
fn a_message_with_everything_is_read() {
    let text = r#"{"id": "f470d770-9cf5-44f1-a29d-fc6f38091823", "session_id": "home", "text": "家裡 WiFi 很慢", "ts": 1753527913675,
        "client_id": "web-1", "reply_to": "m-1", "chunk": {"index": 0, "count": 2, "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}}"#;
    let said = send(text).unwrap();
    assert_eq!((said.session_id.as_str(), said.ts, said.client_id.as_deref()), ("home", Some(1_753_527_913_675), Some("web-1")));
    assert_eq!((said.reply_to.as_deref(), said.chunk.map(|chunk| chunk.count)), (Some("m-1"), Some(2)));
}

#[test]
fn a_message_that_is_wrong_names_the_field() {
    let long_id = format!(r#"{{"text": "a", "id": "{}"}}"#, "x".repeat(65));
    let cases = [
        ("{}", "field `text` is missing"),
        (r#"{"text": 5}"#, "field `text` must be a string, not a number"),
        (long_id.as_str(), "field `id` must have 1-64 bytes and no control characters"),
        (r#"{"text": "a", "client_id": "a#"}"#, "field `client_id` must not contain `/`, `+` or `#`"),
        (r#"{"text": "a", "ts": "soon"}"#, "field `ts` must be Unix milliseconds or an ISO-8601 time from 1970 on"),
        (r#"{"text": "a", "chunk": {"index": 0}}"#, "field `chunk.count` is missing"),
        (r#"{"text": "a", "chunk": 5}"#, "field `chunk` must be an object, not a number"),
        ("[]", "message must be a JSON object, not a list"),
    ];
    for (text, reason) in cases {
        assert_eq!(send(text), Err(reason.into()), "{text}");
    }
}

#[test]
fn a_session_is_asked_for_by_name_by_id_or_after_a_change() {
    assert_eq!(ask(""), Ok(SessionAsk::default()));
    let catching_up = ask(r#"{"request_id": "r1", "client_id": "web-1", "session_id": "main", "after": 41, "limit": 5000}"#).unwrap();
    assert_eq!((catching_up.session_id.as_deref(), catching_up.after, catching_up.limit), (Some("main"), Some(41), Some(200)));
    assert_eq!(ask(r#"{"limit": 0}"#).unwrap().limit, Some(1));
    assert_eq!(ask(r#"{"after": -1}"#), Err("field `after` must be a whole number that is not negative, not a number".into()));
    assert_eq!(ask(r#"{"name": []}"#), Err("field `name` must be a string, not a list".into()));
}

proptest! {
    #[test]
    fn what_a_client_sends_reads_back(
        id in "[a-f0-9-]{1,64}", session_id in "[a-z0-9-]{1,20}", text in "\\PC{0,40}", ts in prop::option::of(0i64..9_000_000_000_000),
        client_id in prop::option::of("[a-z0-9-]{1,20}"), chunk in prop::option::of((0u32..5, 5u32..9)),
    ) {
        let chunk = chunk.map(|(index, count)| Chunk { index, count, sha256: "0".repeat(64) });
        let sent = ChatSend { id, session_id, text, ts, client_id, reply_to: None, chunk };
        let bytes = serde_json::to_vec(&sent).unwrap();
        prop_assert_eq!(ChatSend::decode(&bytes, limits::MESSAGE_BYTES), Ok(sent));
    }
}
