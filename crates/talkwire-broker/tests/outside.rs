//! The client on somebody else's broker, against a broker that does exactly what a test says.

#[path = "outside/desk.rs"]
mod desk;
#[allow(dead_code, reason = "the house's tests use the rest of it")]
#[path = "outside/script.rs"]
mod script;

use desk::{Desk, config};
use script::{Script, Session};
use std::time::Duration;
use talkwire_broker::{Limit, Outside, Profile, ProtocolVersion};

#[tokio::test]
async fn an_acknowledgement_goes_out_when_the_message_is_stored_and_in_the_order_of_arrival() {
    let (script, desk) = (Script::open().await, Desk::default());
    let _outside = Outside::start(config(script.port), desk.inbox()).unwrap();
    let mut session = script.greet(false).await;
    session.publish("rtk/v1/a", "one", 1, 0).await;
    session.publish("rtk/v1/a", "two", 2, 0).await;
    desk.wait_for(2).await;
    desk.stored(1, true);
    assert!(session.is_silent().await, "the first is not stored yet");
    desk.stored(0, true);
    assert_eq!((session.next_puback().await, session.next_puback().await), (1, 2));
}

#[tokio::test]
async fn what_the_house_does_not_take_now_waits_and_nothing_overtakes_it() {
    let (script, desk) = (Script::open().await, Desk::default());
    let _outside = Outside::start(config(script.port), desk.inbox()).unwrap();
    let mut session = script.greet(false).await;
    desk.refuse(true);
    for id in 1..=3 {
        session.publish("rtk/v1/a", &format!("n{id}"), id, 0).await;
    }
    assert!(session.is_silent().await);
    desk.refuse(false);
    desk.wait_for(3).await;
    assert_eq!(desk.texts(), ["n1", "n2", "n3"]);
}

#[tokio::test]
async fn what_could_not_be_stored_is_offered_again_and_marked_so() {
    let (script, desk) = (Script::open().await, Desk::default());
    let _outside = Outside::start(config(script.port), desk.inbox()).unwrap();
    let mut session = script.greet(false).await;
    session.publish("rtk/v1/a", "one", 7, 0).await;
    desk.wait_for(1).await;
    desk.stored(0, false);
    desk.wait_for(2).await;
    assert_eq!(desk.again(), [false, true]);
    desk.stored(1, true);
    assert_eq!(session.next_puback().await, 7);
}

