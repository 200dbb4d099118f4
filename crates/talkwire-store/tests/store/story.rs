//! One of everything goes in and comes out, and a restart takes up where it stopped.

use crate::made;
use serde_json::json;
use talkwire_core::Save;
use talkwire_core::audit::Chains;
use talkwire_core::changeset;
use talkwire_core::command::Status;
use talkwire_core::device::Device;
use talkwire_core::effect::{Flag, Sample};
use talkwire_core::session::SessionStatus;
use talkwire_proto::chat::Role;
use talkwire_store::{ChatCounts, MessageWindow, Options, Reader, Sqlite, Store, StoreError};

const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_800_000_000_000;

#[test]
fn a_command_is_read_in_its_newest_form_at_its_old_place() {
    let (_dir, mut store) = made::store();
    let first = made::command("01A", "router-1", Status::Sent, 10);
    let done = made::command("01A", "router-1", Status::Completed, 30);
    let second = made::command("01B", "ap-1", Status::Sent, 20);
    store.commit(&[Save::Command(first.clone().into()), Save::Command(second.clone().into())]).unwrap();
    store.commit(&[Save::Command(first.into()), Save::Command(done.clone().into())]).unwrap();
    let reader = store.reader();
    assert_eq!(reader.commands(None, 10, None).unwrap().items, [second.clone(), done.clone()]);
    assert_eq!(reader.commands(Some(&second.key), 10, None).unwrap().items, [second]);
    assert_eq!(reader.command("01A").unwrap(), Some(done));
    assert_eq!(reader.command("01C").unwrap(), None);
}

#[test]
fn several_forms_in_one_batch_leave_the_last_and_the_order_of_the_first() {
    let (_dir, mut store) = made::store();
    let form = |id: &str, status| Save::Command(made::command(id, "router-1", status, 10).into());
    store.commit(&[form("a", Status::Created), form("b", Status::Created), form("a", Status::Completed)]).unwrap();
    let found: Vec<_> = store.reader().commands(None, 10, None).unwrap().items.into_iter().map(|command| (command.id, command.status)).collect();
    assert_eq!(found, [("b".into(), Status::Created), ("a".into(), Status::Completed)]);
}

#[test]
fn sessions_change_sets_and_receipts_are_found_by_id_list_and_status() {
    let (_dir, mut store) = made::store();
    let session = made::session("s1", SessionStatus::Active, 1);
    let open = made::changeset("c1", changeset::Status::Proposed, 1);
    let kept = made::changeset("c2", changeset::Status::Committed, 2);
    let receipt = json!({"before": 18.1, "after": 74.5000000001, "signature": {"value": "ab"}});
    let batch = [
        Save::Session(session.clone().into()),
        Save::Changeset(open.clone().into()),
        Save::Changeset(kept.clone().into()),
        Save::Receipt { changeset_id: "c2".into(), receipt: receipt.clone() },
    ];
    store.commit(&batch).unwrap();
    let reader = store.reader();
    assert_eq!(reader.session("s1").unwrap(), Some(session.clone()));
    assert_eq!(reader.sessions(5, None).unwrap().items, [session]);
    assert_eq!(reader.changeset("c1").unwrap(), Some(open.clone()));
    assert_eq!(reader.changesets(5, None, None).unwrap().items, [kept.clone(), open]);
    assert_eq!(reader.changesets(5, None, Some(changeset::Status::Committed)).unwrap().items, [kept]);
    assert_eq!(reader.receipt("c2").unwrap(), Some(receipt));
    assert_eq!(reader.receipt("c1").unwrap(), None);
}

