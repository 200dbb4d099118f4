//! Topics: every one that the documents and `PROTOCOL.md` print, what is refused, and `parse(print(topic)) == topic`.

use super::*;
use proptest::prelude::*;

fn key() -> DeviceKey {
    "your-org/main-office/aabbccddeeff".parse().unwrap()
}

#[test]
fn every_device_topic_of_the_integration_guide_is_known() {
    let tails = [
        ("lwt", DeviceTail::Lwt),
        ("attr", DeviceTail::Attr),
        ("state", DeviceTail::State),
        ("telemetry/cpu_usage", DeviceTail::Telemetry("cpu_usage".into())),
        ("evt/network.link_change", DeviceTail::Event("network.link_change".into())),
        ("cmd/req", DeviceTail::CmdReq),
        ("cmd/ack", DeviceTail::CmdAck),
        ("cmd/res", DeviceTail::CmdRes),
        ("topology/update", DeviceTail::Topology("update".into())),
        ("capability/update", DeviceTail::CapabilityUpdate),
        ("diagnostics/speed_test", DeviceTail::Diagnostics("speed_test".into())),
    ];
    for (tail, wanted) in tails {
        let text = format!("rtk/v1/your-org/main-office/aabbccddeeff/{tail}");
        let topic: Topic = text.parse().unwrap();
        assert_eq!(topic, Topic::Device(key(), wanted));
        assert_eq!(topic.to_string(), text);
    }
}

#[test]
fn every_topic_of_the_chat_documents_is_known_and_prints_as_it_stands() {
    let rooms = ["chatroom/messages/in", "chatroom/messages/out", "chatroom/users/join", "chatroom/users/leave", "chatroom/system"];
    let named = ["chatroom/room1/messages/in", "chatroom/room2/messages/out", "chatroom/厨房/system"];
    let web = ["chat/send", "chat/receive", "chat/status", "chat/session/create", "chat/session/delete", "chat/session/list", "chat/error"];
    let system = ["system/send", "system/receive", "system/status", "connection/client", "connection/ai-core", "connection/system"];
    let private = ["chat/client/web-1/receive", "chat/client/web-1/session/listed", "chat/client/web-1/system/receive", "chat/client/web-1/connection/client"];
    for text in rooms.iter().chain(&named).chain(&web).chain(&system).chain(&private) {
        assert_eq!(text.parse::<Topic>().map(|topic| topic.to_string()), Ok((*text).to_owned()));
    }
}

#[test]
fn the_plain_room_is_main_and_a_room_may_be_called_like_a_level() {
    assert_eq!("chatroom/main/messages/in".parse::<Topic>(), "chatroom/messages/in".parse());
    for text in ["chatroom/messages/messages/in", "chatroom/users/system", "chatroom/system/system"] {
        let topic: Topic = text.parse().unwrap();
        assert!(matches!(&topic, Topic::Room(room, _) if room.as_str() != "main"));
        assert_eq!(topic.to_string(), text);
    }
}

#[test]
fn an_event_s_levels_are_joined_with_dots() {
    for text in ["rtk/v1/t/s/aabbccddeeff/evt/wifi.roam", "rtk/v1/t/s/aabbccddeeff/evt/wifi/roam"] {
        assert!(matches!(text.parse(), Ok(Topic::Device(_, DeviceTail::Event(name))) if name == "wifi.roam"));
    }
}

#[test]
fn a_mac_address_in_another_form_is_refused_with_the_right_one() {
    for mac in ["AABBCCDDEEFF", "aa:bb:cc:dd:ee:ff", "AA-BB-CC-DD-EE-FF"] {
        let reason = format!("rtk/v1/t/s/{mac}/state").parse::<Topic>().unwrap_err().to_string();
        assert!(reason.contains("aabbccddeeff"), "{reason}");
    }
}

#[test]
fn topics_that_are_not_ours_or_not_well_formed_are_refused() {
    let wrong = [
        "",
        "/",
        "rtk",
        "rtk/v2/t/s/aabbccddeeff/state",
        "rtk/v1/t/s/aabbccddeeff",
        "rtk/v1/t/s/aabbccddeeff/",
        "rtk/v1/t/s/aabbccddeeff/state/",
        "rtk/v1/T/s/aabbccddeeff/state",
        "rtk/v1/t//aabbccddeeff/state",
        "rtk/v1/group/s/aabbccddeeff/state",
        "rtk/v1/t/broadcast/aabbccddeeff/state",
        "rtk/v1/t/s/group/state",
        "rtk/v1/t/s/group/g/cmd/ack",
        "rtk/v1/t/s/../state",
        "rtk/v1/t/s/dev ice/state",
        "rtk/v1/t/s/aabbccddeeff/telemetry/",
        "rtk/v1/t/s/aabbccddeeff/telemetry/+",
        "rtk/v1/t/s/aabbccddeeff/evt/wifi.#",
        "rtk/v1/t/s/aabbccddeeff/evt/wifi/",
        "rtk/v1/t/s/aabbccddeeff/evt//roam",
        "rtk/v1/t/s/aabbccddeeff/evt/a\u{0}b",
        "rtk/v1/+/s/aabbccddeeff/state",
        "$SYS/broker/uptime",
        "chatroom",
        "chatroom//messages/in",
        "chatroom/a/b/messages/in",
        "chatroom/+/messages/in",
        "chatroom/a\u{202e}b/messages/in",
        "chat/client//receive",
        "chat/client/a",
        "chat/nothing",
        "Chat/send",
    ];
    for text in wrong {
        assert!(text.parse::<Topic>().is_err(), "{text:?} was taken");
    }
}