#[tokio::test]
async fn a_session_that_the_broker_kept_is_taken_up_and_unacknowledged_messages_are_sent_again() {
    let (script, desk) = (Script::open().await, Desk::default());
    let outside = Outside::start(config(script.port), desk.inbox()).unwrap();
    let mut session = script.greet(false).await;
    outside.handle().publish_kept("rtk/v1/a/cmd/req", "do", 1, false, 7).unwrap();
    let first = session.next_publish().await;
    assert!(!first.dup);
    drop(session);
    let mut session = script.greet(true).await;
    let second = session.next_publish().await;
    assert_eq!((second.dup, second.id, second.payload.as_slice()), (true, first.id, b"do".as_slice()));
    assert!(desk.gone().is_empty(), "sent is not acknowledged");
    session.puback(second.id).await;
    while desk.gone() != [7] {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(session);
    // Acknowledged: the next connection has nothing to repeat.
    let mut session = script.greet(false).await;
    outside.handle().publish("rtk/v1/a/cmd/req", "next", 1, false).unwrap();
    assert_eq!(session.next_publish().await.payload, b"next");
    assert_eq!(desk.sessions(), [false, true, false], "resumed or not, told in order");
}

#[tokio::test]
async fn a_broker_that_speaks_only_the_older_protocol_is_spoken_to_in_it() {
    for refusal in [Some([0x20, 2, 0, 1]), None] {
        let (script, desk) = (Script::open().await, Desk::default());
        let outside = Outside::start(config(script.port), desk.inbox()).unwrap();
        script.turn_away(5, refusal).await;
        let mut session = script.greet(false).await;
        assert_eq!(session.level, 4);
        session.publish("rtk/v1/a", "old", 9, 0).await;
        desk.wait_for(1).await;
        desk.stored(0, true);
        assert_eq!(session.next_puback().await, 9);
        assert_eq!(outside.handle().status().version, Some(ProtocolVersion::V311));
    }
}

#[tokio::test]
async fn a_message_over_the_limit_reaches_the_house_cut_off_and_the_next_one_whole() {
    let (script, desk) = (Script::open().await, Desk::default());
    let _outside = Outside::start(config(script.port), desk.inbox()).unwrap();
    let mut session = script.greet(false).await;
    session.publish("rtk/v1/a", &"x".repeat(50_000), 3, 0).await;
    session.publish("rtk/v1/a", "after", 4, 0).await;
    desk.wait_for(2).await;
    let arrived = desk.arrived();
    assert_eq!((arrived[0].bytes, arrived[0].payload.len(), arrived[0].packet_id), (50_000, 4096, 3));
    assert_eq!((arrived[1].payload.as_ref(), arrived[1].packet_id), (b"after".as_slice(), 4));
}

#[tokio::test]
async fn marks_of_the_broker_are_handed_on() {
    let (script, desk) = (Script::open().await, Desk::default());
    let outside = Outside::start(config(script.port), desk.inbox()).unwrap();
    let mut session = script.greet(true).await;
    session.publish("rtk/v1/a", "again", 5, Session::DUP).await;
    session.publish("rtk/v1/a/lwt", "kept", 6, Session::RETAIN).await;
    desk.wait_for(2).await;
    let arrived = desk.arrived();
    assert!(arrived[0].again && !arrived[0].kept && !arrived[1].again && arrived[1].kept);
    assert_eq!(outside.handle().counts().redelivered, 1);
}

#[tokio::test]
async fn a_refused_subscription_is_told_and_the_rest_goes_on() {
    let (script, desk) = (Script::open().await, Desk::default());
    let outside = Outside::start(config(script.port), desk.inbox()).unwrap();
    let _session = script.greet_refusing("chat/send").await;
    let mut status = outside.handle().watch();
    let up = tokio::time::timeout(script::PATIENCE, status.wait_for(|status| status.connected)).await.unwrap().unwrap().clone();
    assert_eq!(up.refused_filters, ["chat/send"]);
}

#[tokio::test]
async fn a_message_that_makes_the_broker_hang_up_again_and_again_is_given_up() {
    let (script, desk) = (Script::open().await, Desk::default());
    let outside = Outside::start(config(script.port), desk.inbox()).unwrap();
    let mut session = script.greet(false).await;
    outside.handle().publish("forbidden", "x", 1, false).unwrap();
    outside.handle().publish("allowed", "y", 1, false).unwrap();
    for _ in 0..5 {
        assert_eq!(session.next_publish().await.topic, "forbidden");
        drop(session);
        session = script.greet(false).await;
    }
    assert_eq!(session.next_publish().await.topic, "allowed");
    assert_eq!(outside.handle().counts().refused, 1);
}

#[tokio::test]
async fn an_orderly_end_sends_what_waits_and_says_goodbye() {
    let (script, desk) = (Script::open().await, Desk::default());
    let outside = Outside::start(config(script.port), desk.inbox()).unwrap();
    let mut session = script.greet(false).await;
    outside.handle().publish("connection/system", "bye", 1, true).unwrap();
    let stopping = tokio::spawn(outside.stop());
    let last = session.next_publish().await;
    assert_eq!((last.topic.as_str(), last.retain), ("connection/system", true));
    session.puback(last.id).await;
    assert!(session.says_goodbye().await);
    stopping.await.unwrap();
}

#[tokio::test]
async fn limits_of_the_broker_are_met_before_the_broker_is() {
    let desk = Desk::default();
    let aws = || Profile::named("aws-iot").unwrap();
    let deep = talkwire_broker::OutsideConfig { profile: aws(), filters: vec!["a/b/c/d/e/f/g/h/i".into()], ..config(1) };
    assert!(matches!(Outside::start(deep, desk.inbox()), Err(Limit::Depth { levels: 9, most: 8, .. })));
    let named = talkwire_broker::OutsideConfig { profile: aws(), client_id: "a b".into(), ..config(1) };
    assert!(matches!(Outside::start(named, desk.inbox()), Err(Limit::ClientId { .. })));
    let outside = Outside::start(talkwire_broker::OutsideConfig { profile: aws(), ..config(1) }, desk.inbox()).unwrap();
    let said = outside.handle().publish("chat/session/listed", vec![b'x'; 140_000], 1, false).unwrap_err().to_string();
    assert!(said.starts_with("E_BROKER_LIMIT") && said.contains("131072"), "{said}");
    assert_eq!((outside.handle().counts().refused, outside.handle().waiting()), (1, 0));
}

#[tokio::test]
async fn a_message_too_large_to_be_kept_is_sent_without_being_kept() {
    let (script, desk) = (Script::open().await, Desk::default());
    let azure = talkwire_broker::OutsideConfig { profile: Profile::named("azure-event-grid").unwrap(), ..config(script.port) };
    let outside = Outside::start(azure, desk.inbox()).unwrap();
    let mut session = script.greet(false).await;
    outside.handle().publish("system/status", vec![b'x'; 70_000], 1, true).unwrap();
    outside.handle().publish("connection/system", "small", 1, true).unwrap();
    assert_eq!((session.next_publish().await.retain, session.next_publish().await.retain), (false, true));
}
