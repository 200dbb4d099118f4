//! Growing old: samples become minutes and hours, history goes, and the audit is cut where a head vouches for it.

use crate::made;
use ed25519_dalek::SigningKey;
use serde_json::json;
use talkwire_core::Save;
use talkwire_core::audit::{Chains, verify};
use talkwire_core::changeset;
use talkwire_core::command::Status;
use talkwire_core::effect::Sample;
use talkwire_core::session::SessionStatus;
use talkwire_store::{Fold, FoldWidth, HISTORY_MS, Options, Pruned, RAW_MS, Sqlite, Store};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_800_000_000_000 / HOUR * HOUR;

/// Prunes until there is no more to do.
fn prune(store: &mut Sqlite, now_ms: i64) -> Pruned {
    let mut sum = Pruned::default();
    for _ in 0..1_000 {
        let slice = store.prune(now_ms).unwrap();
        sum.samples += slice.samples;
        sum.folds += slice.folds;
        sum.series += slice.series;
        sum.history += slice.history;
        sum.audit += slice.audit;
        if !slice.more {
            return sum;
        }
    }
    panic!("pruning does not end: {sum:?}");
}

fn folds(store: &Sqlite, metric: &str, width: FoldWidth) -> Vec<Fold> {
    store.reader().telemetry_folded(&made::key("ap-1"), metric, width, i64::MIN, i64::MAX, 1_000).unwrap()
}

#[test]
fn old_samples_become_minutes_and_hours_that_say_the_same() {
    let (_dir, mut store) = made::store();
    let old = NOW - RAW_MS - 2 * HOUR;
    // Two hours, one sample each second, the value being the second; and one sample that is young enough.
    store.commit(&(0..7_200).map(|s| Save::Sample(made::sample("ap-1", "cpu", old + s * 1_000, s as f64))).collect::<Vec<_>>()).unwrap();
    let young = made::sample("ap-1", "cpu", NOW - RAW_MS, 5.0);
    store.commit(&[Save::Sample(young.clone())]).unwrap();
    let pruned = prune(&mut store, NOW);
    assert_eq!(pruned.samples, 7_200);
    assert_eq!(store.reader().telemetry(&young.key, "cpu", i64::MIN, i64::MAX, 10, None).unwrap().items, [young]);
    let minutes = folds(&store, "cpu", FoldWidth::Minute);
    assert_eq!(minutes.len(), 120);
    let third = &minutes[117];
    let sum: i64 = (120..180).sum();
    assert_eq!(*third, Fold { start_ms: old + 2 * MINUTE, min: 120.0, max: 179.0, sum: sum as f64, count: 60, unit: Some("%".into()) });
    // What is drawn over a long time joins what was cut and what was not.
    let drawn = store.reader().telemetry_thinned(&made::key("ap-1"), "cpu", old, NOW, 2 * HOUR).unwrap();
    assert_eq!(drawn.iter().map(|fold| (fold.start_ms, fold.max, fold.count)).collect::<Vec<_>>(), [(old + 2 * HOUR, 5.0, 1), (old, 7_199.0, 7_200)]);
    let hours = folds(&store, "cpu", FoldWidth::Hour);
    assert_eq!(
        hours.iter().map(|hour| (hour.start_ms, hour.min, hour.max, hour.count)).collect::<Vec<_>>(),
        [(old + HOUR, 3_600.0, 7_199.0, 3_600), (old, 0.0, 3_599.0, 3_600)]
    );
    // A sample that comes late joins its minute.
    store.commit(&[Save::Sample(made::sample("ap-1", "cpu", old + 2 * MINUTE, 1_000.0))]).unwrap();
    prune(&mut store, NOW);
    let third = &folds(&store, "cpu", FoldWidth::Minute)[117];
    assert_eq!((third.min, third.max, third.count), (120.0, 1_000.0, 61));
    assert_eq!(prune(&mut store, NOW), Pruned::default(), "nothing is left to do");
}

#[test]
fn structures_clocks_and_empty_series_go_too() {
    let (_dir, mut store) = made::store();
    let old = NOW - RAW_MS - HOUR;
    let structure = Sample { value: None, body: Some(json!({"a": 1})), ..made::sample("ap-1", "scan", old, 0.0) };
    let ahead = Sample { received_ms: old, ..made::sample("ap-1", "ahead", NOW + 1_000 * HOUR, 1.0) };
    let before_1970 = made::sample("ap-1", "behind", -90_000, 4.0);
    store.commit(&[structure, ahead, before_1970].map(Save::Sample)).unwrap();
    let pruned = store.prune(NOW).unwrap();
    assert_eq!((pruned.samples, pruned.folds, pruned.series), (3, 2, 3));
    assert_eq!(store.reader().metrics(&made::key("ap-1")).unwrap(), [""; 0]);
    // Its number is given anew, not remembered.
    let again = made::sample("ap-1", "scan", NOW, 1.0);
    store.commit(&[Save::Sample(again.clone())]).unwrap();
    assert_eq!(store.reader().telemetry(&again.key, "scan", 0, NOW, 5, None).unwrap().items, [again]);
}