#[test]
fn length_and_levels_have_a_limit() {
    let long = |bytes: usize| format!("chatroom/{}/system", "长".repeat(bytes));
    assert!(matches!(long(100).parse::<Topic>(), Err(BadTopic::TooLong { .. })));
    assert!(matches!("a/".repeat(limits::TOPIC_LEVELS).parse::<Topic>(), Err(BadTopic::TooLong { levels: 33, .. })));
    let metric = |length: usize| format!("rtk/v1/t/s/aabbccddeeff/telemetry/{}", "x".repeat(length)).parse::<Topic>();
    assert!(metric(limits::WORD_CHARS).is_ok());
    assert!(matches!(metric(limits::WORD_CHARS + 1), Err(BadTopic::Word(_))));
}

#[test]
fn only_identity_presence_and_state_are_kept_for_later_subscribers() {
    let kept = |tail: &str| matches!(format!("rtk/v1/t/s/d/{tail}").parse(), Ok(Topic::Device(_, tail)) if tail.is_retained());
    assert!(kept("lwt") && kept("attr") && kept("state"));
    assert!(!kept("telemetry/x") && !kept("evt/x") && !kept("cmd/req") && !kept("cmd/res") && !kept("capability/update"));
}

fn tail() -> impl Strategy<Value = DeviceTail> {
    let word = || "[^/+#\\pC\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{206f}]{1,12}";
    prop_oneof![
        prop::sample::select(vec![DeviceTail::Lwt, DeviceTail::Attr, DeviceTail::State, DeviceTail::CmdReq, DeviceTail::CmdAck, DeviceTail::CmdRes]),
        prop::sample::select(vec!["update", "discovery", "connections", "neighbors"]).prop_map(|part| DeviceTail::Topology(part.into())),
        word().prop_map(DeviceTail::Telemetry),
        word().prop_map(DeviceTail::Event),
        word().prop_map(DeviceTail::Diagnostics),
        Just(DeviceTail::CapabilityUpdate),
    ]
}

fn any_topic() -> impl Strategy<Value = Topic> {
    let name = || "[a-z0-9][a-z0-9_-]{0,20}".prop_filter("reserved", |name| name != "group" && name != "broadcast");
    let device = prop_oneof!["[0-9a-f]{12}", "[A-Za-z0-9_-]{1,11}", "[A-Za-z_-]{13,16}"].prop_filter("reserved", |id| id != "group" && id != "broadcast");
    let key = (name(), name(), device).prop_map(|(tenant, site, id)| format!("{tenant}/{site}/{id}").parse::<DeviceKey>().unwrap());
    let room = "[^/+#\\pC\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{206f}]{1,20}".prop_map(|room| room.parse::<RoomName>().unwrap());
    let web = || prop::sample::select(WEB_TOPICS.to_vec()).prop_map(|(topic, _)| topic);
    prop_oneof![
        (key, tail()).prop_map(|(key, tail)| Topic::Device(key, tail)),
        (name(), name(), name()).prop_map(|(t, s, g)| Topic::Group(t.parse().unwrap(), s.parse().unwrap(), g.parse().unwrap())),
        (room, prop::sample::select(ROOM_TAILS.to_vec())).prop_map(|(room, (tail, _))| Topic::Room(room, tail)),
        web().prop_map(Topic::Web),
        ("[A-Za-z0-9._-]{1,36}", web()).prop_map(|(client_id, topic)| Topic::Client(client_id, topic)),
    ]
}

proptest! {
    #[test]
    fn a_printed_topic_parses_to_itself(topic in any_topic()) {
        prop_assert_eq!(topic.to_string().parse::<Topic>(), Ok(topic));
    }

    #[test]
    fn no_text_is_too_strange_for_a_topic(text in any::<String>(), level in "(rtk|v1|chat|client|chatroom|group|evt|telemetry|cmd|req|messages|in|[a-z]{0,3}|\\PC{0,2})(/(rtk|v1|chat|client|chatroom|group|evt|telemetry|cmd|req|messages|in|[a-z]{0,3}|\\PC{0,2})){0,8}") {
        for text in [text, level] {
            if let Ok(topic) = text.parse::<Topic>() {
                prop_assert_eq!(topic.to_string().parse::<Topic>(), Ok(topic));
            }
        }
    }
}
