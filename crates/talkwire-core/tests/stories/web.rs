//! The web chat: conversations, pieces, resends and system parameters.

use crate::house::{House, ann, guest, olga, people_at, victor};
use serde_json::{Value, json};
use talkwire_core::Input;
use talkwire_core::ids::sha256_hex;
use talkwire_core::input::Origin;

fn ann_at_home(house: &mut House) -> Origin {
    let origin = people_at(ann(), "w1");
    house.input(Input::ClientUp(origin.clone()));
    origin
}

fn piece(id: &str, index: usize, parts: &[&str], sha256: &str) -> Value {
    json!({"id": id, "text": parts[index], "chunk": {"index": index, "count": parts.len(), "sha256": sha256}})
}

#[test]
fn a_message_is_confirmed_when_it_is_stored_and_a_resend_is_recognised_also_after_a_restart() {
    let mut house = House::new();
    let from = ann_at_home(&mut house);
    let send = json!({"id": "7f0c", "text": "slow"});
    for round in 0..3 {
        house.taken();
        house.publish_json(&from, "chat/send", send.clone());
        assert_eq!(house.said_on("chat/client/w1/status").last().unwrap()["status"], "sent");
        assert_eq!(house.said_on("chat/receive").len(), usize::from(round == 0));
        if round == 1 {
            house.restart();
        }
    }
    assert_eq!(house.shelf.messages.len(), 1);
    house.publish_json(&from, "chat/send", json!({"id": "7f0d", "text": " "}));
    let status = house.said_on("chat/client/w1/status").pop().unwrap();
    assert_eq!((status["status"].as_str(), status["error"]["code"].as_str()), (Some("failed"), Some("E_CHAT_MESSAGE")));
}

#[test]
fn a_private_conversation_reaches_only_its_owners_clients() {
    let mut house = House::new();
    let from = ann_at_home(&mut house);
    house.input(Input::ClientUp(people_at(ann(), "w2")));
    house.input(Input::ClientUp(people_at(olga(), "w9")));
    house.publish_json(&from, "chat/session/create", json!({"request_id": "r1", "name": "mine"}));
    let created = house.said_on("chat/client/w1/session/created").pop().unwrap();
    let room = created["session"]["session_id"].as_str().unwrap().to_owned();
    assert_eq!((created["request_id"].as_str(), created["session"]["name"].as_str()), (Some("r1"), Some("mine")));
    house.taken();
    house.publish_json(&from, "chat/send", json!({"id": "a", "session_id": room, "text": "secret"}));
    let heard: Vec<_> =
        house.out.iter().filter(|publish| String::from_utf8_lossy(&publish.payload).contains("secret")).map(|publish| publish.topic.as_str()).collect();
    assert_eq!(heard, ["chat/client/w1/receive", "chat/client/w2/receive"]);
    house.publish_json(&people_at(olga(), "w9"), "chat/send", json!({"id": "b", "session_id": room, "text": "let me in"}));
    assert_eq!(house.said_on("chat/client/w9/error").pop().unwrap()["code"], "E_NOT_FOUND");
    house.publish_json(&people_at(olga(), "w9"), "chat/session/list", json!({"session_id": room}));
    house.publish_json(&people_at(guest("g"), "g1"), &format!("chatroom/{room}/messages/in"), json!({"message": "hello"}));
    house.publish_json(&people_at(olga(), "w9"), "chat/session/delete", json!({"session_id": room}));
    assert!(house.histories.is_empty() && house.shelf.messages.len() == 1 && house.shelf.rooms.contains_key(&room));
    house.publish_json(&from, "chat/session/list", json!({"session_id": room, "after": 3, "limit": 5}));
    let history = house.histories.pop().unwrap();
    assert_eq!((history.topic.as_str(), history.after, history.limit), ("chat/client/w1/session/listed", Some(3), 5));
    house.publish_json(&people_at(olga(), "w9"), "chat/session/list", json!({}));
    let listed = house.said_on("chat/client/w9/session/listed").pop().unwrap();
    assert!(!listed.to_string().contains(&room));
    house.publish_json(&from, "chat/session/delete", json!({"session_id": "main"}));
    assert_eq!(house.said_on("chat/client/w1/error").pop().unwrap()["code"], "E_FORBIDDEN");
    house.publish_json(&from, "chat/session/delete", json!({"session_id": room}));
    assert!(!house.shelf.rooms.contains_key(&room));
}