#[test]
fn minutes_go_after_ninety_days() {
    let (_dir, mut store) = made::store();
    store.commit(&[Save::Sample(made::sample("ap-1", "cpu", NOW - RAW_MS - HOUR, 1.0))]).unwrap();
    prune(&mut store, NOW);
    assert_eq!(folds(&store, "cpu", FoldWidth::Hour).len(), 1);
    let pruned = prune(&mut store, NOW + HISTORY_MS);
    assert_eq!((pruned.folds, pruned.series), (2, 1));
    assert_eq!(folds(&store, "cpu", FoldWidth::Hour), []);
}

#[test]
fn history_goes_after_ninety_days_unless_it_has_not_ended() {
    let (_dir, mut store) = made::store();
    let (old, young) = (NOW - HISTORY_MS - 1, NOW - HISTORY_MS);
    let rows = [
        Save::Command(made::command("old", "ap-1", Status::Completed, old).into()),
        Save::Command(made::command("open", "ap-1", Status::Sent, old).into()),
        Save::Command(made::command("young", "ap-1", Status::Completed, young).into()),
        Save::Session(made::session("old", SessionStatus::Failed, old).into()),
        Save::Session(made::session("open", SessionStatus::Active, old).into()),
        Save::Changeset(made::changeset("old", changeset::Status::Committed, old).into()),
        Save::Changeset(made::changeset("stuck", changeset::Status::RollbackFailed, old).into()),
        Save::Receipt { changeset_id: "old".into(), receipt: json!({}) },
        Save::Receipt { changeset_id: "stuck".into(), receipt: json!({}) },
        Save::Event(made::event("ap-1", "old", old)),
        Save::Event(made::event("ap-1", "young", young)),
    ];
    store.commit(&rows).unwrap();
    assert_eq!(store.prune(NOW).unwrap(), Pruned { history: 4, ..Pruned::default() });
    let reader = store.reader();
    assert_eq!(reader.commands(None, 9, None).unwrap().items.into_iter().map(|command| command.id).collect::<Vec<_>>(), ["young", "open"]);
    assert_eq!(reader.sessions(9, None).unwrap().items.len(), 1);
    assert_eq!(reader.changesets(9, None, None).unwrap().items.len(), 1);
    assert_eq!((reader.receipt("old").unwrap(), reader.receipt("stuck").unwrap()), (None, Some(json!({}))));
    assert_eq!(reader.events_recent(9, None).unwrap().items.len(), 1);
}

#[test]
fn the_audit_is_cut_at_a_signed_head_and_still_verifies_from_it() {
    let (dir, mut store) = made::store();
    let key = SigningKey::from_bytes(&[9; 32]);
    let mut chains = Chains::default();
    let start = NOW - 100 * 24 * HOUR;
    let mut batch = Vec::new();
    for at in 0..9_000i64 {
        // One row every 16 minutes: a hundred days; details with figures that are not round.
        let now = start + at * 16 * MINUTE;
        batch.push(Save::Audit(chains.append(now, "home", "person:ann", "test", "thing", json!({"gain": 1.0 / (at + 3) as f64}))));
        if at % 700 == 699 {
            batch.extend(chains.due_heads(now, &key, true).into_iter().map(Save::AuditHead));
        }
        if at == 0 {
            batch.push(Save::Audit(chains.append(now, "other", "person:bob", "test", "thing", json!({}))));
        }
        if batch.len() >= 500 || at == 8_999 {
            store.commit(&std::mem::take(&mut batch)).unwrap();
        }
    }
    // 90 days ago was row 901, so the cut is at the head of row 700.
    assert_eq!(prune(&mut store, NOW).audit, 700);
    let reader = store.reader();
    let (rows, heads) = (reader.audit_rows_from("home", 0, 10_000).unwrap(), reader.audit_heads("home").unwrap());
    assert_eq!((rows.first().unwrap().n, rows.len(), heads[0].n), (701, 8_300, 700));
    let found = verify(&rows, &heads, &key.verifying_key(), &heads[0].hash);
    assert_eq!((found.checked, found.fault), (8_300, None));
    assert_eq!(reader.audit_rows_from("other", 0, 10).unwrap().len(), 1, "no head, no cut");
    // Much later everything up to the last head goes, in slices, and the chain goes on after a restart.
    assert_eq!(prune(&mut store, NOW + 1_000 * 24 * HOUR).audit, 8_400 - 700);
    drop(store);
    let store = Sqlite::open(dir.path(), Options::default()).unwrap();
    let end = store.load(NOW).unwrap().audit.remove(0);
    assert_eq!((end.tenant.as_str(), end.n, end.head_n), ("home", 9_000, 8_400));
}
