//! A full disk: refused as such, nothing half visible, and work goes on when there is space.

use crate::made;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use talkwire_store::{Options, Sqlite, Store, StoreError};

/// A volume of a few MiB, taken down with the test.
struct Volume(tempfile::TempDir);

impl Volume {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(dir.path()).output();
        done.is_ok_and(|done| done.status.success()).then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_volume_is_refused_whole_and_recovers_when_space_is_freed() {
    let Some(volume) = Volume::mount() else {
        eprintln!("SKIPPED: a_full_volume_is_refused_whole_and_recovers_when_space_is_freed needs the right to mount a tmpfs (run as root)");
        return;
    };
    let mut store = Sqlite::open(&volume.path().join("data"), Options::default()).unwrap();
    let ballast = volume.path().join("ballast");
    fs::write(&ballast, vec![7u8; 1 << 20]).unwrap();
    let rows = |batch: u32| (0..20).map(|at| made::setting(&format!("{batch}/{at}"), json!("x".repeat(2_000)))).collect::<Vec<_>>();
    let mut stored = 0;
    let refused = loop {
        match store.commit(&rows(stored)) {
            Ok(()) => stored += 1,
            Err(refused) => break refused,
        }
        assert!(stored < 1_000, "3 MiB never became full");
    };
    assert!(stored > 3, "{stored}");
    assert!(matches!(refused, StoreError::DiskFull { .. }), "{refused:?}");
    assert!(refused.may_pass() && refused.to_string().contains("free space"), "{refused}");
    // Still full: refused again, and everything earlier can be read.
    assert!(store.commit(&rows(stored)).is_err());
    assert_eq!(store.reader().settings().unwrap().len(), 20 * stored as usize);
    // What else would need space says the same, and leaves no half file.
    let copy = volume.path().join("copy.db");
    assert!(matches!(store.backup(&copy), Err(StoreError::DiskFull { .. })));
    assert!(!copy.exists() && !volume.path().join("copy.db.part").exists());
    let second = Sqlite::open(&volume.path().join("second"), Options::default()).err().unwrap();
    assert!(matches!(second, StoreError::DiskFull { .. }), "{second:?}");

    fs::remove_file(&ballast).unwrap();
    store.commit(&rows(stored)).unwrap();
    assert_eq!(store.reader().settings().unwrap().len(), 20 * (stored + 1) as usize);
    assert_eq!(store.check().unwrap(), [""; 0]);
    drop(store);
    let store = Sqlite::open(&volume.path().join("data"), Options::default()).unwrap();
    assert_eq!(store.reader().settings().unwrap().len(), 20 * (stored + 1) as usize);
}
