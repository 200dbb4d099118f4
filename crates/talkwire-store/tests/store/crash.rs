//! kill -9 at any instant: what was acknowledged is there, and the database is whole.

use crate::made;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use talkwire_core::Save;
use talkwire_store::{Options, Reader, Sqlite, Store};

const FOLDER: &str = "TALKWIRE_STORE_CRASH_FOLDER";
const TRIALS: u32 = 20;
const ROWS: usize = 7;

/// Batch `n`: a setting and some samples that all carry the number.
fn batch(n: i64) -> Vec<Save> {
    let mut rows = vec![made::setting(&n.to_string(), json!("x".repeat(300)))];
    rows.extend((0..ROWS).map(|_| Save::Sample(made::sample("router-1", "cpu_usage", n, n as f64))));
    rows
}

/// The program that is killed: commits and tells each number once it is acknowledged.
fn commit_for_ever(dir: &Path) -> ! {
    let mut store = Sqlite::open(dir, Options { cache_kib: 256 }).unwrap();
    let first = store.reader().settings().unwrap().len() as i64;
    for n in first.. {
        store.commit(&batch(n)).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {n}").and_then(|()| out.flush()).unwrap();
    }
    unreachable!("numbers do not end")
}

#[test]
fn acknowledged_batches_survive_kill_9() {
    if let Some(dir) = std::env::var_os(FOLDER) {
        commit_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = -1;
    for trial in 0..TRIALS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::acknowledged_batches_survive_kill_9", "--nocapture", "--test-threads=1"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        let reading = std::thread::spawn(move || {
            told.lines().map_while(Result::ok).filter_map(|line| line.rsplit_once("acknowledged ").and_then(|(_, n)| n.parse::<i64>().ok())).last()
        });
        // An instant that differs from trial to trial; nothing depends on how far the child came.
        std::thread::sleep(Duration::from_millis(60 + u64::from(trial) * 37 % 200));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = reading.join().unwrap().unwrap_or(acknowledged);

        let store = Sqlite::open(dir.path(), Options::default()).unwrap();
        assert_eq!(store.check().unwrap(), [""; 0], "trial {trial}");
        let reader = Reader::open(dir.path()).unwrap();
        let stored = reader.settings().unwrap().len() as i64;
        assert!(stored > acknowledged, "trial {trial}: {acknowledged} was acknowledged, {stored} are stored");
        // At most the batch that was under way is there without having been told of, and it is there as a whole.
        assert!(stored <= acknowledged + 2, "trial {trial}: {acknowledged} was acknowledged, {stored} are stored");
        for n in [0, acknowledged.max(0), stored - 1] {
            let found = reader.telemetry(&made::key("router-1"), "cpu_usage", n, n, 100, None).unwrap().items.len();
            assert_eq!(found, if stored > 0 { ROWS } else { 0 }, "trial {trial}, batch {n}");
        }
    }
    assert!(acknowledged > i64::from(TRIALS), "the child hardly wrote: {acknowledged}");
}
