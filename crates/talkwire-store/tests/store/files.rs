//! Files of the data folder: modes, second writers, damage, backups.

use crate::made;
use serde_json::json;
use std::fs;
use talkwire_core::Save;
use talkwire_store::{Options, Reader, Sqlite, Store, StoreError};

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_folder_and_every_file_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("deep/data");
    let mut store = Sqlite::open(&folder, Options::default()).unwrap();
    store.commit(&[made::setting("a", json!(1))]).unwrap();
    store.backup(&folder.join("copy.db")).unwrap();
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_second_writer_is_refused_in_words_and_readers_are_welcome() {
    let (dir, store) = made::store();
    let said = Sqlite::open(dir.path(), Options::default()).err().unwrap().to_string();
    assert!(said.contains("held by another program") && said.contains("choose another data folder"), "{said}");
    Reader::open(dir.path()).unwrap();
    drop(store);
    Sqlite::open(dir.path(), Options::default()).unwrap();
}

#[test]
fn a_reader_of_an_empty_folder_is_refused_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(dir.path()), Err(StoreError::Io { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_broken_file_is_answered_with_what_to_do_and_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("talkwire.db");
    let broken = b"this was a photo album ".repeat(400);
    fs::write(&path, &broken).unwrap();
    let refused = Sqlite::open(dir.path(), Options::default()).err().unwrap();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused:?}");
    assert!(refused.to_string().contains("restore a backup"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), broken);
}

#[test]
fn damage_within_the_file_is_found_by_the_check() {
    let (dir, mut store) = made::store();
    store.commit(&(0..2_000).map(|at| made::setting(&format!("row {at}"), json!("x".repeat(200)))).collect::<Vec<_>>()).unwrap();
    assert_eq!(store.check().unwrap(), [""; 0]);
    drop(store);
    let path = dir.path().join("talkwire.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4_096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let store = Sqlite::open(dir.path(), Options::default()).unwrap();
    assert!(matches!(store.check(), Err(StoreError::Corrupt { .. })) || !store.check().unwrap().is_empty());
}

#[test]
fn a_backup_made_under_writing_is_whole_and_restores() {
    let (dir, mut store) = made::store();
    let copy = dir.path().join("copy.db");
    let reader = store.reader();
    store.commit(&(0..3_000).map(|at| Save::Sample(made::sample("ap-1", "cpu_usage", at, 1.0))).collect::<Vec<_>>()).unwrap();
    let to = copy.clone();
    let copying = std::thread::spawn(move || reader.backup(&to));
    for at in 3_000..3_100 {
        store.commit(&[Save::Sample(made::sample("ap-1", "cpu_usage", at, 1.0))]).unwrap();
    }
    copying.join().unwrap().unwrap();
    assert!(matches!(store.backup(&copy), Err(StoreError::Exists(_))));

    let restored = tempfile::tempdir().unwrap();
    fs::copy(&copy, restored.path().join("talkwire.db")).unwrap();
    let mut store = Sqlite::open(restored.path(), Options::default()).unwrap();
    assert_eq!(store.check().unwrap(), [""; 0]);
    store.commit(&[made::setting("restored", json!(true))]).unwrap();
    let mut count = 0;
    let mut after = None;
    loop {
        let page = store.reader().telemetry(&made::key("ap-1"), "cpu_usage", 0, 9_999, 1_000, after.as_deref()).unwrap();
        count += page.items.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!((3_000..=3_100).contains(&count), "{count}");
}

#[test]
fn a_backup_to_a_folder_that_is_not_there_leaves_nothing_and_says_so() {
    let (dir, store) = made::store();
    let refused = store.backup(&dir.path().join("nowhere/copy.db")).unwrap_err();
    assert!(matches!(refused, StoreError::Io { .. }) && refused.to_string().contains("nowhere"), "{refused}");
}

#[test]
fn size_grows_with_rows() {
    let (_dir, mut store) = made::store();
    let before = store.reader().size_bytes().unwrap();
    store.commit(&[made::setting("a", json!("x".repeat(100_000)))]).unwrap();
    assert!(store.reader().size_bytes().unwrap() >= before + 100_000);
}
