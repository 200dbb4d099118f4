//! Any bytes as a payload on any topic: never a panic, and what is read and sent again reads the same.
//!
//! The first byte chooses the topic, the rest is the payload.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talkwire_proto::command::{CommandEnvelope, Request};
use talkwire_proto::inbound::{DeviceBody, Inbound};
use talkwire_proto::{batch, chatroom, limits};

const NOW_MS: i64 = 1_753_527_913_675;
const TOPICS: [&str; 18] = [
    "rtk/v1/t/s/aabbccddeeff/lwt",
    "rtk/v1/t/s/aabbccddeeff/attr",
    "rtk/v1/t/s/aabbccddeeff/state",
    "rtk/v1/t/s/aabbccddeeff/telemetry/m",
    "rtk/v1/t/s/aabbccddeeff/evt/e.v",
    "rtk/v1/t/s/aabbccddeeff/cmd/ack",
    "rtk/v1/t/s/aabbccddeeff/cmd/res",
    "rtk/v1/t/s/aabbccddeeff/topology/update",
    "rtk/v1/t/s/aabbccddeeff/capability/update",
    "rtk/v1/t/s/aabbccddeeff/diagnostics/d",
    "chatroom/messages/in",
    "chatroom/users/join",
    "chat/send",
    "chat/session/create",
    "chat/session/list",
    "system/send",
    "rtk/v1/t/s/aabbccddeeff/cmd/req",
    "chat/receive",
];

/// The same message again: what it says has not changed.
fn again(topic: &str, text: &str) -> DeviceBody {
    match Inbound::decode(topic, text.as_bytes(), NOW_MS, usize::MAX) {
        Ok(Inbound::Device(_, _, body)) => body,
        other => panic!("{text} does not read back: {other:?}"),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, payload)) = bytes.split_first() else { return };
    let topic = TOPICS[usize::from(*choice) % TOPICS.len()];
    match Inbound::decode(topic, payload, NOW_MS, limits::MESSAGE_BYTES) {
        Ok(Inbound::Device(_, _, body)) => match &body {
            DeviceBody::Lwt(lwt) => assert_eq!(again(topic, &lwt.encode(5).to_string()), body),
            DeviceBody::Ack(ack) => assert_eq!(again(topic, &ack.encode(5).to_string()), body),
            DeviceBody::Answer(answer) => {
                let _ = batch::results(answer);
                assert!(
                    matches!(again(topic, &answer.encode(5).to_string()), DeviceBody::Answer(read) if read.id == answer.id && read.outcome == answer.outcome)
                );
            }
            DeviceBody::Attr(attr) => assert!(matches!(again(topic, &attr.encode("d", 5).to_string()), DeviceBody::Attr(_))),
            _ => {}
        },
        Ok(Inbound::Room(_, _, input)) => {
            let _ = input.message.as_deref().map(chatroom::checked_message);
        }
        Ok(Inbound::Web(_)) => {}
        Err(reason) => assert!(!reason.to_string().is_empty()),
    }
    if let Ok(request) = Request::decode(payload, NOW_MS) {
        for shape in [CommandEnvelope::Both, CommandEnvelope::Flat, CommandEnvelope::Payload] {
            let read = Request::decode(request.encode(shape, 5).to_string().as_bytes(), NOW_MS).expect("what is sent is read");
            assert_eq!((&read.id, &read.op, &read.expect, &read.version), (&request.id, &request.op, &request.expect, &request.version));
        }
        let _ = batch::commands(&request);
    }
});