#[test]
fn a_message_in_pieces_is_whole_in_any_order_and_shown_only_then() {
    let mut house = House::new();
    let from = ann_at_home(&mut house);
    let parts = ["the ", "Wi-Fi ", "is slow"];
    let sha = sha256_hex(parts.concat().as_bytes());
    for index in [2, 0, 0] {
        house.publish_json(&from, "chat/send", piece("p", index, &parts, &sha));
    }
    assert!(house.shelf.messages.is_empty());
    house.wait(5_000);
    let wanted = house.said_on("chat/client/w1/status").pop().unwrap();
    assert_eq!((wanted["status"].as_str(), &wanted["missing"]), (Some("sending"), &json!([1])));
    house.publish_json(&from, "chat/send", piece("p", 1, &parts, &sha));
    assert_eq!(house.shelf.messages.values().next().unwrap().text, "the Wi-Fi is slow");
    house.publish_json(&from, "chat/send", piece("p", 1, &parts, &sha));
    assert_eq!(house.said_on("chat/client/w1/status").pop().unwrap()["status"], "sent");
    house.wait(120_000);
    assert_eq!(house.shelf.messages.len(), 1);
}

#[test]
fn pieces_that_do_not_come_or_do_not_fit_make_no_message() {
    let mut house = House::new();
    let from = ann_at_home(&mut house);
    let parts = ["a", "b"];
    house.publish_json(&from, "chat/send", piece("late", 0, &parts, &"0".repeat(64)));
    house.wait(60_000);
    assert_eq!(house.said_on("chat/client/w1/error").pop().unwrap()["id"], "late");
    house.taken();
    for index in [0, 1] {
        house.publish_json(&from, "chat/send", piece("wrong", index, &parts, &"0".repeat(64)));
    }
    assert_eq!(house.said_on("chat/client/w1/error").pop().unwrap()["code"], "E_CHAT_CHUNK");
    house.taken();
    let sha = sha256_hex(b"ab");
    house.publish_json(&from, "chat/send", piece("other", 0, &parts, &sha));
    house.publish_json(&from, "chat/send", piece("other", 2, &["x", "y", "z"], &sha));
    assert_eq!(house.said_on("chat/client/w1/error").pop().unwrap()["code"], "E_CHAT_CHUNK");
    for n in 0..9 {
        house.publish_json(&from, "chat/send", piece(&format!("many {n}"), 0, &parts, &sha));
    }
    assert_eq!(house.said_on("chat/client/w1/error").pop().unwrap()["id"], "many 8", "one client cannot take all room");
    assert!(house.shelf.messages.is_empty());
}

#[test]
fn system_parameters_are_read_by_all_and_changed_by_administrators_within_bounds() {
    let mut house = House::new();
    let from = ann_at_home(&mut house);
    for who in [victor(), olga(), guest("admin")] {
        house.publish_json(&people_at(who.clone(), "w3"), "system/send", json!({"name": "language", "value": "en"}));
        assert!(house.shelf.settings.is_empty(), "{who:?}");
    }
    assert_eq!(house.audited("setting.refused").len(), 3);
    for (name, value) in [
        ("language", json!("klingon")),
        ("model", json!("gpt")),
        ("utc_offset_minutes", json!(9_999)),
        ("system_prompt", json!("x".repeat(8_001))),
        ("mqtt_port", json!(1)),
    ] {
        house.publish_json(&from, "system/send", json!({"name": name, "value": value}));
        assert_eq!(house.said_on("chat/client/w1/system/receive").pop().unwrap()["status"], "error", "{name}");
    }
    house.publish(&from, "system/send", b"[not json");
    let unread = house.said_on("chat/client/w1/system/receive").pop().unwrap();
    assert_eq!((unread["status"].as_str(), unread["error"]["code"].as_str()), (Some("error"), Some("E_MALFORMED")), "silence would not help the sender");
    house.taken();
    house.publish_json(&from, "system/send", json!({"request_id": "r", "name": "assistant_main", "value": "mention"}));
    let answer = house.said_on("chat/client/w1/system/receive").pop().unwrap();
    assert_eq!((answer["request_id"].as_str(), answer["status"].as_str()), (Some("r"), Some("ok")));
    assert!(house.out.iter().any(|publish| publish.topic == "system/status" && publish.retain));
    house.restart();
    house.publish_json(&from, "chat/send", json!({"id": "q", "text": "slow"}));
    assert!(house.asked.is_empty(), "main asks only when meant now, also after a restart");
}
