//! Pages are complete, without gaps or repeats, also while rows arrive.

use crate::made;
use serde_json::json;
use std::collections::BTreeSet;
use talkwire_core::Save;
use talkwire_core::audit::Chains;
use talkwire_core::changeset;
use talkwire_core::command::Status;
use talkwire_core::effect::Sample;
use talkwire_core::session::SessionStatus;
use talkwire_store::{MessageWindow, Page, Sqlite, Store, StoreError};

/// Walks a list to its end and adds two newer rows after each page: the walk must show the 25 that were there, newest first.
fn walk<T>(store: &mut Sqlite, row: impl Fn(i64) -> Save, list: impl Fn(&Sqlite, Option<&str>) -> Result<Page<T>, StoreError>, number: impl Fn(&T) -> i64) {
    store.commit(&(0..25).map(&row).collect::<Vec<_>>()).unwrap();
    let (mut seen, mut after, mut newest) = (Vec::new(), None::<String>, 25);
    loop {
        let page = list(store, after.as_deref()).unwrap();
        assert!(page.items.len() <= 4 && !page.items.is_empty());
        seen.extend(page.items.iter().map(&number));
        store.commit(&[row(newest), row(newest + 1)]).unwrap();
        newest += 2;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..25).rev().collect::<Vec<_>>());
}

fn parsed(text: &str) -> i64 {
    text.parse().unwrap()
}

#[test]
fn commands() {
    let (_dir, mut store) = made::store();
    let row = |at: i64| Save::Command(made::command(&at.to_string(), "router-1", Status::Sent, at).into());
    walk(&mut store, row, |store, after| store.reader().commands(None, 4, after), |command| parsed(&command.id));
}

#[test]
fn commands_of_a_device() {
    let (_dir, mut store) = made::store();
    let row = |at: i64| Save::Command(made::command(&at.to_string(), "router-1", Status::Sent, at).into());
    store.commit(&[Save::Command(made::command("other", "ap-1", Status::Sent, 1).into())]).unwrap();
    walk(&mut store, row, |store, after| store.reader().commands(Some(&made::key("router-1")), 4, after), |command| parsed(&command.id));
}

#[test]
fn sessions() {
    let (_dir, mut store) = made::store();
    let row = |at: i64| Save::Session(made::session(&at.to_string(), SessionStatus::Active, at).into());
    walk(&mut store, row, |store, after| store.reader().sessions(4, after), |session| parsed(&session.session_id));
}

#[test]
fn change_sets_of_a_status() {
    let (_dir, mut store) = made::store();
    let row = |at: i64| Save::Changeset(made::changeset(&at.to_string(), changeset::Status::Proposed, at).into());
    store.commit(&[Save::Changeset(made::changeset("other", changeset::Status::Rejected, 1).into())]).unwrap();
    let list = |store: &Sqlite, after: Option<&str>| store.reader().changesets(4, after, Some(changeset::Status::Proposed));
    walk(&mut store, row, list, |set| parsed(&set.changeset_id));
}

#[test]
fn events_of_a_device_and_of_all() {
    for all in [false, true] {
        let (_dir, mut store) = made::store();
        let list = |store: &Sqlite, after: Option<&str>| {
            if all { store.reader().events_recent(4, after) } else { store.reader().events(&made::key("ap-1"), 4, after) }
        };
        walk(&mut store, |at| Save::Event(made::event("ap-1", "client.roamed", at)), list, |event| event.received_ms);
    }
}

#[test]
fn audit() {
    let (_dir, mut store) = made::store();
    let chains = std::cell::RefCell::new(Chains::default());
    let row = |at: i64| Save::Audit(chains.borrow_mut().append(at, "home", "person:ann", "test", "thing", json!({})));
    walk(&mut store, row, |store, after| store.reader().audit("home", 4, after), |row| row.n as i64 - 1);
}

#[test]
fn telemetry_with_many_samples_in_one_millisecond_and_two_units() {
    let (_dir, mut store) = made::store();
    let row = |at: i64| {
        let unit = if at % 3 == 0 { None } else { Some("%".into()) };
        Save::Sample(Sample { unit, ts_ms: 1_000 + at / 6, ..made::sample("ap-1", "cpu_usage", 0, at as f64) })
    };
    let rows: Vec<_> = (0..100).map(row).collect();
    store.commit(&rows).unwrap();
    let (mut seen, mut after, mut last_ts) = (Vec::new(), None::<String>, i64::MAX);
    loop {
        let page = store.reader().telemetry(&made::key("ap-1"), "cpu_usage", i64::MIN, i64::MAX, 4, after.as_deref()).unwrap();
        for sample in page.items {
            assert!(sample.ts_ms <= last_ts, "newest first");
            last_ts = sample.ts_ms;
            seen.push(sample.value.unwrap() as i64);
        }
        store.commit(&[Save::Sample(made::sample("ap-1", "cpu_usage", 5_000, -1.0))]).unwrap();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 100, "no repeats");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), (0..100).collect(), "no gaps");
}

#[test]
fn a_room_backwards_and_forwards() {
    let (_dir, mut store) = made::store();
    store.commit(&(1..=25).map(|seq| Save::Message(made::message("main", seq, seq, "word").into())).collect::<Vec<_>>()).unwrap();
    let reader = store.reader();
    let (mut seen, mut window) = (Vec::new(), MessageWindow::Newest);
    loop {
        let (page, more) = reader.messages("main", window, 4).unwrap();
        seen.extend(page.iter().rev().map(|message| message.seq));
        if !more {
            break;
        }
        window = MessageWindow::BeforeSeq(page[0].seq);
    }
    assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>());
    let (mut seen, mut change) = (Vec::new(), 0);
    loop {
        let (page, more) = reader.messages("main", MessageWindow::AfterChange(change), 4).unwrap();
        seen.extend(page.iter().map(|message| message.seq));
        if !more {
            break;
        }
        change = page.last().unwrap().change;
    }
    assert_eq!(seen, (1..=25).collect::<Vec<_>>());
}