#[test]
fn telemetry_is_kept_per_device_metric_and_unit() {
    let (_dir, mut store) = made::store();
    let plain = made::sample("router-1", "cpu_usage", 100, 12.5);
    let twin = Sample { value: Some(13.0), ..plain.clone() };
    let other_unit = Sample { unit: None, ts_ms: 100, ..plain.clone() };
    let structure = Sample { value: None, ts_ms: 101, body: Some(json!({"clients": [{"rssi": -61}]})), ..plain.clone() };
    let elsewhere = made::sample("ap-1", "cpu_usage", 100, 1.0);
    let all = [plain.clone(), twin.clone(), other_unit.clone(), structure.clone(), elsewhere.clone()];
    store.commit(&all.map(Save::Sample)).unwrap();
    let reader = store.reader();
    let found = reader.telemetry(&plain.key, "cpu_usage", 0, 1_000, 10, None).unwrap();
    assert_eq!(found.items, [structure, other_unit, twin, plain.clone()]);
    assert_eq!(found.next, None);
    assert_eq!(reader.telemetry(&elsewhere.key, "cpu_usage", 100, 100, 10, None).unwrap().items, [elsewhere]);
    assert_eq!(reader.telemetry(&plain.key, "cpu_usage", 102, 1_000, 10, None).unwrap().items, []);
    assert_eq!(reader.metrics(&plain.key).unwrap(), ["cpu_usage"]);
    assert_eq!(reader.metrics(&made::key("nobody")).unwrap(), [""; 0]);
}

#[test]
fn events_are_listed_by_arrival() {
    let (_dir, mut store) = made::store();
    let mut early = made::event("router-1", "wifi.radar", 50);
    early.flag = Some(Flag::Stale);
    let late = made::event("ap-1", "client.roamed", 40);
    store.commit(&[Save::Event(early.clone()), Save::Event(late.clone())]).unwrap();
    let reader = store.reader();
    assert_eq!(reader.events_recent(10, None).unwrap().items, [late, early.clone()]);
    assert_eq!(reader.events(&early.key, 10, None).unwrap().items, [early]);
}

#[test]
fn a_room_shows_newer_forms_catches_up_and_goes_away_with_its_messages() {
    let (_dir, mut store) = made::store();
    let mut answer = made::message("main", 2, 2, "…");
    answer.role = Role::Assistant;
    let says = |message: &talkwire_proto::chat::ChatMessage| Save::Message(message.clone().into());
    let (first, third) = (made::message("main", 1, 1, "slow!"), made::message("main", 3, 3, "still slow"));
    let aside = made::message("aside", 1, 1, "elsewhere");
    let rooms = [Save::Room(made::room("main").into()), Save::Room(made::room("aside").into()), Save::Member(made::member("aside", "c1"))];
    store.commit(&rooms).unwrap();
    store.commit(&[says(&first), says(&answer), says(&third), says(&aside)]).unwrap();
    (answer.rev, answer.change, answer.text) = (1, 4, "channel 6 is busy".into());
    store.commit(&[says(&answer)]).unwrap();
    let reader = store.reader();
    assert_eq!(reader.messages("main", MessageWindow::Newest, 2).unwrap(), (vec![answer.clone(), third.clone()], true));
    assert_eq!(reader.messages("main", MessageWindow::BeforeSeq(3), 5).unwrap(), (vec![first, answer.clone()], false));
    assert_eq!(reader.messages("main", MessageWindow::AfterChange(2), 5).unwrap(), (vec![third, answer.clone()], false));
    assert_eq!(reader.message("main-2").unwrap(), Some(answer));
    assert_eq!(reader.chat_counts().unwrap(), ChatCounts { received: 3, sent: 1, last_ms: Some(1_003) });
    store.commit(&[Save::RoomGone("aside".into())]).unwrap();
    assert_eq!(reader.messages("aside", MessageWindow::Newest, 5).unwrap(), (vec![], false));
    assert_eq!(reader.rooms().unwrap(), [made::room("main")]);
    assert_eq!(reader.members().unwrap(), []);
}

#[test]
fn a_message_id_used_again_does_not_overwrite_what_somebody_said() {
    let (_dir, mut store) = made::store();
    let said = made::message("main", 1, 1, "the truth");
    let mut forged = made::message("aside", 1, 1, "a lie");
    forged.id.clone_from(&said.id);
    store.commit(&[Save::Message(said.clone().into()), Save::Message(forged.into())]).unwrap();
    assert_eq!(store.reader().messages("main", MessageWindow::Newest, 5).unwrap().0, [said]);
}

#[test]
fn unreadable_messages_of_a_kind_are_counted_together() {
    let (_dir, mut store) = made::store();
    let long = vec![b'x'; 9_000];
    store
        .commit(&[
            made::quarantine("rtk/a", "not JSON", b"old", 1),
            made::quarantine("rtk/a", "not JSON", &long, 5),
            made::quarantine("rtk/a", "too deep", b"[[[", 3),
        ])
        .unwrap();
    let found = store.reader().quarantine(10).unwrap();
    let short: Vec<_> = found.iter().map(|row| (row.reason.as_str(), row.payload.len(), row.count, row.first_ms, row.last_ms)).collect();
    assert_eq!(short, [("not JSON", 4_096, 2, 1, 5), ("too deep", 3, 1, 3, 3)]);
    assert_eq!(store.reader().quarantine_count().unwrap(), 3);
}

#[test]
fn quarantine_keeps_the_ten_thousand_kinds_that_came_last() {
    let (dir, mut store) = made::store();
    let rows = |range: std::ops::Range<i64>| range.map(|at| made::quarantine(&format!("rtk/{at}"), "not JSON", b"", at)).collect::<Vec<_>>();
    store.commit(&rows(0..6_000)).unwrap();
    drop(store);
    let mut store = Sqlite::open(dir.path(), Options::default()).unwrap();
    store.commit(&rows(6_000..10_003)).unwrap();
    assert_eq!(store.reader().quarantine_count().unwrap(), 10_000);
    assert_eq!(store.reader().quarantine(1).unwrap()[0].topic, "rtk/10002");
}

#[test]
fn names_that_look_like_sql_are_only_names() {
    let (_dir, mut store) = made::store();
    let name = "x'; DROP TABLE command; --\0\"";
    let mut odd = made::sample("router-1", name, 1, 2.0);
    odd.unit = Some("'); DELETE FROM sample; --".into());
    let mut said = made::message(name, 1, 1, name);
    said.id = name.into();
    let batch =
        [Save::Sample(odd.clone()), Save::Message(said.clone().into()), made::setting(name, json!(name)), made::quarantine(name, name, name.as_bytes(), 1)];
    store.commit(&batch).unwrap();
    store.commit(&[Save::Command(made::command(name, "router-1", Status::Sent, 1).into())]).unwrap();
    let reader = store.reader();
    assert_eq!(reader.telemetry(&odd.key, name, 0, 9, 9, None).unwrap().items, [odd]);
    assert_eq!(reader.messages(name, MessageWindow::Newest, 5).unwrap().0, [said.clone()]);
    assert_eq!(reader.message(name).unwrap(), Some(said));
    assert_eq!(reader.settings().unwrap(), [(name.into(), json!(name))]);
    assert_eq!(reader.command(name).unwrap().unwrap().id, name);
    assert_eq!(reader.audit(name, 5, None).unwrap().items, []);
    assert!(matches!(reader.commands(None, 5, Some("1 OR 1=1")), Err(StoreError::Cursor(_))));
    assert_eq!(store.check().unwrap(), [""; 0]);
}

#[test]
fn the_audit_only_grows() {
    let (_dir, mut store) = made::store();
    let mut chains = Chains::default();
    let row = chains.append(1, "home", "person:ann", "changeset.approved", "c1", json!({"gain": 0.1}));
    store.commit(&[Save::Audit(row.clone())]).unwrap();
    let mut forged = row.clone();
    forged.actor = "person:eve".into();
    let refused = store.commit(&[made::setting("language", json!("en")), Save::Audit(forged)]).unwrap_err();
    assert!(refused.to_string().contains("appending row 1 to the audit of home"), "{refused}");
    assert_eq!(store.reader().audit("home", 5, None).unwrap().items, [row]);
    assert_eq!(store.reader().settings().unwrap(), [], "a refused batch leaves nothing behind");
}

#[test]
fn a_restart_takes_up_what_has_not_ended_with_deadlines_intact() {
    let (dir, mut store) = made::store();
    let device = Device::unknown(made::key("router-1"), 5);
    let waiting = made::command("waiting", "router-1", Status::Acked, NOW - 100 * HOUR);
    let ended = made::command("ended", "router-1", Status::TimedOut, NOW - 23 * HOUR);
    let forgotten = made::command("forgotten", "router-1", Status::Completed, NOW - 25 * HOUR);
    let active = made::session("active", SessionStatus::Active, NOW - 100 * HOUR);
    let over = made::session("over", SessionStatus::Completed, NOW - HOUR);
    let long_over = made::session("long over", SessionStatus::Completed, NOW - 3 * HOUR);
    let armed = made::changeset("armed", changeset::Status::Applied, NOW - 100 * HOUR);
    let stuck = made::changeset("stuck", changeset::Status::RollbackFailed, NOW - 100 * HOUR);
    let kept = made::changeset("kept", changeset::Status::Committed, NOW - HOUR);
    let gone = made::changeset("gone", changeset::Status::Committed, NOW - 30 * HOUR);
    let mut chains = Chains::default();
    let rows: Vec<_> = (0..3).map(|at| chains.append(at, "home", "person:ann", "test", "thing", json!({}))).collect();
    let head = chains.due_heads(1, &ed25519_dalek::SigningKey::from_bytes(&[1; 32]), true).remove(0);
    let fourth = chains.append(9, "home", "person:ann", "test", "thing", json!({}));
    let mut batch = vec![Save::Device(device.clone().into()), made::setting("language", json!("zh-TW"))];
    batch.extend([&forgotten, &waiting, &ended].map(|command| Save::Command(command.clone().into())));
    batch.extend([&active, &long_over, &over].map(|session| Save::Session(session.clone().into())));
    batch.extend([&gone, &armed, &stuck, &kept].map(|set| Save::Changeset(set.clone().into())));
    batch.extend(rows.into_iter().map(Save::Audit));
    batch.extend([Save::AuditHead(head.clone()), Save::Audit(fourth.clone())]);
    batch.extend([Save::Room(made::room("main").into()), Save::Member(made::member("main", "c1"))]);
    batch.extend([Save::Message(made::message("main", 1, 1, "a").into()), Save::Message(made::message("main", 2, 2, "b").into())]);
    store.commit(&batch).unwrap();
    drop(store);

    let loaded = Sqlite::open(dir.path(), Options::default()).unwrap().load(NOW).unwrap();
    assert_eq!(loaded.devices, [device]);
    assert_eq!(loaded.commands, [waiting, ended]);
    assert_eq!(loaded.sessions, [active, over]);
    assert_eq!(loaded.changesets, [armed, stuck, kept]);
    assert_eq!(loaded.rooms, [made::room("main")]);
    assert_eq!(loaded.members, [made::member("main", "c1")]);
    assert_eq!(loaded.message_ids, [("main".into(), "main-1".into()), ("main".into(), "main-2".into())]);
    assert_eq!(loaded.settings, [("language".into(), json!("zh-TW"))]);
    let end = &loaded.audit[0];
    assert_eq!((end.tenant.as_str(), end.n, &end.hash, end.head_n), ("home", 4, &fourth.hash, 3));
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.audit_heads("home").unwrap(), [head]);
    assert_eq!(reader.tenants().unwrap(), ["home"]);
}

#[test]
fn readers_in_many_threads_see_whole_batches_while_the_writer_goes_on() {
    let (_dir, mut store) = made::store();
    let pair = |at: i64| ["one", "two"].map(|name| made::setting(name, json!(at)));
    store.commit(&pair(0)).unwrap();
    let reading: Vec<_> = (0..6)
        .map(|_| {
            let reader = store.reader();
            std::thread::spawn(move || {
                let mut last = 0;
                while last < 200 {
                    let found = reader.settings().unwrap();
                    assert_eq!(found[0].1, found[1].1, "half a batch");
                    let now = found[0].1.as_i64().unwrap();
                    assert!(now >= last, "time went back");
                    last = now;
                }
            })
        })
        .collect();
    for at in 1..=200 {
        store.commit(&pair(at)).unwrap();
    }
    for thread in reading {
        thread.join().unwrap();
    }
}
